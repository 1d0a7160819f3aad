//! The index of a host's log: where its lines begin.
//!
//! `HOST.index` beside `HOST.log` has an entry about every 64 KiB: the number of a line in that file, at
//! which byte it begins, when it was and of which phase. It only saves time: what it lacks (the log grew
//! since, the disk was full, the run is of an older nixdash) is found by reading the log on from the
//! last entry, and what in it does not fit the log is not used.

use crate::fleet::{LogLine, Phase};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// At least so many bytes lie between two entries.
pub(super) const EVERY: u64 = 64 * 1024;

/// How many bytes are read at once.
const CHUNK: usize = 256 * 1024;

/// A line of a log, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IndexEntry {
    /// Its number in the file; the first is 0.
    pub(super) line: u64,
    /// At which byte it begins.
    pub(super) offset: u64,
    /// When it was.
    pub(super) at: Option<Timestamp>,
    /// Of which phase it is.
    pub(super) phase: Option<Phase>,
}

/// Returns the file with the index of a log.
pub(super) fn index_of(log: &Path) -> PathBuf {
    log.with_extension("index")
}

/// What makes the index of a log that grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct IndexBuilder {
    /// How many lines the log has.
    lines: u64,
    /// How long these are together, in bytes.
    length: u64,
    /// The next line that begins here or later gets an entry.
    next: u64,
}

impl IndexBuilder {
    /// Returns what goes on with the index of a log.
    pub(super) fn after(index: &LogIndex) -> Self {
        let next = index.entries.last().map_or(0, |entry| entry.offset + EVERY);
        Self { lines: index.lines, length: index.length, next }
    }

    /// Takes whole lines that were added to the log at an offset; returns what is added to its index.
    /// What stands before them and is not known is a half line that was ended.
    pub(super) fn take(&mut self, mut offset: u64, added: &[u8]) -> Vec<u8> {
        let mut entries = Vec::new();
        self.lines += u64::from(offset > self.length);
        self.length = offset + added.len() as u64;
        for line in added.split_inclusive(|byte| *byte == b'\n') {
            if offset >= self.next {
                let LogLine { at, phase, .. } = LogLine::read(line);
                let entry = IndexEntry { line: self.lines, offset, at, phase };
                // An entry is plain data, which can be written as JSON.
                drop(serde_json::to_writer(&mut entries, &entry));
                entries.push(b'\n');
                self.next = offset + EVERY;
            }
            self.lines += 1;
            offset += line.len() as u64;
        }
        entries
    }
}

/// Where the lines of a log are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LogIndex {
    /// Some of its lines, the first one first.
    pub(super) entries: Vec<IndexEntry>,
    /// How many whole lines it has.
    pub(super) lines: u64,
    /// How long these are together, in bytes.
    pub(super) length: u64,
}

impl LogIndex {
    /// Reads the index of a log and goes on with it to the log's end.
    pub(super) fn read(log: &File, index: &Path) -> io::Result<Self> {
        Self::read_to(log, index, log.metadata()?.len())
    }

    /// Reads the index of the first `size` bytes of a log.
    pub(super) fn read_to(log: &File, index: &Path, size: u64) -> io::Result<Self> {
        let entries = entries_in(index, size);
        let (mut lines, mut at) = entries.last().map_or((0, 0), |entry| (entry.line, entry.offset));
        let mut found = Self { entries, lines, length: at };
        let mut chunk = vec![0; CHUNK];
        while at < size {
            let most = chunk.len().min((size - at) as usize);
            let read = log.read_at(&mut chunk[..most], at)?;
            if read == 0 {
                break;
            }
            for (place, byte) in chunk[..read].iter().enumerate() {
                if *byte != b'\n' {
                    continue;
                }
                lines += 1;
                let offset = at + place as u64 + 1;
                found.length = offset;
                let last = found.entries.last().map_or(0, |entry| entry.offset);
                if offset >= last + EVERY {
                    found.entries.push(IndexEntry { line: lines, offset, at: None, phase: None });
                }
            }
            at += read as u64;
        }
        // A line that begins at the end is none yet.
        found.entries.retain(|entry| entry.offset < found.length);
        found.lines = lines;
        Ok(found)
    }
}

