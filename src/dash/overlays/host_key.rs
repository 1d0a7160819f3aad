//! A host key that is not known, or another than before: whether to accept it.
//!
//! ```text
//! ┌ Accept the key of razer? ─────────────────┐
//! │ razer.lan shows a key that is not known.  │
//! │ ED25519 SHA256:uNiVztksCsDhcc0u9e8BrXmV…  │
//! │                                           │
//! │ [ No ]    Yes, accept it                  │
//! └───────────────────────────────────────────┘
//! ```

use crate::dash::overlay::HostKeyForm;
use crate::dash::theme::Role;
use crate::dash::widgets::input::typed;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::popup::{Popup, buttons};
use crate::dash::widgets::text::wrap;
use crate::fleet::{HostKey, HostKeyState};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws the question whether to accept a key.
pub(in crate::dash) fn draw(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    form: &HostKeyForm,
) {
    let popup = Popup::new(area, 78);
    let key = &form.key;
    let mut lines: Vec<Line<'static>> = Vec::new();
    let mut say = |role: Role, text: &str| {
        let wrapped = wrap(text, popup.room()).into_iter();
        lines.extend(wrapped.map(|line| Line::from(paint.span(role, line))));
    };
    let way =
        if key.is_on_the_way { format!(", on the way to {},", key.host) } else { String::new() };
    let shown = format!("{} {}", key.kind_word(), key.fingerprint);
    let (title, opening) = match key.state {
        HostKeyState::Changed => {
            (format!("The key of {} changed", key.host), "another key than before:")
        }
        HostKeyState::Revoked => {
            (format!("A revoked key of {}", key.host), "a key that is marked as revoked:")
        }
        HostKeyState::Unknown | HostKeyState::Known => {
            (format!("Accept the key of {}?", key.host), "a key that is not known yet:")
        }
    };
    say(Role::Text, &format!("{}{way} shows {opening}", key.place));
    if key.state == HostKeyState::Changed {
        say(Role::Warn, &format!("now     {shown}"));
        for known in &key.known {
            say(
                Role::Text,
                &format!("before  {} {}", HostKey::word_of(&known.kind), known.fingerprint),
            );
        }
        say(Role::Warn, HostKey::changed_words());
    } else {
        say(Role::Accent, &shown);
    }
    if !key.same_as.is_empty() {
        say(Role::Text, &format!("The same key is known already as {}.", key.same_as.join(", ")));
    }
    say(Role::Dim, &key.compare_words());
    let foot = match key.state {
        HostKeyState::Changed => [
            Line::default(),
            Line::from(typed(
                paint,
                format!("type {} to take the new key  ", key.host),
                form.input.text(),
            )),
        ],
        HostKeyState::Unknown | HostKeyState::Known | HostKeyState::Revoked => {
            [Line::default(), buttons(paint, "No", "Yes, accept it", form.yes)]
        }
    };
    popup.draw(paint, buffer, &title, &lines, 0, &foot);
}
