//! The one room for the words of states and the sentences of findings.
//!
//! A state has one word: on the screen, on the command line, in JSON and from the exporter. In
//! sentences a word of two parts is written with a space ([`spoken`]). A finding's sentence says
//! what happened, where and why; its fix says what to do next.

pub mod clusters;
pub mod holdings;
pub mod hosts;
pub mod kinds;
mod limits;
pub mod on_host;
pub mod page;
pub mod tiers;

use crate::fleet::{HostFacts, HostState, Outcome, SignatureState, TierState};

impl HostState {
    /// Every state, the best first.
    pub const ALL: [Self; 6] =
        [Self::Up, Self::Degraded, Self::Offline, Self::Denied, Self::Locked, Self::Unknown];

    /// Returns the state's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Offline => "offline",
            Self::Denied => "denied",
            Self::Locked => "disk-locked",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the state as it is said in a sentence: `disk locked`.
    pub fn spoken(self) -> String {
        spoken(self.word())
    }
}

impl HostFacts {
    /// Returns how the host is, as people read it: its state, or `not asked` before it was asked.
    pub fn state_words(&self) -> String {
        if self.state == HostState::Unknown && self.asked_at.is_none() {
            return "not asked".to_owned();
        }
        self.state.spoken()
    }
}

impl TierState {
    /// Every state, the best first.
    pub const ALL: [Self; 10] = [
        Self::Up,
        Self::Slow,
        Self::Degraded,
        Self::Unauthorized,
        Self::WrongStore,
        Self::Untrusted,
        Self::NarMissing,
        Self::Proxy,
        Self::Down,
        Self::Unknown,
    ];

    /// Returns the state's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Slow => "slow",
            Self::Degraded => "degraded",
            Self::Unauthorized => "unauthorized",
            Self::WrongStore => "wrong-store",
            Self::Untrusted => "untrusted",
            Self::NarMissing => "nar-missing",
            Self::Proxy => "proxy",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }
}

impl SignatureState {
    /// Every state, the best first.
    pub const ALL: [Self; 4] = [Self::Valid, Self::Invalid, Self::Untrusted, Self::Unchecked];

    /// Returns the state's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Untrusted => "untrusted",
            Self::Unchecked => "unchecked",
        }
    }
}

impl Outcome {
    /// Returns the outcome as it is said in a sentence: `rolled back`.
    pub fn spoken(self) -> String {
        spoken(self.word())
    }
}

/// Returns a word of JSON as it is said in a sentence: `wrong-store` is `wrong store`.
pub fn spoken(word: &str) -> String {
    word.replace('-', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_a_state_is_the_one_that_json_has() {
        let json = |value: serde_json::Result<serde_json::Value>| value.unwrap();
        for state in HostState::ALL {
            assert_eq!(json(serde_json::to_value(state)), state.word());
        }
        for state in TierState::ALL {
            assert_eq!(json(serde_json::to_value(state)), state.word());
        }
        for state in SignatureState::ALL {
            assert_eq!(json(serde_json::to_value(state)), state.word());
        }
        for outcome in [Outcome::RolledBack, Outcome::NeedsReboot, Outcome::Switched] {
            assert_eq!(json(serde_json::to_value(outcome)), outcome.word());
        }
        assert_eq!(Outcome::RolledBack.spoken(), "rolled back");
        assert_eq!(HostState::Locked.spoken(), "disk locked");
    }

    #[test]
    fn a_host_that_was_not_asked_is_not_one_of_which_nothing_is_known() {
        let facts = HostFacts::default();
        assert_eq!(facts.state_words(), "not asked");
        let asked_at = Some(jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(HostFacts { asked_at, ..facts }.state_words(), "unknown");
    }
}
