//! The panes: a folder for each view, with its state, what changes it, and what draws it.
//!
//! `host` and `cache` are the details of one host and of one tier, in the views of all of them. No
//! pane uses another one, except that a view shows the details of what is selected in it.

mod cache;
mod caches;
pub(super) mod deploy;
mod fleet;
mod history;
mod host;
mod log_tail;
pub(super) mod logs;

use crate::dash::model::Screen;
use crate::dash::widgets::paint::Paint;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Draws the view that is shown.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    match paint.model.screen {
        Screen::Fleet => fleet::draw(paint, buffer, area),
        Screen::Caches => caches::draw(paint, buffer, area),
        Screen::Deploy => deploy::draw(paint, buffer, area),
        Screen::Logs => logs::draw(paint, buffer, area),
        Screen::History => history::draw(paint, buffer, area),
    }
}

/// Returns the rows that the details of what is selected take, in that many columns.
pub(super) fn details_rows(paint: &Paint<'_>, columns: u16) -> u16 {
    match paint.model.screen {
        Screen::Fleet => host::rows(paint, columns),
        Screen::Caches => cache::rows(paint, columns),
        Screen::Deploy | Screen::Logs | Screen::History => 0,
    }
}
