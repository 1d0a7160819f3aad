//! The history on a disk of its own, with time passed in.

use super::open::{SHAPES, migrate};
use super::*;
use crate::fleet::{
    Bytes, Code, Coverage, CoverageFacts, Event, Fetched, Finding, Fleet, HostFacts, HostResult,
    HostState, KindName, Outcome, PathAnswer, RunEvent, RunId, RunWhat, ServedFacts, Share,
    SizeFacts, StorePath, Tier, TierFacts, TierState,
};
use jiff::{SignedDuration, ToSpan};
use serde_json::json;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

mod builds;
mod extremes;
mod held;
mod hosts;
mod over_time;
mod past;
mod phases;
mod speeds;

const NOW: Timestamp = Timestamp::constant(1_795_000_000, 0);
const TOP: &str = "/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-top";

fn tier() -> Tier {
    Tier::new("weed", KindName::Http, "http://10.0.0.5:8333/nix-cache")
}

fn host_facts(at: Timestamp, load: f64) -> HostFacts {
    HostFacts {
        state: HostState::Up,
        load1: Some(load),
        memory: Some(Bytes { used: 1, total: 4 }),
        measured_at: Some(at),
        asked_at: Some(at),
        ..HostFacts::default()
    }
}

fn tier_facts(at: Timestamp) -> TierFacts {
    TierFacts {
        state: TierState::Up,
        latency_ms: Some(2.0),
        measured_at: Some(at),
        asked_at: Some(at),
        ..TierFacts::default()
    }
}

fn size(at: Timestamp, bytes: u64, exact: bool) -> TierFacts {
    let size = SizeFacts { bytes, exact, measured_at: Some(at), ..SizeFacts::default() };
    TierFacts { size: Some(size), ..tier_facts(at) }
}

/// Returns rows of a table of samples: width, number of rows, sum of a column.
fn rows(history: &History, table: &str, column: &str) -> Vec<(i64, i64, f64)> {
    let query =
        format!("SELECT step, count(*), total({column}) FROM {table} GROUP BY step ORDER BY step");
    let mut statement = history.db.prepare(&query).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

fn count(history: &History, table: &str) -> i64 {
    history.db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn the_file_is_nobody_elses() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    history.write_host("p620", &host_facts(NOW, 1.0)).unwrap();
    for entry in std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap) {
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.path());
    }
}

#[test]
fn a_file_of_an_older_shape_keeps_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    history.write_host("p620", &host_facts(NOW, 1.0)).unwrap();
    let path = history.path().to_owned();
    let next = "ALTER TABLE hosts ADD COLUMN colour TEXT; UPDATE hosts SET colour = 'red';";
    let known = [SHAPES, &[next]].concat();
    migrate(&mut history.db, &path, &known).unwrap();
    migrate(&mut history.db, &path, &known).unwrap();
    let colour: String =
        history.db.query_row("SELECT colour FROM hosts", [], |row| row.get(0)).unwrap();
    assert_eq!((colour.as_str(), count(&history, "host_samples")), ("red", 1));
    drop(history);
    let refused = History::open(dir.path()).err().unwrap().to_string();
    let versions = format!("version {}, this one knows {}", known.len(), SHAPES.len());
    assert!(refused.contains(&versions), "{refused}");
}

#[test]
fn a_file_of_the_first_shape_learns_to_remember() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("nixdash.db");
    let mut db = rusqlite::Connection::open(&file).unwrap();
    migrate(&mut db, &file, &[include_str!("schema/1.sql")]).unwrap();
    db.execute("INSERT INTO hosts (name) VALUES ('p620')", []).unwrap();
    drop(db);
    let mut history = History::open(dir.path()).unwrap();
    history.remember(&tier(), "seen", Some(&1.into()), NOW).unwrap();
    assert_eq!((count(&history, "hosts"), count(&history, "memory")), (1, 1));
}

#[test]
fn what_is_remembered_of_a_tier_is_not_told_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    history.remember(&tier(), "seen", Some(&json!(["a:8080\u{1b}[2J"])), NOW).unwrap();
    history.remember(&tier(), "seen", Some(&json!(["b:8080\u{1b}[2J"])), NOW).unwrap();
    history.remember(&tier(), "canary", Some(&json!("x")), NOW).unwrap();
    history.remember(&tier(), "canary", None, NOW).unwrap();
    let known = history.recall(&tier()).unwrap();
    assert_eq!(known.len(), 1, "{known:?}");
    assert!(!known[0].1.to_string().contains('\u{1b}'), "{known:?}");
    let moved = Tier { url: "http://elsewhere:5000".to_owned(), ..tier() };
    assert_eq!(history.recall(&moved).unwrap(), []);
}

