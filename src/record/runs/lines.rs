//! Reading a host's log from its beginning, line by line, however long it is.
//!
//! What is held of a log is one piece of it, so that logs of any length can be read, several at once.
//! Files are read at offsets and never mapped: one that is cut short while it is read is an end and no
//! crash. [`LogReader`](super::LogReader) reads the newest lines instead.

use crate::fleet::{RawLogLine, RunEvent, RunId, RunWhat};
use crate::record::runs::blocks::LogBlock;
use crate::record::runs::events::{EventLine, ReadExtent, read_events};
use crate::record::runs::index::{IndexEntry, LogIndex, entries_in, index_of};
use crate::record::runs::log::start_of_newest;
use crate::record::runs::pattern::LogPattern;
use crate::record::runs::stored::{StoredFile, plain_of};
use crate::record::runs::{EVENTS, doing, files_of};
use crate::record::{RecordError, Runs};
use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::ops::Range;
use std::path::PathBuf;

/// How many bytes are read at once.
const CHUNK: usize = 64 * 1024;

/// Longest line that is held, in bytes; the rest of a longer one is passed over.
const LONGEST: usize = 1 << 20;

/// Takes the place of lines that were removed while somebody was at them.
const CUT: &[u8] = b"log lines are missing here: they were removed while they were read\n";

/// Reads the lines of a host's log, oldest first, and goes on where the log grows.
#[derive(Debug)]
pub struct LogLines {
    runs: Runs,
    run: RunId,
    host: String,
    /// The file that is read; none while there is no log.
    place: Option<LinePlace>,
    /// What was read and not taken yet begins at `start`.
    buffer: Vec<u8>,
    start: usize,
    /// Up to where that holds no end of a line.
    searched: usize,
    /// The line that was taken last.
    line: Range<usize>,
    /// Whether what comes up to the next end of a line belongs to none that is taken.
    skips: bool,
    /// Which bytes of which part are not read, in order.
    unwanted: VecDeque<(u64, Range<u64>)>,
    /// What lines that are taken must have, and up to where what was read has whole lines.
    pattern: Option<LogPattern>,
    whole: usize,
}

/// The file that is read, and how far.
#[derive(Debug)]
struct LinePlace {
    /// Which part of the log: 0 is its beginning.
    part: u64,
    path: PathBuf,
    file: StoredFile,
    offset: u64,
}

impl Runs {
    /// Begins to read the log of a host in a run at its beginning.
    pub fn log_lines(&self, run: &RunId, host: &str) -> LogLines {
        LogLines {
            runs: self.clone(),
            run: run.clone(),
            host: host.to_owned(),
            place: None,
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            line: 0..0,
            skips: false,
            unwanted: VecDeque::new(),
            pattern: None,
            whole: 0,
        }
    }

    /// Returns the hosts that have a log in a run's folder, by name, each with the size of its log in
    /// bytes, plain.
    pub fn log_sizes(&self, run: &RunId) -> Vec<(String, u64)> {
        let dir = self.folder(run);
        let mut found = BTreeMap::new();
        for path in files_of(&dir).map(|path| plain_of(&path)) {
            let is_log = path.extension().is_some_and(|extension| extension == "log");
            let name = path.file_stem().and_then(|name| name.to_str()).filter(|_| is_log);
            let size = || StoredFile::open(&path).and_then(|file| file.length()).ok();
            if let (Some(host), Some(size)) = (name, name.and_then(|_| size())) {
                // Where both are there, the plain one counts.
                found.insert((path.clone(), host.to_owned()), size);
            }
        }
        let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
        for ((_, host), size) in found {
            *sizes.entry(host).or_default() += size;
        }
        sizes.into_iter().collect()
    }

    /// Returns the events of a run that tell how it stands, as [`Runs::decided`] does; of a long file
    /// of an older nixdash only those near its beginning and its end.
    pub fn outline(&self, run: &RunId) -> Vec<RunEvent> {
        let mut events = Vec::new();
        let path = self.folder(run).join(EVENTS);
        read_events(&path, 0, ReadExtent::Ends, |line| match line {
            EventLine::Few(event) => events.push(event),
            EventLine::Many(_) => {}
        });
        events
    }

    /// Returns the hosts of a run as its beginning names them; none of one that has not begun.
    pub fn begun_hosts(&self, run: &RunId) -> Option<Vec<String>> {
        self.outline(run).into_iter().find_map(|event| {
            let RunWhat::Begin { hosts, .. } = event.what else { return None };
            Some(hosts)
        })
    }

    /// Returns whether a run has its last event; one whose events cannot be read has none.
    pub fn has_ended(&self, run: &RunId) -> bool {
        crate::record::left::has_an_end(&self.folder(run).join(EVENTS)).unwrap_or(false)
    }
}

