//! A run: its hosts with their phases, and the log of the selected one.
//!
//! ```text
//!  run #41  switch via-cache  3f2c1ab   1 switched · 1 running · 1 waiting         00:48
//!  › razer    ● switched in 31 s      pre ✓ eval ✓ cmp ✓ build ✓ publish ✓ verify ✓ …
//!             0 built, 38 from p620 (212 MB), 3 from nixos.org (2.00 MB)
//!    samsung  ◐ fetch  00:09          pre ✓ eval ✓ … fetch ◐   ▕██████▌   ▏ 61 %
//!             131 MB of 214 MB · 23.4 MB/s · 4 s left · linux-6.12.58 from p620
//!  samsung ─ log ────────────────────────────────────────────────────────────────────
//!  12:04:22  fetch    copying path '/nix/store/8f…-linux-6.12.58' from 'http://p620:5000'
//! ```
//!
//! Where there is room for all of them, the hosts stand side by side, each with its own log.

use crate::dash::panes::deploy::{beside, stacked};
use crate::dash::theme::Role;
use crate::dash::widgets::filtered;
use crate::dash::widgets::graph::spinner;
use crate::dash::widgets::paint::{Paint, below, put_all, put_spread, put_wrapped, top};
use crate::dash::widgets::text::{line_width, width, wrap, wrap_to};
use crate::dash::words::runs::{clock, no_run_yet, revision_words, run_name};
use crate::dash::words::{some_of, summary_mark};
use crate::dash::world::{HostRun, RunView, SIDE_BY_SIDE, Starting, age};
use crate::fleet::words::runs::{what_tiers_brought, where_time_went};
use crate::fleet::words::time_left;
use crate::fleet::{Finding, Outcome, RolloutNews, duration, ended_by_order, first_fault};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use std::time::Duration;

/// How long what somebody said to a run, or what was decided, is told.
const MOMENT: Duration = Duration::from_secs(10);

/// Columns that a host needs to stand beside others.
const BESIDE: u16 = 48;

/// Draws the run.
pub(in crate::dash) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    if let Some(starting) = &paint.model.world.starting {
        starts(paint, buffer, area, starting);
        return;
    }
    let Some(run) = paint.model.shown_run() else {
        put_wrapped(paint, buffer, area, Role::Dim, &no_run_yet(paint));
        return;
    };
    head(paint, buffer, top(area, 1), run);
    let mut area = below(area, 1);
    area = note(paint, buffer, area, run);
    if paint.model.zoom {
        if let Some(host) = run.hosts.get(paint.model.deploy.host) {
            beside::alone(paint, buffer, area, run, host);
        }
        return;
    }
    let area = filtered::note(paint, buffer, area, ("host", "hosts"));
    let visible = paint.model.visible_host_runs().into_iter();
    let hosts: Vec<(usize, &HostRun)> =
        visible.filter_map(|index| Some((index, run.hosts.get(index)?))).collect();
    if stand_beside(hosts.len(), area) {
        beside::draw(paint, buffer, area, run, &hosts);
    } else {
        stacked::draw(paint, buffer, area, run, &hosts);
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
    let hosts = some_of(&starting.hosts);
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
        let text = format!(" {} goes back to the fleet", paint.model.keymap.press("back"));
        lines.push(Line::from(paint.span(Role::Dim, text)));
    }
    put_all(buffer, area, &lines, 0);
}

/// Draws what is deployed, how many hosts are how far, and the time.
fn head(paint: &Paint<'_>, buffer: &mut Buffer, row: Rect, run: &RunView) {
    let mut left = vec![
        Span::raw(" "),
        paint.span(Role::Title, run_name(paint, run)),
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
        counts = vec![counts_in_short(paint, run, usize::from(row.width), line_width(&left)), time];
    }
    if line_width(&left) + line_width(&counts) >= usize::from(row.width) {
        // Which run it is matters more than what it does.
        left.truncate(2);
    }
    put_spread(buffer, row, left, counts);
}

