//! A host that has the new system from this run, though something is wrong with it, and is tried again.
//!
//! Its next preflight finds the new system. What it ran before the run, which units had failed by then, and that this
//! run changed it, is known from the attempt that did so; and whatever ends the next one before it changes anything,
//! the host still stands as the earlier one left it.

use super::host::HostProgress;
use crate::deploy::attempt::HadBefore;
use crate::deploy::{Ending, LeftWrong, Preflight, Reason};
use crate::fleet::{Goal, Outcome, StorePath};

/// How an earlier attempt of the run left a host.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LeftDegraded {
    /// What is wrong with it.
    why: Option<Reason>,
    /// What preflight saw before the run changed it.
    found: Preflight,
    /// Whether the run brought it the system: it had another one before.
    pub(super) brought: bool,
}

impl HostProgress {
    /// Keeps what is known of a host that has its new system and begins again: the next preflight looks again whether
    /// it is well.
    pub(super) fn note_degraded(&mut self, brought: bool) {
        if !self.outcome().is_some_and(Outcome::is_new_system) {
            return;
        }
        let why = self.known.blemish.clone();
        let before = self.left_degraded.take();
        let found = before.map_or_else(|| self.known.preflight.clone(), |before| before.found);
        let failed_before = Some(found.failed_units.clone());
        self.setup.degraded = why.clone().map(|why| LeftWrong { why, failed_before });
        self.left_degraded = Some(LeftDegraded { why, found, brought });
    }

    /// Compares what preflight found with how an earlier attempt left the host. Where it has the new system no more,
    /// somebody else changed it since; else what had failed before the run is all that had failed before it.
    pub(super) fn look_at_what_was_left(&mut self) {
        let found = &mut self.known.preflight;
        let has = |system: &StorePath| found.runs(system) || found.profile.as_ref() == Some(system);
        if !self.known.toplevel.as_ref().is_some_and(has) {
            self.left_degraded = None;
        }
        if let Some(left) = &self.left_degraded {
            found.failed_units.clone_from(&left.found.failed_units);
        }
    }

    /// Returns what preflight saw before this run changed the host.
    pub(super) fn found_before(&self) -> &Preflight {
        self.left_degraded.as_ref().map_or(&self.known.preflight, |left| &left.found)
    }

    /// Returns whether the run has begun to change the host, in this attempt or in an earlier one that left it with the
    /// new system.
    pub(super) fn was_changed(&self) -> bool {
        self.changed || self.left_degraded.is_some()
    }

    /// Returns what the host had from the run when this attempt began.
    pub(super) fn before_this_attempt(&self) -> HadBefore {
        match (&self.back, &self.left_degraded) {
            (Some(why), _) => HadBefore::GoesBack(why.clone()),
            (None, Some(left)) => HadBefore::System(left.why.clone()),
            (None, None) => HadBefore::Nothing,
        }
    }

    /// Returns how this attempt ended: where nothing was left to do, and an earlier one brought the system, the host
    /// has that from the run, and preflight found it well.
    pub(super) fn with_what_was_brought(&self, outcome: Outcome) -> Outcome {
        let is_brought = self.left_degraded.as_ref().is_some_and(|left| left.brought);
        let is_well = outcome == Outcome::Unchanged && self.back.is_none() && is_brought;
        if is_well { self.brought_well() } else { outcome }
    }

    /// Returns how a restart ended. A host that was only restarted is not well where something had been wrong with it
    /// that a restart does not show.
    pub(super) fn after_restart(&self, ending: Ending) -> Ending {
        let wrong = self.known.wrong_after_any_restart(self.setup.activation.magic_rollback());
        match wrong.filter(|_| ending.outcome == Outcome::Switched) {
            Some(why) => Ending { outcome: Outcome::Degraded, reason: Some(why.clone()) },
            None => ending,
        }
    }

    /// Returns how a host ends that has its system from an earlier attempt and is well now.
    fn brought_well(&self) -> Outcome {
        match self.setup.goal {
            Goal::Switch | Goal::Rollback => Outcome::Switched,
            Goal::Boot => Outcome::Booted,
            Goal::Test => Outcome::Tested,
            Goal::Build | Goal::DryActivate => Outcome::Unchanged,
        }
    }
}
