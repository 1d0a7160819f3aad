//! What earlier nixdash found of hosts and tiers, for one that looks only once: so a look at a public cache is not one
//! question too many, a token that expired since is noticed, and what a person set as the most
//! requests of a month holds for all.

use crate::fleet::{Event, KeptHost, PathAnswer, Tier, TierFacts};
use crate::probe::answers::{Answers, OLDEST};
use crate::probe::evidence::TierPast;
use crate::probe::fresh::is_fresh;
use crate::probe::kinds::kind_of;
use crate::probe::memory::Memory;
use crate::probe::schedule::Pace;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use tokio::sync::mpsc;

/// How long ago a tier must have been asked so that it is said to be in its state since then: what
/// nobody looked at for longer may have been anything meanwhile.
const UNWATCHED: SignedDuration = SignedDuration::from_hours(1);

/// What earlier nixdash found of tiers.
#[derive(Default)]
pub struct EarlierLooks {
    /// What probes remember; what they remember now is added to it.
    pub memory: Memory,
    /// What tiers held, and how fast they were.
    pub tiers: TierPast,
    pub(super) answers: Mutex<Answers>,
    pub(super) requests: HashMap<String, u64>,
    facts: HashMap<String, TierFacts>,
    /// What was found of hosts before, by name.
    pub hosts: HashMap<String, KeptHost>,
    /// Who is told what is found while the look goes on.
    pub news: Option<mpsc::UnboundedSender<Event>>,
}

impl EarlierLooks {
    /// Adds what is known of a tier: its last answer, the requests of this month, and what it said
    /// of paths ([`EarlierLooks::answers_since`]).
    pub fn add(
        &mut self,
        tier: &Tier,
        facts: Option<TierFacts>,
        requests: Option<u64>,
        answers: Vec<PathAnswer>,
    ) {
        self.facts.extend(facts.map(|facts| (tier.name.clone(), facts)));
        self.requests.extend(requests.map(|count| (tier.name.clone(), count)));
        let known = self.answers.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.learn(tier, answers);
    }

    /// Tells what was found just now, where somebody wants to know.
    pub(super) fn tell(&self, event: impl FnOnce() -> Event) {
        if let Some(news) = &self.news {
            // Whoever listened may be gone.
            drop(news.send(event()));
        }
    }

    /// Returns what an earlier nixdash found of a tier, marked as old: its state now is not known.
    pub fn tier_before(&self, tier: &Tier) -> Option<TierFacts> {
        self.facts.get(&tier.name).cloned().map(TierFacts::from_before)
    }

    /// Returns since when what a tier said of paths is used; nothing where the tier is asked again.
    pub fn answers_since(tier: &Tier, now: Timestamp) -> Option<Timestamp> {
        is_public(tier).then(|| now - OLDEST)
    }

    /// Returns what was said of paths since, by name of the tier, to be passed on.
    pub fn take_answers(&self) -> BTreeMap<String, Vec<PathAnswer>> {
        self.answers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take_fresh()
    }

    /// Returns the last answer of somebody else's tier (of any, where a glance is enough), when
    /// asking again would be one question too many.
    pub(super) fn told(&self, tier: &Tier, glance: bool, now: Timestamp) -> Option<&TierFacts> {
        let facts = self.facts.get(&tier.name).filter(|_| glance || is_public(tier))?;
        is_fresh(facts, None, kind_of(tier).every(tier), now).then_some(facts)
    }

    /// Returns the last answer of a tier, as something to go on from.
    pub(super) fn last(&self, tier: &Tier, now: Timestamp) -> Option<&TierFacts> {
        let facts = self.facts.get(&tier.name)?;
        let age = now.duration_since(facts.asked_at?);
        (SignedDuration::ZERO..UNWATCHED).contains(&age).then_some(facts)
    }
}

/// Returns whether a tier is somebody else's.
fn is_public(tier: &Tier) -> bool {
    kind_of(tier).target(tier) == Pace::PublicTier
}
