//! Jobs: work on a host that goes on when the connection ends.
//!
//! A job is a transient systemd unit with a folder below `/run/nixdash/jobs`: its log is followed
//! from an offset, so a lost connection is made again and nothing of the log is missed. What a job
//! left in its folder is the truth about it, never the unit's state. Starting one is idempotent: it
//! is asked for again until it is there.

mod open;
mod patience;
pub mod scripts;
mod sink;
mod start;
mod tell;
mod times;

pub use patience::Patience;
pub use sink::LineSink;
pub use start::{StartFailure, job_script};

use crate::fleet::{LogMark, printable_line};
use crate::remote::words::connection_lost;
use crate::remote::{LineSplitter, RemoteError, Script, ScriptRunner, Trouble};
use jiff::Timestamp;
use open::{LogEnd, OpenLog};
use scripts::{FOLLOW, STOP};
use std::sync::Arc;
use std::time::Duration;
use times::{FollowedPiece, LogHead, LogTimes};
use tokio::time::Instant;

/// Longest time that one follow may take before it is begun again.
const FOLLOW_LIMIT: Duration = Duration::from_secs(6 * 3600);

/// A follow that lasted longer than this had a connection.
const CONNECTED: Duration = Duration::from_secs(7);

/// After how long without a byte of a log its reader hears of that.
const STANDS_STILL: Duration = Duration::from_secs(60);

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

/// The exit code of a script that was told to end by SIGTERM, as systemd tells the processes of a unit that somebody
/// stops.
const TOLD_TO_END: i32 = 128 + 15;

impl JobState {
    /// Returns the exit code with which its script ended by itself; none where something else ended it.
    pub fn own_exit(&self) -> Option<i32> {
        self.exit.filter(|code| *code != TOLD_TO_END)
    }
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
    /// When its lines were written, as far as that is known.
    times: LogTimes,
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
            times: LogTimes::default(),
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

