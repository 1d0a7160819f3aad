//! Replaying a journal: from its entries to the state of the run, and to what is open in it.

use super::{Begun, JobNote, NIXDASH_VERSION, RunEntry};
use crate::deploy::{
    Activation, GatedHost, HostSetup, Input, Machine, MachineCommand, Reason, Report, RunFacts,
};
use crate::fleet::{Gate, Outcome, Phase, Plan, RunEvent, RunWhat};
use crate::record::JournalEntry;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Why a journal cannot be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReplayable {
    /// Nothing was asked for yet.
    #[error("nixdash ended before the run had begun")]
    NothingBegun,
    /// Another version may decide otherwise about the same inputs.
    #[error("nixdash {found} began it, and this is nixdash {NIXDASH_VERSION}")]
    OtherVersion {
        /// The version that began it.
        found: String,
    },
    /// What was told of the run does not follow from the journal.
    #[error(
        "its events do not follow from its journal ({what}); another nixdash may have ended a part of it"
    )]
    Diverged {
        /// The first event that does not.
        what: String,
    },
}

/// A phase that runs as far as the journal tells.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenPhase {
    /// The host and how it is deployed.
    pub host: HostSetup,
    /// The phase.
    pub phase: Phase,
    /// What is known so far.
    pub known: Box<RunFacts>,
    /// Whether the hooks before it run, and it has not begun.
    pub prepares: bool,
    /// How the host's attempt ended in it, where the hooks after that run.
    pub concludes: Option<Outcome>,
    /// Whether it was told to stop.
    pub stop: bool,
}

impl OpenPhase {
    /// Makes a phase that runs.
    fn new(host: HostSetup, phase: Phase, known: Box<RunFacts>) -> Self {
        Self { host, phase, known, prepares: false, concludes: None, stop: false }
    }

    /// Returns whether the phase itself runs, and not the hooks before or after it.
    pub fn is_phase(&self) -> bool {
        !self.prepares && self.concludes.is_none()
    }
}

/// Since when the supervisor of a host waits, and whether it was told to keep the new system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupervisedSince {
    /// When the end of its activation was heard of.
    pub activated_at: Timestamp,
    /// When it was known that it took the word to keep the system.
    pub kept_at: Option<Timestamp>,
}

/// An event that was decided and may not have been told.
#[derive(Clone, Debug, PartialEq)]
pub struct Untold {
    /// When it was decided.
    pub at: Timestamp,
    /// What it is.
    pub what: RunWhat,
}

/// Places in budgets that a host has or claims.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenClaim {
    /// In which budgets.
    budgets: Vec<String>,
    /// Which of the host's claims it is.
    claim: u64,
}

/// A gate that is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct AskedGate {
    gate: Gate,
    /// The number of the question.
    asking: u64,
    /// The hosts about which.
    hosts: Vec<GatedHost>,
}

/// The state of a run as its journal tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Replayed {
    /// The run, as it was asked for.
    pub begun: Begun,
    /// Its state.
    pub machine: Machine,
    /// When the last entry was written.
    pub last_at: Timestamp,
    /// Whether the machine was told to begin.
    pub is_started: bool,
    /// The phases that run, by host.
    pub open: BTreeMap<String, OpenPhase>,
    /// The hosts that were told to go back and have not ended, each with the reason.
    pub aborts: BTreeMap<String, Reason>,
    /// The supervisors that wait, by host.
    pub supervised: BTreeMap<String, SupervisedSince>,
    /// The jobs that may be there, by name.
    pub jobs: BTreeMap<String, JobNote>,
    /// How far the logs of jobs were read, in bytes, by name.
    pub read: BTreeMap<String, u64>,
    /// Everything that was told, in order.
    pub told: Vec<Untold>,
    /// The plan that waits for an answer.
    pub waiting_plan: Option<Plan>,
    /// The gates that are asked, by wave and name, and about which hosts.
    pub asks: BTreeMap<(usize, String), AskedGate>,
    /// The hosts that have or claim places in budgets.
    pub claims: BTreeMap<String, OpenClaim>,
    /// When the machine wants to be woken.
    pub wake: Option<Timestamp>,
}

impl Replayed {
    /// Replays a journal.
    pub fn new(entries: &[JournalEntry<RunEntry>]) -> Result<Self, NotReplayable> {
        let mut entries = entries.iter();
        let first = entries.next().ok_or(NotReplayable::NothingBegun)?;
        let RunEntry::Begun(begun) = &first.entry else { return Err(NotReplayable::NothingBegun) };
        if begun.nixdash != NIXDASH_VERSION {
            return Err(NotReplayable::OtherVersion { found: begun.nixdash.clone() });
        }
        let machine = begun.machine(first.at);
        let mut replayed = Self {
            begun: begun.as_ref().clone(),
            machine,
            last_at: first.at,
            is_started: false,
            open: BTreeMap::new(),
            aborts: BTreeMap::new(),
            supervised: BTreeMap::new(),
            jobs: BTreeMap::new(),
            read: BTreeMap::new(),
            told: Vec::new(),
            waiting_plan: None,
            asks: BTreeMap::new(),
            claims: BTreeMap::new(),
            wake: None,
        };
        for entry in entries {
            replayed.take(entry);
        }
        Ok(replayed)
    }

