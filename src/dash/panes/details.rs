//! Details of what is selected, opened over the whole view: they scroll, and the next ones are a key away.

use crate::dash::command::Command;
use crate::dash::layout::page;
use crate::dash::look::Look;
use crate::dash::model::Model;
use crate::dash::moves::{move_selection, moved};
use crate::dash::panes::shows_details;
use crate::dash::widgets::paint::{Paint, below};
use jiff::Timestamp;
use ratatui::layout::Rect;

/// Selects another row, or scrolls the details where they have the whole body.
pub(super) fn go(
    model: &mut Model,
    command: Command,
    body: Rect,
    rows: fn(&Paint<'_>, u16) -> u16,
    now: Timestamp,
) {
    if shows_details(model) {
        scroll(model, command, body, rows, now);
    } else {
        move_selection(model, command, page(body));
    }
}

/// Scrolls the details, to where their last line is seen at most; `rows` says how many rows they take in
/// so many columns.
fn scroll(
    model: &mut Model,
    command: Command,
    body: Rect,
    rows: fn(&Paint<'_>, u16) -> u16,
    now: Timestamp,
) {
    let look = Look::plain();
    let area = below(body, 1);
    let rows = rows(&Paint::new(model, &look, now), area.width);
    let end = usize::from(rows.saturating_sub(area.height));
    let at = usize::from(model.details_scroll).min(end);
    let to = moved(at, end + 1, command, page(body));
    model.details_scroll = to.min(usize::from(u16::MAX)) as u16;
}

/// Opens the details of the row below or above, around the end.
pub(super) fn turn(model: &mut Model, forward: bool) {
    let mut rows = model.rows();
    rows.retain(|row| model.group_at(*row).is_none());
    if let Some(at) = rows.iter().position(|row| *row == model.selected_row()) {
        let by = if forward { 1 } else { rows.len() - 1 };
        model.select_row(rows[(at + by) % rows.len()]);
    }
    model.details_scroll = 0;
}
