//! How fast caches sent files in runs.

use super::*;
use crate::fleet::{TimedBytes, TimedFetch};

/// Returns the events of a run in which one side of p620 was timed.
fn timed_run(number: &str, at: Timestamp, busy_ms: u64) -> Vec<RunEvent> {
    let mut events = run(number, at);
    let RunWhat::Result { result, .. } = &mut events[1].what else { panic!() };
    let timed = Some(TimedBytes { bytes: 5_000_000, busy_ms });
    result.fetched.get_mut("weed").unwrap().timed = timed;
    result.substituted.get_mut("nixos").unwrap().timed = timed;
    events
}

#[test]
fn a_timed_fetch_is_of_the_host_that_fetched_and_counts_once_however_often_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    for event in timed_run("1", NOW, 500).iter().chain(&timed_run("1", NOW, 500)) {
        history.write_run(event).unwrap();
    }
    let fetch = |source: &str, host: &str| TimedFetch {
        source: source.to_owned(),
        host: host.to_owned(),
        at: NOW + 9.seconds(),
        timed: TimedBytes { bytes: 5_000_000, busy_ms: 500 },
    };
    let mut found = history.timed_fetches(NOW).unwrap();
    found.sort_by(|one, other| one.source.cmp(&other.source));
    // The builder's own fetch is not one of the host that was deployed.
    assert_eq!(found, [fetch("nixos", "builder"), fetch("weed", "p620")]);
    assert_eq!(history.timed_fetches(NOW + 1.hours()).unwrap(), []);
    let row = history.runs(&[], NOW, 1).unwrap().remove(0);
    let result = row.hosts[0].1.clone().unwrap();
    assert_eq!(result.fetched["weed"].timed, Some(found[1].timed), "a run tells it too");
    assert_eq!(result.fetched["http://x"].timed, None, "what was not timed is unknown");
}

#[test]
fn what_a_builder_fetched_is_nobodys_where_it_is_not_known_who_built() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    let mut events = timed_run("1", NOW, 500);
    let RunWhat::Result { result, .. } = &mut events[1].what else { panic!() };
    result.build_on = None;
    for event in &events {
        history.write_run(event).unwrap();
    }
    let found = history.timed_fetches(NOW).unwrap();
    assert_eq!(found.iter().map(|fetch| fetch.host.as_str()).collect::<Vec<_>>(), ["p620"]);
}
