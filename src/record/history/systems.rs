//! Which system each host ran and when that changed: noted probe by probe. A change that no run brought is an
//! event: somebody rebuilt the host by hand, or deployed it from another machine.

use super::{History, HistoryError, time};
use crate::fleet::{PastEvent, PastWhat, SystemFacts, printable_line};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// How often it is written that a host still runs the same system, in milliseconds.
const SEEN_EVERY: i64 = 60 * 1000;

/// The changes of the system that runs. A run explains one when it was at work on the host between the last
/// look at the old system and the first at the new one, and brought the new one, went back to it, or has not said yet
/// what it did. A restart explains one when a run brought the system before: it was staged for the next boot.
const CHANGES: &str = "
    SELECT new.host, new.at, new.running, new.generation, new.version, old.running, old.seen_at
    FROM systems AS new
    JOIN systems AS old ON old.host = new.host
      AND old.at = (SELECT max(at) FROM systems AS any
                    WHERE any.host = new.host AND any.at < new.at)
    WHERE new.at >= ?1 AND (?2 = '' OR new.host = ?2)
    AND NOT EXISTS (
      SELECT 1 FROM run_hosts JOIN runs ON runs.id = run_hosts.run
      WHERE run_hosts.host = new.host AND runs.began_at <= new.at
      AND coalesce(run_hosts.ended_at, runs.ended_at, new.at) >= old.seen_at
      AND (run_hosts.toplevel IS NULL OR new.running IN (run_hosts.toplevel, run_hosts.previous)))
    AND NOT EXISTS (
      SELECT 1 FROM boots, run_hosts JOIN runs ON runs.id = run_hosts.run
      WHERE boots.host = new.host AND boots.at BETWEEN old.seen_at AND new.at
      AND run_hosts.host = new.host AND runs.began_at <= new.at
      AND run_hosts.toplevel = new.running)
    ORDER BY new.at DESC LIMIT ?3";

impl History {
    /// Returns which hosts got another system without a run, the newest first.
    pub(super) fn changed_systems(
        &self,
        host: Option<&str>,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<PastEvent>, HistoryError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = || -> rusqlite::Result<Vec<PastEvent>> {
            let mut statement = self.db.prepare_cached(CHANGES)?;
            let of = params![since.as_millisecond(), host.unwrap_or_default(), limit];
            statement.query_map(of, change)?.collect()
        };
        read().map_err(self.failed("read"))
    }
}

fn change(row: &Row<'_>) -> rusqlite::Result<PastEvent> {
    let generation: Option<i64> = row.get(3)?;
    Ok(PastEvent {
        at: time(row.get(1)?),
        what: PastWhat::OtherSystem {
            host: row.get(0)?,
            running: row.get(2)?,
            generation: generation.and_then(|number| u64::try_from(number).ok()),
            version: row.get(4)?,
            before: row.get(5)?,
            seen_at: time(row.get(6)?),
        },
    })
}

/// Notes which system a host runs, at a time in milliseconds.
pub(super) fn runs(
    db: &Connection,
    host: &str,
    system: &SystemFacts,
    at: i64,
) -> rusqlite::Result<()> {
    let Some(running) = &system.running else { return Ok(()) };
    let running = running.to_string();
    let newest: Option<(i64, i64, String)> = db
        .prepare_cached(
            "SELECT at, seen_at, running FROM systems WHERE host = ?1 ORDER BY at DESC LIMIT 1",
        )?
        .query_row([host], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    match newest {
        // Another nixdash looked later, and wrote sooner.
        Some((_, seen_at, _)) if at < seen_at => Ok(()),
        Some((_, seen_at, known)) if known == running && at < seen_at + SEEN_EVERY => Ok(()),
        Some((since, _, known)) if known == running => db
            .prepare_cached("UPDATE systems SET seen_at = ?3 WHERE host = ?1 AND at = ?2")?
            .execute(params![host, since, at])
            .map(drop),
        Some(_) | None => db
            .prepare_cached(
                "INSERT OR IGNORE INTO systems (host, at, seen_at, running, generation, version)
                 VALUES (?1, ?2, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                host,
                at,
                running,
                // Of the newest generation, where that is what runs.
                system
                    .generation
                    .filter(|_| system.running == system.profile)
                    .and_then(|number| i64::try_from(number).ok()),
                system.nixos_version.as_deref().map(printable_line),
            ])
            .map(drop),
    }
}

/// Removes the changes before a time, but the newest system of each host: it says whether the next is another.
pub(super) fn thin(db: &Connection, before: i64) -> rusqlite::Result<()> {
    db.execute(
        "DELETE FROM systems WHERE seen_at < ?1
         AND at < (SELECT max(at) FROM systems AS newer WHERE newer.host = systems.host)",
        [before],
    )
    .map(drop)
}
