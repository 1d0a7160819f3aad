//! Nix's settings, as `nix config show` (before 2.18: `nix show-config`) prints them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The settings that say how caches are used. No secret is among them.
const OF_CACHES: [&str; 18] = [
    "connect-timeout",
    "download-attempts",
    "fallback",
    "filetransfer-retry-attempts",
    "filetransfer-retry-delay",
    "filetransfer-retry-jitter",
    "filetransfer-retry-max-delay",
    "initial-connect-timeout",
    "max-connect-timeout",
    "narinfo-cache-meta-ttl",
    "narinfo-cache-negative-ttl",
    "narinfo-cache-positive-ttl",
    "netrc-file",
    "require-sigs",
    "ssl-cert-file",
    "substitute",
    "substituters",
    "trusted-public-keys",
];

/// The settings that hold on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings {
    all: BTreeMap<String, String>,
}

impl Settings {
    /// Parses lines of `name = value`; other lines are ignored.
    pub fn parse(text: &str) -> Self {
        let all = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .filter(|(name, _)| !name.is_empty() && !name.contains(char::is_whitespace))
            .collect();
        Self { all }
    }

    /// Reads those among the lines of a script: `setting`, a tab, and a line of `name = value`.
    pub fn told(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines().filter_map(|line| line.strip_prefix("setting\t")) {
            found.all.extend(Self::parse(line).all);
        }
        found
    }

    /// Returns whether nothing was read: the text was no settings.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns a setting as it was printed.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all.get(name).map(String::as_str)
    }

    /// Returns the words of a setting; none when it is not there.
    pub fn words(&self, name: &str) -> Vec<&str> {
        self.get(name).map(|value| value.split_ascii_whitespace().collect()).unwrap_or_default()
    }

    /// Returns those that say how caches are used.
    #[must_use]
    pub fn of_caches(&self) -> Self {
        let known = OF_CACHES.iter().filter_map(|name| Some((*name, self.get(name)?)));
        Self { all: known.map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }

    /// Returns the names of settings of caches that others have in another way.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let differs = |name: &&&str| self.get(name) != other.get(name);
        OF_CACHES.iter().filter(differs).map(|name| (*name).to_owned()).collect()
    }

    /// Returns a setting that is a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    /// Returns a setting that is `true` or `false`.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// Returns the caches that are asked, as written, in the order they are listed.
    pub fn substituters(&self) -> Vec<&str> {
        self.words("substituters")
    }

    /// Returns the keys that are trusted: `name:base64`.
    pub fn trusted_public_keys(&self) -> Vec<&str> {
        self.words("trusted-public-keys")
    }
}

/// Returns the address of a cache without settings and without a trailing slash.
pub fn bare_url(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A part of what Nix 2.8.0 prints, with two values changed.
    const PRINTED: &str = "\
require-sigs = true
substitute = true
substituters = http://p620.lan:5000?priority=10 https://cache.nixos.org/
trusted-public-keys = p620-1:MOYk7cam7pmSQgkAgHCqQVzYsjyi9d862m06xgAkwBk= \
cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=
trusted-substituters = \ntrusted-users = root
";

    #[test]
    fn a_script_tells_settings_among_other_lines() {
        let told = "nix\t2.34\nsetting\tcores = 2\nsettings\tx = 1\nsetting\tsubstituters = a b\n";
        let settings = Settings::told(told);
        assert_eq!(settings, Settings::parse("cores = 2\nsubstituters = a b\n"));
    }

    #[test]
    fn lists_are_words_and_an_empty_one_is_empty() {
        let settings = Settings::parse(PRINTED);
        assert_eq!(settings.substituters().len(), 2);
        assert_eq!(settings.words("trusted-substituters"), [""; 0]);
        assert_eq!(settings.flag("require-sigs"), Some(true));
        assert_eq!(settings.get("no-such"), None);
        assert!(Settings::parse("error: no nix here").is_empty());
    }

    #[test]
    fn only_what_matters_for_caches_is_kept_and_compared() {
        let settings = Settings::parse(PRINTED);
        let again = settings.of_caches();
        assert_eq!(again.substituters(), settings.substituters());
        assert_eq!(again.get("trusted-users"), None, "it has nothing to do with caches");
        assert_eq!(settings.differences(&again), [""; 0]);
        let other = Settings::parse(&PRINTED.replace("substitute = true", "substitute = false"));
        assert_eq!(settings.differences(&other), ["substitute"]);
        let other = Settings::parse(&PRINTED.replace("trusted-users = root", "trusted-users = me"));
        assert_eq!(settings.differences(&other), [""; 0]);
    }
}
