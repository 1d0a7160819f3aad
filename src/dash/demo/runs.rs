//! A run of the demonstration, from its beginning to its end.

use super::{ago_s, path};
use crate::fleet::*;
use std::collections::BTreeMap;

/// An event of a run, some seconds before the present.
pub(in crate::dash) fn run_event(run: &str, seconds: i64, what: RunWhat) -> Event {
    Event::Run(RunEvent { run: RunId(run.to_owned()), at: ago_s(seconds), what })
}

/// A phase's change.
pub(in crate::dash) fn phase(host: &str, phase: Phase, state: PhaseState) -> RunWhat {
    RunWhat::Phase { host: host.to_owned(), phase, state }
}

/// How a host's run ended.
pub(in crate::dash) fn result(host: &str, outcome: Outcome, error: Option<&str>) -> RunWhat {
    let fetched = |paths, bytes| Fetched { paths, bytes, timed: None };
    RunWhat::Result {
        host: host.to_owned(),
        result: HostResult {
            toplevel: Some(path('h', "nixos-system-razer-26.05.20261121.3f2c1ab")),
            duration_ms: if outcome.is_good() { 31_400 } else { 5_100 },
            phases: BTreeMap::from([(Phase::Build, 17_000), (Phase::Fetch, 9_000)]),
            fetched: if outcome.is_good() && outcome != Outcome::Unchanged {
                BTreeMap::from([
                    ("p620".to_owned(), fetched(38, 212_000_000)),
                    ("nixos.org".to_owned(), fetched(3, 2_000_000)),
                ])
            } else {
                BTreeMap::new()
            },
            error: error.map(str::to_owned),
            ..HostResult::ended(outcome)
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
        refused: None,
    }
}

/// The plan of the demonstration's run.
pub(in crate::dash) fn plan() -> Plan {
    let host = |name: &str, letter, unchanged: bool, notes: &[&str]| HostPlan {
        goal: None,
        host: name.to_owned(),
        route: Route::ViaCache { builder: "p620".to_owned(), tier: "p620".to_owned() },
        why: None,
        toplevel: path(letter, &format!("nixos-system-{name}-26.05.20261121.3f2c1ab")),
        built_from: None,
        drv: None,
        replaces: None,
        profile: None,
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
        waited_for: Vec::new(),
    }
}

/// A run up to the question whether its plan shall be carried out.
pub(in crate::dash) fn run_until_plan() -> Vec<Event> {
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
pub(in crate::dash) fn run_in_build() -> Vec<Event> {
    let answer = RunWhat::Rollout(RolloutNews::Answered { yes: true });
    let mut events = vec![run_event("41", 48, answer)];
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
pub(in crate::dash) fn run_in_fetch() -> Vec<Event> {
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
pub(in crate::dash) fn run_ended() -> Vec<Event> {
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
