//! One host's part of a run: where it is, and what is known of it.

use super::left_degraded::LeftDegraded;
use super::watch::later;
use crate::deploy::attempt::{counted, with_what_was_found};
use crate::deploy::{
    Activation, Ending, GatedHost, GivenPlace, HostSetup, Reason, Report, RunFacts,
};
use crate::fleet::{Code, Goal, HookMoment, HostResult, Outcome, Phase, Route, StorePath, Wait};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Where a host is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stage {
    /// The hooks before a phase run. Nothing has begun to change.
    Preparing(Phase),
    /// A phase runs.
    Running(Phase),
    /// The next phase waits for something.
    Waiting(Phase),
    /// The hooks after an attempt run that ended in this phase.
    Concluding(Phase),
    /// Over.
    Ended(Outcome),
}

/// How far a host is with claiming its places in budgets.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Claim {
    /// It has none, and claims none.
    None,
    /// It claims them, and waits for this.
    Asked(Wait),
    /// It has them.
    Held,
}

/// Why a host waits for somebody to decide, and until when.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stuck {
    pub(super) why: Reason,
    pub(super) until: Timestamp,
}

/// A host's run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HostProgress {
    pub(super) setup: HostSetup,
    pub(super) stage: Stage,
    pub(super) known: RunFacts,
    pub(super) began: Timestamp,
    /// When the phase that runs began, or the hooks before it.
    pub(super) phase_began: Timestamp,
    /// How long the hooks took that run before it begins to change, in milliseconds; none where they have not ended
    /// well in this attempt.
    pub(super) prepared_in: Option<u64>,
    /// Whether hooks before it changes were begun in this attempt, and those after it were not.
    pub(super) owes_hooks: bool,
    /// How its attempt ended, while the hooks after that run.
    pub(super) concludes: Option<Ending>,
    /// How long phases took, in milliseconds.
    pub(super) took: BTreeMap<Phase, u64>,
    pub(super) waits_for: Option<Wait>,
    /// How it stood when its new system was permanent, where it is restarted then.
    pub(super) kept: Option<Ending>,
    /// Its wave, from 0, once the plan is made.
    pub(super) wave: Option<usize>,
    /// The hosts that it is to go after and that its plan says are away or set aside: whoever confirmed that lets it go
    /// without them.
    pub(super) goes_without: BTreeSet<usize>,
    /// How it ends when the phase that runs has ended or was stopped, and why: somebody said so.
    pub(super) leaves: Option<(Outcome, Reason)>,
    /// Since when it is away, and when it is tried next; such a host is waited for.
    pub(super) away: Option<(Timestamp, Timestamp)>,
    /// Why no way is left by which its system could reach it, while somebody may still decide.
    pub(super) stuck: Option<Stuck>,
    /// Whether it has one of the places of `rollout.parallel`: from its fetch to its end, but for the times at which
    /// it waits for what others have to do first, or for a decision.
    pub(super) has_place: bool,
    /// Its places in budgets.
    pub(super) claim: Claim,
    /// How many times it claimed them: the number of the newest claim.
    pub(super) claims: u64,
    /// The phases that ended well.
    pub(super) done: BTreeSet<Phase>,
    /// Whether it has begun to change in this attempt.
    pub(super) changed: bool,
    /// How an earlier attempt left it, where that brought it the new system and it still has that.
    pub(super) left_degraded: Option<LeftDegraded>,
    /// When its newest attempt ended.
    pub(super) ended_at: Option<Timestamp>,
    /// Why it goes back to the system that ran before this run.
    pub(super) back: Option<Reason>,
    /// The system that this run brought, where it goes back.
    pub(super) brought: Option<StorePath>,
}

impl HostProgress {
    /// Makes a host that begins now.
    pub(super) fn new(setup: HostSetup, now: Timestamp) -> Self {
        let first = setup.first_phase();
        let known = RunFacts { attempt: 1, ..known_of(&setup) };
        Self {
            setup,
            stage: Stage::Waiting(first),
            known,
            began: now,
            phase_began: now,
            prepared_in: None,
            owes_hooks: false,
            concludes: None,
            took: BTreeMap::new(),
            waits_for: None,
            kept: None,
            wave: None,
            goes_without: BTreeSet::new(),
            leaves: None,
            away: None,
            stuck: None,
            has_place: false,
            claim: Claim::None,
            claims: 0,
            done: BTreeSet::new(),
            changed: false,
            left_degraded: None,
            ended_at: None,
            back: None,
            brought: None,
        }
    }

