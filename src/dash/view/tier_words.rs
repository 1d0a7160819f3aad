//! Tiers in words: how each is, what is wrong with it and for whom, how big it is.

use crate::dash::theme::Role;
use crate::dash::view::paint::{count, width};
use crate::dash::view::words::{Mark, bytes_of};
use crate::fleet::{
    Fleet, Host, SignatureState, SizeFacts, Tier, TierFacts, TierKind, TierOnHost, TierState, bytes,
};
use std::cmp::Reverse;

/// Most columns of an alarm in words; a longer one is named by its label alone.
const ALARM: usize = 26;

/// Returns how a tier is; it is well only when its signature was proven too, and when nothing that
/// its kind tells is an alarm.
pub(super) fn tier_mark(facts: &TierFacts) -> Mark {
    let alarm = alarm(facts);
    let (sign, word, role) = match (facts.state, facts.signature) {
        (TierState::Up | TierState::Untrusted, SignatureState::Invalid) => {
            ('▲', "bad signature", Role::Error)
        }
        (TierState::Up, SignatureState::Untrusted) => ('▲', "not signed", Role::Error),
        (TierState::Up | TierState::Degraded, _) if alarm.is_some() => {
            return Mark::new('▲', alarm.unwrap_or_default(), Role::Warn);
        }
        (TierState::Up, SignatureState::Valid) => ('●', "up", Role::Ok),
        (TierState::Up, SignatureState::Unchecked) => ('●', "up", Role::Text),
        (TierState::Slow, _) => ('▲', "slow", Role::Warn),
        (TierState::Untrusted, _) => ('▲', "untrusted", Role::Error),
        (TierState::NarMissing, _) => ('▲', "nar missing", Role::Error),
        (TierState::Proxy, _) => ('▲', "proxy", Role::Error),
        (TierState::Unauthorized, _) => ('▲', "unauthorized", Role::Error),
        (TierState::WrongStore, _) => ('▲', "wrong store", Role::Error),
        (TierState::Degraded, _) => ('▲', "degraded", Role::Warn),
        (TierState::Down, _) => ('▲', "down", Role::Error),
        (TierState::Unknown, _) if facts.error.is_some() => ('–', "not asked", Role::Warn),
        (TierState::Unknown, _) => ('–', "unknown", Role::Dim),
    };
    Mark::new(sign, word, role)
}

/// Returns how many hosts' own stores answer, `3 of 4`, where that is not all of them; no alarm: a
/// laptop may be asleep. Nothing of other tiers, or of one that is not up.
pub(super) fn stores_up(fleet: &Fleet, tier: &Tier, facts: &TierFacts) -> Option<String> {
    if tier.kind != TierKind::Local || facts.state != TierState::Up {
        return None;
    }
    let is_up = |host: &&Host| {
        facts.hosts.get(&host.name).is_some_and(|on_host| on_host.state == TierState::Up)
    };
    let up = fleet.hosts.iter().filter(is_up).count();
    (up < fleet.hosts.len()).then(|| format!("{up} of {}", fleet.hosts.len()))
}

/// Returns the first alarm of a tier in a few words: `2 of 3 servers`, `token expires in 3 d`.
fn alarm(facts: &TierFacts) -> Option<String> {
    let detail = facts.details.iter().find(|detail| detail.alarm)?;
    let text = detail.text.split([';', ':', ',']).next().unwrap_or_default();
    let text =
        text.split(" in ").next().filter(|text| text.contains(" of ")).unwrap_or(text).trim();
    let says_what = text.contains(detail.label.trim_end_matches('s'));
    // SeaweedFS has no other servers that could be missed.
    let text = text.replace("volume servers", "servers");
    let words = if says_what { text } else { format!("{} {text}", detail.label) };
    Some(if width(&words) <= ALARM { words } else { detail.label.clone() })
}

/// Returns whether a tier is known to be of no use as it is.
pub(in crate::dash) fn is_bad(facts: &TierFacts) -> bool {
    trouble(facts).is_some()
}

/// Returns whether a tier is named beside what tiers hold: one that no host asks only when
/// something is wrong with it.
pub(super) fn is_named_with_coverage(tier: &Tier, facts: &TierFacts) -> bool {
    tier.kind.is_substituter() || is_bad(facts)
}

/// Returns what is known to be wrong with a tier, in a word or a few.
pub(in crate::dash) fn trouble(facts: &TierFacts) -> Option<String> {
    let mark = tier_mark(facts);
    matches!(mark.role, Role::Warn | Role::Error).then_some(mark.word)
}

