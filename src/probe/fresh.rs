//! When an answer that a tier gave to another nixdash serves as well as one of our own.

use crate::fleet::{TierFacts, TierState};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// Which part of the interval an answer of another nixdash may be old. Our own last one is older,
/// so it is never taken for another's.
const FRESH: f64 = 0.8;

/// Returns whether facts are another nixdash's, and so young that asking again would be one
/// question too many.
pub(super) fn is_fresh(
    facts: &TierFacts,
    previous: Option<&TierFacts>,
    interval: Duration,
    now: Timestamp,
) -> bool {
    let Some(at) = facts.asked_at else { return false };
    let age = now.duration_since(at);
    let limit = SignedDuration::try_from(interval.mul_f64(FRESH)).unwrap_or_default();
    facts.state != TierState::Unknown
        && (SignedDuration::ZERO..limit).contains(&age)
        && previous.and_then(|last| last.asked_at).is_none_or(|last| last < at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_another_was_told_just_now_is_taken() {
        let now: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
        let told = |state, seconds: i64| TierFacts {
            state,
            asked_at: Some(now - SignedDuration::from_secs(seconds)),
            ..TierFacts::default()
        };
        let minute = Duration::from_secs(60);
        let fresh = |facts: &TierFacts, previous: Option<&TierFacts>| {
            is_fresh(facts, previous, minute, now)
        };
        let young = told(TierState::Up, 47);
        assert!(fresh(&young, None));
        assert!(fresh(&young, Some(&told(TierState::Up, 70))));
        assert!(fresh(&told(TierState::Down, 0), None), "that it is down need not be asked either");
        assert!(!fresh(&young, Some(&young)), "our own last answer");
        assert!(!fresh(&told(TierState::Up, 48), None), "too old");
        assert!(!fresh(&told(TierState::Up, -1), None), "a clock that was set back");
        assert!(!fresh(&told(TierState::Unknown, 1), None), "the other one did not ask");
        assert!(!fresh(&TierFacts::default(), None));
    }
}
