//! The phases of the matrix, and how each is made long enough that something can happen in it.

use super::super::Lab;
use std::time::Duration;

/// A phase in which something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Evaluate,
    Build,
    Publish,
    Verify,
    Fetch,
    Activate,
    Acknowledge,
    Check,
    Settle,
    Persist,
}

/// All of them, in order.
pub(super) const PHASES: [Phase; 10] = [
    Phase::Evaluate,
    Phase::Build,
    Phase::Publish,
    Phase::Verify,
    Phase::Fetch,
    Phase::Activate,
    Phase::Acknowledge,
    Phase::Check,
    Phase::Settle,
    Phase::Persist,
];

/// How long a host may be silent until it is given up, as the engine has it.
const AWAY: u64 = 90;

impl Phase {
    /// Returns the word of the phase in events.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Evaluate => "evaluate",
            Self::Build => "build",
            Self::Publish => "publish",
            Self::Verify => "verify",
            Self::Fetch => "fetch",
            Self::Activate => "activate",
            Self::Acknowledge => "acknowledge",
            Self::Check => "check",
            Self::Settle => "settle",
            Self::Persist => "persist",
        }
    }

    /// Returns the break that makes the phase last.
    pub(super) fn slow(self) -> &'static [&'static str] {
        match self {
            Self::Activate => &["--break", "slow", "--amount", "4"],
            Self::Persist => &["--break", "slow-boot", "--amount", "4"],
            Self::Evaluate
            | Self::Build
            | Self::Publish
            | Self::Verify
            | Self::Fetch
            | Self::Acknowledge
            | Self::Check
            | Self::Settle => &[],
        }
    }

    /// Returns the fleet with settings that make the phase last.
    pub(super) fn configure(self, fleet: Lab) -> Lab {
        let fleet = fleet.with("settle = \"4s\"");
        if self == Self::Check { fleet.with_check("sleep 3") } else { fleet }
    }

    /// Returns whether the host has begun to change when the phase begins.
    pub(super) fn is_after_activation(self) -> bool {
        self >= Self::Activate
    }

    /// Returns what a run may take after the end of a fault: a minute, and the limits in force.
    pub(super) fn limit(self) -> Duration {
        // confirm_timeout, the limit of the checks, and the way back.
        let commands = if self == Self::Check { 2 } else { 1 };
        let supervised = 2 * 15 + 30 + 65 * commands + AWAY;
        let seconds = 60 + if self.is_after_activation() { supervised } else { 45 };
        Duration::from_secs(seconds)
    }
}
