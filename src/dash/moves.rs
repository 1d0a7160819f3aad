//! Where a selection goes when a key moves it.

use crate::dash::command::Command;
use crate::dash::model::Model;

/// Selects another row of those that the view's filter lets through.
pub(super) fn move_selection(model: &mut Model, command: Command, page: u16) {
    let rows = model.rows();
    let at = rows.iter().position(|row| *row == model.selected_row());
    let to = at.map_or(0, |at| moved(at, rows.len(), command, page));
    if let Some(row) = rows.get(to) {
        model.select_row(*row);
    }
}

/// Returns where a selection goes in a list of that length.
pub(super) fn moved(at: usize, len: usize, command: Command, page: u16) -> usize {
    let page = usize::from(page.max(1));
    let to = match command {
        Command::Up => at.saturating_sub(1),
        Command::PageUp => at.saturating_sub(page),
        Command::PageDown => at + page,
        Command::Top => 0,
        Command::Bottom => len,
        _ => at + 1,
    };
    to.min(len.saturating_sub(1))
}