#[test]
fn a_step_that_fails_half_way_leaves_the_older_shape() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    let path = history.path().to_owned();
    let broken = "CREATE TABLE half (x INTEGER); SELECT no_such_function();";
    let known = [SHAPES, &[broken]].concat();
    migrate(&mut history.db, &path, &known).unwrap_err();
    drop(history);
    let history = History::open(dir.path()).unwrap();
    let half: i64 = history
        .db
        .query_row("SELECT count(*) FROM sqlite_master WHERE name = 'half'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(half, 0);
}

#[test]
fn eight_that_open_a_fresh_file_at_once_all_get_it() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for index in 0..8 {
            let dir = dir.path();
            scope.spawn(move || {
                let mut history = History::open(dir).unwrap();
                assert_eq!(history.moved_aside(), None);
                for second in 0..50 {
                    let at = NOW + second.seconds();
                    history.write_host(&format!("h{index}"), &host_facts(at, 1.0)).unwrap();
                }
            });
        }
    });
    assert_eq!(count(&History::open(dir.path()).unwrap(), "host_samples"), 8 * 50);
}

#[test]
fn samples_get_wider_with_age_and_go_in_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    // From the begin of an hour: three hours of probes, one every 30 s, load 0, 1, 2 …
    let begin = Timestamp::from_second(NOW.as_second() / 3600 * 3600).unwrap();
    for index in 0..360 {
        let at = begin + (30 * index).seconds();
        history.write_host("p620", &host_facts(at, f64::from(index))).unwrap();
    }
    let sum: f64 = (0..360).map(f64::from).sum();
    history.thin(begin + 3.hours()).unwrap();
    assert_eq!(rows(&history, "host_samples", "load1"), [(0, 360, sum)]);

    // 49 hours and 7 minutes after the begin: one hour and one whole 5 minutes are old enough.
    history.thin(begin + 49.hours().minutes(7)).unwrap();
    assert_eq!(
        rows(&history, "host_samples", "probes"),
        [(0, 360 - 130, 230.0), (300_000, 13, 130.0)]
    );
    let first: f64 = history
        .db
        .query_row("SELECT load1 FROM host_samples WHERE step = 300000 LIMIT 1", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert!((first - 4.5).abs() < 1e-9, "the mean of 0 to 9, not {first}");

    history.thin(begin + (31 * 24).hours()).unwrap();
    assert_eq!(rows(&history, "host_samples", "probes"), [(3_600_000, 3, 360.0)]);
    let state: String =
        history.db.query_row("SELECT state FROM host_samples", [], |row| row.get(0)).unwrap();
    assert_eq!(state, "up");
    history.thin(begin + (2 * 365 * 24 + 2).hours()).unwrap();
    assert_eq!(rows(&history, "host_samples", "probes"), [(3_600_000, 1, 120.0)]);
    history.thin(begin + (2 * 365 * 24 + 3).hours()).unwrap();
    assert_eq!(count(&history, "host_samples"), 0);
}

#[test]
fn every_table_of_samples_is_thinned() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    let store = |at| crate::fleet::StoreFacts { paths: 1, bytes: 2, measured_at: at };
    for index in 0..20 {
        let at = NOW + index.seconds();
        let served =
            ServedFacts { answered: Some(Share { have: 1, total: 2 }), ..ServedFacts::default() };
        let facts = TierFacts { served: Some(served), ..size(at, 7, true) };
        history.write_tier(&tier(), &facts).unwrap();
        history.write_store("p620", &store(at)).unwrap();
        let share = Share { have: 1, total: 2 };
        let found = Coverage { paths: share, bytes: share, measured_at: at, at_most: false };
        let tiers = BTreeMap::from([("weed".to_owned(), found)]);
        let facts = CoverageFacts { tiers, ..CoverageFacts::default() };
        let weed = tier();
        history.write_coverage("p620", &facts, |_| Some(&weed)).unwrap();
    }
    let before = history.answered(&tier(), NOW).unwrap();
    history.thin(NOW + (50 * 24).hours()).unwrap();
    for table in ["store_samples", "tier_samples", "size_samples", "coverage_samples"] {
        assert_eq!(rows(&history, table, "step"), [(3_600_000, 1, 3_600_000.0)], "{table}");
    }
    assert_eq!(before, Some(Share { have: 20, total: 40 }));
    assert_eq!(history.answered(&tier(), NOW - 1.hours()).unwrap(), before);
}

