//! The newest lines of a host's log, below other things; of a host that failed, those around the line that
//! says why.
//!
//! ```text
//!  samsung ─ log ────────────────────────────────────────────────────────────────
//!  12:04:19  build    firefox> CC gfx/skia/SkFont.cpp
//!  12:04:22  fetch    copying path 'linux-6.12.58' from 'p620'
//! ```

use crate::dash::theme::Role;
use crate::dash::widgets::paint::{Paint, below, put};
use crate::dash::widgets::text::{cut, left, width};
use crate::dash::words::runs::PhaseNames;
use crate::dash::words::tiers::tier_names;
use crate::dash::words::{hides_hashes, short_paths};
use crate::dash::world::HostRun;
use crate::fleet::{HostResult, LogLine, Phase};
use crate::record::{LineLevel, output_of};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// From this width on a line begins with the time of day.
const WITH_TIME: u16 = 60;

/// Columns of a time of day.
const CLOCK: usize = 8;

/// The least letters by which a line is known again in the reason of a failure.
const KNOWN_AGAIN: usize = 8;

/// Draws the newest lines of a host's log below a rule, or those around the line that says why it failed.
pub(in crate::dash) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, host: &HostRun) {
    if area.height < 2 {
        return;
    }
    let rows = u64::from(area.height - 1);
    let at_error = line_of_failure(host);
    let newest = host.log.end().saturating_sub(rows);
    let from = at_error.map_or(newest, |at| at.saturating_sub(rows / 3).min(newest));
    let more = host.log.end().saturating_sub(from.max(host.log.first()) + rows);
    let note = if more > 0 { format!("▼ {more} more") } else { String::new() };
    paint.rule(buffer, area, &format!("{} ─ log", host.host), &note);
    let area = below(area, 1);
    for ((number, line), row) in host.log.from(from).zip(0..area.height) {
        put(buffer, area, row, &drawn(paint, line, area.width, at_error == Some(number)));
    }
}

/// Returns the number of the line that says why a host failed, of those that are kept: the one that stands
/// in the reason; else, of the phase that failed, the first that tells of an error from the activation on,
/// and the last before: what is built says much that sounds like one.
fn line_of_failure(host: &HostRun) -> Option<u64> {
    let result = host.result.as_ref().filter(|result| !result.outcome.is_good())?;
    let phase = host.failed_in()?;
    let lines = || host.log.from(0).filter(|(_, line)| line.phase == Some(phase));
    let mut known: Option<(u64, &str)> = None;
    for (number, line) in lines() {
        let said = said(line);
        let is_longer = said.len() > known.map_or(KNOWN_AGAIN, |(_, known)| known.len());
        if is_longer && reasons(result).any(|reason| reason.contains(said)) {
            known = Some((number, said));
        }
    }
    let errors =
        || lines().filter(|(_, line)| LineLevel::of(line.phase, &line.text) == LineLevel::Error);
    let error = if phase >= Phase::Activate { errors().next() } else { errors().last() };
    known.map(|(number, _)| number).or(error.map(|(number, _)| number))
}

/// Returns what a line says, without the name of the package whose output it is.
fn said(line: &LogLine) -> &str {
    output_of(&line.text).map_or(line.text.as_str(), |(_, said)| said).trim()
}

/// Returns why a host failed, in whole sentences.
fn reasons(result: &HostResult) -> impl Iterator<Item = &str> {
    let causes = result.findings.iter().map(|finding| finding.cause.as_str());
    causes.chain(result.error.as_deref())
}

/// Returns a line as it is drawn, the one that says why the host failed as an error.
fn drawn(paint: &Paint<'_>, line: &LogLine, columns: u16, is_failure: bool) -> Line<'static> {
    let names = PhaseNames::on(columns);
    let phase = left(line.phase.map_or("", |phase| names.of(phase)), names.columns());
    let prefix = if columns >= WITH_TIME {
        let at = line.at.map(|at| paint.clock(at, true)).unwrap_or_default();
        format!(" {}  {phase}  ", left(&at, CLOCK))
    } else {
        format!(" {phase} ")
    };
    let room = usize::from(columns).saturating_sub(width(&prefix)).max(8);
    let text = if hides_hashes(&line.text, columns, room) {
        tier_names(&paint.model.world.fleet, &short_paths(&line.text))
    } else {
        line.text.clone()
    };
    let text = cut(&text, room);
    let text = if is_failure { paint.span(Role::Error, text) } else { Span::raw(text) };
    Line::from(vec![paint.span(Role::Dim, prefix), text])
}
