//! What probes remember of a tier, so that the next nixdash knows it too.

use super::write::{clean, find_tier, tier_id};
use super::{History, HistoryError};
use crate::fleet::{Tier, printable_line};
use jiff::Timestamp;
use rusqlite::params;
use serde_json::Value as Json;

impl History {
    /// Keeps a value under a name, in place of the one before; nothing forgets it.
    pub fn remember(
        &mut self,
        tier: &Tier,
        name: &str,
        value: Option<&Json>,
        now: Timestamp,
    ) -> Result<(), HistoryError> {
        let name = printable_line(name);
        let write = || {
            match value {
            Some(value) => self
                .db
                .prepare_cached(
                    "INSERT INTO memory (tier, name, at, value) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (tier, name) DO UPDATE SET at = excluded.at, value = excluded.value",
                )?
                .execute(params![
                    tier_id(&self.db, tier)?,
                    name,
                    now.as_millisecond(),
                    clean(value.clone()).to_string(),
                ]),
            None => self
                .db
                .prepare_cached("DELETE FROM memory WHERE tier = ?1 AND name = ?2")?
                .execute(params![tier_id(&self.db, tier)?, name]),
        }
        };
        write().map(drop).map_err(self.failed("write into"))
    }

    /// Returns what is remembered of a tier, by name; a tier at another address is another tier.
    pub fn recall(&self, tier: &Tier) -> Result<Vec<(String, Json)>, HistoryError> {
        let read = || {
            let Some(id) = find_tier(&self.db, tier)? else { return Ok(Vec::new()) };
            self.db
                .prepare_cached("SELECT name, value FROM memory WHERE tier = ?1")?
                .query_map([id], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        let found = read().map_err(self.failed("read"))?;
        // A value of another version that cannot be read is as good as none.
        Ok(found
            .into_iter()
            .filter_map(|(name, value)| Some((name, serde_json::from_str(&value).ok()?)))
            .collect())
    }
}
