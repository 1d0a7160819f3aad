//! Writing what was measured.
//!
//! A sample is written once: its key is what was asked and when, so a figure that two nixdash
//! share, or one that is told twice, counts once.

use super::{History, HistoryError, int};
use crate::fleet::{
    CoverageFacts, HostFacts, HostState, SizeFacts, StoreFacts, Tier, TierFacts, TierState,
    printable_line,
};
use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde_json::Value as Json;

/// Returns the word that a plain enum is in JSON.
pub(super) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Json::String(word)) => printable_line(&word),
        Ok(_) | Err(_) => String::new(),
    }
}

/// Makes every text in a document one that may be kept.
pub(super) fn clean(json: Json) -> Json {
    match json {
        Json::String(text) => Json::String(printable_line(&text)),
        Json::Array(items) => Json::Array(items.into_iter().map(clean).collect()),
        Json::Object(fields) => Json::Object(
            fields.into_iter().map(|(key, value)| (printable_line(&key), clean(value))).collect(),
        ),
        Json::Null | Json::Bool(_) | Json::Number(_) => json,
    }
}

/// Returns the number that a host has in the file, giving it one when it is new.
fn host_id(db: &Connection, name: &str) -> rusqlite::Result<i64> {
    let name = printable_line(name);
    db.prepare_cached("INSERT INTO hosts (name) VALUES (?1) ON CONFLICT DO NOTHING")?
        .execute([&name])?;
    db.prepare_cached("SELECT id FROM hosts WHERE name = ?1")?.query_row([&name], |row| row.get(0))
}

/// Returns what a tier is known by.
fn tier_key(tier: &Tier) -> [String; 4] {
    [
        printable_line(&tier.name),
        tier.kind.word().to_owned(),
        printable_line(&tier.url),
        printable_line(tier.via.as_deref().unwrap_or_default()),
    ]
}

/// Returns the number that a tier has in the file; none when it is not in it.
pub(super) fn find_tier(db: &Connection, tier: &Tier) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached(
        "SELECT id FROM tiers WHERE name = ?1 AND kind = ?2 AND url = ?3 AND via = ?4",
    )?
    .query_row(tier_key(tier), |row| row.get(0))
    .optional()
}

/// Returns the number that a tier has in the file, giving it one when it is new.
pub(super) fn tier_id(db: &Connection, tier: &Tier) -> rusqlite::Result<i64> {
    if let Some(id) = find_tier(db, tier)? {
        return Ok(id);
    }
    db.prepare_cached(
        "INSERT INTO tiers (name, kind, url, via) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET name = name RETURNING id",
    )?
    .query_row(tier_key(tier), |row| row.get(0))
}

/// Returns a number as SQLite keeps it, or nothing.
fn opt(number: Option<u64>) -> Value {
    number.map_or(Value::Null, |number| Value::Integer(int(number)))
}