/// Returns why a tier that is in trouble serves hosts nothing; none when it still serves. Of one
/// that no host asks, it says what nixdash met.
pub(super) fn why_useless(kind: TierKind, facts: &TierFacts) -> Option<&'static str> {
    let asked = kind.is_substituter();
    Some(match (facts.state, facts.signature) {
        (TierState::Unauthorized, _) if asked => "Nix skips this tier without a word",
        (TierState::Unauthorized, _) => "it does not let nixdash in",
        (TierState::WrongStore, _) => "Nix refuses a tier of another store",
        (TierState::Up | TierState::Untrusted, SignatureState::Invalid) => {
            "Nix refuses what it serves"
        }
        (TierState::Untrusted, _) => "no host trusts what it serves",
        (TierState::NarMissing, _) => "hosts fail on what it does not serve",
        (TierState::Proxy, _) => "the proxy on the way lets nobody through",
        (TierState::Down, _) if asked => "no answer: hosts go on without it",
        (TierState::Down, _) => "no answer",
        (TierState::Up, SignatureState::Untrusted) => "what it serves lacks its signature",
        (TierState::Up | TierState::Slow | TierState::Degraded | TierState::Unknown, _) => {
            return None;
        }
    })
}

/// Returns whether a tier is not for a host what it should be. A host that does not ask it is no
/// trouble where the probe found none: it may be the host's own store.
pub(super) fn is_bad_on_host(on_host: &TierOnHost) -> bool {
    on_host.error.is_some()
        || on_host.trusted == Some(false)
        || !matches!(on_host.state, TierState::Up | TierState::Slow | TierState::Unknown)
}

/// Returns what is dead in stores, in words: `at most 31.2 kB dead in 1 path`, `nothing dead`.
pub fn dead_words(dead_bytes: u64, dead_paths: u64) -> String {
    match dead_paths {
        0 => "nothing dead".to_owned(),
        1 => format!("at most {} dead in 1 path", bytes(dead_bytes)),
        paths => format!("at most {} dead in {} paths", bytes(dead_bytes), count(paths)),
    }
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

/// Returns a tier's size with its limit: `81.2 of 100 GB`; `≥` stands where there may be more.
pub(super) fn size_words(size: &SizeFacts) -> String {
    let least = if size.exact { "" } else { "≥ " };
    match size.limit {
        Some(limit) => format!("{least}{}", bytes_of(size.bytes, limit)),
        None => format!("{least}{}", bytes(size.bytes)),
    }
}

/// Returns the filled share of a tier that has a limit; more than 1 when it is over it.
pub(super) fn fullness(size: &SizeFacts) -> Option<f64> {
    let limit = size.limit.filter(|limit| *limit > 0)?;
    Some(size.bytes as f64 / limit as f64)
}

/// Returns whether a tier is about to be full, as far as its size is known exactly.
pub(super) fn is_nearly_full(size: &SizeFacts) -> bool {
    const NEARLY: f64 = 0.9;
    size.exact && fullness(size).is_some_and(|share| share >= NEARLY)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Detail;

    #[test]
    fn tiers_are_named_where_their_address_is_whole() {
        let fleet = crate::dash::demo::fleet();
        let known = tier_names(&fleet, "copying path 'a' from 'http://p620.lan:5000'");
        assert_eq!(known, "copying path 'a' from 'p620'");
        let other = "http://p620.lan:50001, http://p620.lan:5000/nar";
        assert_eq!(tier_names(&fleet, other), other);
    }

    #[test]
    fn hosts_wait_only_for_what_they_ask() {
        let down = TierFacts { state: TierState::Down, ..TierFacts::default() };
        assert!(why_useless(TierKind::Http, &down).unwrap().contains("hosts"));
        for kind in [TierKind::GithubActions, TierKind::Local] {
            for state in [TierState::Down, TierState::Unauthorized] {
                let facts = TierFacts { state, ..TierFacts::default() };
                let why = why_useless(kind, &facts).unwrap();
                assert!(!why.contains("hosts") && !why.contains("Nix"), "{why}");
            }
        }
    }

    #[test]
    fn a_tier_that_could_not_be_asked_is_neither_down_nor_fine() {
        let facts = TierFacts { error: Some("no token".to_owned()), ..TierFacts::default() };
        assert_eq!(tier_mark(&facts).text(), "– not asked");
        assert!(is_bad(&facts) && !is_bad(&TierFacts::default()));
        assert_eq!(why_useless(TierKind::Http, &facts), None);
    }

    #[test]
    fn an_alarm_says_in_a_few_words_what_it_is() {
        for (label, text, words) in [
            ("servers", "2 of 3 volume servers; 10.0.0.7:8080 is gone", "2 of 3 servers"),
            ("replication", "not held: 8 volumes with one copy", "replication not held"),
            ("token", "may pull; expires in 3 d: hosts skip it then", "token may pull"),
            ("usage", "9.62 of 10.0 GB in 41 entries; what was", "usage 9.62 of 10.0 GB"),
            ("token", "expires in 3 d: hosts skip it then", "token expires in 3 d"),
            ("room", "2 of 60 volumes more can be made", "room"),
        ] {
            let (label, text) = (label.to_owned(), text.to_owned());
            let details = vec![Detail { label, text, alarm: true }];
            let facts = TierFacts { state: TierState::Up, details, ..TierFacts::default() };
            assert_eq!(tier_mark(&facts).text(), format!("▲ {words}"));
        }
    }
}
