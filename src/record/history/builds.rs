//! How long derivations took to be built, and what packages usually take.

use super::phases::median;
use super::{History, HistoryError, int, uint};
use crate::fleet::{HostBuilds, UsualBuilds, printable_line};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};
use std::collections::HashMap;
use std::path::Path;

/// How many builds of a package on a host are kept, the newest.
const NEWEST: i64 = 10;

/// How long the builds of a package are kept that is not built any more.
const KEPT: SignedDuration = SignedDuration::from_hours(2 * 365 * 24);

impl History {
    /// Returns what the history below a folder says of that, and nothing where it cannot be read.
    pub fn usual_builds_below(home: &Path, build_on: &str) -> UsualBuilds {
        let history = Self::open(home);
        history.and_then(|history| history.usual_builds(build_on)).unwrap_or_default()
    }

    /// Returns how long the packages usually take that a host built: the median of the newest ten
    /// builds of each, whatever its version.
    pub fn usual_builds(&self, build_on: &str) -> Result<UsualBuilds, HistoryError> {
        let read = || {
            let mut statement = self.db.prepare_cached(
                "SELECT package, ms FROM (
                   SELECT package, ms, row_number() OVER
                     (PARTITION BY package ORDER BY at DESC) AS place
                   FROM run_builds WHERE build_on = ?1)
                 WHERE place <= ?2",
            )?;
            let rows = statement.query_map(params![build_on, NEWEST], |row| {
                Ok((row.get::<_, String>(0)?, uint(row.get(1)?)))
            })?;
            let mut times: HashMap<String, Vec<u64>> = HashMap::new();
            for row in rows {
                let (package, ms) = row?;
                times.entry(package).or_default().push(ms);
            }
            Ok(times.into_iter().filter_map(|(name, all)| Some((name, median(all)?))).collect())
        };
        read().map_err(self.failed("read"))
    }

    /// Drops what is not among the newest builds of its package, and packages that were not built for
    /// two years.
    pub(super) fn thin_builds(&mut self, now: Timestamp) -> Result<(), HistoryError> {
        let oldest = now.as_millisecond().saturating_sub(KEPT.as_millis() as i64);
        self.db
            .execute(
                "DELETE FROM run_builds WHERE at < ?1 OR (run, host, name) IN (
                   SELECT run, host, name FROM (
                     SELECT run, host, name, row_number() OVER
                       (PARTITION BY build_on, package ORDER BY at DESC) AS place
                     FROM run_builds)
                   WHERE place > ?2)",
                params![oldest, NEWEST],
            )
            .map(drop)
            .map_err(self.failed("thin"))
    }
}

/// Writes how long the derivations took that were built for a host of a run; what failed says nothing
/// of what the next build takes.
pub(super) fn write_builds(
    db: &Connection,
    (run, host): (i64, &str),
    at: Timestamp,
    builds: &HostBuilds,
) -> rusqlite::Result<()> {
    let mut statement =
        db.prepare_cached("INSERT OR REPLACE INTO run_builds VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    let (host, build_on) = (printable_line(host), printable_line(&builds.build_on));
    for built in builds.times.iter().filter(|built| built.is_built) {
        statement.execute(params![
            run,
            host,
            printable_line(&built.name),
            printable_line(&built.package),
            build_on,
            at.as_millisecond(),
            int(built.ms)
        ])?;
    }
    Ok(())
}
