//! Jobs: work on a host that goes on when the connection ends.
//!
//! A job is a transient systemd unit with a folder below `/run/nixdash/jobs`: its log is followed
//! from an offset, so a lost connection is made anew and nothing of the log is missed. What a job
//! left in its folder is the truth about it, never the unit's state. Starting one is idempotent: it
//! is asked for again until it is there.

mod patience;
pub mod scripts;
mod tell;

pub use patience::Patience;

use crate::fleet::printable_line;
use crate::remote::{Output, RemoteError, Script, ScriptRunner, Trouble};
use jiff::Timestamp;
use scripts::{FOLLOW, START, STOP};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// Longest time that one follow may take before it is begun anew.
const FOLLOW_LIMIT: Duration = Duration::from_secs(6 * 3600);

/// A follow that lasted longer than this had a connection.
const CONNECTED: Duration = Duration::from_secs(7);

/// The arguments of `start.sh` that come before those of the job; the last of them is its script.
const START_ARGS: usize = 7;

/// Longest time that a host may take to start one.
const START_LIMIT: Duration = Duration::from_secs(30);

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
    /// Whether nothing is left of it, as after a restart of the host: it can be started again.
    pub is_gone: bool,
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

impl JobKind {
    /// Returns the result that it leaves first: the end, or that a system runs.
    fn first_result(self) -> &'static str {
        match self {
            Self::Work => "exit",
            Self::Supervisor(_) => "activated",
        }
    }
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
    /// The log that the exchange which started it goes on with.
    opened: Option<OpenLog>,
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
            opened: None,
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
        let begun = format!("{}\tbegun", opened.mark);
        let heard = async {
            while let Some(line) = opened.lines.recv().await {
                opened.was_there |= line == b"there";
                if line == begun.as_bytes() {
                    return true;
                }
            }
            false
        };
        match tokio::time::timeout(START_LIMIT, heard).await {
            Ok(true) => Ok(Ok(opened)),
            Ok(false) => {
                let output = opened.end().await?;
                if output.is_ok() {
                    let cause = "the host did not say whether the job began";
                    return Err(RemoteError::new(&self.host, Trouble::Lost, cause));
                }
                Ok(Err(output.complaint()))
            }
            Err(_) => {
                Err(RemoteError::new(&self.host, Trouble::Slow(START_LIMIT), "no answer in time"))
            }
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
            .arg(body.len().to_string())
            .arg(stop_limit.to_string())
            .arg(awaited)
            .arg(mark)
            .arg(body);
        script.args.extend_from_slice(args);
        script
    }

    /// Returns a word that the job's log cannot know.
    fn mark(&self) -> String {
        let random = std::hash::RandomState::new();
        format!("end-{:016x}", std::hash::BuildHasher::hash_one(&random, &self.name))
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
            let (before, began) = (self.offset, Instant::now());
            let started = self.opened.take().filter(|opened| opened.leads_to(awaited, before));
            let is_of_start = started.is_some();
            self.is_late = true;
            let opened = started.unwrap_or_else(|| self.open(awaited));
            match self.read(opened, lines).await {
                Ok(Some(state)) => {
                    self.seen_at = Some(Timestamp::now());
                    self.is_late = false;
                    return Ok(state);
                }
                Ok(None) if is_of_start => {}
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

    /// Begins to follow from where the log was read to.
    fn open(&self, awaited: &str) -> OpenLog {
        let mark = self.mark();
        let script = Script::new(FOLLOW)
            .root()
            .limit(FOLLOW_LIMIT)
            .arg(&self.name)
            .arg(self.offset.to_string())
            .arg(awaited)
            .arg(&mark);
        OpenLog::open(&self.runner, &self.host, script, (mark, awaited, self.offset))
    }

    /// Reads an open log to its end; nothing when it ended without its last line.
    async fn read(
        &mut self,
        mut opened: OpenLog,
        sink: &mut impl LineSink,
    ) -> Result<Option<JobState>, RemoteError> {
        let mut held: Option<Vec<u8>> = None;
        let mut state = None;
        while let Some(line) = opened.lines.recv().await {
            self.seen_at = Some(Timestamp::now());
            if let Some(last) = line.strip_prefix(opened.mark.as_bytes()) {
                state = Some(parse_last_line(&String::from_utf8_lossy(last)));
                // The script's own empty line, or the log's last line without an end.
                if let Some(rest) = held.take().filter(|rest| !rest.is_empty()) {
                    self.offset += rest.len() as u64;
                    sink.take(&String::from_utf8_lossy(&rest)).await;
                    sink.read_to(&self.name, self.offset);
                }
                // What the script does to end is not waited for.
                break;
            }
            if let Some(line) = held.replace(line) {
                self.offset += line.len() as u64 + 1;
                sink.take(&String::from_utf8_lossy(&line)).await;
                sink.read_to(&self.name, self.offset);
            }
        }
        if state.is_some() {
            return Ok(state);
        }
        let output = opened.end().await?;
        if output.is_ok() {
            return Ok(None);
        }
        Err(RemoteError::new(&self.host, Trouble::Lost, &output.complaint()))
    }
}

/// The log of a job, which a script prints while it is read. Dropping it ends the script.
struct OpenLog {
    lines: mpsc::Receiver<Vec<u8>>,
    script: AbortOnDropHandle<Result<Output, RemoteError>>,
    host: String,
    mark: String,
    /// The result with which it ends.
    awaited: String,
    /// Where it begins, in bytes.
    from: u64,
    /// Whether the job was there when it was asked to start.
    was_there: bool,
}

impl OpenLog {
    /// Runs a script that prints a log: its mark, the result that it waits for, and where it begins.
    fn open(
        runner: &Arc<dyn ScriptRunner>,
        host: &str,
        script: Script,
        (mark, awaited, from): (String, &str, u64),
    ) -> Self {
        let (sender, lines) = mpsc::channel(LINE_QUEUE);
        let (runner, name) = (Arc::clone(runner), host.to_owned());
        let script = tokio::spawn(async move { runner.follow(&name, &script, sender).await });
        let script = AbortOnDropHandle::new(script);
        let (host, awaited) = (host.to_owned(), awaited.to_owned());
        Self { lines, script, host, mark, awaited, from, was_there: false }
    }

    /// Returns whether it ends with this result, and goes on where the log was read to.
    fn leads_to(&self, awaited: &str, offset: u64) -> bool {
        self.awaited == awaited && self.from == offset
    }

    /// Returns how the script ended.
    async fn end(self) -> Result<Output, RemoteError> {
        let cause = "its task was stopped";
        self.script
            .await
            .unwrap_or_else(|_| Err(RemoteError::new(&self.host, Trouble::Here, cause)))
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

/// Reads the line with which `follow.sh` ends.
fn parse_last_line(text: &str) -> JobState {
    let mut fields = text.trim_end_matches('\n').splitn(5, '\t').skip(1);
    let state = fields.next();
    let exit = fields.next().and_then(|code| code.parse().ok());
    let activated = fields.next().filter(|text| !text.is_empty()).map(printable_line);
    let outcome = fields.next().filter(|text| !text.is_empty()).map(str::to_owned);
    let (is_dead, is_gone) = (state != Some("over"), state == Some("gone"));
    JobState { exit, activated, outcome, is_dead, is_gone }
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
                is_gone: false,
            }
        );
        let (gone, dead) = (parse_last_line("\tgone"), parse_last_line("\tdead\t\t\t"));
        assert!(gone.is_dead && gone.is_gone);
        assert!(dead.is_dead && !dead.is_gone);
        assert_eq!(parse_last_line("\tdead\t\t\t").outcome, None);
        let older = parse_last_line("\tover\t0\t0 ok\tswitched\t");
        assert_eq!(older.outcome.as_deref(), Some("switched\t"));
    }
}
