//! A fleet of 150 hosts and 12 tiers, with something wrong here and there.

use super::{ago_s, coverage, facts, fleet, host, path, tier, tier_facts};
use crate::fleet::*;

/// Hosts of the large fleet.
const HOSTS: u64 = 150;

/// Tiers of the large fleet.
const TIERS: u64 = 12;

/// Returns the name of a host of the large fleet: racks of ten.
fn host_name(index: u64) -> String {
    format!("rack{:02}-{}", index / 10 + 1, index % 10)
}

fn tier_name(index: u64) -> String {
    format!("cache-{:02}", index + 1)
}

/// The large fleet: one host in ten is protected.
pub(in crate::dash) fn many() -> Fleet {
    let hosts = (0..HOSTS).map(|index| {
        let rack = format!("rack{:02}", index / 10 + 1);
        host(&host_name(index), &[&rack], index % 10 == 9)
    });
    let tiers = (0..TIERS).map(|index| {
        let name = tier_name(index);
        let url = format!("http://{name}.lan:5000");
        tier(&name, KindName::Http, &url, &format!("{name}-1"), None)
    });
    let (hosts, tiers) = (hosts.collect(), tiers.collect());
    Fleet { hosts, tiers, builder: Some(host_name(0)), ..fleet() }
}

/// What was measured of it: one host in 25 is offline, one in thirty has too little room, and the fifth
/// tier is down.
pub(in crate::dash) fn of_many() -> Vec<Event> {
    let mut events = Vec::new();
    for index in 0..HOSTS {
        let name = host_name(index);
        let mut known = facts(&name, 'a', 100 + index, (index % 40) as f64 / 10.0);
        known.measured_at = Some(ago_s(2 + (index % 9).cast_signed()));
        if index % 25 == 24 {
            known.state = HostState::Offline;
            known.measured_at = Some(ago_s(3 * 3600));
            let why = format!("connecting to {name}.lan timed out after 5 s");
            let fix = "is it on and in this network? `ssh` to it by hand shows more";
            known.findings = vec![words::hosts::not_asked(&name, Code::HostUnreachable, &why, fix)];
        } else if index % 30 == 26 {
            known.disk = Some(Bytes { used: 255_200_000_000, total: 256_000_000_000 });
            known.findings = words::hosts::of_figures(&name, &known, &Limits::default(), ago_s(0));
        }
        let system = path('a', &format!("nixos-system-{name}-26.05.20261118.8f2c1ab"));
        let names: Vec<String> = (0..TIERS).map(tier_name).collect();
        let shares = names
            .iter()
            .zip(0..)
            .map(|(tier, at)| (tier.as_str(), 1356 - (at * 97 + index * 3) % 800, 1356));
        let shares: Vec<_> = shares.collect();
        let store = StoreFacts { paths: 48_213, bytes: 81_200_000_000, measured_at: ago_s(720) };
        events.push(Event::Host { host: name.clone(), facts: Box::new(known) });
        events.push(Event::Coverage { host: name.clone(), facts: coverage(&system, &shares) });
        events.push(Event::Store { host: name, facts: store });
    }
    for index in 0..TIERS {
        let mut facts = tier_facts(TierState::Up, SignatureState::Valid, 3.0 + index as f64 * 4.0);
        if index == 4 {
            let cause = Code::TierUnreachable;
            let finding =
                Finding::of_tier(&many().tiers[4], cause, "it does not answer", "start it");
            facts = TierFacts {
                measured_at: Some(ago_s(90)),
                ..TierFacts::of(TierState::Down, finding)
            };
        }
        events.push(Event::Tier { tier: tier_name(index), facts: Box::new(facts) });
    }
    events
}
