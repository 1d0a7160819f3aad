//! What follows from the end of a phase, and of the hooks before one: the next phase, or the end of the host.

use super::host::{HostProgress, Stage, phase_held};
use super::{Machine, MachineCommand, elapsed, tell_phase, tell_wait};
use crate::deploy::report::lacks_specialisation;
use crate::deploy::{Ending, Failure, Reason, Report};
use crate::fleet::{Code, Goal, HookMoment, Outcome, Phase, PhaseState, RunWhat};
use jiff::Timestamp;

impl Machine {
    /// Takes the end of a phase.
    pub(super) fn done(
        &mut self,
        name: &str,
        phase: Phase,
        result: Result<Report, Failure>,
        now: Timestamp,
        out: &mut Vec<MachineCommand>,
    ) {
        let Some(index) = self.index_of(name) else { return };
        if self.hosts[index].stage != Stage::Running(phase) {
            return;
        }
        let host = &mut self.hosts[index];
        let hooks = host.prepared_in.filter(|_| phase == Phase::Activate).unwrap_or(0);
        host.took.insert(phase, elapsed(host.phase_began, now) + hooks);
        let report = match result {
            Ok(report) => report,
            Err(failure) => return self.fail(index, phase, failure, now, out),
        };
        if let Some(failure) = self.refused_specialisation(index, &report) {
            return self.fail(index, phase, failure, now, out);
        }
        // The phase that brought the end has run its hooks.
        self.hosts[index].owes_hooks &= !report.is_end();
        self.tell_answer(index, phase, now, out);
        self.choose_way(index, &report, out);
        let went_well = report.went_well();
        match self.hosts[index].take(report) {
            None => {
                let state = if went_well { PhaseState::Finished } else { PhaseState::Failed };
                tell_phase(out, name, phase, state);
                self.hosts[index].done.insert(phase);
                let out_of_run = self.hosts[index].leaves.take();
                match out_of_run {
                    // Whoever stopped it came too late for this phase, and before the next one.
                    Some((outcome, why)) if !self.hosts[index].has_begun_at(phase) => {
                        self.end(index, outcome, Some(why), now, out);
                    }
                    Some(_) | None => self.next(index, phase, now, out),
                }
            }
            // A run that was stopped begins nothing more, and who goes back is not restarted before.
            Some(ending)
                if !self.cancelled
                    && !self.is_to_go_back(index)
                    && self.hosts[index].restarts_after(phase, ending.outcome) =>
            {
                tell_phase(out, name, phase, PhaseState::Finished);
                self.hosts[index].known.only_restarts = ending.outcome == Outcome::Unchanged;
                self.hosts[index].kept = Some(ending);
                self.hosts[index].stage = Stage::Waiting(Phase::Reboot);
            }
            Some(ending) => {
                let held = phase_held(phase, ending.outcome);
                let state = if held { PhaseState::Finished } else { PhaseState::Failed };
                tell_phase(out, name, phase, state);
                self.end(index, ending.outcome, ending.reason, now, out);
            }
        }
    }

    /// Refuses a host that would lose its specialisation, which its new system lacks, though nobody is asked about it
    /// any more: the plan was confirmed, or nobody is asked at all.
    fn refused_specialisation(&self, index: usize, report: &Report) -> Option<Failure> {
        let Report::Compared { lacks_specialisation: Some(name), .. } = report else { return None };
        self.confirmed?;
        Some(lacks_specialisation(&self.hosts[index].setup.name, name))
    }

