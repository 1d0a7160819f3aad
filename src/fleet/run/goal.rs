//! What a run is for.

use crate::fleet::Phase;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a run is for: to build, or to bring a system onto hosts in one of the ways that
/// switch-to-configuration knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// Build it, and change nothing on the host.
    Build,
    /// Activate now and boot it from now on.
    #[default]
    Switch,
    /// Boot it from now on, activate nothing now.
    Boot,
    /// Activate now, the next boot starts the old system.
    Test,
    /// Say what an activation would do.
    DryActivate,
    /// Activate a generation that the host has, and boot it from now on.
    Rollback,
}

impl Goal {
    /// Returns the word of the command line and of JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Switch => "switch",
            Self::Boot => "boot",
            Self::Test => "test",
            Self::DryActivate => "dry-activate",
            Self::Rollback => "rollback",
        }
    }

    /// Returns the command of nixdash that begins such a run.
    pub fn command(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Switch | Self::Boot | Self::Test | Self::DryActivate => "deploy",
            Self::Rollback => "rollback",
        }
    }

    /// Returns what the supervisor is asked to do; nothing where none is started.
    pub fn action_word(self) -> Option<&'static str> {
        match self {
            Self::Build => None,
            Self::Switch | Self::Rollback => Some("switch"),
            Self::Boot => Some("boot"),
            Self::Test => Some("test"),
            Self::DryActivate => Some("dry-activate"),
        }
    }

    /// Returns whether hosts take part in it themselves, and not only who builds for them.
    pub fn deploys(self) -> bool {
        self != Self::Build
    }

    /// Returns whether the running system changes.
    pub fn activates(self) -> bool {
        match self {
            Self::Switch | Self::Test | Self::Rollback => true,
            Self::Build | Self::Boot | Self::DryActivate => false,
        }
    }

    /// Returns whether the profile and what boots next change.
    pub fn persists(self) -> bool {
        match self {
            Self::Switch | Self::Boot | Self::Rollback => true,
            Self::Build | Self::Test | Self::DryActivate => false,
        }
    }

    /// Returns whether it changes anything on a host that a person should confirm.
    pub fn changes(self) -> bool {
        self.activates() || self.persists()
    }

    /// Returns the phase with which a host begins to change: what comes before can be left out. One that has its
    /// system already, and is only restarted, begins with that.
    pub fn changes_at(self, only_restarts: bool) -> Phase {
        match self {
            _ if only_restarts => Phase::Reboot,
            Self::Boot => Phase::Persist,
            Self::Build | Self::Switch | Self::Test | Self::DryActivate | Self::Rollback => {
                Phase::Activate
            }
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
