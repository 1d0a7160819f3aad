//! How a run moves over its hosts: its waves, and when no other host begins any more.

use super::host::{HostProgress, Stage};
use super::stuck::DECISION_LIMIT;
use super::watch::{Question, Watch, WatchState};
use super::waves::{WaveHost, waves};
use super::{Machine, MachineCommand};
use crate::deploy::{GateAnswer, GatedHost, Reason};
use crate::fleet::{
    Code, Finding, Gate, GateQuestion, Goal, OnFailure, Outcome, RollbackScope, RolloutNews,
    RunWhat, Subject, WaveState, duration,
};
use jiff::Timestamp;

/// A wave of a run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wave {
    /// Its hosts: those when it was made, and those that joined it when they were tried again.
    pub(super) hosts: Vec<usize>,
    /// Whether its hosts were told to begin.
    began: bool,
    /// How it is watched since its hosts are done; none before.
    pub(super) watch: Option<Watch>,
    /// Whether the next one may begin.
    pub(super) passed: bool,
    /// The question that was told.
    asks: Option<String>,
}

impl Wave {
    /// Makes a check again that could not be made. Whoever was asked about it has answered: what is to be decided
    /// from now on is told anew, even in the same words.
    pub(super) fn ask_again(&mut self, now: Timestamp) {
        self.asks = None;
        if let Some(watch) = self.watch.as_mut().filter(|_| !self.passed) {
            watch.ask_again(now);
        }
    }

    /// Lets somebody decide until then.
    pub(super) fn decide_later(&mut self, until: Timestamp) {
        if let Some(watch) = self.watch.as_mut().filter(|_| !self.passed) {
            watch.decide_later(until);
        }
    }

    /// Takes a check that could not be made as passed. What is to be decided from now on is told anew.
    pub(super) fn vouch(&mut self) {
        self.asks = None;
        if let Some(watch) = self.watch.as_mut().filter(|_| !self.passed) {
            watch.vouch();
        }
    }

    /// Returns what somebody has to decide about it.
    pub(super) fn question(&self) -> Option<&Question> {
        self.watch.as_ref().filter(|_| !self.passed)?.question()
    }

    /// Lets the next wave wait for it again: one of its hosts begins again.
    pub(super) fn open_again(&mut self) {
        self.watch = None;
        self.passed = false;
        self.asks = None;
    }

    /// Returns when time alone makes something happen.
    pub(super) fn wakes_at(&self, now: Timestamp) -> Option<Timestamp> {
        let watch = self.watch.as_ref().filter(|_| !self.passed)?;
        watch.wakes_at(now)
    }
}

impl Machine {
    /// Makes the waves of the hosts that will change; they stay as they are from now on. Hosts that are away make one
    /// more, the last: nobody waits for them.
    pub(super) fn make_waves(&mut self) {
        if !self.setup.goal.changes() {
            return;
        }
        let goes = |index: &usize| {
            let host = &self.hosts[*index];
            // One that an earlier run left degraded, and that still is, counts in its wave.
            !host.is_over() || host.outcome() == Some(Outcome::Degraded)
        };
        let (going, sleepers): (Vec<usize>, Vec<usize>) =
            (0..self.hosts.len()).filter(goes).partition(|index| self.hosts[*index].away.is_none());
        let list: Vec<WaveHost> = going
            .iter()
            .map(|index| {
                let host = &self.hosts[*index];
                let after = self.goes_after(*index);
                let places = after.iter().filter_map(|other| going.binary_search(other).ok());
                WaveHost {
                    tags: host.setup.tags.clone(),
                    last: host.setup.last,
                    protected: host.setup.protected,
                    returns: host.setup.goal == Goal::Rollback || host.returns(),
                    after: places.collect(),
                }
            })
            .collect();
        let numbers = waves(&self.setup.rollout, self.hosts.len(), &list);
        let count = numbers.iter().max().map_or(0, |highest| highest + 1);
        let empty =
            Wave { hosts: Vec::new(), began: false, watch: None, passed: false, asks: None };
        self.waves = vec![empty.clone(); count];
        for (index, number) in going.into_iter().zip(numbers) {
            self.hosts[index].wave = Some(number);
            self.waves[number].hosts.push(index);
        }
        if !sleepers.is_empty() {
            self.waves.push(empty);
        }
        for index in sleepers {
            self.join_last_wave(index);
        }
    }

    /// Puts a host into the last wave that is in none: it was away, or failed before the plan was made and is tried again.
    pub(super) fn join_last_wave(&mut self, index: usize) {
        let Some(number) = self.waves.len().checked_sub(1) else { return };
        if self.hosts[index].wave.is_none() {
            self.hosts[index].wave = Some(number);
            self.waves[number].hosts.push(index);
        }
    }