#[test]
fn figures_of_an_earlier_answer_are_not_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    let mut facts = host_facts(NOW, 5.0);
    history.write_host("p620", &facts).unwrap();
    (facts.state, facts.asked_at) = (HostState::Offline, Some(NOW + 5.seconds()));
    history.write_host("p620", &facts).unwrap();
    assert_eq!(rows(&history, "host_samples", "load1"), [(0, 2, 5.0)]);
    let mut facts = tier_facts(NOW);
    history.write_tier(&tier(), &facts).unwrap();
    history.write_tier(&tier(), &facts).unwrap();
    (facts.state, facts.asked_at) = (TierState::Down, Some(NOW + 5.seconds()));
    history.write_tier(&tier(), &facts).unwrap();
    assert_eq!(rows(&history, "tier_samples", "latency_ms"), [(0, 2, 2.0)]);
}

#[test]
fn an_answer_is_shared_but_not_with_another_address() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    let mut facts = size(NOW, 7, true);
    let red = |cause: &str| Finding {
        cause: cause.to_owned(),
        ..Finding::of_tier(&tier(), Code::TierUnreachable, "", "fix it")
    };
    facts.findings = vec![red("\u{1b}[31mred\u{1b}[0m")];
    history.write_tier(&tier(), &facts).unwrap();
    let other = History::open(dir.path()).unwrap();
    let (found, age) = other.last_tier_facts(&tier(), NOW + 9.seconds()).unwrap().unwrap();
    assert_eq!(found, TierFacts { findings: vec![red("red")], ..facts });
    assert_eq!(age, SignedDuration::from_secs(9));
    let moved = Tier { url: "http://10.0.0.6:8333/nix-cache".to_owned(), ..tier() };
    assert_eq!(other.last_tier_facts(&moved, NOW).unwrap(), None);
}

#[test]
fn no_secret_gets_into_the_file() {
    let secret = "sesame-0123456789";
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    let told = [
        format!("https://me:{secret}@cache.example/x"),
        format!("GET /x?X-Amz-Signature={secret}&a=b"),
        format!("Authorization: Bearer {secret}"),
        format!("token={secret}"),
    ];
    for (index, text) in (0..).zip(&told) {
        let mut facts = tier_facts(NOW + i64::from(index).seconds());
        // As one would be that was made without the room of words.
        let finding = Finding {
            cause: text.clone(),
            fix: text.clone(),
            short: Some(text.clone()),
            ..Finding::of_tier(&tier(), Code::TierUnreachable, "", "")
        };
        facts.findings = vec![finding.clone()];
        facts.proof = Some(text.clone());
        let on_host = crate::fleet::TierOnHost { findings: vec![finding], ..Default::default() };
        facts.hosts.insert("p620".to_owned(), on_host);
        history.write_tier(&tier(), &facts).unwrap();
        let mut events = run(&index.to_string(), NOW);
        if let RunWhat::Result { result, .. } = &mut events[1].what {
            result.error = Some(text.clone());
            result.fetched.insert(text.clone(), Fetched::default());
        }
        for event in events {
            history.write_run(&event).unwrap();
        }
    }
    for entry in std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap) {
        let bytes = std::fs::read(entry.path()).unwrap();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{:?}", entry.path());
    }
}

#[test]
fn requests_are_counted_per_calendar_month() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    let november: Timestamp = "2026-11-30T23:59:59Z".parse().unwrap();
    history.add_requests(&tier(), 3, november).unwrap();
    history.add_requests(&tier(), 4, november).unwrap();
    history.add_requests(&tier(), 1, november + 1.seconds()).unwrap();
    assert_eq!(history.requests_in_month(&tier(), november).unwrap(), Some(7));
    assert_eq!(history.requests_in_month(&tier(), november + 1.seconds()).unwrap(), Some(1));
    assert_eq!(history.requests_in_month(&tier(), november + 999.hours()).unwrap(), None);
}

