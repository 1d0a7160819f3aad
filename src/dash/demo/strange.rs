//! A fleet whose names are far too long, and whose hosts say what no screen was made for: wide characters,
//! characters without a width, and text from right to left.

use super::{DemoFailure, facts, failed, fleet, host, run_event, tier, tier_facts};
use crate::fleet::*;

/// What hosts say there.
const ODD: &str = "日本語のテキスト\u{200b}\u{200d} 👩\u{200d}👩\u{200d}👧\u{200d}👦 שלום עולם مرحبا e\u{301}\u{301}\u{301} ﷽ ＡＢＣ \
                   a-word-without-any-space-in-it-that-is-longer-than-every-column-of-a-table-will-ever-be-on-a-screen";

/// Names of hosts and of tiers.
const NAMES: [&str; 4] = [
    "a-name-that-is-so-long-that-nobody-would-ever-type-it-but-that-somebody-has-in-a-file",
    "日本語の名前のホスト",
    "שרת",
    "e\u{301}\u{301}\u{301}\u{200b}",
];

/// The fleet, and what was measured and done there.
pub(in crate::dash) fn strange() -> (Fleet, Vec<Event>) {
    let hosts = NAMES.iter().map(|name| host(name, &[ODD], true)).collect();
    let tiers =
        NAMES.iter().map(|name| tier(name, KindName::Http, "http://x", ODD, None)).collect();
    let fleet = Fleet { hosts, tiers, flake: Some(ODD.to_owned()), ..fleet() };
    let mut events = Vec::new();
    for name in NAMES {
        let mut facts = facts("strange", 'a', u64::MAX, 1e9);
        facts.state = HostState::Degraded;
        facts.address = Some(ODD.to_owned());
        facts.system.nixos_version = Some(ODD.to_owned());
        facts.failed_units = Some(vec![ODD.to_owned(); 3]);
        facts.findings = vec![Finding::new(Subject::host(name), Code::UnitsFailed, ODD, ODD)];
        events.push(Event::Host { host: name.to_owned(), facts: Box::new(facts) });
        let mut facts = tier_facts(TierState::Down, SignatureState::Unchecked, 1e9);
        facts.findings = vec![Finding::new(Subject::host(name), Code::NotReached, ODD, ODD)];
        events.push(Event::Tier { tier: name.to_owned(), facts: Box::new(facts) });
    }
    let failure = DemoFailure {
        phase: Phase::Activate,
        outcome: Outcome::Degraded,
        said: vec![(Code::ActivationFailed, ODD), (Code::CheckFailed, ODD)],
    };
    let hosts = NAMES.map(|name| (name, &failure));
    events.extend(failed("123456789", &hosts));
    for name in NAMES {
        let line = RunWhat::log(name.to_owned(), Phase::Activate, ODD.to_owned());
        events.push(run_event("123456789", 30, line));
    }
    (fleet, events)
}
