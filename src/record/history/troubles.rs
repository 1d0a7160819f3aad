//! What was wrong, with its begin and its end, and when hosts restarted: noted probe by probe.
//!
//! A trouble is a finding that somebody should do something about. It begins with the first probe that
//! finds it and ends with the first that does not. One that comes back within a minute never ended, so
//! that what comes and goes is one event and not a thousand.

use super::write::word;
use super::{History, HistoryError, systems};
use crate::fleet::{Finding, HostFacts, OverTimeOf, TierFacts, printable_line};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

/// How often it is written that a trouble goes on, in milliseconds.
const SEEN_EVERY: i64 = 60 * 1000;

/// How soon a trouble that ended must come back to be the same, in milliseconds.
const SAME: i64 = 60 * 1000;

/// How long troubles that ended are kept, restarts, and changes of the system.
const KEPT: SignedDuration = SignedDuration::from_hours(2 * 365 * 24);

/// How many troubles are kept, the newest.
const MOST: i64 = 20_000;

/// A trouble that goes on.
struct OpenTrouble {
    id: i64,
    host: String,
    code: String,
    answered: bool,
    began_at: i64,
    seen_at: i64,
}

/// What a probe found.
struct TroubleNow<'a> {
    of: &'a OverTimeOf,
    answered: bool,
    at: i64,
}

impl History {
    /// Notes what a probe of a host found to be wrong, which system it runs, and whether it has restarted.
    pub fn note_host(&mut self, host: &str, facts: &HostFacts) -> Result<(), HistoryError> {
        let Some(at) = facts.asked_at.or(facts.measured_at) else { return Ok(()) };
        let of = OverTimeOf::Host(printable_line(host));
        let found =
            TroubleNow { of: &of, answered: facts.state.has_answered(), at: at.as_millisecond() };
        let write = || {
            note(&self.db, &found, facts.findings.iter())?;
            if found.answered {
                systems::runs(&self.db, of.name(), &facts.system, found.at)?;
            }
            match (found.answered, &facts.boot_id, facts.uptime_s) {
                (true, Some(boot), Some(uptime)) => {
                    let since = i64::try_from(uptime).unwrap_or(i64::MAX).saturating_mul(1000);
                    let at = found.at.saturating_sub(since);
                    booted(&self.db, of.name(), boot, at)
                }
                _ => Ok(()),
            }
        };
        write().map_err(self.failed("write into"))
    }

    /// Notes what a probe of a tier found to be wrong, be it for one host.
    pub fn note_tier(&mut self, tier: &str, facts: &TierFacts) -> Result<(), HistoryError> {
        let Some(at) = facts.asked_at.or(facts.measured_at) else { return Ok(()) };
        let of = OverTimeOf::Tier(printable_line(tier));
        let answered = facts.measured_at.is_some_and(|measured| measured >= at);
        let found = TroubleNow { of: &of, answered, at: at.as_millisecond() };
        let on_hosts = facts.hosts.values().flat_map(|on_host| &on_host.findings);
        let write = || note(&self.db, &found, facts.findings.iter().chain(on_hosts));
        write().map_err(self.failed("write into"))
    }

    /// Removes what ended or restarted long ago.
    pub(super) fn thin_troubles(&mut self, now: Timestamp) -> Result<(), HistoryError> {
        let before = (now - KEPT).as_millisecond();
        let thin = || {
            self.db.execute(
                "DELETE FROM troubles WHERE ended_at IS NOT NULL
                 AND (ended_at < ?1 OR id <= (SELECT max(id) FROM troubles) - ?2)",
                [before, MOST],
            )?;
            // The newest says of the next whether it is another one.
            self.db.execute(
                "DELETE FROM boots WHERE at < ?1
                 AND at < (SELECT max(at) FROM boots AS newer WHERE newer.host = boots.host)",
                [before],
            )?;
            systems::thin(&self.db, before)
        };
        thin().map_err(self.failed("thin"))
    }
}

/// Returns by which word a subject is known in the file.
pub(super) fn subject_word(of: &OverTimeOf) -> &'static str {
    match of {
        OverTimeOf::Host(_) => "host",
        OverTimeOf::Tier(_) => "tier",
    }
}

