//! The deploy machine: decides what happens next, and does nothing itself.
//!
//! `step(input, now)` takes what happened and returns what is to be done. A host goes through the
//! phases that its route and goal need. It waits for the confirmation of the plan, for the waves
//! before its own, for a free place (`rollout.parallel`), for its budgets and, when it builds or
//! serves a cache for the others, until all of them are done.
//!
//! Time comes in with each step. What has to happen later is asked for with
//! [`MachineCommand::WakeAt`], so that a replay of the same inputs at the same times leads to the
//! same state.

mod away;
mod back;
mod claims;
mod control;
mod host;
mod input;
mod left_degraded;
mod obstacle;
mod order;
mod phases;
mod plan;
mod rollout;
mod stuck;
mod watch;
mod waves;

pub use input::{Input, MachineCommand};

use crate::deploy::words::STOPPED;
use crate::deploy::{Ending, Failure, HostSetup, Preflight, Reason, RunFacts, Setup};
use crate::fleet::{
    ANSWER_LIMIT, AskedOfHost, Code, Finding, FlakeSource, Goal, Outcome, Phase, PhaseState,
    RolloutNews, RunId, RunWhat, Wait, duration,
};
use back::GoingBack;
use host::{Claim, HostProgress, Stage};
use jiff::Timestamp;
use phases::{conclude, prepare};
use rollout::Wave;
use std::collections::BTreeMap;

/// How many findings the end of a run names at most.
const ERRORS: usize = 20;

/// A run over one or more hosts.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    setup: Setup,
    /// The run's number, where it has one.
    run: String,
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
    /// Until when the plan waits for an answer, where it does.
    answer_until: Option<Timestamp>,
    /// The waves, once the plan is made; they do not change any more.
    waves: Vec<Wave>,
    /// How many questions gates were asked in this run.
    askings: u64,
    /// Whether somebody paused the run.
    paused: bool,
    /// Why no other host begins to activate.
    halted: Option<Reason>,
    /// What went wrong, the first first.
    errors: Vec<Finding>,
    /// The earliest time that was asked for and has not come.
    wakes_at: Option<Timestamp>,
    /// Which hosts go back, and why, where that was decided.
    going_back: Option<GoingBack>,
    cancelled: bool,
    finished: bool,
}

/// What is known of a host whose attempt goes on.
#[derive(Clone, Copy, Debug)]
pub struct KnownOfHost<'a> {
    /// What was found wrong with its new system.
    pub wrong: Option<&'a Reason>,
    /// What preflight saw before the run changed it.
    pub before: &'a Preflight,
}

impl Machine {
    /// Makes the machine of a run that begins now.
    pub fn new(setup: Setup, revision: Option<String>, now: Timestamp) -> Self {
        let hosts = setup.hosts.iter().map(|host| HostProgress::new(host.clone(), now)).collect();
        let confirmed = (!setup.asks).then_some(true);
        Self {
            setup,
            run: String::new(),
            revision,
            source: None,
            findings: Vec::new(),
            hosts,
            began: now,
            confirmed,
            asked: false,
            waited: None,
            answer_until: None,
            waves: Vec::new(),
            askings: 0,
            paused: false,
            halted: None,
            errors: Vec::new(),
            wakes_at: None,
            going_back: None,
            cancelled: false,
            finished: false,
        }
    }

    /// Says what is deployed, and what is worth knowing of that, for the plan.
    pub fn set_source(&mut self, source: Option<FlakeSource>, findings: Vec<Finding>) {
        self.source = source;
        self.findings = findings;
    }

    /// Names the run, for what is wrong with it as a whole.
    #[must_use]
    pub fn of_run(self, run: &RunId) -> Self {
        Self { run: run.0.clone(), ..self }
    }

