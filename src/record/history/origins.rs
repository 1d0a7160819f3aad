//! What runs say about caches: the hit rate, and the share that each tier served.

use super::{History, HistoryError, uint};
use crate::fleet::{Fetched, Share};
use jiff::Timestamp;
use std::collections::BTreeMap;

impl History {
    /// Returns how much of what runs needed on the host that builds was substituted, by host that
    /// was deployed; hosts for which nothing was needed are absent. See
    /// [`crate::fleet::HostResult::hits`].
    pub fn hits(&self, since: Timestamp) -> Result<BTreeMap<String, Share>, HistoryError> {
        let read = || {
            let mut statement = self.db.prepare_cached(
                "SELECT host, sum(built), sum(substituted) FROM (
                   SELECT host, coalesce(built, 0) AS built,
                     (SELECT coalesce(sum(paths), 0) FROM run_origins
                      WHERE run_origins.run = run_hosts.run AND side = 'builder'
                        AND run_origins.host = run_hosts.host) AS substituted
                   FROM run_hosts JOIN runs ON runs.id = run_hosts.run WHERE began_at >= ?1)
                 GROUP BY host HAVING sum(built) + sum(substituted) > 0",
            )?;
            let rows = statement.query_map([since.as_millisecond()], |row| {
                let (built, have) = (uint(row.get(1)?), uint(row.get(2)?));
                Ok((row.get(0)?, Share { have, total: have.saturating_add(built) }))
            })?;
            rows.collect::<rusqlite::Result<_>>()
        };
        read().map_err(self.failed("read"))
    }

    /// Returns what was delivered to hosts and builders in runs since a time, by tier (or URL).
    pub fn delivered(&self, since: Timestamp) -> Result<BTreeMap<String, Fetched>, HistoryError> {
        let read = || {
            let mut statement = self.db.prepare_cached(
                "SELECT source, sum(paths), sum(bytes) FROM run_origins
                 JOIN runs ON runs.id = run_origins.run WHERE began_at >= ?1 GROUP BY source",
            )?;
            let rows = statement.query_map([since.as_millisecond()], |row| {
                let (paths, bytes) = (uint(row.get(1)?), uint(row.get(2)?));
                Ok((row.get(0)?, Fetched { paths, bytes, timed: None }))
            })?;
            rows.collect::<rusqlite::Result<_>>()
        };
        read().map_err(self.failed("read"))
    }

    /// Returns how many hosts ended how in all runs there ever were.
    pub fn outcomes(&self) -> Result<BTreeMap<String, u64>, HistoryError> {
        let read = || {
            let mut statement = self.db.prepare_cached(
                "SELECT outcome, count(*) FROM run_hosts WHERE outcome IS NOT NULL GROUP BY outcome",
            )?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, uint(row.get(1)?))))?;
            rows.collect::<rusqlite::Result<_>>()
        };
        read().map_err(self.failed("read"))
    }
}

/// Returns a part of what was delivered, in paths and in bytes; nothing when nothing was.
pub fn share_served(delivered: &BTreeMap<String, Fetched>, tier: &str) -> Option<(Share, Share)> {
    let mut all = Fetched::default();
    for got in delivered.values() {
        all.add(*got);
    }
    let own = delivered.get(tier).copied().unwrap_or_default();
    (all.paths > 0).then_some((
        Share { have: own.paths, total: all.paths },
        Share { have: own.bytes, total: all.bytes },
    ))
}
