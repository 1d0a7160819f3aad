//! Tiers in words: how each is, what is wrong with it and for whom, how big it is.

use crate::dash::theme::Role;
use crate::dash::widgets::text::{count, width};
use crate::dash::words::{Mark, bytes_of, finding_role};
use crate::fleet::words::{spoken, tiers};
use crate::fleet::{
    Finding, Fleet, Host, KindName, Severity, SignatureState, SizeFacts, Tier, TierFacts,
    TierOnHost, TierState, bytes, troubles, worst,
};
use std::cmp::Reverse;

/// Most columns of what is wrong in a few words; a longer one is named by its label alone.
const SHORT: usize = 26;

/// Returns how a tier is: what is worst of what is wrong with it, else its state.
pub(in crate::dash) fn tier_mark(facts: &TierFacts) -> Mark {
    let is_unknown = facts.state == TierState::Unknown;
    if let Some(finding) = worst(&facts.findings) {
        let sign = if is_unknown { '–' } else { '▲' };
        return Mark::new(sign, in_short(finding), finding_role(finding));
    }
    if is_silenced(&facts.findings) {
        let sign = if facts.state == TierState::Up { '●' } else { '▲' };
        return Mark::new(sign, format!("{}, silenced", spoken(facts.state.word())), Role::Dim);
    }
    let (sign, role) = match (facts.state, facts.signature) {
        (TierState::Up, SignatureState::Valid) => ('●', Role::Ok),
        (TierState::Up, _) => ('●', Role::Text),
        (TierState::Slow | TierState::Degraded, _) => ('▲', Role::Warn),
        (
            TierState::Untrusted
            | TierState::NarMissing
            | TierState::Malformed
            | TierState::Proxy
            | TierState::Unauthorized
            | TierState::WrongStore
            | TierState::Down,
            _,
        ) => ('▲', Role::Error),
        (TierState::Unknown, _) => ('–', Role::Dim),
    };
    Mark::new(sign, facts.state_words(), role)
}

/// Returns a finding in a few words: `2 of 3 servers`, `token expires in 3 d`.
fn in_short(finding: &Finding) -> String {
    let words = finding.words();
    if width(words) <= SHORT { words.to_owned() } else { finding.code.label().to_owned() }
}

/// Returns how many hosts' own stores answer, `3 of 4`, where that is not all of them; no alarm: a
/// laptop may be asleep. Nothing of other tiers, or of one that is not up.
pub(in crate::dash) fn stores_up(fleet: &Fleet, tier: &Tier, facts: &TierFacts) -> Option<String> {
    if tier.kind.name() != KindName::Local || facts.state != TierState::Up {
        return None;
    }
    let is_up = |host: &&Host| {
        facts.hosts.get(&host.name).is_some_and(|on_host| on_host.state == TierState::Up)
    };
    let up = fleet.hosts.iter().filter(is_up).count();
    (up < fleet.hosts.len()).then(|| format!("{up} of {}", fleet.hosts.len()))
}

/// Returns whether a tier is known to be of no use as it is.
pub(in crate::dash) fn is_bad(facts: &TierFacts) -> bool {
    trouble(facts).is_some()
}

/// Returns whether a tier is named beside what tiers hold: one that no host asks only when
/// something is wrong with it.
pub(in crate::dash) fn is_named_with_coverage(tier: &Tier, facts: &TierFacts) -> bool {
    tier.kind.is_substituter() || is_bad(facts)
}

/// Returns whether all that is wrong is silenced, and something is.
fn is_silenced(findings: &[Finding]) -> bool {
    let mut wrong = findings.iter().filter(|finding| finding.severity > Severity::Note).peekable();
    wrong.peek().is_some() && wrong.all(Finding::is_silenced)
}

/// Returns what is known to be wrong with a tier, in a word or a few.
pub(in crate::dash) fn trouble(facts: &TierFacts) -> Option<String> {
    let is_well = is_silenced(&facts.findings)
        || match facts.state {
            TierState::Up | TierState::Unknown => worst(&facts.findings).is_none(),
            TierState::Slow
            | TierState::Degraded
            | TierState::Unauthorized
            | TierState::WrongStore
            | TierState::Untrusted
            | TierState::NarMissing
            | TierState::Malformed
            | TierState::Proxy
            | TierState::Down => false,
        };
    (!is_well).then(|| tier_mark(facts).word)
}

/// Returns why a tier that is in trouble serves hosts nothing; none when it still serves. Of one
/// that no host asks, it says what nixdash met.
pub(in crate::dash) fn why_useless(kind: KindName, facts: &TierFacts) -> Option<&'static str> {
    let trouble = troubles(&facts.findings);
    trouble.into_iter().find_map(|finding| tiers::consequence(kind, finding.code))
}

/// Returns whether a tier is not for a host what it should be. A host that does not ask it is no
/// trouble where the probe found none: it may be the host's own store.
pub(in crate::dash) fn is_bad_on_host(on_host: &TierOnHost) -> bool {
    if is_silenced(&on_host.findings) {
        return false;
    }
    worst(&on_host.findings).is_some()
        || on_host.trusted == Some(false)
        || !matches!(on_host.state, TierState::Up | TierState::Slow | TierState::Unknown)
}

