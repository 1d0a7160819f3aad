//! Writing one run: its events, and the log of every host.
//!
//! Two things must not happen: that logs without end fill the disk, and that a full disk leaves an
//! untrue record. What tells how the run stands (begin, phases, plan, results, summary) always goes
//! into `events.jsonl`, and is kept in memory and tried again as long as the disk refuses it. Log
//! lines and progress go there and into `HOST.log` for the first half of what a run may take. After
//! that they go into folders `tail-1`, `tail-2` …, each an eighth, of which the newest four stay.
//! Where lines are missing there is a mark with their count ([`RunWhat::Dropped`]).

use crate::fleet::{DropReason, RunEvent, RunId, RunWhat};
use crate::record::RecordError;
use crate::record::runs::files::Files;
use crate::record::runs::{EVENTS, doing, tail_folder, tails};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};

/// Into how many parts the end of the logs is cut; the oldest of them is removed as a whole.
const TAILS: usize = 4;

/// What is kept free for the end of a run, in bytes: some hundred events.
const RESERVE: usize = 256 * 1024;

/// The name of the file that keeps it free.
const RESERVED: &str = "reserve";

/// Something that waits for the disk.
struct Waiting {
    file: PathBuf,
    bytes: Vec<u8>,
    /// Of a log line its number in the run, its host and when it was. It waits twice: as an event,
    /// and for its host's log.
    line: Option<(u64, String, Timestamp)>,
    /// Whether it may be left out.
    droppable: bool,
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
    /// How many log lines there were.
    lines: u64,
    /// Lines that the disk refused, since the last mark.
    refused: Lines,
    /// The numbers of those that were refused in one of two places.
    refused_numbers: BTreeSet<u64>,
    /// When the newest event was.
    newest: Timestamp,
    /// Marks that were made and not taken yet.
    marks: Vec<RunEvent>,
    has_reserve: bool,
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
            lines: 0,
            refused: Lines::default(),
            refused_numbers: BTreeSet::new(),
            newest: Timestamp::UNIX_EPOCH,
            marks: Vec::new(),
            has_reserve: false,
        };
        writer.has_reserve =
            writer.files.append(&writer.dir.join(RESERVED), &incompressible(RESERVE)).is_ok();
        writer
    }

    /// Goes on to write into the folder of a run that was left.
    pub(super) fn again(run: RunId, dir: PathBuf, files: Box<dyn Files>, limit: u64) -> Self {
        let head = folder_size(&dir);
        let numbers = tails(&dir).into_iter();
        let tails = numbers.map(|number| {
            // How many lines stand in it is not known: one that is removed is not counted.
            Tail { number, size: folder_size(&tail_folder(&dir, number)), lines: Lines::default() }
        });
        let tails = tails.collect();
        Self { head, tails, ..Self::new(run, dir, files, limit) }
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

    /// Takes an event, and a host's line for its log; [`RunWriter::flush`] writes them.
    pub fn write(&mut self, event: &RunEvent) {
        // Events are plain data: there is none that could not be written as JSON.
        let Ok(mut json) = serde_json::to_vec(event) else { return };
        json.push(b'\n');
        self.newest = event.at;
        let droppable = event.what.may_be_dropped();
        let Some((host, text)) = log_line(event) else {
            let folder = self.folder(json.len() as u64, droppable);
            self.wait(folder.join(EVENTS), json, None, droppable);
            return;
        };
        let folder = self.folder((json.len() + text.len()) as u64, droppable);
        if let Some(tail) = self.tails.back_mut() {
            tail.lines.add(host, event.at);
        }
        self.lines += 1;
        let line = Some((self.lines, host.to_owned(), event.at));
        self.wait(folder.join(EVENTS), json, line.clone(), droppable);
        self.wait(folder.join(format!("{host}.log")), text, line, droppable);
    }

    /// Lets something wait for the disk.
    fn wait(
        &mut self,
        file: PathBuf,
        bytes: Vec<u8>,
        line: Option<(u64, String, Timestamp)>,
        droppable: bool,
    ) {
        self.waiting.push(Waiting { file, bytes, line, droppable });
    }

    /// Returns the folder in which so many bytes of logs have room; the oldest part of the end makes
    /// room where there is none.
    ///
    /// What must not be lost is in the beginning, whatever its size: it is little.
    fn folder(&mut self, size: u64, droppable: bool) -> PathBuf {
        if !droppable {
            self.head += size;
            return self.dir.clone();
        }
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

    /// Removes the oldest part of the end, and says so in its place.
    fn remove_oldest(&mut self) {
        let Some(tail) = self.tails.pop_front() else { return };
        let folder = tail_folder(&self.dir, tail.number);
        self.waiting.retain(|waiting| !waiting.file.starts_with(&folder));
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
        for (host, count) in &missing.hosts {
            let file = self.dir.join(format!("{host}.log"));
            let at = at.strftime("%Y-%m-%dT%H:%M:%SZ");
            let bytes = format!("{at} {}\n", why.sentence(*count, 0)).into_bytes();
            self.wait(file, bytes, None, false);
        }
        let what = RunWhat::Dropped { lines, hosts: missing.hosts.clone(), events, why };
        let mark = RunEvent { run: self.run.clone(), at, what };
        if let Ok(mut bytes) = serde_json::to_vec(&mark) {
            bytes.push(b'\n');
            self.wait(self.dir.join(EVENTS), bytes, None, false);
        }
        self.marks.push(mark);
    }

    /// Writes what waits, so that others can read it; returns what the disk refused.
    ///
    /// Log lines that it refused are counted; the rest is tried again with the next call.
    pub fn flush(&mut self) -> Result<(), RecordError> {
        let result = self.write_waiting();
        self.refused_numbers.clear();
        if result.is_ok() && !self.refused.hosts.is_empty() {
            let refused = std::mem::take(&mut self.refused);
            self.mark(&refused, DropReason::DiskFull, 0);
            return self.write_waiting();
        }
        result
    }

    /// Writes what waits, file by file; where that fails, makes room with what was kept free.
    fn write_waiting(&mut self) -> Result<(), RecordError> {
        let mut result = Ok(());
        let mut files: Vec<PathBuf> = Vec::new();
        for waiting in &self.waiting {
            if !files.contains(&waiting.file) {
                files.push(waiting.file.clone());
            }
        }
        // Last the events: whoever reads the summary there finds everything else written.
        files.sort_by_key(|file| *file == self.dir.join(EVENTS));
        for file in files {
            if let Err(error) = self.write_file(&file) {
                self.refuse(&file);
                // Little is left of it now, and it must not be lost.
                let again = if self.release() { self.write_file(&file) } else { Err(error) };
                if let Err(error) = again {
                    result = Err(doing("write", &file)(error));
                }
            }
        }
        result
    }

    /// Writes what waits for one file.
    fn write_file(&mut self, file: &Path) -> io::Result<()> {
        let of_file = self.waiting.iter().filter(|waiting| waiting.file == file);
        let bytes: Vec<u8> = of_file.flat_map(|waiting| waiting.bytes.iter().copied()).collect();
        if !bytes.is_empty() {
            self.files.append(file, &bytes)?;
        }
        self.waiting.retain(|waiting| waiting.file != file);
        Ok(())
    }

    /// Leaves out the lines that wait for a file, and counts them.
    fn refuse(&mut self, file: &Path) {
        let (refused, numbers) = (&mut self.refused, &mut self.refused_numbers);
        self.waiting.retain(|waiting| {
            let stays = waiting.file != file || !waiting.droppable;
            if let (false, Some((number, host, at))) = (stays, &waiting.line)
                && numbers.insert(*number)
            {
                refused.add(host, *at);
            }
            stays
        });
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
        // The history is on the same disk, and has this much room for the end of the run.
        self.release();
        self.take_marks()
    }
}

/// Returns how many bytes the events and logs in a folder take, without those in folders below it.
fn folder_size(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let is_log = |name: &std::ffi::OsStr| {
        Path::new(name)
            .extension()
            .is_some_and(|extension| extension == "log" || extension == "jsonl")
    };
    let logs = entries.filter(|entry| is_log(&entry.file_name()));
    logs.filter_map(|entry| entry.metadata().ok()).map(|data| data.len()).sum()
}

/// Returns the host of a log line, and the line as it stands in the host's log.
fn log_line(event: &RunEvent) -> Option<(&str, Vec<u8>)> {
    let RunWhat::Log { host, phase, line } = &event.what else { return None };
    let at = event.at.strftime("%Y-%m-%dT%H:%M:%SZ");
    Some((host, format!("{at} {phase:<11} {line}\n").into_bytes()))
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
