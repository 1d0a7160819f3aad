//! The deploy machine: decides what happens next, and does nothing itself.
//!
//! `step(input, now)` takes what happened and returns what is to be done. A host goes through the
//! phases that its route and goal need; it waits for the confirmation of the plan, for a free
//! place (`rollout.parallel`) and, when it builds or serves a cache for the others, until all of
//! them are done.

mod host;
mod plan;
mod rollout;

use crate::deploy::{Ending, Failure, GivenPlace, HostSetup, Reason, Report, RunFacts, Setup};
use crate::fleet::{Code, Finding, FlakeSource, Goal, Outcome, Phase, PhaseState, RunWhat, Wait};
use host::{HostProgress, Stage, phase_held};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// Somebody answered the plan.
    Answer(bool),
    /// The operator stops the run.
    Cancel,
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
    /// Stop the phase that a host is in; it ends with [`Input::Done`] or not at all.
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
    /// Tell everybody.
    Tell(RunWhat),
    /// The run is over.
    Finish,
}

/// A run over one or more hosts.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    setup: Setup,
    revision: Option<String>,
    source: Option<FlakeSource>,
    /// What is worth knowing of what is deployed.
    findings: Vec<Finding>,
    hosts: Vec<HostProgress>,
    began: Timestamp,
    confirmed: Option<bool>,
    asked: bool,
    /// From when until when the plan waited for an answer: nobody worked meanwhile.
    waited: Option<(Timestamp, Option<Timestamp>)>,
    cancelled: bool,
    finished: bool,
}

impl Machine {
    /// Makes the machine of a run that begins now.
    pub fn new(setup: Setup, revision: Option<String>, now: Timestamp) -> Self {
        let first = if setup.goal.deploys() { Phase::Preflight } else { Phase::Evaluate };
        let hosts = setup
            .hosts
            .iter()
            .map(|host| HostProgress {
                setup: host.clone(),
                stage: Stage::Waiting(first),
                known: known_of(host),
                began: now,
                phase_began: now,
                took: BTreeMap::new(),
                waits_for: None,
                kept: None,
            })
            .collect();
        let confirmed = (!setup.asks).then_some(true);
        Self {
            setup,
            revision,
            source: None,
            findings: Vec::new(),
            hosts,
            began: now,
            confirmed,
            asked: false,
            waited: None,
            cancelled: false,
            finished: false,
        }
    }

    /// Says what is deployed, and what is worth knowing of that, for the plan.
    pub fn set_source(&mut self, source: Option<FlakeSource>, findings: Vec<Finding>) {
        self.source = source;
        self.findings = findings;
    }

    /// Takes what happened and returns what is to be done.
    pub fn step(&mut self, input: Input, now: Timestamp) -> Vec<MachineCommand> {
        let mut out = Vec::new();
        match input {
            Input::Begin => out.push(MachineCommand::Tell(RunWhat::Begin {
                hosts: self.hosts.iter().map(|host| host.setup.name.clone()).collect(),
                title: self.title(),
            })),
            Input::Done { host, phase, result } => self.done(&host, phase, result, now, &mut out),
            Input::Answer(yes) => self.answered(yes, now, &mut out),
            Input::Cancel => self.cancel(now, &mut out),
        }
        self.advance(now, &mut out);
        out
    }

    /// Returns whether every host's run is over.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Returns the outcomes so far, by host.
    pub fn outcomes(&self) -> Vec<(String, Outcome)> {
        self.hosts
            .iter()
            .filter_map(|host| match host.stage {
                Stage::Ended(outcome) => Some((host.setup.name.clone(), outcome)),
                Stage::Running(_) | Stage::Waiting(_) => None,
            })
            .collect()
    }

    /// Returns the run in a few words.
    fn title(&self) -> String {
        match self.setup.goal {
            goal @ (Goal::Build | Goal::Rollback) => goal.to_string(),
            goal => format!("{goal} {}", self.setup.strategy),
        }
    }

    /// Takes the end of a phase.
    fn done(
        &mut self,
        name: &str,
        phase: Phase,
        result: Result<Report, Failure>,
        now: Timestamp,
        out: &mut Vec<MachineCommand>,
    ) {
        let Some(index) = self.hosts.iter().position(|host| host.setup.name == name) else {
            return;
        };
        if self.hosts[index].stage != Stage::Running(phase) {
            return;
        }
        let took = elapsed(self.hosts[index].phase_began, now);
        self.hosts[index].took.insert(phase, took);
        match result {
            Err(failure) => self.fail(index, phase, failure, now, out),
            Ok(report) => {
                let ending = self.hosts[index].take(report, &self.setup);
                match ending {
                    None => {
                        tell_phase(out, name, phase, PhaseState::Finished);
                        self.next(index, phase, now, out);
                    }
                    Some(ending) if self.hosts[index].restarts_after(phase, ending.outcome) => {
                        tell_phase(out, name, phase, PhaseState::Finished);
                        self.hosts[index].kept = Some(ending);
                        self.hosts[index].stage = Stage::Waiting(Phase::Reboot);
                    }
                    Some(ending) if phase_held(phase, ending.outcome) => {
                        tell_phase(out, name, phase, PhaseState::Finished);
                        self.end(index, ending.outcome, ending.reason, now, out);
                    }
                    Some(ending) => {
                        tell_phase(out, name, phase, PhaseState::Failed);
                        self.end(index, ending.outcome, ending.reason, now, out);
                    }
                }
            }
        }
    }

