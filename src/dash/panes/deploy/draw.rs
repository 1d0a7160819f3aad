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

use crate::dash::panes::log_tail;
use crate::dash::theme::Role;
use crate::dash::widgets::filtered;
use crate::dash::widgets::graph::spinner;
use crate::dash::widgets::paint::{Paint, below, put, put_all, put_spread, top};
use crate::dash::widgets::table::{self, Window};
use crate::dash::widgets::text::{cut, left, line_width, width, wrap};
use crate::dash::words::runs::{
    bytes_in, clock, doing, host_run_mark, phases, progress, revision_words,
};
use crate::dash::world::{HostRun, RunView, SIDE_BY_SIDE, Starting, Summary, age};
use crate::fleet::words::WAITING;
use crate::fleet::words::runs::{what_tiers_brought, where_time_went};
use crate::fleet::{HostResult, duration};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Columns that a host needs to stand beside others.
const BESIDE: u16 = 48;

/// Draws the run.
pub(in crate::dash) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    if let Some(starting) = &paint.model.world.starting {
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
    if paint.model.zoom {
        if let Some(host) = run.hosts.get(paint.model.deploy.host) {
            alone(paint, buffer, area, run, host);
        }
        return;
    }
    let area = filtered::note(paint, buffer, area, ("host", "hosts"));
    let visible = paint.model.visible_host_runs();
    if stand_beside(visible.len(), area) {
        beside(paint, buffer, area, run, &visible);
    } else {
        stacked(paint, buffer, area, run, &visible);
    }
}

/// Returns whether so many hosts of a run stand side by side, each with its own log.
pub(in crate::dash) fn stand_beside(count: usize, area: Rect) -> bool {
    (2..=SIDE_BY_SIDE).contains(&count)
        && usize::from(area.width) / count.max(1) >= usize::from(BESIDE)
        && area.height >= 14
}

/// Draws a run that has not begun.
fn starts(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, starting: &Starting) {
    let hosts = starting.hosts.join(", ");
    let room = usize::from(area.width).saturating_sub(2);
    let (role, text) = if let Some(why) = &starting.failed {
        (Role::Error, format!("✗ {why}"))
    } else {
        let what = starting.goal.command();
        let time = clock(age(paint.now, starting.at));
        (Role::Busy, format!("{} starting the {what} of {hosts}  {time}", spinner(paint.now)))
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
        let bad = run.summary.as_ref().map_or(0, Summary::bad);
        let all = run.hosts.len();
        counts = if bad > 0 {
            let long = format!("✗ {bad} of {all} went wrong");
            let fits = line_width(&left) + width(&long) + 12 < usize::from(row.width);
            let text = if fits { long } else { format!("✗ {bad}/{all}") };
            vec![paint.span(Role::Error, text), time]
        } else {
            vec![Span::raw(format!("{}/{all}", run.done())), time]
        };
    }
    put_spread(buffer, row, left, counts);
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
    let words = [(done, "done"), (running, "running"), (waiting, WAITING)];
    let words = words.iter().filter(|(count, _)| *count > 0);
    let words = words.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>();
    vec![Span::raw(words.join(" · "))]
}

/// Draws what the whole run waits for, why it is gone, or what it came to; returns what is left of the area.
fn note(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, run: &RunView) -> Rect {
    let (role, text) = if run.can_go_on {
        let text = format!("▲ nixdash ended during run {}: press c to go on with it", run.id);
        (Role::Warn, text)
    } else if let Some(why) = &run.gone {
        (Role::Error, format!("▲ the run's process is gone: {why}"))
    } else if run.waits {
        (Role::Warn, "▲ waiting for your answer: o shows the plan".to_owned())
    } else if let (Some(why), true) = (&run.question, run.is_active()) {
        let text =
            format!("▲ a check could not be made: {why}. Space makes it again, a accepts it");
        (Role::Warn, text)
    } else if let (Some((host, why, until)), true) = (run.without_way(), run.is_active()) {
        let left = duration(until.duration_since(paint.now).try_into().unwrap_or_default());
        let text = format!(
            "▲ no strategy works for {host}: space tries it again, s leaves it out; without a \
             decision it fails in {left}. {why}"
        );
        (Role::Warn, text)
    } else if run.paused && run.is_active() {
        (Role::Warn, "▲ paused: no host begins anything more; space lets the run go on".to_owned())
    } else if let Some(text) = headline(run) {
        (Role::Error, text)
    } else if let (Some((_, news)), true) = (&run.news, run.is_active()) {
        (Role::Text, news.sentence(paint.now))
    } else if run.stopping && run.is_active() {
        (Role::Warn, "▲ stopping".to_owned())
    } else {
        let sums = [where_time_went(run.results()), what_tiers_brought(run.results())];
        let sums: Vec<String> = sums.into_iter().flatten().collect();
        if run.summary.is_none() || sums.is_empty() || area.height < 12 {
            return area;
        }
        (Role::Dim, sums.join(" · "))
    };
    let lines: Vec<Line<'static>> = wrap(&text, usize::from(area.width).saturating_sub(2))
        .into_iter()
        .map(|line| Line::from(vec![Span::raw(" "), paint.span(role, line)]))
        .collect();
    let rows = (lines.len() as u16).min(if area.height < 24 { 3 } else { 6 });
    put_all(buffer, top(area, rows), &lines, 0);
    below(area, rows)
}

