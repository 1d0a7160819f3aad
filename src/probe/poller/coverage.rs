//! Measures what the tiers hold of every host's running closure.

use crate::fleet::{CoverageFacts, Event};
use crate::probe::coverage::{HostClosure, measure_unless};
use crate::probe::poller::Shared;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often coverage is measured again when nothing happened; as long as misses are believed.
pub(super) const COVERAGE_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Measures coverage of every known closure when one changed, and now and then.
pub(super) async fn watch_coverage(shared: Arc<Shared>) -> Option<()> {
    let tools = shared.tools().ok()?;
    let mut last: BTreeMap<String, CoverageFacts> = BTreeMap::new();
    while shared.wait(&shared.coverage, COVERAGE_INTERVAL).await {
        let systems = shared.systems();
        let asked: Vec<HostClosure<'_>> = systems
            .iter()
            .filter_map(|(host, system)| {
                Some(HostClosure { host, closure: system.closure.as_deref()? })
            })
            .collect();
        if asked.is_empty() {
            continue;
        }
        shared.learn_answers().await?;
        let work =
            measure_unless(tools, &asked, &shared.answers, |tier| shared.is_busy(tier), None);
        let found: BTreeMap<String, CoverageFacts> = shared.unless_ended(work).await?;
        shared.pass_answers_on();
        for (host, mut facts) in found {
            for tier in tools.fleet.tiers.iter().filter(|tier| shared.is_busy(tier)) {
                keep_coverage(&mut facts, last.get(&host), &tier.name);
            }
            last.insert(host.clone(), facts.clone());
            shared.send(Event::Coverage { host, facts }).await?;
        }
    }
    None
}

/// Keeps what is known of a tier that may not be asked now, with its age, when it is about the same
/// system.
fn keep_coverage(facts: &mut CoverageFacts, last: Option<&CoverageFacts>, tier: &str) {
    let Some(last) = last.filter(|last| last.toplevel == facts.toplevel) else { return };
    if let Some(coverage) = last.tiers.get(tier) {
        facts.tiers.entry(tier.to_owned()).or_insert(*coverage);
    }
    if let Some(missing) = last.missing.get(tier) {
        facts.missing.entry(tier.to_owned()).or_insert_with(|| missing.clone());
    }
}
