//! How long it takes to read what the screen shows of the past, out of a history of 90 days: 20 hosts
//! asked every 5 s and a tier every 10 s, thinned as they would be. Opening the file is part of it.

use nixdash::fleet::{
    Coverage, CoverageFacts, HostFacts, HostState, KindName, Share, Tier, TierFacts, TimeSpan,
};
use nixdash::record::History;
use rusqlite::Connection;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

/// Hosts of the fleet.
const HOSTS: usize = 20;

/// Parts of a time on a screen of 200 columns.
const PARTS: usize = 382;

/// How often each reading is done.
const TIMES: usize = 15;

/// Samples by width in milliseconds (as measured, five minutes, an hour), and how old they are at first
/// and at last, in hours.
const WIDTHS: [(i64, i64, i64); 3] =
    [(0, 0, 48), (300_000, 48, 30 * 24), (3_600_000, 30 * 24, 90 * 24)];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let now = jiff::Timestamp::now();
    let tier = Tier::new("weed", KindName::Http, "http://10.0.0.5:8333/nix-cache");
    let hosts: Vec<String> = (0..HOSTS).map(|number| format!("host{number}")).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let path = begin(folder.path(), &hosts, &tier, now)?;
    let rows = fill(&path, now)?;
    println!("{rows} samples of {HOSTS} hosts and a tier in {} MB", megabytes(&path)?);
    let host_every = jiff::SignedDuration::from_secs(5);
    let tier_every = [10, 300].map(jiff::SignedDuration::from_secs);
    for span in TimeSpan::ALL {
        let host = median(|| {
            let history = History::open(folder.path())?;
            Ok(history.host_over_time(hosts[7], host_every, (span, now, PARTS))?.figures.len())
        })?;
        let of_tier = median(|| {
            let history = History::open(folder.path())?;
            let over = (span, now, PARTS);
            Ok(history.tier_over_time(&tier, &hosts, tier_every, over)?.figures.len())
        })?;
        println!("{:>6}: a host in {host:5.1} ms, a tier in {of_tier:5.1} ms", span.words());
    }
    Ok(())
}

/// Makes a history that knows the hosts and the tier; returns its file.
fn begin(
    folder: &Path,
    hosts: &[&str],
    tier: &Tier,
    now: jiff::Timestamp,
) -> Result<std::path::PathBuf, Box<dyn Error>> {
    let mut history = History::open(folder)?;
    let at = Some(now);
    for host in hosts {
        let facts = HostFacts {
            state: HostState::Up,
            measured_at: at,
            asked_at: at,
            ..HostFacts::default()
        };
        history.write_host(host, &facts)?;
        let share = Share { have: 1, total: 2 };
        let found = Coverage { paths: share, bytes: share, measured_at: now, at_most: false };
        let tiers = [(tier.name.clone(), found)].into();
        let facts = CoverageFacts { tiers, ..CoverageFacts::default() };
        history.write_coverage(host, &facts, |_| Some(tier))?;
    }
    history
        .write_tier(tier, &TierFacts { measured_at: at, asked_at: at, ..TierFacts::default() })?;
    Ok(history.path().to_owned())
}

/// Fills the file with samples of 90 days; returns how many it has.
fn fill(path: &Path, now: jiff::Timestamp) -> Result<i64, Box<dyn Error>> {
    let db = Connection::open(path)?;
    db.execute_batch("BEGIN")?;
    for (step, youngest, oldest) in WIDTHS {
        let hour = |hours: i64| now.as_millisecond() - hours * 3_600_000;
        let (from, until) = (hour(oldest), hour(youngest));
        for (each, of, samples, values, extremes, ends) in [
            (
                5_000,
                "id AS host",
                "host_samples (host, step, at, probes, answered, state, latency_ms, load1,
                 memory_used, memory_total, disk_used, disk_total)",
                "1, 1, 'up', 4.0, 1.0 + at % 7, 10, 32, 500, 1000 FROM hosts",
                "host_extremes (host, step, at, latency_ms_low, latency_ms_high, load1_low,
                 load1_high, memory_used_low, memory_used_high, disk_used_low, disk_used_high)",
                "1.0, 90.0, 0.1, 32.0, 5, 20, 400, 600 FROM hosts",
            ),
            (
                10_000,
                "id AS tier",
                "tier_samples (tier, step, at, probes, usable, state, latency_ms, answered,
                 answered_of)",
                "1, 1, 'up', 4.0, 9, 10 FROM tiers",
                "tier_extremes (tier, step, at, latency_ms_low, latency_ms_high, answered_low,
                 answered_high)",
                "1.0, 90.0, 0.1, 1.0 FROM tiers",
            ),
            (
                300_000,
                "hosts.id AS host, tiers.id AS tier",
                "coverage_samples (host, tier, step, at, paths, paths_of, bytes, bytes_of)",
                "9, 10, 9, 10 FROM hosts, tiers",
                "coverage_extremes (host, tier, step, at, paths_low, paths_high)",
                "0.5, 1.0 FROM hosts, tiers",
            ),
        ] {
            let every = step.max(each);
            let times = format!(
                "WITH times (at) AS (SELECT {from} / {every} * {every} UNION ALL
                 SELECT at + {every} FROM times WHERE at + {every} < {until})"
            );
            db.execute_batch(&format!(
                "{times} INSERT OR IGNORE INTO {samples} SELECT {of}, {step}, at, {values}, times"
            ))?;
            if step > 0 {
                db.execute_batch(&format!(
                    "{times} INSERT OR IGNORE INTO {extremes}
                     SELECT {of}, {step}, at, {ends}, times"
                ))?;
            }
        }
    }
    db.execute_batch("COMMIT")?;
    let count = "SELECT (SELECT count(*) FROM host_samples) + (SELECT count(*) FROM tier_samples)
                 + (SELECT count(*) FROM coverage_samples)";
    Ok(db.query_row(count, [], |row| row.get(0))?)
}

/// Returns the size of a file.
fn megabytes(path: &Path) -> std::io::Result<u64> {
    Ok(std::fs::metadata(path)?.len() / 1_000_000)
}

/// Returns the median time of a reading, in milliseconds.
fn median(read: impl Fn() -> Result<usize, Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let began = Instant::now();
        if read()? == 0 {
            return Err("nothing was read".into());
        }
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[TIMES / 2])
}
