//! The lowest and the highest values stay when samples get wider.

use super::*;

/// Returns the lowest and the highest value of one figure over all samples of a table, by width.
fn extremes(history: &History, table: &str, figure: &str) -> Vec<(i64, f64, f64)> {
    let query = format!(
        "SELECT step, CAST(min({figure}_low) AS REAL), CAST(max({figure}_high) AS REAL)
         FROM {table} GROUP BY step ORDER BY step"
    );
    let mut statement = history.db.prepare(&query).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// The widths that samples have after so many days.
const STEPS: [(i64, i64); 4] = [(3, 300_000), (29, 300_000), (31, 3_600_000), (90, 3_600_000)];

#[test]
fn a_peak_of_five_seconds_is_there_for_90_days() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    // An hour and a half of probes, one every 5 s, in which one is busy, one idle and one slow.
    for index in 0..1080 {
        let at = NOW + (5 * index).seconds();
        let load = match index {
            500 => 64.0,
            501 => 0.25,
            _ => 2.0,
        };
        let used = if index == 500 { 30 } else { 10 };
        let facts = HostFacts {
            latency_ms: Some(if index == 502 { 900.0 } else { 4.0 }),
            memory: Some(Bytes { used, total: 32 }),
            disk: Some(Bytes { used: 100 - used, total: 100 }),
            ..host_facts(at, load)
        };
        history.write_host("p620", &facts).unwrap();
    }
    for (days, step) in STEPS {
        history.thin(NOW + (days * 24).hours()).unwrap();
        let found = |figure| extremes(&history, "host_extremes", figure);
        assert_eq!(found("load1"), [(step, 0.25, 64.0)], "after {days} days");
        assert_eq!(found("latency_ms"), [(step, 4.0, 900.0)], "after {days} days");
        assert_eq!(found("memory_used"), [(step, 10.0, 30.0)], "after {days} days");
        assert_eq!(found("disk_used"), [(step, 70.0, 90.0)], "after {days} days");
        let means = rows(&history, "host_samples", "load1");
        assert!(means.iter().all(|(_, count, sum)| sum / *count as f64 <= 4.0), "{means:?}");
    }
    history.thin(NOW + (3 * 365 * 24).hours()).unwrap();
    assert_eq!(count(&history, "host_extremes"), 0);
}

#[test]
fn what_a_tier_answered_and_held_at_worst_is_there_for_90_days() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    let weed = tier();
    for index in 0..180 {
        let at = NOW + (30 * index).seconds();
        let answered = Share { have: if index == 50 { 1 } else { 9 }, total: 10 };
        let served = ServedFacts { answered: Some(answered), ..ServedFacts::default() };
        let latency_ms = Some(if index == 70 { 250.0 } else { 2.0 });
        let facts = TierFacts { served: Some(served), latency_ms, ..tier_facts(at) };
        history.write_tier(&weed, &facts).unwrap();
        let share = Share { have: if index == 90 { 5 } else { 20 }, total: 20 };
        let found = Coverage { paths: share, bytes: share, measured_at: at, at_most: false };
        let tiers = BTreeMap::from([("weed".to_owned(), found)]);
        let facts = CoverageFacts { tiers, ..CoverageFacts::default() };
        history.write_coverage("p620", &facts, |_| Some(&weed)).unwrap();
    }
    for (days, step) in STEPS {
        history.thin(NOW + (days * 24).hours()).unwrap();
        let found = |table, figure| extremes(&history, table, figure);
        assert_eq!(found("tier_extremes", "latency_ms"), [(step, 2.0, 250.0)], "{days} days");
        assert_eq!(found("tier_extremes", "answered"), [(step, 0.1, 0.9)], "{days} days");
        assert_eq!(found("coverage_extremes", "paths"), [(step, 0.25, 1.0)], "{days} days");
    }
}

#[test]
fn of_a_sample_that_was_thinned_before_extremes_were_kept_the_mean_is_both() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(FILE);
    let mut db = rusqlite::Connection::open(&file).unwrap();
    migrate(&mut db, &file, &SHAPES[..9]).unwrap();
    db.execute("INSERT INTO hosts (name) VALUES ('p620')", []).unwrap();
    let begin = NOW.as_millisecond() / 3_600_000 * 3_600_000;
    for (index, load) in (0..).zip([1.0, 3.0, 8.0]) {
        let sample = "INSERT INTO host_samples (host, step, at, probes, answered, state, load1)
                      VALUES (1, 300000, ?1, 60, 60, 'up', ?2)";
        db.execute(sample, rusqlite::params![begin + 300_000 * index, load]).unwrap();
    }
    drop(db);
    let mut history = History::open(dir.path()).unwrap();
    history.thin(NOW + (31 * 24).hours()).unwrap();
    assert_eq!(extremes(&history, "host_extremes", "load1"), [(3_600_000, 1.0, 8.0)]);
    assert_eq!(rows(&history, "host_samples", "load1"), [(3_600_000, 1, 4.0)]);
}
