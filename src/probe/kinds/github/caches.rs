//! The caches of GitHub Actions as GitHub lists them, and what is to be said of them. Pure.
//!
//! One key is written per state of the inputs (`nix-Linux-<hash>`), so keys are gathered into
//! families: what comes before the first hash. The Magic Nix Cache keeps one entry per file.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How much a repository may keep when it does not pay for more, in bytes.
pub(super) const LIMIT: u64 = 10 << 30;

/// An entry that was not used for so long is removed.
pub(super) const UNUSED_LIMIT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// An entry that is removed within this time is about to be.
const SOON: SignedDuration = SignedDuration::from_hours(24);

/// How much a repository keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Usage {
    #[serde(rename = "active_caches_size_in_bytes")]
    pub(super) bytes: u64,
    #[serde(rename = "active_caches_count")]
    pub(super) count: u64,
}

/// One page of the list of entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CachesPage {
    /// Entries in all.
    pub(super) total_count: u64,
    #[serde(rename = "actions_caches")]
    pub(super) entries: Vec<Entry>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    key: String,
    last_accessed_at: Timestamp,
    created_at: Timestamp,
    size_in_bytes: u64,
}

/// Entries whose keys begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Family {
    /// What keys have before their first hash.
    pub(super) name: String,
    pub(super) entries: u64,
    pub(super) bytes: u64,
    /// When any of them was used last.
    pub(super) used_at: Timestamp,
    /// How many were used again after they were made.
    pub(super) reused: u64,
    /// How many are removed within a day unless they are used.
    pub(super) leaving: u64,
}

/// Gathers entries into families, the biggest first.
pub(super) fn families(entries: &[Entry], now: Timestamp) -> Vec<Family> {
    let mut found: BTreeMap<String, Family> = BTreeMap::new();
    for entry in entries {
        let name = family(&entry.key);
        let family = found.entry(name.clone()).or_insert_with(|| Family {
            name,
            entries: 0,
            bytes: 0,
            used_at: entry.last_accessed_at,
            reused: 0,
            leaving: 0,
        });
        family.entries += 1;
        family.bytes = family.bytes.saturating_add(entry.size_in_bytes);
        family.used_at = family.used_at.max(entry.last_accessed_at);
        // Making an entry sets both times, a moment apart.
        let between = entry.last_accessed_at.duration_since(entry.created_at);
        family.reused += u64::from(between > SignedDuration::from_secs(60));
        let unused = now.duration_since(entry.last_accessed_at);
        family.leaving += u64::from(unused > UNUSED_LIMIT - SOON);
    }
    let mut families: Vec<Family> = found.into_values().collect();
    families.sort_by_key(|family| std::cmp::Reverse(family.bytes));
    families
}

/// Returns what a key has before its first hash.
fn family(key: &str) -> String {
    if is_of_hestia(key) {
        return "hestia".to_owned();
    }
    for (ending, name) in [(".narinfo", "narinfos"), (".nar", "nars")] {
        if let Some((hash, _)) = key.split_once(ending)
            && is_hash(hash)
        {
            return format!("Magic Nix Cache {name}");
        }
    }
    let mut at = 0;
    for word in key.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        if is_hash(bare) {
            return match &key[..at] {
                "" => "(hashes)".to_owned(),
                prefix => prefix.to_owned(),
            };
        }
        at += word.len();
    }
    key.to_owned()
}

/// Returns whether a key is one of hestia's: `m#N` for the list of what it has, `pack-<64 hex digits>`
/// for the files themselves.
fn is_of_hestia(key: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    key.strip_prefix("m#").is_some_and(number)
        || key.strip_prefix("pack-").is_some_and(|hash| hash.len() == 64 && hex(hash))
}

/// Returns whether a word is a hash, a commit, or another number that no two runs share.
fn is_hash(word: &str) -> bool {
    let hex = word.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let base32 = matches!(word.len(), 32 | 52)
        && word.bytes().all(|b| b"0123456789abcdfghijklmnpqrsvwxyz".contains(&b));
    (hex && digits > 0 && word.len() >= 7) || base32
}

/// What GitHub says of the token and of how often it may be asked, in headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Headers {
    /// Requests in an hour.
    pub(super) limit: Option<u64>,
    /// Requests that are left.
    pub(super) remaining: Option<u64>,
    /// When the count begins again.
    pub(super) reset: Option<Timestamp>,
    /// What a classic token may do; empty for one that may do nothing but read what is public.
    pub(super) scopes: Option<String>,
    /// When the token expires.
    pub(super) expires: Option<Timestamp>,
}

