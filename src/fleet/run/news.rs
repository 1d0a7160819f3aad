//! What happens to how a run moves over its hosts.

use crate::fleet::{Finding, Goal, RunId, RunOrder, StorePath};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How a wave stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WaveState {
    /// Its hosts may begin.
    Began,
    /// Its hosts are done; it has to stay well, and its gates are asked.
    Watched,
    /// A check could not be made, and somebody has to decide.
    Asks,
    /// The next one may begin.
    Passed,
    /// It did not hold.
    Failed,
}

/// What happened to how a run moves over its hosts. Its sentence is [`RolloutNews::sentence`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "news", rename_all = "kebab-case")]
pub enum RolloutNews {
    /// A wave stands otherwise than before.
    Wave {
        /// The wave, from 1.
        wave: usize,
        /// How many there are.
        of: usize,
        /// How it stands.
        state: WaveState,
        /// Why, where there is more to say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Until when it has to stay well.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// A gate answered, or could not be asked.
    Gate {
        /// The wave that it was asked after, from 1.
        wave: usize,
        /// The gate.
        gate: String,
        /// Whether it passed; none where the check could not be made.
        passed: Option<bool>,
        /// What it said, where it did not pass.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        said: Option<String>,
    },
    /// No host begins anything more, or hosts go on again.
    Paused {
        /// Whether the run is paused now.
        paused: bool,
    },
    /// No other host begins to activate.
    Halted {
        /// Why.
        finding: Finding,
        /// Whether hosts that got their system in this run go back.
        rollback: bool,
    },
    /// Somebody said something to the run.
    Order {
        /// What.
        order: RunOrder,
        /// Why that is not done; none where it is.
        refused: Option<String>,
    },
    /// The plan that was shown was answered.
    Answered {
        /// Whether it was confirmed; nobody who answers in time counts as no.
        yes: bool,
    },
    /// Somebody stopped the run: hosts that have begun to activate go back unless their system is permanent
    /// already, and the others end.
    Cancelled {
        /// Whether the run activates nothing, so that nothing goes back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        nothing_activates: bool,
    },
    /// A host begins again in this run.
    Again {
        /// The host.
        host: String,
        /// What for.
        goal: Goal,
        /// Whether it is its way back to what ran there before the run; false in the records of older runs.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        goes_back: bool,
        /// Which attempt it is, from 1.
        attempt: u32,
        /// Why.
        reason: String,
    },
    /// It was decided what a host gets that was away.
    Decided {
        /// The host.
        host: String,
        /// The system.
        toplevel: Option<StorePath>,
        /// The later run in which that system was confirmed; none for the one of this run.
        later_run: Option<RunId>,
    },
}

impl RolloutNews {
    /// Returns whether it tells what happened at a moment and holds no longer: what is told by how a wave stands,
    /// or that no other host begins, holds until the next news of that kind.
    pub fn is_of_the_moment(&self) -> bool {
        match self {
            Self::Wave { .. } | Self::Halted { .. } | Self::Cancelled { .. } => false,
            Self::Gate { .. }
            | Self::Paused { .. }
            | Self::Order { .. }
            | Self::Answered { .. }
            | Self::Again { .. }
            | Self::Decided { .. } => true,
        }
    }
}

/// Returns whether a host that begins again goes back, in a run for a goal. Older records do not say it: there the goal
/// of the host tells it.
pub fn begins_way_back(goes_back: bool, goal: Goal, of_run: Option<Goal>) -> bool {
    goes_back || (goal == Goal::Rollback && of_run != Some(Goal::Rollback))
}
