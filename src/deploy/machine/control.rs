//! What people say to a run: stop, pause, leave a host out, try it again. `back.rs` has the way back.

use super::back::go_back_now;
use super::host::{Claim, HostProgress, Stage};
use super::rollout::Wave;
use super::{Machine, MachineCommand, known_anew, stopped_by_the_operator};
use crate::deploy::{Ending, LaterSystem, Reason};
use crate::fleet::{Code, Goal, Outcome, Phase, RolloutNews, RunOrder, RunWhat};
use jiff::Timestamp;

impl Machine {
    /// Does what somebody said, and tells that it was said, or why it is not done.
    pub(super) fn ordered(
        &mut self,
        order: RunOrder,
        now: Timestamp,
        out: &mut Vec<MachineCommand>,
    ) {
        let refused = self.refusal(&order);
        let news = RolloutNews::Order { order: order.clone(), refused: refused.clone() };
        out.push(MachineCommand::Tell(RunWhat::Rollout(news)));
        if refused.is_some() {
            return;
        }
        match order {
            RunOrder::Pause => self.pause(true, out),
            RunOrder::Resume => {
                if self.paused {
                    self.pause(false, out);
                }
                self.waves.iter_mut().for_each(|wave| wave.ask_again(now));
                for index in self.stuck_hosts() {
                    self.retry(index, out);
                }
            }
            RunOrder::Accept => {
                self.waves.iter_mut().for_each(Wave::vouch);
            }
            RunOrder::Skip { host } => {
                let why = Reason::new(Code::HostLeftOut, "the operator left it out");
                if let Some(index) = self.index_of(&host) {
                    self.leave_out(index, Outcome::Skipped, why, now, out);
                }
            }
            RunOrder::Retry { host } => {
                if let Some(index) = self.index_of(&host) {
                    self.retry(index, out);
                }
            }
            RunOrder::Rollback { scope } => {
                let why = Reason::new(Code::RunRolledBack, "the operator rolled it back");
                if self.halted.is_none() {
                    self.halt(why.clone(), true, now, out);
                }
                self.take_back(scope, &why, now, out);
            }
        }
    }

    /// Says why something is not done; nothing where it is.
    fn refusal(&self, order: &RunOrder) -> Option<String> {
        if self.cancelled {
            return Some("the run is being stopped".to_owned());
        }
        if self.finished {
            return Some("the run is over".to_owned());
        }
        let asks = self.waves.iter().find_map(Wave::question);
        match order {
            RunOrder::Pause => self.paused.then(|| "the run is paused already".to_owned()),
            RunOrder::Resume => match asks {
                Some(question) if question.needs_proof && !self.paused => Some(format!(
                    "{}. Try one of them again, accept it, or stop the run",
                    question.why
                )),
                Some(_) => None,
                None if self.paused || !self.stuck_hosts().is_empty() => None,
                None => Some("the run is not paused".to_owned()),
            },
            RunOrder::Accept => asks.is_none().then(|| match self.stuck_hosts().first() {
                Some(index) => {
                    let name = &self.hosts[*index].setup.name;
                    format!("no check waits for a decision; try {name} again, or leave it out")
                }
                None => "nothing waits for a decision".to_owned(),
            }),
            RunOrder::Skip { host } => self.may_skip(host),
            RunOrder::Retry { host } => self.may_retry(host),
            RunOrder::Rollback { .. } => self.may_roll_back(),
        }
    }

    /// Says why a host cannot be left out.
    fn may_skip(&self, name: &str) -> Option<String> {
        let Some(index) = self.index_of(name) else { return Some(no_such_host(name)) };
        let host = &self.hosts[index];
        if host.is_over() {
            return Some(format!("{name} is done already"));
        }
        if matches!(host.stage, Stage::Concluding(_)) {
            return Some(format!("{name} is done but for the hooks after its activation"));
        }
        host.has_begun().then(|| {
            format!("{name} has begun to activate; roll it back with its wave when it is done")
        })
    }

    /// Says why a host cannot be tried again.
    fn may_retry(&self, name: &str) -> Option<String> {
        let Some(index) = self.index_of(name) else { return Some(no_such_host(name)) };
        let host = &self.hosts[index];
        if host.stuck.is_some() {
            return None;
        }
        if let Some(failure) = &host.setup.set_aside {
            return Some(not_in_this_run(name, host.setup.goal, &failure.reason.text));
        }
        let Some(outcome) = host.outcome() else {
            return Some(format!("{name} is not done yet"));
        };
        if self.halted.is_some() {
            return Some(
                "this run begins no more hosts; deploy the host in a run of its own".to_owned(),
            );
        }
        if host.back.is_some() {
            return Some(format!("{name} was taken back"));
        }
        if outcome == Outcome::Unknown {
            return Some(format!("it is not known what {name} runs; look at it first"));
        }
        if outcome.is_good() {
            return Some(format!("{name} did not fail: {}", outcome.spoken()));
        }
        let broken = self.order_broken(index)?;
        Some(format!("{}; that one has to get its system first", broken.text))
    }

    /// Says why nothing can go back.
    fn may_roll_back(&self) -> Option<String> {
        let any = (0..self.hosts.len())
            .any(|index| self.hosts[index].has_begun() || self.may_go_back(index));
        (!any).then(|| "no host has its new system from this run".to_owned())
    }

    /// Pauses the run, or lets it go on.
    fn pause(&mut self, paused: bool, out: &mut Vec<MachineCommand>) {
        self.paused = paused;
        out.push(MachineCommand::Tell(RunWhat::Rollout(RolloutNews::Paused { paused })));
    }

