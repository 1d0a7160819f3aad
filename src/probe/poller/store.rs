//! Counts a host's store and lists its closure, seldom.

use crate::fleet::{Event, TierFacts, TierKind, TierState};
use crate::probe::clock::chance;
use crate::probe::kinds::local::whole_size;
use crate::probe::poller::{Shared, Woken, lock};
use crate::probe::schedule::{Pace, next_delay};
use crate::probe::store;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a slow probe that failed waits for its next try.
const RETRY_SLOW: Duration = Duration::from_secs(60);

/// How soon a host is looked at again that sees a tier badly which is well from here: an alarm goes
/// when its cause does.
const RETRY_VIEW: Duration = Duration::from_secs(30);

/// Returns whether a tier is well from here, and a host was last seen to get nothing from it.
fn is_seen_badly(facts: &TierFacts, host: &str) -> bool {
    let on_host = facts.hosts.get(host).filter(|on_host| on_host.via.is_some());
    let is_bad = on_host
        .map(|on_host| on_host.state)
        .is_some_and(|state| state != TierState::Unknown && !state.answers_hosts());
    facts.state.answers_hosts() && is_bad
}

impl Shared {
    /// Returns whether a host was last seen to get nothing from a tier that is well from here.
    fn sees_badly(&self, host: &str) -> bool {
        lock(&self.found).values().any(|facts| is_seen_badly(facts, host))
    }

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
    let mut due = Instant::now() + Pace::Store.interval();
    loop {
        let rest = due.saturating_duration_since(Instant::now());
        let soon = if shared.sees_badly(&host) { RETRY_VIEW.min(rest) } else { rest };
        if shared.wait_for(&signals.slow, soon).await? == Woken::Time && soon < rest {
            shared.look_at_host(&host).await?;
            continue;
        }
        // Until it is over the host is not looked at again, unless somebody asks for it.
        due = Instant::now() + Pace::Store.interval();
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
        let delay =
            if failed { RETRY_SLOW } else { next_delay(Pace::Store.interval(), 0, chance()) };
        due = Instant::now() + delay;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::TierOnHost;

    #[test]
    fn a_host_that_gets_nothing_from_a_tier_that_is_well_is_looked_at_again() {
        let seen = |state, via: Option<&str>| {
            let via = via.map(str::to_owned);
            let on_host = TierOnHost { state, via, ..TierOnHost::default() };
            [("p510".to_owned(), on_host)].into()
        };
        let facts = |state, hosts| TierFacts { state, hosts, ..TierFacts::default() };
        let down = || seen(TierState::Down, Some("p510"));
        assert!(is_seen_badly(&facts(TierState::Up, down()), "p510"));
        assert!(!is_seen_badly(&facts(TierState::Up, down()), "razer"));
        assert!(
            !is_seen_badly(&facts(TierState::Down, down()), "p510"),
            "it is down from here too"
        );
        for well in [TierState::Up, TierState::Unknown] {
            assert!(!is_seen_badly(&facts(TierState::Up, seen(well, Some("p510"))), "p510"));
        }
        assert!(!is_seen_badly(&facts(TierState::Up, seen(TierState::Down, None)), "p510"));
    }
}