#[test]
fn growth_is_told_from_a_day_on_and_only_of_exact_sizes() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    history.write_tier(&tier(), &size(NOW, 100, true)).unwrap();
    history.write_tier(&tier(), &size(NOW + 23.hours(), 200, true)).unwrap();
    assert_eq!(history.growth(&tier(), NOW).unwrap(), None);
    history.write_tier(&tier(), &size(NOW + 48.hours(), 300, true)).unwrap();
    history.write_tier(&tier(), &size(NOW + 49.hours(), 900, false)).unwrap();
    let growth = history.growth(&tier(), NOW).unwrap().unwrap();
    assert!((growth.per_day - 100.0).abs() < 1e-9, "{growth:?}");
    assert_eq!(growth.days_until(1000), Some(7.0));
    assert_eq!(Growth { per_day: -1.0, ..growth }.days_until(1000), None);
    let slots = history.latencies(&tier(), NOW, SignedDuration::from_hours(24)).unwrap();
    assert!(slots.len() >= 2 && slots.iter().all(|(_, ms)| (ms - 2.0).abs() < 1e-9), "{slots:?}");
}

/// Returns the events of a run with one host.
fn run(number: &str, at: Timestamp) -> Vec<RunEvent> {
    let fetched =
        |tier: &str, paths, bytes| (tier.to_owned(), Fetched { paths, bytes, timed: None });
    let result = HostResult {
        toplevel: StorePath::parse(TOP).ok(),
        duration_ms: 9000,
        built: 3,
        build_on: Some("builder".to_owned()),
        substituted: BTreeMap::from([fetched("nixos", 9, 900)]),
        fetched: BTreeMap::from([fetched("weed", 2, 50), fetched("http://x", 1, 50)]),
        ..HostResult::ended(Outcome::Switched)
    };
    let event = |seconds: i64, what| RunEvent {
        run: RunId(number.to_owned()),
        at: at + seconds.seconds(),
        what,
    };
    vec![
        event(0, RunWhat::begin(vec!["p620".into(), "samsung".into()], "x".into())),
        event(9, RunWhat::Result { host: "p620".into(), result }),
        event(
            9,
            RunWhat::Summary { outcomes: BTreeMap::new(), duration_ms: 9000, findings: Vec::new() },
        ),
    ]
}

#[test]
fn a_run_knows_what_is_missing_in_its_folder_however_often_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    let event = |second: i64, what| crate::fleet::RunEvent {
        run: crate::fleet::RunId("7".to_owned()),
        at: NOW + second.seconds(),
        what,
    };
    let dropped = |lines, events, why| crate::fleet::RunWhat::Dropped {
        lines,
        hosts: std::collections::BTreeMap::new(),
        events,
        why,
    };
    let begin = crate::fleet::RunWhat::begin(Vec::new(), "switch".to_owned());
    let full = crate::fleet::DropReason::DiskFull;
    for _ in 0..2 {
        history.write_run(&event(0, begin.clone())).unwrap();
        history.write_run(&event(1, dropped(5, 0, full))).unwrap();
        history.write_run(&event(2, dropped(7, 2, full))).unwrap();
    }
    assert_eq!(history.runs(&[], NOW, 1).unwrap()[0].gaps, [(full, 12, 2)]);
}

#[test]
fn what_was_wrong_in_a_run_is_kept_and_a_code_of_a_newer_nixdash_is_left_out() {
    use crate::fleet::{Code, Finding, Subject};
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    let mut events = run("1", NOW);
    let finding = Finding::new(Subject::host("p620"), Code::NetworkLost, "it was cut off", "see");
    let RunWhat::Result { result, .. } = &mut events[1].what else { panic!() };
    result.findings.push(finding.clone());
    for event in &events {
        history.write_run(event).unwrap();
    }
    let kept = |history: &History| {
        let row = history.runs(&[], NOW, 1).unwrap().remove(0);
        row.hosts[0].1.clone().unwrap().findings
    };
    assert_eq!(kept(&history), [finding]);
    let newer = "UPDATE run_findings SET findings = replace(findings, 'network-lost', 'new-code')";
    assert_eq!(history.db.execute(newer, []).unwrap(), 1);
    assert_eq!(kept(&history), []);
    // Told again without it, nothing of it is left.
    history.write_run(&run("1", NOW)[1]).unwrap();
    assert_eq!(count(&history, "run_findings"), 0);
}

