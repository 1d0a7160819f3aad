//! How long the phases of hosts' runs took, and what they usually take.

use super::write::word;
use super::{History, HistoryError, int, uint};
use crate::fleet::{HostResult, Phase, UsualTimes};
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

/// How many of a host's newest runs are looked at.
const NEWEST: usize = 10;

impl History {
    /// Returns what each phase usually takes on a host: the median of its newest ten runs in which
    /// the phase was reached and the host got what was asked for.
    pub fn usual_times(&self, host: &str) -> Result<UsualTimes, HistoryError> {
        let read = || {
            let mut statement = self.db.prepare_cached(
                "SELECT phase, ms FROM run_phases
                 JOIN run_hosts USING (run, host) JOIN runs ON runs.id = run_phases.run
                 WHERE run_phases.host = ?1
                   AND outcome IN ('switched', 'booted', 'tested', 'built', 'needs-reboot')
                 ORDER BY began_at DESC",
            )?;
            let rows = statement.query_map([host], |row| {
                Ok((row.get::<_, String>(0)?, uint(row.get::<_, i64>(1)?)))
            })?;
            let mut times: BTreeMap<Phase, Vec<u64>> = BTreeMap::new();
            for row in rows {
                let (word, ms) = row?;
                let Some(phase) = Phase::of_word(&word) else { continue };
                let taken = times.entry(phase).or_default();
                if taken.len() < NEWEST {
                    taken.push(ms);
                }
            }
            Ok(times.into_iter().filter_map(|(phase, all)| Some((phase, median(all)?))).collect())
        };
        read().map_err(self.failed("read"))
    }
}

/// Returns the middle of some times; of an even number of them the shorter of the two in the middle.
pub(super) fn median(mut times: Vec<u64>) -> Option<u64> {
    times.sort_unstable();
    times.get(times.len().saturating_sub(1) / 2).copied()
}

/// Writes how long the phases of a host's run took.
pub(super) fn write_phases(
    db: &Connection,
    run: i64,
    host: &str,
    result: &HostResult,
) -> rusqlite::Result<()> {
    let mut statement =
        db.prepare_cached("INSERT OR REPLACE INTO run_phases VALUES (?1, ?2, ?3, ?4)")?;
    for (phase, ms) in &result.phases {
        statement.execute(params![run, host, word(phase), int(*ms)])?;
    }
    Ok(())
}

/// Returns how long the phases of a host's run took, in milliseconds.
pub(super) fn phases_of(
    db: &Connection,
    run: i64,
    host: &str,
) -> rusqlite::Result<BTreeMap<Phase, u64>> {
    let mut statement =
        db.prepare_cached("SELECT phase, ms FROM run_phases WHERE run = ?1 AND host = ?2")?;
    let rows = statement.query_map(params![run, host], |row| {
        Ok((row.get::<_, String>(0)?, uint(row.get::<_, i64>(1)?)))
    })?;
    let known = rows.map(|row| row.map(|(word, ms)| Some((Phase::of_word(&word)?, ms))));
    known.filter_map(rusqlite::Result::transpose).collect()
}
