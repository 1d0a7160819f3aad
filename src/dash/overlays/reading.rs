//! What is only read: it scrolls and closes.

use crate::dash::command::Command;
use crate::dash::generations::DiffPane;
use crate::dash::layout::{layout, page};
use crate::dash::look::Look;
use crate::dash::model::Model;
use crate::dash::overlay::{Overlay, StartForm};
use crate::dash::overlays;
use crate::dash::widgets::paint::Paint;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Scrolls or closes what is only read.
pub(super) fn update(model: &mut Model, command: Command, now: Timestamp) {
    if command == Command::Close {
        model.close();
        return;
    }
    let (page, end) = (page(layout(model).body), scroll_end(model, now));
    let Some(
        Overlay::Help { scroll }
        | Overlay::FirstSteps { scroll }
        | Overlay::Plan { scroll, .. }
        | Overlay::Commands { scroll, .. }
        | Overlay::Start(StartForm { scroll, .. })
        | Overlay::Difference(DiffPane { scroll, .. }),
    ) = model.overlay_mut()
    else {
        return;
    };
    // The screen may have grown since.
    let at = (*scroll).min(end);
    let to = match command {
        Command::Up => at.saturating_sub(1),
        Command::Down => at.saturating_add(1),
        Command::PageUp => at.saturating_sub(page),
        Command::PageDown => at.saturating_add(page),
        Command::Top => 0,
        Command::Bottom => end,
        _ => at,
    };
    *scroll = to.min(end);
}

/// Returns the last line of the overlay on top that can be its first one: only what draws it knows how
/// many lines it has.
fn scroll_end(model: &Model, now: Timestamp) -> u16 {
    let (columns, rows) = model.size;
    let look = Look::plain();
    let paint = Paint::new(model, &look, now);
    let mut buffer = Buffer::empty(Rect::new(0, 0, columns, rows));
    overlays::draw(&paint, &mut buffer, layout(model).over);
    paint.scroll_end.get()
}