    /// Ends a host whose phase failed; a cancelled one is interrupted, unless it got further.
    fn fail(
        &mut self,
        index: usize,
        phase: Phase,
        failure: Failure,
        now: Timestamp,
        out: &mut Vec<MachineCommand>,
    ) {
        tell_phase(out, &self.hosts[index].setup.name, phase, PhaseState::Failed);
        let may_go_on = matches!(phase, Phase::Check) && self.hosts[index].known.abort.is_some();
        if may_go_on {
            // The supervisor heard already that it shall go back; persist reads that it did.
            self.hosts[index].stage = Stage::Waiting(Phase::Persist);
            return;
        }
        let stopped = self.cancelled && phase < Phase::Activate;
        let outcome = if stopped { Outcome::Interrupted } else { failure.outcome };
        let reason = if stopped { stopped_by_the_operator() } else { failure.reason };
        self.end(index, outcome, Some(reason), now, out);
    }

    /// Moves a host to the phase after this one.
    fn next(&mut self, index: usize, phase: Phase, now: Timestamp, out: &mut Vec<MachineCommand>) {
        if phase == Phase::Compare && self.is_unchanged(index) {
            self.end(index, Outcome::Unchanged, None, now, out);
            return;
        }
        let mut after = Phase::ALL.iter().copied().skip_while(|p| *p <= phase);
        loop {
            let Some(next) = after.next() else {
                self.end(index, Outcome::Switched, None, now, out);
                return;
            };
            if !self.setup.goal.deploys() && next > Phase::Build {
                self.end(index, Outcome::Built, None, now, out);
                return;
            }
            if self.applies(index, next) {
                self.hosts[index].stage = Stage::Waiting(next);
                return;
            }
            tell_phase(out, &self.hosts[index].setup.name, next, PhaseState::Skipped);
        }
    }

    /// Returns whether a phase applies to a host's route and to what the run is for.
    fn applies(&self, index: usize, phase: Phase) -> bool {
        let (goal, setup) = (self.setup.goal, &self.hosts[index].setup);
        if setup.given.as_ref().is_some_and(|given| given.place.makes_needless(phase)) {
            return false;
        }
        match phase {
            Phase::Preflight | Phase::Evaluate | Phase::Compare | Phase::Build | Phase::Diff => {
                true
            }
            Phase::Publish | Phase::Verify => setup.route.tier().is_some(),
            Phase::Fetch => setup.route.travels(),
            Phase::Activate => goal != Goal::Boot,
            // Without magic rollback the host waits for nobody: there is nothing to acknowledge.
            Phase::Acknowledge | Phase::Check | Phase::Settle => {
                goal.activates() && self.hosts[index].setup.activation.magic_rollback()
            }
            Phase::Persist => goal != Goal::DryActivate,
            // It follows only a system that was made permanent.
            Phase::Reboot => false,
        }
    }

    /// Stops what can be stopped; a host that has begun to activate is told to go back.
    fn cancel(&mut self, now: Timestamp, out: &mut Vec<MachineCommand>) {
        self.cancelled = true;
        for index in 0..self.hosts.len() {
            let host = &mut self.hosts[index];
            match host.stage {
                Stage::Ended(_) | Stage::Running(Phase::Persist | Phase::Reboot) => {}
                // Its new system is permanent already; it is only not restarted.
                Stage::Waiting(Phase::Reboot) => {
                    if let Some(Ending { outcome, reason }) = host.kept.take() {
                        self.end(index, outcome, reason, now, out);
                    }
                }
                Stage::Waiting(phase) if phase < Phase::Acknowledge => {
                    let why = stopped_by_the_operator();
                    self.end(index, Outcome::Interrupted, Some(why), now, out);
                }
                Stage::Running(phase) if phase < Phase::Activate => {
                    out.push(MachineCommand::Stop { host: host.setup.name.clone(), phase });
                }
                Stage::Waiting(phase) | Stage::Running(phase) => {
                    go_back_now(host, phase, now, out);
                }
            }
        }
    }

