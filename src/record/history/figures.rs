//! Reading what was measured: last answers, requests, growth, series.

use super::write::{find_tier, month};
use super::{History, HistoryError, int, time, uint};
use crate::fleet::{HostState, Share, Tier, TierFacts};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, params};

/// The shortest time that growth is told from; less is a guess.
const SHORTEST: SignedDuration = SignedDuration::from_hours(24);

/// How a size has changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// Bytes per day; negative when it shrank.
    pub per_day: f64,
    /// The time it was told from.
    pub over: SignedDuration,
    /// The last size, in bytes.
    pub bytes: u64,
}

/// How often a host was asked, and how often it answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Probes.
    pub probes: u64,
    /// Probes that were answered.
    pub answered: u64,
}

impl Growth {
    /// Returns the days until a limit is reached; nothing when it does not grow.
    pub fn days_until(&self, limit: u64) -> Option<f64> {
        (self.per_day > 0.0).then(|| limit.saturating_sub(self.bytes) as f64 / self.per_day)
    }
}

impl History {
    /// Returns what a tier last answered to whichever nixdash asked it, and how long ago that was.
    pub fn last_tier_facts(
        &self,
        tier: &Tier,
        now: Timestamp,
    ) -> Result<Option<(TierFacts, SignedDuration)>, HistoryError> {
        let read = || {
            let Some(id) = find_tier(&self.db, tier)? else { return Ok(None) };
            self.db
                .prepare_cached("SELECT at, facts FROM tier_facts WHERE tier = ?1")?
                .query_row([id], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
                .optional()
        };
        let found = read().map_err(self.failed("read"))?;
        Ok(found.and_then(|(at, facts)| {
            // Facts of another version that cannot be read are as good as none.
            Some((serde_json::from_str(&facts).ok()?, now.duration_since(time(at))))
        }))
    }

    /// Returns the requests that were made of a tier in the calendar month (UTC) of a time; nothing
    /// when none was counted.
    pub fn requests_in_month(
        &self,
        tier: &Tier,
        now: Timestamp,
    ) -> Result<Option<u64>, HistoryError> {
        let read = || {
            let Some(id) = find_tier(&self.db, tier)? else { return Ok(None) };
            self.db
                .prepare_cached("SELECT count FROM requests WHERE tier = ?1 AND month = ?2")?
                .query_row(params![id, month(now)], |row| row.get::<_, i64>(0))
                .optional()
        };
        Ok(read().map_err(self.failed("read"))?.map(uint))
    }

    /// Returns how often a host was asked since a time, and how often it answered.
    pub fn host_samples(&self, host: &str, since: Timestamp) -> Result<Asked, HistoryError> {
        self.db
            .prepare_cached(
                "SELECT coalesce(sum(probes), 0), coalesce(sum(answered), 0) FROM host_samples
                 JOIN hosts ON hosts.id = host_samples.host WHERE name = ?1 AND at >= ?2",
            )
            .and_then(|mut statement| {
                statement.query_row(params![host, since.as_millisecond()], |row| {
                    Ok(Asked { probes: uint(row.get(0)?), answered: uint(row.get(1)?) })
                })
            })
            .map_err(self.failed("read"))
    }

    /// Returns how a host was when any nixdash of this machine last asked it, and when that was.
    pub fn last_host_state(
        &self,
        host: &str,
    ) -> Result<Option<(HostState, Timestamp)>, HistoryError> {
        let read = || {
            self.db
                .prepare_cached(
                    "SELECT state, at FROM host_samples JOIN hosts ON hosts.id = host_samples.host
                     WHERE name = ?1 AND step = 0 ORDER BY at DESC LIMIT 1",
                )?
                .query_row([host], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))
                .optional()
        };
        let found = read().map_err(self.failed("read"))?;
        Ok(found.and_then(|(state, at)| {
            // A state of another version is as good as none.
            Some((serde_json::from_value(state.into()).ok()?, time(at)))
        }))
    }

