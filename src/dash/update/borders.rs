//! Moves the border between a list and what stands below it, by keys and with the mouse.
//!
//! Where it is, the view says itself ([`places`]), so a border is moved from where it was drawn.

use crate::dash::model::Model;
use crate::dash::split::BorderRows;
use crate::dash::view::places;
use jiff::Timestamp;

/// Into how many steps the rows of both parts are divided for keys.
const STEPS: u16 = 10;

/// Moves the border by one step down, so that the list has more rows, or up.
pub(super) fn step(model: &mut Model, is_down: bool, now: Timestamp) {
    let found = places(model, now).border();
    let (Some((row, rows)), Some(split)) = (found, model.split_mut()) else {
        model.say("there is no border to move: one part fills the screen", false, now);
        return;
    };
    let (above, by) = (row.saturating_sub(rows.top), (rows.height / STEPS).max(1));
    let to = if is_down { above + by } else { above.saturating_sub(by) };
    split.put(to, rows.height);
}

/// Drags the border that was taken to a row.
pub(super) fn drag(model: &mut Model, row: u16) {
    if let (Some(BorderRows { top, height }), Some(split)) = (model.dragged, model.split_mut()) {
        split.put(row.saturating_sub(top), height);
        model.dirty = true;
    }
}

/// Has the border stand where it fits again.
pub(super) fn let_fit(model: &mut Model) {
    if let Some(split) = model.split_mut() {
        split.let_fit();
    }
}
