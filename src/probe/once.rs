//! Measures everything once, for `nixdash status`.

use crate::fleet::words::{hosts, tiers};
use crate::fleet::{
    ClosurePath, CoverageFacts, Event, Finding, Fleet, HostFacts, NextFacts, StoreFacts, StorePath,
    Tier, TierFacts, TierState,
};
use crate::probe::asking::Tools;
use crate::probe::candidates::{Known, candidates};
use crate::probe::checks::answer::failed;
use crate::probe::coverage::{HostClosure, lock, measure_within, union};
use crate::probe::earlier::EarlierLooks;
use crate::probe::evidence::{Closures, judge_tiers};
use crate::probe::look::{look, with_hosts_now};
use crate::probe::next::{NextSystem, built, measure_next};
use crate::probe::store::{self, Closure};
use crate::probe::transport::http::HttpClient;
use crate::probe::{host, on_host};
use crate::remote::{ScriptRunner, Way};
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a tier may take; a tier that hangs is down.
const TIER_LIMIT: Duration = Duration::from_secs(10);

/// How long a tier may take for its size; from the beginning, so that one that hangs only there
/// does not hold up the rest either.
const SIZE_LIMIT: Duration = TIER_LIMIT;

/// How long a size is believed, as long as between two looks of the dashboard.
const SIZE_AGE: SignedDuration = SignedDuration::from_mins(20);

/// How thoroughly to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thoroughness {
    /// For one line: whether hosts and tiers are well, and what tiers hold as far as they say so in
    /// no time. What another nixdash was just told is taken from there.
    Glance,
    /// Everything; a tier may take ten seconds to say what it holds.
    Ordinary,
    /// Everything; a big or slow tier may take a minute to say what it holds.
    Patient,
}

impl Thoroughness {
    /// Returns how long one tier may take to say what it holds.
    fn coverage_limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Glance => 2,
            Self::Ordinary => 10,
            Self::Patient => 60,
        })
    }

    /// Returns whether what takes long, and is not for one line, is measured too.
    fn is_slow(self) -> bool {
        self != Self::Glance
    }
}

/// How long all hosts together may take for the quick figures; the limit of each host begins with
/// its own turn.
const HOSTS_LIMIT: Duration = Duration::from_secs(60);

/// How many next systems are looked at at once.
const NEXT_WIDTH: usize = 4;

/// Everything as it was at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The hosts that were asked for, in the fleet's order.
    pub hosts: Vec<(String, HostFacts)>,
    /// Their stores; a host whose store could not be counted is absent.
    pub stores: BTreeMap<String, StoreFacts>,
    /// Every tier, in the order of `hosts.toml`.
    pub tiers: Vec<(String, TierFacts)>,
    /// Coverage of their running closures; a host without an answer is absent.
    pub coverage: BTreeMap<String, CoverageFacts>,
    /// Requests that this took, by name of the tier.
    pub requests: BTreeMap<String, u64>,
    /// What they run next, where something is known to come.
    pub next: BTreeMap<String, NextFacts>,
}

impl Snapshot {
    /// Marks the findings that are silenced now.
    fn silence(&mut self, fleet: &Fleet, now: Timestamp) {
        for (_, facts) in &mut self.hosts {
            fleet.alarms.silence_host(facts, now);
        }
        for (_, facts) in &mut self.tiers {
            fleet.alarms.silence_tier(facts, now);
        }
    }

    /// Returns every finding of hosts, of tiers, and of tiers as hosts see them.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        let hosts = self.hosts.iter().flat_map(|(_, facts)| &facts.findings);
        let tiers = self.tiers.iter().flat_map(|(_, facts)| {
            facts.findings.iter().chain(facts.hosts.values().flat_map(|on_host| &on_host.findings))
        });
        hosts.chain(tiers)
    }
}

/// How to look.
#[derive(Clone, Copy)]
struct OneLook<'a> {
    care: Thoroughness,
    earlier: &'a EarlierLooks,
    wanted: &'a [NextSystem],
}

/// What one host said.
struct Answered {
    name: String,
    facts: HostFacts,
    store: Option<StoreFacts>,
    closure: Option<Closure>,
}