impl LogLines {
    /// Takes the next whole line; returns whether there was one. The log may grow afterwards.
    pub fn advance(&mut self) -> Result<bool, RecordError> {
        loop {
            self.pass_lines();
            let fresh = &self.buffer[self.searched..];
            if let Some(end) = memchr::memchr(b'\n', fresh).map(|at| at + self.searched) {
                let line = self.start..end;
                self.start = end + 1;
                self.searched = self.start;
                if !std::mem::take(&mut self.skips) {
                    self.line = line;
                    return Ok(true);
                }
                continue;
            }
            self.searched = self.buffer.len();
            if self.skips {
                self.start = self.buffer.len();
            } else if self.buffer.len() - self.start > LONGEST {
                self.skips = true;
                self.line = self.start..self.buffer.len();
                self.start = self.buffer.len();
                return Ok(true);
            }
            if !self.fill()? {
                return Ok(false);
            }
        }
    }

    /// Takes what stands behind the last whole line, which the process that wrote it did not end;
    /// returns whether there was any.
    pub fn advance_to_torn(&mut self) -> bool {
        let torn = self.start..self.buffer.len();
        self.start = self.buffer.len();
        self.searched = self.start;
        self.line = torn;
        !self.line.is_empty() && !std::mem::take(&mut self.skips)
    }

    /// Returns the line that was taken last, without its end.
    pub fn line(&self) -> &[u8] {
        &self.buffer[self.line.clone()]
    }

    /// Passes over lines that were before a time, as far as the index tells where they end. Some of
    /// them may come all the same; of what comes later none is left out.
    pub fn skip_to(&mut self, since: Timestamp) -> Result<(), RecordError> {
        let mut begin: Option<(LinePlace, IndexEntry)> = None;
        for (part, path) in self.runs.log_parts(&self.run, &self.host) {
            // What was removed meanwhile is not read.
            let Ok(file) = StoredFile::open(&path) else { continue };
            let size = file.length().map_err(doing("read", &path))?;
            let entries = entries_in(&index_of(&path), size).into_iter();
            let before = entries.take_while(|entry| entry.at.is_none_or(|at| at < since));
            if let Some(entry) = before.last() {
                begin = Some((LinePlace { part, path, file, offset: entry.offset }, entry));
            }
        }
        if let Some((place, entry)) = begin
            && fits(&place.file, &entry).map_err(doing("read", &place.path))?
        {
            self.place = Some(place);
        }
        Ok(())
    }

    /// Passes over all lines but the newest, of which so many are wanted; returns how many are passed over.
    pub fn skip_to_newest(&mut self, count: usize) -> Result<u64, RecordError> {
        let (mut wanted, mut earlier) = (count, 0);
        for (part, path) in self.runs.log_parts(&self.run, &self.host).into_iter().rev() {
            // What was removed meanwhile is not read.
            let Ok(file) = StoredFile::open(&path) else { continue };
            let index = LogIndex::read(&file, &index_of(&path)).map_err(doing("read", &path))?;
            if wanted == 0 {
                earlier += index.lines;
                continue;
            }
            let newest = start_of_newest(&file, index.length, wanted);
            let (offset, lines) = newest.map_err(doing("read", &path))?;
            earlier += index.lines.saturating_sub(lines as u64);
            wanted = if offset == 0 { wanted - lines.min(wanted) } else { 0 };
            self.place = Some(LinePlace { part, path, file, offset });
        }
        Ok(earlier)
    }

    /// Leaves out lines that cannot match a pattern. Some that do not match come all the same. Of a compressed
    /// log, blocks that cannot have the word that is looked for are not read.
    pub fn skip_unlike(&mut self, pattern: &LogPattern) {
        self.pattern = Some(pattern.clone());
        if pattern.word().is_some() {
            self.skip_blocks(|_| true);
        }
    }

    /// Goes to the next line that may match.
    fn pass_lines(&mut self) {
        let Some(pattern) = self.pattern.as_ref().filter(|_| !self.skips) else { return };
        let Some(lines) = self.buffer.get(..self.whole) else { return };
        if self.start >= lines.len() {
            return;
        }
        self.start = pattern.candidate(lines, self.start).unwrap_or(lines.len());
        self.searched = self.searched.max(self.start);
    }

    /// Leaves out blocks in which nothing stands that somebody looks for, as far as the index says what
    /// stands in them now. Nothing else is left out, and nothing that is added later.
    pub fn skip_blocks(&mut self, mut is_needed: impl FnMut(&LogBlock) -> bool) {
        self.unwanted.clear();
        for (part, path) in self.runs.log_parts(&self.run, &self.host) {
            let Ok(file) = StoredFile::open(&path) else { continue };
            let Ok(size) = file.length() else { continue };
            let word = self.pattern.as_ref().and_then(LogPattern::word);
            let may_have_it =
                |range| word.is_none_or(|word| file.may_have(range, word).unwrap_or(true));
            for IndexEntry { offset, block, .. } in entries_in(&index_of(&path), size) {
                let Some(block) = block else { continue };
                let end = offset + block.bytes;
                if is_needed(&block) && may_have_it(offset..end) {
                    continue;
                }
                match self.unwanted.back_mut() {
                    Some((last, bytes)) if (*last, bytes.end) == (part, offset) => bytes.end = end,
                    Some(_) | None => self.unwanted.push_back((part, offset..end)),
                }
            }
        }
    }

