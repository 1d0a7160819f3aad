//! A text that must not be shown.

use std::fmt;
use zeroize::Zeroizing;

/// A text that must not be shown. Its memory is overwritten when it is dropped; it has no
/// `Display`, and its `Debug` says nothing of it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Makes a secret of a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Returns the text, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns a text without the secret, wherever it stands in it.
    pub fn hide_in(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(self.0.as_str(), "(hidden)") }
    }

    /// Returns whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how many characters it has.
    pub fn length(&self) -> usize {
        self.0.chars().count()
    }

    /// Adds a character. Where the text has to move to a bigger place, the old one is overwritten.
    pub fn push(&mut self, c: char) {
        if self.0.capacity() < self.0.len() + c.len_utf8() {
            let mut bigger =
                Zeroizing::new(String::with_capacity((self.0.capacity() * 2).max(128)));
            bigger.push_str(&self.0);
            self.0 = bigger;
        }
        self.0.push(c);
    }

    /// Removes the last character.
    pub fn pop(&mut self) {
        self.0.pop();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_printed_holds_it() {
        let mut secret = Secret::default();
        "hunter2".chars().for_each(|c| secret.push(c));
        assert_eq!(format!("{:?}", Some(&secret)), "Some(Secret(hidden))");
        assert_eq!(secret.hide_in("sudo: hunter2 hunter2!"), "sudo: (hidden) (hidden)!");
        assert_eq!((secret.expose(), secret.length()), ("hunter2", 7));
        secret.pop();
        assert_eq!(secret.expose(), "hunter");
        assert_eq!(Secret::default().hide_in("as it is"), "as it is");
    }

    #[test]
    fn a_long_one_keeps_every_character() {
        let text: String = "äb€".repeat(200);
        let mut secret = Secret::default();
        text.chars().for_each(|c| secret.push(c));
        assert_eq!(secret.expose(), text);
    }
}
