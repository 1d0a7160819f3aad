//! Writing one run: its events, the log of every host, and how far it is at this moment.
//!
//! Two things must not happen: that logs without end fill the disk, and that a full disk leaves an
//! untrue record. What tells how the run stands (begin, phases, plan, results, summary) always goes
//! into `events.jsonl`, and is kept in memory and tried again as long as the disk refuses it. Log
//! lines go into `HOST.log`, with an index beside it, for the first half of what a run may take. After
//! that they go into folders `tail-1`, `tail-2` …, each an eighth, of which the newest four stay.
//! Before lines of a job's stream, `HOST.places` says up to where the log has it with them (see `places`).
//! Where lines are missing there is a mark with their count ([`RunWhat::Dropped`]). Of progress only the
//! newest is kept, in `live.json`, which is replaced a few times a second.

use crate::fleet::{DropReason, LiveRun, LogFrom, LogLine, RunEvent, RunId, RunWhat};
use crate::record::RecordError;
use crate::record::runs::files::Files;
use crate::record::runs::index::{IndexBuilder, LogIndex, index_of};
use crate::record::runs::places::{AddedLines, LogPlaces, places_of};
use crate::record::runs::stored::StoredFile;
use crate::record::runs::{EVENTS, LIVE, doing, host_file, tail_folder, tails};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Into how many parts the end of the logs is cut; the oldest of them is removed as a whole.
const TAILS: usize = 4;

/// What is kept free for the end of a run, in bytes: some hundred events.
const RESERVE: usize = 256 * 1024;

/// The name of the file that keeps it free.
const RESERVED: &str = "reserve";

/// How often it is written at most how far the run is.
pub(super) const LIVE_EVERY: Duration = Duration::from_millis(250);

/// Something that waits for the disk.
struct Waiting {
    file: PathBuf,
    bytes: Vec<u8>,
    /// Of a log line its host and when it was: it may be left out.
    line: Option<(String, Timestamp)>,
    /// What a log line was made of.
    from: Option<LogFrom>,
}

/// One part of the end of the logs.
#[derive(Default)]
struct Tail {
    number: u64,
    size: u64,
    lines: Lines,
}

/// Log lines that are, or will be, missing.
#[derive(Clone, Default)]
struct Lines {
    hosts: BTreeMap<String, u64>,
    /// When the newest of them was.
    until: Option<Timestamp>,
}

impl Lines {
    fn add(&mut self, host: &str, at: Timestamp) {
        *self.hosts.entry(host.to_owned()).or_default() += 1;
        self.until = Some(at);
    }
}

/// Writes one run. Nothing here fails: what cannot be written is counted, and the count is written.
pub struct RunWriter {
    run: RunId,
    dir: PathBuf,
    files: Box<dyn Files>,
    /// How much the logs may take, in bytes.
    limit: u64,
    /// How much the beginning takes, in bytes.
    head: u64,
    tails: VecDeque<Tail>,
    waiting: Vec<Waiting>,
    /// The indexes of the logs that are written.
    indexes: HashMap<PathBuf, IndexBuilder>,
    /// Lines that the disk refused, since the last mark.
    refused: Lines,
    /// When the newest event was.
    newest: Timestamp,
    /// Marks that were made and not taken yet.
    marks: Vec<RunEvent>,
    has_reserve: bool,
    /// How far the run is, when that was written last, and whether it changed since.
    live: LiveRun,
    live_at: Option<Instant>,
    live_changed: bool,
}

impl RunWriter {
    /// Begins to write into a run's folder.
    pub(super) fn new(run: RunId, dir: PathBuf, files: Box<dyn Files>, limit: u64) -> Self {
        let mut writer = Self {
            run,
            dir,
            files,
            limit,
            head: 0,
            tails: VecDeque::new(),
            waiting: Vec::new(),
            indexes: HashMap::new(),
            refused: Lines::default(),
            newest: Timestamp::UNIX_EPOCH,
            marks: Vec::new(),
            has_reserve: false,
            live: LiveRun::default(),
            live_at: None,
            live_changed: false,
        };
        writer.reserve();
        writer
    }

