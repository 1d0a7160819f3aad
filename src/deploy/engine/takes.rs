//! Which paths of another store a host takes: those that a key signed which it trusts, and those whose names follow
//! from their content.
//!
//! Nix counts the others among what it would fetch all the same, and refuses each of them only when it comes.

use crate::fleet::StorePath;
use crate::nix::settings::Settings;
use crate::nix::signature::signature_name;
use crate::nix::trusted_keys::TrustedKeys;

/// What a host asks of paths that come from another store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing, or its settings could not be read.
    #[default]
    All,
    /// A signature of one of the keys of these names.
    Signed(Vec<String>),
}

impl Takes {
    /// Reads it off the settings of a host's Nix.
    pub(super) fn of(settings: &Settings) -> Self {
        if settings.is_empty() || settings.flag("require-sigs") == Some(false) {
            return Self::All;
        }
        let keys = TrustedKeys::parse(&settings.trusted_public_keys());
        let usable = keys.usable().unwrap_or_default();
        Self::Signed(usable.iter().map(|key| key.name.clone()).collect())
    }

    /// Returns the paths that are refused, of those in what `nix path-info --sigs` printed.
    pub(super) fn refused(&self, signatures: &str) -> Vec<StorePath> {
        let Self::Signed(names) = self else { return Vec::new() };
        let is_taken = |word: &str| {
            let signer = signature_name(word);
            word.starts_with("ca:")
                || signer.is_some_and(|name| names.iter().any(|key| key == name))
        };
        let refused = |line: &str| {
            let mut words = line.split_whitespace();
            let path = StorePath::parse(words.next()?).ok()?;
            (!words.any(is_taken)).then_some(path)
        };
        signatures.lines().filter_map(refused).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "p620-1:84lYE1B4WYBhgRnr4i3CGQuBrqMejfmimNytE5731+M=";

    #[test]
    fn only_what_a_trusted_key_signed_or_its_content_names_is_taken() {
        let path = |name: &str| format!("/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-{name}");
        let signatures = format!(
            "{}\t\n{}   \tultimate p620-1:AAAA==\n{}\tultimate other-1:AAAA== x-1:AAAA==\n{}\tca:fixed:r:sha256:0dig\nodd\n",
            path("bare"),
            path("signed"),
            path("foreign"),
            path("source")
        );
        let refused = |settings: &str| {
            let refused = Takes::of(&Settings::parse(settings)).refused(&signatures);
            refused.iter().map(|path| path.name().to_owned()).collect::<Vec<_>>()
        };
        let trusting = format!("require-sigs = true\ntrusted-public-keys = {KEY}\n");
        assert_eq!(refused(&trusting), ["bare", "foreign"]);
        let broken = format!("{trusting}trusted-public-keys = {KEY} nothing\n");
        assert_eq!(refused(&broken), ["bare", "signed", "foreign"], "Nix checks no signature then");
        assert_eq!(refused("require-sigs = false\n"), Vec::<String>::new());
        assert_eq!(refused(""), Vec::<String>::new(), "nothing is known");
    }
}
