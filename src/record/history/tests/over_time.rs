//! Figures over time, read in parts.

use super::*;
use crate::fleet::{Figure, FigureOverTime, OverTime, TimePoint, TimeSpan};

const EVERY: SignedDuration = SignedDuration::from_secs(5);

fn figure(found: &OverTime, figure: Figure) -> &FigureOverTime {
    found.figures.iter().find(|one| one.figure == figure).unwrap()
}

/// Returns in which parts something was measured: `#` where it was.
fn picture(found: &FigureOverTime) -> String {
    found.points.iter().map(|point| if point.is_some() { '#' } else { '.' }).collect()
}

#[test]
fn what_was_not_measured_is_a_gap_and_a_host_that_does_not_answer_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    // Ten parts of a minute each, the last of which begins now.
    let now = Timestamp::from_second(NOW.as_second() / 60 * 60).unwrap();
    let minute = |minute: i64, second: i64| now - (9 - minute).minutes() + second.seconds();
    for (from, to) in [(0, 3), (6, 8)] {
        for second in (0..60 * (to - from)).step_by(5) {
            let facts = host_facts(minute(from, second), 1.5);
            history.write_host("p620", &facts).unwrap();
        }
    }
    let read = |history: &History| {
        history.host_over_time("p620", EVERY, (TimeSpan::TenMinutes, now, 10)).unwrap()
    };
    let found = read(&history);
    // Of the last sample before a gap is believed that it held for three probes, and no longer.
    assert_eq!(picture(figure(&found, Figure::Load)), "####..###.");
    assert_eq!(picture(figure(&found, Figure::HostLatency)), "..........");
    assert_eq!((found.from, found.until), (minute(0, 0), minute(10, 0)));
    let offline = HostFacts {
        state: HostState::Offline,
        asked_at: Some(minute(3, 0)),
        ..host_facts(minute(2, 55), 1.5)
    };
    history.write_host("p620", &offline).unwrap();
    let found = read(&history);
    let load = figure(&found, Figure::Load);
    assert_eq!(picture(load), "###...###.");
    assert_eq!((load.range(), load.newest), (Some((1.5, 1.5)), Some(1.5)));
    let unknown = history.host_over_time("nobody", EVERY, (TimeSpan::Day, now, 3)).unwrap();
    assert!(unknown.figures.iter().all(|one| picture(one) == "..." && one.newest.is_none()));
}

#[test]
fn where_there_are_more_parts_than_probes_a_value_holds_until_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    for (at, load) in [(-20, 1.0), (-15, 2.0), (-10, 4.0), (-5, 8.0)] {
        history.write_host("p620", &host_facts(NOW + at.seconds(), load)).unwrap();
    }
    let found = history.host_over_time("p620", EVERY, (TimeSpan::TenMinutes, NOW, 600)).unwrap();
    let load = figure(&found, Figure::Load);
    let newest: Vec<Option<f64>> =
        load.points[578..].iter().map(|point| point.map(|it| it.mean)).collect();
    let runs: Vec<(Option<f64>, usize)> =
        newest.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect();
    let known = [(Some(1.0), 5), (Some(2.0), 5), (Some(4.0), 5), (Some(8.0), 6)];
    assert_eq!(runs, [&[(None, 1)][..], &known].concat(), "{newest:?}");
}

#[test]
fn a_peak_is_seen_over_every_time_however_old_it_is() {
    for (hours_ago, span) in [
        (1, TimeSpan::SixHours),
        (20, TimeSpan::Day),
        (60, TimeSpan::Week),
        (29 * 24, TimeSpan::Month),
        (31 * 24, TimeSpan::Quarter),
        (89 * 24, TimeSpan::Quarter),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut history = History::open(dir.path()).unwrap();
        let begin = NOW - hours_ago.hours();
        for index in 0..240 {
            let load = if index == 100 { 48.0 } else { 1.0 };
            let at = begin + (5 * index).seconds();
            history.write_host("p620", &host_facts(at, load)).unwrap();
        }
        history.thin(NOW).unwrap();
        let found = history.host_over_time("p620", EVERY, (span, NOW, 160)).unwrap();
        let load = figure(&found, Figure::Load);
        assert_eq!(load.range(), Some((1.0, 48.0)), "{hours_ago} h ago");
        let part = load.points.iter().position(|point| point.is_some_and(|it| it.high > 40.0));
        let length = found.until.duration_since(found.from) / 160;
        let at = found.from + length * i32::try_from(part.unwrap()).unwrap();
        let wide = SignedDuration::from_hours(1).max(length);
        assert!((begin - wide..begin + wide).contains(&at), "{hours_ago} h ago: {at}");
        let mean = load.points[part.unwrap()].unwrap().mean;
        assert!(mean < 30.0, "{hours_ago} h ago: the mean is {mean}");
    }
}

#[test]
fn what_a_tier_answered_counts_by_requests_and_coverage_is_that_of_all_hosts() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    let weed = tier();
    for (second, have, total) in [(0, 0, 1), (10, 99, 99), (20, 0, 0)] {
        let served =
            ServedFacts { answered: Some(Share { have, total }), ..ServedFacts::default() };
        let at = NOW + second.seconds();
        history.write_tier(&weed, &TierFacts { served: Some(served), ..tier_facts(at) }).unwrap();
    }
    for (host, have) in [("p620", 20), ("razer", 10), ("other", 0)] {
        let share = Share { have, total: 20 };
        let found = Coverage { paths: share, bytes: share, measured_at: NOW, at_most: false };
        let tiers = BTreeMap::from([("weed".to_owned(), found)]);
        let facts = CoverageFacts { tiers, ..CoverageFacts::default() };
        history.write_coverage(host, &facts, |_| Some(&weed)).unwrap();
    }
    let now = NOW + 30.seconds();
    let every = [SignedDuration::from_secs(10), SignedDuration::from_mins(5)];
    let found =
        history.tier_over_time(&weed, &["p620", "razer"], every, (TimeSpan::Hour, now, 1)).unwrap();
    let only = |one| figure(&found, one).points[0].unwrap();
    assert_eq!(only(Figure::TierLatency), TimePoint::only(2.0));
    let answered = only(Figure::Answered);
    assert_eq!((answered.low, answered.high), (0.0, 1.0));
    assert!((answered.mean - 0.99).abs() < 1e-9, "{answered:?}");
    assert_eq!(only(Figure::Coverage), TimePoint { low: 0.5, mean: 0.75, high: 1.0 });
    let moved = Tier { url: "http://elsewhere".to_owned(), ..weed };
    let found = history.tier_over_time(&moved, &["p620"], every, (TimeSpan::Hour, now, 4)).unwrap();
    assert_eq!(found.figures.len(), 3);
    assert!(found.figures.iter().all(|one| picture(one) == "...."));
}
