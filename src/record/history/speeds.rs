//! How fast caches were seen to send files.

use super::{History, HistoryError, time, uint};
use crate::fleet::{TimedBytes, TimedFetch};
use jiff::Timestamp;

impl History {
    /// Returns what was fetched in runs since a time and timed, the oldest first.
    pub fn timed_fetches(&self, since: Timestamp) -> Result<Vec<TimedFetch>, HistoryError> {
        let read = || {
            let mut statement = self.db.prepare_cached(
                "SELECT source, fetcher, at, timed_bytes, busy_ms FROM run_speeds
                 WHERE at >= ?1 ORDER BY at",
            )?;
            let rows = statement.query_map([since.as_millisecond()], |row| {
                Ok(TimedFetch {
                    source: row.get(0)?,
                    host: row.get(1)?,
                    at: time(row.get(2)?),
                    timed: TimedBytes { bytes: uint(row.get(3)?), busy_ms: uint(row.get(4)?) },
                })
            })?;
            rows.collect::<rusqlite::Result<_>>()
        };
        read().map_err(self.failed("read"))
    }
}
