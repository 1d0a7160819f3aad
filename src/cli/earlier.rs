//! What `status` and `caches`, which look once, know from before, and what they leave for later.

use crate::cli::history;
use crate::fleet::{Event, Fleet, HostState};
use crate::probe::{EarlierLooks, Snapshot};
use jiff::Timestamp;
use std::sync::Arc;

/// Returns what earlier nixdash found of the fleet's tiers; what cannot be read is not known.
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
        }
        Ok(())
    });
    if let Err(error) = known {
        tracing::debug!(%error, "the earlier");
    }
    earlier
}

/// Writes what was measured once into the history, as the dashboard does.
pub(super) async fn keep(fleet: &Arc<Fleet>, found: &Snapshot, earlier: &EarlierLooks) {
    let Some(recorder) = history::recorder(fleet, |line| eprintln!("nixdash: {line}")) else {
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
