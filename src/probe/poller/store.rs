//! Counts a host's store and lists its closure, seldom.

use crate::fleet::{Event, TierKind};
use crate::probe::clock::chance;
use crate::probe::kinds::local::whole_size;
use crate::probe::poller::{Shared, lock};
use crate::probe::schedule::{Pace, next_delay};
use crate::probe::store;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// How long a slow probe that failed waits for its next try.
const RETRY_SLOW: Duration = Duration::from_secs(60);

impl Shared {
    /// Tells how big all hosts' stores are together, after one of them was counted.
    async fn resize_stores(&self) -> Option<()> {
        let Ok(tools) = self.tools() else { return Some(()) };
        for tier in self.fleet.tiers.iter().filter(|tier| tier.kind == TierKind::Local) {
            let size = whole_size(&tools.asking(tier, &[], &[], Timestamp::now()));
            self.amend(tier, |facts| facts.size = size).await?;
        }
        Some(())
    }
}

/// Counts a host's store and lists its closure, first when the host answers, then seldom.
pub(super) async fn watch_store(shared: Arc<Shared>, host: String) -> Option<()> {
    let signals = shared.hosts.get(&host)?;
    let mut delay = Pace::Store.interval();
    while shared.wait(&signals.slow, delay).await {
        // A host that was never reached has no store to count.
        if !lock(&shared.systems).contains_key(&host) {
            continue;
        }
        let runner = shared.runner.as_ref();
        let closure = shared.unless_ended(store::closure(runner, &host)).await?;
        let mut failed = closure.is_err();
        match closure {
            Ok(closure) => {
                shared.note_closure(&host, closure);
                shared.wake_unproven();
                shared.coverage.notify_one();
                shared.next.notify_one();
            }
            Err(error) => tracing::debug!(host, %error, "closure"),
        }
        shared.look_at_host(&host).await?;
        match shared.unless_ended(store::count(runner, &host)).await? {
            Ok(facts) => {
                shared.memory.put_store(&host, facts.clone());
                shared.send(Event::Store { host: host.clone(), facts }).await?;
                shared.resize_stores().await?;
            }
            Err(error) => {
                tracing::debug!(host, %error, "store");
                failed = true;
            }
        }
        delay = if failed { RETRY_SLOW } else { next_delay(Pace::Store.interval(), 0, chance()) };
    }
    None
}
