//! The one type of everything that happens.
//!
//! Probes and deploys send events; the screen and the command line fold them. A recorded list of
//! events replays to the same screen.

use crate::fleet::{
    CoverageFacts, HostFacts, HostResult, NextFacts, Outcome, Phase, PhaseState, Plan, Progress,
    StoreFacts, TierFacts,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The name of a run: a number that grows, unique on this machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Something that was measured or that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event {
    /// A host is being asked now.
    Asking {
        /// The host.
        host: String,
    },
    /// A probe of a host ended.
    Host {
        /// The host.
        host: String,
        /// What it found; of a host that did not answer, the last known figures.
        facts: Box<HostFacts>,
    },
    /// A host's store was counted.
    Store {
        /// The host.
        host: String,
        /// What was counted.
        facts: StoreFacts,
    },
    /// A probe of a tier ended.
    Tier {
        /// The tier.
        tier: String,
        /// What it found.
        facts: Box<TierFacts>,
    },
    /// The tiers were asked for a host's running closure.
    Coverage {
        /// The host.
        host: String,
        /// Their answers.
        facts: CoverageFacts,
    },
    /// It was looked at what a host runs next.
    Next {
        /// The host.
        host: String,
        /// What was found; without a system when nothing is known to come.
        facts: Box<NextFacts>,
    },
    /// Something happened in a run.
    Run(RunEvent),
}

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEvent {
    /// The run.
    pub run: RunId,
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: RunWhat,
}

/// What happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum RunWhat {
    /// The run began.
    Begin {
        /// The hosts, in the order of the screen.
        hosts: Vec<String>,
        /// What is asked for, in words: `switch via-cache`.
        title: String,
    },
    /// A phase of a host changed its state.
    Phase {
        /// The host.
        host: String,
        /// The phase.
        phase: Phase,
        /// Its state now.
        state: PhaseState,
    },
    /// A phase is further than before.
    Progress {
        /// The host.
        host: String,
        /// The phase.
        phase: Phase,
        /// How far.
        progress: Progress,
    },
    /// A line was logged.
    Log {
        /// The host.
        host: String,
        /// The phase it belongs to.
        phase: Phase,
        /// The line, printable (see [`crate::fleet::printable_line`]).
        line: String,
    },
    /// The run waits for somebody to confirm this plan.
    Plan {
        /// The plan.
        plan: Plan,
        /// Whether an answer is waited for.
        waits: bool,
    },
    /// A host waits for something.
    Waiting {
        /// The host.
        host: String,
        /// For what, in words; none when it goes on.
        reason: Option<String>,
    },
    /// A host is done.
    Result {
        /// The host.
        host: String,
        /// How.
        #[serde(flatten)]
        result: HostResult,
    },
    /// The run is done.
    Summary {
        /// How many hosts ended how.
        outcomes: BTreeMap<Outcome, u64>,
        /// How long the run took, in milliseconds.
        duration_ms: u64,
    },
}
