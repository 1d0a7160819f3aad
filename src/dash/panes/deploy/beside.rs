//! The hosts of a run side by side, each with its log; and one of them alone.
//!
//! ```text
//!    razer  ● switched in 31 s                 │ › samsung  ◐ fetch  00:09
//!    pre ✓ eval ✓ cmp ✓ build ✓ pub ✓ verify ✓ │   pre ✓ eval ✓ cmp ✓ build ✓ pub ✓ verify ✓
//!    0 built, 38 from p620 (212 MB)            │   ▕██████▌   ▏ 61 %
//!  razer ─ log ────────────────────────────────│ samsung ─ log ─────────────────────────────
//! ```

use crate::dash::panes::deploy::why;
use crate::dash::panes::log_tail;
use crate::dash::theme::Role;
use crate::dash::widgets::paint::{Paint, below, put, put_all, top};
use crate::dash::widgets::places::ClickTarget;
use crate::dash::widgets::text::{line_width, wrap, wrap_to};
use crate::dash::words::runs::{PhaseNames, doing, host_run_mark, phases, progress};
use crate::dash::world::{HostRun, RunView};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Draws hosts of the run side by side; their logs begin in the same row.
pub(super) fn draw(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    run: &RunView,
    hosts: &[(usize, &HostRun)],
) {
    let count = hosts.len() as u16;
    let each = area.width / count;
    let columns = each.saturating_sub(1);
    let heads = hosts.iter().map(|&(index, host)| {
        let selected = index == paint.model.deploy.host;
        (index, host, panel_head(paint, run, host, selected, Rect { width: columns, ..area }))
    });
    let heads: Vec<(usize, &HostRun, Vec<Line<'static>>)> = heads.collect();
    let rows = heads.iter().map(|(_, _, head)| head.len()).max().unwrap_or_default() as u16;
    // The title and the head of each.
    let above = paint.model.deploy.split.rows(rows + 1, area.height, (2, 4));
    for (place, (index, host, head)) in (0..).zip(heads) {
        let x = area.x + each * place;
        let last = place + 1 == count;
        let wide = if last { area.right() - x } else { each };
        let panel_area = Rect { x, width: wide.saturating_sub(u16::from(!last)), ..area };
        let selected = index == paint.model.deploy.host;
        paint.places.add(top(panel_area, above), ClickTarget::Row { index, from: 0 });
        panel_title(paint, buffer, panel_area, run, host, selected);
        put_all(buffer, below(top(panel_area, above), 1), &head, 0);
        log_tail::draw(paint, buffer, below(panel_area, above), host);
        if !last {
            let bar = Line::styled("│", paint.style(Role::Border));
            for row in 0..area.height {
                let cell = Rect { x: x + wide - 1, width: 1, ..area };
                put(buffer, cell, row, &bar);
            }
        }
    }
    if area.height > above {
        paint.places.add_border(area, area.y + above);
    }
}

/// Draws one host over the whole area, with its phases and its log.
pub(super) fn alone(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    run: &RunView,
    host: &HostRun,
) {
    panel_title(paint, buffer, area, run, host, true);
    let head = panel_head(paint, run, host, true, area);
    put_all(buffer, below(area, 1), &head, 0);
    log_tail::draw(paint, buffer, below(area, head.len() as u16 + 1), host);
}

/// Draws a host's name and how it stands.
fn panel_title(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    run: &RunView,
    host: &HostRun,
    selected: bool,
) {
    let mark = host_run_mark(paint, run, host);
    let cursor = if selected && run.hosts.len() > 1 { " › " } else { "   " };
    let wave = run.wave_of(&host.host).filter(|_| run.several_waves().is_some());
    let wave = wave.map(|wave| format!(" w{wave}")).unwrap_or_default();
    let title = vec![
        paint.span(Role::Accent, cursor),
        paint.span(if selected { Role::Title } else { Role::Text }, host.host.clone()),
        paint.span(Role::Dim, wave),
        Span::raw("  "),
        paint.span(mark.role, mark.text()),
    ];
    put(buffer, area, 0, &Line::from(title));
}

/// Rows of what a host does, below its bar, and of what came of it.
const DOING: usize = 2;
const RESULT: usize = 6;

/// Returns a host's phases, its bar and what it does or waits for, or why it failed, for a panel of that area.
/// Where not all of it has room, what it waits for or why it failed comes before its phases.
///
/// The number of lines stays the same while the host is at work, so that its log does not jump.
fn panel_head(
    paint: &Paint<'_>,
    run: &RunView,
    host: &HostRun,
    selected: bool,
    area: Rect,
) -> Vec<Line<'static>> {
    let room = usize::from(area.width).saturating_sub(4).max(8);
    // Below the title.
    let height = usize::from(area.height).saturating_sub(1);
    let mut lines = phase_lines(paint, run, host, room);
    let rows = lines.len() + 1 + DOING;
    let told = why::of(host, room);
    let waits = why::waited_for(paint, run, host).is_some();
    if host.result.is_none() {
        let bar = progress(paint, run, host, room.saturating_sub(10).min(40));
        if !bar.is_empty() || !waits {
            lines.push(Line::from([vec![Span::raw("   ")], bar].concat()));
        }
    }
    let (role, text) = match &told {
        Some(told) => (told.role, told.text()),
        None => doing(paint, run, host),
    };
    let said = wrap(&text, room).len();
    if (told.is_some() || waits) && lines.len() + said > height {
        let mut first = match &told {
            Some(told) => why::panel(paint, told, selected, room, height),
            None => indented(paint, role, wrap_to(&text, room, height)),
        };
        first.append(&mut lines);
        first.truncate(height);
        return first;
    }
    let left = height.saturating_sub(lines.len());
    if let Some(told) = &told {
        lines.extend(why::panel(paint, told, selected, room, left));
    } else {
        let most = match (host.result.is_some(), waits) {
            (_, true) => left,
            (true, false) => RESULT,
            (false, false) => DOING,
        };
        lines.extend(indented(paint, role, wrap_to(&text, room, most)));
    }
    lines.resize(lines.len().max(rows), Line::default());
    lines
}

/// Returns a host's phases in as many lines of so many columns as they need.
fn phase_lines(
    paint: &Paint<'_>,
    run: &RunView,
    host: &HostRun,
    room: usize,
) -> Vec<Line<'static>> {
    let indent = || vec![Span::raw("   ")];
    let mut lines: Vec<Line<'static>> = Vec::new();
    let mut line = indent();
    for phase in phases(paint, run, host, PhaseNames::on(paint.model.size.0)) {
        if line_width(&line) + line_width(std::slice::from_ref(&phase)) > room + 4 {
            lines.push(Line::from(std::mem::replace(&mut line, indent())));
        }
        line.push(phase);
    }
    lines.push(Line::from(line));
    lines
}

/// Returns lines of a text below a host's name.
fn indented(paint: &Paint<'_>, role: Role, text: Vec<String>) -> Vec<Line<'static>> {
    let line = |line| Line::from(vec![Span::raw("   "), paint.span(role, line)]);
    text.into_iter().map(line).collect()
}
