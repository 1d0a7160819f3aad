//! Jobs: work on a host that goes on when the connection ends.
//!
//! A job is a transient systemd unit with a folder below `/run/nixdash/jobs`: its log is followed
//! from an offset, so a lost connection is made anew and nothing of the log is missed. What a job
//! left in its folder is the truth about it, never the unit's state. Starting one is idempotent: it
//! is asked for again until it is there.

mod open;
mod patience;
pub mod scripts;
mod sink;
mod tell;

pub use patience::Patience;
pub use sink::LineSink;

use crate::fleet::printable_line;
use crate::remote::{LineSplitter, RemoteError, Script, ScriptRunner, Trouble};
use jiff::Timestamp;
use open::{LogEnd, OpenLog};
use scripts::{FOLLOW, START, STOP};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Longest time that one follow may take before it is begun anew.
const FOLLOW_LIMIT: Duration = Duration::from_secs(6 * 3600);

/// A follow that lasted longer than this had a connection.
const CONNECTED: Duration = Duration::from_secs(7);

/// The arguments of `start.sh` that come before those of the job; the last of them is its script.
const START_ARGS: usize = 7;

/// Longest time that a host may take to start one.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How much of what was heard by another process is compared with the log on the host, in bytes.
const PROOF: usize = 4096;

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
    /// How many bytes of its log came.
    offset: u64,
    /// Cuts them into lines.
    lines: LineSplitter,
    /// The last bytes of what another process heard: those of the log on the host must be the same.
    unproven: Vec<u8>,
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
            lines: LineSplitter::default(),
            unproven: Vec::new(),
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

    /// Reads its log from this byte on, where a line begins: what stands before it was read by another
    /// process.
    pub fn read_from(&mut self, offset: u64) {
        self.offset = offset;
        self.lines = LineSplitter::starting_at(offset);
        self.is_late = true;
    }

    /// Takes the next piece of what another process heard of its log, from the log's beginning on; the
    /// log on the host is then read on behind it, when it is the same.
    pub async fn heard_before(&mut self, piece: &[u8], sink: &mut impl LineSink) {
        self.unproven.extend_from_slice(piece);
        self.unproven.drain(..self.unproven.len().saturating_sub(PROOF));
        self.is_late = true;
        self.cut(piece, sink).await;
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
                        lines.note(&format!(
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
            let from = self.begin_of_read();
            let started = self.opened.take().filter(|opened| opened.leads_to(awaited, from));
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
                            .note(&format!("connection lost, trying again: {}", error.cause))
                            .await;
                    }
                    let Some(pause) = patience.again(&error) else { return Err(error) };
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Returns from which byte on its log is read.
    fn begin_of_read(&self) -> u64 {
        self.offset.saturating_sub(self.unproven.len() as u64)
    }

    /// Begins to follow from where the log was read to.
    fn open(&self, awaited: &str) -> OpenLog {
        let (mark, from) = (self.mark(), self.begin_of_read());
        let script = Script::new(FOLLOW)
            .root()
            .limit(FOLLOW_LIMIT)
            .arg(&self.name)
            .arg(from.to_string())
            .arg(awaited)
            .arg(&mark);
        OpenLog::open(&self.runner, &self.host, script, (mark, awaited, from))
    }

    /// Reads an open log to its end; nothing when it ended without its last line.
    async fn read(
        &mut self,
        mut opened: OpenLog,
        sink: &mut impl LineSink,
    ) -> Result<Option<JobState>, RemoteError> {
        let mut end = LogEnd::new(&opened.mark);
        let mut unproven = self.unproven.clone();
        let mut piece = std::mem::take(&mut opened.first);
        loop {
            let log = end.feed(&piece);
            let Some(log) = prove(&mut unproven, &log) else {
                self.begin_anew(sink).await;
                return Ok(None);
            };
            if unproven.is_empty() {
                self.unproven.clear();
            }
            if !log.is_empty() {
                sink.came(log).await;
                self.cut(log, sink).await;
            }
            if let Some(last) = end.last() {
                let state = parse_last_line(&last);
                if last == SHORTER || !(unproven.is_empty() || state.is_gone) {
                    self.begin_anew(sink).await;
                    return Ok(None);
                }
                if let Some(line) = self.lines.rest() {
                    sink.take(&line).await;
                    sink.read_to(&self.name, line.end());
                }
                // What the script does to end is not waited for.
                return Ok(Some(state));
            }
            let Some(next) = opened.pieces.recv().await else { break };
            self.seen_at = Some(Timestamp::now());
            piece = next;
        }
        let output = opened.end().await?;
        if output.is_ok() {
            return Ok(None);
        }
        Err(RemoteError::new(&self.host, Trouble::Lost, &output.complaint()))
    }

    /// Takes the next piece of its log, and gives on the lines that end in it.
    async fn cut(&mut self, mut piece: &[u8], sink: &mut impl LineSink) {
        self.offset += piece.len() as u64;
        while let Some(line) = self.lines.next(&mut piece) {
            sink.take(&line).await;
            sink.read_to(&self.name, line.end());
        }
    }

    /// Reads the log from its beginning: it is another one than was read before.
    async fn begin_anew(&mut self, sink: &mut impl LineSink) {
        self.offset = 0;
        self.lines = LineSplitter::default();
        self.unproven.clear();
        let unit = self.unit();
        sink.note(&format!(
            "the log of {unit} on {} is not the one that was read before; it is read from its beginning",
            self.host
        ))
        .await;
        sink.begins_anew().await;
    }
}

/// How `follow.sh` ends when the log is shorter than where it was to be read from.
const SHORTER: &str = "shorter";

/// Compares the beginning of what was read with what must stand there, which is taken away; returns
/// what follows, or nothing where it is something else.
fn prove<'a>(unproven: &mut Vec<u8>, read: &'a [u8]) -> Option<&'a [u8]> {
    let count = unproven.len().min(read.len());
    let (compared, rest) = read.split_at(count);
    if unproven[..count] != *compared {
        return None;
    }
    unproven.drain(..count);
    Some(rest)
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

/// Reads the line with which `follow.sh` ends, behind its mark.
fn parse_last_line(text: &str) -> JobState {
    let mut fields = text.splitn(4, '\t');
    let state = fields.next();
    let exit = fields.next().and_then(|code| code.parse().ok());
    let activated = fields.next().filter(|text| !text.is_empty()).map(printable_line);
    let outcome = fields.next().filter(|text| !text.is_empty()).map(str::to_owned);
    let (is_dead, is_gone) = (state != Some("over"), state == Some("gone"));
    JobState { exit, activated, outcome, is_dead, is_gone }
}

#[cfg(test)]
mod tests;
