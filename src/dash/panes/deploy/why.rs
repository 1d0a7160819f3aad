//! Why the selected host did not get its system, what to do about it, and the keys that do it; or what it waits
//! for.
//!
//! ```text
//!  ✗ could not be built on p620: src/part77.c:118:17: error: implicit declaration of
//!    function 'fleet_open' (builder for 'fleet-tools-1.4.3.drv' failed with exit code 1) [build-failed]
//!    to do: read the log of the derivation that the cause names
//!    enter log at the error   t try again   d deploy again   y copy the error
//! ```

use crate::dash::command::{Command, Context};
use crate::dash::model::{Model, Screen};
use crate::dash::panes;
use crate::dash::theme::Role;
use crate::dash::widgets::paint::{Paint, below, put_all};
use crate::dash::widgets::text::{wrap, wrap_to};
use crate::dash::words::reasons::{ToldReason, reason};
use crate::dash::words::runs::{doing, host_run_mark};
use crate::dash::words::ways::{self, NextStep};
use crate::dash::world::{HostRun, RunView};
use crate::fleet::is_same_revision;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// What a person does next about a host that failed, what they reach for first at the left.
const WAYS: [NextStep; 7] = [
    (Command::Open, "log at the error"),
    (Command::Units, "units and their journals"),
    (Command::Retry, "try again"),
    (Command::Deploy, "deploy again"),
    (Command::TryHost, "try this host again"),
    (Command::Generations, "roll back"),
    (Command::CopyReason, "copy the error"),
];

/// The same where the flake has changed since the run: to try again would bring the old system.
const WAYS_TO_THE_FLAKE: [NextStep; 7] = [
    WAYS[0],
    WAYS[1],
    (Command::Deploy, "deploy the changed flake"),
    (Command::Retry, "try the old system again"),
    WAYS[4],
    WAYS[5],
    WAYS[6],
];

/// Returns the ways that a person has about the selected host.
fn ways_of(model: &Model) -> &'static [NextStep] {
    let deployed = model.shown_run().and_then(|run| run.plan.as_ref()?.revision.as_deref());
    let is = model.world.revision.as_deref();
    let has_changed =
        deployed.zip(is).is_some_and(|(deployed, is)| !is_same_revision(deployed, is));
    if has_changed { &WAYS_TO_THE_FLAKE } else { &WAYS }
}

/// Returns why a host ended otherwise than asked for; none where it did not.
pub(super) fn of(host: &HostRun, columns: usize) -> Option<ToldReason> {
    reason(&host.host, host.result.as_ref()?, columns)
}

/// Returns the columns that a reason has in an area of its own.
pub(super) fn columns(area: Rect) -> usize {
    usize::from(area.width).saturating_sub(4).max(8)
}

/// Returns how many rows it takes in an area to say what to do about a host.
pub(super) fn to_do_rows(paint: &Paint<'_>, host: &HostRun, area: Rect) -> usize {
    of(host, columns(area)).map_or(0, |told| {
        let (sentence, keys) = to_do(paint, &told, columns(area));
        sentence.len() + keys.len()
    })
}

/// Returns what there is to do about the selected host, in that many columns: the sentence, and the keys.
fn to_do(
    paint: &Paint<'_>,
    told: &ToldReason,
    columns: usize,
) -> (Vec<Line<'static>>, Vec<Line<'static>>) {
    let sentence = told.fix.iter().flat_map(|fix| wrap(&format!("to do: {fix}"), columns));
    let sentence = sentence.map(|line| Line::from(paint.span(Role::Text, line))).collect();
    // One that was left out has no error, in its log or elsewhere.
    let has_error = told.role != Role::Text;
    let is_open = |command| match command {
        Command::Open | Command::CopyReason => has_error && panes::can(paint.model, command),
        _ => panes::can(paint.model, command),
    };
    let all = ways_of(paint.model);
    (sentence, ways::lines(paint, Context::View(Screen::Deploy), all, is_open, columns))
}

/// Draws why the selected host failed, unless `is_told` says that this stands elsewhere already, and what
/// to do; returns what is left of the area.
///
/// The error comes first, then the keys; what to do in a sentence only where all of it has room.
pub(super) fn draw(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    host: &HostRun,
    is_told: bool,
) -> Rect {
    let (columns, rows) = (columns(area), usize::from(area.height));
    let Some(told) = of(host, columns) else { return area };
    let mut lines = Vec::new();
    if !is_told {
        let text = wrap_to(&told.text(), columns, rows);
        lines.extend(text.into_iter().map(|line| Line::from(paint.span(told.role, line))));
    }
    let has_error = !lines.is_empty();
    let (sentence, keys) = to_do(paint, &told, columns);
    if lines.len() + sentence.len() + keys.len() <= rows {
        lines.extend(sentence);
    }
    if lines.len() + keys.len() <= rows {
        lines.extend(keys);
    }
    let sign = match told.role {
        Role::Error => '✗',
        Role::Warn => '▲',
        _ => '○',
    };
    for (row, line) in lines.iter_mut().enumerate() {
        let margin = if row == 0 && has_error { format!(" {sign} ") } else { "   ".to_owned() };
        line.spans.insert(0, paint.span(told.role, margin));
    }
    put_all(buffer, area, &lines, 0);
    below(area, lines.len() as u16)
}

/// Returns what a host waits for, in a sentence; none where it waits for nothing.
pub(super) fn waited_for(
    paint: &Paint<'_>,
    run: &RunView,
    host: &HostRun,
) -> Option<(Role, String)> {
    let waits = run.is_active() && host.result.is_none() && host.waiting.is_some();
    waits.then(|| doing(paint, run, host))
}

/// Draws what a host waits for; returns what is left of the area.
pub(super) fn draw_wait(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    run: &RunView,
    host: &HostRun,
) -> Rect {
    let Some((role, text)) = waited_for(paint, run, host) else { return area };
    let sign = host_run_mark(paint, run, host).sign;
    let lines = wrap_to(&text, columns(area), usize::from(area.height)).into_iter().enumerate();
    let lines: Vec<Line<'static>> = lines
        .map(|(row, line)| {
            let margin = if row == 0 { format!(" {sign} ") } else { "   ".to_owned() };
            Line::from(vec![paint.span(role, margin), paint.span(role, line)])
        })
        .collect();
    put_all(buffer, area, &lines, 0);
    below(area, lines.len() as u16)
}

/// Returns the lines of a host in a panel of its own: why it failed, and for the selected one what to do;
/// at most so many.
pub(super) fn panel(
    paint: &Paint<'_>,
    told: &ToldReason,
    selected: bool,
    columns: usize,
    rows: usize,
) -> Vec<Line<'static>> {
    let (sentence, keys) = if selected { to_do(paint, told, columns) } else { Default::default() };
    let text = wrap_to(&told.text(), columns, rows);
    let text = text.into_iter().map(|line| Line::from(paint.span(told.role, line)));
    let mut lines: Vec<Line<'static>> = text.collect();
    for more in [sentence, keys] {
        if lines.len() + more.len() <= rows {
            lines.extend(more);
        }
    }
    for line in &mut lines {
        line.spans.insert(0, Span::raw("   "));
    }
    lines
}
