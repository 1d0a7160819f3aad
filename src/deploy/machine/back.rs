//! The way back of hosts to the systems that they ran before the run: by a deploy of their own or, of those that are
//! at it, through their supervisors.

use super::host::{HostProgress, Stage};
use super::watch::later;
use super::{Machine, MachineCommand, known_anew, tell_wait};
use crate::deploy::{Ending, GivenPlace, GivenSystem, Reason, WayBack};
use crate::fleet::{
    Code, Goal, Outcome, Phase, RollbackScope, Route, RunWhat, StorePath, Strategy, Wait,
};
use jiff::Timestamp;

/// Which hosts of a run go back, and why.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GoingBack {
    /// Those of this wave; none: those of the whole run.
    wave: Option<usize>,
    why: Reason,
}

impl Machine {
    /// Returns whether a host can go back: it has the new system from this run, and had another one before.
    pub(super) fn can_go_back(&self, index: usize) -> bool {
        self.was_brought_another(index) && self.hosts[index].before().is_some()
    }

    /// Returns whether a host has a system from this run that it did not run or boot before, or lost its specialisation
    /// in it.
    pub(super) fn was_brought_another(&self, index: usize) -> bool {
        let host = &self.hosts[index];
        let left_special =
            self.setup.options.without_specialisation && host.specialisation_before().is_some();
        let toplevel = host.known.toplevel.as_ref();
        let is_another = host.before() != toplevel;
        // It may have run the system already, and booted another.
        let profile = host.found_before().profile.as_ref();
        let boots_another = host.setup.goal.persists() && profile.is_some() && profile != toplevel;
        host.was_brought_its_system() && (is_another || boots_another || left_special)
    }

    /// Returns whether a host has the new system from this run, or may be getting it, and is not on its way back.
    pub(super) fn may_go_back(&self, index: usize) -> bool {
        let host = &self.hosts[index];
        let is_tried_again = host.left_degraded.as_ref().is_some_and(|left| left.brought);
        let may_have = host.has_begun() || !host.is_over() && is_tried_again;
        self.can_go_back(index) || may_have && host.back.is_none()
    }

    /// Lets hosts go back to what they ran before this run. The newest wave is the newest of which a host
    /// has its new system now, or is getting it: when its hosts have gone back, those of the wave before it
    /// stay. A run that goes back as a whole goes on with that.
    pub(super) fn take_back(
        &mut self,
        scope: RollbackScope,
        why: &Reason,
        now: Timestamp,
        out: &mut Vec<MachineCommand>,
    ) {
        let goes_all = self.going_back.as_ref().is_some_and(|back| back.wave.is_none());
        let wave = match scope {
            RollbackScope::Wave if !goes_all => {
                let meant = (0..self.hosts.len()).filter(|index| self.may_go_back(*index));
                meant.map(|index| self.wave_of(index)).max()
            }
            RollbackScope::Run | RollbackScope::Wave => None,
        };
        self.going_back = Some(GoingBack { wave, why: why.clone() });
        self.follow_back(now, out);
    }

    /// Lets the hosts go back that the run takes back: those that have their new system by a deploy of
    /// their own, those that are at it through their supervisor, and those that are just being made
    /// permanent or restarted as soon as they are done.
    pub(super) fn follow_back(&mut self, now: Timestamp, out: &mut Vec<MachineCommand>) {
        let Some(GoingBack { wave, why }) = self.going_back.clone() else { return };
        for index in 0..self.hosts.len() {
            if !self.is_of_wave(index, wave) || !self.can_go_back(index) {
                continue;
            }
            let host = &mut self.hosts[index];
            let Some(toplevel) = host.before().cloned() else { continue };
            let specialisation = host.specialisation_before().map(str::to_owned);
            let profile = host.found_before().profile.clone();
            host.setup.degraded = None;
            let text = match host.known.blemish.take().filter(|_| host.is_left_degraded()) {
                Some(own) => format!("{}; what was wrong there: {}", why.text, own.text),
                None => why.text.clone(),
            };
            host.back = Some(Reason::new(Code::RunRolledBack, text));
            host.brought = host.known.toplevel.take();
            let withdraws = host.brought.clone().filter(|brought| *brought != toplevel);
            host.setup.way_back = Some(WayBack { profile, withdraws });
            host.left_degraded = None;
            host.setup.goal = match host.setup.goal {
                goal @ (Goal::Test | Goal::Boot) => goal,
                Goal::Build | Goal::Switch | Goal::DryActivate | Goal::Rollback => Goal::Rollback,
            };
            host.setup.given = Some(GivenSystem {
                specialisation,
                ..GivenSystem::new(toplevel.clone(), GivenPlace::Kept)
            });
            // A restart would end what it ran before, where it booted another system then.
            if *host.setup.permanent(&toplevel) != toplevel {
                host.setup.reboot = None;
            }
            // It is there already, and needs neither a builder nor a cache.
            host.setup.route = Route::Direct;
            host.setup.asked = Strategy::Direct;
            host.known = known_anew(&mut host.known);
            host.known.toplevel = Some(toplevel);
            host.begin_again(Phase::Preflight);
            self.tell_again(index, &why.text, out);
        }
        for index in 0..self.hosts.len() {
            if !self.is_of_wave(index, wave) {
                continue;
            }
            let host = &mut self.hosts[index];
            let (Stage::Running(phase) | Stage::Waiting(phase)) = host.stage else { continue };
            let is_permanent = matches!(phase, Phase::Persist | Phase::Reboot);
            if host.has_begun() && host.back.is_none() && !is_permanent {
                go_back_now(host, phase, &why, now, out);
            }
        }
    }