    /// Takes an entry.
    fn take(&mut self, entry: &JournalEntry<RunEntry>) {
        self.last_at = entry.at;
        match &entry.entry {
            RunEntry::Begun(_) | RunEntry::StillThere => {}
            RunEntry::GoneOnWith { .. } => self.machine.gone_on_with(entry.at),
            RunEntry::Input(input) => self.step(input.clone(), entry.at),
            RunEntry::Job(job) => {
                self.jobs.insert(job.name.clone(), job.clone());
            }
            RunEntry::Read { job, offset } => {
                self.read.insert(job.clone(), *offset);
            }
        }
    }

    /// Tells the machine something, and notes what is open afterwards.
    fn step(&mut self, input: Input, at: Timestamp) {
        match &input {
            Input::Begin => self.is_started = true,
            Input::Done { host, phase, result } => {
                self.ended(host, *phase, result.as_ref().ok(), at);
            }
            Input::Prepared { host, phase, .. } => {
                if self.open.get(host).is_some_and(|open| open.phase == *phase && open.prepares) {
                    self.open.remove(host);
                }
            }
            Input::Concluded { host, .. } => {
                if self.open.get(host).is_some_and(|open| open.concludes.is_some()) {
                    self.open.remove(host);
                }
            }
            Input::Gated { wave, gate, asking, .. } => {
                let place = (*wave, gate.clone());
                if self.asks.get(&place).is_some_and(|asked| asked.asking == *asking) {
                    self.asks.remove(&place);
                }
            }
            Input::Wake => self.wake = None,
            Input::Answer(_)
            | Input::Unanswered
            | Input::Cancel
            | Input::Order(_)
            | Input::Claimed { .. } => {}
        }
        if matches!(input, Input::Answer(_) | Input::Unanswered) {
            self.waiting_plan = None;
        }
        for command in self.machine.step(input, at) {
            self.command(command, at);
        }
    }

    /// Notes that a phase ended.
    fn ended(&mut self, host: &str, phase: Phase, report: Option<&Report>, at: Timestamp) {
        let open = self.open.get(host).filter(|open| open.phase == phase && open.is_phase());
        // One that goes back is not told to keep the system.
        let keeps = open.is_some_and(|open| open.known.abort.is_none());
        if open.is_some() {
            self.open.remove(host);
        }
        match report {
            Some(Report::Activated(Activation::Runs(_))) => {
                let since = SupervisedSince { activated_at: at, kept_at: None };
                self.supervised.insert(host.to_owned(), since);
            }
            Some(Report::Done) if phase == Phase::Settle && keeps => {
                if let Some(since) = self.supervised.get_mut(host) {
                    since.kept_at = Some(at);
                }
            }
            Some(_) | None => {}
        }
    }

    /// Notes that a part of a phase runs.
    fn begun_to(&mut self, open: OpenPhase) {
        self.open.insert(open.host.name.clone(), open);
    }

    /// Notes what a command leaves open.
    fn command(&mut self, command: MachineCommand, at: Timestamp) {
        match command {
            MachineCommand::Run { host, phase, known } => {
                self.begun_to(OpenPhase::new(host, phase, known));
            }
            MachineCommand::Prepare { host, phase, known } => {
                self.begun_to(OpenPhase { prepares: true, ..OpenPhase::new(host, phase, known) });
            }
            MachineCommand::Conclude { host, phase, known, outcome } => {
                let open = OpenPhase::new(host, phase, known);
                self.begun_to(OpenPhase { concludes: Some(outcome), ..open });
            }
            MachineCommand::Stop { host, phase } => {
                let open = self.open.get_mut(&host).filter(|open| open.phase == phase);
                if let Some(open) = open {
                    open.stop = true;
                }
            }
            MachineCommand::Abort { host, why } => {
                self.aborts.insert(host, why);
            }
            MachineCommand::Tell(what) => {
                match &what {
                    RunWhat::Result { host, .. } => {
                        self.open.remove(host);
                        self.aborts.remove(host);
                        self.supervised.remove(host);
                    }
                    RunWhat::Plan { plan, waits: true } => self.waiting_plan = Some(plan.clone()),
                    RunWhat::Begin { .. }
                    | RunWhat::Phase { .. }
                    | RunWhat::Progress { .. }
                    | RunWhat::Log { .. }
                    | RunWhat::Plan { waits: false, .. }
                    | RunWhat::Waiting { .. }
                    | RunWhat::Dropped { .. }
                    | RunWhat::Reattached { .. }
                    | RunWhat::Usual { .. }
                    | RunWhat::Builds { .. }
                    | RunWhat::Command { .. }
                    | RunWhat::Rollout(_)
                    | RunWhat::Summary { .. } => {}
                }
                self.told.push(Untold { at, what });
            }
            MachineCommand::Ask { wave, gate, asking, hosts } => {
                let asked = AskedGate { gate, asking, hosts };
                self.asks.insert((wave, asked.gate.name.clone()), asked);
            }
            MachineCommand::Claim { host, budgets, claim, .. } => {
                self.claims.insert(host, OpenClaim { budgets, claim });
            }
            MachineCommand::Release { host } => {
                self.claims.remove(&host);
            }
            MachineCommand::WakeAt(at) => self.wake = Some(at),
            MachineCommand::Finish => {}
        }
    }