impl Headers {
    /// Reads them; `header` returns one by its name.
    pub(super) fn read(header: impl Fn(&str) -> Option<String>) -> Self {
        let number = |name| header(name).and_then(|text| text.trim().parse::<u64>().ok());
        let seconds = number("x-ratelimit-reset").and_then(|seconds| i64::try_from(seconds).ok());
        Self {
            limit: number("x-ratelimit-limit"),
            remaining: number("x-ratelimit-remaining"),
            reset: seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()),
            scopes: header("x-oauth-scopes"),
            expires: header("github-authentication-token-expiration")
                .and_then(|text| expiry(&text)),
        }
    }
}

/// Reads `2026-12-01 08:00:00 UTC`, or the same with an offset such as `+0200`.
fn expiry(text: &str) -> Option<Timestamp> {
    let text = text.trim().replace("UTC", "+0000");
    jiff::fmt::strtime::parse("%Y-%m-%d %H:%M:%S %z", &text).ok()?.to_timestamp().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_families_up_to_the_first_hash() {
        let sha = "3f786850e387550fdab836ed7e6dc881de23001b";
        for (key, expected) in [
            (format!("nix-Linux-{sha}"), "nix-Linux-"),
            (format!("nix-Linux-{sha}-{sha}"), "nix-Linux-"),
            ("cargo_build/main_1a2b3c4d".to_owned(), "cargo_build/main_"),
            ("nix-1234567890-x".to_owned(), "nix-"),
            ("nix-decade-facade".to_owned(), "nix-decade-facade"),
            (
                "p21fy4sc5b87h3ma8y0mbiph36v5yfk7.narinfo-aB3x".to_owned(),
                "Magic Nix Cache narinfos",
            ),
            (
                "0p3l2z3riilylr2rxb1aq2blxdfxg55wbgp4gxkns93srbr4bwyq.nar.zstd-Zz09".to_owned(),
                "Magic Nix Cache nars",
            ),
            ("m#12".to_owned(), "hestia"),
            (format!("pack-{}", "0123456789abcdef".repeat(4)), "hestia"),
            ("m#x".to_owned(), "m#x"),
            ("pack-0123456789abcdef".to_owned(), "pack-"),
            (sha.to_owned(), "(hashes)"),
            ("plain".to_owned(), "plain"),
            (String::new(), ""),
        ] {
            assert_eq!(family(&key), expected, "{key}");
        }
    }

    #[test]
    fn a_family_knows_its_bytes_its_last_use_and_what_leaves_it() {
        let page: CachesPage =
            serde_json::from_str(include_str!("../../../../tests/answers/github/caches.json"))
                .unwrap();
        let now: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
        let families = families(&page.entries, now);
        assert_eq!(families[0].name, "nix-Linux-");
        assert_eq!((families[0].entries, families[0].bytes), (2, 5_368_709_120));
        assert_eq!(families[0].used_at, "2026-11-21T06:12:44.136666700Z".parse().unwrap());
        assert_eq!((families[0].reused, families[0].leaving), (1, 1));
        let names: Vec<&str> = families.iter().map(|family| family.name.as_str()).collect();
        assert_eq!(names, ["nix-Linux-", "Magic Nix Cache nars", "Magic Nix Cache narinfos"]);
        assert_eq!(families[2].leaving, 1);
    }

    #[test]
    fn headers_tell_limits_scopes_and_expiry() {
        let headers = Headers::read(|name| {
            let value = match name {
                "x-ratelimit-limit" => "5000",
                "x-ratelimit-remaining" => "4987",
                "x-ratelimit-reset" => "1795255200",
                "x-oauth-scopes" => "repo, workflow",
                "github-authentication-token-expiration" => "2026-12-01 08:00:00 UTC",
                _ => return None,
            };
            Some(value.to_owned())
        });
        assert_eq!((headers.limit, headers.remaining), (Some(5000), Some(4987)));
        assert_eq!(headers.expires, "2026-12-01T08:00:00Z".parse().ok());
        assert_eq!(expiry("2026-12-01 08:00:00 +0200"), "2026-12-01T06:00:00Z".parse().ok());
        assert_eq!(expiry("soon"), None);
        assert_eq!(Headers::read(|_| None), Headers::default());
    }
}
