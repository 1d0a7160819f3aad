//! What every kind of tier answers, and asking one.

use crate::fleet::words::tiers;
use crate::fleet::{
    ClosurePath, Code, Finding, Fleet, SizeFacts, StorePath, Tier, TierFacts, TierState,
};
use crate::probe::kinds;
use crate::probe::kinds::answers::not_asked;
use crate::probe::kinds::proof::REFUSED;
use crate::probe::memory::Memory;
use crate::probe::on_host::settle;
use crate::probe::via;
use crate::probe::web::{Declared, Web, WebError, left_alone};
use crate::remote::ScriptRunner;
use jiff::Timestamp;
use std::future::Future;
use std::pin::Pin;

/// The future that a [`TierProbe`] returns.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What all probes share.
#[derive(Clone, Copy)]
pub struct Tools<'a> {
    /// HTTP.
    pub web: &'a Web,
    /// Hosts.
    pub runner: &'a dyn ScriptRunner,
    /// The fleet.
    pub fleet: &'a Fleet,
    /// What probes remember.
    pub memory: &'a Memory,
}

impl<'a> Tools<'a> {
    /// Returns what the probe of one tier works with.
    pub fn asking(
        self,
        tier: &'a Tier,
        candidates: &'a [StorePath],
        closures: &'a [ClosurePath],
        now: Timestamp,
    ) -> Asking<'a> {
        let Tools { web, runner, fleet, memory } = self;
        Asking { web, runner, fleet, tier, candidates, closures, memory, now }
    }
}

/// What a probe works with.
pub struct Asking<'a> {
    /// HTTP.
    pub web: &'a Web,
    /// Hosts.
    pub runner: &'a dyn ScriptRunner,
    /// The fleet.
    pub fleet: &'a Fleet,
    /// The tier that is asked.
    pub tier: &'a Tier,
    /// Paths to prove with, the likeliest first.
    pub candidates: &'a [StorePath],
    /// Every path of every host's running closure, once.
    pub closures: &'a [ClosurePath],
    /// What probes remember.
    pub memory: &'a Memory,
    /// The time.
    pub now: Timestamp,
}

/// How one kind of tier is asked; one file per kind.
pub trait TierProbe: Send + Sync {
    /// Returns every request that the kind may make.
    fn requests(&self) -> &'static [Declared];

    /// Asks whether the tier is well, and proves what can be proven.
    ///
    /// Never fails: what went wrong is part of the facts.
    fn probe<'a>(&'a self, asking: &'a Asking<'a>) -> Answer<'a, TierFacts>;

    /// Adds what is learned elsewhere than from the tier itself, wherever the tier is asked from:
    /// from its host's log.
    fn add_figures<'a>(
        &'a self,
        asking: &'a Asking<'a>,
        facts: &'a mut TierFacts,
    ) -> Answer<'a, ()> {
        let _ = (asking, facts);
        Box::pin(std::future::ready(()))
    }

    /// Asks which of these paths the tier holds; one answer per path.
    fn holds<'a>(
        &'a self,
        asking: &'a Asking<'a>,
        paths: &'a [&'a StorePath],
    ) -> Answer<'a, Result<Vec<bool>, WebError>>;

    /// Measures how big the tier is, where that takes long; asked on a slow timer.
    fn size<'a>(
        &'a self,
        asking: &'a Asking<'a>,
    ) -> Answer<'a, Result<Option<SizeFacts>, WebError>> {
        let _ = asking;
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Returns what is known of the size when measuring it was broken off.
    fn size_so_far(&self, asking: &Asking<'_>) -> Option<SizeFacts> {
        let _ = asking;
        None
    }
}

/// What a tier was when it asked to be left alone, and until when that is: the time is [`Web`]'s.
const REST: &str = "rest";

/// What a probe itself found of a tier, before anybody asked what hosts make of it.
const JUDGED: &str = "judged";

