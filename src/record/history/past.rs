//! What happened, newest first: what was wrong, which hosts restarted or got another system, and what runs did.

use super::troubles::subject_word;
use super::{History, HistoryError, time};
use crate::fleet::{OverTimeOf, PastEvent, PastWhat, Severity, TroubleEnd};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Row, params};

/// After how long without a probe nobody knows whether a trouble went on.
const UNSEEN: SignedDuration = SignedDuration::from_mins(15);

impl History {
    /// Returns what happened to a host or tier, or to all, since a time: at most `limit`, the newest.
    pub fn past(
        &self,
        of: Option<&OverTimeOf>,
        since: Timestamp,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<PastEvent>, HistoryError> {
        let mut events = self.troubles(of, since, limit, now).map_err(self.failed("read"))?;
        match of {
            Some(OverTimeOf::Tier(_)) => {}
            Some(OverTimeOf::Host(host)) => {
                events
                    .extend(self.restarts(Some(host), since, limit).map_err(self.failed("read"))?);
                events.extend(self.changed_systems(Some(host), since, limit)?);
                events.extend(self.run_events(std::slice::from_ref(host), since, limit)?);
            }
            None => {
                events.extend(self.restarts(None, since, limit).map_err(self.failed("read"))?);
                events.extend(self.changed_systems(None, since, limit)?);
                events.extend(self.run_events(&[], since, limit)?);
            }
        }
        events.sort_by_key(|event| std::cmp::Reverse(event.at));
        events.truncate(limit);
        Ok(events)
    }

    fn troubles(
        &self,
        of: Option<&OverTimeOf>,
        since: Timestamp,
        limit: usize,
        now: Timestamp,
    ) -> rusqlite::Result<Vec<PastEvent>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let (subject, name) = of.map_or(("", ""), |of| (subject_word(of), of.name()));
        // What goes on belongs to every time.
        let mut statement = self.db.prepare_cached(
            "SELECT subject, name, host, code, severity, words, cause, began_at, seen_at, ended_at
             FROM troubles
             WHERE coalesce(ended_at, seen_at) >= ?1
             AND (?2 = '' OR (subject = ?2 AND name = ?3) OR (?2 = 'host' AND host = ?3))
             ORDER BY began_at DESC LIMIT ?4",
        )?;
        let rows = statement
            .query_map(params![since.as_millisecond(), subject, name, limit], |row| {
                trouble(row, now)
            })?;
        rows.collect()
    }

    /// Returns when hosts restarted: every boot but the first one that was seen of each.
    fn restarts(
        &self,
        host: Option<&str>,
        since: Timestamp,
        limit: usize,
    ) -> rusqlite::Result<Vec<PastEvent>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.db.prepare_cached(
            "SELECT host, at FROM boots WHERE at >= ?1 AND (?2 = '' OR host = ?2)
             AND at > (SELECT min(at) FROM boots AS first WHERE first.host = boots.host)
             ORDER BY at DESC LIMIT ?3",
        )?;
        let rows = statement.query_map(
            params![since.as_millisecond(), host.unwrap_or_default(), limit],
            |row| {
                Ok(PastEvent {
                    at: time(row.get(1)?),
                    what: PastWhat::Restart { host: row.get(0)? },
                })
            },
        )?;
        rows.collect()
    }

    /// Returns what runs did to hosts.
    fn run_events(
        &self,
        hosts: &[String],
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<PastEvent>, HistoryError> {
        let events = self.runs(hosts, since, limit)?.into_iter().map(|row| PastEvent {
            at: row.began_at,
            what: PastWhat::Run {
                run: row.run,
                title: row.title,
                hosts: row
                    .hosts
                    .into_iter()
                    .map(|(host, result)| (host, result.map(|result| result.outcome)))
                    .collect(),
                ended_at: row.ended_at,
            },
        });
        Ok(events.collect())
    }
}

fn trouble(row: &Row<'_>, now: Timestamp) -> rusqlite::Result<PastEvent> {
    let (subject, name): (String, String) = (row.get(0)?, row.get(1)?);
    let host: String = row.get(2)?;
    let severity: String = row.get(4)?;
    let (seen_at, ended_at) = (time(row.get(8)?), row.get::<_, Option<i64>>(9)?.map(time));
    let is_unseen = |until: Timestamp| until.duration_since(seen_at) > UNSEEN;
    Ok(PastEvent {
        at: time(row.get(7)?),
        what: PastWhat::Trouble {
            of: if subject == "host" { OverTimeOf::Host(name) } else { OverTimeOf::Tier(name) },
            on_host: (!host.is_empty()).then_some(host),
            code: row.get(3)?,
            severity: serde_json::from_value(severity.into()).unwrap_or(Severity::Warning),
            words: row.get(5)?,
            cause: row.get(6)?,
            end: match ended_at {
                Some(at) if is_unseen(at) => TroubleEnd::Between(seen_at, at),
                Some(at) => TroubleEnd::At(at),
                None if is_unseen(now) => TroubleEnd::NotSeenSince(seen_at),
                None => TroubleEnd::GoesOn,
            },
        },
    })
}