/// Asks hosts (by name) and every tier, all at once.
///
/// What a host runs next is one of `wanted`, which somebody evaluated just now, else what was built
/// for it and not deployed yet.
///
/// Takes as long as the slowest host, 10 s at most for the quick figures once it is its turn and a
/// minute for all hosts together, then as long as the
/// slowest tier. Names that are no hosts are left out. What earlier looks were told is used where asking
/// again would be bad manners, and what is remembered now is added to it.
pub async fn measure_once(
    fleet: &Fleet,
    runner: &dyn ScriptRunner,
    hosts: &[String],
    care: Thoroughness,
    earlier: &EarlierLooks,
    wanted: &[NextSystem],
) -> Snapshot {
    let asked = fleet.hosts.iter().filter(|host| hosts.contains(&host.name));
    let answered = join_all(asked.map(|host| async move {
        let kept = earlier.hosts.get(&host.name);
        let known = kept.map(|kept| &kept.facts);
        // The first look makes a connection: whoever can log in now has proved it.
        let look = host::probe(runner, host, known, &fleet.alarms.limits, Way::InTurn);
        let facts = match tokio::time::timeout(HOSTS_LIMIT, look).await {
            Ok(facts) => facts,
            Err(_) => not_asked(&host.name, known),
        };
        earlier.tell(|| Event::Host { host: host.name.clone(), facts: Box::new(facts.clone()) });
        let up = facts.state.has_answered();
        let (mut store, mut closure) = (None, None);
        if up && facts.system.running.is_some() {
            let count = async {
                if care.is_slow() { store::count(runner, &host.name).await.ok() } else { None }
            };
            let list = async { store::closure(runner, &host.name).await.ok() };
            (store, closure) = tokio::join!(count, list);
            if let Some(store) = &store {
                earlier.memory.put_store(&host.name, store.clone());
            }
        }
        Answered { name: host.name.clone(), facts, store, closure }
    }))
    .await;
    let mut snapshot = Snapshot::default();
    match HttpClient::new() {
        Ok(web) => {
            for (tier, count) in &earlier.requests {
                web.budget.begin_month_with(tier, *count);
            }
            let tools = Tools { web: &web, runner, fleet, memory: &earlier.memory };
            let how = OneLook { care, earlier, wanted };
            ask_tiers(tools, &answered, how, &mut snapshot).await;
            let counted = fleet.tiers.iter().map(|tier| (tier, web.budget.take_count(&tier.name)));
            let counted = counted.filter(|(_, count)| *count > 0);
            snapshot.requests = counted.map(|(tier, count)| (tier.name.clone(), count)).collect();
        }
        Err(error) => {
            let failed = |tier: &Tier| (tier.name.clone(), failed(tier, &error));
            snapshot.tiers = fleet.tiers.iter().map(failed).collect();
        }
    }
    for mut host in answered {
        on_host::add_nix_facts(&mut host.facts, fleet, &host.name, &earlier.memory);
        let kept = earlier.hosts.get(&host.name);
        // What was counted before stays, with its age.
        let store = host.store.or_else(|| kept.and_then(|kept| kept.store.clone()));
        snapshot.stores.extend(store.map(|store| (host.name.clone(), store)));
        let coverage = kept.map(|kept| kept.coverage.clone());
        let coverage = coverage.filter(|coverage| !coverage.tiers.is_empty());
        if let (false, Some(coverage)) = (host.facts.state.has_answered(), coverage) {
            snapshot.coverage.entry(host.name.clone()).or_insert(coverage);
        }
        snapshot.hosts.push((host.name, host.facts));
    }
    snapshot.silence(fleet, Timestamp::now());
    snapshot
}

/// Returns what is known of a host whose turn did not come.
fn not_asked(host: &str, known: Option<&HostFacts>) -> HostFacts {
    let finding = hosts::time_ran_out(host, HOSTS_LIMIT.as_secs()).at(Timestamp::now());
    HostFacts { findings: vec![finding], ..known.cloned().unwrap_or_default() }
}

/// Asks every tier, first whether it is well, then what it holds.
async fn ask_tiers(
    tools: Tools<'_>,
    answered: &[Answered],
    how: OneLook<'_>,
    snapshot: &mut Snapshot,
) {
    let slow = how.care.is_slow();
    let began = Timestamp::now();
    let known: Vec<Known<'_>> = answered
        .iter()
        .map(|host| Known {
            host: &host.name,
            toplevel: host.facts.system.running.as_ref(),
            closure: host.closure.as_ref(),
        })
        .collect();
    let closures = union(answered.iter().filter_map(|host| host.closure.as_ref()));
    let closures = &closures;
    let probes = join_all(tools.fleet.tiers.iter().map(|tier| {
        let paths = candidates(tier, &known, |_| false);
        async move {
            let facts = ask_tier(tools, tier, &paths, closures, how).await;
            let tier = tier.name.clone();
            how.earlier.tell(|| Event::Tier { tier: tier.clone(), facts: Box::new(facts.clone()) });
            (tier, facts)
        }
    }));
    let asked: Vec<HostClosure<'_>> = answered
        .iter()
        .filter_map(|host| Some(HostClosure { host: &host.name, closure: host.closure.as_ref()? }))
        .collect();
    let coverage = measure_within(tools, &asked, &how.earlier.answers, how.care.coverage_limit());
    let up = answered.iter().filter(|host| slow && host.closure.is_some());
    let looks = join_all(up.map(|host| async move {
        let look = on_host::look(tools.runner, &host.name, Timestamp::now());
        if let Ok(view) = tokio::time::timeout(TIER_LIMIT, look).await {
            on_host::remember(tools.memory, tools.fleet, &host.name, view);
        }
    }));
    let hosts = answered.iter().filter_map(|host| tools.fleet.host(&host.name));
    let list = async {
        if slow { built(tools.runner, tools.fleet, hosts).await } else { BTreeMap::new() }
    };
    let listed;
    (snapshot.tiers, snapshot.coverage, _, listed) = tokio::join!(probes, coverage, looks, list);
    let closures;
    (snapshot.next, closures) = next(tools, answered, how, listed).await;
    let closures = Closures { running: &asked, next: &closures.iter().collect::<Vec<_>>() };
    let found = snapshot.tiers.iter().map(|(name, facts)| (name.as_str(), facts));
    let held = lock(&how.earlier.answers);
    judge_tiers(tools, closures, &held, &how.earlier.tiers, found, began);
    drop(held);
    for (name, facts) in &mut snapshot.tiers {
        let Some(tier) = tools.fleet.tier(name) else { continue };
        if let Some(settled) = with_hosts_now(tools, facts, tier, Timestamp::now()) {
            *facts = settled;
        }
    }
}

