//! Measures what the tiers hold of every host's running closure.

use crate::fleet::{CoverageFacts, Event};
use crate::probe::coverage::{HostClosure, ask_all, measure_unless, union};
use crate::probe::evidence::{Closures, judge_tiers};
use crate::probe::poller::{Shared, lock};
use crate::probe::store::Closure;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often coverage is measured again when nothing happened; as long as misses are believed.
pub const COVERAGE_INTERVAL: Duration = Duration::from_secs(5 * 60);

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
        let began = Timestamp::now();
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
        judge(&shared, &asked, began).await?;
    }
    None
}

/// Judges the tiers by what they hold of these closures and of what hosts run next, and by the past;
/// sends what that changes. While a tier may not be asked, what was found before stays.
async fn judge(shared: &Shared, asked: &[HostClosure<'_>], began: Timestamp) -> Option<()> {
    let tools = shared.tools().ok()?;
    if tools.fleet.tiers.iter().any(|tier| shared.is_busy(tier)) {
        return Some(());
    }
    let next: Vec<Arc<Closure>> = lock(&shared.next_closures).values().cloned().collect();
    let next: Vec<&Closure> = next.iter().map(Arc::as_ref).collect();
    let paths = union(next.iter().copied());
    let ask = ask_all(tools, &paths, &shared.answers, began, |_| false, None);
    shared.unless_ended(ask).await?;
    shared.pass_answers_on();
    let past = shared.tier_past(Timestamp::now()).await?;
    {
        let (found, answers) = (lock(&shared.found), lock(&shared.answers));
        let found = found.iter().map(|(name, facts)| (name.as_str(), facts));
        judge_tiers(tools, Closures { running: asked, next: &next }, &answers, &past, found, began);
    }
    shared.send_changed_tiers().await
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
