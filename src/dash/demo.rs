//! A fleet with everything in it that a screen can show, for tests and for trying the screen.

mod failures;
mod many;
pub(super) mod over_time;
pub(super) mod past;
mod runs;
mod strange;

pub(super) use failures::{DemoFailure, failed, failures};
pub(super) use many::{many, of_many};
pub(super) use runs::{
    phase, plan, result, run_ended, run_event, run_in_build, run_in_fetch, run_until_plan,
};
pub(super) use strange::strange;

use crate::dash::{Effect, LogOf, Model, Msg, update};
use crate::fleet::*;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// The present of the demonstration.
pub(super) fn now() -> Timestamp {
    "2026-11-21T12:04:31Z".parse().unwrap()
}

/// A point in time some seconds before the present.
pub(super) fn ago_s(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

/// A store path with that name.
pub(super) fn path(letter: char, name: &str) -> StorePath {
    let hash: String = std::iter::repeat_n(letter, 32).collect();
    StorePath::parse(&format!("/nix/store/{hash}-{name}")).unwrap()
}

fn host(name: &str, tags: &[&str], protected: bool) -> Host {
    Host {
        name: name.to_owned(),
        addresses: vec![Address {
            user: (name == "samsung").then(|| "root".to_owned()),
            host: format!("{name}.lan"),
            port: None,
        }],
        system: Some("x86_64-linux".to_owned()),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        protected,
        read_only: false,
        check: Vec::new(),
        hooks: Vec::new(),
        attribute: name.to_owned(),
        flake: None,
        builder: None,
        sign_key: None,
        strategy: None,
        action: None,
        confirm_timeout: None,
        activation: crate::fleet::ActivationSettings::default(),
        wake: None,
        root_access: RootAccess::default(),
    }
}

pub(super) fn tier(name: &str, kind: KindName, url: &str, key: &str, serves: Option<&str>) -> Tier {
    let public_key = (!key.is_empty()).then(|| PublicKey {
        name: key.to_owned(),
        bytes: [7; 32],
        text: format!("{key}:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="),
    });
    Tier { public_key, host: serves.map(str::to_owned), ..Tier::new(name, kind, url) }
}

/// The demonstration's fleet.
pub(super) fn fleet() -> Fleet {
    Fleet {
        alarms: Alarms::default(),
        file: None,
        trust: Trust::Trusted,
        flake: Some("~/nixos".to_owned()),
        builder: Some("p620".to_owned()),
        builders: std::collections::BTreeMap::new(),
        strategy: Strategy::ViaCache,
        evaluate: Evaluate::Auto,
        ssh_config: None,
        confirm_timeout: Duration::from_secs(60),
        activation: crate::fleet::ActivationSettings::default(),
        root_access: RootAccess::default(),
        bootstrap_trust: false,
        hosts: vec![
            host("p620", &["desktop"], false),
            host("razer", &["laptop"], false),
            host("samsung", &["laptop"], false),
            host("p510", &["server"], true),
        ],
        tiers: vec![
            tier("p620", KindName::NixServe, "http://p620.lan:5000", "p620-1", Some("p620")),
            tier("nixos.org", KindName::Http, "https://cache.nixos.org", "cache.nixos.org-1", None),
            tier("community", KindName::Http, "https://community.example", "community-1", None),
            tier("weed", KindName::Seaweedfs, "http://10.0.0.5:8333/nix-cache", "", None),
        ],
        rollout: Rollout::default(),
        budgets: Vec::new(),
        targets: Targets::default(),
        retention: Retention::default(),
        prometheus: None,
        theme: None,
        mouse: true,
        notify: NotifyWay::default(),
        restore: true,
        key_bindings: Vec::new(),
        read_only: false,
    }
}

fn facts(name: &str, letter: char, generation: u64, load: f64) -> HostFacts {
    let system = path(letter, &format!("nixos-system-{name}-26.05.20261118.8f2c1ab"));
    HostFacts {
        state: HostState::Up,
        address: Some(format!("{name}.lan")),
        user: Some("root".to_owned()),
        latency_ms: Some(4.2),
        load1: Some(load),
        cpus: Some(8),
        memory: Some(Bytes { used: 12_400_000_000, total: 32_600_000_000 }),
        disk: Some(Bytes { used: 588_000_000_000, total: 1_000_000_000_000 }),
        files: Some(Share { have: 4_200_000, total: 61_000_000 }),
        store_writable: Some(true),
        places: [(FilePlace::Boot, Bytes { used: 210_000_000, total: 535_000_000 })].into(),
        load5: Some(load),
        clock_ahead_s: Some(0.0),
        upkeep: None,
        system: SystemFacts {
            running: Some(system.clone()),
            booted: Some(system.clone()),
            profile: Some(system),
            generation: Some(generation),
            nixos_version: Some("26.05.20261118.8f2c1ab".to_owned()),
            other_system: None,
            nix_version: Some("2.31.2".to_owned()),
            reboot_needed: Some(false),
            reboot_for: Vec::new(),
        },
        failed_units: Some(Vec::new()),
        system_state: Some("running".to_owned()),
        uptime_s: Some(200_000),
        boot_id: Some("b2".to_owned()),
        nix: None,
        power: None,
        findings: Vec::new(),
        measured_at: Some(ago_s(2)),
        asked_at: Some(ago_s(2)),
    }
}

fn coverage(toplevel: &StorePath, shares: &[(&str, u64, u64)]) -> CoverageFacts {
    let share = |have: u64, total: u64| Coverage {
        paths: Share { have, total },
        bytes: Share { have: have * 754_321, total: total * 754_321 },
        measured_at: ago_s(40),
        at_most: false,
    };
    CoverageFacts {
        toplevel: Some(toplevel.clone()),
        tiers: shares
            .iter()
            .map(|(tier, have, total)| ((*tier).to_owned(), share(*have, *total)))
            .collect(),
        ..CoverageFacts::default()
    }
}

pub(super) fn tier_facts(state: TierState, signature: SignatureState, latency: f64) -> TierFacts {
    TierFacts {
        state,
        latency_ms: Some(latency),
        priority: Some(if latency < 10.0 { 30 } else { 40 }),
        store_dir: Some("/nix/store".to_owned()),
        signature,
        proof: Some("nixos-system-samsung-26.05.20261118.8f2c1ab, signed by its key".to_owned()),
        measured_at: Some(ago_s(12)),
        asked_at: Some(ago_s(12)),
        ..TierFacts::default()
    }
}

/// What was measured when nothing is wrong.
pub(super) fn well() -> Vec<Event> {
    let mut events = Vec::new();
    for step in 0..12_i64 {
        for (name, letter, generation, load) in
            [("p620", 'a', 212, 4.12), ("razer", 'b', 98, 0.31), ("samsung", 'c', 77, 0.4)]
        {
            let wave = [0.2, 0.6, 1.1, 0.7, 1.3, 0.9][(step % 6) as usize];
            let last = step == 11;
            let mut facts = facts(name, letter, generation, if last { load } else { load * wave });
            facts.measured_at = Some(ago_s(2 + 5 * (11 - step)));
            if name == "samsung" {
                facts.power = Some(PowerFacts { on_mains: Some(true), battery: Some(64) });
                facts.disk = Some(Bytes { used: 244_000_000_000, total: 256_000_000_000 });
            }
            events.push(Event::Host { host: name.to_owned(), facts: Box::new(facts) });
        }
        for (name, latency) in [("p620", 3.1), ("nixos.org", 19.0)] {
            let mut facts = tier_facts(TierState::Up, SignatureState::Valid, latency);
            facts.latency_ms = Some(latency * (1.0 + (step % 3) as f64 / 4.0));
            facts.measured_at = Some(ago_s(12 + 30 * (11 - step)));
            events.push(Event::Tier { tier: name.to_owned(), facts: Box::new(facts) });
        }
    }
    for (name, letter, have) in [("p620", 'a', 1356), ("razer", 'b', 1290), ("samsung", 'c', 1356)]
    {
        let system = path(letter, &format!("nixos-system-{name}-26.05.20261118.8f2c1ab"));
        let shares = [("p620", have, 1356), ("nixos.org", 1204, 1356)];
        let store = StoreFacts { paths: 48_213, bytes: 81_200_000_000, measured_at: ago_s(720) };
        events.push(Event::Coverage { host: name.to_owned(), facts: coverage(&system, &shares) });
        events.push(Event::Store { host: name.to_owned(), facts: store });
    }
    events
}

/// What was measured of a fleet in which something is wrong everywhere.
pub(super) fn troubled() -> Vec<Event> {
    let mut events = well();
    let mut samsung = facts("samsung", 'c', 77, 0.4);
    samsung.state = HostState::Degraded;
    samsung.system_state = Some("degraded".to_owned());
    samsung.failed_units = Some(vec!["bluetooth.service".to_owned()]);
    samsung.power = Some(PowerFacts { on_mains: Some(false), battery: Some(41) });
    samsung.disk = Some(Bytes { used: 244_000_000_000, total: 256_000_000_000 });
    samsung.system.profile = Some(path('d', "nixos-system-samsung-26.05.20261120.91aa00c"));
    samsung.system.generation = Some(78);
    samsung.system.reboot_needed = Some(true);
    samsung.system.booted = Some(path('f', "nixos-system-samsung-26.05.20261002.0c1d2e3"));
    let mut p510 = facts("p510", 'g', 140, 0.0);
    p510.state = HostState::Offline;
    p510.measured_at = Some(ago_s(3 * 3600 + 100));
    let why = "connecting to p510.lan timed out after 5 s";
    let fix = "is it on and in this network? `ssh` to it by hand shows more";
    p510.findings = vec![words::hosts::not_asked("p510", Code::HostUnreachable, why, fix)];
    samsung.findings = words::hosts::of_figures("samsung", &samsung, &Limits::default(), ago_s(0));
    for (name, facts) in [("samsung", samsung), ("p510", p510)] {
        events.push(Event::Host { host: name.to_owned(), facts: Box::new(facts) });
    }
    let mut community = tier_facts(TierState::Unauthorized, SignatureState::Unchecked, 30.0);
    community.proof = None;
    community.findings = vec![words::tiers::denied(&fleet().tiers[2], 401)];
    events.push(Event::Tier { tier: "community".to_owned(), facts: Box::new(community) });
    events
}

/// A model into which these events were folded, at that size.
pub(super) fn model(events: impl IntoIterator<Item = Event>, columns: u16, rows: u16) -> Model {
    model_of(fleet(), events, columns, rows)
}

/// A model of a fleet into which these events were folded, at that size.
pub(super) fn model_of(
    fleet: Fleet,
    events: impl IntoIterator<Item = Event>,
    columns: u16,
    rows: u16,
) -> Model {
    let mut model = Model::new(Arc::new(fleet), now());
    update(&mut model, Msg::Resize(columns, rows), now());
    update(&mut model, Msg::Revision(Some("3f2c1ab".to_owned())), now());
    for event in events {
        happen(&mut model, event);
    }
    model
}

/// Folds an event as the runtime tells it: log lines and progress come apart from the others.
pub(super) fn happen(model: &mut Model, event: Event) -> Vec<Effect> {
    messages(event).into_iter().flat_map(|message| update(model, message, now())).collect()
}

/// Returns an event as the messages by which the runtime tells it.
pub(super) fn messages(event: Event) -> Vec<Msg> {
    let Event::Run(event) = event else { return vec![Msg::Event(event)] };
    let mut live = LiveRun::default();
    if !live.take(&event) {
        return vec![Msg::Event(Event::Run(event))];
    }
    let run = event.run.clone();
    let lines = live.hosts.iter().filter_map(|(host, live)| {
        let of = LogOf { run: run.clone(), host: host.clone() };
        Some(Msg::Log { of, earlier: None, lines: vec![live.last.clone()?] })
    });
    let mut messages: Vec<Msg> = lines.collect();
    messages.push(Msg::Live { run, live });
    messages
}