    /// Takes the end of the hooks before a host begins to change. Whoever stopped it came in time, even where they
    /// ended well.
    pub(super) fn prepared(
        &mut self,
        name: &str,
        phase: Phase,
        result: Result<(), Failure>,
        now: Timestamp,
        out: &mut Vec<MachineCommand>,
    ) {
        let Some(index) = self.index_of(name) else { return };
        let host = &mut self.hosts[index];
        if host.stage != Stage::Preparing(phase) {
            return;
        }
        let took = elapsed(host.phase_began, now);
        let leaves = host.leaves.take();
        let (outcome, reason) = match (leaves, result) {
            (Some(stopped), _) => stopped,
            (None, Ok(())) => {
                host.prepared_in = Some(took);
                host.stage = Stage::Waiting(phase);
                return;
            }
            (None, Err(failure)) => {
                tell_phase(out, name, phase, PhaseState::Failed);
                (failure.outcome, failure.reason)
            }
        };
        self.end(index, outcome, Some(reason), now, out);
    }

    /// Takes the end of the hooks after an attempt of a host, and ends that.
    pub(super) fn concluded(
        &mut self,
        name: &str,
        result: Result<(), Reason>,
        now: Timestamp,
        out: &mut Vec<MachineCommand>,
    ) {
        let Some(index) = self.index_of(name) else { return };
        let host = &mut self.hosts[index];
        let Some(ending) = host.concludes.take() else { return };
        let ending = match result {
            Ok(()) => ending,
            Err(failed) => ending.with_failed_hook(failed),
        };
        self.end(index, ending.outcome, ending.reason, now, out);
    }

    /// Lets a host go the way that its preflight chose, and says so where another host built for it in an
    /// earlier attempt.
    fn choose_way(&mut self, index: usize, report: &Report, out: &mut Vec<MachineCommand>) {
        let Report::Preflight(found) = report else { return };
        let Some(chosen) = &found.chosen else { return };
        let host = &mut self.hosts[index];
        let Some(before) = host.choose(&chosen.route) else { return };
        let (name, now_on) = (host.setup.name.clone(), host.setup.build_on());
        let line = format!(
            "{before} built it in an earlier attempt; it is built again on {now_on}, which does \
             not have that build: {}",
            chosen.why
        );
        out.push(MachineCommand::Tell(RunWhat::log(name, Phase::Preflight, line)));
    }

    /// Ends a host whose phase failed. One that was stopped ends as whoever stopped it said; one
    /// that is away is waited for, where that is wanted and no wave waits for it; one to which no way is left is asked about.
    fn fail(
        &mut self,
        index: usize,
        phase: Phase,
        failure: Failure,
        now: Timestamp,
        out: &mut Vec<MachineCommand>,
    ) {
        let is_away = failure.outcome == Outcome::Offline;
        let waits = self.setup.options.wait_offline && is_away && !self.holds_a_wave_up(index);
        let host = &mut self.hosts[index];
        let is_new_here = host.back.is_none() && host.left_degraded.is_none();
        if waits && phase == Phase::Preflight && host.leaves.is_none() && is_new_here {
            return self.set_aside(index, failure.reason, now, out);
        }
        self.tell_answer(index, phase, now, out);
        if self.asks_about(index, phase, &failure) {
            return self.ask_about(index, phase, failure.reason, now, out);
        }
        let host = &mut self.hosts[index];
        tell_phase(out, &host.setup.name, phase, PhaseState::Failed);
        if phase == Phase::Check && host.known.abort.is_some() {
            // The supervisor heard already that it shall go back; persist reads that it did.
            host.stage = Stage::Waiting(Phase::Persist);
            return;
        }
        let stopped = host.leaves.take().filter(|_| !host.has_begun_at(phase));
        let (outcome, reason) = stopped.unwrap_or((failure.outcome, failure.reason));
        self.end(index, outcome, Some(reason), now, out);
    }