    /// Starts every phase that waits for nothing any more, and ends the run when all is over.
    fn advance(&mut self, now: Timestamp, out: &mut Vec<MachineCommand>) {
        self.ask(now, out);
        for index in 0..self.hosts.len() {
            let Stage::Waiting(phase) = self.hosts[index].stage else { continue };
            let wait = self.obstacle(index, phase);
            let host = &mut self.hosts[index];
            if let Some(wait) = wait {
                if host.waits_for.as_ref() != Some(&wait) {
                    host.waits_for = Some(wait.clone());
                    tell_wait(out, host, now);
                }
                continue;
            }
            if host.waits_for.take().is_some() {
                tell_wait(out, host, now);
            }
            host.stage = Stage::Running(phase);
            host.phase_began = now;
            tell_phase(out, &host.setup.name, phase, PhaseState::Started);
            out.push(MachineCommand::Run {
                host: host.setup.clone(),
                phase,
                known: Box::new(host.known.clone()),
            });
        }
        if !self.finished && self.hosts.iter().all(HostProgress::is_over) {
            self.finished = true;
            let mut outcomes = BTreeMap::new();
            for (_, outcome) in self.outcomes() {
                *outcomes.entry(outcome).or_insert(0) += 1;
            }
            let duration_ms = self.elapsed(self.began, now);
            out.push(MachineCommand::Tell(RunWhat::Summary { outcomes, duration_ms }));
            out.push(MachineCommand::Finish);
        }
    }

    /// Returns the milliseconds since a time, without those that the plan waited for an answer.
    fn elapsed(&self, began: Timestamp, now: Timestamp) -> u64 {
        let waited = self.waited.map_or(0, |(from, until)| elapsed(from, until.unwrap_or(now)));
        elapsed(began, now).saturating_sub(waited)
    }

    /// Ends a host's run.
    fn end(
        &mut self,
        index: usize,
        outcome: Outcome,
        reason: Option<Reason>,
        now: Timestamp,
        out: &mut Vec<MachineCommand>,
    ) {
        let time = self.elapsed(self.hosts[index].began, now);
        let host = &mut self.hosts[index];
        let result = host.end(outcome, reason, time);
        let host = host.setup.name.clone();
        out.push(MachineCommand::Tell(RunWhat::Result { host, result }));
    }
}

/// Returns what is known of a host before its run begins: the system that it is given.
fn known_of(setup: &HostSetup) -> RunFacts {
    let given = setup.given.as_ref();
    let drv = given.and_then(|given| match &given.place {
        GivenPlace::Derivation(drv) => Some(drv.clone()),
        GivenPlace::Kept | GivenPlace::Host | GivenPlace::Builder | GivenPlace::Tier(_) => None,
    });
    let toplevel = given.map(|given| given.toplevel.clone());
    RunFacts { drv, toplevel, ..RunFacts::default() }
}

/// Lets a host go back that runs the new system, or will when its activation ends, which cannot be
/// interrupted.
fn go_back_now(
    host: &mut HostProgress,
    phase: Phase,
    now: Timestamp,
    out: &mut Vec<MachineCommand>,
) {
    let why = Reason::new(Code::RunStopped, "the operator stopped the run");
    host.known.abort = Some(why.clone());
    let name = host.setup.name.clone();
    out.push(MachineCommand::Abort { host: name.clone(), why });
    if phase == Phase::Check && host.stage == Stage::Running(phase) {
        out.push(MachineCommand::Stop { host: name.clone(), phase });
    }
    let wait = if phase == Phase::Activate {
        let wait = Wait::Activation;
        let line = format!("{name} is being activated: waiting for {}", wait.sentence(now));
        out.push(MachineCommand::Tell(RunWhat::Log { host: name, phase, line }));
        wait
    } else {
        Wait::WayBack
    };
    host.waits_for = Some(wait);
    tell_wait(out, host, now);
}

/// Tells what a host waits for, or that it goes on.
fn tell_wait(out: &mut Vec<MachineCommand>, host: &HostProgress, now: Timestamp) {
    let what = RunWhat::waiting(&host.setup.name, host.waits_for.clone(), now);
    out.push(MachineCommand::Tell(what));
}

/// Returns the reason of a host whose run ends since somebody stopped it.
fn stopped_by_the_operator() -> Reason {
    Reason::new(Code::RunStopped, "stopped by the operator")
}

/// Tells the state of a phase.
fn tell_phase(out: &mut Vec<MachineCommand>, host: &str, phase: Phase, state: PhaseState) {
    out.push(MachineCommand::Tell(RunWhat::Phase { host: host.to_owned(), phase, state }));
}

/// Returns milliseconds between two times, never negative.
fn elapsed(began: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.as_millisecond() - began.as_millisecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