impl History {
    /// Does several writes as one, which happen wholly or not at all.
    pub(super) fn together(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), HistoryError>,
    ) -> Result<(), HistoryError> {
        self.db.execute_batch("BEGIN IMMEDIATE").map_err(self.failed("write into"))?;
        let done = work(self)
            .and_then(|()| self.db.execute_batch("COMMIT").map_err(self.failed("write into")));
        if done.is_err() && !self.db.is_autocommit() {
            // A full disk has often rolled it back already; there is nothing to say about it.
            drop(self.db.execute_batch("ROLLBACK"));
        }
        done
    }

    /// Writes the probe of a host; figures of an earlier answer are not written again.
    pub fn write_host(&mut self, host: &str, facts: &HostFacts) -> Result<(), HistoryError> {
        let Some(at) = facts.asked_at.or(facts.measured_at) else { return Ok(()) };
        let answered = matches!(facts.state, HostState::Up | HostState::Degraded);
        let none = HostFacts::default();
        let fresh = if answered { facts } else { &none };
        let write = || {
            self.db
                .prepare_cached(
                    "INSERT OR REPLACE INTO host_samples VALUES
                     (?1, 0, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
                )?
                .execute(params![
                    host_id(&self.db, host)?,
                    at.as_millisecond(),
                    i64::from(answered),
                    word(&facts.state),
                    fresh.latency_ms,
                    fresh.load1,
                    opt(fresh.memory.map(|memory| memory.used)),
                    opt(fresh.memory.map(|memory| memory.total)),
                    opt(fresh.disk.map(|disk| disk.used)),
                    opt(fresh.disk.map(|disk| disk.total)),
                    opt(fresh.failed_units.as_ref().map(|units| units.len() as u64)),
                    opt(fresh.system.generation),
                ])
        };
        write().map(drop).map_err(self.failed("write into"))
    }

    /// Writes the count of a host's store.
    pub fn write_store(&mut self, host: &str, facts: &StoreFacts) -> Result<(), HistoryError> {
        let write = || {
            self.db
                .prepare_cached("INSERT OR REPLACE INTO store_samples VALUES (?1, 0, ?2, ?3, ?4)")?
                .execute(params![
                    host_id(&self.db, host)?,
                    facts.measured_at.as_millisecond(),
                    int(facts.paths),
                    int(facts.bytes),
                ])
        };
        write().map(drop).map_err(self.failed("write into"))
    }

    /// Writes the probe of a tier: its figures, its size, and the whole answer for others to use.
    pub fn write_tier(&mut self, tier: &Tier, facts: &TierFacts) -> Result<(), HistoryError> {
        let Some(at) = facts.asked_at.or(facts.measured_at) else { return Ok(()) };
        let answered = facts.measured_at.is_some_and(|measured| measured >= at);
        let none = TierFacts::default();
        let fresh = if answered { facts } else { &none };
        let served = fresh.served.unwrap_or_default();
        let write = || {
            let id = tier_id(&self.db, tier)?;
            self.db
                .prepare_cached(
                    "INSERT OR REPLACE INTO tier_samples VALUES
                     (?1, 0, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                )?
                .execute(params![
                    id,
                    at.as_millisecond(),
                    i64::from(matches!(facts.state, TierState::Up | TierState::Slow)),
                    word(&facts.state),
                    fresh.latency_ms,
                    fresh.connect_ms,
                    opt(served.answered.map(|share| share.have)),
                    opt(served.answered.map(|share| share.total)),
                    served.requests_per_s,
                    served.not_found,
                ])?;
            if let Some(size) = &fresh.size {
                write_size(&self.db, id, size, at)?;
            }
            let json = serde_json::to_value(facts).map(clean).unwrap_or_default();
            self.db
                .prepare_cached(
                    "INSERT INTO tier_facts (tier, at, facts) VALUES (?1, ?2, ?3)
                     ON CONFLICT (tier) DO UPDATE SET at = excluded.at, facts = excluded.facts
                     WHERE excluded.at >= tier_facts.at",
                )?
                .execute(params![id, at.as_millisecond(), json.to_string()])
        };
        write().map(drop).map_err(self.failed("write into"))
    }

    /// Writes what tiers hold of a host's closure; `tier` finds a tier by its name.
    pub fn write_coverage<'a>(
        &mut self,
        host: &str,
        facts: &CoverageFacts,
        tier: impl Fn(&str) -> Option<&'a Tier>,
    ) -> Result<(), HistoryError> {
        let write = || {
            let host = host_id(&self.db, host)?;
            for (name, found) in &facts.tiers {
                let Some(tier) = tier(name) else { continue };
                self.db
                    .prepare_cached(
                        "INSERT OR REPLACE INTO coverage_samples VALUES
                         (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7)",
                    )?
                    .execute(params![
                        host,
                        tier_id(&self.db, tier)?,
                        found.measured_at.as_millisecond(),
                        int(found.paths.have),
                        int(found.paths.total),
                        int(found.bytes.have),
                        int(found.bytes.total),
                    ])?;
            }
            Ok(())
        };
        write().map_err(self.failed("write into"))
    }

    /// Adds to the requests that were made of a tier in the calendar month (UTC) of a time.
    pub fn add_requests(
        &mut self,
        tier: &Tier,
        count: u64,
        now: Timestamp,
    ) -> Result<(), HistoryError> {
        let write = || {
            self.db
                .prepare_cached(
                    "INSERT INTO requests (tier, month, count) VALUES (?1, ?2, ?3)
                     ON CONFLICT (tier, month) DO UPDATE SET count = count + excluded.count",
                )?
                .execute(params![tier_id(&self.db, tier)?, month(now), int(count)])
        };
        write().map(drop).map_err(self.failed("write into"))
    }
}

/// Writes a size at the time it was measured, so that one answer told many times counts once.
fn write_size(db: &Connection, tier: i64, size: &SizeFacts, at: Timestamp) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO size_samples VALUES (?1, 0, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![
            tier,
            size.measured_at.unwrap_or(at).as_millisecond(),
            int(size.bytes),
            opt(size.objects),
            opt(size.limit),
            size.exact,
        ])
        .map(drop)
}

/// Returns the calendar month of a time, in UTC.
pub(super) fn month(now: Timestamp) -> String {
    now.strftime("%Y-%m").to_string()
}
