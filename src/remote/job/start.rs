//! Starting a job, once, whatever becomes of the connection.

use super::scripts::START;
use super::{FOLLOW_LIMIT, Job, JobKind, LineSink, OpenLog, Patience};
use crate::remote::words::no_answer_within;
use crate::remote::{RemoteError, Script, Trouble};
use jiff::Timestamp;
use std::time::Duration;

/// The arguments of `start.sh` that come before those of the job; the last of them is its script.
const START_ARGS: usize = 6;

/// Longest time that a host may take to start one.
const START_LIMIT: Duration = Duration::from_secs(30);

impl Job {
    /// Starts it; the arguments are store paths, numbers and plain words. When the connection breaks,
    /// the host is asked again until it says that the job is there, or is silent for too long: a job
    /// that began is never begun twice.
    ///
    /// The same exchange goes on with the job's log, which [`Job::follow`] reads.
    pub async fn start(
        &mut self,
        kind: JobKind,
        body: &'static str,
        args: &[String],
        patience: Duration,
        lines: &mut impl LineSink,
    ) -> Result<(), StartFailure> {
        let mut patience = Patience::new(patience);
        loop {
            match self.begin(kind, body, args).await {
                Ok(Ok(opened)) => {
                    lines.silence_ends();
                    self.seen_at = Some(Timestamp::now());
                    self.was_there = opened.was_there;
                    self.is_late |= self.was_there;
                    self.opened = Some(opened);
                    return Ok(());
                }
                Ok(Err(why)) => {
                    let (host, unit) = (&self.host, self.unit());
                    let error = format!("{host}: {unit} could not be started: {why}");
                    return Err(StartFailure::Refused(error));
                }
                Err(error) => {
                    let was_silent = patience.is_silent();
                    self.is_late = true;
                    let Some(pause) = patience.again(&error) else {
                        lines.silence_ends();
                        return Err(StartFailure::Unknown(error));
                    };
                    if !was_silent {
                        let cause = &error.cause;
                        lines.note(&format!(
                            "the connection broke while the job was started ({cause}); asking whether it began"
                        ))
                        .await;
                        let now = Timestamp::now();
                        lines.falls_silent(&self.host, now, patience.until(now));
                    }
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Asks the host once to start it; returns the open log, or why the host refused.
    async fn begin(
        &self,
        kind: JobKind,
        body: &'static str,
        args: &[String],
    ) -> Result<Result<OpenLog, String>, RemoteError> {
        let awaited = kind.first_result();
        let mark = self.mark();
        let script = self.start_script(kind, body, args, awaited, &mark);
        let mut opened = OpenLog::open(&self.runner, &self.host, script, (mark, awaited, 0));
        let mut was_there = false;
        let heard = opened.begin(|line| was_there |= *line.bytes == *b"there");
        match tokio::time::timeout(START_LIMIT, heard).await {
            Ok(true) => {
                opened.was_there = was_there;
                Ok(Ok(opened))
            }
            Ok(false) => {
                let output = opened.end().await?;
                if output.is_ok() {
                    let cause = "the host did not say whether the job began";
                    return Err(RemoteError::new(&self.host, Trouble::Lost, cause));
                }
                Ok(Err(output.complaint()))
            }
            Err(_) => Err(RemoteError::new(
                &self.host,
                Trouble::Slow(START_LIMIT),
                &no_answer_within(START_LIMIT),
            )),
        }
    }

    /// Returns the script that starts the job and follows it.
    fn start_script(
        &self,
        kind: JobKind,
        body: &'static str,
        args: &[String],
        awaited: &str,
        mark: &str,
    ) -> Script {
        let (place, stop_limit) = match kind {
            JobKind::Work => ("disk", 0),
            JobKind::Supervisor(limit) => ("memory", limit.as_secs()),
        };
        let mut script = Script::new(START)
            .root()
            .limit(FOLLOW_LIMIT)
            .arg(&self.name)
            .arg(place)
            .arg(stop_limit.to_string())
            .arg(awaited)
            .arg(mark)
            .arg(body);
        script.args.extend_from_slice(args);
        script
    }
}

/// Why a job could not be started.
pub enum StartFailure {
    /// The host said so: it does not run, for this reason.
    Refused(String),
    /// The host was not heard of again: it may run.
    Unknown(RemoteError),
}

/// Returns the text and the arguments of what a script starts as a job; of any other, its own.
pub fn job_script(script: &Script) -> (&str, &[String]) {
    match (script.body == START).then(|| script.args.split_at_checked(START_ARGS)).flatten() {
        Some(([.., body], args)) => (body, args),
        Some(_) | None => (script.body, &script.args),
    }
}