/// Returns the entries of an index that fit a log of that size: their lines and offsets grow.
pub(super) fn entries_in(index: &Path, size: u64) -> Vec<IndexEntry> {
    // Without an index the log is read from its beginning.
    let text = fs::read(index).unwrap_or_default();
    let mut entries: Vec<IndexEntry> = Vec::new();
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let Ok(entry) = serde_json::from_slice::<IndexEntry>(line) else { continue };
        let fits = match entries.last() {
            Some(last) => entry.line > last.line && entry.offset > last.offset,
            None => (entry.line == 0) == (entry.offset == 0),
        };
        if fits && entry.offset < size {
            entries.push(entry);
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns lines of a log, some long and some short.
    fn lines(count: u64) -> Vec<String> {
        let line = |number: u64| {
            let at = Timestamp::from_second(i64::try_from(number).unwrap()).unwrap();
            let text = format!("{number} {}", "x".repeat((number * 37 % 300) as usize));
            LogLine { at: Some(at), phase: Some(Phase::Build), text }.written()
        };
        (0..count).map(line).collect()
    }

    /// Writes a log in batches with its index; returns their folder and the log.
    fn written(lines: &[String], batch: usize) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("samsung.log");
        let (mut builder, mut text, mut index) = (IndexBuilder::default(), Vec::new(), Vec::new());
        for batch in lines.chunks(batch) {
            let added = batch.concat().into_bytes();
            index.extend(builder.take(text.len() as u64, &added));
            text.extend(added);
        }
        fs::write(&log, text).unwrap();
        fs::write(index_of(&log), index).unwrap();
        (dir, log)
    }

    fn read(log: &Path) -> LogIndex {
        LogIndex::read(&File::open(log).unwrap(), &index_of(log)).unwrap()
    }

    #[test]
    fn entries_stand_about_every_64_kib_and_name_their_lines() {
        let lines = lines(5000);
        for batch in [1, 7, 5000] {
            let (_dir, log) = written(&lines, batch);
            let (index, text) = (read(&log), fs::read(&log).unwrap());
            assert_eq!((index.lines, index.length), (5000, text.len() as u64));
            assert!(index.entries.len() as u64 >= text.len() as u64 / EVERY / 2);
            for entry in &index.entries {
                let found = LogLine::read(
                    text[entry.offset as usize..].split(|b| *b == b'\n').next().unwrap(),
                );
                assert!(found.text.starts_with(&format!("{} ", entry.line)), "{entry:?}");
                assert_eq!((entry.at, entry.phase), (found.at, found.phase));
            }
        }
    }

    #[test]
    fn what_an_index_lacks_is_read_from_the_log_and_what_does_not_fit_is_not_used() {
        let lines = lines(5000);
        let (_dir, log) = written(&lines, 100);
        let whole = read(&log);
        let text = fs::read_to_string(index_of(&log)).unwrap();
        let half: String = text.split_inclusive('\n').take(4).collect();
        let wrong = format!(
            "{half}{{\"line\":1,\"offset\":99999999,\"at\":null,\"phase\":null}}\nno json\n{{\"li"
        );
        for index in [String::new(), half, wrong] {
            fs::write(index_of(&log), index).unwrap();
            let found = read(&log);
            assert_eq!((found.lines, found.length), (whole.lines, whole.length));
            let lines = fs::read(&log).unwrap();
            for entry in &found.entries {
                let before = lines[..entry.offset as usize].split(|b| *b == b'\n').count() - 1;
                assert_eq!(before as u64, entry.line);
            }
        }
    }

    #[test]
    fn a_half_line_at_the_end_is_no_line() {
        let (_dir, log) = written(&lines(10), 10);
        let mut text = fs::read(&log).unwrap();
        let whole = text.len() as u64;
        text.extend(b"2026-11-21T12:04:22Z build       ha");
        fs::write(&log, text).unwrap();
        let index = read(&log);
        assert_eq!((index.lines, index.length), (10, whole));
    }
}