/// Returns what is garbage in stores, in words: `at most 31.2 kB of garbage in 1 path`, `nothing to collect`.
pub fn dead_words(dead_bytes: u64, dead_paths: u64) -> String {
    match dead_paths {
        0 => "nothing to collect".to_owned(),
        1 => format!("at most {} of garbage in 1 path", bytes(dead_bytes)),
        paths => format!("at most {} of garbage in {} paths", bytes(dead_bytes), count(paths)),
    }
}

/// Returns what the proof of a tier's signature found.
pub(in crate::dash) fn signature_mark(tier: &Tier, facts: &TierFacts) -> Mark {
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
pub(in crate::dash) fn size_words(size: &SizeFacts) -> String {
    let least = if size.exact { "" } else { "≥ " };
    match size.limit {
        Some(limit) => format!("{least}{}", bytes_of(size.bytes, limit)),
        None => format!("{least}{}", bytes(size.bytes)),
    }
}

/// Returns a text in which tiers are called by their names instead of their addresses.
pub(in crate::dash) fn tier_names(fleet: &Fleet, text: &str) -> String {
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
    use crate::fleet::Code;
    use crate::fleet::words::clusters;

    #[test]
    fn tiers_are_named_where_their_address_is_whole() {
        let fleet = crate::dash::demo::fleet();
        let known = tier_names(&fleet, "copying path 'a' from 'http://p620.lan:5000'");
        assert_eq!(known, "copying path 'a' from 'p620'");
        let other = "http://p620.lan:50001, http://p620.lan:5000/nar";
        assert_eq!(tier_names(&fleet, other), other);
    }

    /// Facts of a tier in a state because of something.
    fn facts(state: TierState, code: Code) -> TierFacts {
        let tier = Tier::new("weed", KindName::Http, "http://weed:8333/b");
        TierFacts::of(state, Finding::of_tier(&tier, code, "it happened", "fix it"))
    }

    #[test]
    fn hosts_wait_only_for_what_they_ask() {
        let down = facts(TierState::Down, Code::TierUnreachable);
        assert!(why_useless(KindName::Http, &down).unwrap().contains("hosts"));
        for kind in [KindName::GithubActions, KindName::Local] {
            for code in [Code::TierUnreachable, Code::AccessDenied] {
                let why = why_useless(kind, &facts(TierState::Down, code)).unwrap();
                assert!(!why.contains("hosts") && !why.contains("Nix"), "{why}");
            }
        }
    }

    #[test]
    fn a_tier_that_could_not_be_asked_is_neither_down_nor_fine() {
        let facts = facts(TierState::Unknown, Code::SetupFailed);
        assert_eq!(tier_mark(&facts).text(), "– not asked");
        assert!(is_bad(&facts) && !is_bad(&TierFacts::default()));
        assert_eq!(why_useless(KindName::Http, &facts), None);
    }

    #[test]
    fn a_tier_is_called_by_what_is_worst_in_a_few_words() {
        let mut facts = facts(TierState::Degraded, Code::CopiesMissing);
        assert_eq!(tier_mark(&facts).text(), "▲ replication");
        let tier = Tier::new("weed", KindName::Seaweedfs, "http://weed:8333/b");
        facts.findings.push(clusters::volumes_lost(&tier, 2, "3, 4"));
        assert_eq!(tier_mark(&facts), Mark::new('▲', "2 volumes lost", Role::Error));
        let long = facts.findings[1].clone().in_short(&"long ".repeat(9));
        facts.findings = vec![long];
        assert_eq!(tier_mark(&facts).text(), "▲ volumes lost", "what has no room is the label");
    }

    #[test]
    fn a_note_is_no_trouble() {
        let facts = facts(TierState::Up, Code::OnBattery);
        assert!(!is_bad(&facts));
        assert_eq!(tier_mark(&facts).text(), "● up");
    }

    #[test]
    fn a_tier_whose_trouble_is_silenced_is_no_alarm_and_says_so() {
        use crate::fleet::{Alarms, Silence, SilenceEnd, SilenceOrigin};
        let mut facts = facts(TierState::Down, Code::TierUnreachable);
        let silence = Silence {
            code: Code::TierUnreachable,
            host: None,
            tier: Some("weed".to_owned()),
            reason: "it moves".to_owned(),
            until: SilenceEnd::Day(jiff::civil::Date::constant(2026, 12, 24)),
            severity: None,
            detail: None,
            origin: SilenceOrigin::HostsToml,
        };
        let alarms = Alarms { silences: vec![silence], ..Alarms::default() };
        let at = |text: &str| -> jiff::Timestamp { text.parse().unwrap() };
        alarms.silence_tier(&mut facts, at("2026-12-01T00:00:00Z"));
        assert_eq!(tier_mark(&facts), Mark::new('▲', "down, silenced", Role::Dim));
        assert!(!is_bad(&facts));
        alarms.silence_tier(&mut facts, at("2026-12-25T00:00:00Z"));
        assert!(is_bad(&facts), "its time is over");
    }
}
