//! Which tiers hold the paths that a deploy is about to fetch, asked once for its plan.

use crate::fleet::{ClosurePath, Fleet, Share, StorePath, Tier, TierKind};
use crate::probe::asking::Tools;
use crate::probe::coverage::{HostClosure, measure_unless};
use crate::probe::memory::Memory;
use crate::probe::store::Closure;
use crate::probe::transport::http::HttpClient;
use crate::remote::ScriptRunner;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// Most paths that are asked for: beyond them a plan would wait too long for its answer.
const MOST: usize = 400;

/// How long the tiers may take.
const LIMIT: Duration = Duration::from_secs(4);

/// Returns how many of these paths each tier holds, as it says now from this machine. A tier is absent
/// that did not answer in time, or that may be asked only so often.
pub async fn held_of(
    fleet: &Fleet,
    runner: &dyn ScriptRunner,
    system: &StorePath,
    paths: Vec<ClosurePath>,
) -> BTreeMap<String, Share> {
    if paths.is_empty() || paths.len() > MOST {
        return BTreeMap::new();
    }
    let Ok(web) = HttpClient::new() else { return BTreeMap::new() };
    let (memory, answers) = (Memory::default(), Mutex::default());
    let tools = Tools { web: &web, runner, fleet, memory: &memory };
    let closure = Closure { root: system.clone(), paths };
    let asked = [HostClosure { host: "", closure: &closure }];
    let rests = |tier: &Tier| tier.max_requests_per_month.is_some() || tier.kind == TierKind::Local;
    let found = measure_unless(tools, &asked, &answers, rests, Some(LIMIT)).await;
    let tiers = found.into_values().flat_map(|facts| facts.tiers);
    tiers.map(|(tier, coverage)| (tier, coverage.paths)).collect()
}
