//! What the machine hears and what it wants done.

use crate::deploy::{
    ClaimAnswer, Failure, GateAnswer, GatedHost, HostSetup, Reason, Report, RunFacts,
};
use crate::fleet::{Gate, Outcome, Phase, RunOrder, RunWhat};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// The run begins.
    Begin,
    /// A phase of a host ended.
    Done {
        /// The host.
        host: String,
        /// The phase.
        phase: Phase,
        /// What it found, or why the host's run ends.
        result: Result<Report, Failure>,
    },
    /// The hooks of a host ended that run before it begins to change.
    Prepared {
        /// The host.
        host: String,
        /// The phase that comes after them.
        phase: Phase,
        /// Nothing, or why the host's run ends.
        result: Result<(), Failure>,
    },
    /// The hooks ended that run after an attempt of a host ended which had run those before it changes.
    Concluded {
        /// The host.
        host: String,
        /// Nothing, or which of them failed.
        result: Result<(), Reason>,
    },
    /// A gate answered, or could not be asked.
    Gated {
        /// The wave that it was asked after, from 0.
        wave: usize,
        /// The gate.
        gate: String,
        /// Which of the run's questions this answers.
        asking: u64,
        /// What it said.
        answer: GateAnswer,
    },
    /// A host's claim of a place in its budgets got further.
    Claimed {
        /// The host.
        host: String,
        /// Which of the host's claims this is about.
        claim: u64,
        /// How far.
        answer: ClaimAnswer,
    },
    /// Somebody answered the plan.
    Answer(bool),
    /// Nobody answered the plan in time.
    Unanswered,
    /// Somebody said something to the run.
    Order(RunOrder),
    /// The operator stops the run.
    Cancel,
    /// A time that was asked for with [`MachineCommand::WakeAt`] has come.
    Wake,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum MachineCommand {
    /// Carry out a phase of a host.
    Run {
        /// The host and how it is deployed.
        host: HostSetup,
        /// The phase.
        phase: Phase,
        /// What is known so far.
        known: Box<RunFacts>,
    },
    /// Run the hooks of a host that come before it begins to change; they end with [`Input::Prepared`].
    Prepare {
        /// The host and how it is deployed.
        host: HostSetup,
        /// The phase that comes after them.
        phase: Phase,
        /// What is known so far.
        known: Box<RunFacts>,
    },
    /// Run the hooks that follow on those before a host changes, since its attempt ended without them; they end with
    /// [`Input::Concluded`]. Nobody stops them.
    Conclude {
        /// The host and how it is deployed.
        host: HostSetup,
        /// The phase in which it ended.
        phase: Phase,
        /// What is known so far.
        known: Box<RunFacts>,
        /// How it ended.
        outcome: Outcome,
    },
    /// Stop the phase that a host is in, or the hooks before it; it ends with [`Input::Done`] or
    /// [`Input::Prepared`], or not at all.
    Stop {
        /// The host.
        host: String,
        /// The phase.
        phase: Phase,
    },
    /// Tell a host's supervisor at once to go back: the host runs the new system, or will when its
    /// activation ends.
    Abort {
        /// The host.
        host: String,
        /// Why.
        why: Reason,
    },
    /// Ask a gate; it ends with [`Input::Gated`].
    Ask {
        /// The wave that it is asked after, from 0.
        wave: usize,
        /// The gate.
        gate: Gate,
        /// Which of the run's questions this is: the answer names it.
        asking: u64,
        /// The hosts of the wave that have their new system.
        hosts: Vec<GatedHost>,
    },
    /// Claim a place in budgets for a host, until it is given back; each change is told with
    /// [`Input::Claimed`].
    Claim {
        /// The host.
        host: String,
        /// The budgets.
        budgets: Vec<String>,
        /// Which of the host's claims this is: the answers name it.
        claim: u64,
        /// Whether the host has begun to change with its places, while another process carried the run out: they are
        /// kept then, and nobody is asked.
        has_begun: bool,
    },
    /// Give the places of a host back, or stop claiming them.
    Release {
        /// The host.
        host: String,
    },
    /// Say [`Input::Wake`] at that time, or soon after. Later times that were asked for before are
    /// forgotten.
    WakeAt(Timestamp),
    /// Tell everybody.
    Tell(RunWhat),
    /// The run is over.
    Finish,
}
