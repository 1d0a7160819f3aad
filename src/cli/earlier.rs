//! What `status` and `caches`, which look once, know from before, and what they leave for later.

use crate::cli::history;
use crate::fleet::words::runs::{FAILED_FOR, last_run_failed};
use crate::fleet::{Event, Fleet, HostState};
use crate::probe::{EarlierLooks, Snapshot, TierPast};
use jiff::Timestamp;
use std::sync::Arc;

/// Returns what earlier nixdash found of the fleet's hosts and tiers; what cannot be read is not
/// known.
pub(super) fn read(fleet: &Fleet) -> EarlierLooks {
    let (mut earlier, now) = (EarlierLooks::default(), Timestamp::now());
    let known = history::read(|history| {
        for tier in &fleet.tiers {
            earlier.memory.recall(tier, history.recall(tier)?);
            let facts = history.last_tier_facts(tier, now)?.map(|(facts, _)| facts);
            let answers = match EarlierLooks::answers_since(tier, now) {
                Some(since) => history.answers(tier, since)?,
                None => Vec::new(),
            };
            earlier.add(tier, facts, history.requests_in_month(tier, now)?, answers);
            earlier.tiers.held.insert(tier.name.clone(), history.held(tier, TierPast::since(now))?);
        }
        for host in &fleet.hosts {
            let kept = history.kept_host(host)?;
            earlier.hosts.extend(kept.map(|kept| (host.name.clone(), kept)));
        }
        earlier.tiers.fetches = history.timed_fetches(TierPast::since(now))?;
        Ok(())
    });
    if let Err(error) = known {
        tracing::debug!(%error, "earlier looks");
    }
    earlier
}

/// Returns what was found before of these hosts and of every tier, each with its age.
pub(super) fn snapshot(fleet: &Fleet, earlier: &EarlierLooks, hosts: &[String]) -> Snapshot {
    let mut known = Snapshot::default();
    for host in fleet.hosts.iter().filter(|host| hosts.contains(&host.name)) {
        let kept = earlier.hosts.get(&host.name).cloned().unwrap_or_default();
        known.stores.extend(kept.store.map(|store| (host.name.clone(), store)));
        if !kept.coverage.tiers.is_empty() {
            known.coverage.insert(host.name.clone(), kept.coverage);
        }
        known.hosts.push((host.name.clone(), kept.facts));
    }
    let tiers = fleet.tiers.iter();
    known.tiers = tiers
        .map(|tier| (tier.name.clone(), earlier.tier_before(tier).unwrap_or_default()))
        .collect();
    known
}

/// Returns what was found before as events, for the first frame of a screen.
pub(super) fn events(fleet: &Fleet, earlier: &EarlierLooks) -> Vec<Event> {
    let mut events = Vec::new();
    for (host, kept) in &earlier.hosts {
        let (host, kept) = (host.clone(), kept.clone());
        events.push(Event::Host { host: host.clone(), facts: Box::new(kept.facts) });
        let store = kept.store.map(|facts| Event::Store { host: host.clone(), facts });
        events.extend(store);
        events.push(Event::Coverage { host, facts: kept.coverage });
    }
    events.extend(fleet.tiers.iter().filter_map(|tier| {
        let facts = Box::new(earlier.tier_before(tier)?);
        Some(Event::Tier { tier: tier.name.clone(), facts })
    }));
    events
}

/// Adds to the findings of hosts that their newest run failed there.
pub(super) fn add_last_runs(fleet: &Fleet, found: &mut Snapshot, now: Timestamp) {
    let names: Vec<String> = found.hosts.iter().map(|(name, _)| name.clone()).collect();
    let since = now - FAILED_FOR;
    let runs = history::read(|history| history.runs(&names, since, usize::MAX));
    let runs = runs.unwrap_or_else(|error| {
        tracing::debug!(%error, "earlier runs");
        Vec::new()
    });
    for (host, facts) in &mut found.hosts {
        let ended = runs.iter().rev().filter_map(|run| {
            let result = run.hosts.iter().find(|(name, _)| name == host)?.1.as_ref()?;
            Some((&run.run, result, run.ended_at.unwrap_or(run.began_at)))
        });
        // One that began earlier may have ended later.
        let newest = ended.max_by_key(|(_, _, ended_at)| *ended_at);
        let failed = newest.and_then(|newest| last_run_failed(host, newest, facts, now));
        if let Some(finding) = failed {
            facts.findings.push(finding);
            fleet.alarms.silence_host(facts, now);
        }
    }
}

/// Writes what was measured once into the history, as the dashboard does.
pub(super) async fn keep(fleet: &Arc<Fleet>, found: &Snapshot, earlier: &EarlierLooks) {
    let Some(recorder) = history::recorder(fleet, |line| tell_aside!("nixdash: {line}")) else {
        return;
    };
    for (host, facts) in &found.hosts {
        if facts.state != HostState::Unknown {
            let (host, facts) = (host.clone(), Box::new(facts.clone()));
            recorder.record(&Event::Host { host, facts });
        }
    }
    for (host, facts) in &found.stores {
        recorder.record(&Event::Store { host: host.clone(), facts: facts.clone() });
    }
    for (tier, facts) in &found.tiers {
        recorder.record(&Event::Tier { tier: tier.clone(), facts: Box::new(facts.clone()) });
    }
    for (host, facts) in &found.coverage {
        recorder.record(&Event::Coverage { host: host.clone(), facts: facts.clone() });
    }
    for (tier, count) in &found.requests {
        recorder.record_request(tier, *count);
    }
    for (tier, answers) in earlier.take_answers() {
        recorder.record_answers(&tier, answers);
    }
    for tier in &fleet.tiers {
        for (name, value) in earlier.memory.take_changes(tier) {
            recorder.remember(&tier.name, name, value);
        }
    }
    recorder.flush().await;
}