/// Returns the first error of a run of several hosts: the others may follow from it.
fn headline(run: &RunView) -> Option<String> {
    let first = run.summary.as_ref().and_then(|summary| summary.findings.first());
    let first = first.filter(|_| run.hosts.len() > 1).or(run.halted.as_ref())?;
    Some(format!("✗ {} [{}]", first.cause, first.code))
}

/// Rows of a host that stands above others: its state, its phases in words, what it does.
#[derive(Clone, Copy)]
struct Rows {
    words: bool,
    doing: bool,
}

impl Rows {
    fn count(self) -> usize {
        1 + usize::from(self.words) + usize::from(self.doing)
    }
}

/// Draws hosts of the run below each other, then the log of the selected one.
fn stacked(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, run: &RunView, visible: &[usize]) {
    let count = visible.len().max(1);
    let indent = names_width(run, area) + 5;
    let Some(first) = run.hosts.first() else { return };
    let words = line_width(&phases(paint, first, false));
    let height = usize::from(area.height);
    let mut rows = Rows { words: indent + words <= usize::from(area.width), doing: true };
    if height < count * rows.count() + 7 || indent + 28 + words <= usize::from(area.width) {
        rows.words = false;
    }
    if height < count * rows.count() + 5 || area.width < 60 {
        rows.doing = false;
    }
    let each = rows.count();
    let shown = count.min((height.saturating_sub(4) / each).max(1));
    let at = visible.iter().position(|index| *index == paint.model.deploy.host);
    let window = Window::new(count, at.unwrap_or_default(), shown);
    let hosts = visible.iter().skip(window.from).take(window.rows);
    let hosts = hosts.filter_map(|index| Some((*index, run.hosts.get(*index)?)));
    for (row, (index, host)) in hosts.enumerate() {
        let area = top(below(area, (row * each) as u16), each as u16);
        host_rows(paint, buffer, area, run, host, index == paint.model.deploy.host, rows);
    }
    let rest = below(area, (shown * each) as u16);
    let selected = at.and_then(|_| paint.model.shown_host_run());
    if let Some(host) = selected.filter(|_| rest.height >= 2) {
        let indent = if rows.doing { indent } else { usize::from(area.width) };
        let rest = error(paint, buffer, rest, host, indent);
        log_tail::draw(paint, buffer, rest, host);
    }
}

/// Returns the columns of the hosts' names.
fn names_width(run: &RunView, area: Rect) -> usize {
    let names = run.hosts.iter().map(|host| width(&host.host)).max().unwrap_or(4);
    names.clamp(4, 16).min(usize::from(area.width) / 3)
}

/// Draws one host in one to three rows.
fn host_rows(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    run: &RunView,
    host: &HostRun,
    selected: bool,
    rows: Rows,
) {
    let names = names_width(run, area);
    let several = run.hosts.len() > 1;
    let cursor = if selected && several { " › " } else { "   " };
    let mut spans =
        vec![paint.span(Role::Accent, cursor), Span::raw(left(&host.host, names)), Span::raw("  ")];
    let room = usize::from(area.width).saturating_sub(line_width(&spans));
    spans.extend(state_and_phases(paint, run, host, room, rows.words));
    put(buffer, area, 0, &Line::from(spans));
    if selected && several {
        table::select(paint, buffer, area, 0);
    }
    let indent = Span::raw(" ".repeat(names + 5));
    let mut row = 1;
    if rows.words {
        let words = [vec![indent.clone()], phases(paint, host, false)].concat();
        put(buffer, area, row, &Line::from(words));
        row += 1;
    }
    if rows.doing {
        let room = usize::from(area.width).saturating_sub(names + 6);
        let (role, text) = match &host.result {
            Some(result) if selected && error_is_long(host, room) => (Role::Text, bytes_in(result)),
            Some(_) | None => doing(paint, host),
        };
        put(buffer, area, row, &Line::from(vec![indent, paint.span(role, cut(&text, room))]));
    }
}

