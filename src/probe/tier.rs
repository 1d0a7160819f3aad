//! What every kind of tier answers, and asking one.

use crate::fleet::{ClosurePath, Fleet, SizeFacts, StorePath, Tier, TierFacts, TierState};
use crate::probe::kinds;
use crate::probe::memory::Memory;
use crate::probe::web::{Declared, Web, WebError};
use crate::remote::Hands;
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
    pub hands: &'a dyn Hands,
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
        let Tools { web, hands, fleet, memory } = self;
        Asking { web, hands, fleet, tier, candidates, closures, memory, now }
    }
}

/// What a probe works with.
pub struct Asking<'a> {
    /// HTTP.
    pub web: &'a Web,
    /// Hosts.
    pub hands: &'a dyn Hands,
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
}

/// Asks a tier and returns what was found; of one that does not answer, the last known figures
/// with the reason.
pub async fn probe(asking: &Asking<'_>, previous: Option<&TierFacts>) -> TierFacts {
    let Some(probe) = kinds::probe_of(asking.tier.kind) else {
        let why = format!("nixdash does not probe tiers of kind {} yet", asking.tier.kind);
        return TierFacts { error: Some(why), ..TierFacts::default() };
    };
    merge(previous, probe.probe(asking).await, asking.now)
}

/// Joins a probe to what was known before: a tier that does not answer keeps its figures and
/// their age, but not its proof, which is about now.
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
        TierState::Down | TierState::Proxy => {
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
        | TierState::Degraded
        | TierState::Unknown => found.measured_at = Some(now),
    }
    found
}