    /// Returns whether the host's run has ended.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Ended(_))
    }

    /// Returns whether it is restarted after a phase that brought this outcome.
    pub(super) fn restarts_after(&self, phase: Phase, outcome: Outcome) -> bool {
        let is_permanent =
            outcome.is_permanent() || outcome == Outcome::Unchanged && self.waits_for_restart();
        self.setup.reboot.is_some() && is_permanent && phase != Phase::Reboot
    }

    /// Returns whether it was started with another system than the one of this run.
    pub(super) fn waits_for_restart(&self) -> bool {
        let toplevel = self.known.toplevel.as_ref();
        toplevel.is_some_and(|toplevel| self.known.preflight.started_another(toplevel))
    }

    /// Returns whether it is on its way back in a phase: it was told to go back, and its activation has ended.
    pub(super) fn goes_back_in(&self, phase: Phase) -> bool {
        self.known.abort.is_some() && phase > Phase::Activate && phase != Phase::Reboot
    }

    /// Returns how it ended.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        match self.stage {
            Stage::Ended(outcome) => Some(outcome),
            Stage::Preparing(_) | Stage::Running(_) | Stage::Waiting(_) | Stage::Concluding(_) => {
                None
            }
        }
    }

    /// Returns the phase with which it begins to change.
    pub(super) fn changes_at(&self) -> Phase {
        self.setup.goal.changes_at(self.known.only_restarts)
    }

    /// Returns whether a host changes, or did, while this phase runs.
    pub(super) fn has_begun_at(&self, phase: Phase) -> bool {
        self.setup.goal.deploys() && phase >= self.changes_at()
    }

    /// Returns whether a host has begun to change, so that only its supervisor ends that, or has ended but for its hooks.
    pub(super) fn has_begun(&self) -> bool {
        match self.stage {
            Stage::Running(phase) => self.has_begun_at(phase),
            Stage::Waiting(phase) => self.setup.goal.deploys() && phase > self.changes_at(),
            Stage::Concluding(_) => true,
            Stage::Preparing(_) | Stage::Ended(_) => false,
        }
    }

    /// Returns the hooks that have to run before a phase: before the host begins to change, once in an attempt.
    pub(super) fn hooks_before(&self, phase: Phase) -> Option<HookMoment> {
        let moment = HookMoment::before_activation(self.setup.goal, self.setup.goes_back())?;
        let is_due = phase == Phase::Activate && self.prepared_in.is_none();
        (is_due && self.setup.hooks.contains_key(&moment)).then_some(moment)
    }

    /// Returns the hooks that have to run after an attempt that ends so: after those before it changed, once.
    pub(super) fn hooks_after(&self, outcome: Outcome) -> Option<HookMoment> {
        let moment = HookMoment::after_attempt(self.setup.goal, self.setup.goes_back(), outcome)?;
        (self.owes_hooks && self.setup.hooks.contains_key(&moment)).then_some(moment)
    }

    /// Returns what it waits for while its hooks of a moment run that begin now.
    pub(super) fn hook_wait(&self, moment: HookMoment, now: Timestamp) -> Wait {
        let limit = self.setup.hooks.get(&moment);
        Wait::Hook { moment, until: limit.map(|limit| later(now, *limit)) }
    }

    /// Returns whether a phase applies to the host's route and to what is done to it.
    pub(super) fn applies(&self, phase: Phase) -> bool {
        let (setup, goal) = (&self.setup, self.setup.goal);
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
            Phase::Acknowledge => goal.activates() && setup.activation.magic_rollback(),
            // What goes back need not be looked at, and does not settle.
            Phase::Check | Phase::Settle => {
                self.applies(Phase::Acknowledge) && self.known.abort.is_none()
            }
            Phase::Persist => goal != Goal::DryActivate,
            // It follows only a system that was made permanent.
            Phase::Reboot => false,
        }
    }

    /// Returns whether a phase need not be repeated: it ended well in an earlier attempt, and what it
    /// did does not go away.
    pub(super) fn keeps(&self, phase: Phase) -> bool {
        let lasts = matches!(phase, Phase::Evaluate | Phase::Build | Phase::Publish);
        lasts && self.done.contains(&phase)
    }

    /// Returns whether the host runs, or will boot, the system that this run is about: one of a wave that
    /// ended unchanged got it from somebody else meanwhile.
    pub(super) fn has_new_system(&self) -> bool {
        let has = |outcome: Outcome| outcome.is_new_system() || outcome == Outcome::Unchanged;
        self.back.is_none() && self.outcome().is_some_and(has)
    }

    /// Returns what a gate is told of it.
    pub(super) fn gated(&self) -> GatedHost {
        let code = self.known.blemish.as_ref().map(|reason| reason.code);
        let outcome = self.outcome();
        let is_of_others = outcome == Some(Outcome::Unchanged);
        let starts_later = matches!(outcome, Some(Outcome::Booted | Outcome::NeedsReboot))
            || is_of_others && self.setup.goal == Goal::Boot;
        let ended_elsewhere = outcome == Some(Outcome::Degraded)
            && matches!(
                code,
                Some(Code::SystemUnexpected | Code::OtherSystemStarted | Code::NotRestarted)
            );
        // In which start of the machine the deploy of somebody else ended, or its own restart, is not known.
        let is_judged = !is_of_others && !ended_elsewhere;
        let boot_id = self.known.activated_in.clone();
        let boot_id = boot_id.filter(|_| is_judged && self.kept.is_none());
        let mut known = self.known.clone();
        // An attempt that ended early may not have looked.
        known.preflight.failed_units.clone_from(&self.found_before().failed_units);
        GatedHost {
            name: self.setup.name.clone(),
            known,
            may_run_before: starts_later || ended_elsewhere,
            ended_at: self.ended_at.filter(|_| is_judged && boot_id.is_none()),
            boot_id,
        }
    }

    /// Returns whether its new system was confirmed there before.
    pub(super) fn returns(&self) -> bool {
        let toplevel = self.known.toplevel.as_ref();
        toplevel.is_some_and(|path| self.known.preflight.confirmed.contains(path))
    }

    /// Takes the way that was chosen for this attempt. What an earlier attempt built on another host is
    /// not on the one that builds now, and what it published is in another tier: both are made again.
    /// Returns the host that built before, where its work is not used.
    pub(super) fn choose(&mut self, route: &Route) -> Option<String> {
        let before = std::mem::replace(&mut self.setup.route, route.clone());
        let built_on = before.builder(&self.setup.name);
        if built_on == self.setup.build_on() {
            if before.tier() != route.tier() {
                self.done.remove(&Phase::Publish);
            }
            return None;
        }
        let built_on = self.done.contains(&Phase::Build).then(|| built_on.to_owned());
        self.forget_build();
        built_on
    }

    /// Forgets what an earlier attempt built and published: it is not what this one needs.
    pub(super) fn forget_build(&mut self) {
        self.done.remove(&Phase::Build);
        self.done.remove(&Phase::Publish);
        self.known.built = 0;
        self.known.substituted.clear();
    }

    /// Takes what a phase found; returns the end of the host's run, when it is that.
    pub(super) fn take(&mut self, report: Report) -> Option<Ending> {
        match report {
            Report::Preflight(preflight) => {
                self.known.preflight = *preflight;
                self.look_at_what_was_left();
                let ending = self.replaced_by_others();
                if ending.is_none() {
                    self.leave_profile_of_others();
                }
                return ending;
            }
            Report::Evaluated { drv, toplevel } => {
                self.known.drv = Some(drv);
                self.known.toplevel = Some(toplevel);
            }
            Report::Compared { to_build, to_download, changes, lacks_specialisation, notes } => {
                self.known.preflight.notes.extend(notes);
                if let Some(name) = lacks_specialisation {
                    self.leave_specialisation(&name);
                }
                self.known.changes = changes;
                self.known.to_build = to_build;
                self.known.to_download = to_download;
            }
            Report::Built { built, substituted } => {
                self.known.built = built;
                self.known.substituted = substituted;
            }
            Report::Fetched { fetched, taken } => {
                // An earlier attempt may have fetched some.
                for (from, got) in fetched {
                    self.known.fetched.entry(from).or_default().add(got);
                }
                self.known.taken = Some(taken);
            }
            Report::Activated(Activation::Runs(remarks)) => {
                self.known.blemish = remarks.blemish();
                self.known.remarks = remarks;
            }
            Report::Acknowledged { boot_id } => self.known.activated_in = boot_id,
            Report::Activated(Activation::Decided(ending)) => return Some(ending),
            Report::Rebooted(ending) => return Some(self.after_restart(ending)),
            Report::Checked { new_failed_units, broken } => {
                if let Some(first) = new_failed_units.first() {
                    let units: Vec<_> = new_failed_units.iter().map(ToString::to_string).collect();
                    let text = format!("{} failed; see `systemctl status` there", units.join(", "));
                    self.known.blemish = Some(Reason::units_failed(text, &first.name));
                }
                if !broken.is_empty() {
                    let why = format!("a check failed: {}", broken.join("; "));
                    self.known.abort.get_or_insert(Reason::new(Code::CheckFailed, why));
                }
            }
            Report::AddressesLost(lost) => {
                let why = format!(
                    "{} answered before the activation and does not any more",
                    lost.join(", ")
                );
                self.known.abort.get_or_insert(Reason::new(Code::AddressLost, why));
            }
            Report::Persisted(ending) => return Some(self.judge(ending)),
            Report::Done => {}
        }
        None
    }

    /// Lets the system itself be activated, since that lacks the specialisation that runs, and says so on the plan.
    fn leave_specialisation(&mut self, name: &str) {
        self.known.leaves_specialisation = true;
        let notes = &mut self.known.preflight.notes;
        notes.retain(|note| note.code != Code::SpecialisationKept);
        let text = format!(
            "it runs the specialisation {name}, which the new system does not have: if you say yes, the system \
             itself is activated"
        );
        notes.push(Reason::new(Code::SpecialisationMissing, text));
    }

    /// Ends the host's run and returns how it ended, in full.
    pub(super) fn end(
        &mut self,
        outcome: Outcome,
        reason: Option<Reason>,
        duration_ms: u64,
    ) -> HostResult {
        let outcome = self.with_what_was_brought(outcome);
        let ended = counted(self.before_this_attempt(), Ending { outcome, reason });
        let outcome = ended.outcome;
        self.stage = Stage::Ended(outcome);
        self.has_place = false;
        self.waits_for = None;
        self.leaves = None;
        self.away = None;
        self.stuck = None;
        if outcome != Outcome::Unchanged && !ended.reasons.is_empty() {
            self.known.blemish = ended.reasons.first().cloned();
        }
        HostResult {
            outcome,
            attempt: Some(self.known.attempt),
            toplevel: self.known.toplevel.clone(),
            previous: self.found_before().running.clone(),
            duration_ms,
            built: self.known.built,
            phases: self.took.clone(),
            build_on: Some(self.setup.build_on().to_owned()),
            taken: self.known.taken.clone(),
            substituted: self.known.substituted.clone(),
            fetched: self.known.fetched.clone(),
            error: ended.error(),
            findings: ended.findings(&self.setup.name),
        }
    }

    /// Returns the ending with what the checks found: a system that stays with failed units is
    /// degraded.
    fn judge(&self, ending: Ending) -> Ending {
        let blemish = self.known.blemish.clone().filter(|_| self.setup.goal.activates());
        let ending = with_what_was_found(blemish, ending);
        match ending.outcome {
            Outcome::Switched | Outcome::Tested if ending.reason.is_none() => {
                Ending { reason: self.known.remarks.note(), ..ending }
            }
            _ => ending,
        }
    }
}

/// Returns whether the phase that brought this outcome did its work.
pub(super) fn phase_held(phase: Phase, outcome: Outcome) -> bool {
    match outcome {
        Outcome::Degraded => matches!(phase, Phase::Persist | Phase::Reboot),
        other => other.is_good(),
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
