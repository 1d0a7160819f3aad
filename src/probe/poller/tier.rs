//! Asks a tier again and again.

use crate::fleet::{Event, SignatureState, Tier, TierFacts, TierState};
use crate::probe::candidates::{Known, candidates};
use crate::probe::checks::answer::failed;
use crate::probe::clock::chance;
use crate::probe::coverage::union;
use crate::probe::kinds::kind_of;
use crate::probe::look::look;
use crate::probe::memory::TierMemory;
use crate::probe::poller::{Shared, System, Woken, lock};
use crate::probe::schedule::{Pace, next_delay};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Asks a tier again and again.
pub(super) async fn watch_tier(shared: Arc<Shared>, tier: Tier) -> Option<()> {
    let signal = shared.tiers.get(&tier.name)?;
    let interval = kind_of(&tier).every(&tier);
    let mut failures = 0_u32;
    let mut woken = Woken::Time;
    shared.recall(&tier).await?;
    while shared.wait_for_calm(&tier).await {
        let previous = lock(&shared.found).get(&tier.name).cloned();
        let told = match woken {
            Woken::Time => shared.told(&tier, previous.as_ref(), interval).await,
            Woken::Request => None,
        };
        let found = if let Some(told) = told {
            told
        } else {
            shared.recall_counters(&tier).await?;
            shared.unless_ended(ask_tier(&shared, &tier, previous.as_ref())).await?
        };
        failures = match found.state {
            TierState::Down | TierState::Degraded | TierState::Proxy => failures.saturating_add(1),
            // What keeps it from being asked, such as a program that prints no secret, is left
            // alone too.
            TierState::Unknown if !found.findings.is_empty() => failures.saturating_add(1),
            TierState::Up
            | TierState::Slow
            | TierState::Unauthorized
            | TierState::Untrusted
            | TierState::NarMissing
            | TierState::Malformed
            | TierState::WrongStore
            | TierState::Unknown => 0,
        };
        // Without a key there is nothing to prove, whatever paths become known.
        if tier.public_key.is_some()
            && found.state == TierState::Up
            && found.signature == SignatureState::Unchecked
        {
            lock(&shared.unproven).insert(tier.name.clone());
        } else {
            lock(&shared.unproven).remove(&tier.name);
        }
        shared.remember(&tier);
        let is_lost = |memory: &mut TierMemory| std::mem::take(&mut memory.is_probe_path_lost);
        if shared.memory.with(&tier, is_lost) {
            shared.forget_answers(&tier);
        }
        // What it holds is not known while it does not answer.
        if previous.is_some_and(|last| !last.state.answers_hosts()) && found.state.answers_hosts() {
            shared.coverage.notify_one();
            shared.next.notify_one();
            // What hosts saw of it is of before.
            for host in found.hosts.keys().filter_map(|host| shared.hosts.get(host)) {
                host.slow.notify_one();
            }
        }
        lock(&shared.found).insert(tier.name.clone(), found.clone());
        shared.send(Event::Tier { tier: tier.name.clone(), facts: Box::new(found) }).await?;
        if shared.web.is_err() {
            return None;
        }
        // A cache in the own network is missed at once, and asking for one that is down costs it
        // nothing: that it is back is seen soon.
        let is_near = interval <= Pace::LanTier.interval();
        let stretched = if is_near { failures.min(1) } else { failures };
        woken = shared.wait_for(signal, next_delay(interval, stretched, chance())).await?;
    }
    None
}

/// Returns what is known of hosts' systems as candidates are chosen of.
pub(super) fn known_of(systems: &BTreeMap<String, System>) -> Vec<Known<'_>> {
    let known = |(host, system)| {
        let (host, system): (&String, &System) = (host, system);
        let (toplevel, closure) = (system.toplevel.as_ref(), system.closure.as_deref());
        Known { host, toplevel, closure }
    };
    systems.iter().map(known).collect()
}

/// Asks a tier once, with paths that are known now.
async fn ask_tier(shared: &Shared, tier: &Tier, previous: Option<&TierFacts>) -> TierFacts {
    let tools = match shared.tools() {
        Ok(tools) => tools,
        Err(error) => {
            return failed(tier, error);
        }
    };
    let systems = shared.systems();
    let known = known_of(&systems);
    let now = Timestamp::now();
    let paths = {
        let answers = lock(&shared.answers);
        candidates(tier, &known, |path| answers.get(&tier.name, path, now) == Some(true))
    };
    let closures = union(systems.values().filter_map(|system| system.closure.as_deref()));
    look(&tools.asking(tier, &paths, &closures, now), previous).await
}
