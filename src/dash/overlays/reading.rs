//! What is only read: it scrolls and closes.

use crate::dash::command::Command;
use crate::dash::generations::DiffPane;
use crate::dash::layout::{layout, page};
use crate::dash::model::Model;
use crate::dash::overlay::Overlay;

/// Scrolls or closes what is only read.
pub(super) fn update(model: &mut Model, command: Command) {
    let page = page(layout(model).body);
    match (model.overlay_mut(), command) {
        (
            Some(
                Overlay::Help { scroll }
                | Overlay::FirstSteps { scroll }
                | Overlay::Plan { scroll, .. }
                | Overlay::Commands { scroll, .. }
                | Overlay::Difference(DiffPane { scroll, .. }),
            ),
            command,
        ) => match command {
            Command::Up => *scroll = scroll.saturating_sub(1),
            Command::Down => *scroll = scroll.saturating_add(1).min(1000),
            Command::PageUp => *scroll = scroll.saturating_sub(page),
            Command::PageDown => *scroll = scroll.saturating_add(page).min(1000),
            Command::Top => *scroll = 0,
            Command::Bottom => *scroll = 1000,
            Command::Close => model.close(),
            _ => {}
        },
        (_, Command::Close) => model.close(),
        _ => {}
    }
}
