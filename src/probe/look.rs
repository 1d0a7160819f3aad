//! One look at a tier, from the question to the facts: who asks, whether the tier is left alone, what
//! the look found, what hosts make of that, and what was known before.

use crate::fleet::words::tiers;
use crate::fleet::{ClosurePath, Code, Finding, StorePath, Tier, TierFacts, TierState};
use crate::probe::asking::{Asking, Tools};
use crate::probe::checks::answer::not_asked;
use crate::probe::checks::{expiry, held, up, verify};
use crate::probe::kinds::kind_of;
use crate::probe::memory::Memory;
use crate::probe::on_host::{self, HostView, add_host_verdicts};
use crate::probe::transport::curl::{CacheAddress, HostCurl};
use crate::probe::transport::{RequestError, left_alone};
use jiff::Timestamp;

impl<'a> Tools<'a> {
    /// Returns what it takes to ask one tier, from this machine.
    pub fn asking(
        self,
        tier: &'a Tier,
        candidates: &'a [StorePath],
        closures: &'a [ClosurePath],
        now: Timestamp,
    ) -> Asking<'a> {
        let Tools { web, runner, fleet, memory } = self;
        let (transport, kind) = (web, kind_of(tier));
        Asking { web, transport, runner, fleet, tier, kind, candidates, closures, memory, now }
    }
}

/// Looks at a tier and returns what was found; of one that does not answer, the last known figures
/// with the reason.
pub async fn look(asking: &Asking<'_>, previous: Option<&TierFacts>) -> TierFacts {
    let tier = asking.tier;
    let budget = &asking.web.budget;
    if let Some(spent) = budget.spent(tier) {
        return with_month_spent(asking, &spent, previous);
    }
    if let Some(facts) = resting(asking, previous) {
        return facts;
    }
    let mut found = match &tier.via {
        Some(host) => look_from(asking, host).await,
        None => asking.kind.look(asking).await,
    };
    asking.kind.add_figures(asking, &mut found).await;
    held::add_unreadable(asking, &mut found);
    verify::add_verified(asking, &mut found);
    if tier.via.is_none() {
        expiry::note(asking, &mut found).await;
    }
    let rests_until = budget.rests_until(tier);
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
    found.requests_this_month = Some(budget.requests_this_month(&tier.name));
    keep_found(asking, &found);
    add_host_verdicts(&mut found, tier, asking.fleet, asking.memory);
    let mut facts = merge(previous, found, asking.now);
    put_history(asking.memory, tier, &mut facts, asking.now);
    if let Some(until) = rests_until {
        let resting = Some((until, facts.clone()));
        asking.memory.with(tier, |memory| memory.resting = resting);
    }
    facts
}

/// Looks at a tier as one of the hosts sees it: over the host's curl, with the host's own login.
async fn look_from(asking: &Asking<'_>, host: &str) -> TierFacts {
    if CacheAddress::parse(&asking.tier.url).is_none() {
        let why = format!("a tier of kind {} has no address for it", asking.tier.kind);
        let finding = tiers::not_asked_from(asking.tier, host, &why);
        return TierFacts::of(TierState::Unknown, finding);
    }
    let view = view_of(asking, host).await;
    let curl = HostCurl::new(view.place(asking.runner, host), &asking.web.budget);
    up::look(&Asking { transport: &curl, ..*asking }).await
}

/// Asks which of these paths a tier holds, from where the tier is asked; one answer per path.
pub(super) async fn holds(
    asking: &Asking<'_>,
    paths: &[&StorePath],
) -> Result<Vec<bool>, RequestError> {
    let Some(host) = &asking.tier.via else { return asking.kind.holds(asking, paths).await };
    let view = view_of(asking, host).await;
    let curl = HostCurl::new(view.place(asking.runner, host), &asking.web.budget);
    held::held(&Asking { transport: &curl, ..*asking }, paths).await
}

