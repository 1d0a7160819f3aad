//! Keys as the command table names them.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::fmt;

/// A key that a command can be bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character as typed, capitals included.
    Char(char),
    /// A character with control.
    Ctrl(char),
    /// A key that types nothing.
    Code(KeyCode),
}

impl Key {
    /// Returns the key of an event; none for a combination that nothing is bound to.
    pub fn of(event: KeyEvent) -> Option<Self> {
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        if event.modifiers.contains(KeyModifiers::ALT) {
            return None;
        }
        Some(match event.code {
            KeyCode::Char(c) if ctrl => Self::Ctrl(c.to_ascii_lowercase()),
            KeyCode::Char(c) => Self::Char(c),
            code => Self::Code(code),
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Char(' ') => f.write_str("space"),
            Self::Char(c) => write!(f, "{c}"),
            Self::Ctrl(c) => write!(f, "ctrl-{c}"),
            Self::Code(KeyCode::Up) => f.write_str("↑"),
            Self::Code(KeyCode::Down) => f.write_str("↓"),
            Self::Code(KeyCode::Left) => f.write_str("←"),
            Self::Code(KeyCode::Right) => f.write_str("→"),
            Self::Code(KeyCode::PageUp) => f.write_str("pgup"),
            Self::Code(KeyCode::PageDown) => f.write_str("pgdn"),
            Self::Code(KeyCode::BackTab) => f.write_str("shift-tab"),
            Self::Code(code) => f.write_str(&code.to_string().to_lowercase()),
        }
    }
}
