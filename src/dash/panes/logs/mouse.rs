//! What the mouse does in the logs: a click selects a row, the wheel moves what is in sight.

use crate::dash::command::Command;
use crate::dash::model::Model;
use crate::dash::panes::logs::asked::ComparedBuild;
use crate::dash::panes::logs::draw::sight;
use crate::dash::panes::logs::layout::Sight;
use crate::dash::panes::logs::state::{LogFace, LogPane, PanePlace};
use crate::dash::panes::logs::update::go;
use ratatui::layout::Rect;

/// Rows by which the wheel moves lines.
const STEP: u64 = 3;

/// Selects a row where `from` is the first one in sight, which it stays.
pub(in crate::dash) fn select(model: &mut Model, index: u64, from: u64) {
    let row = usize::try_from(index).unwrap_or(usize::MAX);
    model.list_from = usize::try_from(from).unwrap_or(usize::MAX);
    let pane = &mut model.log;
    match pane.face {
        LogFace::Log => {
            pane.search = None;
            pane.place = PanePlace::At { top: from, cursor: index };
        }
        LogFace::Builds => {
            let builds = pane.activity.iter().flat_map(|(_, _, shown)| &shown.builds);
            let drv = builds.map(|row| row.drv.clone()).nth(row);
            pane.build = drv.or_else(|| pane.build.take());
        }
        LogFace::Transfers => {
            let count = pane.activity.as_ref().map_or(0, |(_, _, shown)| shown.transfers.len());
            pane.transfer = row.min(count.saturating_sub(1));
        }
        LogFace::Compared => {
            if let Some(compared) = &mut pane.compared
                && let Some(ComparedBuild::Found(found)) = &compared.found
            {
                compared.row = row.min(found.rows.len().saturating_sub(1));
            }
        }
    }
}

/// Moves lines up or down below the wheel; what Nix builds and copies is selected row by row.
pub(in crate::dash) fn wheel(model: &mut Model, is_up: bool, body: Rect) {
    let sight = sight(model, body);
    if model.log.face == LogFace::Log {
        turn(&mut model.log, is_up, sight);
    } else {
        go(model, if is_up { Command::Up } else { Command::Down }, sight);
    }
}

/// Moves what is in sight; the cursor stays at its line as long as that is seen. Below the last row the
/// pane follows again.
fn turn(pane: &mut LogPane, is_up: bool, sight: Sight) {
    let Some(last) = pane.rows().checked_sub(1) else { return };
    let (top, cursor) = match pane.place {
        PanePlace::Follow if !is_up => return,
        PanePlace::Follow => (sight.tail(pane), last),
        PanePlace::At { cursor, .. } => (sight.place(pane).0, cursor.min(last)),
        PanePlace::Seek(_) => return,
    };
    let tail = sight.tail(pane);
    let top = if is_up { top.saturating_sub(STEP) } else { top + STEP };
    pane.search = None;
    if top >= tail && !is_up && pane.anchor.is_none() {
        pane.place = PanePlace::Follow;
        return;
    }
    let top = top.min(tail);
    let mut cursor = cursor.max(top).min(top + u64::from(sight.height.max(1)) - 1).min(last);
    while cursor > top && sight.with_cursor(pane, top, cursor) > top {
        cursor -= 1;
    }
    pane.place = PanePlace::At { top, cursor };
}
