//! States in words: a sign, a word and a role for each, the same in every view.

use crate::dash::model::{HostView, Model, age};
use crate::dash::theme::Role;
use crate::fleet::{
    Fleet, HostFacts, HostState, Outcome, SignatureState, StorePath, Tier, TierFacts, TierState,
    ago, bytes,
};
use jiff::Timestamp;
use std::cmp::Reverse;

/// A state as it is shown: never by its colour alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The sign.
    pub(super) sign: char,
    /// The word.
    pub(super) word: String,
    /// What it means.
    pub(super) role: Role,
}

impl Mark {
    fn new(sign: char, word: impl Into<String>, role: Role) -> Self {
        Self { sign, word: word.into(), role }
    }

    /// Returns sign and word.
    pub(super) fn text(&self) -> String {
        format!("{} {}", self.sign, self.word)
    }
}

/// Returns how a host is.
pub(super) fn host_mark(view: &HostView) -> Mark {
    match view.facts.state {
        HostState::Up => Mark::new('●', "ok", Role::Ok),
        HostState::Degraded => Mark::new('▲', degraded(&view.facts), Role::Warn),
        HostState::Unreachable => Mark::new('○', "offline", Role::Dim),
        HostState::Denied => Mark::new('✗', "denied", Role::Error),
        HostState::Unknown if view.asking => Mark::new('–', "asking", Role::Dim),
        HostState::Unknown => Mark::new('–', "unknown", Role::Dim),
    }
}

/// Returns what is wrong with a host that answers.
fn degraded(facts: &HostFacts) -> String {
    match facts.failed_units.as_ref().map(Vec::len) {
        Some(count) if count > 0 => format!("{count} failed"),
        Some(_) | None => facts.system_state.clone().unwrap_or_else(|| "degraded".to_owned()),
    }
}

/// Returns what an active run does to a host, with how far it is.
pub(super) fn busy_mark(model: &Model, name: &str) -> Option<Mark> {
    let host = model.busy(name)?;
    let word = match host.current() {
        Some((phase, _)) => match host.share() {
            Some(share) => format!("{} {}", phase.short(), crate::fleet::percent(share)),
            None => phase.word().to_owned(),
        },
        None if host.phases.is_empty() => "waits".to_owned(),
        None => "working".to_owned(),
    };
    Some(Mark::new('◐', word, Role::Busy))
}

/// Returns how a tier is; it is well only when its signature was proven too.
pub(super) fn tier_mark(facts: &TierFacts) -> Mark {
    match (facts.state, facts.signature) {
        (TierState::Up, SignatureState::Invalid) => Mark::new('▲', "bad signature", Role::Error),
        (TierState::Up, SignatureState::Untrusted) => Mark::new('▲', "not signed", Role::Error),
        (TierState::Up, SignatureState::Valid) => Mark::new('●', "up", Role::Ok),
        (TierState::Up, SignatureState::Unchecked) => Mark::new('●', "up", Role::Text),
        (TierState::Slow, _) => Mark::new('▲', "slow", Role::Warn),
        (TierState::Untrusted, _) => Mark::new('▲', "untrusted", Role::Error),
        (TierState::NarMissing, _) => Mark::new('▲', "nar missing", Role::Error),
        (TierState::Proxy, _) => Mark::new('▲', "proxy", Role::Error),
        (TierState::Unauthorized, _) => Mark::new('▲', "unauthorized", Role::Error),
        (TierState::WrongStore, _) => Mark::new('▲', "wrong store", Role::Error),
        (TierState::Degraded, _) => Mark::new('▲', "degraded", Role::Warn),
        (TierState::Down, _) => Mark::new('▲', "down", Role::Error),
        (TierState::Unknown, _) => Mark::new('–', "unknown", Role::Dim),
    }
}

/// Returns whether a tier is known to be of no use as it is.
pub(in crate::dash) fn is_bad(facts: &TierFacts) -> bool {
    matches!(tier_mark(facts).role, Role::Warn | Role::Error)
}

/// Returns what the proof of a tier's signature found.
pub(super) fn signature_mark(tier: &Tier, facts: &TierFacts) -> Mark {
    let key = tier.public_key.as_ref().map_or("its key", |key| key.name.as_str());
    match facts.signature {
        SignatureState::Valid => Mark::new('✓', format!("signed {key}"), Role::Ok),
        SignatureState::Invalid => {
            Mark::new('▲', format!("signature does not verify under {key}"), Role::Error)
        }
        SignatureState::Untrusted => Mark::new('▲', format!("not signed by {key}"), Role::Error),
        SignatureState::Unchecked => Mark::new('–', "signature unchecked", Role::Dim),
    }
}