    /// Returns the commands that may not have been carried out to their end. Whoever goes on with the run has told
    /// the machine so.
    pub fn open_commands(&self) -> Vec<MachineCommand> {
        let mut commands = Vec::new();
        for open in self.open.values() {
            let (host, phase, known) = (open.host.clone(), open.phase, open.known.clone());
            commands.push(match open.concludes {
                Some(outcome) => MachineCommand::Conclude { host, phase, known, outcome },
                None if open.prepares => MachineCommand::Prepare { host, phase, known },
                None => MachineCommand::Run { host, phase, known },
            });
            if open.stop {
                let host = open.host.name.clone();
                commands.push(MachineCommand::Stop { host, phase });
            }
        }
        let aborts = self.aborts.iter();
        commands.extend(
            aborts
                .map(|(host, why)| MachineCommand::Abort { host: host.clone(), why: why.clone() }),
        );
        // What is claimed once more is held at once where the host has not forgotten it: it knows whose it is.
        let claims = self.claims.clone().into_iter();
        commands.extend(claims.map(|(host, OpenClaim { budgets, claim })| {
            let has_begun = self.machine.has_begun_with_places(&host);
            MachineCommand::Claim { host, budgets, claim, has_begun }
        }));
        for ((wave, _), AskedGate { gate, asking, hosts }) in self.asks.clone() {
            commands.push(MachineCommand::Ask { wave, gate, asking, hosts });
        }
        commands.extend(self.wake.map(MachineCommand::WakeAt));
        commands
    }

    /// Returns what was decided and does not stand in the run's events: nixdash ended before it was
    /// written. So each host has one result and the run one summary, whenever nixdash ends.
    ///
    /// Fails when the events hold what the machine did not decide.
    pub fn untold(&self, events: &[RunEvent]) -> Result<Vec<Untold>, NotReplayable> {
        let mut there: BTreeMap<String, usize> = BTreeMap::new();
        for event in events.iter().filter(|event| is_decided(&event.what)) {
            *there.entry(written(&event.what)).or_default() += 1;
        }
        let mut untold = Vec::new();
        for told in self.told.iter().filter(|told| is_decided(&told.what)) {
            match there.get_mut(&written(&told.what)) {
                Some(count) if *count > 0 => *count -= 1,
                Some(_) | None => untold.push(told.clone()),
            }
        }
        match there.into_iter().find(|(_, count)| *count > 0) {
            Some((what, _)) => {
                let what = what.chars().take(120).collect();
                Err(NotReplayable::Diverged { what })
            }
            None => Ok(untold),
        }
    }
}

/// Returns whether the machine decides an event of this kind, and whoever writes it down may not
/// leave it out.
fn is_decided(what: &RunWhat) -> bool {
    match what {
        RunWhat::Begin { .. }
        | RunWhat::Phase { .. }
        | RunWhat::Plan { .. }
        | RunWhat::Result { .. }
        | RunWhat::Rollout(_)
        | RunWhat::Summary { .. } => true,
        // Phases tell it too in their middle, and it is told anew when a run is gone on with.
        RunWhat::Waiting { .. }
        | RunWhat::Progress { .. }
        | RunWhat::Log { .. }
        | RunWhat::Dropped { .. }
        | RunWhat::Reattached { .. }
        | RunWhat::Usual { .. }
        | RunWhat::Builds { .. }
        | RunWhat::Command { .. } => false,
    }
}

/// Returns an event as it is written.
fn written(what: &RunWhat) -> String {
    // Plain data: there is none that could not be written.
    serde_json::to_string(what).unwrap_or_default()
}
