//! What happened: troubles with their begin and end, restarts and runs.

use super::*;
use crate::fleet::{OverTimeOf, PastEvent, PastWhat, Subject, SystemFacts, TierOnHost, TroubleEnd};

fn finding(code: Code) -> Finding {
    Finding::new(Subject::host("razer"), code, "razer: it is so", "mend it")
}

/// Notes a probe of razer so many seconds after the begin; none of these codes means that it is well.
fn probe(history: &mut History, second: i64, state: HostState, codes: &[Code]) {
    let at = NOW + second.seconds();
    let findings = codes.iter().map(|code| finding(*code)).collect();
    let facts = HostFacts { state, findings, ..host_facts(at, 1.0) };
    history.note_host("razer", &facts).unwrap();
}

/// Returns what is told of razer: code, second of its begin, how it ended.
fn told(history: &History, now: i64) -> Vec<(String, i64, TroubleEnd)> {
    let razer = OverTimeOf::Host("razer".to_owned());
    let found = history.past(Some(&razer), NOW, 99, NOW + now.seconds()).unwrap();
    let trouble = |event: PastEvent| match event.what {
        PastWhat::Trouble { code, end, .. } => {
            Some((code, event.at.duration_since(NOW).as_secs(), end))
        }
        PastWhat::Restart { .. } | PastWhat::OtherSystem { .. } | PastWhat::Run { .. } => None,
    };
    found.into_iter().filter_map(trouble).collect()
}

#[test]
fn a_trouble_has_its_begin_and_its_end_and_one_that_comes_back_at_once_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    let (up, away) = (HostState::Up, HostState::Offline);
    let unreachable = || "host-unreachable".to_owned();
    probe(&mut history, 0, up, &[]);
    for second in (5..=180).step_by(5) {
        probe(&mut history, second, away, &[Code::HostUnreachable]);
    }
    assert_eq!(told(&history, 180), [(unreachable(), 5, TroubleEnd::GoesOn)]);
    probe(&mut history, 185, up, &[]);
    let end = |second: i64| TroubleEnd::At(NOW + second.seconds());
    assert_eq!(told(&history, 190), [(unreachable(), 5, end(185))]);
    probe(&mut history, 190, away, &[Code::HostUnreachable]);
    assert_eq!(told(&history, 190), [(unreachable(), 5, TroubleEnd::GoesOn)]);
    probe(&mut history, 200, up, &[]);
    probe(&mut history, 400, away, &[Code::HostUnreachable]);
    let both = [(unreachable(), 400, TroubleEnd::GoesOn), (unreachable(), 5, end(200))];
    assert_eq!(told(&history, 400), both);
}

#[test]
fn who_does_not_answer_says_nothing_of_what_was_wrong_before() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    probe(&mut history, 0, HostState::Up, &[Code::DiskLow]);
    probe(&mut history, 60, HostState::Offline, &[Code::HostUnreachable]);
    let codes = |history: &History| -> Vec<String> {
        told(history, 60).into_iter().map(|(code, ..)| code).collect()
    };
    assert_eq!(codes(&history), ["host-unreachable", "disk-low"]);
    probe(&mut history, 120, HostState::Up, &[Code::DiskLow]);
    let (at, goes_on) = (TroubleEnd::At(NOW + 120.seconds()), TroubleEnd::GoesOn);
    let known = [("host-unreachable".to_owned(), 60, at), ("disk-low".to_owned(), 0, goes_on)];
    assert_eq!(told(&history, 120), known);
}

#[test]
fn what_ended_while_nobody_looked_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    probe(&mut history, 0, HostState::Offline, &[Code::HostUnreachable]);
    probe(&mut history, 100, HostState::Offline, &[Code::HostUnreachable]);
    let seen = NOW + 100.seconds();
    let end = |now| told(&history, now).remove(0).2;
    assert_eq!(end(7200), TroubleEnd::NotSeenSince(seen));
    probe(&mut history, 7200, HostState::Up, &[]);
    let end = told(&history, 7200).remove(0).2;
    assert_eq!(end, TroubleEnd::Between(seen, NOW + 7200.seconds()));
}