    /// Takes what another process noted of when the log was how long, the oldest first.
    pub fn times_before(&mut self, mut marks: Vec<LogMark>) {
        // What it heard behind its last mark came in the next moment.
        marks.extend(marks.last().map(|last| LogMark { offset: u64::MAX, at: last.at }));
        self.times = LogTimes::new(marks);
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
    /// again for as long as `patience` without an answer.
    pub async fn follow(
        &mut self,
        awaited: &str,
        patience: Duration,
        lines: &mut impl LineSink,
    ) -> Result<JobState, RemoteError> {
        let mut patience = Patience::new(patience);
        loop {
            let is_late = self.is_late;
            let (before, began) = (self.offset, Instant::now());
            let from = self.begin_of_read();
            let started = self.opened.take().filter(|opened| opened.leads_to(awaited, from));
            let is_of_start = started.is_some();
            self.is_late = true;
            let opened = started.unwrap_or_else(|| self.open(awaited));
            match self.read(opened, is_late, lines).await {
                Ok(ReadEnd::Whole(state)) => {
                    self.seen_at = Some(Timestamp::now());
                    self.is_late = false;
                    return Ok(state);
                }
                Ok(ReadEnd::Short) => self.is_late = is_late,
                Ok(ReadEnd::Broken) if is_of_start => {}
                Ok(ReadEnd::Broken) => tokio::time::sleep(Duration::from_millis(500)).await,
                Err(error) => {
                    if self.offset > before || began.elapsed() > CONNECTED {
                        patience.answered();
                    }
                    if !patience.is_silent() {
                        lines.note(&connection_lost(&error.cause)).await;
                        let now = Timestamp::now();
                        lines.falls_silent(&self.host, now, patience.until(now));
                    }
                    let Some(pause) = patience.again(&error) else {
                        lines.silence_ends();
                        return Err(error);
                    };
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

    /// Reads an open log to its end.
    async fn read(
        &mut self,
        mut opened: OpenLog,
        is_late: bool,
        sink: &mut impl LineSink,
    ) -> Result<ReadEnd, RemoteError> {
        let (mut head, mut end) = (LogHead::new(&opened.mark), LogEnd::new(&opened.mark));
        let mut unproven = self.unproven.clone();
        let mut piece = std::mem::take(&mut opened.first);
        loop {
            let log = match head.feed(piece, Timestamp::now()) {
                FollowedPiece::Nothing => Vec::new(),
                FollowedPiece::More(log) => end.feed(&log),
                FollowedPiece::Begin(times, log) => {
                    sink.silence_ends();
                    self.begin_late(is_late, times, sink);
                    end.feed(&log)
                }
            };
            let Some(log) = prove(&mut unproven, &log) else {
                self.begin_anew(sink).await;
                return Ok(ReadEnd::Broken);
            };
            if unproven.is_empty() {
                self.unproven.clear();
            }
            if !log.is_empty() {
                sink.came(log).await;
                self.cut(log, sink).await;
            }
            if let Some(last) = end.last() {
                let (state, length) = parse_last_line(&last);
                if self.offset.saturating_sub(unproven.len() as u64) < length {
                    opened.leave().await;
                    return Ok(ReadEnd::Short);
                }
                if last == SHORTER || !(unproven.is_empty() || state.is_gone) {
                    self.begin_anew(sink).await;
                    return Ok(ReadEnd::Broken);
                }
                if let Some(line) = self.lines.rest() {
                    sink.written_at(self.times.at(line.end()));
                    sink.take(&line).await;
                    sink.read_to(&self.name, line.end());
                }
                opened.leave().await;
                return Ok(ReadEnd::Whole(state));
            }
            let mut silence = Duration::ZERO;
            let next = loop {
                if let Ok(next) = tokio::time::timeout(STANDS_STILL, opened.pieces.recv()).await {
                    break next;
                }
                silence += STANDS_STILL;
                sink.stands_still(silence).await;
            };
            let Some(next) = next else { break };
            self.seen_at = Some(Timestamp::now());
            piece = next;
        }
        let output = opened.end().await?;
        if output.is_ok() {
            return Ok(ReadEnd::Broken);
        }
        Err(RemoteError::new(&self.host, Trouble::Lost, &output.complaint()))
    }

    /// Says of lines that come later than they were written when that was, as far as that is known.
    fn begin_late(&mut self, is_late: bool, times: LogTimes, sink: &mut impl LineSink) {
        self.times = times;
        if !is_late {
            return;
        }
        if self.times.marks().is_empty() {
            sink.lines_are_late();
        } else {
            sink.learn_times(self.times.marks());
        }
    }

    /// Takes the next piece of its log, and gives on the lines that end in it.
    async fn cut(&mut self, mut piece: &[u8], sink: &mut impl LineSink) {
        self.offset += piece.len() as u64;
        while let Some(line) = self.lines.next(&mut piece) {
            sink.written_at(self.times.at(line.end()));
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

/// How the reading of an open log ended.
enum ReadEnd {
    /// With the job's state, all of the log read that was written before it.
    Whole(JobState),
    /// Before all of that was printed, which can be read at once.
    Short,
    /// Without its last line, or with another log than the one that was read before.
    Broken,
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

/// Reads the line with which `follow.sh` ends, behind its mark; returns with the state how many bytes the log
/// had at least when that was looked at.
fn parse_last_line(text: &str) -> (JobState, u64) {
    let mut fields = text.splitn(5, '\t');
    let state = fields.next();
    let length = fields.next().and_then(|length| length.trim().parse().ok());
    let exit = fields.next().and_then(|code| code.parse().ok());
    let activated = fields.next().filter(|text| !text.is_empty()).map(printable_line);
    let outcome = fields.next().filter(|text| !text.is_empty()).map(str::to_owned);
    let (is_dead, is_gone) = (state != Some("over"), state == Some("gone"));
    (JobState { exit, activated, outcome, is_dead, is_gone }, length.unwrap_or_default())
}

#[cfg(test)]
mod tests;