#[test]
fn what_was_wrong_with_a_run_as_a_whole_is_kept_beside_its_hosts() {
    use crate::fleet::{Code, Finding, Subject};
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    let mut events = run("1", NOW);
    let of_run = Subject::Run { run: "1".to_owned(), host: None };
    let gate = Finding::new(of_run, Code::GateFailed, "gate quorum failed", "see");
    let of_host = Finding::new(Subject::host("p620"), Code::NetworkLost, "it was cut off", "see");
    for event in &mut events {
        if let RunWhat::Summary { findings, .. } = &mut event.what {
            *findings = vec![of_host.clone(), gate.clone()];
        }
    }
    for event in &events {
        history.write_run(event).unwrap();
    }
    let row = history.runs(&[], NOW, 1).unwrap().remove(0);
    assert_eq!(row.findings, [gate]);
    assert_eq!(row.hosts[0].1.as_ref().unwrap().findings, []);
}

#[test]
fn a_run_that_is_told_twice_is_one_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    for event in run("1", NOW).iter().chain(&run("1", NOW)).chain(&run("2", NOW + 1.hours())) {
        history.write_run(event).unwrap();
    }
    // The folder of runs was removed, and numbers begin again.
    for event in run("1", NOW + 2.hours()) {
        history.write_run(&event).unwrap();
    }
    let runs = history.runs(&[], NOW, 10).unwrap();
    let numbers: Vec<&str> = runs.iter().map(|run| run.run.0.as_str()).collect();
    assert_eq!(numbers, ["1", "2", "1"]);
    assert_eq!(runs[0].ended_at, Some(NOW + 2.hours().seconds(9)));
    let (host, result) = &runs[2].hosts[0];
    let result = result.as_ref().unwrap();
    assert_eq!((host.as_str(), result.fetched["weed"].bytes), ("p620", 50));
    assert_eq!(result.hits(), Share { have: 9, total: 12 });
    assert_eq!(runs[2].hosts[1], ("samsung".to_owned(), None));
    assert_eq!(history.runs(&[], NOW, 1).unwrap().len(), 1);
    assert_eq!(history.runs(&["razer".to_owned()], NOW, 9).unwrap(), []);
    assert_eq!(history.runs(&["samsung".to_owned()], NOW, 9).unwrap()[0].hosts.len(), 1);
    assert_eq!(history.outcomes().unwrap(), BTreeMap::from([("switched".to_owned(), 3)]));
}

#[test]
fn hit_rate_and_share_served_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    for event in run("1", NOW - 48.hours()).iter().chain(&run("2", NOW)) {
        history.write_run(event).unwrap();
    }
    let week = NOW - (7 * 24).hours();
    assert_eq!(history.hits(week).unwrap()["p620"], Share { have: 18, total: 24 });
    assert_eq!(history.hits(NOW).unwrap()["p620"], Share { have: 9, total: 12 });
    assert!(!history.hits(week).unwrap().contains_key("samsung"));
    let delivered = history.delivered(NOW).unwrap();
    let (paths, bytes) = share_served(&delivered, "weed").unwrap();
    assert_eq!((paths, bytes), (Share { have: 2, total: 12 }, Share { have: 50, total: 1000 }));
    assert_eq!(share_served(&BTreeMap::new(), "weed"), None);
}

#[test]
fn a_file_that_is_no_database_is_moved_aside() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(FILE), "this is not a database".repeat(100)).unwrap();
    let history = History::open(dir.path()).unwrap();
    let aside = history.moved_aside().unwrap();
    let name = aside.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("nixdash.db.corrupt-20"), "{name}");
    assert!(std::fs::read_to_string(aside).unwrap().starts_with("this is not"));
    drop(history);
    assert_eq!(History::open(dir.path()).unwrap().moved_aside(), None);
}

/// Keeps what the recorder says.
fn listener() -> (Arc<Mutex<Vec<String>>>, impl Fn(&str) + Send + 'static) {
    let said = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&said);
    (said, move |line: &str| kept.lock().unwrap().push(line.to_owned()))
}

fn fleet() -> Arc<Fleet> {
    Arc::new(Fleet { tiers: vec![tier()], ..crate::config::fallback() })
}

