//! Keys as the command table names them.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::BTreeMap;
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

/// The keys that hosts.toml gives commands instead of their usual ones, by the name of the command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keymap {
    pub(super) given: BTreeMap<&'static str, Vec<Key>>,
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

    /// Reads a key as hosts.toml writes it: `D`, `space`, `ctrl-x`, `f5`; else what may be written.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let shape = || {
            let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            format!(
                "write a character, \"ctrl-x\", \"f5\", \"space\", or one of {}",
                names.join(", ")
            )
        };
        let lower = text.to_lowercase();
        let mut characters = text.chars();
        if let (Some(c), None) = (characters.next(), characters.next()) {
            return if c.is_control() || c == ' ' { Err(shape()) } else { Ok(Self::Char(c)) };
        }
        if lower == "space" {
            return Ok(Self::Char(' '));
        }
        if let Some(rest) = lower.strip_prefix("ctrl-") {
            return match rest {
                "i" => Err("a terminal sends tab for ctrl-i: write \"tab\"".to_owned()),
                "m" => Err("a terminal sends enter for ctrl-m: write \"enter\"".to_owned()),
                _ => match rest.as_bytes() {
                    [c] if c.is_ascii_lowercase() => Ok(Self::Ctrl(char::from(*c))),
                    _ => Err(shape()),
                },
            };
        }
        let number = lower.strip_prefix('f').and_then(|number| number.parse().ok());
        if let Some(number) = number.filter(|number| (1..=12).contains(number)) {
            return Ok(Self::Code(KeyCode::F(number)));
        }
        let named = NAMES.iter().find(|(name, _)| *name == lower);
        named.map(|(_, code)| Self::Code(*code)).ok_or_else(shape)
    }
}

/// Names of keys that type nothing.
const NAMES: [(&str, KeyCode); 15] = [
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("shift-tab", KeyCode::BackTab),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("pgup", KeyCode::PageUp),
    ("pgdn", KeyCode::PageDown),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("insert", KeyCode::Insert),
    ("delete", KeyCode::Delete),
    ("backspace", KeyCode::Backspace),
];

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_shown() {
        for (text, key) in [
            ("D", Key::Char('D')),
            ("#", Key::Char('#')),
            ("ß", Key::Char('ß')),
            ("space", Key::Char(' ')),
            ("ctrl-x", Key::Ctrl('x')),
            ("Ctrl-X", Key::Ctrl('x')),
            ("f5", Key::Code(KeyCode::F(5))),
            ("shift-tab", Key::Code(KeyCode::BackTab)),
        ] {
            assert_eq!(Key::read(text), Ok(key), "{text}");
            assert!(text.contains(char::is_uppercase) || key.to_string() == text, "{key}");
        }
        for (name, code) in NAMES {
            assert_eq!(Key::read(name), Ok(Key::Code(code)), "{name}");
        }
    }

    #[test]
    fn what_no_terminal_sends_is_no_key() {
        for text in ["", " ", "\u{1b}", "ctrl-", "ctrl-xy", "ctrl-ä", "f0", "f13", "alt-x", "dd"] {
            assert!(Key::read(text).unwrap_err().starts_with("write a character"), "{text:?}");
        }
        assert!(Key::read("ctrl-i").unwrap_err().contains("write \"tab\""));
        assert!(Key::read("ctrl-m").unwrap_err().contains("write \"enter\""));
    }
}
