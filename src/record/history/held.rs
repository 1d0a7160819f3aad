//! What tiers were seen to hold, so that what they lose can be named.
//!
//! An answer is believed for minutes and forgotten when a tier is not believed any more; this is kept
//! for days, since caches lose things overnight.

use super::write::{find_tier, tier_id};
use super::{History, HistoryError, time};
use crate::fleet::{HeldPath, PathAnswer, StorePath, Tier};
use jiff::{SignedDuration, Timestamp};
use rusqlite::params;

/// How long it is kept that a tier held a path.
pub(super) const KEPT: SignedDuration = SignedDuration::from_hours(8 * 24);

/// How much newer an answer must be to be written again, where nothing changed, in milliseconds.
const SAME: i64 = 60 * 60 * 1000;

impl History {
    /// Notes what a tier said of paths; of two answers the newer one counts.
    pub fn note_held(&mut self, tier: &Tier, answers: &[PathAnswer]) -> Result<(), HistoryError> {
        let write = || {
            let id = tier_id(&self.db, tier)?;
            let mut there = self.db.prepare_cached(
                "INSERT INTO held (tier, path, held_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (tier, path) DO UPDATE SET held_at = excluded.held_at, lost_at = NULL
                 WHERE excluded.held_at >= held.held_at + ?4
                    OR (held.lost_at IS NOT NULL AND excluded.held_at > held.lost_at)",
            )?;
            let mut gone = self.db.prepare_cached(
                "UPDATE held SET lost_at = ?3
                 WHERE tier = ?1 AND path = ?2 AND lost_at IS NULL AND held_at < ?3",
            )?;
            for answer in answers {
                let (path, at) = (answer.path.base_name(), answer.at.as_millisecond());
                if answer.holds {
                    there.execute(params![id, path, at, SAME])?;
                } else {
                    gone.execute(params![id, path, at])?;
                }
            }
            Ok(())
        };
        write().map_err(self.failed("write into"))
    }

    /// Returns what a tier was seen to hold, unless it lost it before a time.
    pub fn held(&self, tier: &Tier, since: Timestamp) -> Result<Vec<HeldPath>, HistoryError> {
        let read = || {
            let Some(id) = find_tier(&self.db, tier)? else { return Ok(Vec::new()) };
            self.db
                .prepare_cached(
                    "SELECT path, held_at, lost_at FROM held
                     WHERE tier = ?1 AND coalesce(lost_at, held_at) >= ?2",
                )?
                .query_map(params![id, since.as_millisecond()], |row| {
                    Ok((row.get::<_, String>(0)?, row.get(1)?, row.get::<_, Option<i64>>(2)?))
                })?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        let found = read().map_err(self.failed("read"))?;
        let held = |(path, held_at, lost_at): (String, i64, Option<i64>)| {
            let path = StorePath::from_base_name(&path).ok()?;
            Some(HeldPath { path, held_at: time(held_at), lost_at: lost_at.map(time) })
        };
        Ok(found.into_iter().filter_map(held).collect())
    }

    /// Removes what was held or lost long ago.
    pub(super) fn thin_held(&mut self, now: Timestamp) -> Result<(), HistoryError> {
        let before = (now - KEPT).as_millisecond();
        let old = "DELETE FROM held WHERE coalesce(lost_at, held_at) < ?1";
        self.db.execute(old, [before]).map(drop).map_err(self.failed("thin"))
    }
}
