//! Measures how big a tier is, seldom.

use crate::fleet::{Tier, TierFacts, TierState};
use crate::probe::coverage::union;
use crate::probe::poller::{STAGGER, Shared, lock};
use crate::probe::schedule::Pace;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// How often a tier's size is measured where that takes long.
const SIZE_INTERVAL: Duration = Duration::from_secs(20 * 60);

/// How long that may take.
const SIZE_LIMIT: Duration = Duration::from_secs(5 * 60);

/// Measures how big a tier is, on a slow timer, once it has answered.
pub(super) async fn watch_size(shared: Arc<Shared>, tier: Tier) -> Option<()> {
    let tools = shared.tools().ok()?;
    let mut delay = STAGGER;
    loop {
        shared.unless_ended(tokio::time::sleep(delay)).await?;
        let answers = |facts: &TierFacts| {
            !matches!(facts.state, TierState::Down | TierState::Proxy | TierState::Unknown)
        };
        let ready = lock(&shared.found).get(&tier.name).is_some_and(answers);
        if !ready
            || tools.web.budget.rest_of(&tier).is_some()
            || tools.web.budget.spent(&tier).is_some()
        {
            delay = Pace::LanTier.interval();
            continue;
        }
        let systems = shared.systems();
        let closures = union(systems.values().filter_map(|system| system.closure.as_deref()));
        let asking = tools.asking(&tier, &[], &closures, Timestamp::now());
        let work = tokio::time::timeout(SIZE_LIMIT, asking.kind.size(&asking));
        delay = SIZE_INTERVAL;
        let size = match shared.unless_ended(work).await? {
            Ok(Ok(Some(size))) => size,
            // Its kind has no size, or tells it with every probe.
            Ok(Ok(None)) => continue,
            Ok(Err(error)) => {
                tracing::debug!(tier = tier.name, %error, "size");
                continue;
            }
            Err(_) => {
                tracing::debug!(tier = tier.name, "its size took too long");
                continue;
            }
        };
        shared.amend(&tier, |facts| facts.size = Some(size)).await?;
    }
}