    /// Goes on with what an earlier process wrote into the run's folder.
    #[must_use]
    pub(super) fn after_earlier(mut self) -> Self {
        let numbers = tails(&self.dir);
        let ends = numbers.iter().map(|number| tail_folder(&self.dir, *number));
        for folder in std::iter::once(self.dir.clone()).chain(ends) {
            logs_in(&folder).for_each(|(log, _)| cut_torn(&log));
        }
        self.head = logs_in(&self.dir).map(|(_, size)| size).sum();
        for number in numbers {
            let mut tail = Tail { number, ..Tail::default() };
            for (log, size) in logs_in(&tail_folder(&self.dir, number)) {
                tail.size += size;
                let host = log.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let index =
                    StoredFile::open(&log).and_then(|file| LogIndex::read(&file, &index_of(&log)));
                tail.lines.hosts.insert(host, index.map_or(0, |index| index.lines));
            }
            self.tails.push_back(tail);
        }
        let live = fs::read(self.dir.join(LIVE)).ok();
        self.live = live.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        self
    }

    /// Changes how much the logs may take, in bytes.
    #[must_use]
    pub fn with_limit(self, limit: u64) -> Self {
        Self { limit, ..self }
    }

    /// Returns the run's name.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Takes an event, or a host's line for its log; [`RunWriter::flush`] writes them.
    pub fn write(&mut self, event: &RunEvent) {
        self.newest = event.at;
        self.live_changed |= self.live.take(event);
        match &event.what {
            RunWhat::Log { host, phase, line, build, colours, from } => {
                let plain = LogLine::plain(Some(event.at), Some(*phase), line);
                let (build, colours) = (*build, colours.clone());
                let text = LogLine { build, colours, ..plain }.written().into_bytes();
                let folder = self.log_folder(text.len() as u64);
                if let Some(tail) = self.tails.back_mut() {
                    tail.lines.add(host, event.at);
                }
                let line = Some((host.clone(), event.at));
                let (file, from) = (log_in(&folder, host), from.clone());
                self.waiting.push(Waiting { file, bytes: text, line, from });
            }
            // The newest is in `live`.
            RunWhat::Progress { .. } => {}
            RunWhat::Dropped { hosts, why, .. } => {
                self.mark_logs(hosts, *why, event.at);
                self.wait_event(event);
            }
            RunWhat::Begin { .. }
            | RunWhat::Phase { .. }
            | RunWhat::Plan { .. }
            | RunWhat::Waiting { .. }
            | RunWhat::Rollout(_)
            | RunWhat::Result { .. }
            | RunWhat::Reattached { .. }
            | RunWhat::Usual { .. }
            | RunWhat::Builds { .. }
            | RunWhat::Command { .. }
            | RunWhat::Summary { .. } => self.wait_event(event),
        }
    }

    /// Lets something wait for the disk.
    fn wait(&mut self, file: PathBuf, bytes: Vec<u8>) {
        self.waiting.push(Waiting { file, bytes, line: None, from: None });
    }

    /// Lets an event wait for the disk.
    fn wait_event(&mut self, event: &RunEvent) {
        // Events are plain data: there is none that could not be written as JSON.
        let Ok(mut json) = serde_json::to_vec(event) else { return };
        json.push(b'\n');
        self.wait(self.dir.join(EVENTS), json);
    }

    /// Returns the folder in which so many bytes of logs have room; the oldest part of the end makes
    /// room where there is none.
    fn log_folder(&mut self, size: u64) -> PathBuf {
        if self.tails.is_empty() && self.head + size <= self.limit / 2 {
            self.head += size;
            return self.dir.clone();
        }
        let part = self.limit / 2 / TAILS as u64;
        if self.tails.back().is_none_or(|tail| tail.size > 0 && tail.size + size > part) {
            let number = self.tails.back().map_or(1, |tail| tail.number + 1);
            self.tails.push_back(Tail { number, ..Tail::default() });
            while self.tails.len() > TAILS {
                self.remove_oldest();
            }
        }
        let Some(tail) = self.tails.back_mut() else { return self.dir.clone() };
        tail.size += size;
        tail_folder(&self.dir, tail.number)
    }

    /// Returns the folder that log lines go into now.
    fn newest_folder(&self) -> PathBuf {
        match self.tails.back() {
            Some(tail) => tail_folder(&self.dir, tail.number),
            None => self.dir.clone(),
        }
    }

