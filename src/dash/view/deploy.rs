//! A run: its hosts with their phases, and the log of the selected one.
//!
//! ```text
//!  run #41  switch via-cache  3f2c1ab       1 done · 1 running · 1 waiting         00:48
//!  › razer    ● switched in 31 s      pre ✓ eval ✓ cmp ✓ build ✓ publish ✓ verify ✓ …
//!             0 built, 38 from p620 (212 MB), 3 from nixos.org (2.00 MB)
//!    samsung  ◐ fetch  00:09          pre ✓ eval ✓ … fetch ◐   ▕██████▌   ▏ 61 %
//!             131 MB of 214 MB · 23.4 MB/s · 4 s left · linux-6.12.58 from p620
//!  samsung ─ log ────────────────────────────────────────────────────────────────────
//!  12:04:22  fetch    copying path '/nix/store/8f…-linux-6.12.58' from 'http://p620:5000'
//! ```
//!
//! Where there is room for all of them, the hosts stand side by side, each with its own log.

use crate::dash::model::{Starting, age};
use crate::dash::msg::RunKind;
use crate::dash::run_view::{HostRun, RunView};
use crate::dash::theme::Role;
use crate::dash::view::logs;
use crate::dash::view::paint::{
    Paint, below, cut, left, line_width, put, put_all, put_spread, spinner, top, width, wrap,
};
use crate::dash::view::run_words::{clock, doing, host_run_mark, phases, progress};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Columns that a host needs to stand beside others.
const BESIDE: u16 = 48;

/// Draws the run.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    if let Some(starting) = &paint.model.starting {
        starts(paint, buffer, area, starting);
        return;
    }
    let Some(run) = paint.model.shown_run() else {
        let text =
            " No run yet. Select hosts in the fleet (1) and press d to deploy or b to build.";
        let lines = wrap(text, usize::from(area.width).saturating_sub(1));
        let lines: Vec<_> =
            lines.into_iter().map(|line| Line::from(paint.span(Role::Dim, line))).collect();
        put_all(buffer, area, &lines, 0);
        return;
    };
    head(paint, buffer, top(area, 1), run);
    let mut area = below(area, 1);
    area = note(paint, buffer, area, run);
    let count = run.hosts.len() as u16;
    if paint.model.zoom {
        if let Some(host) = run.hosts.get(paint.model.run_host) {
            panel(paint, buffer, area, run, host, true);
        }
    } else if (2..=4).contains(&count) && area.width / count.max(1) >= BESIDE && area.height >= 14 {
        beside(paint, buffer, area, run);
    } else {
        stacked(paint, buffer, area, run);
    }
}

/// Draws a run that has not begun.
fn starts(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, starting: &Starting) {
    let hosts = starting.hosts.join(", ");
    let room = usize::from(area.width).saturating_sub(2);
    let (role, text) = match &starting.failed {
        Some(why) => (Role::Error, format!("✗ {why}")),
        None => {
            let what = match starting.kind {
                RunKind::Deploy => "deploy",
                RunKind::Build => "build",
            };
            let time = clock(age(paint.now, starting.at));
            (Role::Busy, format!("{} starting the {what} of {hosts}  {time}", spinner(paint.now)))
        }
    };
    let mut lines: Vec<Line<'static>> = wrap(&text, room)
        .into_iter()
        .map(|line| Line::from(vec![Span::raw(" "), paint.span(role, line)]))
        .collect();
    if starting.failed.is_some() {
        lines.push(Line::default());
        lines.push(Line::from(paint.span(Role::Dim, " esc goes back to the fleet")));
    }
    put_all(buffer, area, &lines, 0);
}

/// Draws what is deployed, how many hosts are how far, and the time.
fn head(paint: &Paint<'_>, buffer: &mut Buffer, row: Rect, run: &RunView) {
    let mut left = vec![
        Span::raw(" "),
        paint.span(Role::Title, format!("run #{}", run.id)),
        Span::raw(format!("  {}", run.title)),
    ];
    if let Some(revision) = run.plan.as_ref().and_then(|plan| plan.revision.as_ref()) {
        left.push(paint.span(Role::Dim, format!("  {}", revision_words(revision))));
    }
    let time = Span::raw(format!("   {} ", clock(run.elapsed(paint.now))));
    let mut counts = counts(paint, run);
    counts.push(time.clone());
    if line_width(&left) + line_width(&counts) >= usize::from(row.width) {
        left.truncate(3);
    }
    if line_width(&left) + line_width(&counts) >= usize::from(row.width) {
        counts = vec![Span::raw(format!("{}/{}", run.done(), run.hosts.len())), time];
    }
    put_spread(buffer, row, left, counts);
}