/// Returns how many hosts stand how, in words; what went wrong stands out.
fn counts(paint: &Paint<'_>, run: &RunView) -> Vec<Span<'static>> {
    if let Some(summary) = &run.summary {
        return vec![paint.span(summary_mark(summary).1, summary.words())];
    }
    if run.gone.is_some() {
        return vec![paint.span(Role::Warn, "nobody watches it")];
    }
    let mut spans = Vec::new();
    for (outcome, words) in run.counts().parts() {
        if !spans.is_empty() {
            spans.push(Span::raw(" · "));
        }
        let is_trouble = outcome.is_some_and(Outcome::is_trouble);
        spans.push(paint.span(if is_trouble { Role::Error } else { Role::Text }, words));
    }
    spans
}

/// Returns the same where that has no room beside so many columns of the row: `✗ 2 of 4 went wrong`, or in fewer
/// words, or else `2✗ 1○ 1/4`.
fn counts_in_short(paint: &Paint<'_>, run: &RunView, row: usize, used: usize) -> Span<'static> {
    let counts = run.counts();
    let (wrong, all) = (counts.wrong(), counts.all());
    let role = if wrong > 0 { Role::Error } else { Role::Text };
    let brief = Some(counts.brief()).filter(|brief| used + width(brief) + 12 < row);
    let short = brief.unwrap_or_else(|| counts.signs());
    let Some(summary) = &run.summary else { return paint.span(role, short) };
    let (sign, role) = summary_mark(summary);
    let long = format!("{sign} {wrong} of {all} went wrong");
    let fits = used + width(&long) + 12 < row;
    paint.span(role, if fits && wrong > 0 { long } else { short })
}

/// Draws what the whole run waits for, why it is gone, or what it came to; returns what is left of the area.
fn note(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, run: &RunView) -> Rect {
    let columns = usize::from(area.width).saturating_sub(2).max(8);
    let wrapped = |(role, text): (Role, String)| {
        let lines = wrap_to(&text, columns, usize::from(area.height / 3).max(1));
        lines.into_iter().map(move |line| Line::from(vec![Span::raw(" "), paint.span(role, line)]))
    };
    let stands = stands(paint, run);
    // Below what is wrong there is room for them on a larger screen only.
    let least = if stands.is_some() { 18 } else { 12 };
    let sums = (area.height >= least).then(|| sums(run)).flatten().map(|sums| (Role::Dim, sums));
    let lines: Vec<Line<'static>> =
        [stands, sums].into_iter().flatten().flat_map(wrapped).collect();
    put_all(buffer, area, &lines, 0);
    below(area, lines.len() as u16)
}

/// Returns what the whole run waits for, why it is gone, what went wrong first, or what happened last.
fn stands(paint: &Paint<'_>, run: &RunView) -> Option<(Role, String)> {
    let press = |name: &str| paint.model.keymap.press(name);
    if run.can_go_on {
        let key = press("reattach");
        let text = format!(
            "▲ nobody watches this run: its process ended before the run did. Press {key} to go on with it"
        );
        return Some((Role::Warn, text));
    }
    if let Some(why) = &run.gone {
        return Some((Role::Error, format!("▲ nobody watches this run: {why}")));
    }
    if !run.is_active() {
        return headline(run);
    }
    let text = if run.stopping {
        match &run.news {
            Some((_, news @ RolloutNews::Cancelled { .. })) => {
                format!("▲ {}", news.sentence(paint.now))
            }
            Some(_) | None => "▲ stopping".to_owned(),
        }
    } else if run.waits {
        let left = run.answer_until.map(|until| until.duration_since(paint.now));
        let left = left.and_then(|left| Duration::try_from(left).ok()).map(duration);
        let left = left.map(|left| format!("; in {left} it counts as no")).unwrap_or_default();
        format!("▲ waiting for your answer: {} shows the plan{left}", press("plan"))
    } else if let Some(open) = &run.question {
        let (pause, accept) = (press("pause-run"), press("accept-check"));
        let why = &open.why;
        format!("▲ a check could not be made: {pause} makes it again, {accept} accepts it. {why}")
    } else if let Some((host, why, until)) = run.without_way() {
        let ends = until.map(|until| {
            format!("; without a decision it fails in {}", time_left(until, paint.now))
        });
        let ends = ends.unwrap_or_default();
        let (again, skip) = (press("pause-run"), press("skip-host"));
        format!(
            "▲ no strategy works for {host}: {again} tries it again, {skip} leaves it out{ends}. {why}"
        )
    } else if run.paused {
        let key = press("pause-run");
        format!("▲ paused: no host begins anything more; {key} lets the run go on")
    } else {
        let is_fresh = |at: &Timestamp| age(paint.now, *at) < MOMENT;
        let said = run.said.as_ref().filter(|(at, _)| is_fresh(at));
        return headline(run).or_else(|| {
            let (_, news) = said.or(run.news.as_ref())?;
            Some((Role::Text, news.sentence(paint.now)))
        });
    };
    Some((Role::Warn, text))
}

/// Returns where the time of a run that has ended went, and what each tier brought.
fn sums(run: &RunView) -> Option<String> {
    run.summary.as_ref()?;
    let sums = [where_time_went(run.results()), what_tiers_brought(run.results())];
    let sums: Vec<String> = sums.into_iter().flatten().collect();
    (!sums.is_empty()).then(|| sums.join(" · "))
}

/// Returns whose error was the first where several hosts went wrong, since the others may follow from it, or
/// why no other host begins. That of a host stands with it.
fn headline(run: &RunView) -> Option<(Role, String)> {
    let whole = |finding: &Finding| format!("✗ {} [{}]", finding.cause, finding.code);
    if let Some(halted) = &run.halted {
        let order = ended_by_order(std::slice::from_ref(halted));
        return Some(match order {
            Some(order) => (Role::Warn, format!("▲ {order}")),
            None => (Role::Error, whole(halted)),
        });
    }
    let findings = &run.summary.as_ref().filter(|summary| summary.counts().wrong() > 1)?.findings;
    if let Some(order) = ended_by_order(findings) {
        return Some((Role::Warn, format!("▲ {order}")));
    }
    let first = first_fault(findings)?;
    let text = match first.subject.host_name().filter(|host| run.host(host).is_some()) {
        Some(host) => format!("✗ {host} went wrong first [{}]", first.code),
        None => whole(first),
    };
    Some((Role::Error, text))
}
