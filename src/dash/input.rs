//! One line of typed text; the cursor is always at its end.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Longest text that can be typed, in characters.
const LIMIT: usize = 200;

/// A line that is being typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineInput {
    text: String,
    last: String,
}

impl LineInput {
    /// Returns a line that already holds a text.
    pub fn with(text: String) -> Self {
        Self { text, last: String::new() }
    }

    /// Returns an empty line that can take again what was typed last.
    pub fn after(last: String) -> Self {
        Self { text: String::new(), last }
    }

    /// Returns whether there is something that was typed last.
    pub fn has_last(&self) -> bool {
        !self.last.is_empty()
    }

    /// Takes again what was typed last.
    pub fn take_last(&mut self) {
        self.text.clone_from(&self.last);
    }

    /// Returns what was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Adds pasted text: its first line, without control characters.
    pub fn paste(&mut self, text: &str) {
        for c in text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()) {
            self.push(c);
        }
    }

    /// Edits by a key: characters, backspace, ctrl-u (all), ctrl-w (a word). Returns whether the
    /// key was one of these.
    pub fn edit(&mut self, key: KeyEvent) -> bool {
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('u') if ctrl => self.text.clear(),
            KeyCode::Char('w') if ctrl => {
                let kept = self.text.trim_end();
                let end = kept.rfind(' ').map_or(0, |at| at + 1);
                self.text.truncate(end);
            }
            KeyCode::Char('h') if ctrl => {
                self.text.pop();
            }
            KeyCode::Char(c) if !ctrl && !key.modifiers.contains(KeyModifiers::ALT) => self.push(c),
            KeyCode::Backspace => {
                self.text.pop();
            }
            _ => return false,
        }
        true
    }

    fn push(&mut self, c: char) {
        if self.text.chars().count() < LIMIT {
            self.text.push(c);
        }
    }
}
