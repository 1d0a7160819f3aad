//! The name of a protected host, or of one that has nothing to go back to, which must be typed.

use crate::dash::begin::begin;
use crate::dash::command::Command;
use crate::dash::input::LineInput;
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::overlay::{Overlay, StartForm};
use crate::dash::theme::Role;
use crate::dash::widgets::input::typed;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::popup::Popup;
use crate::dash::widgets::text::{line_width, width, wrap};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws the question for a protected host's name.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, form: &StartForm) {
    let Some(host) = form.next_protected(&paint.model.world) else { return };
    let popup = Popup::new(area, 60);
    let why = if paint.model.world.has_no_system(&host) {
        "has no system of NixOS to go back to"
    } else {
        "is protected"
    };
    let [accept, cancel] =
        ["accept-name", "cancel-typing"].map(|name| paint.model.keymap.press(name));
    let text = format!(
        "{host} {why}. Type its name and press {accept} to deploy to it; {cancel} cancels."
    );
    let mut lines: Vec<Line<'static>> =
        wrap(&text, popup.room()).into_iter().map(Line::raw).collect();
    lines.push(Line::default());
    let mut name = typed(paint, "name  ", form.input.text());
    if form.refused.as_deref() == Some(form.input.text()) {
        let why = format!("   ✗ that is not {host}");
        if line_width(&name) + width(&why) <= popup.room() {
            name.push(paint.span(Role::Error, why));
            lines.push(Line::from(name));
        } else {
            lines.push(Line::from(name));
            lines.push(Line::from(paint.span(Role::Error, why.trim_start().to_owned())));
        }
    } else {
        lines.push(Line::from(name));
    }
    let mark = if paint.model.world.is_protected(&host) { " ⚷" } else { "" };
    let title = format!("Deploy to {host}{mark}");
    popup.draw(paint, buffer, &title, &lines, 0, &[]);
}

/// Takes the typed name when it is the one that is asked for, and begins the run when it was the last.
pub(super) fn update(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let Some(Overlay::TypeName(mut form)) = model.overlays.pop() else { return Vec::new() };
    if command != Command::Accept {
        return Vec::new();
    }
    if !accept_name(model, &mut form) {
        model.open(Overlay::TypeName(form));
        return Vec::new();
    }
    begin(model, form, now)
}

/// Takes the typed name when it is the one that is asked for; another stays there to be mended.
fn accept_name(model: &Model, form: &mut StartForm) -> bool {
    let Some(wanted) = form.next_protected(&model.world) else { return true };
    if form.input.text().trim() != wanted {
        form.refused = Some(form.input.text().to_owned());
        return false;
    }
    form.typed.push(wanted);
    form.input = LineInput::default();
    form.refused = None;
    true
}
