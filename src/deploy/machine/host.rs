//! One host's part of a run: where it is, and what is known of it.

use crate::deploy::{Activation, Ending, HostSetup, Reason, Report, RunFacts, Setup};
use crate::fleet::{Code, HostResult, Outcome, Phase, Wait};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Where a host is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stage {
    /// A phase runs.
    Running(Phase),
    /// The next phase waits for something.
    Waiting(Phase),
    /// Over.
    Ended(Outcome),
}

/// A host's run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HostProgress {
    pub(super) setup: HostSetup,
    pub(super) stage: Stage,
    pub(super) known: RunFacts,
    pub(super) began: Timestamp,
    /// When the phase that runs began.
    pub(super) phase_began: Timestamp,
    /// How long phases took, in milliseconds.
    pub(super) took: BTreeMap<Phase, u64>,
    pub(super) waits_for: Option<Wait>,
    /// How it stood when its new system was permanent, where it is restarted then.
    pub(super) kept: Option<Ending>,
}

impl HostProgress {
    /// Returns whether the host's run has ended.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Ended(_))
    }

    /// Returns whether it is restarted after a phase that brought this outcome.
    pub(super) fn restarts_after(&self, phase: Phase, outcome: Outcome) -> bool {
        let is_permanent = match outcome {
            Outcome::Switched | Outcome::Booted | Outcome::NeedsReboot => true,
            Outcome::Tested
            | Outcome::Dry
            | Outcome::Built
            | Outcome::Unchanged
            | Outcome::Degraded
            | Outcome::RolledBack
            | Outcome::Superseded
            | Outcome::Unknown
            | Outcome::Failed
            | Outcome::Offline
            | Outcome::Skipped
            | Outcome::Interrupted => false,
        };
        self.setup.reboot.is_some() && is_permanent && phase != Phase::Reboot
    }

    /// Returns whether the host takes one of the places of `rollout.parallel`.
    pub(super) fn has_place(&self) -> bool {
        match self.stage {
            Stage::Running(phase) => phase >= Phase::Fetch,
            Stage::Waiting(phase) => {
                phase > Phase::Fetch && self.setup.route.travels() && !self.setup.last
            }
            Stage::Ended(_) => false,
        }
    }

    /// Takes what a phase found; returns the end of the host's run, when it is that.
    pub(super) fn take(&mut self, report: Report, setup: &Setup) -> Option<Ending> {
        match report {
            Report::Preflight(preflight) => {
                if let Some(chosen) = &preflight.chosen {
                    self.setup.route = chosen.route.clone();
                }
                self.known.preflight = preflight;
            }
            Report::Evaluated { drv, toplevel } => {
                self.known.drv = Some(drv);
                self.known.toplevel = Some(toplevel);
            }
            Report::Compared { to_build, to_download, changes } => {
                self.known.changes = changes;
                self.known.to_build = to_build;
                self.known.to_download = to_download;
            }
            Report::Built { built, substituted } => {
                self.known.built = built;
                self.known.substituted = substituted;
            }
            Report::Fetched { fetched, taken } => {
                self.known.fetched = fetched;
                self.known.taken = Some(taken);
            }
            Report::Activated(Activation::Runs(remarks)) => {
                self.known.blemish = remarks.blemish();
                self.known.remarks = remarks;
            }
            Report::Activated(Activation::Decided(ending)) => return Some(ending),
            Report::Checked { new_failed_units, broken } => {
                if !new_failed_units.is_empty() {
                    let units = new_failed_units.join(", ");
                    let text = format!("{units} failed; see `systemctl status` there");
                    self.known.blemish = Some(Reason::new(Code::UnitsFailed, text));
                }
                if !broken.is_empty() {
                    let why = format!("a check did not hold: {}", broken.join("; "));
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
            Report::Persisted(ending) => return Some(self.judge(ending, setup)),
            Report::Rebooted(ending) => return Some(ending),
            Report::Done => {}
        }
        None
    }

    /// Ends the host's run and returns how it ended, in full.
    pub(super) fn end(
        &mut self,
        outcome: Outcome,
        reason: Option<Reason>,
        duration_ms: u64,
    ) -> HostResult {
        self.stage = Stage::Ended(outcome);
        if !matches!(outcome, Outcome::Unchanged) && reason.is_some() {
            self.known.blemish.clone_from(&reason);
        }
        let findings = reason.iter().map(|reason| reason.finding(&self.setup.name)).collect();
        HostResult {
            outcome,
            toplevel: self.known.toplevel.clone(),
            previous: self.known.preflight.running.clone(),
            duration_ms,
            built: self.known.built,
            phases: self.took.clone(),
            build_on: Some(self.setup.build_on().to_owned()),
            taken: self.known.taken.clone(),
            substituted: self.known.substituted.clone(),
            fetched: self.known.fetched.clone(),
            error: reason.map(|reason| reason.text),
            findings,
        }
    }

    /// Returns the ending with what the checks found: a system that stays with failed units is
    /// degraded.
    fn judge(&self, ending: Ending, setup: &Setup) -> Ending {
        let stays = matches!(ending.outcome, Outcome::Switched | Outcome::Tested);
        match &self.known.blemish {
            Some(blemish) if stays && setup.goal.activates() => {
                Ending { outcome: Outcome::Degraded, reason: Some(blemish.clone()) }
            }
            Some(_) | None if stays && ending.reason.is_none() => {
                Ending { reason: self.known.remarks.note(), ..ending }
            }
            Some(_) | None => ending,
        }
    }
}

/// Returns whether the phase that brought this outcome did its work.
pub(super) fn phase_held(phase: Phase, outcome: Outcome) -> bool {
    match outcome {
        Outcome::Degraded => matches!(phase, Phase::Persist | Phase::Reboot),
        Outcome::Switched
        | Outcome::Booted
        | Outcome::Tested
        | Outcome::Dry
        | Outcome::Built
        | Outcome::Unchanged
        | Outcome::NeedsReboot => true,
        Outcome::RolledBack
        | Outcome::Superseded
        | Outcome::Unknown
        | Outcome::Failed
        | Outcome::Offline
        | Outcome::Skipped
        | Outcome::Interrupted => false,
    }
}