#[tokio::test]
async fn what_is_handed_over_is_written_and_can_be_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (said, say) = listener();
    let recorder = Recorder::start(dir.path(), fleet(), say).unwrap();
    let facts = Box::new(tier_facts(Timestamp::now()));
    recorder.record(&Event::Tier { tier: "weed".to_owned(), facts: facts.clone() });
    recorder.record_request("weed", 2);
    recorder.record_request("weed", 3);
    recorder.remember("weed", "seen", Some(json!({"a:8080": 1})));
    let known = recorder.recall("weed").await;
    assert_eq!(known, Some(vec![("seen".to_owned(), json!({"a:8080": 1}))]));
    assert_eq!(recorder.recall("no such").await, Some(Vec::new()));
    assert_eq!(recorder.requests_this_month("weed").await, Some(5));
    assert_eq!(recorder.last_tier_facts("weed").await.unwrap().0, *facts);
    assert_eq!(recorder.last_tier_facts("no such").await, None);
    let series = crate::record::Series::TierLatency("weed".to_owned());
    let trend = recorder.trend(series, NOW, SignedDuration::from_secs(10)).await;
    assert_eq!(trend.len(), 1, "{trend:?}");
    for event in run("1", NOW) {
        recorder.record(&Event::Run(event));
    }
    recorder.flush().await;
    assert_eq!(History::open(dir.path()).unwrap().runs(&[], NOW, 9).unwrap().len(), 1);
    assert_eq!(said.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn pages_that_go_bad_while_it_is_open_are_moved_aside_and_writing_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    {
        let mut history = History::open(dir.path()).unwrap();
        for second in 0..2000 {
            history.write_host("p620", &host_facts(NOW + second.seconds(), 1.0)).unwrap();
        }
    }
    let path = dir.path().join(FILE);
    let length = std::fs::metadata(&path).unwrap().len();
    let mut bytes = std::fs::read(&path).unwrap();
    for byte in bytes.iter_mut().skip(4096) {
        *byte = 0xa5;
    }
    assert!(length > 8192);
    std::fs::write(&path, bytes).unwrap();
    let (said, say) = listener();
    let recorder = Recorder::start(dir.path(), fleet(), say).unwrap();
    let event =
        Event::Host { host: "p620".to_owned(), facts: Box::new(host_facts(Timestamp::now(), 1.0)) };
    recorder.record(&event);
    recorder.flush().await;
    let said = said.lock().unwrap().join("\n");
    assert!(said.contains("was corrupt; it was moved to"), "{said}");
    assert_eq!(count(&History::open(dir.path()).unwrap(), "host_samples"), 1);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a file");
    std::fs::write(&file, "").unwrap();
    let (said, say) = listener();
    let recorder = Recorder::start(&file, fleet(), say).unwrap();
    for _ in 0..3 {
        recorder.record_request("weed", 1);
        recorder.flush().await;
    }
    assert_eq!(recorder.requests_this_month("weed").await, None);
    let said = said.lock().unwrap();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("are not recorded for now"), "{said:?}");
}

#[test]
fn what_a_tier_said_of_paths_is_passed_on_until_it_says_otherwise_or_a_day_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    let at = |minutes: i64| NOW + SignedDuration::from_mins(minutes);
    let answer = |name: &str, holds, at| PathAnswer {
        path: StorePath::from_base_name(&format!("p21fy4sc5b87h3ma8y0mbiph36v5yfk7-{name}"))
            .unwrap(),
        holds,
        at,
    };
    let (a, b) = (answer("a", false, at(0)), answer("b", true, at(0)));
    history.write_answers(&tier(), &[a.clone(), b.clone()]).unwrap();
    assert_eq!(history.answers(&tier(), at(0)).unwrap(), [a, b.clone()]);
    let now_held = answer("a", true, at(2));
    history.write_answers(&tier(), &[now_held.clone(), answer("b", false, at(-1))]).unwrap();
    assert_eq!(history.answers(&tier(), at(0)).unwrap(), [now_held.clone(), b]);
    assert_eq!(history.answers(&tier(), at(1)).unwrap(), [now_held]);
    history.write_answers(&tier(), &[answer("c", false, at(2))]).unwrap();
    history.forget_misses().unwrap();
    assert_eq!(count(&history, "answers"), 2, "a and b are held");
    history.thin(at(24 * 60 + 1)).unwrap();
    assert_eq!(count(&history, "answers"), 1, "b was said a day ago");
    history.forget_answers(&tier()).unwrap();
    assert_eq!(count(&history, "answers"), 0);
}