    /// Returns the wave of a host, from 0. One that is in none comes after all of them.
    pub(super) fn wave_of(&self, index: usize) -> usize {
        self.hosts[index].wave.unwrap_or(self.waves.len())
    }

    /// Returns whether later waves wait for a host.
    pub(super) fn holds_a_wave_up(&self, index: usize) -> bool {
        self.wave_of(index) + 1 < self.waves.len()
    }

    /// Moves the waves on: looks at those whose hosts are done, asks their gates, and lets the next
    /// one begin or nobody any more.
    pub(super) fn move_waves(&mut self, now: Timestamp, out: &mut Vec<MachineCommand>) {
        if self.confirmed != Some(true) || self.cancelled {
            return;
        }
        for number in 0..self.waves.len() {
            if self.waves[number].passed {
                continue;
            }
            if let Some(why) = self.too_many_failed(number) {
                self.break_wave(number, &why, now, out);
                return;
            }
            self.begin_wave(number, out);
            let over = self.waves[number].hosts.iter().all(|host| self.hosts[*host].is_over());
            if !over {
                return;
            }
            if !self.watch_wave(number, now, out) {
                return;
            }
        }
    }

    /// Tells that the hosts of a wave may begin: in a paused run none may.
    fn begin_wave(&mut self, number: usize, out: &mut Vec<MachineCommand>) {
        if !self.waves[number].began && self.halted.is_none() && !self.paused {
            self.waves[number].began = true;
            self.tell_wave(number, WaveState::Began, None, None, out);
        }
    }

    /// Watches a wave whose hosts are done; returns whether the next one may begin.
    fn watch_wave(&mut self, number: usize, now: Timestamp, out: &mut Vec<MachineCommand>) -> bool {
        let is_last = number + 1 == self.waves.len();
        if self.halted.is_some() {
            return false;
        }
        if self.waves[number].watch.is_none() {
            self.begin_watch(number, is_last, now, out);
        }
        let Some(watch) = &mut self.waves[number].watch else { return false };
        // Whoever paused the run decides when it goes on.
        if !self.paused {
            watch.give_up(now);
        }
        let due = watch.due(now, &mut self.askings);
        let state = watch.state(now);
        for (asking, gate) in due {
            let hosts = self.gate_hosts(number, &gate);
            out.push(MachineCommand::Ask { wave: number, gate, asking, hosts });
        }
        match state {
            WatchState::Soaks(_) | WatchState::Checks { .. } => false,
            WatchState::Asks { gate, why, until } => {
                let text = question(&gate, &why);
                if self.waves[number].asks.as_ref() != Some(&text) {
                    self.waves[number].asks = Some(text.clone());
                    let until = self.decided_until(until);
                    self.tell_wave(number, WaveState::Asks, Some(text), until, out);
                }
                false
            }
            WatchState::Undecided { gate, why } => {
                let text = format!(
                    "a check after wave {} could not be made ({}), and nobody decided about that within {}",
                    number + 1,
                    question(&gate, &why),
                    duration(DECISION_LIMIT)
                );
                self.break_wave(number, &Reason::new(Code::GateFailed, text), now, out);
                false
            }
            WatchState::Failed { gate, why } => {
                let news = RolloutNews::Gate {
                    wave: number + 1,
                    gate,
                    passed: Some(false),
                    said: Some(why),
                };
                let text = news.sentence(now);
                let why = Reason::new(Code::GateFailed, text);
                self.break_wave(number, &why, now, out);
                false
            }
            WatchState::Passed => {
                self.waves[number].passed = true;
                self.waves[number].asks = None;
                self.tell_wave(number, WaveState::Passed, None, None, out);
                true
            }
        }
    }

    /// Begins to watch a wave. The last one need not stay well for anybody, and neither does one
    /// whose hosts all went back to systems that were confirmed before. A wave in which no host got
    /// its system proves nothing, so somebody has to decide.
    fn begin_watch(
        &mut self,
        number: usize,
        is_last: bool,
        now: Timestamp,
        out: &mut Vec<MachineCommand>,
    ) {
        let hosts = self.waves[number].hosts.iter().map(|host| &self.hosts[*host]);
        let fresh = hosts.clone().filter(|host| host.has_new_system());
        let (any, all_return) =
            (fresh.clone().count() > 0, fresh.clone().all(HostProgress::returns));
        let names: Vec<&str> = hosts.map(|host| host.setup.name.as_str()).collect();
        let mut watch = if any {
            Watch::begin(&self.setup.rollout, !is_last && !all_return, now)
        } else {
            Watch::nothing(now)
        };
        if !any && !is_last {
            let names = names.join(", ");
            watch.ask_for_proof(format!("no host of this wave got its system ({names})"), now);
        }
        let until = Some(watch.until()).filter(|until| *until > now);
        let told = until.is_some() || !self.setup.rollout.gates.is_empty() && any;
        self.waves[number].watch = Some(watch);
        if told {
            self.tell_wave(number, WaveState::Watched, None, until, out);
        }
    }

