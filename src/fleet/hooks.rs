//! Commands that a host's deploys run before and after what they do: `[hosts.NAME.hooks]`.

use crate::fleet::{Goal, Outcome};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// When hooks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookMoment {
    /// Before its system is built.
    BeforeBuild,
    /// When its system was built.
    AfterBuild,
    /// Before anything is activated there.
    BeforeActivate,
    /// When a new system is active and was kept, and whenever those before an activation ran and the host is not taken
    /// back.
    AfterActivate,
    /// Before a generation is brought back that somebody asked for.
    BeforeRollback,
    /// When the host is back on an earlier system, asked for or not, and whenever those before a rollback ran.
    AfterRollback,
}

impl HookMoment {
    /// Every moment, in order.
    pub const ALL: [Self; 6] = [
        Self::BeforeBuild,
        Self::AfterBuild,
        Self::BeforeActivate,
        Self::AfterActivate,
        Self::BeforeRollback,
        Self::AfterRollback,
    ];

    /// Returns the key of `hosts.toml`.
    pub fn word(self) -> &'static str {
        match self {
            Self::BeforeBuild => "before_build",
            Self::AfterBuild => "after_build",
            Self::BeforeActivate => "before_activate",
            Self::AfterActivate => "after_activate",
            Self::BeforeRollback => "before_rollback",
            Self::AfterRollback => "after_rollback",
        }
    }

    /// Returns the moment before a host is changed by its activation; none where nothing is activated. One that is
    /// taken back to what it ran before its run may have the goal of that run still.
    pub fn before_activation(goal: Goal, goes_back: bool) -> Option<Self> {
        match goal {
            Goal::Rollback => Some(Self::BeforeRollback),
            Goal::Switch | Goal::Test if goes_back => Some(Self::BeforeRollback),
            Goal::Switch | Goal::Test => Some(Self::BeforeActivate),
            Goal::Boot | Goal::Build | Goal::DryActivate => None,
        }
    }

    /// Returns the moment after a host that changes by its activation ended so, where hooks ran before that; none where
    /// nothing is activated.
    pub fn after_attempt(goal: Goal, goes_back: bool, outcome: Outcome) -> Option<Self> {
        let before = Self::before_activation(goal, goes_back)?;
        let is_back = before == Self::BeforeRollback || outcome == Outcome::RolledBack;
        Some(if is_back { Self::AfterRollback } else { Self::AfterActivate })
    }

    /// Returns whether a hook that fails stops the host: nothing was changed there yet.
    pub fn stops(self) -> bool {
        match self {
            Self::BeforeBuild | Self::AfterBuild | Self::BeforeActivate | Self::BeforeRollback => {
                true
            }
            Self::AfterActivate | Self::AfterRollback => false,
        }
    }
}

/// A command that is run at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// When.
    pub moment: HookMoment,
    /// The program and its arguments; no shell reads them.
    pub run: Vec<String>,
    /// Whether it runs on the host, as root; else here, as who runs nixdash.
    pub on_host: bool,
    /// How long it may take.
    pub limit: Duration,
}

impl Hook {
    /// Returns where it runs and what, for people.
    pub fn words(&self) -> String {
        let place = if self.on_host { "on the host, as root" } else { "here" };
        format!("{} {place}: {}", self.moment.word(), self.run.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_before_an_activation_is_followed_by_what_runs_after_it_however_that_ends() {
        use HookMoment::{AfterActivate, AfterRollback};
        for (goal, goes_back, outcome, after) in [
            (Goal::Switch, false, Outcome::Switched, Some(AfterActivate)),
            (Goal::Switch, false, Outcome::NeedsReboot, Some(AfterActivate)),
            (Goal::Switch, false, Outcome::Superseded, Some(AfterActivate)),
            (Goal::Test, false, Outcome::Failed, Some(AfterActivate)),
            (Goal::Switch, false, Outcome::Skipped, Some(AfterActivate)),
            (Goal::Switch, false, Outcome::RolledBack, Some(AfterRollback)),
            (Goal::Rollback, false, Outcome::Failed, Some(AfterRollback)),
            (Goal::Switch, true, Outcome::Switched, Some(AfterRollback)),
            (Goal::Boot, false, Outcome::Failed, None),
            (Goal::DryActivate, false, Outcome::Dry, None),
        ] {
            let found = HookMoment::after_attempt(goal, goes_back, outcome);
            assert_eq!(found, after, "{goal} {goes_back} {outcome}");
        }
    }
}