    /// Removes the oldest part of the end, and says so in its place: at the end of the beginning.
    fn remove_oldest(&mut self) {
        let Some(tail) = self.tails.pop_front() else { return };
        let folder = tail_folder(&self.dir, tail.number);
        self.waiting.retain(|waiting| !waiting.file.starts_with(&folder));
        self.indexes.retain(|log, _| !log.starts_with(&folder));
        // What cannot be removed stays: too much is better than too little.
        drop(self.files.remove(&folder));
        self.mark(&tail.lines, DropReason::RunSize, 0);
    }

    /// Puts a mark where lines are missing, into the events and into the logs of their hosts.
    fn mark(&mut self, missing: &Lines, why: DropReason, events: u64) {
        let lines = missing.hosts.values().sum();
        if lines == 0 && events == 0 {
            return;
        }
        let at = missing.until.unwrap_or(self.newest);
        self.mark_logs(&missing.hosts, why, at);
        let what = RunWhat::Dropped { lines, hosts: missing.hosts.clone(), events, why };
        let mark = RunEvent { run: self.run.clone(), at, what };
        self.wait_event(&mark);
        self.marks.push(mark);
    }

    /// Puts a mark into the logs of hosts of which lines are missing.
    fn mark_logs(&mut self, hosts: &BTreeMap<String, u64>, why: DropReason, at: Timestamp) {
        let folder = match why {
            DropReason::RunSize => self.dir.clone(),
            DropReason::SlowReader | DropReason::SlowDisk | DropReason::DiskFull => {
                self.newest_folder()
            }
        };
        for (host, count) in hosts {
            let mark = LogLine::plain(Some(at), None, why.sentence(*count, 0));
            self.wait(log_in(&folder, host), mark.written().into_bytes());
        }
    }

    /// Returns whether the run is further than what was written of that.
    pub(super) fn has_news(&self) -> bool {
        self.live_changed
    }

    /// Writes what waits, so that others can read it; returns what the disk refused.
    ///
    /// Log lines that it refused are counted; the rest is tried again with the next call.
    pub fn flush(&mut self) -> Result<(), RecordError> {
        let result = self.write_waiting();
        // While nothing is kept free, marks without end would take the room of the run's end.
        if result.is_ok() && self.has_reserve && !self.refused.hosts.is_empty() {
            let refused = std::mem::take(&mut self.refused);
            self.mark(&refused, DropReason::DiskFull, 0);
            return self.write_waiting();
        }
        result
    }

    /// Writes what waits, file by file; where the disk has no room for an event, makes room with what
    /// was kept free.
    ///
    /// After that no line of a log is written until as much is kept free again: the lines would take
    /// what the end of the run and the history need.
    fn write_waiting(&mut self) -> Result<(), RecordError> {
        let mut result = Ok(());
        let mut files: Vec<PathBuf> = Vec::new();
        for waiting in &self.waiting {
            if !files.contains(&waiting.file) {
                files.push(waiting.file.clone());
            }
        }
        let events = self.dir.join(EVENTS);
        // Last the events: whoever reads the summary there finds everything else written.
        files.sort_by_key(|file| *file == events);
        let ends = files.last() == Some(&events);
        let lines_have_room = self.reserve();
        for file in files {
            if !lines_have_room {
                self.refuse(&file);
            }
            if file == events {
                self.write_live(ends);
            }
            if let Err(error) = self.write_file(&file) {
                self.refuse(&file);
                // Events must not be lost. Of a log only marks are left now, which can wait.
                let tries_again = file != events || self.release();
                let again = if tries_again { self.write_file(&file) } else { Err(error) };
                if let Err(error) = again {
                    result = Err(doing("write", &file)(error));
                }
            }
        }
        self.write_live(false);
        result
    }

    /// Writes how far the run is, when that changed and it was not written just now, or `at_once`.
    fn write_live(&mut self, at_once: bool) {
        let is_due = self.live_at.is_none_or(|at| at.elapsed() >= LIVE_EVERY);
        if !self.live_changed || !(is_due || at_once) {
            return;
        }
        let Ok(json) = serde_json::to_vec(&self.live) else { return };
        // On a full disk the older one stays; what counts is in the events.
        if self.files.replace(&self.dir.join(LIVE), &json).is_ok() {
            self.live_changed = false;
        }
        self.live_at = Some(Instant::now());
    }

