//! What a server counted of its own requests between two looks, without those that we made.

use crate::fleet::{ServedFacts, Share};
use crate::probe::kinds::prometheus::grown;
use crate::probe::tier::Asking;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Counters of a server, as they stand now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Counts {
    /// Narinfo requests answered with a narinfo.
    pub(super) hits: f64,
    /// Narinfo requests answered with 404.
    pub(super) misses: f64,
    /// Requests for narinfos and nars, however answered.
    pub(super) requests: f64,
    /// Those of them that were answered 404.
    pub(super) not_found: f64,
}

/// How many narinfos we have asked for ourselves outside of a look: for coverage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Own {
    hits: f64,
    misses: f64,
}

/// Where counters stood at the end of a look.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Base {
    at: Timestamp,
    counts: Counts,
    own: Own,
}

/// Returns what was counted since the last look ended; nothing at the first look.
///
/// The counters are read before a look asks for anything else, and again at its end, for
/// [`end`]: what lies between is ours.
pub(super) fn since_last(asking: &Asking<'_>, now: Counts) -> Option<ServedFacts> {
    let base: Base = asking.memory.get(asking.tier, "served")?;
    let own: Own = asking.memory.get(asking.tier, "served-own").unwrap_or_default();
    let seconds = asking.now.duration_since(base.at).as_secs_f64();
    Some(between(base, now, own, seconds))
}

/// Keeps where the counters stand at the end of a look.
pub(super) fn end(asking: &Asking<'_>, counts: Counts) {
    let own = asking.memory.get(asking.tier, "served-own").unwrap_or_default();
    asking.memory.put(asking.tier, "served", &Base { at: asking.now, counts, own });
}

/// Keeps that we asked for these narinfos, outside of a look.
pub(super) fn asked(asking: &Asking<'_>, held: &[bool]) {
    let mut own: Own = asking.memory.get(asking.tier, "served-own").unwrap_or_default();
    let hits = held.iter().filter(|held| **held).count();
    own.hits += hits as f64;
    own.misses += (held.len() - hits) as f64;
    asking.memory.put(asking.tier, "served-own", &own);
}

/// Does the arithmetic: growth of each counter, less our own requests.
fn between(base: Base, now: Counts, own: Own, seconds: f64) -> ServedFacts {
    let (own_hits, own_misses) = (own.hits - base.own.hits, own.misses - base.own.misses);
    let less = |before: f64, now: f64, own: f64| (grown(before, now) - own).max(0.0);
    let hits = less(base.counts.hits, now.hits, own_hits);
    let misses = less(base.counts.misses, now.misses, own_misses);
    let requests = less(base.counts.requests, now.requests, own_hits + own_misses);
    let not_found = less(base.counts.not_found, now.not_found, own_misses);
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
        let own = Own { hits: 100.0, misses: 50.0 };
        let base = Base { at: Timestamp::UNIX_EPOCH, counts: counts(1000.0, 200.0), own };
        let now = Own { hits: 130.0, misses: 70.0 };
        let served = between(base, counts(1090.0, 230.0), now, 10.0);
        assert_eq!(served.answered, Some(Share { have: 60, total: 70 }));
        assert_eq!(served.requests_per_s, Some(7.0));
        assert!(served.not_found.is_some_and(|share| (share - 10.0 / 70.0).abs() < 1e-9));
    }

    #[test]
    fn a_server_that_was_restarted_counts_from_nothing() {
        let base =
            Base { at: Timestamp::UNIX_EPOCH, counts: counts(1000.0, 200.0), own: Own::default() };
        let served = between(base, counts(3.0, 1.0), Own::default(), 0.0);
        assert_eq!(served.answered, Some(Share { have: 3, total: 4 }));
        assert_eq!(served.requests_per_s, None);
    }

    #[test]
    fn nobody_asked_is_a_share_of_nothing() {
        let same = counts(5.0, 5.0);
        let base = Base { at: Timestamp::UNIX_EPOCH, counts: same, own: Own::default() };
        let served = between(base, same, Own::default(), 10.0);
        assert_eq!(served.answered.and_then(Share::ratio), None);
        assert_eq!((served.requests_per_s, served.not_found), (Some(0.0), None));
    }
}
