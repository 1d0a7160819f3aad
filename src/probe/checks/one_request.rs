//! One request a look, where the server is somebody else's.
//!
//! A look asks for what hosts ask first, such as `nix-cache-info`. Whatever else is due now and then
//! (the narinfo that proves the signature, a bucket's HEAD, Cachix' API) takes the place of that
//! question instead of coming on top: when the last look found the tier well, one good answer says
//! that it still is. Any other answer leads to a whole look.

use crate::fleet::{SignatureState, TierFacts, TierState};
use crate::probe::asking::Asking;
use crate::probe::checks::proof::{self, Search, recall, remember};
use crate::probe::checks::take_verdict;
use crate::probe::checks::up::SLOW_MS;
use crate::probe::clock::milliseconds;
use crate::probe::memory::Dated;
use crate::probe::transport::{HttpReply, HttpRequest};
use jiff::SignedDuration;

/// Keeps what a look found, for [`kept`]; what is not well is looked at whole the next time.
pub(in crate::probe) fn keep(asking: &Asking<'_>, facts: &TierFacts) {
    let is_well = matches!(facts.state, TierState::Up | TierState::Slow)
        && facts.signature != SignatureState::Invalid;
    let well = is_well.then(|| Dated { at: asking.now, value: facts.clone() });
    asking.memory.with(asking.tier, |memory| memory.well = well);
}

/// Returns what the last look found, where it may stand for what is not asked now: all was well, no
/// more than two intervals ago.
pub(in crate::probe) fn kept(asking: &Asking<'_>) -> Option<TierFacts> {
    let well = asking.memory.with(asking.tier, |memory| memory.well.clone())?;
    let every = asking.kind.every(asking.tier);
    let age = SignedDuration::try_from(every.saturating_mul(2)).ok()?;
    let is_one = asking.kind.is_asked_one_thing(asking.tier);
    (is_one && asking.now.duration_since(well.at) <= age).then_some(well.value)
}

/// Puts the times of an answer into what was kept.
pub(in crate::probe) fn timed(mut facts: TierFacts, reply: &HttpReply) -> TierFacts {
    let latency = milliseconds(reply.first_byte);
    facts.latency_ms = Some(latency);
    facts.connect_ms = reply.connect.map(milliseconds);
    facts.state = if latency > SLOW_MS { TierState::Slow } else { TierState::Up };
    facts
}

/// Looks at a tier by reading its probe path, when the proof is due and the rest was well; returns
/// the answer too. Nothing when the tier has to be looked at whole.
pub(in crate::probe) async fn by_probe_path(asking: &Asking<'_>) -> Option<(TierFacts, HttpReply)> {
    let mut facts = kept(asking)?;
    if recall(asking, &mut facts) {
        return None;
    }
    let mut search = Search::begin(asking)?;
    let path = search.probe_path()?.clone();
    let answer = asking.send(HttpRequest::get(asking.narinfo_url(&path)).follow()).await;
    let found = proof::read(asking, &path, &answer);
    let reply = answer.ok()?;
    // There is nothing else to be asked for.
    let verdict = match search.take(&path, found) {
        Some(verdict) => verdict,
        None => search.end(),
    };
    // The whole look finds the words for a refusal.
    if verdict.signature != SignatureState::Valid {
        return None;
    }
    let mut facts = timed(facts, &reply);
    facts.nar_proof = None;
    take_verdict(asking, verdict, &mut facts).await;
    remember(asking, &facts);
    keep(asking, &facts);
    Some((facts, reply))
}