    /// Writes what waits for one file, and for a log also the index.
    fn write_file(&mut self, file: &Path) -> io::Result<()> {
        let of_file = self.waiting.iter().filter(|waiting| waiting.file == file);
        let bytes: Vec<u8> = of_file.flat_map(|waiting| waiting.bytes.iter().copied()).collect();
        if !bytes.is_empty() {
            let mut made = self.waiting.iter().rev().filter(|waiting| waiting.file == file);
            if let Some(from) = made.find_map(|waiting| waiting.from.as_ref()) {
                let begin = self.files.length(file)?;
                let place = AddedLines::line(begin, bytes.len(), from);
                self.files.append(&places_of(file), &place)?;
            }
            let offset = self.files.append(file, &bytes)?;
            if file.extension().is_some_and(|extension| extension == LOG) {
                let entries = self.index(file, offset).take(offset, &bytes);
                if !entries.is_empty() {
                    // What an index lacks is found in the log.
                    drop(self.files.append(&index_of(file), &entries));
                }
            }
        }
        self.waiting.retain(|waiting| waiting.file != file);
        Ok(())
    }

    /// Returns what makes the index of a log, which an earlier process may have begun: it ends at
    /// `length`.
    fn index(&mut self, log: &Path, length: u64) -> &mut IndexBuilder {
        self.indexes.entry(log.to_path_buf()).or_insert_with(|| match length {
            0 => IndexBuilder::default(),
            _ => StoredFile::open(log)
                .and_then(|file| IndexBuilder::go_on(&file, &index_of(log), length))
                .unwrap_or_default(),
        })
    }

    /// Leaves out the lines that wait for a file, and counts them.
    fn refuse(&mut self, file: &Path) {
        let refused = &mut self.refused;
        self.waiting.retain(|waiting| match &waiting.line {
            Some((host, at)) if waiting.file == file => {
                refused.add(host, *at);
                false
            }
            Some(_) | None => true,
        });
    }

    /// Keeps room free, unless that is done already; returns whether it is.
    fn reserve(&mut self) -> bool {
        if !self.has_reserve {
            let reserved = self.dir.join(RESERVED);
            self.has_reserve = self.files.append(&reserved, &incompressible(RESERVE)).is_ok();
            if !self.has_reserve {
                // An empty file tells nobody anything.
                drop(self.files.remove(&reserved));
            }
        }
        self.has_reserve
    }

    /// Gives back what was kept free; returns whether there was something.
    fn release(&mut self) -> bool {
        let had = std::mem::take(&mut self.has_reserve);
        had && self.files.remove(&self.dir.join(RESERVED)).is_ok()
    }

    /// Returns the marks that were made since the last call.
    pub fn take_marks(&mut self) -> Vec<RunEvent> {
        std::mem::take(&mut self.marks)
    }

    /// Writes what still waits and ends. Returns the last marks: what could not be written is in
    /// them, also where the disk does not take the marks either.
    pub fn finish(mut self) -> Vec<RunEvent> {
        // Judged by what is left.
        drop(self.flush());
        let events = self.dir.join(EVENTS);
        let lost = self.waiting.iter().filter(|waiting| waiting.file == events).count() as u64;
        let refused = std::mem::take(&mut self.refused);
        self.mark(&refused, DropReason::DiskFull, lost);
        drop(self.flush());
        self.write_live(true);
        // The history is on the same disk, and has this much room for the end of the run.
        self.release();
        self.take_marks()
    }
}

/// How the files of logs end.
const LOG: &str = "log";

/// Returns the file of a host's log in a folder.
fn log_in(folder: &Path, host: &str) -> PathBuf {
    host_file(folder, host, LOG)
}

/// Returns the logs in a folder, with their sizes in bytes.
fn logs_in(folder: &Path) -> impl Iterator<Item = (PathBuf, u64)> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let logs = entries.map(|entry| entry.path());
    let logs = logs.filter(|path| path.extension().is_some_and(|extension| extension == LOG));
    logs.filter_map(|path| {
        let size = fs::metadata(&path).ok()?.len();
        Some((path, size))
    })
}

/// Cuts what a process that was killed wrote only in part off a log: it is written once more.
fn cut_torn(log: &Path) {
    let Some(length) = LogPlaces::read(log).torn_at() else { return };
    // Where that fails, some lines stand twice.
    drop(File::options().write(true).open(log).and_then(|file| file.set_len(length)));
}

/// Returns bytes that a file system which compresses cannot store in less room.
fn incompressible(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(count);
    while bytes.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}

#[cfg(test)]
mod tests;