    /// Goes to the end of what is not wanted; returns how much may be read there at once.
    fn pass_over(&mut self) -> Result<usize, RecordError> {
        let is_between_lines = self.start == self.buffer.len() && !self.skips;
        let Some(place) = &mut self.place else { return Ok(CHUNK) };
        while let Some((part, bytes)) = self.unwanted.front() {
            if *part == place.part && bytes.start > place.offset {
                return Ok(((bytes.start - place.offset) as usize).min(CHUNK));
            }
            if *part > place.part || !is_between_lines {
                break;
            }
            // An index that does not fit its log is not followed.
            if *part == place.part
                && bytes.end > place.offset
                && begins_a_line(&place.file, bytes.end).map_err(doing("read", &place.path))?
            {
                place.offset = bytes.end;
            }
            self.unwanted.pop_front();
        }
        Ok(CHUNK)
    }

    /// Reads on behind what was read; returns whether there was anything.
    fn fill(&mut self) -> Result<bool, RecordError> {
        if self.place.is_none() {
            self.place = self.after(None)?;
        }
        let most = self.pass_over()?;
        let kept = self.buffer.len() - self.start;
        if self.start > 0 {
            self.buffer.copy_within(self.start.., 0);
            self.buffer.truncate(kept);
            self.searched -= self.start;
            self.whole = self.whole.saturating_sub(self.start);
            self.start = 0;
            self.line = 0..0;
        }
        loop {
            let Some(place) = &mut self.place else { return Ok(false) };
            self.buffer.resize(kept + most, 0);
            let read = place.file.read_at(&mut self.buffer[kept..], place.offset);
            let read = read.map_err(doing("read", &place.path));
            self.buffer.truncate(kept + *read.as_ref().unwrap_or(&0));
            let read = read?;
            if read > 0 {
                place.offset += read as u64;
                self.whole = memchr::memrchr(b'\n', &self.buffer).map_or(0, |end| end + 1);
                return Ok(true);
            }
            let (part, offset) = (place.part, place.offset);
            let next = self.after(Some(part))?;
            let Some(place) = &mut self.place else { return Ok(false) };
            // Looked at only now: nothing is added to a part once the next one is there.
            let size = place.file.length().map_err(doing("read", &place.path))?;
            if size < offset {
                self.after_cut(size)?;
                return Ok(false);
            }
            let Some(next) = next else { return Ok(false) };
            if size > offset {
                continue;
            }
            let is_cut = next.part > part + 1;
            self.place = Some(next);
            if kept > 0 || is_cut {
                // The half line at the end of a part stays one.
                self.buffer.extend_from_slice(if kept > 0 { b"\n" } else { CUT });
                return Ok(true);
            }
        }
    }

    /// Opens the part that comes after one, or the first; none where there is none.
    fn after(&self, after: Option<u64>) -> Result<Option<LinePlace>, RecordError> {
        let parts = self.runs.log_parts(&self.run, &self.host).into_iter();
        for (part, path) in parts.filter(|(part, _)| after.is_none_or(|after| *part > after)) {
            match StoredFile::open(&path) {
                Ok(file) => return Ok(Some(LinePlace { part, path, file, offset: 0 })),
                // Removed in this moment: the one behind it is there.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(doing("read", &path)(error)),
            }
        }
        Ok(None)
    }

    /// Goes on at the end of a file that became shorter than what was read of it.
    fn after_cut(&mut self, size: u64) -> Result<(), RecordError> {
        self.buffer.clear();
        (self.start, self.searched, self.whole, self.line) = (0, 0, 0, 0..0);
        let Some(place) = &mut self.place else { return Ok(()) };
        place.offset = size;
        self.skips = !begins_a_line(&place.file, size).map_err(doing("read", &place.path))?;
        Ok(())
    }
}

/// Returns whether a line begins at an offset.
fn begins_a_line(file: &StoredFile, offset: u64) -> io::Result<bool> {
    let Some(before) = offset.checked_sub(1) else { return Ok(true) };
    let mut last = [0];
    let read = file.read_at(&mut last, before)?;
    Ok(read == 1 && last == *b"\n")
}

/// Returns whether the line that an entry of the index means begins where it says.
fn fits(file: &StoredFile, entry: &IndexEntry) -> io::Result<bool> {
    let mut begin = [0; 64];
    let read = file.fill_at(&mut begin, entry.offset)?;
    let line = begin[..read].split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(RawLogLine::read(line).at == entry.at && begins_a_line(file, entry.offset)?)
}

#[cfg(test)]
mod tests;
