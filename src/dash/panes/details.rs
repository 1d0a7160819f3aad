//! Details of what is selected, opened over the whole view: they scroll, and the next ones are a key away.

use crate::dash::command::Command;
use crate::dash::layout::page;
use crate::dash::look::Look;
use crate::dash::model::Model;
use crate::dash::moves::moved;
use crate::dash::widgets::paint::{Paint, below};
use jiff::Timestamp;
use ratatui::layout::Rect;

/// Scrolls the details, to where their last line is seen at most; `rows` says how many rows they take in
/// so many columns.
pub(super) fn scroll(
    model: &mut Model,
    command: Command,
    body: Rect,
    rows: fn(&Paint<'_>, u16) -> u16,
    now: Timestamp,
) {
    let look = Look::plain();
    let area = below(body, 1);
    let rows = rows(&Paint { model, look: &look, now }, area.width);
    let end = usize::from(rows.saturating_sub(area.height));
    let at = usize::from(model.details_scroll).min(end);
    let to = moved(at, end + 1, command, page(body));
    model.details_scroll = to.min(usize::from(u16::MAX)) as u16;
}

/// Returns the next or the previous of so many, around the end.
pub(super) fn turned(at: usize, count: usize, forward: bool) -> usize {
    let count = count.max(1);
    (at + if forward { 1 } else { count - 1 }) % count
}