    /// Takes what happened and returns what is to be done.
    pub fn step(&mut self, input: Input, now: Timestamp) -> Vec<MachineCommand> {
        let mut out = Vec::new();
        match input {
            Input::Begin => self.begin(now, &mut out),
            Input::Done { host, phase, result } => self.done(&host, phase, result, now, &mut out),
            Input::Prepared { host, phase, result } => {
                self.prepared(&host, phase, result, now, &mut out);
            }
            Input::Concluded { host, result } => self.concluded(&host, result, now, &mut out),
            Input::Gated { wave, gate, asking, answer } => {
                self.gated(wave, &gate, asking, answer, now, &mut out);
            }
            Input::Claimed { host, claim, answer } => {
                self.claimed(&host, claim, answer, now, &mut out);
            }
            Input::Answer(yes) => {
                self.answered(yes, "the plan was not confirmed", now, &mut out);
            }
            Input::Unanswered => {
                let limit = duration(ANSWER_LIMIT);
                let why =
                    format!("nobody answered the plan within {limit}, so nothing was changed");
                self.answered(false, &why, now, &mut out);
            }
            Input::Order(order) => self.ordered(order, now, &mut out),
            Input::Cancel => self.cancel(now, &mut out),
            Input::Wake => self.wakes_at = None,
        }
        self.advance(now, &mut out);
        out
    }

