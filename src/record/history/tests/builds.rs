//! What packages take to be built.

use super::*;
use crate::fleet::{DerivationTime, HostBuilds};

/// Returns the events of a run in which p620 built these, each in so many milliseconds.
fn built(number: i64, names: &[(&str, &str, bool, u64)]) -> Vec<RunEvent> {
    let mut events = run(&number.to_string(), NOW + (60 * number).seconds());
    let times = names.iter().map(|(name, package, is_built, ms)| DerivationTime {
        name: (*name).to_owned(),
        package: (*package).to_owned(),
        is_built: *is_built,
        ms: *ms,
    });
    let builds =
        HostBuilds { build_on: "p620".to_owned(), times: times.collect(), ..HostBuilds::default() };
    let (id, at) = (events[0].run.clone(), events[1].at);
    let what = RunWhat::Builds { host: "samsung".to_owned(), builds };
    events.insert(1, RunEvent { run: id, at, what });
    events
}

#[test]
fn the_usual_time_of_a_package_is_the_median_of_its_newest_builds_of_any_version() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    for number in 0..15_i64 {
        // The oldest five took much longer.
        let ms = if number < 5 { 900_000 } else { 1000 * number.unsigned_abs() };
        let firefox = format!("firefox-{number}.0");
        let names = [
            (firefox.as_str(), "firefox", true, ms),
            ("etc", "etc", true, 20),
            ("x", "x", false, 1),
        ];
        for event in built(number, &names) {
            history.write_run(&event).unwrap();
            // Another nixdash tells it once more.
            history.write_run(&event).unwrap();
        }
    }
    let wanted: crate::fleet::UsualBuilds =
        [("firefox".to_owned(), 9000), ("etc".to_owned(), 20)].into();
    assert_eq!(history.usual_builds("p620").unwrap(), wanted);
    assert!(history.usual_builds("samsung").unwrap().is_empty(), "it built nothing");
    let count = |history: &History| -> i64 {
        history.db.query_row("SELECT count(*) FROM run_builds", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(count(&history), 30);
    history.thin(NOW + 1.hour()).unwrap();
    assert_eq!(count(&history), 20);
    assert_eq!(history.usual_builds("p620").unwrap(), wanted);
    history.thin(NOW + (3 * 365 * 24).hours()).unwrap();
    assert_eq!(count(&history), 0);
}