    /// Lets a host begin again. What was evaluated, built and published is kept; preflight, compare,
    /// verify and all that follows are made again. One that has its new system keeps that until it has changed again.
    pub(super) fn retry(&mut self, index: usize, out: &mut Vec<MachineCommand>) {
        let brought = self.was_brought_another(index);
        let host = &mut self.hosts[index];
        host.note_degraded(brought);
        let mut known = std::mem::take(&mut host.known);
        host.known = known_anew(&mut known);
        host.known.drv = known.drv;
        host.known.toplevel = known.toplevel;
        host.known.later = known.later;
        // Who confirmed that is not asked again.
        host.known.leaves_specialisation = known.leaves_specialisation;
        host.begin_again(host.setup.first_phase());
        self.join_last_wave(index);
        let wave = self.hosts[index].wave;
        self.tell_again(index, "the operator tries it again", out);
        // The waves after its own wait for it, as far as they have not begun.
        if let Some(wave) = wave.and_then(|number| self.waves.get_mut(number)) {
            wave.open_again();
        }
    }

    /// Tells that a host begins again.
    pub(super) fn tell_again(&self, index: usize, why: &str, out: &mut Vec<MachineCommand>) {
        let host = &self.hosts[index];
        let news = RolloutNews::Again {
            host: host.setup.name.clone(),
            goal: host.setup.goal,
            goes_back: host.back.is_some(),
            attempt: host.known.attempt,
            reason: why.to_owned(),
        };
        out.push(MachineCommand::Tell(RunWhat::Rollout(news)));
    }

    /// Tells which system a host gets that was away, and takes the newest that was confirmed for it.
    pub(super) fn decide_for_awake(&mut self, index: usize, out: &mut Vec<MachineCommand>) {
        let host = &mut self.hosts[index];
        let newest = host.known.preflight.newest.take();
        let mut later_run = None;
        if let Some(newest) = newest {
            if host.known.toplevel.as_ref() != Some(&newest.toplevel) {
                host.forget_build();
            }
            host.known.drv = Some(newest.drv);
            host.known.toplevel = Some(newest.toplevel);
            host.known.preflight.source.clone_from(&newest.built_from);
            host.done.insert(Phase::Evaluate);
            later_run = Some(newest.run.clone());
            host.known.later = Some(LaterSystem { run: newest.run, built_from: newest.built_from });
        }
        let news = RolloutNews::Decided {
            host: host.setup.name.clone(),
            toplevel: host.known.toplevel.clone(),
            later_run,
        };
        out.push(MachineCommand::Tell(RunWhat::Rollout(news)));
    }

    /// Stops what can be stopped; a host that has begun to activate is told to go back. One that is
    /// on its way back goes on with that.
    pub(super) fn cancel(&mut self, now: Timestamp, out: &mut Vec<MachineCommand>) {
        if self.is_watching() {
            self.note_unwatched();
        }
        if !self.cancelled {
            let nothing_activates = !self.hosts.iter().any(|host| host.setup.goal.activates());
            let news = RolloutNews::Cancelled { nothing_activates };
            out.push(MachineCommand::Tell(RunWhat::Rollout(news)));
        }
        self.cancelled = true;
        let why = Reason::new(Code::RunStopped, "the operator stopped the run");
        for index in 0..self.hosts.len() {
            let stopped = stopped_by_the_operator();
            if self.leave_out(index, Outcome::Interrupted, stopped, now, out) {
                continue;
            }
            let host = &mut self.hosts[index];
            match host.stage {
                // One whose hooks run was left out above.
                Stage::Preparing(_)
                | Stage::Concluding(_)
                | Stage::Ended(_)
                | Stage::Running(Phase::Persist | Phase::Reboot) => {}
                // Its new system is permanent already; it is only not restarted.
                Stage::Waiting(Phase::Reboot) => {
                    if let Some(Ending { outcome, reason }) = host.kept.take() {
                        self.end(index, outcome, reason, now, out);
                    }
                }
                Stage::Waiting(phase) | Stage::Running(phase) => {
                    if host.back.is_none() {
                        go_back_now(host, phase, &why, now, out);
                    }
                }
            }
        }
    }
}

impl HostProgress {
    /// Stops the phase that the host is in, or the hooks before it, and says in its log why.
    pub(super) fn stop(&self, phase: Phase, why: String, out: &mut Vec<MachineCommand>) {
        let host = self.setup.name.clone();
        out.push(MachineCommand::Tell(RunWhat::log(host.clone(), phase, why)));
        out.push(MachineCommand::Stop { host, phase });
    }

    /// Goes back to the beginning of a host's run.
    pub(super) fn begin_again(&mut self, first: Phase) {
        self.stage = Stage::Waiting(first);
        self.waits_for = None;
        self.leaves = None;
        self.away = None;
        self.stuck = None;
        self.changed = false;
        self.kept = None;
        self.has_place = false;
        self.claim = Claim::None;
        self.known.only_restarts = false;
        self.prepared_in = None;
        self.owes_hooks = false;
        self.concludes = None;
    }
}

/// Says that a run has no system for a host that was set aside before it began, since `why`.
fn not_in_this_run(name: &str, goal: Goal, why: &str) -> String {
    let why = why.strip_prefix(&format!("{name}: ")).unwrap_or(why);
    let what = match goal {
        Goal::Rollback => "roll it back",
        Goal::Build => "build it",
        Goal::Switch | Goal::Boot | Goal::Test | Goal::DryActivate => "deploy it",
    };
    format!(
        "{name} was set aside before the run began ({why}), so this run has no system for it; {what} \
         in a run of its own"
    )
}

/// Says that a run has no such host.
fn no_such_host(name: &str) -> String {
    format!("the run has no host {name}")
}