/// Returns how a host's run ended.
pub(super) fn outcome_mark(outcome: Outcome) -> Mark {
    let (sign, role) = match outcome {
        Outcome::Switched | Outcome::Booted | Outcome::Tested => ('●', Role::Ok),
        Outcome::Dry | Outcome::Unchanged => ('●', Role::Text),
        Outcome::NeedsReboot => ('▲', Role::Warn),
        Outcome::Degraded => ('▲', Role::Error),
        Outcome::RolledBack | Outcome::Failed => ('✗', Role::Error),
        Outcome::Interrupted => ('✗', Role::Warn),
        Outcome::Offline => ('○', Role::Warn),
        Outcome::Skipped => ('○', Role::Dim),
    };
    Mark::new(sign, outcome.word(), role)
}

/// Returns a system that fits in a line: its name, and the first letters of its hash.
pub(super) fn system_words(path: &StorePath) -> String {
    let name = path.name();
    let name = name.strip_prefix("nixos-system-").unwrap_or(name);
    format!("{name} ({})", &path.hash()[..8])
}

/// Returns two sizes with one unit where both have the same: `41.2 of 43.0 MB`.
pub(super) fn bytes_of(have: u64, total: u64) -> String {
    let (have, total) = (bytes(have), bytes(total));
    match (have.rsplit_once(' '), total.rsplit_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => format!("{number} of {total}"),
        _ => format!("{have} of {total}"),
    }
}

/// Returns a text in which store paths are names alone: without the store and the hash.
pub(super) fn short_paths(text: &str) -> String {
    const STORE: &str = "/nix/store/";
    const HASH: usize = 32;
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(STORE) {
        let (before, path) = (&rest[..at], &rest[at + STORE.len()..]);
        let hash = path.bytes().take_while(u8::is_ascii_alphanumeric).count();
        out.push_str(before);
        if hash == HASH && path[HASH..].starts_with('-') {
            rest = &path[HASH + 1..];
        } else {
            out.push_str(STORE);
            rest = path;
        }
    }
    out.push_str(rest);
    out
}

/// Returns a text in which tiers are called by their names instead of their addresses.
pub(super) fn tier_names(fleet: &Fleet, text: &str) -> String {
    let mut text = text.to_owned();
    let mut tiers: Vec<&Tier> = fleet.tiers.iter().filter(|tier| !tier.url.is_empty()).collect();
    tiers.sort_by_key(|tier| Reverse(tier.url.len()));
    for tier in tiers {
        let mut from = 0;
        while let Some(at) = text[from..].find(&tier.url).map(|at| at + from) {
            let end = at + tier.url.len();
            // Another address may begin with this one.
            if text[end..].starts_with(|c: char| c.is_alphanumeric() || "/.:?-_".contains(c)) {
                from = end;
            } else {
                text.replace_range(at..end, &tier.name);
                from = at + tier.name.len();
            }
        }
    }
    text
}

/// Returns how long ago something was, for a sentence: `now`, `7 s ago`, `3 h ago`.
pub(super) fn since(now: Timestamp, then: Timestamp) -> String {
    match age(now, then) {
        age if age.as_secs() == 0 => "now".to_owned(),
        age => format!("{} ago", ago(age)),
    }
}

/// Returns NixOS's version without what follows its third part.
pub(super) fn short_version(version: &str) -> String {
    version.splitn(4, '.').take(3).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_paths_are_shortened_to_their_names() {
        let hash = "2c4f8d1a2c4f8d1a2c4f8d1a2c4f8d1a";
        let line = format!("copying path '/nix/store/{hash}-linux-6.12' from 'http://p620:5000'");
        assert_eq!(short_paths(&line), "copying path 'linux-6.12' from 'http://p620:5000'");
        let fleet = crate::dash::demo::fleet();
        let known = tier_names(&fleet, "copying path 'a' from 'http://p620.lan:5000'");
        assert_eq!(known, "copying path 'a' from 'p620'");
        let other = "http://p620.lan:50001, http://p620.lan:5000/nar";
        assert_eq!(tier_names(&fleet, other), other);
        let two = format!("/nix/store/{hash}-a/nix/store/{hash}-b/bin");
        assert_eq!(short_paths(&two), "ab/bin");
        for whole in ["/nix/store/.links", "/nix/store/", "no path", "/nix/store/äöü-x"] {
            assert_eq!(short_paths(whole), whole);
        }
    }
}