/// Begins, continues and ends troubles of one host or tier.
fn note<'a>(
    db: &Connection,
    found: &TroubleNow<'_>,
    findings: impl Iterator<Item = &'a Finding>,
) -> rusqlite::Result<()> {
    let open = open(db, found)?;
    let mut current: Vec<(&str, &str)> = Vec::new();
    for finding in findings.filter(|finding| finding.is_trouble()) {
        let host = match found.of {
            OverTimeOf::Host(_) => "",
            OverTimeOf::Tier(_) => finding.subject.host_name().unwrap_or_default(),
        };
        let key = (host, finding.code.word());
        if current.contains(&key) {
            continue;
        }
        current.push(key);
        match open.iter().find(|open| (open.host.as_str(), open.code.as_str()) == key) {
            Some(known) if found.at >= known.seen_at.saturating_add(SEEN_EVERY) => {
                db.prepare_cached("UPDATE troubles SET seen_at = ?2 WHERE id = ?1")?
                    .execute([known.id, found.at])?;
            }
            Some(_) => {}
            None => begin(db, found, host, finding)?,
        }
    }
    for gone in open {
        // Who does not answer says nothing of what was wrong before.
        let is_told = found.answered || !gone.answered;
        let is_current = current.contains(&(gone.host.as_str(), gone.code.as_str()));
        if is_told && !is_current && found.at > gone.began_at {
            db.prepare_cached("UPDATE troubles SET ended_at = ?2 WHERE id = ?1")?
                .execute([gone.id, found.at])?;
        }
    }
    Ok(())
}

/// Returns the troubles of a host or tier that go on.
fn open(db: &Connection, found: &TroubleNow<'_>) -> rusqlite::Result<Vec<OpenTrouble>> {
    let mut statement = db.prepare_cached(
        "SELECT id, host, code, answered, began_at, seen_at FROM troubles
         WHERE subject = ?1 AND name = ?2 AND ended_at IS NULL",
    )?;
    let rows = statement.query_map([subject_word(found.of), found.of.name()], |row| {
        Ok(OpenTrouble {
            id: row.get(0)?,
            host: row.get(1)?,
            code: row.get(2)?,
            answered: row.get(3)?,
            began_at: row.get(4)?,
            seen_at: row.get(5)?,
        })
    })?;
    rows.collect()
}

/// Begins a trouble, or goes on with the one that ended just now.
fn begin(
    db: &Connection,
    found: &TroubleNow<'_>,
    host: &str,
    finding: &Finding,
) -> rusqlite::Result<()> {
    let (subject, name) = (subject_word(found.of), found.of.name());
    let (host, code) = (printable_line(host), finding.code.word());
    let same: Option<i64> = db
        .prepare_cached(
            "SELECT id FROM troubles WHERE subject = ?1 AND name = ?2 AND host = ?3 AND code = ?4
             AND ended_at >= ?5 ORDER BY ended_at DESC LIMIT 1",
        )?
        .query_row(params![subject, name, host, code, found.at - SAME], |row| row.get(0))
        .optional()?;
    if let Some(id) = same {
        db.prepare_cached("UPDATE troubles SET ended_at = NULL, seen_at = ?2 WHERE id = ?1")?
            .execute([id, found.at])?;
        return Ok(());
    }
    db.prepare_cached(
        "INSERT OR IGNORE INTO troubles
         (subject, name, host, code, severity, words, cause, answered, began_at, seen_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)",
    )?
    .execute(params![
        subject,
        name,
        host,
        code,
        word(&finding.severity),
        printable_line(finding.words()),
        printable_line(&finding.cause),
        found.answered,
        found.at,
    ])
    .map(drop)
}

/// Notes that a host booted, unless that boot is known.
fn booted(db: &Connection, host: &str, boot: &str, at: i64) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR IGNORE INTO boots (host, boot, at) VALUES (?1, ?2, ?3)")?
        .execute(params![host, printable_line(boot), at])
        .map(drop)
}
