//! Until when a certificate or a token is good, and when that is worth a warning.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How long before its end something is worth a warning that lives long: most programs that renew
/// certificates of 90 days do so 30 days before, so one with 14 days left was forgotten.
const LONG_BEFORE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The part of a short life that must be left: a certificate of six days is renewed every three.
const PART: i32 = 5;

/// From when until when something is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    /// From when; none where that is not said.
    pub from: Option<Timestamp>,
    /// Until when.
    pub until: Timestamp,
}

/// How a validity stands at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValidityState {
    /// It does not end soon.
    Good,
    /// It ends within this time.
    EndsIn(SignedDuration),
    /// It has ended this long ago.
    Ended(SignedDuration),
    /// It begins only in this time.
    BeginsIn(SignedDuration),
}

impl Validity {
    /// Returns how it stands at a time.
    pub fn at(self, now: Timestamp) -> ValidityState {
        let left = self.until.duration_since(now);
        if !left.is_positive() {
            return ValidityState::Ended(-left);
        }
        if let Some(from) = self.from.filter(|from| *from > now) {
            return ValidityState::BeginsIn(from.duration_since(now));
        }
        let life = self.from.map(|from| self.until.duration_since(from));
        let limit = life.map_or(LONG_BEFORE, |life| (life / PART).min(LONG_BEFORE));
        if left < limit { ValidityState::EndsIn(left) } else { ValidityState::Good }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_795_000_000, 0);

    fn days(days: i64) -> SignedDuration {
        SignedDuration::from_hours(24 * days)
    }

    /// Returns how something stands that lives so many days and has so many left.
    fn state(life: i64, left: i64) -> ValidityState {
        let until = NOW + days(left);
        Validity { from: Some(until - days(life)), until }.at(NOW)
    }

    #[test]
    fn what_lives_long_is_told_two_weeks_before_and_what_lives_shortly_in_the_last_fifth() {
        assert_eq!(state(90, 29), ValidityState::Good);
        assert_eq!(state(90, 14), ValidityState::Good);
        assert_eq!(state(90, 13), ValidityState::EndsIn(days(13)));
        assert_eq!(state(6, 3), ValidityState::Good, "it is renewed every three days");
        assert_eq!(state(6, 1), ValidityState::EndsIn(days(1)));
        assert_eq!(state(3650, 20), ValidityState::Good);
        let unknown_begin = Validity { from: None, until: NOW + days(13) };
        assert_eq!(unknown_begin.at(NOW), ValidityState::EndsIn(days(13)));
    }

    #[test]
    fn what_ended_or_has_not_begun_says_so() {
        assert_eq!(state(90, -2), ValidityState::Ended(days(2)));
        assert_eq!(state(90, 0), ValidityState::Ended(days(0)));
        let later = Validity { from: Some(NOW + days(1)), until: NOW + days(90) };
        assert_eq!(later.at(NOW), ValidityState::BeginsIn(days(1)));
    }
}
