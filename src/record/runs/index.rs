//! The index of a host's log: where its lines begin, and what stands in them.
//!
//! `HOST.index` beside `HOST.log` has an entry for each block of about 64 KiB of whole lines: the number
//! of its first line, at which byte that begins, when it was and of which phase, and what stands in the
//! block ([`LogBlock`]). The first line names the format; an older nixdash wrote none, and said nothing
//! of what stands in a block. The index only saves time: what it lacks (the log grew since, the disk was
//! full) is found by reading the log on from the end of the last entry, and what in it does not fit the
//! log is not used.

use crate::fleet::Phase;
use crate::record::runs::blocks::{LogBlock, OpenBlock};
use crate::record::runs::stored::StoredFile;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The format of what is written; 1 had no line that names it.
const FORMAT: u32 = 2;

/// A block has at least so many bytes.
pub(super) const EVERY: u64 = 64 * 1024;

/// How many bytes are read at once.
const CHUNK: usize = 256 * 1024;

/// A line of a log, and where it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IndexEntry {
    /// Its number in the file; the first is 0.
    pub(super) line: u64,
    /// At which byte it begins.
    pub(super) offset: u64,
    /// When it was.
    pub(super) at: Option<Timestamp>,
    /// Of which phase it is.
    pub(super) phase: Option<Phase>,
    /// What stands in the lines that begin with it, up to the next entry; none where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) block: Option<LogBlock>,
}

/// The first line of an index.
#[derive(Serialize, Deserialize)]
struct IndexFormat {
    index: u32,
}

/// Returns the file with the index of a log.
pub(super) fn index_of(log: &Path) -> PathBuf {
    log.with_extension("index")
}

/// Returns the line that an index begins with.
fn format_line() -> Vec<u8> {
    format!("{{\"index\":{FORMAT}}}\n").into_bytes()
}

/// What makes the index of a log that grows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexBuilder {
    /// How many lines the log has.
    lines: u64,
    /// How long these are together, in bytes.
    length: u64,
    /// The block that is not full yet.
    open: Option<OpenBlock>,
    /// What is to be added to the index before anything else.
    pending: Vec<u8>,
}

impl Default for IndexBuilder {
    /// Returns what makes the index of a log of which nothing is written yet.
    fn default() -> Self {
        Self { lines: 0, length: 0, open: None, pending: format_line() }
    }
}

impl IndexBuilder {
    /// Goes on with the index of the first `size` bytes of a log, of which an earlier process wrote a
    /// part; the lines behind its last whole entry are read once more.
    pub(super) fn go_on(log: &StoredFile, index: &Path, size: u64) -> io::Result<Self> {
        let entries = entries_in(index, size);
        let mut builder = Self::default();
        if let Some(last) = entries.last() {
            (builder.lines, builder.length) = last.known_to();
            builder.pending.clear();
        }
        let mut lines = WholeLines::new(log, builder.length, size);
        while let Some((offset, piece)) = lines.next()? {
            let entries = builder.take(offset, piece);
            builder.pending = entries;
        }
        Ok(builder)
    }

    /// Takes whole lines that were added to the log at an offset; returns what is added to its index.
    /// What stands before them and is not known is a half line that was ended.
    pub(super) fn take(&mut self, offset: u64, added: &[u8]) -> Vec<u8> {
        let mut entries = std::mem::take(&mut self.pending);
        if offset > self.length {
            let block = self.open.get_or_insert_with(|| OpenBlock::new(self.lines, self.length));
            block.take_unknown(offset - self.length);
            self.lines += 1;
        }
        self.length = offset;
        let mut rest = added;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            let (line, behind) = rest.split_at(end);
            rest = behind;
            let block = self.open.get_or_insert_with(|| OpenBlock::new(self.lines, self.length));
            block.take(line);
            self.lines += 1;
            self.length += line.len() as u64;
            if block.bytes() >= EVERY {
                self.close(&mut entries);
            }
        }
        entries
    }

    /// Returns the entry of the last block, which is not full, at the end of a log.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let mut entries = std::mem::take(&mut self.pending);
        self.close(&mut entries);
        entries
    }

    fn close(&mut self, entries: &mut Vec<u8>) {
        let Some(block) = self.open.take() else { return };
        // An entry is plain data, which can be written as JSON.
        drop(serde_json::to_writer(&mut *entries, &block.close()));
        entries.push(b'\n');
    }
}