    /// Returns the hosts that a gate is asked about: those of the wave that have their new system.
    fn gate_hosts(&self, number: usize, gate: &Gate) -> Vec<GatedHost> {
        if matches!(gate.asks, GateQuestion::Url(_)) {
            return Vec::new();
        }
        let hosts = self.waves[number].hosts.iter().map(|host| &self.hosts[*host]);
        let fresh = hosts.filter(|host| host.has_new_system());
        fresh.map(HostProgress::gated).collect()
    }

    /// Takes what a gate said. An answer to a question from before the wave was opened again counts for
    /// nothing: its hosts have changed since.
    pub(super) fn gated(
        &mut self,
        number: usize,
        gate: &str,
        asking: u64,
        answer: GateAnswer,
        now: Timestamp,
        out: &mut Vec<MachineCommand>,
    ) {
        let Some(wave) = self.waves.get_mut(number).filter(|wave| !wave.passed) else { return };
        let Some(watch) = &mut wave.watch else { return };
        let (passed, said) = match &answer {
            GateAnswer::Passed => (Some(true), None),
            GateAnswer::Failed(said) => (Some(false), Some(said.clone())),
            GateAnswer::NotMade(said) => (None, Some(said.clone())),
        };
        if watch.answered(gate, asking, answer, now) {
            let gate = gate.to_owned();
            let news = RolloutNews::Gate { wave: number + 1, gate, passed, said };
            out.push(MachineCommand::Tell(RunWhat::Rollout(news)));
        }
    }

    /// Returns whether a wave is watched, or waits for somebody to decide.
    pub(super) fn is_watching(&self) -> bool {
        let can_go_on = self.confirmed == Some(true) && !self.cancelled && self.halted.is_none();
        can_go_on && self.waves.iter().any(|wave| wave.watch.is_some() && !wave.passed)
    }

    /// Notes that a wave is not watched to its end: its hosts are switched, and nobody knows whether its gates
    /// would have passed.
    pub(super) fn note_unwatched(&mut self) {
        let is_open = |wave: &Wave| wave.watch.is_some() && !wave.passed;
        let Some(number) = self.waves.iter().position(is_open) else { return };
        let open = self.waves[number].asks.as_ref().map(|question| format!(" ({question})"));
        let text = format!(
            "the operator stopped the run while wave {} was watched: its gates have not passed{}",
            number + 1,
            open.unwrap_or_default()
        );
        self.errors.push(self.finding_of_run(&Reason::new(Code::RunStopped, text)));
    }

    /// Returns a reason as a finding of the whole run.
    fn finding_of_run(&self, why: &Reason) -> Finding {
        let subject = Subject::Run { run: self.run.clone(), host: None };
        Finding::new(subject, why.code, &why.text, &why.fix())
    }

    /// Returns why no other host may begin, when more hosts of a wave failed than may. A host that
    /// failed before it changed keeps a wave from its beginning; of a wave that has begun it holds the next
    /// one up, and not the hosts of its own.
    fn too_many_failed(&self, number: usize) -> Option<Reason> {
        let wave = &self.waves[number];
        let allowed = self.setup.rollout.max_failed.of(wave.hosts.len());
        let over = wave.hosts.iter().all(|host| self.hosts[*host].is_over());
        let all_count = over || !wave.began;
        let counts = |host: &&usize| {
            let host = &self.hosts[**host];
            let failed = host.back.is_none() && host.outcome().is_some_and(Outcome::is_trouble);
            failed && (all_count || host.was_changed())
        };
        let failed: Vec<usize> = wave.hosts.iter().filter(counts).copied().collect();
        if failed.len() <= allowed {
            return None;
        }
        let names: Vec<&str> =
            failed.iter().map(|host| self.hosts[*host].setup.name.as_str()).collect();
        let first = failed.iter().find_map(|host| self.hosts[*host].known.blemish.as_ref());
        // Why stands whole at the host's own end.
        let first = first.map(|reason| format!(" ({})", reason.code)).unwrap_or_default();
        let rule = match allowed {
            0 => String::new(),
            _ => format!(", more than max_failed = {} allows", self.setup.rollout.max_failed),
        };
        let text = format!("{} failed in wave {}{rule}{first}", names.join(", "), number + 1);
        Some(Reason::new(Code::WaveFailed, text))
    }

