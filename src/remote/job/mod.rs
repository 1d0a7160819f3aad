//! Jobs: work on a host that goes on when the connection ends.
//!
//! A job is a transient systemd unit with a folder below `/run/nixdash/jobs`: its log is followed
//! from an offset, so a lost connection is made anew and nothing of the log is missed. What a job
//! left in its folder is the truth about it, never the unit's state. Starting one is idempotent: it
//! is asked for again until it is there.

mod patience;
pub mod scripts;

pub use patience::Patience;

use crate::fleet::printable_line;
use crate::remote::{RemoteError, Script, ScriptRunner, Trouble};
use jiff::Timestamp;
use scripts::{FOLLOW, START, STOP};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Longest time that one follow may take before it is begun anew.
const FOLLOW_LIMIT: Duration = Duration::from_secs(6 * 3600);

/// A follow that lasted longer than this had a connection.
const CONNECTED: Duration = Duration::from_secs(7);

/// The arguments of `start.sh` that come before those of the job.
const START_ARGS: usize = 4;

/// Lines that may wait between the connection and the parser.
const LINE_QUEUE: usize = 1024;

/// What a job's folder said when the follow ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobState {
    /// The job's exit code, when it has ended.
    pub exit: Option<i32>,
    /// What it left as `activated`.
    pub activated: Option<String>,
    /// The line that it left as `outcome`, as it stands there.
    pub outcome: Option<String>,
    /// Whether it is neither running nor properly ended: killed, or the host restarted.
    pub is_dead: bool,
}

/// Hears the lines of a job, in order.
pub trait LineSink: Send {
    /// Takes a line; the job is not read further until this is done.
    fn take(&mut self, line: &str) -> impl Future<Output = ()> + Send;

    /// Hears that from here on lines come later than they were written.
    fn lines_are_late(&mut self) {}

    /// Hears that the log of this job was read up to this byte, all lines before it taken.
    fn read_to(&mut self, _job: &str, _offset: u64) {}
}

/// Where a job's log lies, and what is done when the job ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// Its log lies on the disk: a build or a fetch, which may say a lot.
    Work,
    /// Its log lies in memory and is bounded; when it ends, however it ends, its script runs once
    /// more, with `after`. The time is how long that and the job's own end may take.
    Supervisor(Duration),
}

/// A job on a host.
pub struct Job {
    runner: Arc<dyn ScriptRunner>,
    /// The host.
    pub host: String,
    name: String,
    offset: u64,
    seen_at: Option<Timestamp>,
    /// Whether it may have written lines before anybody read them.
    is_late: bool,
    /// Whether it was there when it was asked to start.
    was_there: bool,
}

impl Job {
    /// Names a job; starts nothing.
    pub fn new(runner: Arc<dyn ScriptRunner>, host: &str, name: &str) -> Self {
        Self {
            runner,
            host: host.to_owned(),
            name: name.to_owned(),
            offset: 0,
            seen_at: None,
            is_late: false,
            was_there: false,
        }
    }

    /// Returns the job's name on its host.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its folder on the host.
    pub fn dir(&self) -> String {
        format!("/run/nixdash/jobs/{}", self.name)
    }

    /// Returns its unit.
    pub fn unit(&self) -> String {
        format!("nixdash-{}", self.name)
    }

    /// Returns whether it was there already when it was asked to start.
    pub fn was_there(&self) -> bool {
        self.was_there
    }

    /// Reads its log from this byte on: what stands before it was read by another process.
    pub fn read_from(&mut self, offset: u64) {
        self.offset = offset;
        self.is_late = true;
    }

    /// Returns when its host was last heard of.
    pub fn seen_at(&self) -> Option<Timestamp> {
        self.seen_at
    }

