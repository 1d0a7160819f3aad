//! What a server counted of its own requests between two looks, without those that we made.

use crate::fleet::{ServedFacts, Share, Tier};
use crate::probe::asking::Asking;
use crate::probe::memory::{Memory, MemoryPart, read_kept, to_kept};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The name under which the history keeps where the counters stood.
pub(in crate::probe) const COUNTERS: &str = "served";

/// After this time without a look it is not said what was counted: nobody knows when it was.
const UNWATCHED: SignedDuration = SignedDuration::from_hours(1);

/// Counters of a server, as they stand now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::probe) struct Counts {
    /// Narinfo requests answered with a narinfo.
    pub(in crate::probe) hits: f64,
    /// Narinfo requests answered with 404.
    pub(in crate::probe) misses: f64,
    /// Requests for narinfos and nars, however answered.
    pub(in crate::probe) requests: f64,
    /// Those of them that were answered 404.
    pub(in crate::probe) not_found: f64,
}

/// What we have asked for ourselves since the counters were read last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Own {
    hits: f64,
    misses: f64,
    /// Nars, however answered.
    nars: f64,
    /// Those of them that were answered 404.
    gone: f64,
}

/// Where the counters stood when they were read last, and what was ours since. Kept for the next
/// nixdash, and shared with those at work: of two that take turns, each counts from where the
/// other stopped.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct CountedFrom {
    at: Timestamp,
    counts: Counts,
    own: Own,
}

/// What is remembered of a server's counters; nothing where it has none.
#[derive(Default)]
struct CounterMemory {
    base: Option<CountedFrom>,
}

impl MemoryPart for CounterMemory {
    fn kept(&self) -> Option<(&'static str, Json)> {
        Some((COUNTERS, to_kept(self.base.as_ref()?)?))
    }

    fn recall(kept: &BTreeMap<String, Json>) -> Self {
        Self { base: read_kept(kept, COUNTERS) }
    }
}

/// Returns what was counted since the counters were read last, without what we asked for, and
/// counts on from here; nothing at the first look, nor after a long time in which nobody looked.
///
/// What others ask for while a look goes on belongs to the next one: a look says itself what it
/// asks for ([`narinfo`], [`nar`], [`asked`]).
pub(in crate::probe) fn since_last(asking: &Asking<'_>, now: Counts) -> Option<ServedFacts> {
    let base = asking.memory.part(asking.tier, |counters: &mut CounterMemory| counters.base);
    end(asking, now);
    let base = base?;
    let age = asking.now.duration_since(base.at);
    (SignedDuration::ZERO..UNWATCHED)
        .contains(&age)
        .then(|| between(base.counts, now, base.own, age.as_secs_f64()))
}

/// Counts on from here: where what a look asks for cannot be told from the rest, the counters are
/// read again at its end, and what lies between is left out.
pub(in crate::probe) fn end(asking: &Asking<'_>, counts: Counts) {
    let base = Some(CountedFrom { at: asking.now, counts, own: Own::default() });
    asking.memory.part(asking.tier, |counters: &mut CounterMemory| counters.base = base);
}

/// Notes that we asked for these narinfos.
pub(in crate::probe) fn asked(asking: &Asking<'_>, held: &[bool]) {
    let hits = held.iter().filter(|held| **held).count() as f64;
    note(asking, |own| {
        own.hits += hits;
        own.misses += held.len() as f64 - hits;
    });
}

/// Notes that we asked for a narinfo, and how that was answered.
pub(in crate::probe) fn narinfo(asking: &Asking<'_>, status: u16) {
    match status {
        200 => asked(asking, &[true]),
        404 => asked(asking, &[false]),
        _ => {}
    }
}

/// Notes that we asked for a nar, and how that was answered.
pub(in crate::probe) fn nar(asking: &Asking<'_>, status: u16) {
    note(asking, |own| {
        own.nars += 1.0;
        own.gone += f64::from(u8::from(status == 404));
    });
}

/// Adds to what is ours; nothing where the server has no counters.
fn note(asking: &Asking<'_>, add: impl FnOnce(&mut Own)) {
    asking.memory.part(asking.tier, |counters: &mut CounterMemory| {
        if let Some(base) = &mut counters.base {
            add(&mut base.own);
        }
    });
}

/// Takes over where another nixdash read the counters, when that was after we did.
pub(in crate::probe) fn take_over(memory: &Memory, tier: &Tier, kept: Json) {
    let Ok(theirs) = serde_json::from_value::<CountedFrom>(kept) else { return };
    memory.part(tier, |counters: &mut CounterMemory| {
        if counters.base.is_none_or(|ours| ours.at < theirs.at) {
            counters.base = Some(theirs);
        }
    });
}

/// Does the arithmetic: growth of each counter, less our own requests. A server that was started
/// again counts from nothing, and what was ours it has forgotten.
fn between(before: Counts, now: Counts, own: Own, seconds: f64) -> ServedFacts {
    let is_new = now.hits < before.hits
        || now.misses < before.misses
        || now.requests < before.requests
        || now.not_found < before.not_found;
    let (before, own) = if is_new { Default::default() } else { (before, own) };
    let less = |before: f64, now: f64, own: f64| (now - before - own).max(0.0);
    let hits = less(before.hits, now.hits, own.hits);
    let misses = less(before.misses, now.misses, own.misses);
    let requests = less(before.requests, now.requests, own.hits + own.misses + own.nars);
    let not_found = less(before.not_found, now.not_found, own.misses + own.gone);
    ServedFacts {
        answered: Some(Share { have: hits as u64, total: (hits + misses) as u64 }),
        requests_per_s: (seconds > 0.0).then(|| requests / seconds),
        not_found: (requests > 0.0).then(|| (not_found / requests).min(1.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes counters.
    fn counts(hits: f64, misses: f64) -> Counts {
        Counts { hits, misses, requests: hits + misses + 10.0, not_found: misses }
    }

    #[test]
    fn our_own_requests_are_nobodys_hits() {
        let own = Own { hits: 30.0, misses: 20.0, ..Own::default() };
        let served = between(counts(1000.0, 200.0), counts(1090.0, 230.0), own, 10.0);
        assert_eq!(served.answered, Some(Share { have: 60, total: 70 }));
        assert_eq!(served.requests_per_s, Some(7.0));
        assert!(served.not_found.is_some_and(|share| (share - 10.0 / 70.0).abs() < 1e-9));
    }

    #[test]
    fn a_server_that_was_restarted_counts_from_nothing() {
        let own = Own { hits: 1.0, ..Own::default() };
        // One of its counters is further than before already.
        let served = between(counts(1000.0, 0.0), counts(3.0, 1.0), own, 0.0);
        assert_eq!(served.answered, Some(Share { have: 3, total: 4 }));
        assert_eq!(served.requests_per_s, None);
    }

    #[test]
    fn nobody_asked_is_a_share_of_nothing() {
        let same = counts(5.0, 5.0);
        let served = between(same, same, Own::default(), 10.0);
        assert_eq!(served.answered.and_then(Share::ratio), None);
        assert_eq!((served.requests_per_s, served.not_found), (Some(0.0), None));
    }
}