/// Looks at what hosts run next; returns the closures of what is built too.
async fn next(
    tools: Tools<'_>,
    answered: &[Answered],
    how: OneLook<'_>,
    mut built: BTreeMap<String, Option<NextSystem>>,
) -> (BTreeMap<String, NextFacts>, Vec<Closure>) {
    let known: Vec<(&Answered, NextSystem)> = answered
        .iter()
        .filter_map(|host| {
            let evaluated = how.wanted.iter().find(|wanted| wanted.host == host.name);
            let running = host.facts.system.running.as_ref();
            // What was asked for by name is told even where it runs already.
            let next = evaluated.cloned().or_else(|| {
                built.remove(&host.name).flatten().filter(|next| Some(&next.toplevel) != running)
            });
            Some((host, next?))
        })
        .collect();
    let looks = known.iter().map(|(host, next)| async move {
        let (running, answers) = (host.closure.as_ref(), &how.earlier.answers);
        let work = measure_next(tools, next, running, answers, |_| false);
        let limit = how.care.coverage_limit();
        let (facts, closure) = tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            let limit = limit.as_secs();
            let late = next.failed(format!(
                "the next system of {} was not looked at within {limit} s; is a tier slow?",
                host.name
            ));
            (late, None)
        });
        (host.name.clone(), facts, closure)
    });
    let looks: Vec<_> = stream::iter(looks).buffer_unordered(NEXT_WIDTH).collect().await;
    let (mut facts, mut closures) = (BTreeMap::new(), Vec::new());
    for (host, found, closure) in looks {
        facts.insert(host, found);
        closures.extend(closure);
    }
    (facts, closures)
}

/// Asks one tier, within ten seconds, and for its size too.
async fn ask_tier(
    tools: Tools<'_>,
    tier: &Tier,
    paths: &[StorePath],
    closures: &[ClosurePath],
    how: OneLook<'_>,
) -> TierFacts {
    let OneLook { care, earlier, .. } = how;
    let began = Instant::now();
    let asking = tools.asking(tier, paths, closures, Timestamp::now());
    if let Some(told) = earlier.told(tier, care == Thoroughness::Glance, asking.now) {
        return told.clone();
    }
    let probe = tokio::time::timeout(TIER_LIMIT, look(&asking, earlier.last(tier, asking.now)));
    let Ok(mut facts) = probe.await else {
        let silent = tiers::silent(tier, TIER_LIMIT.as_secs()).at(asking.now);
        let facts = TierFacts::of(TierState::Down, silent);
        return TierFacts { since: Some(asking.now), asked_at: Some(asking.now), ..facts };
    };
    if care.is_slow()
        && !is_recent(&facts, asking.now)
        && let left = SIZE_LIMIT.saturating_sub(began.elapsed())
    {
        let size = match tokio::time::timeout(left, asking.kind.size(&asking)).await {
            Ok(size) => size.ok().flatten(),
            Err(_) => asking.kind.size_so_far(&asking),
        };
        facts.size = size.or(facts.size);
    }
    facts
}

/// Returns whether a tier's size was measured not long ago: listing a bucket takes many requests.
fn is_recent(facts: &TierFacts, now: Timestamp) -> bool {
    let measured_at = facts.size.as_ref().and_then(|size| size.measured_at);
    measured_at.is_some_and(|at| now.duration_since(at) < SIZE_AGE)
}

#[cfg(test)]
mod tests;
