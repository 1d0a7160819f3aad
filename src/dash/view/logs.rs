//! The log of one host's run.
//!
//! ```text
//!  samsung ─ run #41 ──────────────────────────────────── 1 204 lines · following ──
//!  12:04:19  build    firefox-145.0: buildPhase
//!  12:04:22  fetch    copying path '/nix/store/8f…-linux-6.12.58' from 'http://p620:5000'
//! ```
//!
//! Only the lines that are seen are made ready: a log of any length costs the same to draw.

use crate::dash::host_run::HostRun;
use crate::dash::model::{LogScroll, Model};
use crate::dash::theme::Role;
use crate::dash::view::paint::{Paint, below, count, cut, left, put, width, wrap};
use crate::dash::view::tier_words::tier_names;
use crate::dash::view::words::short_paths;
use crate::fleet::{LogLine, Phase};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

/// From this width on a line begins with the time of day.
const WITH_TIME: u16 = 60;

/// Columns of a time of day.
const CLOCK: usize = 8;

/// Columns of a phase's short word.
const PHASE: usize = 8;

/// Narrower than this, the newest lines show store paths by their names alone.
const WITH_HASHES: u16 = 100;

/// Draws the whole log of the selected host of the shown run.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    let model = paint.model;
    let (Some(run), Some(host)) = (model.shown_run(), model.shown_host_run()) else {
        let text = " No log yet: logs belong to runs. Press 1 for the fleet, then d to deploy.";
        put(buffer, area, 0, &Line::from(paint.span(Role::Dim, text)));
        return;
    };
    let title = format!("{} ─ run #{}", host.host, run.id);
    paint.rule(buffer, area, &title, &note(model, host));
    let area = below(area, 1);
    let first = first_log_line(model, model.log.top);
    let mut row = 0;
    for (_, line) in host.log.from(first).filter(|(_, line)| model.log.shows(&line.text)) {
        if row >= area.height {
            break;
        }
        for line in line_rows(paint, line, area.width, &model.log) {
            put(buffer, area, row, &line);
            row += 1;
        }
    }
    if row == 0 {
        let text = if host.log.is_empty() { " nothing logged yet" } else { " no line matches" };
        put(buffer, area, 0, &Line::from(paint.span(Role::Dim, text)));
    }
}

/// Draws the newest lines of a host's log below a rule.
pub(super) fn tail(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, host: &HostRun) {
    if area.height < 2 {
        return;
    }
    paint.rule(buffer, area, &format!("{} ─ log", host.host), "");
    let area = below(area, 1);
    let scroll = LogScroll::default();
    let newest: Vec<_> = host.log.before(u64::MAX).take(usize::from(area.height)).collect();
    for (row, (_, line)) in newest.into_iter().rev().enumerate() {
        let cramped = area.width < WITH_HASHES || width(&line.text) > text_room(area.width);
        let line = LogLine {
            text: if cramped {
                tier_names(&paint.model.fleet, &short_paths(&line.text))
            } else {
                line.text.clone()
            },
            ..line.clone()
        };
        for line in line_rows(paint, &line, area.width, &scroll) {
            put(buffer, area, row as u16, &line);
        }
    }
}

/// Returns the number of the first line that is shown when `top` was scrolled to; without it, of
/// the last page.
pub(in crate::dash) fn first_log_line(model: &Model, top: Option<u64>) -> u64 {
    let Some(host) = model.shown_host_run() else { return 0 };
    if let Some(top) = top {
        return top.max(host.log.first());
    }
    let area = super::body(model);
    let mut rows = usize::from(area.height.saturating_sub(1)).max(1);
    let mut first = host.log.end();
    for (number, line) in host.log.before(u64::MAX) {
        if !model.log.shows(&line.text) {
            continue;
        }
        let needed =
            if model.log.wrap { wrap(&line.text, text_room(area.width)).len().max(1) } else { 1 };
        if needed > rows {
            break;
        }
        rows -= needed;
        first = number;
        if rows == 0 {
            break;
        }
    }
    // A last line that is longer than the page is shown from its beginning.
    first.min(host.log.end().saturating_sub(1)).max(host.log.first())
}

/// Returns what is to be known about the log as a whole.
fn note(model: &Model, host: &HostRun) -> String {
    let mut words = vec![format!("{} lines", count(host.log.end()))];
    if host.log.dropped() > 0 {
        words.push(format!("the first {} only in the file", count(host.log.dropped())));
    }
    let log = &model.log;
    if !log.filter.is_empty() {
        let what = if log.only_matching { "only" } else { "finding" };
        words.push(format!("{what} “{}”", log.filter.text()));
    }
    words.push(match log.top {
        None => "following".to_owned(),
        Some(_) => "held".to_owned(),
    });
    words.join(" · ")
}

/// Returns the columns that a line's text has, after time and phase.
fn text_room(columns: u16) -> usize {
    usize::from(columns).saturating_sub(prefix_width(columns)).max(8)
}

fn prefix_width(columns: u16) -> usize {
    if columns >= WITH_TIME { 1 + 10 + PHASE + 2 } else { 1 + PHASE + 1 }
}

/// Returns a log line as rows of the screen, matches marked.
fn line_rows(
    paint: &Paint<'_>,
    line: &LogLine,
    columns: u16,
    scroll: &LogScroll,
) -> Vec<Line<'static>> {
    let room = text_room(columns);
    let phase = line.phase.map_or("", Phase::short);
    let prefix = if columns >= WITH_TIME {
        let at = line.at.map(|at| paint.clock(at, true)).unwrap_or_default();
        format!(" {}  {}  ", left(&at, CLOCK), left(phase, PHASE))
    } else {
        format!(" {} ", left(phase, PHASE))
    };
    let texts = if scroll.wrap { wrap(&line.text, room) } else { vec![cut(&line.text, room)] };
    let mut rows = Vec::new();
    for (at, text) in texts.into_iter().enumerate() {
        let prefix = if at == 0 { prefix.clone() } else { " ".repeat(width(&prefix)) };
        let mut spans = vec![paint.span(Role::Dim, prefix)];
        spans.extend(marked(paint, &text, scroll));
        rows.push(Line::from(spans));
    }
    rows
}

/// Returns a text with the matches of the filter reversed.
fn marked(paint: &Paint<'_>, text: &str, scroll: &LogScroll) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    let mut at = 0;
    for range in scroll.filter.marks(text) {
        spans.push(Span::raw(text[at..range.start].to_owned()));
        let style = paint.style(Role::Accent).add_modifier(Modifier::REVERSED);
        spans.push(Span::styled(text[range.clone()].to_owned(), style));
        at = range.end;
    }
    spans.push(Span::raw(text[at..].to_owned()));
    spans
}
