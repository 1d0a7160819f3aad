//! The phases of a deploy, in order, and how far one is.

use crate::fleet::{Bytes, Share};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// One step of a deploy, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Reachable, allowed, unlocked, with room.
    Preflight,
    /// Derivation and output path are known.
    Evaluate,
    /// Is there anything to do, and what.
    Compare,
    /// The system is realised on the builder (or the target).
    Build,
    /// It is in the tier.
    Publish,
    /// The target can see it there, signed by a key it trusts.
    Verify,
    /// The target has it.
    Fetch,
    /// What differs from the running system.
    Diff,
    /// switch-to-configuration ran.
    Activate,
    /// A new connection reached the host afterwards.
    Acknowledge,
    /// Units and configured checks hold.
    Check,
    /// It stayed reachable and well for a while.
    Settle,
    /// Profile and boot default are set.
    Persist,
    /// It was restarted and runs the new system.
    Reboot,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Self; 14] = [
        Self::Preflight,
        Self::Evaluate,
        Self::Compare,
        Self::Build,
        Self::Publish,
        Self::Verify,
        Self::Fetch,
        Self::Diff,
        Self::Activate,
        Self::Acknowledge,
        Self::Check,
        Self::Settle,
        Self::Persist,
        Self::Reboot,
    ];

    /// Returns the phase's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Evaluate => "evaluate",
            Self::Compare => "compare",
            Self::Build => "build",
            Self::Publish => "publish",
            Self::Verify => "verify",
            Self::Fetch => "fetch",
            Self::Diff => "diff",
            Self::Activate => "activate",
            Self::Acknowledge => "acknowledge",
            Self::Check => "check",
            Self::Settle => "settle",
            Self::Persist => "persist",
            Self::Reboot => "reboot",
        }
    }

    /// Returns the phase of a word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.word() == word)
    }

    /// Returns a short word for narrow panes.
    pub fn short(self) -> &'static str {
        match self {
            Self::Preflight => "pre",
            Self::Evaluate => "eval",
            Self::Compare => "cmp",
            Self::Build => "build",
            Self::Publish => "pub",
            Self::Verify => "verify",
            Self::Fetch => "fetch",
            Self::Diff => "diff",
            Self::Activate => "act",
            Self::Acknowledge => "ack",
            Self::Check => "check",
            Self::Settle => "settle",
            Self::Persist => "persist",
            Self::Reboot => "reboot",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// How a phase stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PhaseState {
    /// It runs.
    Started,
    /// It ended well.
    Finished,
    /// It ended the host's run, or found that the host is not well: that one may stay as it is or go back.
    Failed,
    /// It does not apply to this strategy or action.
    Skipped,
}

/// What each phase usually takes on a host, in milliseconds.
pub type UsualTimes = BTreeMap<Phase, u64>;

/// How far a phase is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Bytes copied of bytes expected, where the phase copies.
    pub bytes: Option<Bytes>,
    /// Paths or derivations done.
    pub done: u64,
    /// Paths or derivations expected; 0 when not known yet.
    pub expected: u64,
    /// Derivations built of those to build, where the phase builds.
    #[serde(default)]
    pub builds: Option<Share>,
    /// What is being worked on: a package with its build phase, or a path and its tier.
    pub doing: Option<String>,
    /// How long a build still takes, in milliseconds, as its packages usually do; none where that is not
    /// known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_ms: Option<u64>,
}
