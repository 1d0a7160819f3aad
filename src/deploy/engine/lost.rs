//! What it means for a host's run that a host cannot be reached any more, or does not begin a job.

use crate::deploy::{Failure, Reason};
use crate::fleet::{Code, Outcome};
use crate::remote::job::StartFailure;
use crate::remote::{RemoteError, Trouble};
use std::time::Duration;

/// How long a host that answered before may be away while nothing was changed yet: it may be
/// restarted, or this machine may have slept.
pub(super) const AWAY_LIMIT: Duration = Duration::from_secs(45);

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
