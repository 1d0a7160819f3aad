//! The newest lines of a host's log, below other things.
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
use crate::dash::words::short_paths;
use crate::dash::words::tiers::tier_names;
use crate::dash::world::HostRun;
use crate::fleet::LogLine;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// From this width on a line begins with the time of day.
const WITH_TIME: u16 = 60;

/// Columns of a time of day.
const CLOCK: usize = 8;

/// Narrower than this, the lines show store paths by their names alone.
const WITH_HASHES: u16 = 100;

/// Draws the newest lines of a host's log below a rule.
pub(in crate::dash) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, host: &HostRun) {
    if area.height < 2 {
        return;
    }
    paint.rule(buffer, area, &format!("{} ─ log", host.host), "");
    let area = below(area, 1);
    let newest: Vec<_> = host.log.before(u64::MAX).take(usize::from(area.height)).collect();
    for (row, (_, line)) in newest.into_iter().rev().enumerate() {
        put(buffer, area, row as u16, &drawn(paint, line, area.width));
    }
}

/// Returns a line as it is drawn.
fn drawn(paint: &Paint<'_>, line: &LogLine, columns: u16) -> Line<'static> {
    let names = PhaseNames::on(columns);
    let phase = left(line.phase.map_or("", |phase| names.of(phase)), names.columns());
    let prefix = if columns >= WITH_TIME {
        let at = line.at.map(|at| paint.clock(at, true)).unwrap_or_default();
        format!(" {}  {phase}  ", left(&at, CLOCK))
    } else {
        format!(" {phase} ")
    };
    let room = usize::from(columns).saturating_sub(width(&prefix)).max(8);
    let text = if columns < WITH_HASHES || width(&line.text) > room {
        tier_names(&paint.model.world.fleet, &short_paths(&line.text))
    } else {
        line.text.clone()
    };
    Line::from(vec![paint.span(Role::Dim, prefix), Span::raw(cut(&text, room))])
}
