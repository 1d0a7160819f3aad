//! A cache as a host's settings name it, read as Nix reads it (`libstore/store-reference.cc`).
//!
//! Not every word of `substituters` is an address of HTTP: a path is a store, `daemon` is the
//! machine's own daemon, and each takes part in the order with its priority. A parameter that Nix
//! cannot read makes it leave the cache out with a warning, so nothing is asked there.

use crate::fleet::percent_decoded;
use std::fmt::Write as _;

/// What is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreKind {
    /// A cache over HTTP.
    Http,
    /// A bucket.
    S3,
    /// A cache in a folder: `file://`.
    Folder,
    /// A store on the same machine: a path, `daemon`, `local`, `auto`, `unix://`.
    Local,
    /// A store on another machine, over ssh.
    Ssh,
    /// Nothing that Nix knows: it leaves such a one out with a warning.
    Unknown,
}

impl StoreKind {
    /// Returns whether it tells its priority in a file; every other has 0.
    pub fn has_cache_info(self) -> bool {
        match self {
            Self::Http | Self::S3 | Self::Folder => true,
            Self::Local | Self::Ssh | Self::Unknown => false,
        }
    }
}

/// A cache as a host's settings name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Substituter {
    /// The word of the settings.
    pub text: String,
    /// What is at the other end.
    pub kind: StoreKind,
    /// `?priority=`; none where the cache itself says it.
    pub priority: Option<i32>,
    /// `?trusted=`: whether what it serves is taken without a signature.
    pub is_trusted: bool,
    /// `?retry-attempts=`, which Nix reads from 2.35 on.
    pub retry_attempts: Option<u32>,
    /// Why Nix leaves it out, as a clause: a parameter has a value that Nix cannot read.
    pub refused: Option<String>,
}

impl Substituter {
    /// Reads a word of `substituters`.
    pub fn parse(text: &str) -> Self {
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        let mut found = Self {
            text: text.to_owned(),
            kind: kind_of(address),
            priority: None,
            is_trusted: false,
            retry_attempts: None,
            refused: None,
        };
        if found.kind == StoreKind::Unknown {
            found.refused = Some("Nix knows no store of that kind".to_owned());
        }
        let mut seen: Vec<&str> = Vec::new();
        for pair in query.split('&') {
            // Nix keeps the first of two values.
            let Some((name, value)) = pair.split_once('=').filter(|(name, _)| !seen.contains(name))
            else {
                continue;
            };
            seen.push(name);
            let value = percent_decoded(value);
            if found.take(name, &value).is_none() {
                found.refused =
                    found.refused.or_else(|| Some(format!("Nix cannot read {name}={value}")));
            }
        }
        found
    }

    /// Takes a parameter; nothing where Nix cannot read its value. Nix only warns of those that it
    /// does not know.
    fn take(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "priority" => self.priority = Some(integer(value)?),
            "trusted" => self.is_trusted = flag(value)?,
            "want-mass-query" => drop(flag(value)?),
            "retry-attempts" => self.retry_attempts = value.parse().ok(),
            _ => {}
        }
        Some(())
    }

    /// Returns the address without parameters and without a slash at its end: what a host's own
    /// record of the cache stands under.
    pub fn address(&self) -> &str {
        self.text.split('?').next().unwrap_or_default().trim_end_matches('/')
    }

    /// Returns the text with this priority, instead of the one that it has.
    pub fn with_priority(&self, priority: i32) -> String {
        let (address, query) = self.text.split_once('?').unwrap_or((&self.text, ""));
        let kept =
            query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("priority="));
        let mut text = format!("{address}?");
        for pair in kept {
            let _ = write!(text, "{pair}&");
        }
        let _ = write!(text, "priority={priority}");
        text
    }
}

/// Says what is at an address.
fn kind_of(address: &str) -> StoreKind {
    if let Some((scheme, _)) = address.split_once("://") {
        return match scheme {
            "http" | "https" => StoreKind::Http,
            "s3" => StoreKind::S3,
            "file" => StoreKind::Folder,
            "local" | "unix" => StoreKind::Local,
            "ssh" | "ssh-ng" | "mounted-ssh-ng" => StoreKind::Ssh,
            _ => StoreKind::Unknown,
        };
    }
    match address {
        "" | "auto" | "daemon" | "local" => StoreKind::Local,
        path if path.contains('/') => StoreKind::Local,
        _ => StoreKind::Unknown,
    }
}