#[test]
fn a_restart_is_told_once_and_the_first_boot_that_is_seen_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    for (second, boot, uptime) in [(0, "a", 900), (5, "a", 905), (60, "b", 20), (65, "b", 25)] {
        let facts = HostFacts {
            boot_id: Some(boot.to_owned()),
            uptime_s: Some(uptime),
            ..host_facts(NOW + second.seconds(), 1.0)
        };
        history.note_host("razer", &facts).unwrap();
    }
    let found = history.past(None, NOW, 99, NOW + 99.seconds()).unwrap();
    let what = PastWhat::Restart { host: "razer".to_owned() };
    assert_eq!(found, [PastEvent { at: NOW + 40.seconds(), what }]);
}

#[test]
fn a_tier_has_troubles_of_its_own_and_on_hosts_and_a_host_is_told_of_its_own_ones() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    let weed = tier();
    let of_tier = Finding::of_tier(&weed, Code::TierUnreachable, "no answer", "");
    let on_host = of_tier.clone().about(Subject::tier_on_host(&weed, "p620"));
    let hosts = ["p620", "razer"].map(|host| {
        let subject = Subject::tier_on_host(&weed, host);
        let findings = vec![on_host.clone().about(subject)];
        (host.to_owned(), TierOnHost { findings, ..TierOnHost::default() })
    });
    let facts = TierFacts { findings: vec![of_tier], hosts: hosts.into(), ..tier_facts(NOW) };
    history.note_tier("weed", &facts).unwrap();
    let count = |of: Option<OverTimeOf>| {
        history.past(of.as_ref(), NOW, 99, NOW + 1.seconds()).unwrap().len()
    };
    assert_eq!(count(None), 3);
    assert_eq!(count(Some(OverTimeOf::Tier("weed".to_owned()))), 3);
    assert_eq!(count(Some(OverTimeOf::Host("p620".to_owned()))), 1);
    assert_eq!(count(Some(OverTimeOf::Tier("other".to_owned()))), 0);
}

#[test]
fn events_of_all_kinds_come_newest_first_and_old_ones_are_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    probe(&mut history, 0, HostState::Up, &[Code::DiskLow]);
    probe(&mut history, 300, HostState::Up, &[]);
    for event in run("7", NOW + 60.seconds()) {
        history.write_run(&event).unwrap();
    }
    let past =
        |history: &History, limit| history.past(None, NOW, limit, NOW + 400.seconds()).unwrap();
    let all = past(&history, 9);
    let PastWhat::Run { run, hosts, .. } = &all[0].what else { panic!("{all:?}") };
    assert_eq!((run.0.as_str(), hosts.len(), all.len()), ("7", 2, 2));
    assert_eq!(past(&history, 1), all[..1]);
    let p620 = OverTimeOf::Host("p620".to_owned());
    let of_p620 = history.past(Some(&p620), NOW, 9, NOW + 400.seconds()).unwrap();
    assert_eq!(of_p620.len(), 1, "the run, of which it was a part");
    history.thin(NOW + (365 * 24).hours()).unwrap();
    assert_eq!(count(&history, "troubles"), 1);
    history.thin(NOW + (3 * 365 * 24).hours()).unwrap();
    assert_eq!(count(&history, "troubles"), 0);
}

/// Notes that razer runs a system, so many seconds after the begin.
fn runs_system(history: &mut History, second: i64, name: &str, generation: u64) {
    let path = |name: &str| {
        StorePath::parse(&format!("/nix/store/{}-nixos-system-razer-{name}", "a".repeat(32))).ok()
    };
    let system = SystemFacts {
        running: path(name),
        profile: path(name),
        generation: Some(generation),
        nixos_version: Some(name.to_owned()),
        ..SystemFacts::default()
    };
    let facts = HostFacts { system, ..host_facts(NOW + second.seconds(), 1.0) };
    history.note_host("razer", &facts).unwrap();
}

