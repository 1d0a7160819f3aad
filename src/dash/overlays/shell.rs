//! The question whether to open a shell on a protected host.

use crate::dash::command::Command;
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::overlay::Overlay;
use crate::dash::shell::opened;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::popup::{Popup, buttons};
use crate::dash::widgets::text::wrap;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws the question.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, host: &str, yes: bool) {
    let popup = Popup::new(area, 60);
    let text = format!("{host} is protected. What is typed into a shell there changes it at once.");
    let lines: Vec<Line<'static>> = wrap(&text, popup.room()).into_iter().map(Line::raw).collect();
    let foot = [Line::default(), buttons(paint, "No", "Yes, open it", yes)];
    let inside = popup.draw(paint, buffer, &format!("Open a shell on {host} ⚷?"), &lines, 0, &foot);
    inside.note_buttons(paint, "No", "Yes, open it");
}

/// Opens the shell, or leaves the host alone.
pub(super) fn update(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let Some(Overlay::Shell { host, yes }) = model.overlay_mut() else { return Vec::new() };
    match command {
        Command::OtherButton => *yes = !*yes,
        Command::Accept if !*yes => model.close(),
        Command::Accept | Command::Yes => {
            let host = std::mem::take(host);
            model.close();
            return opened(model, host, now);
        }
        _ => model.close(),
    }
    Vec::new()
}