    /// Goes on after a while in which nobody carried the run out. Hosts forget claims that nobody renews, so who has
    /// not begun to change claims its places again; who has is in flight. What somebody has to decide is waited for
    /// as long as if it had been asked now.
    pub fn gone_on_with(&mut self, now: Timestamp) {
        self.claim_again();
        self.wait_anew(now);
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
                Stage::Preparing(_)
                | Stage::Running(_)
                | Stage::Waiting(_)
                | Stage::Concluding(_) => None,
            })
            .collect()
    }

    /// Returns the same of the hosts that may be changed: those that are read-only are as they were to be.
    pub fn outcomes_of_changeable(&self) -> Vec<(String, Outcome)> {
        let read_only = |name: &String| {
            self.index_of(name).is_some_and(|index| self.hosts[index].setup.is_read_only())
        };
        self.outcomes().into_iter().filter(|(name, _)| !read_only(name)).collect()
    }

    /// Returns what went wrong in the run, the first first.
    pub fn errors(&self) -> &[Finding] {
        &self.errors
    }

    /// Returns what stands still, as it was told: that the run is paused, and what somebody has to decide. For
    /// somebody who did not hear it.
    pub fn standing(&self) -> Vec<RunWhat> {
        let paused = RunWhat::Rollout(RolloutNews::Paused { paused: true });
        let paused = (self.paused && !self.finished).then_some(paused);
        paused.into_iter().chain(self.open_questions()).collect()
    }

    /// Returns what each host waits for that is not done; none where it waits for nothing.
    pub fn waits(&self) -> Vec<(String, Option<Wait>)> {
        let open = self.hosts.iter().filter(|host| !host.is_over());
        open.map(|host| (host.setup.name.clone(), host.waits_for.clone())).collect()
    }

    /// Returns what is known of a host whose attempt goes on, and which does not go back; nothing of others.
    pub fn left_at(&self, name: &str) -> Option<KnownOfHost<'_>> {
        let host = &self.hosts[self.index_of(name)?];
        (!host.is_over() && host.back.is_none()).then(|| KnownOfHost {
            wrong: host.known.blemish.as_ref(),
            before: host.found_before(),
        })
    }

    /// Returns the run in a few words.
    fn title(&self) -> String {
        match self.setup.goal {
            goal @ (Goal::Build | Goal::Rollback) => goal.to_string(),
            goal => format!("{goal} {}", self.setup.strategy),
        }
    }

    /// Returns the place of a host in the list.
    fn index_of(&self, name: &str) -> Option<usize> {
        self.hosts.iter().position(|host| host.setup.name == name)
    }

    /// Tells that the run begins, and ends the hosts of which it is known that nothing can be done there.
    fn begin(&mut self, now: Timestamp, out: &mut Vec<MachineCommand>) {
        out.push(MachineCommand::Tell(RunWhat::Begin {
            hosts: self.hosts.iter().map(|host| host.setup.name.clone()).collect(),
            title: self.title(),
            options: self.setup.options,
            asked: self.hosts.iter().map(|host| &host.setup).map(asked_of).collect(),
        }));
        for index in 0..self.hosts.len() {
            if let Some(Failure { outcome, reason }) = self.hosts[index].setup.set_aside.clone() {
                self.end(index, outcome, Some(reason), now, out);
            }
        }
    }

    /// Returns whether somebody stopped the run.
    pub fn is_stopped(&self) -> bool {
        self.cancelled
    }

    /// Goes on wherever nothing stands in the way any more, and ends the run when all is over.
    fn advance(&mut self, now: Timestamp, out: &mut Vec<MachineCommand>) {
        self.ask(now, out);
        // Whoever ends here may be the last of a wave.
        self.end_undecided(now, out);
        self.end_without_place(now, out);
        self.leave_followers_out(now, out);
        self.move_waves(now, out);
        if !self.cancelled {
            self.follow_back(now, out);
        }
        loop {
            let before = self.places_kept();
            for index in 0..self.hosts.len() {
                self.start(index, now, out);
            }
            // Who waits for others from now on has given its places up: another one may take them.
            if self.places_kept() == before {
                break;
            }
        }
        self.finish(now, out);
        self.ask_to_be_woken(now, out);
    }

    /// Returns of each host whether it has a place that another one could take, and whether it claims places in
    /// budgets.
    fn places_kept(&self) -> Vec<(bool, bool)> {
        let hosts = self.hosts.iter();
        hosts.map(|host| (host.has_place, host.claim != Claim::None)).collect()
    }

    /// Starts the phase that a host waits for, unless something stands in the way.
    fn start(&mut self, index: usize, now: Timestamp, out: &mut Vec<MachineCommand>) {
        let Stage::Waiting(phase) = self.hosts[index].stage else { return };
        let wait = self.obstacle(index, phase, now);
        if wait.as_ref().is_some_and(|wait| wait.is_for_others() || *wait == Wait::Paused) {
            // One of those that it waits for may need the place, and a pause has no end that is known.
            self.unclaim(index, out);
        }
        let wait = wait.or_else(|| self.claim(index, phase, out));
        let host = &mut self.hosts[index];
        if let Some(wait) = wait {
            host.has_place &= !wait.is_for_others();
            if !host.waits_for.as_ref().is_some_and(|told| wait.is_told_by(told)) {
                host.waits_for = Some(wait);
                tell_wait(out, host, now);
            }
            return;
        }
        host.has_place |= phase >= Phase::Fetch;
        if let Some(moment) = host.hooks_before(phase) {
            return prepare(host, phase, moment, now, out);
        }
        let goes_back = host.goes_back_in(phase);
        let is_tried_again = host.is_tried_again(phase);
        if !goes_back && !is_tried_again && host.waits_for.take().is_some() {
            tell_wait(out, host, now);
        }
        host.stage = Stage::Running(phase);
        host.phase_began = now;
        host.changed |= host.has_begun_at(phase);
        host.known.was_away = host.away.is_some();
        if !is_tried_again {
            tell_phase(out, &host.setup.name, phase, PhaseState::Started);
        }
        if goes_back && host.waits_for != Some(Wait::WayBack) {
            host.waits_for = Some(Wait::WayBack);
            tell_wait(out, host, now);
        }
        out.push(MachineCommand::Run {
            host: host.setup.clone(),
            phase,
            known: Box::new(host.known.clone()),
        });
    }

    /// Ends the run when every host and every wave is over.
    fn finish(&mut self, now: Timestamp, out: &mut Vec<MachineCommand>) {
        let over = self.hosts.iter().all(HostProgress::is_over) && !self.is_watching();
        if self.finished || !over {
            return;
        }
        self.finished = true;
        let mut outcomes = BTreeMap::new();
        for (_, outcome) in self.outcomes() {
            *outcomes.entry(outcome).or_insert(0) += 1;
        }
        let duration_ms = self.elapsed(self.began, now);
        let findings = self.errors.clone();
        out.push(MachineCommand::Tell(RunWhat::Summary { outcomes, duration_ms, findings }));
        out.push(MachineCommand::Finish);
    }

    /// Asks to be woken when time alone makes something happen, unless that is asked for already.
    fn ask_to_be_woken(&mut self, now: Timestamp, out: &mut Vec<MachineCommand>) {
        if self.finished {
            return;
        }
        let sleepers =
            self.hosts.iter().filter(|host| host.stage == Stage::Waiting(Phase::Preflight));
        let sleepers = sleepers.filter_map(|host| host.away.map(|(_, next)| next));
        let waves = self.waves.iter().filter_map(|wave| wave.wakes_at(now));
        let undecided = self.hosts.iter().filter_map(|host| Some(host.stuck.as_ref()?.until));
        let without_place = self.hosts.iter().filter_map(|host| match &host.claim {
            Claim::Asked(Wait::Budget { until, .. }) => *until,
            Claim::Asked(_) | Claim::None | Claim::Held => None,
        });
        let earliest = sleepers
            .chain(waves)
            .chain(undecided)
            .chain(without_place)
            .filter(|at| *at > now)
            .min();
        if let Some(at) = earliest
            && self.wakes_at.is_none_or(|asked| at < asked || asked <= now)
        {
            self.wakes_at = Some(at);
            out.push(MachineCommand::WakeAt(at));
        }
    }

    /// Returns the milliseconds since a time, without those that the plan waited for an answer.
    fn elapsed(&self, began: Timestamp, now: Timestamp) -> u64 {
        let waited = self.waited.map_or(0, |(from, until)| elapsed(from, until.unwrap_or(now)));
        elapsed(began, now).saturating_sub(waited)
    }

    /// Gives back what a host has, or claims, of budgets.
    fn unclaim(&mut self, index: usize, out: &mut Vec<MachineCommand>) {
        let host = &mut self.hosts[index];
        if std::mem::replace(&mut host.claim, Claim::None) != Claim::None {
            out.push(MachineCommand::Release { host: host.setup.name.clone() });
        }
    }

    /// Ends a host's run, and gives back what it claimed. Where hooks ran before it was to change, those after that run
    /// first.
    fn end(
        &mut self,
        index: usize,
        outcome: Outcome,
        reason: Option<Reason>,
        now: Timestamp,
        out: &mut Vec<MachineCommand>,
    ) {
        let host = &mut self.hosts[index];
        if let Some(moment) = host.hooks_after(outcome) {
            return conclude(host, moment, Ending { outcome, reason }, now, out);
        }
        host.concludes = None;
        let time = self.elapsed(self.hosts[index].began, now);
        self.unclaim(index, out);
        let host = &mut self.hosts[index];
        let name = host.setup.name.clone();
        let result = host.end(outcome, reason, time);
        host.ended_at = Some(now);
        if result.outcome.is_trouble() {
            let news = result.findings.iter().filter(|found| !self.errors.contains(found));
            let room = ERRORS.saturating_sub(self.errors.len());
            let news: Vec<Finding> = news.take(room).cloned().collect();
            self.errors.extend(news);
        }
        out.push(MachineCommand::Tell(RunWhat::Result { host: name, result }));
    }
}