/// Reads a truth value of Nix's settings.
pub fn flag(value: &str) -> Option<bool> {
    match value {
        "true" | "yes" | "1" => Some(true),
        "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// Reads a whole number of Nix's settings: a sign may stand before it, `K`, `M`, `G` or `T` after
/// it.
pub fn integer(value: &str) -> Option<i32> {
    let (figures, factor) = match value.bytes().last()?.to_ascii_uppercase() {
        b'K' => (value.split_at(value.len() - 1).0, 1_i64 << 10),
        b'M' => (value.split_at(value.len() - 1).0, 1 << 20),
        b'G' => (value.split_at(value.len() - 1).0, 1 << 30),
        b'T' => (value.split_at(value.len() - 1).0, 1 << 40),
        _ => (value, 1),
    };
    let number: i32 = figures.parse().ok()?;
    i32::try_from(i64::from(number).checked_mul(factor)?).ok()
}

/// Returns in which place Nix asks each of several caches, from 1: the lowest priority first, and
/// as listed among equals. A cache without a priority is left out.
pub fn places(priorities: &[Option<i32>]) -> Vec<Option<u32>> {
    let mut order: Vec<(usize, i32)> = priorities
        .iter()
        .enumerate()
        .filter_map(|(at, priority)| Some((at, (*priority)?)))
        .collect();
    order.sort_by_key(|(_, priority)| *priority);
    let mut places = vec![None; priorities.len()];
    for (place, (at, _)) in (1..).zip(order) {
        places[at] = Some(place);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_word_of_the_setting_is_something_that_nix_asks_or_leaves_out() {
        for (text, kind) in [
            ("https://cache.nixos.org/", StoreKind::Http),
            ("http://p620:5000?priority=10", StoreKind::Http),
            ("s3://b?endpoint=http://s:1", StoreKind::S3),
            ("file:///var/cache/nix", StoreKind::Folder),
            ("daemon", StoreKind::Local),
            ("daemon?priority=3", StoreKind::Local),
            ("auto", StoreKind::Local),
            ("/mnt/store", StoreKind::Local),
            ("./store", StoreKind::Local),
            ("ssh-ng://root@p620", StoreKind::Ssh),
            ("ssh://p620", StoreKind::Ssh),
            ("cachix://x", StoreKind::Unknown),
            ("nonsense", StoreKind::Unknown),
        ] {
            let found = Substituter::parse(text);
            assert_eq!(found.kind, kind, "{text}");
            assert_eq!(found.refused.is_some(), kind == StoreKind::Unknown, "{text}");
        }
    }

    #[test]
    fn trusted_is_what_nix_takes_for_it() {
        // Tried with Nix 2.26.3 and 2.34.8.
        for (query, trusted) in [
            ("", Some(false)),
            ("?trusted=1", Some(true)),
            ("?trusted=yes", Some(true)),
            ("?trusted=true", Some(true)),
            ("?trusted=%31", Some(true)),
            ("?trusted=no", Some(false)),
            ("?trusted", Some(false)),
            ("?foo=1", Some(false)),
            ("?trusted=on", None),
            ("?trusted=TRUE", None),
            ("?trusted=", None),
        ] {
            let found = Substituter::parse(&format!("http://p620:5000{query}"));
            assert_eq!(found.refused.is_none().then_some(found.is_trusted), trusted, "{query}");
        }
    }

    #[test]
    fn a_priority_is_a_number_of_nix_or_the_cache_is_left_out() {
        // Tried with Nix 2.26.3 and 2.34.8.
        for (query, priority) in [
            ("?priority=30", Some(Some(30))),
            ("?priority=-5", Some(Some(-5))),
            ("?priority=1K", Some(Some(1024))),
            ("?trusted=1&priority=3&priority=4", Some(Some(3))),
            ("?priority=abc", None),
            ("?priority=", None),
            ("?priority=abc&priority=3", None),
            ("?priority=99999999999", None),
            ("", Some(None)),
        ] {
            let found = Substituter::parse(&format!("http://p620:5000{query}"));
            assert_eq!(found.refused.is_none().then_some(found.priority), priority, "{query}");
        }
    }

    #[test]
    fn a_priority_is_written_into_an_address_whatever_stands_there() {
        for (text, written) in [
            ("http://a", "http://a?priority=45"),
            ("http://a/?priority=3", "http://a/?priority=45"),
            ("s3://b?endpoint=e&priority=3&region=r", "s3://b?endpoint=e&region=r&priority=45"),
        ] {
            assert_eq!(Substituter::parse(text).with_priority(45), written);
        }
    }

    #[test]
    fn places_go_by_priority_and_then_by_the_list() {
        let none: [Option<u32>; 0] = [];
        assert_eq!(places(&[]), none);
        let found = places(&[Some(40), Some(0), None, Some(-5), Some(40), Some(0)]);
        assert_eq!(found, [Some(4), Some(2), None, Some(1), Some(5), Some(3)]);
    }

    proptest! {
        #[test]
        fn no_word_of_settings_makes_it_panic(text in "\\PC{0,40}") {
            let found = Substituter::parse(&text);
            let _ = (found.address(), found.with_priority(1));
        }
    }
}
