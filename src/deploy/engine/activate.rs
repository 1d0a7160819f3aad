//! Activate: the supervisor on the target runs switch-to-configuration.

use super::step::Step;
use super::supervised::Supervised;
use super::{persist, resumed};
use crate::deploy::{Activation, Failure, Remarks, Report};
use crate::fleet::{Outcome, Wait};
use std::time::Duration;
use tokio::time::Instant;

/// Starts the supervisor and follows it until the system runs, or until it has decided.
pub(super) async fn activate(step: &Step) -> Result<Report, Failure> {
    if let Some(ending) = resumed::look_again(step).await? {
        return Ok(Report::Activated(Activation::Decided(ending)));
    }
    // One that an earlier attempt left is no proof for this one.
    step.runner.forget_fresh(&step.host.name);
    let mut supervised = Supervised::start(step, step.host.goal).await?;
    let state = loop {
        let state = supervised.follow_activation(step).await?;
        if !state.is_dead || state.activated.is_some() || state.outcome.is_some() {
            break state;
        }
        // It left nothing: the host was restarted, or its systemd said nothing for a moment.
        match supervised.account(step).await? {
            Some(ending) => return Ok(Report::Activated(Activation::Decided(ending))),
            None => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    };
    let remarks = state.activated.as_deref().and_then(Remarks::parse);
    match remarks {
        Some(remarks) if state.outcome.is_none() => {
            supervised.activated_at = Instant::now();
            step.keep_supervised(supervised).await;
            Ok(Report::Activated(Activation::Runs(remarks)))
        }
        // It goes back, or persists for a reboot: that takes another moment.
        Some(_) | None => {
            if state.outcome.is_none() && state.activated.as_deref().is_some_and(goes_back) {
                step.shared.teller.waits(&step.host.name, Some(Wait::WayBack));
            }
            step.runner.forget_fresh(&step.host.name);
            let ending = supervised.decided(step).await?;
            // One that was not activated, but boots the system of this run, is kept like one that was.
            if ending.outcome.is_permanent() || ending.outcome == Outcome::Unchanged {
                persist::begin_to_keep_root(step);
            }
            Ok(Report::Activated(Activation::Decided(ending)))
        }
    }
}

/// Returns whether a supervisor, by what it left of its activation (`CODE WORD …`), has begun to go back.
pub(super) fn goes_back(activated: &str) -> bool {
    activated.split_whitespace().nth(1) == Some("back")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supervisor_that_goes_back_is_told_from_one_whose_system_runs() {
        assert!(goes_back("4 back"));
        assert!(!goes_back("0 ok"));
        assert!(!goes_back("back"), "the first word is the exit code");
    }
}
