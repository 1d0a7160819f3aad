//! A fleet with everything in it that a screen can show, for tests and for trying the screen.

use crate::dash::{Effect, LogOf, Model, Msg, update};
use crate::fleet::*;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
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

/// An event of a run, some seconds before the present.
pub(super) fn run_event(run: &str, seconds: i64, what: RunWhat) -> Event {
    Event::Run(RunEvent { run: RunId(run.to_owned()), at: ago_s(seconds), what })
}

/// A phase's change.
pub(super) fn phase(host: &str, phase: Phase, state: PhaseState) -> RunWhat {
    RunWhat::Phase { host: host.to_owned(), phase, state }
}

/// How a host's run ended.
pub(super) fn result(host: &str, outcome: Outcome, error: Option<&str>) -> RunWhat {
    let fetched = |paths, bytes| Fetched { paths, bytes, timed: None };
    RunWhat::Result {
        host: host.to_owned(),
        result: HostResult {
            outcome,
            toplevel: Some(path('h', "nixos-system-razer-26.05.20261121.3f2c1ab")),
            previous: None,
            duration_ms: if outcome.is_good() { 31_400 } else { 5_100 },
            built: 0,
            phases: BTreeMap::from([(Phase::Build, 17_000), (Phase::Fetch, 9_000)]),
            build_on: None,
            taken: None,
            substituted: BTreeMap::new(),
            fetched: if outcome.is_good() && outcome != Outcome::Unchanged {
                BTreeMap::from([
                    ("p620".to_owned(), fetched(38, 212_000_000)),
                    ("nixos.org".to_owned(), fetched(3, 2_000_000)),
                ])
            } else {
                BTreeMap::new()
            },
            error: error.map(str::to_owned),
            findings: Vec::new(),
        },
    }
}

/// What the plan of the demonstration's run changes on samsung.
fn planned_changes() -> PlannedChanges {
    let change = |name: &str, kind, before: &str, after: &str, bytes| PackageChange {
        name: name.to_owned(),
        kind,
        before: (!before.is_empty()).then(|| before.to_owned()).into_iter().collect(),
        after: (!after.is_empty()).then(|| after.to_owned()).into_iter().collect(),
        bytes: Some(bytes),
    };
    let packages = vec![
        change("firefox", ChangeKind::Upgraded, "144.0", "145.0", 3_200_000),
        change("linux", ChangeKind::Upgraded, "6.12.57", "6.12.58", 48_000),
        change("less", ChangeKind::Downgraded, "691", "687", -1_200),
        change("btop", ChangeKind::Added, "", "1.4.5", 1_900_000),
        change("etc-hosts", ChangeKind::Removed, "", "", -512),
    ];
    PlannedChanges {
        system: Some(SystemChanges {
            packages,
            paths_added: Some(46),
            paths_removed: Some(44),
            bytes_before: Some(7_900_000_000),
            bytes_after: Some(7_905_147_288),
            partial: false,
        }),
        restart: vec![RestartReason {
            part: RestartPart::Kernel,
            before: Some("6.12.57".to_owned()),
            after: Some("6.12.58".to_owned()),
        }],
        download_bytes: Some(62_000_000),
        held: BTreeMap::from([
            ("nixos".to_owned(), Share { have: 9, total: 12 }),
            ("p620".to_owned(), Share { have: 11, total: 12 }),
        ]),
        to_build: vec!["firefox-145.0".to_owned()],
    }
}