/// Returns the whole index of a log to which nothing is added any more, where the one that is there lacks
/// something.
pub(super) fn complete_index(log: &StoredFile, index: &Path) -> io::Result<Option<Vec<u8>>> {
    let size = log.length()?;
    let known = entries_in(index, size);
    let is_usable = !known.is_empty() && known.iter().all(|entry| entry.block.is_some());
    let (mut entries, builder) = if is_usable {
        (fs::read(index)?, IndexBuilder::go_on(log, index, size)?)
    } else {
        (Vec::new(), IndexBuilder::go_on(log, Path::new(""), size)?)
    };
    let rest = builder.finish();
    if rest.is_empty() {
        return Ok(None);
    }
    if entries.last().is_some_and(|last| *last != b'\n') {
        entries.push(b'\n');
    }
    entries.extend(rest);
    Ok(Some(entries))
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
    pub(super) fn read(log: &StoredFile, index: &Path) -> io::Result<Self> {
        let size = log.length()?;
        let entries = entries_in(index, size);
        let (lines, length) = entries.last().map_or((0, 0), IndexEntry::known_to);
        let mut found = Self { entries, lines, length };
        found.go_on(log, size)?;
        Ok(found)
    }

    /// Goes on with the index of a log that is `size` bytes long now.
    pub(super) fn go_on(&mut self, log: &StoredFile, size: u64) -> io::Result<()> {
        let mut fresh = WholeLines::new(log, self.length, size);
        while let Some((offset, piece)) = fresh.next()? {
            let mut begin = 0;
            for end in memchr::memchr_iter(b'\n', piece) {
                let is_due = self.entries.last().is_none_or(|last| {
                    offset + begin
                        >= last.offset + last.block.as_ref().map_or(EVERY, |block| block.bytes)
                });
                if is_due {
                    let (line, offset) = (self.lines, offset + begin);
                    self.entries.push(IndexEntry {
                        line,
                        offset,
                        at: None,
                        phase: None,
                        block: None,
                    });
                }
                self.lines += 1;
                begin = end as u64 + 1;
            }
            self.length = offset + piece.len() as u64;
        }
        Ok(())
    }
}

impl LogIndex {
    /// Returns where the block of an entry ends.
    pub(super) fn end_of(&self, place: usize) -> u64 {
        self.entries.get(place + 1).map_or(self.length, |next| next.offset)
    }
}

impl IndexEntry {
    /// Returns the number of the line, and its offset, up to which an index is whole that ends with
    /// this entry.
    fn known_to(&self) -> (u64, u64) {
        match &self.block {
            Some(block) => (self.line + block.lines, self.offset + block.bytes),
            None => (self.line, self.offset),
        }
    }
}

/// Returns the entries of an index that fit a log of that size: their lines and offsets grow.
pub(super) fn entries_in(index: &Path, size: u64) -> Vec<IndexEntry> {
    // Without an index the log is read from its beginning.
    let text = fs::read(index).unwrap_or_default();
    let mut entries: Vec<IndexEntry> = Vec::new();
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let Ok(entry) = serde_json::from_slice::<IndexEntry>(line) else {
            let format = serde_json::from_slice::<IndexFormat>(line);
            // What a newer nixdash means by its lines is not known.
            if format.is_ok_and(|format| format.index > FORMAT) {
                return Vec::new();
            }
            continue;
        };
        // What follows the index of an older nixdash begins with its last line.
        if entries.last().is_some_and(|last| {
            last.block.is_none() && (last.line, last.offset) == (entry.line, entry.offset)
        }) {
            entries.pop();
        }
        let fits = match entries.last() {
            Some(last) => {
                let (line, offset) = last.known_to();
                let is_next = (entry.line, entry.offset) == (line, offset);
                let is_later = entry.line > last.line && entry.offset > last.offset;
                is_next || (last.block.is_none() && is_later)
            }
            None => (entry.line, entry.offset) == (0, 0),
        };
        if fits && entry.offset < size && entry.known_to().1 <= size {
            entries.push(entry);
        }
    }
    entries
}

/// Reads the whole lines of a log from one offset, where a line begins, to another.
struct WholeLines<'a> {
    log: &'a StoredFile,
    offset: u64,
    size: u64,
    buffer: Vec<u8>,
}

impl<'a> WholeLines<'a> {
    fn new(log: &'a StoredFile, offset: u64, size: u64) -> Self {
        Self { log, offset, size, buffer: Vec::new() }
    }

    /// Returns the next whole lines, and at which offset they begin; none at the end.
    fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        let begin = self.offset;
        self.buffer.clear();
        while begin + (self.buffer.len() as u64) < self.size {
            let held = self.buffer.len();
            let most = CHUNK.min((self.size - begin) as usize - held);
            self.buffer.resize(held + most, 0);
            let read = self.log.read_at(&mut self.buffer[held..], begin + held as u64)?;
            self.buffer.truncate(held + read);
            if read == 0 {
                break;
            }
            // A line may be longer than what is read at once.
            if let Some(last) = memchr::memrchr(b'\n', &self.buffer) {
                self.offset = begin + last as u64 + 1;
                return Ok(Some((begin, &self.buffer[..=last])));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
