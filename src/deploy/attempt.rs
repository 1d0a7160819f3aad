//! How the end of a host's last attempt counts for its run: one that changed nothing leaves the host with what an earlier
//! one brought it, and one that goes back ends well where it gets back.
//!
//! The machine asks it of a run that goes on, and the engine of one whose nixdash was killed.

use crate::deploy::{Ending, Reason};
use crate::fleet::{Finding, Outcome};

/// What a host had from its run when its last attempt began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HadBefore {
    /// Nothing: it was as it was before the run.
    Nothing,
    /// The system of the run, with which this was wrong.
    System(Option<Reason>),
    /// The system of the run, which it is to leave for this reason.
    GoesBack(Reason),
}

/// How a host ended for its run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEnding {
    /// The outcome.
    pub outcome: Outcome,
    /// Why, the worst first; the second tells of its last attempt.
    pub reasons: Vec<Reason>,
    /// What stands between two reasons.
    joint: &'static str,
}

impl HostEnding {
    /// Returns why it ended so, as people read it; nothing where there is nothing to say.
    pub fn error(&self) -> Option<String> {
        let texts: Vec<&str> = self.reasons.iter().map(|reason| reason.text.as_str()).collect();
        (!texts.is_empty()).then(|| texts.join(self.joint))
    }

    /// Returns the same as findings about a host.
    pub fn findings(&self, host: &str) -> Vec<Finding> {
        self.reasons.iter().map(|reason| reason.finding(host)).collect()
    }
}

/// Returns the ending with what was found wrong with the new system: a host that keeps it is degraded.
pub(super) fn with_what_was_found(wrong: Option<Reason>, ending: Ending) -> Ending {
    let stays = matches!(ending.outcome, Outcome::Switched | Outcome::Tested);
    match wrong.filter(|_| stays) {
        Some(wrong) => Ending { outcome: Outcome::Degraded, reason: Some(wrong) },
        None => ending,
    }
}

/// Returns how a host ends for its run whose last attempt ended so.
pub(super) fn counted(before: HadBefore, ending: Ending) -> HostEnding {
    let Ending { outcome, reason } = ending;
    let ((outcome, reasons), joint) = match before {
        HadBefore::Nothing => ((outcome, reason.into_iter().collect()), ""),
        HadBefore::System(why) => (as_it_was_left(why, outcome, reason), ". Then, tried again: "),
        HadBefore::GoesBack(why) => (as_went_back(&why, outcome, reason), ". Then, going back: "),
    };
    HostEnding { outcome, reasons, joint }
}

/// Returns how a host ends that had the system of the run: that is what it has as long as its last attempt did not
/// change it.
fn as_it_was_left(
    why: Option<Reason>,
    outcome: Outcome,
    reason: Option<Reason>,
) -> (Outcome, Vec<Reason>) {
    match outcome {
        // What ran when this attempt began is the new system.
        Outcome::RolledBack
        | Outcome::Failed
        | Outcome::Offline
        | Outcome::Skipped
        | Outcome::Interrupted => {
            (Outcome::Degraded, [why, reason].into_iter().flatten().collect())
        }
        Outcome::Switched
        | Outcome::Booted
        | Outcome::Tested
        | Outcome::Dry
        | Outcome::Built
        | Outcome::Unchanged
        | Outcome::Degraded
        | Outcome::NeedsReboot
        | Outcome::Superseded
        | Outcome::Unknown => (outcome, reason.into_iter().collect()),
    }
}

/// Returns how a host ends that was told to go back to what ran before this run: why it was to go back
/// comes first, and what went wrong with that second.
fn as_went_back(back: &Reason, outcome: Outcome, reason: Option<Reason>) -> (Outcome, Vec<Reason>) {
    let (ends, what) = match outcome {
        // Its previous system is permanent, and not what runs.
        Outcome::NeedsReboot => {
            let later = " and runs the system that this run brought until it is restarted";
            (Outcome::Degraded, to_be_taken_back(back, later))
        }
        outcome if outcome.is_good() => return (Outcome::RolledBack, vec![taken_back(back)]),
        // It is back, and something is wrong there.
        Outcome::Degraded if reason.as_ref().is_some_and(Reason::is_of_what_runs) => {
            (Outcome::RolledBack, taken_back(back))
        }
        Outcome::Degraded => (Outcome::Degraded, to_be_taken_back(back, " and is not as it was")),
        // Somebody else decided what it runs.
        Outcome::Superseded => (Outcome::Superseded, to_be_taken_back(back, "")),
        Outcome::Unknown | Outcome::Offline => {
            let known = " and it is not known whether it did";
            (Outcome::Unknown, to_be_taken_back(back, known))
        }
        // It still has the system that it was to leave.
        Outcome::Switched
        | Outcome::Booted
        | Outcome::Tested
        | Outcome::Dry
        | Outcome::Built
        | Outcome::Unchanged
        | Outcome::RolledBack
        | Outcome::Failed
        | Outcome::Skipped
        | Outcome::Interrupted => {
            let keeps = " and keeps the system that this run brought";
            (Outcome::Degraded, to_be_taken_back(back, keeps))
        }
    };
    (ends, [Some(what), reason].into_iter().flatten().collect())
}

/// Says of a host that it is back on what ran before this run, and why.
fn taken_back(why: &Reason) -> Reason {
    Reason { text: format!("taken back to the previous system: {}", why.text), ..why.clone() }
}

/// Says of a host that it was to go back to what ran before this run, what became of that, and why.
fn to_be_taken_back(why: &Reason, became: &str) -> Reason {
    let text = format!("it was to go back to the previous system ({}){became}", why.text);
    Reason { text, ..why.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Code;

    #[test]
    fn a_host_that_must_be_restarted_to_leave_the_new_system_is_not_called_rolled_back() {
        let why = Reason::new(Code::RunRolledBack, "c failed");
        let (outcome, reasons) = as_went_back(&why, Outcome::NeedsReboot, None);
        assert_eq!(outcome, Outcome::Degraded);
        assert!(reasons[0].text.ends_with("until it is restarted"), "{}", reasons[0].text);
        let (outcome, _) = as_went_back(&why, Outcome::Switched, None);
        assert_eq!(outcome, Outcome::RolledBack);
    }

    #[test]
    fn a_host_is_rolled_back_though_a_unit_fails_there_and_not_where_it_runs_something_else() {
        let why = Reason::new(Code::RunRolledBack, "c failed");
        for (code, ends) in [
            (Code::UnitsFailed, Outcome::RolledBack),
            (Code::CheckFailed, Outcome::RolledBack),
            (Code::SystemUnexpected, Outcome::Degraded),
            (Code::BootDefaultPinned, Outcome::Degraded),
            (Code::NotRestarted, Outcome::Degraded),
        ] {
            let reason = Some(Reason::new(code, "why"));
            let (outcome, reasons) = as_went_back(&why, Outcome::Degraded, reason);
            assert_eq!((outcome, reasons.len()), (ends, 2), "{code}");
        }
    }
}
