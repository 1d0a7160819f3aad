//! The probe of a tier: what every kind answers, and which kind is asked how.

use crate::fleet::{StorePath, Tier, TierFacts, TierState};
use crate::probe::http::HttpProbe;
use crate::probe::web::{Web, WebError};
use jiff::Timestamp;
use std::future::Future;
use std::pin::Pin;

/// The future that a [`TierProbe`] returns.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How one kind of tier is asked; one file per kind.
pub trait TierProbe: Send + Sync {
    /// Asks whether the tier is well, and proves its signature with one of the candidates.
    ///
    /// The caller gives paths that the tier can hold, the likeliest first. Never fails: what went
    /// wrong is part of the facts.
    fn probe<'a>(
        &'a self,
        web: &'a Web,
        tier: &'a Tier,
        candidates: &'a [StorePath],
    ) -> Answer<'a, TierFacts>;

    /// Asks whether the tier holds a path.
    fn holds<'a>(
        &'a self,
        web: &'a Web,
        tier: &'a Tier,
        path: &'a StorePath,
    ) -> Answer<'a, Result<bool, WebError>>;
}

/// Returns the probe of a tier's kind; none for a kind that this version does not probe.
pub fn probe_of(tier: &Tier) -> Option<&'static dyn TierProbe> {
    // Kinds that speak the binary cache protocol over HTTP share a probe until each has its own.
    tier.kind.is_probed().then_some(&HttpProbe as &dyn TierProbe)
}

/// Asks a tier and returns what was found; of one that does not answer, the last known figures
/// with the reason.
pub async fn probe(
    web: &Web,
    tier: &Tier,
    candidates: &[StorePath],
    previous: Option<&TierFacts>,
) -> TierFacts {
    let now = Timestamp::now();
    let Some(probe) = probe_of(tier) else {
        let why = format!("nixdash does not probe tiers of kind {} yet", tier.kind);
        return TierFacts { error: Some(why), ..TierFacts::default() };
    };
    merge(previous, probe.probe(web, tier, candidates).await, now)
}

/// Joins a probe to what was known before: a tier that does not answer keeps its figures and
/// their age, but not its proof, which is about now.
fn merge(previous: Option<&TierFacts>, found: TierFacts, now: Timestamp) -> TierFacts {
    match found.state {
        TierState::Down | TierState::Proxy => {
            let last = previous.cloned().unwrap_or_default();
            TierFacts {
                priority: last.priority,
                store_dir: last.store_dir,
                measured_at: last.measured_at,
                asked_at: Some(now),
                ..found
            }
        }
        TierState::Up
        | TierState::Slow
        | TierState::Unauthorized
        | TierState::Untrusted
        | TierState::NarMissing
        | TierState::WrongStore
        | TierState::Degraded
        | TierState::Unknown => TierFacts { measured_at: Some(now), asked_at: Some(now), ..found },
    }
}
