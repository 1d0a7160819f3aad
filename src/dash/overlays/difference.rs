//! What differs between the running system of a host and one of its generations.

use crate::dash::begin::roll_back;
use crate::dash::command::Command;
use crate::dash::generations::DiffPane;
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::overlay::Overlay;
use crate::dash::overlays::reading;
use crate::dash::theme::Role;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::popup::Popup;
use crate::dash::widgets::text::wrap;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws the pane.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, diff: &DiffPane) {
    let popup = Popup::new(area, 100);
    let title = format!("{}: what runs → generation {}", diff.host, diff.generation);
    popup.draw(paint, buffer, &title, &difference(paint, &popup, diff), diff.scroll, &[]);
}

fn difference(paint: &Paint<'_>, popup: &Popup, diff: &DiffPane) -> Vec<Line<'static>> {
    match &diff.lines {
        None => vec![Line::from(paint.span(Role::Dim, "comparing …".to_owned()))],
        Some(Err(error)) => failure_lines(paint, popup, error),
        Some(Ok(found)) => found
            .iter()
            .flat_map(|line| wrap(line, popup.room()))
            .map(|line| Line::from(paint.span(Role::Text, line)))
            .collect(),
    }
}

/// Returns why something is not known, as lines.
pub(super) fn failure_lines(paint: &Paint<'_>, popup: &Popup, error: &str) -> Vec<Line<'static>> {
    let lines = wrap(error, popup.room()).into_iter();
    lines.map(|line| Line::from(paint.span(Role::Error, line))).collect()
}

/// Takes what differs between two systems, where that is still wanted.
pub(in crate::dash) fn compared(
    model: &mut Model,
    host: &str,
    generation: u64,
    lines: Result<Vec<String>, String>,
) {
    for overlay in &mut model.overlays {
        if let Overlay::Difference(diff) = overlay
            && diff.host == host
            && diff.generation == generation
        {
            diff.lines = Some(lines);
            return;
        }
    }
}

/// Does a command in the pane.
pub(super) fn update(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    match (model.overlay(), command) {
        (Some(Overlay::Difference(diff)), Command::RollBack) => {
            let (host, generation) = (diff.host.clone(), diff.generation);
            roll_back(model, host, generation, now);
            Vec::new()
        }
        (_, command) => {
            reading::update(model, command, now);
            Vec::new()
        }
    }
}
