//! The journal of a run: everything that its state is made of, and what it has on hosts.
//!
//! The machine is pure, so the state of a run is its setup and its inputs with their times: replayed,
//! they give the same state and the same commands. The engine writes each input before it carries out
//! the commands that follow from it. Beside the inputs stand the jobs that were begun on hosts, and how
//! far their logs were read, so that whoever goes on with the run reads on from there.
//!
//! No entry holds a secret: a setup names hosts, tiers and limits, an input what a host answered.
//! `docs/reattach.md` says what is done with each phase that ran when nixdash ended.

mod replay;

pub use replay::{NotReplayable, OpenPhase, Replayed, SupervisedSince, Untold};

use crate::deploy::{Input, Machine, Setup};
use crate::fleet::words::deploys::short_revision;
use crate::fleet::{Finding, FlakeSource, Phase, RunId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The format of journals. It grows with every change of what an entry means, or of what the machine
/// makes of its inputs: a journal of another format is not replayed. Since 10 a host is refused whose new system lacks
/// the specialisation that runs, hooks after an activation follow on those before it, and nobody waits for ever for
/// places in budgets that silent hosts take.
pub const JOURNAL_FORMAT: u32 = 10;

/// The version of this nixdash. Another version may decide otherwise about the same inputs.
pub const NIXDASH_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Something that a run's state is made of, or that it has on a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunEntry {
    /// The run began; always the first entry.
    Begun(Box<Begun>),
    /// What the machine was told. Its time is that of the entry.
    Input(Input),
    /// A job is about to be started, and may be there from now on.
    Job(JobNote),
    /// The log of a job was read up to this byte, and what stands before it is in the run's folder.
    Read {
        /// The job's name.
        job: String,
        /// The byte.
        offset: u64,
    },
    /// The process that carries the run out is there. Written now and then, so that it is known when
    /// it ended.
    StillThere,
    /// Another process goes on with the run.
    GoneOnWith {
        /// Its number.
        process: u32,
    },
}

/// What a run is, as it was asked for. It is frozen: what hosts.toml says later changes none of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// The run's number.
    pub run: RunId,
    /// The version of the nixdash that began it.
    pub nixdash: String,
    /// What is to be done.
    pub setup: Setup,
    /// What is deployed, as far as it is known on this machine.
    pub source: Option<FlakeSource>,
    /// The same of the flakes that hosts have of their own; by flake.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub own_sources: BTreeMap<String, FlakeSource>,
    /// What is worth knowing of it before the plan is answered.
    pub findings: Vec<Finding>,
    /// The hash of hosts.toml; none where it could not be read.
    pub hosts_file: Option<String>,
}

impl Begun {
    /// Returns the machine of the run, as it is at its beginning.
    pub fn machine(&self, at: Timestamp) -> Machine {
        let revision = self.source.as_ref().map(|source| short_revision(&source.revision()));
        let mut machine = Machine::new(self.setup.clone(), revision, at).of_run(&self.run);
        machine.set_source(self.source.clone(), self.findings.clone());
        machine
    }
}

/// A job on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobNote {
    /// Its name, which is unique.
    pub name: String,
    /// The host that is deployed by it.
    pub host: String,
    /// The phase that it belongs to.
    pub phase: Phase,
    /// The host that it runs on.
    pub on: String,
    /// Its folder there.
    pub folder: String,
    /// Its unit there.
    pub unit: String,
}

#[cfg(test)]
mod tests;
