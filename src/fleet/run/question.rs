//! A check after a wave that could not be made, so that somebody has to decide.

use crate::fleet::{RolloutNews, RunOrder, WaveState};

/// What somebody has to decide after a wave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenQuestion {
    /// The wave, from 1.
    pub wave: usize,
    /// How many waves there are.
    pub of: usize,
    /// What could not be checked.
    pub why: String,
}

impl OpenQuestion {
    /// Returns what has to be decided after this news, where `before` had to be until then.
    pub fn after(before: Option<Self>, news: &RolloutNews) -> Option<Self> {
        match news {
            RolloutNews::Wave { wave, of, state: WaveState::Asks, reason: Some(why), .. } => {
                Some(Self { wave: *wave, of: *of, why: why.clone() })
            }
            RolloutNews::Wave { .. }
            | RolloutNews::Halted { .. }
            | RolloutNews::Cancelled { .. }
            | RolloutNews::Order { order: RunOrder::Resume | RunOrder::Accept, refused: None } => {
                None
            }
            RolloutNews::Gate { .. }
            | RolloutNews::Paused { .. }
            | RolloutNews::Order { .. }
            | RolloutNews::Answered { .. }
            | RolloutNews::Again { .. }
            | RolloutNews::Decided { .. } => before,
        }
    }

    /// Says what comes of it where somebody accepts the check: other checks of the wave may be open still, and
    /// behind the last wave no other one begins.
    pub fn if_accepted(&self) -> String {
        let passed = "this check counts as passed";
        if self.wave < self.of {
            format!("{passed}, and wave {} begins when all others have passed", self.wave + 1)
        } else {
            passed.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(wave: usize, of: usize) -> RolloutNews {
        let (state, reason) = (WaveState::Asks, Some("gate quorum did not answer".to_owned()));
        RolloutNews::Wave { wave, of, state, reason, until: None }
    }

    #[test]
    fn a_check_that_is_accepted_promises_another_wave_only_where_there_is_one() {
        let said = |wave| OpenQuestion::after(None, &asks(wave, 2)).unwrap().if_accepted();
        let first = "this check counts as passed, and wave 2 begins when all others have passed";
        assert_eq!(said(1), first);
        assert_eq!(said(2), "this check counts as passed");
    }

    #[test]
    fn a_question_is_open_until_it_is_answered_or_the_wave_stands_otherwise() {
        let open = || OpenQuestion::after(None, &asks(1, 2));
        let order = |order, refused: Option<&str>| RolloutNews::Order {
            order,
            refused: refused.map(str::to_owned),
        };
        let is_open = |news| OpenQuestion::after(open(), &news).is_some();
        assert!(!is_open(order(RunOrder::Accept, None)) && !is_open(order(RunOrder::Resume, None)));
        assert!(is_open(order(RunOrder::Accept, Some("why"))));
        assert!(is_open(RolloutNews::Paused { paused: true }));
        assert!(!is_open(RolloutNews::Cancelled { nothing_activates: false }));
    }
}