/// Returns what was asked for a host, with its name.
fn asked_of(host: &HostSetup) -> (String, AskedOfHost) {
    let (system, generation) = match &host.given {
        Some(given) => (Some(given.toplevel.clone()), given.generation),
        None => (None, None),
    };
    (host.name.clone(), AskedOfHost { goal: host.goal, system, generation })
}

/// Tells what a host waits for, or that it goes on.
fn tell_wait(out: &mut Vec<MachineCommand>, host: &HostProgress, now: Timestamp) {
    let what = RunWhat::waiting(&host.setup.name, host.waits_for.clone(), now);
    out.push(MachineCommand::Tell(what));
}

/// Tells the state of a phase.
fn tell_phase(out: &mut Vec<MachineCommand>, host: &str, phase: Phase, state: PhaseState) {
    out.push(MachineCommand::Tell(RunWhat::Phase { host: host.to_owned(), phase, state }));
}

/// Returns milliseconds between two times, never negative.
fn elapsed(began: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.as_millisecond() - began.as_millisecond()).unwrap_or(0)
}

/// Returns the reason of a host whose run ends since somebody stopped it.
fn stopped_by_the_operator() -> Reason {
    Reason::new(Code::RunStopped, STOPPED)
}

/// What is known of a host that begins again in a run.
fn known_anew(known: &mut RunFacts) -> RunFacts {
    RunFacts {
        attempt: known.attempt + 1,
        built: known.built,
        substituted: std::mem::take(&mut known.substituted),
        fetched: std::mem::take(&mut known.fetched),
        ..RunFacts::default()
    }
}

#[cfg(test)]
mod tests;