/// Returns a revision short enough for a line.
pub(super) fn revision_words(revision: &str) -> String {
    match revision.split_once('-') {
        Some((hash, rest)) => format!("{} {rest}", cut_hash(hash)),
        None => cut_hash(revision),
    }
}

fn cut_hash(hash: &str) -> String {
    hash.chars().take(8).collect()
}

fn counts(paint: &Paint<'_>, run: &RunView) -> Vec<Span<'static>> {
    if let Some(summary) = &run.summary {
        let role = if summary.is_good() { Role::Text } else { Role::Error };
        return vec![paint.span(role, summary.words())];
    }
    let done = run.done();
    let working = |host: &&HostRun| {
        host.result.is_none() && host.waiting.is_none() && host.current().is_some()
    };
    let running = run.hosts.iter().filter(working).count();
    let waiting = run.hosts.len() - done - running;
    let words = [(done, "done"), (running, "running"), (waiting, "waiting")];
    let words = words.iter().filter(|(count, _)| *count > 0);
    let words = words.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>();
    vec![Span::raw(words.join(" · "))]
}

/// Draws what the whole run waits for, or why it is gone; returns what is left of the area.
fn note(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, run: &RunView) -> Rect {
    let (role, text) = if let Some(why) = &run.gone {
        (Role::Error, format!("▲ the run's process is gone: {why}"))
    } else if run.waits {
        (Role::Warn, "▲ waits for your answer: o shows the plan".to_owned())
    } else if run.stopping && run.is_active() {
        (Role::Warn, "▲ stopping".to_owned())
    } else {
        return area;
    };
    let lines: Vec<Line<'static>> = wrap(&text, usize::from(area.width).saturating_sub(2))
        .into_iter()
        .map(|line| Line::from(vec![Span::raw(" "), paint.span(role, line)]))
        .collect();
    put_all(buffer, top(area, 3), &lines, 0);
    below(area, (lines.len() as u16).min(3))
}

/// Draws the hosts below each other, then the log of the selected one.
fn stacked(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, run: &RunView) {
    let count = run.hosts.len().max(1);
    let two = usize::from(area.height) >= count * 2 + 5 && area.width >= 60;
    let each = if two { 2 } else { 1 };
    let most = usize::from(area.height).saturating_sub(4).max(1) / each;
    let shown = count.min(most.max(1));
    let from = paint.model.run_host.saturating_sub(shown - 1);
    for (row, (index, host)) in run.hosts.iter().enumerate().skip(from).take(shown).enumerate() {
        let area = below(area, (row * each) as u16);
        let selected = index == paint.model.run_host;
        host_rows(paint, buffer, top(area, each as u16), run, host, selected);
    }
    let rest = below(area, (shown * each) as u16);
    if let Some(host) = run.hosts.get(paint.model.run_host).filter(|_| rest.height >= 2) {
        let rest = error(paint, buffer, rest, host, two);
        logs::tail(paint, buffer, rest, host);
    }
}

/// Draws one host in one or two rows.
fn host_rows(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    run: &RunView,
    host: &HostRun,
    selected: bool,
) {
    let names = run.hosts.iter().map(|host| width(&host.host)).max().unwrap_or(4);
    let names = names.clamp(4, 16).min(usize::from(area.width) / 3);
    let mark = host_run_mark(paint, run, host);
    let several = run.hosts.len() > 1;
    let cursor = if selected && several { " › " } else { "   " };
    let state = usize::from(area.width).saturating_sub(names + 5).min(26);
    let mut spans = vec![
        paint.span(Role::Accent, cursor),
        Span::raw(left(&host.host, names)),
        Span::raw("  "),
        paint.span(mark.role, left(&mark.text(), state)),
    ];
    let room = usize::from(area.width).saturating_sub(line_width(&spans));
    let full = phases(paint, host, false);
    let bar = progress(paint, host, 14);
    if room >= line_width(&full) + 2 {
        spans.push(Span::raw("  "));
        spans.extend(full);
        if room >= line_width(&spans[4..]) + line_width(&bar) + 1 {
            spans.extend(bar);
        }
    } else if room >= 14 {
        spans.push(Span::raw("  "));
        spans.extend(phases(paint, host, true));
        let bar = progress(paint, host, room.saturating_sub(14 + 10).min(14));
        if room > 14 + 10 {
            spans.push(Span::raw("  "));
            spans.extend(bar);
        }
    } else if let Some(share) = host.share() {
        spans.pop();
        let text = format!("{} {}", mark.text(), crate::fleet::percent(share));
        spans.push(paint.span(mark.role, cut(&text, state)));
    }
    put(buffer, area, 0, &Line::from(spans));
    if selected && several {
        let row = top(area, 1).intersection(buffer.area);
        buffer.set_style(row, paint.style(Role::Selection));
    }
    let (role, text) = doing(host);
    let room = usize::from(area.width).saturating_sub(names + 6);
    let line =
        Line::from(vec![Span::raw(" ".repeat(names + 5)), paint.span(role, cut(&text, room))]);
    put(buffer, area, 1, &line);
}

/// Draws the whole error of a host above its log; returns what is left of the area.
fn error(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, host: &HostRun, shown: bool) -> Rect {
    let Some(text) = host.result.as_ref().and_then(|result| result.error.as_ref()) else {
        return area;
    };
    let room = usize::from(area.width).saturating_sub(2);
    if shown && width(text) + 24 < room {
        return area;
    }
    let (role, _) = doing(host);
    let mut lines = wrap(text, room);
    lines.truncate(usize::from(area.height / 2).max(1));
    for (row, line) in lines.iter().enumerate() {
        let line = Line::from(vec![Span::raw(" "), paint.span(role, line.clone())]);
        put(buffer, area, row as u16, &line);
    }
    below(area, lines.len() as u16)
}

/// Draws the hosts side by side.
fn beside(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, run: &RunView) {
    let count = run.hosts.len() as u16;
    let each = area.width / count;
    for (index, host) in run.hosts.iter().enumerate() {
        let x = area.x + each * index as u16;
        let last = index as u16 + 1 == count;
        let wide = if last { area.right() - x } else { each };
        let panel_area = Rect { x, width: wide.saturating_sub(u16::from(!last)), ..area };
        panel(paint, buffer, panel_area, run, host, index == paint.model.run_host);
        if !last {
            let bar = Line::styled("│", paint.style(Role::Border));
            for row in 0..area.height {
                let cell = Rect { x: x + wide - 1, width: 1, ..area };
                put(buffer, cell, row, &bar);
            }
        }
    }
}

/// Draws one host with its phases and its log.
fn panel(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    run: &RunView,
    host: &HostRun,
    selected: bool,
) {
    let mark = host_run_mark(paint, run, host);
    let room = usize::from(area.width).saturating_sub(2);
    let cursor = if selected && run.hosts.len() > 1 { "› " } else { "  " };
    let title = vec![
        paint.span(Role::Accent, cursor),
        paint.span(if selected { Role::Title } else { Role::Text }, host.host.clone()),
        Span::raw("  "),
        paint.span(mark.role, mark.text()),
    ];
    put(buffer, area, 0, &Line::from(title));
    let mut lines: Vec<Line<'static>> = Vec::new();
    let all = phases(paint, host, false);
    if line_width(&all) + 2 <= usize::from(area.width) {
        lines.push(Line::from([vec![Span::raw("  ")], all].concat()));
    } else {
        for half in all.chunks(6) {
            lines.push(Line::from([vec![Span::raw("  ")], half.to_vec()].concat()));
        }
    }
    let bar = progress(paint, host, room.saturating_sub(12).min(40));
    lines.push(Line::from([vec![Span::raw("  ")], bar].concat()));
    let (role, text) = doing(host);
    let mut words = wrap(&text, room.saturating_sub(1));
    words.truncate(if host.result.is_some() { 4 } else { 1 });
    if words.is_empty() {
        words.push(String::new());
    }
    for line in words {
        lines.push(Line::from(vec![Span::raw("  "), paint.span(role, line)]));
    }
    let lines_area = below(area, 1);
    put_all(buffer, lines_area, &lines, 0);
    logs::tail(paint, buffer, below(lines_area, lines.len() as u16), host);
}
