//! What is wrong with hosts and tiers and what to do, as lines below a table.

use crate::fleet::{Code, Finding, TierFacts, grouped, troubles};
use crate::probe::Snapshot;

/// Returns whether something is told elsewhere: that hosts.toml is not trusted is told once.
fn is_told_once(finding: &Finding) -> bool {
    finding.code == Code::FileNotTrusted
}

/// Returns a line per thing that is wrong with a host; each names it.
pub(super) fn of_hosts(found: &Snapshot) -> impl Iterator<Item = String> {
    let wrong = found.hosts.iter().flat_map(|(_, facts)| troubles(&facts.findings));
    wrong.filter(|finding| !is_told_once(finding)).map(Finding::sentence)
}

/// Returns a line per thing that is wrong with a tier, and one per thing that is wrong with it for
/// hosts; hosts that have the same trouble are named together.
pub(super) fn of_tiers(found: &Snapshot) -> Vec<String> {
    found.tiers.iter().flat_map(|(name, facts)| of_tier(name, facts)).collect()
}

/// Returns a line per finding that is silenced, each with whom it is about; nothing when
/// none is.
pub(super) fn silenced(found: &Snapshot) -> Vec<String> {
    let silenced = found.findings().filter(|finding| finding.is_silenced());
    let lines = silenced.map(|finding| {
        let tier = finding.subject.tier_name().map(|tier| format!("{tier}: ")).unwrap_or_default();
        format!("  {tier}{} [{}]", finding.sentence(), finding.code)
    });
    let lines: Vec<String> = lines.collect();
    let count = lines.len();
    let head = (count > 0).then(|| {
        format!("{count} {} silenced:", if count == 1 { "finding is" } else { "findings are" })
    });
    head.into_iter().chain(lines).collect()
}

/// Returns the lines of one tier.
fn of_tier(name: &str, facts: &TierFacts) -> Vec<String> {
    let line = |finding: &Finding| format!("{name}: {}", finding.sentence());
    let mut notes: Vec<String> = troubles(&facts.findings).into_iter().map(line).collect();
    let on_hosts = facts.hosts.iter().map(|(host, found)| (host.as_str(), &found.findings[..]));
    // What is told of the tier need not be told of a host again.
    let is_told =
        |finding: &Finding| facts.findings.iter().any(|known| known.says_the_same(finding));
    let groups = grouped(on_hosts)
        .into_iter()
        .filter(|(_, finding)| !is_told(finding) && !is_told_once(finding));
    notes.extend(
        groups.map(|(hosts, finding)| {
            format!("{name} on {}: {}", hosts.join(", "), finding.sentence())
        }),
    );
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::words::{clusters, kinds, on_host};
    use crate::fleet::{Finding, KindName, Tier, TierOnHost, TierState};

    #[test]
    fn that_a_file_is_not_trusted_is_not_told_of_each_host() {
        use crate::fleet::words::hosts::not_asked;
        use crate::fleet::words::kinds::store_silent;
        use crate::fleet::{Code, HostFacts};
        let store = Tier::new("local", KindName::Local, "");
        let code = Code::FileNotTrusted;
        let silent = |code| store_silent(&store, "p510", code, "p510: no");
        let on_host = |findings| TierOnHost { findings, ..TierOnHost::default() };
        let hosts = [("p510".to_owned(), on_host(vec![silent(code), silent(Code::HostSlow)]))];
        let facts = TierFacts { hosts: hosts.into(), ..TierFacts::default() };
        let findings = [code, Code::HostSlow].map(|code| not_asked("p510", code, "no", ""));
        let host = HostFacts { findings: findings.into(), ..HostFacts::default() };
        let found = Snapshot {
            hosts: vec![("p510".to_owned(), host)],
            tiers: vec![("local".to_owned(), facts)],
            ..Snapshot::default()
        };
        assert_eq!(of_hosts(&found).collect::<Vec<_>>(), ["p510: no"]);
        assert_eq!(of_tiers(&found), ["local on p510: p510: no"]);
    }

    #[test]
    fn hosts_with_the_same_trouble_are_named_together_and_nothing_is_told_twice() {
        let weed = Tier::new("weed", KindName::Seaweedfs, "http://weed:8333/b");
        let late = |host: &str| on_host::order_wrong(&weed, host, &[("static", 20)], 30);
        let asleep = kinds::store_unreadable(&weed, "p510", "it sleeps");
        let on_host = |findings: Vec<Finding>| TierOnHost { findings, ..TierOnHost::default() };
        let mut facts =
            TierFacts::of(TierState::Degraded, clusters::servers_missing(&weed, 2, 3, &[]));
        facts.findings.push(asleep.clone());
        facts.hosts = [
            ("razer".to_owned(), on_host(vec![late("razer")])),
            ("p510".to_owned(), on_host(vec![asleep])),
            ("samsung".to_owned(), on_host(vec![late("samsung")])),
        ]
        .into();
        let found = Snapshot { tiers: vec![("weed".to_owned(), facts)], ..Snapshot::default() };
        assert_eq!(
            of_tiers(&found),
            [
                "weed: 2 of 3 volume servers are there; start the missing servers again",
                "weed: Nix cannot read the database of the store of p510 (it sleeps); try \
                 `nix-store --verify` there",
                "weed on razer, samsung: static (priority 20) is asked before weed (priority 30), \
                 which hosts.toml has first; write ?priority= behind the addresses in the \
                 substituters, the lowest first",
            ]
        );
    }
}
