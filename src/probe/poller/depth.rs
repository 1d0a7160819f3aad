//! Looks closely at a host's store once a day, and when somebody asks.

use crate::fleet::{StoreDepth, Tier, TierKind};
use crate::probe::depth::{DepthError, depth, depths, note_depths};
use crate::probe::memory::DEPTHS;
use crate::probe::poller::{Shared, lock};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How old what is known gets before it is looked again.
const EVERY: SignedDuration = SignedDuration::from_hours(24);

/// How long after the start nothing is looked at: whoever has just opened a screen means to work.
const QUIET: Duration = Duration::from_secs(10 * 60);

/// How long a look that failed, or was not due, waits for its next try.
const RETRY: Duration = Duration::from_secs(30 * 60);

/// Looks at a host's store when what any nixdash knows of it is a day old.
pub(super) async fn watch_depth(shared: Arc<Shared>, tier: Tier, host: String) -> Option<()> {
    let mut delay = QUIET;
    loop {
        shared.unless_ended(tokio::time::sleep(delay)).await?;
        delay = RETRY;
        // A host that was never reached has no store to look at.
        if !lock(&shared.systems).contains_key(&host) {
            continue;
        }
        shared.recall_depths(&tier).await?;
        let known = depths(&shared.memory, &tier).get(&host).copied();
        if !is_due(known, Timestamp::now()) {
            continue;
        }
        if let Err(error) = shared.look_closely(&host).await? {
            tracing::debug!(host, %error, "store's depth");
        }
    }
}

/// Returns whether it is time to look again.
fn is_due(known: Option<StoreDepth>, now: Timestamp) -> bool {
    known.is_none_or(|known| now.duration_since(known.measured_at) >= EVERY)
}

impl Shared {
    /// Takes in what another nixdash has found of stores since this one began.
    async fn recall_depths(&self, tier: &Tier) -> Option<()> {
        if let Some(value) = self.kept(tier, DEPTHS).await? {
            // What another version has kept and cannot be read is not known.
            let found: BTreeMap<String, StoreDepth> =
                serde_json::from_value(value).unwrap_or_default();
            note_depths(&self.memory, tier, found);
        }
        Some(())
    }

    /// Looks closely at a host's store, keeps what was found and sends it; nothing when everything
    /// ends meanwhile.
    pub(super) async fn look_closely(&self, host: &str) -> Option<Result<StoreDepth, DepthError>> {
        let look = depth(self.runner.as_ref(), host, self.record.runs.as_ref());
        let found = match self.unless_ended(look).await? {
            Ok(found) => found,
            Err(error) => return Some(Err(error)),
        };
        for tier in self.fleet.tiers.iter().filter(|tier| tier.kind == TierKind::Local) {
            self.recall_depths(tier).await?;
            note_depths(&self.memory, tier, [(host.to_owned(), found)].into());
            self.remember(tier);
            self.amend(tier, |facts| facts.depths = depths(&self.memory, tier)).await?;
        }
        Some(Ok(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_looked_at_once_a_day() {
        let now: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
        let known = |hours| StoreDepth {
            saved_bytes: 0,
            dead_paths: 0,
            dead_bytes: 0,
            measured_at: now - SignedDuration::from_hours(hours),
        };
        assert!(is_due(None, now) && is_due(Some(known(24)), now));
        assert!(!is_due(Some(known(23)), now));
        // A clock that was set back means nothing worse than a day's wait.
        assert!(!is_due(Some(known(-1)), now));
    }
}
