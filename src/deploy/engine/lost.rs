//! What it means for a host's run that a host cannot be reached any more, or does not begin a job.

use super::step::Step;
use crate::deploy::{Failure, Reason};
use crate::fleet::{Code, Outcome};
use crate::remote::job::{JobState, StartFailure};
use crate::remote::{RemoteError, Trouble};
use std::time::Duration;
use tokio::time::Instant;

/// How long a host that answered before may be away while nothing was changed yet: it may be
/// restarted, or this machine may have slept.
pub(super) const AWAY_LIMIT: Duration = Duration::from_secs(45);

/// How long to wait before a job of which nothing is left is begun again.
const AGAIN: Duration = Duration::from_secs(2);

/// A job that is begun again while nothing is left of it, since its host was restarted: a host that goes
/// down may still take a job and lose it a moment later.
#[derive(Default)]
pub(super) struct Restarts {
    since: Option<Instant>,
}

impl Restarts {
    /// Returns whether the job is to be begun again, after a moment; logs that then.
    pub(super) async fn begins_again(&mut self, step: &Step, ended: &JobState, why: &str) -> bool {
        let since = *self.since.get_or_insert_with(Instant::now);
        if !ended.is_gone || since.elapsed() > AWAY_LIMIT {
            return false;
        }
        step.log(why).await;
        tokio::time::sleep(AGAIN).await;
        true
    }
}

/// Returns the failure for a host that cannot be reached any more.
pub(super) fn lost(error: &RemoteError) -> Failure {
    let outcome = match error.trouble {
        Trouble::Unreachable | Trouble::Locked | Trouble::Lost | Trouble::Slow(_) => {
            Outcome::Offline
        }
        Trouble::Denied
        | Trouble::HostKey(_)
        | Trouble::NotRoot(_)
        | Trouble::Untrusted
        | Trouble::Here => Outcome::Failed,
    };
    Failure { outcome, reason: Reason::new(error.code(), error.to_string()) }
}

/// Returns the failure of a job that could not be started and harms nobody when it runs unheard.
pub(super) fn not_started(failure: StartFailure) -> Failure {
    match failure {
        StartFailure::Refused(why) => Failure::failed(Code::JobNotStarted, why),
        StartFailure::Unknown(error) => lost(&error),
    }
}