    /// Lets nobody begin any more since a wave did not hold and, where that is wanted, lets this
    /// run's hosts go back.
    fn break_wave(
        &mut self,
        number: usize,
        why: &Reason,
        now: Timestamp,
        out: &mut Vec<MachineCommand>,
    ) {
        if self.halted.is_some() {
            return;
        }
        self.tell_wave(number, WaveState::Failed, Some(why.text.clone()), None, out);
        let back = self.setup.rollout.on_failure == OnFailure::Rollback;
        self.halt(why.clone(), back, now, out);
        if back {
            self.take_back(RollbackScope::Run, why, now, out);
        }
    }

    /// Lets no other host begin to change. Those that have begun go on to their own end.
    pub(super) fn halt(
        &mut self,
        why: Reason,
        rollback: bool,
        now: Timestamp,
        out: &mut Vec<MachineCommand>,
    ) {
        let finding = self.finding_of_run(&why);
        // What a host failed with stands before that others were not begun for it.
        if why.code != Code::WaveFailed {
            self.errors.push(finding.clone());
        }
        // Where no host is left that could begin, the ends of the hosts say it all.
        let any_left = self.hosts.iter().any(|host| !host.is_over() && !host.has_begun());
        if any_left || rollback {
            let news = RolloutNews::Halted { finding, rollback };
            out.push(MachineCommand::Tell(RunWhat::Rollout(news)));
        }
        for index in 0..self.hosts.len() {
            let text = format!("not begun: {}", why.text);
            self.leave_out(
                index,
                Outcome::Skipped,
                Reason::new(Code::RolloutHalted, text),
                now,
                out,
            );
        }
        self.halted = Some(why);
    }

    /// Takes a host out of the run that has not begun to change; returns whether that can be done.
    pub(super) fn leave_out(
        &mut self,
        index: usize,
        outcome: Outcome,
        why: Reason,
        now: Timestamp,
        out: &mut Vec<MachineCommand>,
    ) -> bool {
        let host = &mut self.hosts[index];
        if host.is_over() || host.has_begun() {
            return false;
        }
        match host.stage {
            Stage::Waiting(_) => self.end(index, outcome, Some(why), now, out),
            Stage::Preparing(phase) | Stage::Running(phase) => {
                let line = why.to_string();
                host.leaves = Some((outcome, why));
                host.stop(phase, line, out);
            }
            Stage::Concluding(_) | Stage::Ended(_) => {}
        }
        true
    }

    /// Tells how a wave stands. A run of one wave without gates has nothing to tell.
    pub(super) fn tell_wave(
        &self,
        number: usize,
        state: WaveState,
        reason: Option<String>,
        until: Option<Timestamp>,
        out: &mut Vec<MachineCommand>,
    ) {
        if self.waves.len() < 2 && self.setup.rollout.gates.is_empty() {
            return;
        }
        out.push(MachineCommand::Tell(self.wave_news(number, state, reason, until)));
    }

    /// Returns how a wave stands, as it is told.
    fn wave_news(
        &self,
        number: usize,
        state: WaveState,
        reason: Option<String>,
        until: Option<Timestamp>,
    ) -> RunWhat {
        let (wave, of) = (number + 1, self.waves.len());
        RunWhat::Rollout(RolloutNews::Wave { wave, of, state, reason, until })
    }

    /// Returns what somebody has to decide about waves, as it was told.
    pub(super) fn open_questions(&self) -> Vec<RunWhat> {
        if self.cancelled || self.halted.is_some() {
            return Vec::new();
        }
        let open = self.waves.iter().enumerate().filter(|(_, wave)| !wave.passed);
        let asked = open.filter_map(|(number, wave)| Some((number, wave.asks.clone()?, wave)));
        let news = asked.map(|(number, asks, wave)| {
            let until = wave.question().and_then(|question| self.decided_until(question.until));
            self.wave_news(number, WaveState::Asks, Some(asks), until)
        });
        news.collect()
    }
}

/// Says what somebody has to decide.
pub(super) fn question(gate: &str, why: &str) -> String {
    match gate {
        Gate::SOAK => format!("the hosts at the end of the soak: {why}"),
        _ => format!("{gate}: {why}"),
    }
}
