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

use crate::dash::command::Command;
use crate::dash::input::LineInput;
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::overlay::{HostKeyForm, Overlay};
use crate::dash::theme::Role;
use crate::dash::widgets::input::typed;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::popup::{Popup, buttons};
use crate::dash::widgets::text::wrap;
use crate::fleet::{HostKey, HostKeyState};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// What the button says that takes the key.
const ACCEPT: &str = "Yes, accept it";

/// Draws the question whether to accept a key.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, form: &HostKeyForm) {
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
            [Line::default(), buttons(paint, "No", ACCEPT, form.yes)]
        }
    };
    let inside = popup.draw(paint, buffer, &title, &lines, 0, &foot);
    if key.state != HostKeyState::Changed {
        inside.note_buttons(paint, "No", ACCEPT);
    }
}

/// Takes in the keys that a host showed: each that is not known is a question.
pub(in crate::dash) fn keys(
    model: &mut Model,
    host: &str,
    found: Vec<HostKey>,
    errors: &[String],
    now: Timestamp,
) {
    let known: Vec<String> = found
        .iter()
        .filter(|key| key.state == HostKeyState::Known)
        .map(|key| format!("{} {} of {}", key.kind_word(), key.fingerprint, key.place))
        .collect();
    let is_open = |key: &HostKey| key.state != HostKeyState::Known;
    let open: Vec<HostKey> = found.into_iter().filter(is_open).collect();
    if open.is_empty() {
        let bad = !errors.is_empty();
        let text = if bad {
            errors.join("; ")
        } else {
            format!("{host}: the key is known: {}", known.join(", "))
        };
        model.say(text, bad, now);
        return;
    }
    if model.overlay().is_some() || model.prompt.is_some() {
        let key = model.keymap.press("host-key");
        model.say(format!("{host} shows a key that is not known; {key} shows it"), true, now);
        return;
    }
    model.toast = None;
    // The first lies on top: it is answered first.
    for key in open.into_iter().rev() {
        let form = HostKeyForm { key, yes: false, input: LineInput::default() };
        model.open(Overlay::HostKey(Box::new(form)));
    }
}

/// Accepts a key and goes on to the next one, or leaves all of them.
pub(super) fn update(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let Some(Overlay::HostKey(mut form)) = model.overlays.pop() else { return Vec::new() };
    let typed = form.key.state == HostKeyState::Changed;
    let accepted = match command {
        Command::OtherButton => {
            form.yes = !form.yes;
            model.open(Overlay::HostKey(form));
            return Vec::new();
        }
        Command::Accept if typed => {
            if form.input.text().trim() != form.key.host {
                let cancel = model.keymap.press("cancel-typing");
                let text = format!("that is not {:?}; {cancel} cancels", form.key.host);
                model.say(text, true, now);
                form.input = LineInput::default();
                model.open(Overlay::HostKey(form));
                return Vec::new();
            }
            true
        }
        Command::Accept => form.yes,
        Command::Yes => true,
        _ => false,
    };
    if !accepted || form.key.state == HostKeyState::Revoked {
        model.overlays.retain(|overlay| !matches!(overlay, Overlay::HostKey(_)));
        model.say(format!("the key of {} was not accepted", form.key.place), false, now);
        return Vec::new();
    }
    vec![Effect::AcceptHostKey { key: Box::new(form.key) }]
}
