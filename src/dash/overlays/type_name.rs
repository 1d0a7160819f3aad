//! The name of a protected host, or of one that has nothing to go back to, which must be typed.

use crate::dash::overlay::StartForm;
use crate::dash::widgets::input::typed;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::popup::Popup;
use crate::dash::widgets::text::wrap;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws the question for a protected host's name.
pub(in crate::dash) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, form: &StartForm) {
    let Some(host) = form.next_protected(&paint.model.world) else { return };
    let popup = Popup::new(area, 60);
    let why = if paint.model.world.has_no_system(&host) {
        "has no system of NixOS to go back to"
    } else {
        "is protected"
    };
    let text = format!("{host} {why}. Type its name and press enter to deploy to it; esc cancels.");
    let mut lines: Vec<Line<'static>> =
        wrap(&text, popup.room()).into_iter().map(Line::raw).collect();
    lines.push(Line::default());
    lines.push(Line::from(typed(paint, "name  ", form.input.text())));
    let mark = if paint.model.world.is_protected(&host) { " ⚷" } else { "" };
    let title = format!("Deploy to {host}{mark}");
    popup.draw(paint, buffer, &title, &lines, 0, &[]);
}
