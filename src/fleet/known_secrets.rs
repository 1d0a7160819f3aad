//! Secrets that are known, hidden wherever they stand: in a text that leaves this machine.
//!
//! [`redact()`](crate::fleet::redact()) guesses what looks like a secret. This knows the values that `hosts.toml`
//! names, and finds them where nothing announces them.

use crate::fleet::{Secret, each_text};
use serde_json::Value;

/// What stands where a secret was.
const HIDDEN: &str = "[secret]";

/// The shortest secret that is looked for, in bytes: a shorter one is part of many words.
const SHORTEST: usize = 6;

/// Secrets that are known. Nothing of them is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownSecrets(Vec<Secret>);

impl KnownSecrets {
    /// Adds a secret; of one with several lines each line, since texts are looked through line by line.
    pub fn add(&mut self, secret: &Secret) {
        let lines = secret.expose().lines().map(str::trim);
        self.0.extend(lines.filter(|line| line.len() >= SHORTEST).map(Secret::new));
        // The longest first: one may be a part of another.
        self.0.sort_by_key(|known| std::cmp::Reverse(known.expose().len()));
        self.0.dedup();
    }

    /// Adds the passwords of a netrc file.
    pub fn add_netrc(&mut self, netrc: &Secret) {
        let mut words = netrc.expose().split_whitespace();
        while let Some(word) = words.next() {
            if word == "password"
                && let Some(password) = words.next()
            {
                self.add(&Secret::new(password));
            }
        }
    }

    /// Returns a text without them.
    pub fn hide(&self, text: &str) -> String {
        let hide = |text: String, known: &Secret| text.replace(known.expose(), HIDDEN);
        self.0.iter().fold(text.to_owned(), hide)
    }

    /// Hides them in every text of a document.
    pub fn hide_json(&self, document: &mut Value) {
        if !self.0.is_empty() {
            each_text(document, &mut |text| self.hide(text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_secret_is_hidden_wherever_it_stands() {
        let mut known = KnownSecrets::default();
        for secret in
            ["s3cr3t-Token", "s3cr3t-Token-Value-123", "short", "first line\nsecond line\n"]
        {
            known.add(&Secret::new(secret));
        }
        known.add_netrc(&Secret::new("machine cache.lan login me password hunter22"));
        let told =
            "tok is s3cr3t-Token-Value-123, then s3cr3t-Tokens of short; (second line) hunter22";
        let hidden = "tok is [secret], then [secret]s of short; ([secret]) [secret]";
        assert_eq!(known.hide(told), hidden);
        let mut document = serde_json::json!({ "error": told, "n": [1, { "hunter22": null }] });
        known.hide_json(&mut document);
        let same = serde_json::json!({ "error": hidden, "n": [1, { "[secret]": null }] });
        assert_eq!(document, same);
        assert_eq!(known.hide("machine cache.lan login me"), "machine cache.lan login me");
        assert!(!format!("{known:?}").contains("hunter22"));
    }
}