/// Returns how a host is set up, looking when nobody has looked yet.
async fn view_of(asking: &Asking<'_>, host: &str) -> HostView {
    if let Some(view) = on_host::views(asking.memory).remove(host).filter(HostView::is_known) {
        return view;
    }
    let view = on_host::look(asking.runner, host, asking.now).await;
    on_host::remember(asking.memory, asking.fleet, host, view.clone());
    view
}

/// Returns the last known figures of a tier that is not asked, since the month's requests are used.
fn with_month_spent(
    asking: &Asking<'_>,
    spent: &RequestError,
    previous: Option<&TierFacts>,
) -> TierFacts {
    let tier = asking.tier;
    let mut facts = previous.cloned().unwrap_or_default();
    facts.since = facts.since.filter(|_| facts.state == TierState::Unknown).or(Some(asking.now));
    facts.state = TierState::Unknown;
    facts.findings = vec![not_asked(tier, spent).at(asking.now)];
    facts.requests_this_month = Some(asking.web.budget.requests_this_month(&tier.name));
    keep_found(asking, &facts);
    facts
}

/// Keeps what a look itself found, before hosts are asked what they make of it.
fn keep_found(asking: &Asking<'_>, facts: &TierFacts) {
    let found = Some((facts.state, facts.findings.clone()));
    asking.memory.with(asking.tier, |memory| memory.found = found);
}

/// Returns what is said of a tier that wants to be left alone: what it was when it said so.
fn resting(asking: &Asking<'_>, previous: Option<&TierFacts>) -> Option<TierFacts> {
    let tier = asking.tier;
    let until = asking.web.budget.rests_until(tier)?;
    if let Some((said, facts)) = asking.memory.with(tier, |memory| memory.resting.clone())
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
    keep_found(asking, &facts);
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
pub(super) fn with_hosts_now(
    tools: Tools<'_>,
    last: &TierFacts,
    tier: &Tier,
    now: Timestamp,
) -> Option<TierFacts> {
    let mut facts = last.clone();
    if let Some((state, findings)) = tools.memory.with(tier, |memory| memory.found.clone()) {
        (facts.state, facts.findings) = (state, findings);
    }
    add_host_verdicts(&mut facts, tier, tools.fleet, tools.memory);
    put_history(tools.memory, tier, &mut facts, now);
    if facts.state != last.state {
        facts.since = Some(now);
    }
    (facts != *last).then_some(facts)
}

/// Takes over what another nixdash was told by a tier: what hosts make of it is ours as far as we
/// have looked at them.
pub(super) fn take_over(tools: Tools<'_>, mut facts: TierFacts, tier: &Tier) -> TierFacts {
    tools.memory.with(tier, |memory| memory.found = None);
    add_host_verdicts(&mut facts, tier, tools.fleet, tools.memory);
    put_history(tools.memory, tier, &mut facts, Timestamp::now());
    facts
}

/// Puts what closures and past fetches say of a tier into its facts, as far as that is known.
fn put_history(memory: &Memory, tier: &Tier, facts: &mut TierFacts, now: Timestamp) {
    if let Some(history) = memory.with(tier, |memory| memory.history.clone()) {
        history.put_into(facts, tier, now);
    }
}

/// Joins a probe to what was known before: a tier that does not answer or was not asked keeps its
/// figures and their age, but not its proof, which is about now.
fn merge(previous: Option<&TierFacts>, mut found: TierFacts, now: Timestamp) -> TierFacts {
    let last = previous.cloned().unwrap_or_default();
    let same = previous.is_some_and(|last| last.state == found.state);
    found.since = if same { last.since } else { Some(now) };
    found.asked_at = Some(now);
    found.size = found.size.or(last.size);
    found.certificate = found.certificate.or(last.certificate);
    (found.speed, found.unique, found.lost) = (last.speed, last.unique, last.lost);
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
        | TierState::Malformed
        | TierState::WrongStore
        | TierState::Degraded => found.measured_at = Some(now),
    }
    found
}

#[cfg(test)]
mod tests;
