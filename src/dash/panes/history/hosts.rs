//! How the hosts of the selected run stand.
//!
//! ```text
//!  run #41  switch via-cache ──────────────────────────────────────────────────────────
//!    razer         ● switched in 31 s     0 built, 38 from p620 (212 MB)
//!    samsung       ✗ rolled back in 5.1 s samsung: nobody could reach it within 15 s of its
//!                                         activation; it is back on the previous system
//! ```

use crate::dash::widgets::paint::{Paint, below, put};
use crate::dash::widgets::text::{cut, left, wrap};
use crate::dash::words::runs::{doing, host_run_mark};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Columns before what is said of a host.
const BEHIND_STATE: usize = 3 + 12 + 2 + 26;

/// Draws how each host of the selected run stands; why one failed in whole, where all of it has room.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    let Some(run) = paint.model.shown_run() else { return };
    paint.rule(buffer, area, &format!("run #{}  {}", run.id, run.title), "");
    let area = below(area, 1);
    let room = usize::from(area.width).saturating_sub(BEHIND_STATE + 1).max(8);
    let texts = run.hosts.iter().map(|host| {
        let (role, text) = doing(paint, run, host);
        // What a host does changes with every second: only what came of it may take several rows.
        let is_over = host.result.is_some();
        (host, role, if is_over { wrap(&text, room) } else { vec![cut(&text, room)] })
    });
    let texts: Vec<_> = texts.collect();
    let wanted: usize = texts.iter().map(|(_, _, lines)| lines.len().max(1)).sum();
    let whole = wanted <= usize::from(area.height);
    let mut rest = area;
    for (host, role, lines) in texts {
        let mark = host_run_mark(paint, run, host);
        let mut spans = vec![
            Span::raw(format!("   {}  ", left(&host.host, 12))),
            paint.span(mark.role, left(&mark.text(), 26)),
        ];
        let fits = whole && !lines.is_empty();
        let lines = if fits { lines } else { vec![cut(&lines.join(" "), room)] };
        let rows = lines.len();
        for (row, line) in lines.into_iter().enumerate() {
            spans.push(paint.span(role, line));
            put(buffer, rest, row as u16, &Line::from(std::mem::take(&mut spans)));
            spans.push(Span::raw(" ".repeat(BEHIND_STATE)));
        }
        rest = below(rest, rows as u16);
    }
}