/// Writes a run that switched razer to a system between these seconds.
fn run_brings(history: &mut History, name: &str, (began, ended): (i64, i64)) {
    let path = format!("/nix/store/{}-nixos-system-razer-{name}", "a".repeat(32));
    let mut events = run("7", NOW + began.seconds());
    events[0].what = RunWhat::begin(vec!["razer".into()], "switch".into());
    if let RunWhat::Result { host, result } = &mut events[1].what {
        *host = "razer".to_owned();
        result.toplevel = StorePath::parse(&path).ok();
    }
    for event in &mut events[1..] {
        event.at = NOW + ended.seconds();
    }
    for event in &events {
        history.write_run(event).unwrap();
    }
}

/// Returns the versions that razer got without a run, with the second in which each was found.
fn by_hand(history: &History) -> Vec<(String, i64)> {
    let told = |of: Option<&OverTimeOf>| -> Vec<(String, i64)> {
        let found = history.past(of, NOW, 99, NOW + 999.seconds()).unwrap().into_iter();
        let other = found.filter_map(|event| match event.what {
            PastWhat::OtherSystem { version, .. } => {
                Some((version?, event.at.duration_since(NOW).as_secs()))
            }
            PastWhat::Trouble { .. } | PastWhat::Restart { .. } | PastWhat::Run { .. } => None,
        });
        other.collect()
    };
    let all = told(None);
    assert_eq!(told(Some(&OverTimeOf::Host("razer".to_owned()))), all);
    assert_eq!(told(Some(&OverTimeOf::Host("p620".to_owned()))), []);
    all
}

#[test]
fn a_system_that_no_run_brought_is_an_event_and_one_that_a_run_brought_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    for second in (0..=120).step_by(5) {
        runs_system(&mut history, second, "one", 7);
    }
    assert_eq!(by_hand(&history), [], "the first of a host is no change");
    run_brings(&mut history, "two", (125, 200));
    runs_system(&mut history, 180, "two", 7);
    runs_system(&mut history, 205, "two", 8);
    assert_eq!(by_hand(&history), []);
    runs_system(&mut history, 300, "three", 9);
    runs_system(&mut history, 305, "three", 9);
    runs_system(&mut history, 290, "two", 8);
    assert_eq!(by_hand(&history), [("three".to_owned(), 300)]);
    let event = history.past(None, NOW, 99, NOW + 999.seconds()).unwrap().remove(0);
    assert_eq!(event.sentence(), "other system, not deployed by nixdash here: generation 9, three");
    assert_eq!((event.about().as_str(), event.ended_at()), ("razer", Some(NOW + 300.seconds())));
    runs_system(&mut history, 400, "two", 10);
    let found = by_hand(&history);
    assert_eq!(found[0], ("two".to_owned(), 400), "back by hand, long after the run");
}

#[test]
fn a_system_that_a_run_left_for_the_next_boot_is_no_event_when_the_host_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    let boots = |history: &mut History, second: i64, boot: &str, name: &str| {
        let facts = HostFacts {
            boot_id: Some(boot.to_owned()),
            uptime_s: Some(20),
            ..host_facts(NOW + second.seconds(), 1.0)
        };
        history.note_host("razer", &facts).unwrap();
        runs_system(history, second, name, 8);
    };
    boots(&mut history, 0, "a", "one");
    run_brings(&mut history, "two", (10, 60));
    runs_system(&mut history, 200, "one", 8);
    boots(&mut history, 300, "b", "two");
    assert_eq!(by_hand(&history), []);
    boots(&mut history, 500, "c", "three");
    assert_eq!(by_hand(&history), [("three".to_owned(), 500)], "no run brought that one");
}