    /// Starts it; the arguments are store paths, numbers and plain words. When the connection breaks,
    /// the host is asked again until it says that the job is there, or is silent for too long: a job
    /// that began is never begun twice.
    pub async fn start(
        &mut self,
        kind: JobKind,
        body: &'static str,
        args: &[String],
        patience: Duration,
        lines: &mut impl LineSink,
    ) -> Result<(), StartFailure> {
        let script = self.start_script(kind, body, args);
        let mut patience = Patience::new(patience);
        loop {
            match self.runner.run(&self.host, &script).await {
                Ok(output) if output.is_ok() => {
                    self.seen_at = Some(Timestamp::now());
                    self.was_there = output.stdout.lines().any(|line| line == "there");
                    self.is_late |= self.was_there;
                    return Ok(());
                }
                Ok(output) => {
                    let (host, unit) = (&self.host, self.unit());
                    let why = output.complaint();
                    let error = format!("{host}: {unit} could not be started: {why}");
                    return Err(StartFailure::Refused(error));
                }
                Err(error) => {
                    let was_silent = patience.is_silent();
                    self.is_late = true;
                    let Some(pause) = patience.again(&error) else {
                        return Err(StartFailure::Unknown(error));
                    };
                    if !was_silent {
                        let cause = &error.cause;
                        lines.take(&format!(
                            "the connection broke while the job was started ({cause}); asking whether it began"
                        ))
                        .await;
                    }
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Returns the script that starts the job.
    fn start_script(&self, kind: JobKind, body: &'static str, args: &[String]) -> Script {
        let (place, stop_limit) = match kind {
            JobKind::Work => ("disk", 0),
            JobKind::Supervisor(limit) => ("memory", limit.as_secs()),
        };
        let mut script = Script::new(START)
            .root()
            .arg(&self.name)
            .arg(place)
            .arg(body.len().to_string())
            .arg(stop_limit.to_string())
            .stdin(body);
        script.args.extend_from_slice(args);
        script
    }

    /// Stops it and waits until it is gone.
    pub async fn stop(&self) {
        let script = Script::new(STOP).root().arg(&self.name);
        // A host that cannot be reached ends the phase by itself.
        drop(self.runner.run(&self.host, &script).await);
    }

    /// Follows the log until the job leaves the awaited result or ends; a broken connection is made
    /// anew for as long as `patience` without an answer.
    pub async fn follow(
        &mut self,
        awaited: &str,
        patience: Duration,
        lines: &mut impl LineSink,
    ) -> Result<JobState, RemoteError> {
        let mut patience = Patience::new(patience);
        loop {
            if self.is_late {
                lines.lines_are_late();
            }
            self.is_late = true;
            let (before, began) = (self.offset, Instant::now());
            match self.follow_once(awaited, lines).await {
                Ok(Some(state)) => {
                    self.seen_at = Some(Timestamp::now());
                    self.is_late = false;
                    return Ok(state);
                }
                Ok(None) => tokio::time::sleep(Duration::from_millis(500)).await,
                Err(error) => {
                    if self.offset > before || began.elapsed() > CONNECTED {
                        patience.answered();
                    }
                    if !patience.is_silent() {
                        lines
                            .take(&format!("connection lost, trying again: {}", error.cause))
                            .await;
                    }
                    let Some(pause) = patience.again(&error) else { return Err(error) };
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Follows once; nothing when the follow ended without its last line.
    async fn follow_once(
        &mut self,
        awaited: &str,
        sink: &mut impl LineSink,
    ) -> Result<Option<JobState>, RemoteError> {
        let random = std::hash::RandomState::new();
        let mark = format!("end-{:016x}", std::hash::BuildHasher::hash_one(&random, &self.name));
        let script = Script::new(FOLLOW)
            .root()
            .limit(FOLLOW_LIMIT)
            .arg(&self.name)
            .arg(self.offset.to_string())
            .arg(awaited)
            .arg(&mark);
        let (sender, mut lines) = mpsc::channel(LINE_QUEUE);
        let runner = Arc::clone(&self.runner);
        let host = self.host.clone();
        let follow = runner.follow(&host, &script, sender);
        tokio::pin!(follow);
        let mut held: Option<Vec<u8>> = None;
        let mut state = None;
        let mut ended = None;
        loop {
            let line = tokio::select! {
                biased;
                line = lines.recv() => line,
                result = &mut follow, if ended.is_none() => {
                    ended = Some(result);
                    continue;
                }
            };
            let Some(line) = line else { break };
            self.seen_at = Some(Timestamp::now());
            if let Some(last) = line.strip_prefix(mark.as_bytes()) {
                state = Some(parse_last_line(&String::from_utf8_lossy(last)));
                // The script's own empty line, or the log's last line without an end.
                if let Some(rest) = held.take().filter(|rest| !rest.is_empty()) {
                    self.offset += rest.len() as u64;
                    sink.take(&String::from_utf8_lossy(&rest)).await;
                    sink.read_to(&self.name, self.offset);
                }
                continue;
            }
            if let Some(line) = held.replace(line) {
                self.offset += line.len() as u64 + 1;
                sink.take(&String::from_utf8_lossy(&line)).await;
                sink.read_to(&self.name, self.offset);
            }
        }
        let result = match ended {
            Some(result) => result,
            None => follow.await,
        };
        match state {
            Some(state) => Ok(Some(state)),
            None => result.and_then(|output| {
                if output.is_ok() {
                    return Ok(None);
                }
                Err(RemoteError::new(&host, Trouble::Lost, &output.complaint()))
            }),
        }
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
    let started = (script.body == START).then(|| std::str::from_utf8(&script.stdin).ok()).flatten();
    match started {
        Some(body) => (body, script.args.get(START_ARGS..).unwrap_or_default()),
        None => (script.body, &script.args),
    }
}

/// Reads the line with which `follow.sh` ends.
fn parse_last_line(text: &str) -> JobState {
    let mut fields = text.trim_end_matches('\n').splitn(5, '\t').skip(1);
    let is_dead = fields.next() != Some("over");
    let exit = fields.next().and_then(|code| code.parse().ok());
    let activated = fields.next().filter(|text| !text.is_empty()).map(printable_line);
    let outcome = fields.next().filter(|text| !text.is_empty()).map(str::to_owned);
    JobState { exit, activated, outcome, is_dead }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_tells_how_the_job_stands() {
        assert_eq!(
            parse_last_line("\tover\t0\t\t"),
            JobState { exit: Some(0), ..JobState::default() }
        );
        assert_eq!(
            parse_last_line("\tover\t\t4 ok network\t"),
            JobState { activated: Some("4 ok network".to_owned()), ..JobState::default() }
        );
        assert_eq!(
            parse_last_line("\tover\t0\t2 failed\trolled-back\tsnippet-failed\tits script failed"),
            JobState {
                exit: Some(0),
                activated: Some("2 failed".to_owned()),
                outcome: Some("rolled-back\tsnippet-failed\tits script failed".to_owned()),
                is_dead: false,
            }
        );
        assert!(parse_last_line("\tgone").is_dead);
        assert!(parse_last_line("\tdead\t\t\t").is_dead);
        assert_eq!(parse_last_line("\tdead\t\t\t").outcome, None);
        let older = parse_last_line("\tover\t0\t0 ok\tswitched\t");
        assert_eq!(older.outcome.as_deref(), Some("switched\t"));
    }
}