/// Asks a tier and returns what was found; of one that does not answer, the last known figures
/// with the reason.
pub async fn probe(asking: &Asking<'_>, previous: Option<&TierFacts>) -> TierFacts {
    let tier = asking.tier;
    let Some(probe) = kinds::probe_of(tier.kind.name()) else {
        return TierFacts::of(TierState::Unknown, tiers::not_probed(tier).at(asking.now));
    };
    if let Some(spent) = asking.web.budget_spent(tier) {
        let mut facts = previous.cloned().unwrap_or_default();
        facts.since =
            facts.since.filter(|_| facts.state == TierState::Unknown).or(Some(asking.now));
        facts.state = TierState::Unknown;
        facts.findings = vec![not_asked(tier, &spent).at(asking.now)];
        facts.requests_this_month = Some(asking.web.requests_this_month(&tier.name));
        asking.memory.put(tier, JUDGED, &(facts.state, &facts.findings));
        return facts;
    }
    if let Some(facts) = resting(asking, previous) {
        return facts;
    }
    let mut found = match &tier.via {
        Some(host) => via::probe(asking, host).await,
        None => probe.probe(asking).await,
    };
    probe.add_figures(asking, &mut found).await;
    if let Some(refused) = asking.memory.take::<Finding>(tier, REFUSED) {
        found.state = TierState::Unauthorized;
        found.findings.push(refused);
    }
    let rests_until = asking.web.rests_until(tier);
    if let Some(until) = rests_until {
        say_rest(&mut found, tier, until);
    }
    if let (TierState::Slow, Some(latency)) = (found.state, found.latency_ms) {
        found.findings.push(tiers::slow(tier, latency));
    }
    let is_told = found.findings.iter().any(|finding| finding.code == Code::NearlyFull);
    let last_size = previous.and_then(|last| last.size.as_ref());
    if let Some(size) = found.size.as_ref().or(last_size).filter(|_| !is_told) {
        found.findings.extend(tiers::nearly_full(tier, size));
    }
    found.findings = found.findings.into_iter().map(|it| it.at(asking.now)).collect();
    found.requests_this_month = Some(asking.web.requests_this_month(&tier.name));
    asking.memory.put(tier, JUDGED, &(found.state, &found.findings));
    settle(&mut found, tier, asking.fleet, asking.memory);
    let facts = merge(previous, found, asking.now);
    if let Some(until) = rests_until {
        asking.memory.put(tier, REST, &(until, &facts));
    }
    facts
}

/// Returns what is said of a tier that wants to be left alone: what it was when it said so.
fn resting(asking: &Asking<'_>, previous: Option<&TierFacts>) -> Option<TierFacts> {
    let tier = asking.tier;
    let until = asking.web.rests_until(tier)?;
    if let Some((said, facts)) = asking.memory.get::<(Timestamp, TierFacts)>(tier, REST)
        && said == until
    {
        return Some(facts);
    }
    // It said so when it was asked for something else.
    let mut facts = previous.cloned().unwrap_or_default();
    if facts.state != TierState::Degraded {
        (facts.state, facts.since) = (TierState::Degraded, Some(asking.now));
    }
    facts.findings.clear();
    say_rest(&mut facts, tier, until);
    facts.findings = facts.findings.into_iter().map(|it| it.at(asking.now)).collect();
    asking.memory.put(tier, JUDGED, &(facts.state, &facts.findings));
    Some(facts)
}

/// Says until when a tier is left alone, in the one finding that is about that.
fn say_rest(facts: &mut TierFacts, tier: &Tier, until: Timestamp) {
    let rest = left_alone(until);
    let about =
        |finding: &&mut Finding| [Code::RateLimited, Code::LeftAlone].contains(&finding.code);
    match facts.findings.iter_mut().find(about) {
        Some(answered) if answered.code == Code::RateLimited => {
            *answered = tiers::left_alone_too(answered, &rest);
        }
        // An answer that came too late to be made says so itself.
        Some(_) => {}
        None => facts.findings.push(tiers::left_alone(tier, &rest)),
    }
}

/// Returns a tier's facts with what hosts make of it now, after one of them was looked at; nothing
/// when that changes nothing.
pub(super) fn resettle(
    tools: Tools<'_>,
    last: &TierFacts,
    tier: &Tier,
    now: Timestamp,
) -> Option<TierFacts> {
    let mut facts = last.clone();
    if let Some((state, findings)) = tools.memory.get(tier, JUDGED) {
        (facts.state, facts.findings) = (state, findings);
    }
    settle(&mut facts, tier, tools.fleet, tools.memory);
    if facts.state != last.state {
        facts.since = Some(now);
    }
    (facts != *last).then_some(facts)
}

/// Takes over what another nixdash was told by a tier: what hosts make of it is ours as far as we
/// have looked at them.
pub(super) fn adopt(tools: Tools<'_>, mut facts: TierFacts, tier: &Tier) -> TierFacts {
    tools.memory.forget(tier, JUDGED);
    settle(&mut facts, tier, tools.fleet, tools.memory);
    facts
}

/// Joins a probe to what was known before: a tier that does not answer or was not asked keeps its
/// figures and their age, but not its proof, which is about now.
fn merge(previous: Option<&TierFacts>, mut found: TierFacts, now: Timestamp) -> TierFacts {
    let last = previous.cloned().unwrap_or_default();
    let same = previous.is_some_and(|last| last.state == found.state);
    found.since = if same { last.since } else { Some(now) };
    found.asked_at = Some(now);
    found.size = found.size.or(last.size);
    if found.hosts.is_empty() {
        found.hosts = last.hosts;
    }
    match found.state {
        TierState::Down | TierState::Proxy | TierState::Unknown => {
            found.priority = last.priority;
            found.store_dir = last.store_dir;
            found.measured_at = last.measured_at;
        }
        TierState::Up
        | TierState::Slow
        | TierState::Unauthorized
        | TierState::Untrusted
        | TierState::NarMissing
        | TierState::WrongStore
        | TierState::Degraded => found.measured_at = Some(now),
    }
    found
}
