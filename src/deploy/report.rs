//! What the phases tell the machine.

use crate::fleet::{Fetched, Outcome, StorePath};
use std::collections::{BTreeMap, BTreeSet};

/// Why a phase ended a host's run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How the host's run ends.
    pub outcome: Outcome,
    /// What happened and what to do, printable.
    pub error: String,
}

impl Failure {
    /// Makes a failure before anything was activated.
    pub fn failed(error: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failed, error: error.into() }
    }

    /// Makes the failure of a host that does not answer.
    pub fn offline(error: impl Into<String>) -> Self {
        Self { outcome: Outcome::Offline, error: error.into() }
    }
}

/// What preflight saw of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preflight {
    /// The running system.
    pub running: Option<StorePath>,
    /// The newest generation of the profile.
    pub profile: Option<StorePath>,
    /// The kernel's boot id.
    pub boot_id: String,
    /// Units that had failed before anything was done.
    pub failed_units: BTreeSet<String>,
    /// What the person should know before saying yes.
    pub notes: Vec<String>,
}

/// How an activation went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Activation {
    /// It runs; the supervisor waits for the acknowledgement.
    Runs {
        /// Whether switch-to-configuration reported failed units.
        units_failed: bool,
    },
    /// The supervisor has decided already.
    Decided(Ending),
}

/// What the supervisor decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The outcome.
    pub outcome: Outcome,
    /// The reason, where there is one.
    pub reason: Option<String>,
}

/// What a phase that ended well found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// Preflight.
    Preflight(Preflight),
    /// Evaluate.
    Evaluated {
        /// The derivation.
        drv: String,
        /// Its output: the system to come.
        toplevel: StorePath,
    },
    /// Compare.
    Compared {
        /// Derivations to build.
        to_build: Option<u64>,
        /// Paths to download first.
        to_download: Option<u64>,
    },
    /// Build.
    Built {
        /// Derivations that were built.
        built: u64,
        /// What the host that builds fetched, by tier.
        substituted: BTreeMap<String, Fetched>,
    },
    /// Fetch.
    Fetched(BTreeMap<String, Fetched>),
    /// Activate.
    Activated(Activation),
    /// Check.
    Checked {
        /// Units that failed since preflight.
        new_failed_units: Vec<String>,
        /// Configured checks that did not hold.
        broken: Vec<String>,
    },
    /// Persist.
    Persisted(Ending),
    /// Any other phase.
    Done,
}

/// What is known of a host's run; grows from phase to phase and goes with every command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What preflight saw.
    pub preflight: Preflight,
    /// The derivation.
    pub drv: Option<String>,
    /// The system to come.
    pub toplevel: Option<StorePath>,
    /// Derivations to build.
    pub to_build: Option<u64>,
    /// Paths to download first.
    pub to_download: Option<u64>,
    /// Derivations that were built.
    pub built: u64,
    /// What the host that builds fetched, by tier.
    pub substituted: BTreeMap<String, Fetched>,
    /// What the target fetched, by tier.
    pub fetched: BTreeMap<String, Fetched>,
    /// What is wrong with the activated system, though it stays; or why the host is out.
    pub blemish: Option<String>,
    /// Why the supervisor shall go back instead of keeping the system.
    pub abort: Option<String>,
}