/// Returns how a host stands, its phases as signs or words, and a bar, as many as fit.
fn state_and_phases(
    paint: &Paint<'_>,
    run: &RunView,
    host: &HostRun,
    room: usize,
    words_below: bool,
) -> Vec<Span<'static>> {
    let mark = host_run_mark(paint, run, host);
    let state = room.min(26);
    let mut spans = vec![paint.span(mark.role, left(&mark.text(), state)), Span::raw("  ")];
    let used = |spans: &[Span<'_>]| room.saturating_sub(line_width(spans));
    if words_below {
        spans.extend(progress(paint, host, used(&spans).saturating_sub(8).min(30)));
        return spans;
    }
    let words = phases(paint, host, false);
    if used(&spans) >= line_width(&words) {
        spans.extend(words);
        spans.push(Span::raw(" "));
    } else if used(&spans) >= 14 {
        spans.extend(phases(paint, host, true));
        spans.push(Span::raw("  "));
    } else if let Some(share) = host.share() {
        let text = format!("{} {}", mark.text(), crate::fleet::percent(share));
        return vec![paint.span(mark.role, cut(&text, room))];
    }
    if used(&spans) >= 12 {
        spans.extend(progress(paint, host, (used(&spans) - 8).min(14)));
    } else if let Some(share) = host.share().filter(|_| used(&spans) >= 5) {
        spans.push(Span::raw(crate::fleet::percent(share)));
    }
    spans
}

/// Returns whether a host's error needs more than one line of that many columns.
fn error_is_long(host: &HostRun, room: usize) -> bool {
    let error = host.result.as_ref().and_then(HostResult::told);
    error.is_some_and(|error| width(&error) > room)
}

/// Draws the whole error of a host above its log, unless it fitted into the host's own row after
/// `indent`; returns what is left of the area.
fn error(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    host: &HostRun,
    indent: usize,
) -> Rect {
    let room = usize::from(area.width).saturating_sub(2);
    let Some(text) = host.result.as_ref().and_then(HostResult::told) else {
        return area;
    };
    if !error_is_long(host, usize::from(area.width).saturating_sub(indent + 1)) {
        return area;
    }
    let (role, _) = doing(paint, host);
    let mut lines = wrap(&text, room);
    lines.truncate(usize::from(area.height / 2).max(1));
    for (row, line) in lines.iter().enumerate() {
        let line = Line::from(vec![Span::raw(" "), paint.span(role, line.clone())]);
        put(buffer, area, row as u16, &line);
    }
    below(area, lines.len() as u16)
}

/// Draws hosts of the run side by side.
fn beside(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, run: &RunView, visible: &[usize]) {
    let hosts = visible.iter().filter_map(|index| Some((*index, run.hosts.get(*index)?)));
    let count = visible.len() as u16;
    let each = area.width / count;
    let columns = each.saturating_sub(1);
    for (place, (index, host)) in (0..).zip(hosts) {
        let head = panel_head(paint, host, columns);
        let x = area.x + each * place;
        let last = place + 1 == count;
        let wide = if last { area.right() - x } else { each };
        let panel_area = Rect { x, width: wide.saturating_sub(u16::from(!last)), ..area };
        let selected = index == paint.model.deploy.host;
        panel_title(paint, buffer, panel_area, run, host, selected);
        put_all(buffer, below(panel_area, 1), &head, 0);
        log_tail::draw(paint, buffer, below(panel_area, head.len() as u16 + 1), host);
        if !last {
            let bar = Line::styled("│", paint.style(Role::Border));
            for row in 0..area.height {
                let cell = Rect { x: x + wide - 1, width: 1, ..area };
                put(buffer, cell, row, &bar);
            }
        }
    }
}

/// Draws one host over the whole area, with its phases and its log.
fn alone(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, run: &RunView, host: &HostRun) {
    panel_title(paint, buffer, area, run, host, true);
    let head = panel_head(paint, host, area.width);
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
    let title = vec![
        paint.span(Role::Accent, cursor),
        paint.span(if selected { Role::Title } else { Role::Text }, host.host.clone()),
        Span::raw("  "),
        paint.span(mark.role, mark.text()),
    ];
    put(buffer, area, 0, &Line::from(title));
}

/// Rows of what a host does, below its bar.
const DOING: usize = 2;

/// Returns a host's phases, its bar and what it does, for a panel of that many columns.
///
/// The number of lines stays the same while the host is at work, so that its log does not jump.
fn panel_head(paint: &Paint<'_>, host: &HostRun, columns: u16) -> Vec<Line<'static>> {
    let room = usize::from(columns).saturating_sub(4);
    let indent = || vec![Span::raw("   ")];
    let mut lines: Vec<Line<'static>> = Vec::new();
    let mut line = indent();
    for phase in phases(paint, host, false) {
        if line_width(&line) + line_width(std::slice::from_ref(&phase)) > room + 4 {
            lines.push(Line::from(std::mem::replace(&mut line, indent())));
        }
        line.push(phase);
    }
    lines.push(Line::from(line));
    let rows = lines.len() + 1 + DOING;
    if host.result.is_none() {
        let bar = progress(paint, host, room.saturating_sub(10).min(40));
        lines.push(Line::from([indent(), bar].concat()));
    }
    let (role, text) = doing(paint, host);
    for line in wrap(&text, room).into_iter().take(if host.result.is_some() { 6 } else { DOING }) {
        lines.push(Line::from([indent(), vec![paint.span(role, line)]].concat()));
    }
    lines.resize(lines.len().max(rows), Line::default());
    lines
}
