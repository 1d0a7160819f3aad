//! The password that sudo asks for, typed before a run starts.
//!
//! ```text
//! ┌ Password for sudo ────────────────────┐
//! │ sudo on razer, samsung asks for it.   │
//! │ It is kept in memory only.            │
//! │                                       │
//! │ password  *******▏                    │
//! └───────────────────────────────────────┘
//! ```

use crate::dash::overlay::PasswordForm;
use crate::dash::widgets::input::typed;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::popup::Popup;
use crate::dash::widgets::text::wrap;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws the question for a password.
pub(in crate::dash) fn draw(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    form: &PasswordForm,
) {
    let popup = Popup::new(area, 66);
    let text = format!(
        "The password that sudo asks for on {}. It is kept in memory until the dashboard ends, and is \
         sent over ssh only.",
        form.hosts.join(", ")
    );
    let mut lines: Vec<Line<'static>> =
        wrap(&text, popup.room()).into_iter().map(Line::raw).collect();
    lines.push(Line::default());
    let stars = "*".repeat(form.typed.length().min(popup.room().saturating_sub(12)));
    lines.push(Line::from(typed(paint, "password  ", stars)));
    popup.draw(paint, buffer, "Password for sudo", &lines, 0, &[]);
}
