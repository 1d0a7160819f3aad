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

use crate::dash::begin::start_or_ask;
use crate::dash::command::Command;
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::overlay::{Overlay, PasswordForm};
use crate::dash::widgets::input::typed;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::popup::Popup;
use crate::dash::widgets::text::wrap;
use crate::dash::words::some_of;
use crate::fleet::Secret;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws the question for a password.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, form: &PasswordForm) {
    let popup = Popup::new(area, 66);
    let about = if form.is_needed {
        ""
    } else {
        " It is only asked whether a budget has a place; enter leaves it out, and where nobody can ask it, there \
         may be none."
    };
    let text = format!(
        "The password that sudo asks for on {}. It is kept in memory until the dashboard ends, and is \
         sent over ssh only.{about}",
        some_of(&form.hosts)
    );
    let mut lines: Vec<Line<'static>> =
        wrap(&text, popup.room()).into_iter().map(Line::raw).collect();
    lines.push(Line::default());
    let stars = "*".repeat(form.typed.length().min(popup.room().saturating_sub(12)));
    lines.push(Line::from(typed(paint, "password  ", stars)));
    popup.draw(paint, buffer, "Password for sudo", &lines, 0, &[]);
}

/// Takes a typed password, asks for the next one or starts the run.
pub(super) fn update(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let Some(Overlay::Password(asked)) = model.overlays.pop() else { return Vec::new() };
    let PasswordForm { form, hosts, is_needed, typed } = *asked;
    match command {
        Command::Accept if typed.is_empty() && is_needed => {
            let cancel = model.keymap.press("cancel-typing");
            model.say(format!("no password was typed; {cancel} cancels"), true, now);
            model.open(Overlay::Password(Box::new(PasswordForm { form, hosts, is_needed, typed })));
            Vec::new()
        }
        Command::Accept => {
            model.passwords_given.extend(hosts.iter().cloned());
            let mut effects = vec![Effect::KeepPassword { hosts, password: typed }];
            effects.extend(start_or_ask(model, form, now));
            effects
        }
        _ => Vec::new(),
    }
}

/// Adds a character to a password that is being typed, or removes the last.
pub(super) fn type_password(typed: &mut Secret, event: KeyEvent) {
    let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
    match event.code {
        KeyCode::Char('u') if ctrl => *typed = Secret::default(),
        KeyCode::Char('h') if ctrl => typed.pop(),
        KeyCode::Backspace => typed.pop(),
        KeyCode::Char(c) if !ctrl && !event.modifiers.contains(KeyModifiers::ALT) => typed.push(c),
        _ => {}
    }
}
