//! One request a look, where the server is somebody else's.
//!
//! A look asks for what hosts ask first, such as `nix-cache-info`. Whatever else is due now and then
//! (the narinfo that proves the signature, a bucket's HEAD, Cachix' API) takes the place of that
//! question instead of coming on top: when the last look found the tier well, one good answer says
//! that it still is. Any other answer leads to a whole look.

use crate::fleet::{KindName, SignatureState, StorePath, Tier, TierFacts, TierState};
use crate::nix::narinfo::NarInfo;
use crate::probe::clock::milliseconds;
use crate::probe::kinds::http::SLOW_MS;
use crate::probe::kinds::nar::prove_nar;
use crate::probe::kinds::proof::{self, Look, REFUSED, Search, recall, remember};
use crate::probe::schedule::{Target, tier_interval};
use crate::probe::tier::Asking;
use crate::probe::web::{Declared, Reply};
use jiff::{SignedDuration, Timestamp};

/// What the last look found, when all was well.
const WELL: &str = "well";

/// Returns whether a tier is asked one thing at a time: what is public, hosted, or a bucket.
pub(in crate::probe) fn is_thrifty(tier: &Tier) -> bool {
    match tier.kind.name() {
        KindName::Cachix | KindName::S3 | KindName::Attic => true,
        KindName::NixServe
        | KindName::Harmonia
        | KindName::Http
        | KindName::Seaweedfs
        | KindName::Local
        | KindName::GithubActions
        | KindName::Ncps => Target::of_tier(tier) == Target::PublicTier,
    }
}

/// Keeps what a look found, for [`kept`]; what is not well is looked at whole the next time.
pub(in crate::probe) fn keep(asking: &Asking<'_>, facts: &TierFacts) {
    let is_well = matches!(facts.state, TierState::Up | TierState::Slow);
    if is_well && facts.signature != SignatureState::Invalid {
        asking.memory.put(asking.tier, WELL, &(asking.now, facts));
    } else {
        asking.memory.forget(asking.tier, WELL);
    }
}

/// Returns what the last look found, where it may stand for what is not asked now: all was well, no
/// more than two intervals ago.
pub(in crate::probe) fn kept(asking: &Asking<'_>) -> Option<TierFacts> {
    let (at, facts): (Timestamp, TierFacts) = asking.memory.get(asking.tier, WELL)?;
    let age = SignedDuration::try_from(tier_interval(asking.tier).saturating_mul(2)).ok()?;
    (is_thrifty(asking.tier) && asking.now.duration_since(at) <= age).then_some(facts)
}

/// Puts the times of an answer into what was kept.
pub(in crate::probe) fn timed(mut facts: TierFacts, reply: &Reply) -> TierFacts {
    let latency = milliseconds(reply.first_byte);
    facts.latency_ms = Some(latency);
    facts.connect_ms = reply.connect.map(milliseconds);
    facts.state = if latency > SLOW_MS { TierState::Slow } else { TierState::Up };
    facts
}

/// A proof that is due on a tier that was well.
pub(in crate::probe) struct Due<'a> {
    asking: &'a Asking<'a>,
    facts: TierFacts,
    search: Search<'a>,
    canary: StorePath,
}

/// Returns the proof that is due, when it may take the place of a whole look.
pub(in crate::probe) fn due<'a>(asking: &'a Asking<'a>) -> Option<Due<'a>> {
    let mut facts = kept(asking)?;
    if recall(asking, &mut facts) {
        return None;
    }
    let search = Search::begin(asking)?;
    let canary = search.canary()?.clone();
    Some(Due { asking, facts, search, canary })
}

impl Due<'_> {
    /// Returns the path whose narinfo is to be read.
    pub(in crate::probe) fn canary(&self) -> &StorePath {
        &self.canary
    }

    /// Returns the facts of a tier that answered with its canary, and the canary's narinfo; nothing
    /// when the answer is anything else.
    pub(in crate::probe) fn proven(mut self, reply: &Reply) -> Option<(TierFacts, NarInfo)> {
        let verdict = self.search.take(&self.canary, Look::read(&self.canary, reply));
        // There is nothing else to be asked for.
        let verdict = verdict.unwrap_or_else(|| self.search.end());
        let (SignatureState::Valid, proof, Some(narinfo)) = verdict else {
            // The whole look finds the words for a refusal.
            self.asking.memory.forget(self.asking.tier, REFUSED);
            return None;
        };
        let mut facts = timed(self.facts, reply);
        (facts.signature, facts.proof) = (SignatureState::Valid, Some(proof));
        facts.nar_proof = None;
        Some((facts, narinfo))
    }
}

/// Looks at a tier by reading its canary, when the proof is due and the rest was well; returns the
/// answer too. Nothing when the tier has to be looked at whole.
pub(super) async fn by_canary(
    asking: &Asking<'_>,
    declared: &[Declared],
) -> Option<(TierFacts, Reply)> {
    let due = due(asking)?;
    let reply = proof::narinfo(asking, declared, due.canary()).await.ok()?;
    let (mut facts, narinfo) = due.proven(&reply)?;
    prove_nar(asking, declared, &narinfo, &mut facts).await;
    remember(asking, &facts);
    keep(asking, &facts);
    Some((facts, reply))
}
