//! What it means for a host's run that a host cannot be reached any more, or does not begin a job.

use super::step::Step;
use crate::deploy::{Failure, Reason};
use crate::fleet::{Code, Outcome};
use crate::nix::copy_failure::is_cut;
use crate::remote::job::{JobState, StartFailure};
use crate::remote::{Output, ProgramError, RemoteError, Trouble};
use std::time::Duration;
use tokio::time::Instant;

/// How long a host that answered before may be away while nothing was changed yet: it may be
/// restarted, or this machine may have slept.
pub(super) const AWAY_LIMIT: Duration = Duration::from_secs(45);

/// How long Nix may ask caches what is to be built or fetched: as long as scripts let it.
pub(super) const DRY_RUN_LIMIT: Duration = Duration::from_secs(90);

/// The exit code of a script whose Nix took longer than that.
pub(super) const TOOK_TOO_LONG: i32 = 124;

/// How long to wait before a job of which nothing is left is begun again.
const AGAIN: Duration = Duration::from_secs(2);

/// Makes a job, and makes it again after a moment while nothing is left of it since its host was restarted: a
/// host that goes down may still take a job and lose it a moment later. `again` is logged then. Returns how
/// the job ended, and what its maker makes of it.
pub(super) async fn through_restarts<T, Made>(
    step: &Step,
    again: &str,
    mut make: impl FnMut() -> Made,
) -> Result<(JobState, T), Failure>
where
    Made: Future<Output = Result<(JobState, T), Failure>>,
{
    let mut since = None;
    loop {
        let began = Instant::now();
        let (state, made) = make().await?;
        // One that was at work for long before its host was restarted is made again as the first one was.
        let first = since.get_or_insert_with(Instant::now);
        if began.elapsed() > AWAY_LIMIT {
            *first = Instant::now();
        }
        if !state.is_gone || first.elapsed() > AWAY_LIMIT {
            return Ok((state, made));
        }
        step.log(again).await;
        step.pause(AGAIN).await?;
    }
}

/// Lets this machine copy something over ssh to another one, and again for as long as [`AWAY_LIMIT`] while only the
/// connection fails: the ssh server there may be restarted, or have too many logins at once.
pub(super) async fn through_cuts<Made>(
    step: &Step,
    machine: &str,
    mut copy: impl FnMut() -> Made,
) -> Result<Output, ProgramError>
where
    Made: Future<Output = Result<Output, ProgramError>>,
{
    let mut cut_since = None;
    loop {
        let copied = copy().await?;
        if copied.is_ok() || !is_cut(&copied.stderr) {
            return Ok(copied);
        }
        if cut_since.is_none() {
            let why = copied.complaint();
            step.log(&format!("the connection to {machine} failed; copying again: {why}")).await;
        }
        if cut_since.get_or_insert_with(Instant::now).elapsed() > AWAY_LIMIT {
            return Ok(copied);
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Returns the failure for a host that cannot be reached, or not any more.
pub fn lost(error: &RemoteError) -> Failure {
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