/// The plan of the demonstration's run.
pub(super) fn plan() -> Plan {
    let host = |name: &str, letter, unchanged: bool, notes: &[&str]| HostPlan {
        goal: None,
        host: name.to_owned(),
        route: Route::ViaCache { builder: "p620".to_owned(), tier: "p620".to_owned() },
        why: None,
        toplevel: path(letter, &format!("nixos-system-{name}-26.05.20261121.3f2c1ab")),
        drv: None,
        running: (!unchanged)
            .then(|| path('c', &format!("nixos-system-{name}-26.05.20261118.8f2c1ab"))),
        to_build: Some(if unchanged { 0 } else { 41 }),
        to_download: (!unchanged).then_some(12),
        changes: (name == "samsung").then(|| Box::new(planned_changes())),
        generation: None,
        reboots: false,
        wave: None,
        unchanged,
        notes: notes.iter().map(|note| (*note).to_owned()).collect(),
        findings: Vec::new(),
    };
    Plan {
        goal: Goal::Switch,
        strategy: Strategy::ViaCache,
        revision: Some("3f2c1ab09d8e7f6a5b4c-dirty".to_owned()),
        source: None,
        findings: Vec::new(),
        hosts: vec![
            host("p620", 'a', true, &[]),
            host("razer", 'h', false, &[]),
            host("samsung", 'i', false, &["on battery, 41 %", "12.0 GB free in /nix/store"]),
        ],
        set_aside: BTreeMap::from([("p510".to_owned(), "it does not answer".to_owned())]),
    }
}

/// A run up to the question whether its plan shall be carried out.
pub(super) fn run_until_plan() -> Vec<Event> {
    let hosts = ["p620", "razer", "samsung", "p510"].map(str::to_owned).to_vec();
    let title = "switch via-cache".to_owned();
    let mut events = vec![run_event("41", 60, RunWhat::begin(hosts, title))];
    for host in ["p620", "razer", "samsung"] {
        for (at, of) in [(58, Phase::Preflight), (55, Phase::Evaluate), (51, Phase::Compare)] {
            events.push(run_event("41", at, phase(host, of, PhaseState::Started)));
            events.push(run_event("41", at - 2, phase(host, of, PhaseState::Finished)));
        }
    }
    let failed = phase("p510", Phase::Preflight, PhaseState::Failed);
    events.push(run_event("41", 53, failed));
    events.push(run_event(
        "41",
        53,
        result("p510", Outcome::Offline, Some("p510 does not answer")),
    ));
    events.push(run_event("41", 49, RunWhat::Plan { plan: plan(), waits: true }));
    events
}

/// The run while it builds: p620 in the middle, razer not yet, samsung fetches what it needs.
pub(super) fn run_in_build() -> Vec<Event> {
    let mut events = Vec::new();
    for of in [Phase::Publish, Phase::Verify, Phase::Fetch] {
        events.push(run_event("41", 48, phase("p620", of, PhaseState::Skipped)));
    }
    for host in ["p620", "razer", "samsung"] {
        events.push(run_event("41", 47, phase(host, Phase::Build, PhaseState::Started)));
    }
    let line = "firefox> compiling gfx/skia/SkFont.cpp".to_owned();
    let host = "p620".to_owned();
    events.push(run_event("41", 3, RunWhat::log(host, Phase::Build, line)));
    for (host, builds, doing) in [
        ("p620", Some(Share { have: 17, total: 41 }), "firefox (buildPhase)"),
        ("samsung", None, "glibc-2.42 from https://cache.nixos.org"),
    ] {
        let progress = Progress {
            bytes: Some(Bytes { used: 98_000_000, total: 98_000_000 }),
            done: 29,
            expected: 53,
            builds,
            doing: Some(doing.to_owned()),
            left_ms: None,
        };
        let host = host.to_owned();
        events.push(run_event("41", 2, RunWhat::Progress { host, phase: Phase::Build, progress }));
    }
    events
}