    /// Moves a host to the phase after this one.
    pub(super) fn next(
        &mut self,
        index: usize,
        phase: Phase,
        now: Timestamp,
        out: &mut Vec<MachineCommand>,
    ) {
        if self.hosts[index].away.is_some() {
            return self.next_of_sleeper(index, phase, now, out);
        }
        if self.is_over_after(index, phase, now, out) {
            return;
        }
        let mut after = Phase::ALL.iter().copied().skip_while(|p| *p <= phase);
        loop {
            let goal = self.hosts[index].setup.goal;
            let Some(next) = after.next() else {
                self.end(index, Outcome::Switched, None, now, out);
                return;
            };
            if !goal.deploys() && next > Phase::Build {
                self.end(index, Outcome::Built, None, now, out);
                return;
            }
            let name = &self.hosts[index].setup.name;
            if !self.hosts[index].applies(next) {
                tell_phase(out, name, next, PhaseState::Skipped);
            } else if self.hosts[index].keeps(next) {
                tell_phase(out, name, next, PhaseState::Finished);
            } else {
                self.hosts[index].stage = Stage::Waiting(next);
                return;
            }
        }
    }

    /// Ends a host after a phase that shows that nothing is left to do.
    fn is_over_after(
        &mut self,
        index: usize,
        phase: Phase,
        now: Timestamp,
        out: &mut Vec<MachineCommand>,
    ) -> bool {
        let goes_back = self.hosts[index].setup.goal == Goal::Rollback;
        let decides = if goes_back { Phase::Preflight } else { Phase::Compare };
        let unchanged = phase == decides && self.is_unchanged(index);
        if unchanged && self.hosts[index].restarts_after(phase, Outcome::Unchanged) {
            self.restart_only(index, phase, out);
        } else if unchanged {
            let unwell = self.hosts[index].known.preflight.unwell.clone();
            let outcome = if unwell.is_some() { Outcome::Degraded } else { Outcome::Unchanged };
            self.end(index, outcome, unwell, now, out);
        }
        unchanged
    }

    /// Lets a host that has its system already, and was not started with it, only restart.
    fn restart_only(&mut self, index: usize, phase: Phase, out: &mut Vec<MachineCommand>) {
        let host = &mut self.hosts[index];
        host.known.only_restarts = true;
        host.stage = Stage::Waiting(Phase::Reboot);
        let text = "it has this system already and waits for a restart: it is only restarted";
        host.known.preflight.notes.push(Reason::new(Code::NeedsReboot, text));
        let left_out = Phase::ALL.iter().copied().filter(|other| *other > phase);
        for other in left_out.filter(|other| *other != Phase::Reboot) {
            tell_phase(out, &host.setup.name, other, PhaseState::Skipped);
        }
    }
}

/// Lets the hooks of a host run that come before it begins to change.
pub(super) fn prepare(
    host: &mut HostProgress,
    phase: Phase,
    moment: HookMoment,
    now: Timestamp,
    out: &mut Vec<MachineCommand>,
) {
    host.stage = Stage::Preparing(phase);
    host.owes_hooks = true;
    host.phase_began = now;
    host.waits_for = Some(host.hook_wait(moment, now));
    tell_wait(out, host, now);
    let (host, known) = (host.setup.clone(), Box::new(host.known.clone()));
    out.push(MachineCommand::Prepare { host, phase, known });
}

/// Lets the hooks of a host run that come after an attempt which ended so.
pub(super) fn conclude(
    host: &mut HostProgress,
    moment: HookMoment,
    ending: Ending,
    now: Timestamp,
    out: &mut Vec<MachineCommand>,
) {
    let phase = match host.stage {
        Stage::Preparing(phase)
        | Stage::Running(phase)
        | Stage::Waiting(phase)
        | Stage::Concluding(phase) => phase,
        Stage::Ended(_) => Phase::Activate,
    };
    host.stage = Stage::Concluding(phase);
    host.owes_hooks = false;
    host.waits_for = Some(host.hook_wait(moment, now));
    tell_wait(out, host, now);
    let outcome = ending.outcome;
    host.concludes = Some(ending);
    let (host, known) = (host.setup.clone(), Box::new(host.known.clone()));
    out.push(MachineCommand::Conclude { host, phase, known, outcome });
}
