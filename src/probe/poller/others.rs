//! Several nixdash on one machine, an exporter among them, ask a tier as if they were one: what one
//! was told goes into the history, and the others take it from there.

use crate::fleet::{SignatureState, Tier, TierFacts};
use crate::probe::answers::OLDEST;
use crate::probe::checks::served::{self, COUNTERS};
use crate::probe::evidence::TierPast;
use crate::probe::fresh::is_fresh;
use crate::probe::kinds::kind_of;
use crate::probe::look::take_over;
use crate::probe::poller::{Shared, lock};
use jiff::Timestamp;
use std::time::Duration;

impl Shared {
    /// Returns what another nixdash has just been told by a tier; nothing when it is to be asked.
    pub(super) async fn told(
        &self,
        tier: &Tier,
        previous: Option<&TierFacts>,
        interval: Duration,
    ) -> Option<TierFacts> {
        let (facts, _) = self.record.recorder.as_ref()?.last_tier_facts(&tier.name).await?;
        // A look of one moment has nothing to count from: what it leaves would hide the counts.
        if kind_of(tier).counts_requests() && facts.served.is_none() {
            return None;
        }
        let facts = is_fresh(&facts, previous, interval, Timestamp::now()).then_some(facts)?;
        // Whatever the other one noticed, what was seen before is not believed any more.
        let was = previous.is_some_and(|last| last.signature == SignatureState::Valid);
        if was && facts.signature != SignatureState::Valid {
            self.forget_answers(tier);
        }
        Some(take_over(self.tools().ok()?, facts, tier))
    }

    /// Takes over where another nixdash read a server's counters since we did: what it has told of
    /// is not told of again.
    pub(super) async fn recall_counters(&self, tier: &Tier) -> Option<()> {
        if !kind_of(tier).shares_counters() {
            return Some(());
        }
        if let Some(value) = self.kept(tier, COUNTERS).await? {
            served::take_over(&self.memory, tier, value);
        }
        Some(())
    }

    /// Forgets everything that a tier said of paths, and asks it again.
    pub(super) fn forget_answers(&self, tier: &Tier) {
        lock(&self.answers).forget_tier(&tier.name);
        if let Some(recorder) = &self.record.recorder {
            recorder.forget_answers(&tier.name);
        }
        self.coverage.notify_one();
    }

    /// Forgets which paths tiers did not hold.
    pub(super) fn forget_misses(&self) {
        lock(&self.answers).forget_misses();
        if let Some(recorder) = &self.record.recorder {
            recorder.forget_misses();
        }
    }

    /// Takes over what other nixdash were told of paths.
    pub(super) async fn learn_answers(&self) -> Option<()> {
        let Some(recorder) = &self.record.recorder else { return Some(()) };
        let since = Timestamp::now() - OLDEST;
        for tier in &self.fleet.tiers {
            let told = self.unless_ended(recorder.answers(&tier.name, since)).await?;
            lock(&self.answers).learn(tier, told);
        }
        Some(())
    }

    /// Returns what the history tells of what tiers held and of how fast they were; nothing when
    /// everything ends.
    pub(super) async fn tier_past(&self, now: Timestamp) -> Option<TierPast> {
        let mut past = TierPast::default();
        let Some(recorder) = &self.record.recorder else { return Some(past) };
        let since = TierPast::since(now);
        let fetches = self.unless_ended(recorder.timed_fetches(since)).await?;
        past.fetches = fetches.unwrap_or_default();
        for tier in self.fleet.tiers.iter().filter(|tier| tier.kind.is_substituter()) {
            let held = self.unless_ended(recorder.held(&tier.name, since)).await?;
            past.held.insert(tier.name.clone(), held);
        }
        Some(past)
    }

    /// Passes on what we were told of paths.
    pub(super) fn pass_answers_on(&self) {
        let fresh = lock(&self.answers).take_fresh();
        let Some(recorder) = &self.record.recorder else { return };
        for (tier, answers) in fresh {
            recorder.record_answers(&tier, answers);
        }
    }
}
