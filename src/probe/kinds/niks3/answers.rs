//! Reads what a niks3 server says of its cache. Pure.
//!
//! Names and shapes are read in niks3's source (commit 780939a, 2026-06-30: `server/metrics.go`,
//! `server/cache_stats.go`, `server/cache_config.go`, `server/closure.go`, `api/types.go`), and none
//! of them in the answers of a server at work.

use crate::probe::prometheus::Metrics;
use jiff::Timestamp;
use serde::Deserialize;

/// What a cache holds, and how it stands with it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Inventory {
    /// Objects that are not marked as deleted.
    pub(super) objects: u64,
    /// Their uncompressed size in bytes; objects of unknown size are not in it.
    pub(super) logical_bytes: u64,
    /// Closures of which the upload has begun and not ended.
    pub(super) pending: Option<u64>,
    /// When the last collection that succeeded ended, since the server began.
    pub(super) collected_at: Option<Timestamp>,
    /// Collections since the server began: all, and those that failed.
    pub(super) collections: Option<(u64, u64)>,
}

/// What `/api/cache-stats` answers everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Stats {
    pub(super) objects: u64,
    pub(super) logical_bytes: u64,
}

/// What `/api/cache-config` answers everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct CacheConfig {
    /// The address that hosts should ask; empty where the server was not told.
    #[serde(default)]
    pub(super) substituter_url: String,
    /// The keys that it signs with.
    #[serde(default)]
    pub(super) public_keys: Vec<String>,
}

/// What `/api/gc/status` answers those who have its token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Collection {
    /// `running`, `succeeded`, `failed`.
    pub(super) state: String,
    #[serde(default)]
    pub(super) error: String,
    #[serde(default)]
    pub(super) finished_at: Option<Timestamp>,
}

impl Inventory {
    /// Reads it from the metrics; nothing where they are not niks3's.
    pub(super) fn of_metrics(metrics: &Metrics) -> Option<Self> {
        let count = |name: &str| metrics.total(name).and_then(whole);
        let runs = |wanted: &str| {
            metrics.sum("niks3_gc_runs_total", |sample| sample.label("result") == Some(wanted))
        };
        let failed = runs("failed").and_then(whole);
        let all = metrics.total("niks3_gc_runs_total").and_then(whole);
        let collected = metrics.total("niks3_gc_last_run_timestamp_seconds").and_then(whole);
        Some(Self {
            objects: count("niks3_cache_objects")?,
            logical_bytes: count("niks3_cache_logical_bytes")?,
            pending: count("niks3_pending_closures"),
            // A gauge that was never set stands at 0.
            collected_at: collected
                .filter(|second| *second > 0)
                .and_then(|second| Timestamp::from_second(i64::try_from(second).ok()?).ok()),
            collections: all.zip(failed),
        })
    }
}

impl From<Stats> for Inventory {
    fn from(Stats { objects, logical_bytes }: Stats) -> Self {
        Self { objects, logical_bytes, ..Self::default() }
    }
}

/// Returns a figure as a whole number; nothing for one that is none.
fn whole(figure: f64) -> Option<u64> {
    (0.0..=1e18).contains(&figure).then_some(figure as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = include_str!("../../../../tests/answers/niks3/metrics.txt");
    const STATS: &str = include_str!("../../../../tests/answers/niks3/stats.json");

    #[test]
    fn metrics_tell_objects_bytes_pending_and_the_last_collection() {
        let found = Inventory::of_metrics(&Metrics::parse(METRICS).unwrap()).unwrap();
        assert_eq!((found.objects, found.logical_bytes), (48_210, 81_234_567_000));
        assert_eq!((found.pending, found.collections), (Some(2), Some((4, 1))));
        assert_eq!(found.collected_at.map(Timestamp::as_second), Some(1_794_999_600));
        let fresh = METRICS.replace("1.7949996e+09", "0").replace("niks3_gc_runs_total{", "x{");
        let found = Inventory::of_metrics(&Metrics::parse(&fresh).unwrap()).unwrap();
        assert_eq!((found.collected_at, found.collections), (None, None), "unknown is not never");
        assert_eq!(Inventory::of_metrics(&Metrics::parse("up 1\n").unwrap()), None);
        let odd = METRICS.replace("48210", "-3");
        assert_eq!(Inventory::of_metrics(&Metrics::parse(&odd).unwrap()), None);
    }

    #[test]
    fn what_everybody_is_told_is_objects_and_bytes_alone() {
        let stats: Stats = serde_json::from_str(STATS).unwrap();
        let found = Inventory::from(stats);
        assert_eq!((found.objects, found.pending, found.collected_at), (48_210, None, None));
    }
}
