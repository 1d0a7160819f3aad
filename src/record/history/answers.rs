//! What tiers said of paths, so that several nixdash need not all ask for thousands of them.

use super::write::{find_tier, tier_id};
use super::{History, HistoryError, time};
use crate::fleet::{PathAnswer, StorePath, Tier};
use jiff::{SignedDuration, Timestamp};
use rusqlite::params;

/// How long an answer is kept: longer than any is believed.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

impl History {
    /// Writes what a tier said of paths; of two answers the newer one stays.
    pub fn write_answers(
        &mut self,
        tier: &Tier,
        answers: &[PathAnswer],
    ) -> Result<(), HistoryError> {
        let write = || {
            let id = tier_id(&self.db, tier)?;
            let mut statement = self.db.prepare_cached(
                "INSERT INTO answers (tier, path, holds, at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (tier, path) DO UPDATE SET holds = excluded.holds, at = excluded.at
                 WHERE excluded.at >= answers.at",
            )?;
            for answer in answers {
                let at = answer.at.as_millisecond();
                statement.execute(params![id, answer.path.base_name(), answer.holds, at])?;
            }
            Ok(())
        };
        write().map_err(self.failed("write into"))
    }

    /// Returns what a tier said of paths since a time.
    pub fn answers(&self, tier: &Tier, since: Timestamp) -> Result<Vec<PathAnswer>, HistoryError> {
        let read = || {
            let Some(id) = find_tier(&self.db, tier)? else { return Ok(Vec::new()) };
            self.db
                .prepare_cached("SELECT path, holds, at FROM answers WHERE tier = ?1 AND at >= ?2")?
                .query_map(params![id, since.as_millisecond()], |row| {
                    Ok((row.get::<_, String>(0)?, row.get(1)?, time(row.get(2)?)))
                })?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        let found = read().map_err(self.failed("read"))?;
        let answer = |(path, holds, at): (String, bool, Timestamp)| {
            Some(PathAnswer { path: StorePath::from_base_name(&path).ok()?, holds, at })
        };
        Ok(found.into_iter().filter_map(answer).collect())
    }

    /// Forgets everything that a tier said of paths.
    pub fn forget_answers(&mut self, tier: &Tier) -> Result<(), HistoryError> {
        let write = || match find_tier(&self.db, tier)? {
            Some(id) => self.db.execute("DELETE FROM answers WHERE tier = ?1", [id]),
            None => Ok(0),
        };
        write().map(drop).map_err(self.failed("write into"))
    }

    /// Forgets of every tier that it does not hold a path.
    pub fn forget_misses(&mut self) -> Result<(), HistoryError> {
        let done = self.db.execute("DELETE FROM answers WHERE holds = 0", []);
        done.map(drop).map_err(self.failed("write into"))
    }

    /// Removes answers that nobody believes any more.
    pub(super) fn thin_answers(&mut self, now: Timestamp) -> Result<(), HistoryError> {
        let before = (now - KEPT).as_millisecond();
        let done = self.db.execute("DELETE FROM answers WHERE at < ?1", [before]);
        done.map(drop).map_err(self.failed("thin"))
    }
}