    /// Returns how a tier's size has changed since a time; nothing where it is not exact, or was
    /// watched for less than a day.
    pub fn growth(&self, tier: &Tier, since: Timestamp) -> Result<Option<Growth>, HistoryError> {
        let read = |order: &str| {
            let Some(id) = find_tier(&self.db, tier)? else { return Ok(None) };
            self.db
                .prepare_cached(&format!(
                    "SELECT at, bytes FROM size_samples
                     WHERE tier = ?1 AND at >= ?2 AND exact = 1 ORDER BY at {order} LIMIT 1"
                ))?
                .query_row(params![id, since.as_millisecond()], |row| {
                    Ok((time(row.get(0)?), uint(row.get(1)?)))
                })
                .optional()
        };
        let (first, last) = (read("ASC"), read("DESC"));
        let first = first.map_err(self.failed("read"))?;
        let last = last.map_err(self.failed("read"))?;
        let (Some((from, before)), Some((to, bytes))) = (first, last) else { return Ok(None) };
        let over = to.duration_since(from);
        Ok((over >= SHORTEST).then(|| Growth {
            per_day: (bytes as f64 - before as f64) / (over.as_secs_f64() / 86_400.0),
            over,
            bytes,
        }))
    }

    /// Returns how many narinfo requests a tier's server answered with a narinfo since a time, as
    /// it counted itself; nothing where it does not tell.
    pub fn answered(&self, tier: &Tier, since: Timestamp) -> Result<Option<Share>, HistoryError> {
        let read = || {
            let Some(id) = find_tier(&self.db, tier)? else { return Ok(None) };
            self.db
                .prepare_cached(
                    "SELECT sum(answered), sum(answered_of) FROM tier_samples
                     WHERE tier = ?1 AND at >= ?2",
                )?
                .query_row(params![id, since.as_millisecond()], |row| {
                    let have: Option<i64> = row.get(0)?;
                    let total: Option<i64> = row.get(1)?;
                    Ok(have.zip(total))
                })
        };
        let found = read().map_err(self.failed("read"))?;
        Ok(found.map(|(have, total)| Share { have: uint(have), total: uint(total) }))
    }

    /// Returns a tier's latencies in milliseconds since a time, oldest first, one per `step` at
    /// most: the mean of what was measured then.
    pub fn latencies(
        &self,
        tier: &Tier,
        since: Timestamp,
        step: SignedDuration,
    ) -> Result<Vec<(Timestamp, f64)>, HistoryError> {
        let read = || match find_tier(&self.db, tier)? {
            Some(id) => self.slots("latency_ms", "tier_samples", "tier", (id, since, step)),
            None => Ok(Vec::new()),
        };
        read().map_err(self.failed("read"))
    }

    /// Returns a host's load averages since a time, oldest first, one per `step` at most.
    pub fn loads(
        &self,
        host: &str,
        since: Timestamp,
        step: SignedDuration,
    ) -> Result<Vec<(Timestamp, f64)>, HistoryError> {
        let read = || {
            let id = self
                .db
                .prepare_cached("SELECT id FROM hosts WHERE name = ?1")?
                .query_row([host], |row| row.get(0))
                .optional()?;
            match id {
                Some(id) => self.slots("load1", "host_samples", "host", (id, since, step)),
                None => Ok(Vec::new()),
            }
        };
        read().map_err(self.failed("read"))
    }

    /// Returns the means of a column of samples of one host or tier.
    fn slots(
        &self,
        column: &str,
        table: &str,
        of: &str,
        (id, since, step): (i64, Timestamp, SignedDuration),
    ) -> rusqlite::Result<Vec<(Timestamp, f64)>> {
        let step = int(u64::try_from(step.as_millis()).unwrap_or(1).max(1));
        let mut statement = self.db.prepare_cached(&format!(
            "SELECT at / ?3 * ?3 AS slot, avg({column}) FROM {table}
             WHERE {of} = ?1 AND at >= ?2 AND {column} IS NOT NULL GROUP BY slot ORDER BY slot"
        ))?;
        let rows = statement.query_map(params![id, since.as_millisecond(), step], |row| {
            Ok((time(row.get(0)?), row.get(1)?))
        })?;
        rows.collect()
    }
}
