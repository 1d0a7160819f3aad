//! How the hosts of the selected run stand.
//!
//! ```text
//!  run #41  switch via-cache ──────────────────────────────────────────────────────────
//!    razer         ● switched in 31 s     0 built, 38 from p620 (212 MB)
//!    samsung       ✗ rolled back in 5.1 s samsung: nobody reached the host within 15 s of its
//!                                         activation; it is back on the previous system
//! ```

use crate::dash::widgets::paint::{Paint, below, put};
use crate::dash::widgets::text::{cut, left, line_width, wrap, wrap_to};
use crate::dash::words::runs::{doing, host_run_mark};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Columns of a host's name, of how it stands, and of the gap behind each.
const NAME: usize = 12;
const STATE: usize = 24;
const GAP: usize = 2;

/// Columns before what is said of a host where it stands beside how the host stands, and where below.
const BESIDE: usize = 3 + NAME + GAP + STATE + GAP;
const BELOW: usize = 5;

/// Columns that a text beside how a host stands needs, so that it does not become a tower of single words.
const ROOM: usize = 24;

/// Draws how each host of the selected run stands, and why one failed: as many rows of that as there are,
/// the first hosts first.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    let Some(run) = paint.model.shown_run() else { return };
    paint.rule(buffer, area, &format!("run #{}  {}", run.id, run.title), "");
    let area = below(area, 1);
    let columns = usize::from(area.width).saturating_sub(1);
    let is_beside = columns >= BESIDE + ROOM;
    let indent = if is_beside { BESIDE } else { BELOW };
    let room = columns.saturating_sub(indent).max(8);
    let mut rest = area;
    let mut spare = usize::from(area.height).saturating_sub(run.hosts.len());
    for host in &run.hosts {
        let (role, text) = doing(paint, run, host);
        // What a host does changes with every second: only what came of it may take several rows.
        let is_over = host.result.is_some();
        let mut wanted = if is_over { wrap(&text, room) } else { vec![cut(&text, room)] };
        wanted.retain(|line| !line.is_empty());
        let first = usize::from(is_beside);
        let more = wanted.len().saturating_sub(first).min(spare);
        spare -= more;
        let lines = wrap_to(&wanted.join("\n"), room, first + more);
        let mark = host_run_mark(paint, run, host);
        let name = format!("   {}{}", left(&host.host, NAME), " ".repeat(GAP));
        let state = if is_beside { STATE } else { columns.saturating_sub(name.len()) };
        let mut spans = vec![Span::raw(name), paint.span(mark.role, cut(&mark.text(), state))];
        let mut lines = lines.into_iter();
        if is_beside {
            let used = line_width(&spans);
            spans.push(Span::raw(" ".repeat(BESIDE.saturating_sub(used))));
            spans.extend(lines.next().map(|line| paint.span(role, line)));
        }
        put(buffer, rest, 0, &Line::from(spans));
        rest = below(rest, 1);
        for line in lines {
            let spans = vec![Span::raw(" ".repeat(indent)), paint.span(role, line)];
            put(buffer, rest, 0, &Line::from(spans));
            rest = below(rest, 1);
        }
    }
}