    /// Returns whether a host goes back as soon as it is done with what it is at.
    pub(super) fn is_to_go_back(&self, index: usize) -> bool {
        let is_meant = |back: &GoingBack| self.is_of_wave(index, back.wave);
        self.hosts[index].back.is_none() && self.going_back.as_ref().is_some_and(is_meant)
    }

    /// Returns whether a host is of a wave, from 0; without one, every host is.
    fn is_of_wave(&self, index: usize, wave: Option<usize>) -> bool {
        wave.is_none_or(|wave| self.wave_of(index) == wave)
    }
}

impl HostProgress {
    /// Returns whether it ended with its new system, and something is wrong with that.
    fn is_left_degraded(&self) -> bool {
        self.outcome() == Some(Outcome::Degraded)
    }

    /// Returns whether this run brought the host the system that it runs, or will boot. Who was only
    /// restarted got nothing of this run that could be taken back.
    pub(super) fn was_brought_its_system(&self) -> bool {
        let is_new = self.outcome().is_some_and(Outcome::is_new_system);
        let by_this_run =
            self.left_degraded.as_ref().map_or(!self.known.only_restarts, |left| left.brought);
        self.back.is_none() && is_new && by_this_run
    }

    /// Returns the system that it ran before this run.
    pub(super) fn before(&self) -> Option<&StorePath> {
        let preflight = self.found_before();
        match self.setup.goal {
            Goal::Boot => preflight.profile.as_ref(),
            Goal::Switch | Goal::Test | Goal::DryActivate | Goal::Build | Goal::Rollback => {
                // Of a host that runs a specialisation, the system that it belongs to.
                let special = preflight.deploys.specialisation.as_ref();
                special.map(|special| &special.system).or(preflight.running.as_ref())
            }
        }
    }

    /// Returns the name of the specialisation of that system which it ran.
    fn specialisation_before(&self) -> Option<&str> {
        let special = self.found_before().deploys.specialisation.as_ref()?;
        (self.setup.goal != Goal::Boot).then_some(special.name.as_str())
    }

    /// Returns how a host ends that goes back and has meanwhile got another system from somebody else:
    /// that one is not touched.
    pub(super) fn replaced_by_others(&self) -> Option<Ending> {
        let (Some(brought), Some(target)) = (&self.brought, &self.known.toplevel) else {
            return None;
        };
        let found = &self.known.preflight;
        let boots = self.setup.goal == Goal::Boot;
        let now = if boots { &found.profile } else { &found.running };
        let now = now.as_ref()?;
        let is_now = |system| if boots { now == system } else { found.runs(system) };
        if is_now(target) || is_now(brought) {
            return None;
        }
        let text = format!(
            "{}: somebody else has deployed {now} since this run brought {brought}, so it is not taken back",
            self.setup.name
        );
        let reason = Some(Reason::new(Code::Superseded, text));
        Some(Ending { outcome: Outcome::Superseded, reason })
    }

    /// Leaves the profile of a host that goes back as it is, where somebody else set it to another system since this
    /// run brought its own: what is booted next is theirs.
    pub(super) fn leave_profile_of_others(&mut self) {
        let (Some(brought), Some(target)) = (&self.brought, &self.known.toplevel) else { return };
        let Some(way_back) = &mut self.setup.way_back else { return };
        let Some(now) = &self.known.preflight.profile else { return };
        let is_known =
            [Some(brought), Some(target), way_back.profile.as_ref()].contains(&Some(now));
        if is_known || self.setup.goal != Goal::Rollback {
            return;
        }
        let text = format!(
            "somebody else set {now} to be booted next since this run brought {brought}: that is left as it is"
        );
        way_back.profile = Some(now.clone());
        self.setup.reboot = None;
        self.known.preflight.notes.push(Reason::new(Code::Superseded, text));
    }
}

/// Lets a host go back that runs the new system, or will when its activation ends, which cannot be
/// interrupted.
pub(super) fn go_back_now(
    host: &mut HostProgress,
    phase: Phase,
    why: &Reason,
    now: Timestamp,
    out: &mut Vec<MachineCommand>,
) {
    if host.known.abort.is_some() {
        return;
    }
    host.known.abort = Some(why.clone());
    let name = host.setup.name.clone();
    out.push(MachineCommand::Abort { host: name.clone(), why: why.clone() });
    if phase == Phase::Check && host.stage == Stage::Running(phase) {
        host.stop(phase, format!("its checks are stopped, since it goes back: {}", why.text), out);
    }
    let wait = if phase == Phase::Activate {
        let until = later(host.phase_began, host.setup.activation.timeout());
        let wait = Wait::Activation { until: Some(until) };
        let line = format!("{name} is being activated: waiting for {}", wait.sentence(now));
        out.push(MachineCommand::Tell(RunWhat::log(name, phase, line)));
        wait
    } else {
        Wait::WayBack
    };
    host.waits_for = Some(wait);
    tell_wait(out, host, now);
}
