//! Asks a host again and again.

use crate::fleet::{Event, Host, HostFacts};
use crate::probe::clock::chance;
use crate::probe::host;
use crate::probe::on_host::add_nix_facts;
use crate::probe::poller::{Shared, Woken};
use crate::probe::schedule::{LoginSchedule, Pace, next_delay};
use crate::remote::Way;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// Asks a host again and again; returns when everything ends.
pub(super) async fn watch_host(shared: Arc<Shared>, host: Host, first: Duration) -> Option<()> {
    let signals = shared.hosts.get(&host.name)?;
    let mut facts = shared.kept_facts(&host.name).await?;
    let mut failures = 0_u32;
    let mut delay = first;
    let began = Instant::now();
    let mut logins = LoginSchedule::new(chance());
    loop {
        let woken = shared.wait_for(&signals.quick, delay).await?;
        let rest = logins.rest(began.elapsed());
        if let (Woken::Request, Some(rest)) = (woken, rest) {
            delay = rest;
            continue;
        }
        if signals.doubt.swap(false, Ordering::Relaxed)
            || shared.is_doubted(&host.name, facts.as_ref()).await?
        {
            logins.doubt();
        }
        let touch = shared.runner.asks_for_touch(&host.name);
        let is_fresh = !host.is_local() && logins.is_due(began.elapsed(), touch);
        let way = if is_fresh { Way::Fresh } else { Way::InTurn };
        shared.send(Event::Asking { host: host.name.clone() }).await?;
        let limits = &shared.fleet.alarms.limits;
        let probe = host::probe(shared.runner.as_ref(), &host, facts.as_ref(), limits, way);
        let mut found = shared.unless_ended(probe).await?;
        add_nix_facts(&mut found, &shared.fleet, &host.name, &shared.memory);
        let answered = found.state.has_answered();
        logins.note(is_fresh, found.state, began.elapsed(), chance());
        failures = if answered { 0 } else { failures.saturating_add(1) };
        let is_back = answered && facts.as_ref().is_some_and(|last| !last.state.has_answered());
        if answered
            && let Some(toplevel) = &found.system.running
            && (shared.note_system(&host.name, toplevel) || is_back)
        {
            signals.slow.notify_one();
        }
        if is_back {
            shared.ring_tiers_of(&host.name);
        }
        facts = Some(found.clone());
        shared.send(Event::Host { host: host.name.clone(), facts: Box::new(found) }).await?;
        let usual = next_delay(Pace::Host.interval(), failures, chance());
        delay = logins.delay(chance()).unwrap_or(usual);
    }
}

impl Shared {
    /// Wakes the tasks of tiers that a host serves: it is back, and they may be too.
    fn ring_tiers_of(&self, host: &str) {
        let served = self.fleet.tiers.iter().filter(|tier| tier.host.as_deref() == Some(host));
        for signal in served.filter_map(|tier| self.tiers.get(&tier.name)) {
            signal.notify_one();
        }
    }

    /// Returns what an earlier nixdash found of a host; nothing when everything ends.
    async fn kept_facts(&self, host: &str) -> Option<Option<HostFacts>> {
        let Some(recorder) = &self.record.recorder else { return Some(None) };
        let kept = self.unless_ended(recorder.kept_host(host)).await?;
        Some(kept.map(|kept| kept.facts))
    }

    /// Returns whether another nixdash on this machine, `status` or a run, could not reach a host
    /// since we did; nothing when everything ends.
    async fn is_doubted(&self, host: &str, ours: Option<&HostFacts>) -> Option<bool> {
        let Some(recorder) = &self.record.recorder else { return Some(false) };
        let Some(asked_at) =
            ours.filter(|facts| facts.state.has_answered()).and_then(|facts| facts.asked_at)
        else {
            return Some(false);
        };
        let told = self.unless_ended(recorder.last_host_state(host)).await?;
        Some(told.is_some_and(|(state, at)| at > asked_at && !state.has_answered()))
    }
}