/// The rest of the run, until razer is done and samsung fetches.
pub(super) fn run_in_fetch() -> Vec<Event> {
    let mut events = Vec::new();
    let usual = [(Phase::Fetch, 19_000), (Phase::Activate, 4_000)].into();
    let hosts = [("samsung".to_owned(), usual)].into();
    events.push(run_event("41", 59, RunWhat::Usual { hosts }));
    for (of, script, root, args) in [
        (Phase::Preflight, "preflight.sh", true, &[][..]),
        (Phase::Build, "build.sh", true, &["/nix/store/2c4f8d1a-nixos-system-samsung.drv"]),
        (Phase::Fetch, "fetch.sh", true, &["/nix/store/9b1c0e77-nixos-system-samsung"]),
    ] {
        let on = if of == Phase::Build { "p620" } else { "samsung" }.to_owned();
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let command = RemoteCommand { on, root, script: script.to_owned(), args };
        let host = "samsung".to_owned();
        events.push(run_event("41", 58, RunWhat::Command { host, phase: of, command }));
    }
    events.push(run_event("41", 48, result("p620", Outcome::Unchanged, None)));
    let log = |at, host: &str, of, line: &str| {
        let (host, line) = (host.to_owned(), line.to_owned());
        run_event("41", at, RunWhat::log(host, of, line))
    };
    for host in ["razer", "samsung"] {
        for (at, of) in [(47, Phase::Build), (20, Phase::Publish), (19, Phase::Verify)] {
            events.push(run_event("41", at, phase(host, of, PhaseState::Started)));
            if of == Phase::Build {
                let line = format!("building '{}'", path('k', "firefox-145.0.drv"));
                events.push(log(at, host, of, &line));
                events.push(log(30, host, of, "firefox-145.0: buildPhase"));
            }
            events.push(run_event("41", at - 1, phase(host, of, PhaseState::Finished)));
        }
        events.push(run_event("41", 17, phase(host, Phase::Fetch, PhaseState::Started)));
        for (at, name) in [(15, "linux-6.12.58"), (12, "glibc-2.42"), (9, "systemd-258.2")] {
            let line = format!("copying path '{}' from 'http://p620.lan:5000'", path('l', name));
            events.push(log(at, host, Phase::Fetch, &line));
        }
    }
    for of in [Phase::Fetch, Phase::Diff, Phase::Activate, Phase::Acknowledge] {
        events.push(run_event("41", 8, phase("razer", of, PhaseState::Started)));
        events.push(run_event("41", 7, phase("razer", of, PhaseState::Finished)));
    }
    for of in [Phase::Check, Phase::Settle, Phase::Persist] {
        events.push(run_event("41", 6, phase("razer", of, PhaseState::Finished)));
    }
    events.push(run_event("41", 6, result("razer", Outcome::Switched, None)));
    for (at, used) in [(9, 20_000_000), (5, 90_000_000), (1, 131_000_000)] {
        let progress = Progress {
            bytes: Some(Bytes { used, total: 214_000_000 }),
            done: used / 8_000_000,
            expected: 41,
            builds: None,
            doing: Some("linux-6.12.58 from p620".to_owned()),
            left_ms: None,
        };
        let host = "samsung".to_owned();
        let what = RunWhat::Progress { host, phase: Phase::Fetch, progress };
        events.push(run_event("41", at, what));
    }
    events
}

/// The end of the run: samsung goes back.
pub(super) fn run_ended() -> Vec<Event> {
    let error = "switch-to-configuration exited 2 on samsung: the activation script failed at \
                 “users”; the previous system runs again. See its log, phase activate";
    vec![
        run_event("41", 1, phase("samsung", Phase::Fetch, PhaseState::Finished)),
        run_event("41", 1, phase("samsung", Phase::Diff, PhaseState::Finished)),
        run_event("41", 1, phase("samsung", Phase::Activate, PhaseState::Failed)),
        run_event("41", 1, result("samsung", Outcome::RolledBack, Some(error))),
        run_event(
            "41",
            0,
            RunWhat::Summary {
                outcomes: BTreeMap::from([
                    (Outcome::Switched, 1),
                    (Outcome::Unchanged, 1),
                    (Outcome::RolledBack, 1),
                    (Outcome::Offline, 1),
                ]),
                duration_ms: 60_300,
                findings: Vec::new(),
            },
        ),
    ]
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
