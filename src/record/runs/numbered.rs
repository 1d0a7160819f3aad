//! A host's log as numbered lines, for a screen: how many there are, some of them, and a search in all
//! of them.
//!
//! ```text
//! let mut log = runs.numbered_log(&run, "samsung");
//! log.look()?;                          // also later, for what was added
//! let shown = log.lines(9_000_000..9_000_050)?;
//! let hit = log.search(&pattern, 9_000_050, SearchDirection::Forward, &mut |news| …)?;
//! ```
//!
//! Nothing is held but the index, some hundred bytes for each 64 KiB of log. Every call reads the disk:
//! none of them belongs on the thread of a screen. The number of a line stays the same as long as the
//! `NumberedLog` is kept.

mod search;

pub use self::search::{SearchDirection, SearchNews};

use crate::fleet::{LogLine, RawLogLine, RunId, printable_text};
use crate::record::runs::doing;
use crate::record::runs::index::{IndexEntry, LogIndex, index_of};
use crate::record::runs::level::{LevelCounts, LineLevel};
use crate::record::runs::stored::StoredFile;
use crate::record::{RecordError, Runs};
use jiff::Timestamp;
use std::ops::{ControlFlow, Range};
use std::path::PathBuf;

/// Most bytes of a block that are read: a line that is longer is cut.
const LONGEST: u64 = 16 << 20;

/// The log of a host as numbered lines; the first is 0.
#[derive(Debug)]
pub struct NumberedLog {
    runs: Runs,
    run: RunId,
    host: String,
    parts: Vec<NumberedPart>,
}

/// A file of a log.
#[derive(Debug)]
struct NumberedPart {
    /// Which part of the log: 0 is its beginning.
    part: u64,
    path: PathBuf,
    file: StoredFile,
    index: LogIndex,
    /// How many lines stand in the files before it.
    before: u64,
}

/// Some whole blocks of a file, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SearchPiece {
    part: usize,
    /// Which entries of the file's index they are.
    entries: Range<usize>,
    begin: u64,
    end: u64,
    /// The number of its first line.
    line: u64,
}

impl Runs {
    /// Opens the log of a host in a run as numbered lines; [`NumberedLog::look`] finds the lines.
    pub fn numbered_log(&self, run: &RunId, host: &str) -> NumberedLog {
        let (run, host) = (run.clone(), host.to_owned());
        NumberedLog { runs: self.clone(), run, host, parts: Vec::new() }
    }
}

impl NumberedLog {
    /// Looks what was added since the last look; returns whether there was anything.
    pub fn look(&mut self) -> Result<bool, RecordError> {
        let count = self.count();
        // Listed before the last one is read: nothing is added to a part once the next one is there.
        let parts = self.runs.log_parts(&self.run, &self.host);
        let last = self.parts.last_mut().map(|last| last.grow().map(|()| last.part)).transpose()?;
        for (part, path) in
            parts.into_iter().filter(|(part, _)| last.is_none_or(|last| *part > last))
        {
            // What was removed meanwhile is not read.
            let Ok(file) = StoredFile::open(&path) else { continue };
            let index = LogIndex::read(&file, &index_of(&path)).map_err(doing("read", &path))?;
            let before = self.count();
            self.parts.push(NumberedPart { part, path, file, index, before });
        }
        Ok(self.count() != count)
    }

    /// Returns how many whole lines there were when it was last looked.
    pub fn count(&self) -> u64 {
        self.parts.last().map_or(0, |last| last.before + last.index.lines)
    }

    /// Returns how many lines there are of each level. Where the index does not say it, as of a run of an
    /// older nixdash, all of the log is read.
    pub fn levels(&self) -> Result<LevelCounts, RecordError> {
        let mut counts = LevelCounts::default();
        for part in &self.parts {
            part.blocks(0..u64::MAX, &mut |block| match &block.entry.block {
                Some(known) => {
                    counts += known.levels;
                    Ok(ControlFlow::Continue(()))
                }
                None => block.lines(&mut |_, line| {
                    counts.add(level_of(line));
                    ControlFlow::Continue(())
                }),
            })?;
        }
        Ok(counts)
    }

    /// Returns lines, printable; fewer where there are not so many.
    pub fn lines(&self, wanted: Range<u64>) -> Result<Vec<LogLine>, RecordError> {
        let mut lines = Vec::new();
        for part in &self.parts {
            part.blocks(wanted.clone(), &mut |block| {
                block.lines(&mut |number, line| {
                    if wanted.contains(&number) {
                        lines.push(LogLine::read(line));
                    }
                    ControlFlow::Continue(())
                })
            })?;
        }
        Ok(lines)
    }

    /// Returns the number of the first line that was at this time or later, or how many lines there are.
    pub fn line_at(&self, time: Timestamp) -> Result<u64, RecordError> {
        let is_before = |entry: &IndexEntry| entry.at.is_some_and(|at| at < time);
        let begin = self.parts.iter().rev().find_map(|part| {
            let entry = part.index.entries.iter().rfind(|entry| is_before(entry))?;
            Some(part.before + entry.line)
        });
        let mut found = None;
        for part in &self.parts {
            part.blocks(begin.unwrap_or(0)..u64::MAX, &mut |block| {
                block.lines(&mut |number, line| {
                    if RawLogLine::read(line).at.is_some_and(|at| at >= time) {
                        found = Some(number);
                        return ControlFlow::Break(());
                    }
                    ControlFlow::Continue(())
                })
            })?;
            if let Some(found) = found {
                return Ok(found);
            }
        }
        Ok(self.count())
    }

    /// Returns the number of the next line of a level: from a line on, or before it. Blocks without one
    /// are not read.
    pub fn next_of(
        &self,
        level: LineLevel,
        from: u64,
        direction: SearchDirection,
    ) -> Result<Option<u64>, RecordError> {
        let mut found = None;
        let may_have_one = |piece: &SearchPiece| {
            let entry = self.parts[piece.part].index.entries.get(piece.entries.start);
            let block = entry.and_then(|entry| entry.block.as_ref());
            block.is_none_or(|block| block.levels.of(level) > 0)
        };
        for piece in self.pieces(from, direction, 1).filter(may_have_one) {
            let part = &self.parts[piece.part];
            let lines = part.read(piece.begin, piece.end)?;
            let _ = each_line(&lines, piece.line, &mut |number, line| {
                let (counts, is_last) = match direction {
                    SearchDirection::Forward => (number >= from, true),
                    SearchDirection::Backward => (number < from, false),
                };
                if counts && level_of(line) == level {
                    found = Some(number);
                    if is_last {
                        return ControlFlow::Break(());
                    }
                }
                ControlFlow::Continue(())
            });
            if found.is_some() {
                break;
            }
        }
        Ok(found)
    }

    /// Returns what is to be read of a search, in its order, in pieces of some blocks. Each is made when
    /// it is asked for: a search that ends early, as those of a filter do, costs what it reads.
    fn pieces(
        &self,
        from: u64,
        direction: SearchDirection,
        size: u64,
    ) -> impl Iterator<Item = SearchPiece> {
        let mut parts = 0..self.parts.len();
        let mut now: Option<(usize, Range<usize>)> = None;
        std::iter::from_fn(move || {
            loop {
                if let Some((part, left)) = &mut now
                    && let Some(piece) = self.parts[*part].piece(left, direction, size)
                {
                    return Some(SearchPiece { part: *part, ..piece });
                }
                let part = match direction {
                    SearchDirection::Forward => parts.next()?,
                    SearchDirection::Backward => parts.next_back()?,
                };
                now = Some((part, self.parts[part].searched(from, direction)));
            }
        })
    }

    /// Returns how many bytes are to be read of a search.
    fn bytes(&self, from: u64, direction: SearchDirection) -> u64 {
        let of_part = |part: &NumberedPart| {
            let entries = part.searched(from, direction);
            let begin = part.index.entries.get(entries.start).map(|entry| entry.offset);
            let end = entries.end.checked_sub(1).map_or(0, |last| part.index.end_of(last));
            begin.map_or(0, |begin| end.saturating_sub(begin))
        };
        self.parts.iter().map(of_part).sum()
    }
}

/// A block of a file.
struct NumberedBlock<'a> {
    part: &'a NumberedPart,
    entry: &'a IndexEntry,
    end: u64,
}

impl NumberedBlock<'_> {
    /// Gives every line with its number.
    fn lines(
        &self,
        take: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, RecordError> {
        let lines = self.part.read(self.entry.offset, self.end)?;
        Ok(each_line(&lines, self.part.before + self.entry.line, take))
    }
}

impl NumberedPart {
    /// Looks what was added.
    fn grow(&mut self) -> Result<(), RecordError> {
        let doing = doing("read", &self.path);
        let grown = self.file.length().and_then(|length| {
            if length < self.index.length {
                self.index = LogIndex::read(&self.file, &index_of(&self.path))?;
            }
            self.index.go_on(&self.file, length)
        });
        grown.map_err(doing)
    }

    /// Gives every block that has one of these lines.
    fn blocks(
        &self,
        wanted: Range<u64>,
        take: &mut dyn FnMut(NumberedBlock<'_>) -> Result<ControlFlow<()>, RecordError>,
    ) -> Result<(), RecordError> {
        let entries = &self.index.entries;
        let first = entries.partition_point(|entry| self.before + entry.line <= wanted.start);
        for (place, entry) in entries.iter().enumerate().skip(first.saturating_sub(1)) {
            if self.before + entry.line >= wanted.end {
                break;
            }
            let end = self.index.end_of(place);
            if take(NumberedBlock { part: self, entry, end })?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Returns the entries of the index whose blocks have lines from this one on, or before it.
    fn searched(&self, from: u64, direction: SearchDirection) -> Range<usize> {
        let entries = &self.index.entries;
        match direction {
            SearchDirection::Forward if self.before + self.index.lines <= from => {
                entries.len()..entries.len()
            }
            SearchDirection::Forward => {
                let behind = entries.partition_point(|entry| self.before + entry.line <= from);
                behind.saturating_sub(1)..entries.len()
            }
            SearchDirection::Backward => {
                0..entries.partition_point(|entry| self.before + entry.line < from)
            }
        }
    }

    /// Takes the next blocks off entries of the index, of so many bytes together or one.
    fn piece(
        &self,
        left: &mut Range<usize>,
        direction: SearchDirection,
        size: u64,
    ) -> Option<SearchPiece> {
        let entries = &self.index.entries;
        let mut taken = match direction {
            SearchDirection::Forward => {
                let first = left.next()?;
                first..first + 1
            }
            SearchDirection::Backward => {
                let last = left.next_back()?;
                last..last + 1
            }
        };
        let bytes =
            |taken: &Range<usize>| self.index.end_of(taken.end - 1) - entries[taken.start].offset;
        while left.start < left.end {
            let more = match direction {
                SearchDirection::Forward => taken.start..taken.end + 1,
                SearchDirection::Backward => taken.start - 1..taken.end,
            };
            if bytes(&more) > size {
                break;
            }
            match direction {
                SearchDirection::Forward => left.start += 1,
                SearchDirection::Backward => left.end -= 1,
            }
            taken = more;
        }
        let (begin, line) = (entries[taken.start].offset, self.before + entries[taken.start].line);
        let end = begin + bytes(&taken);
        Some(SearchPiece { part: 0, entries: taken, begin, end, line })
    }

    /// Reads whole lines.
    fn read(&self, begin: u64, end: u64) -> Result<Vec<u8>, RecordError> {
        let mut lines = Vec::new();
        self.read_into(&mut lines, begin, end)?;
        Ok(lines)
    }

    /// Reads whole lines in the place of others.
    fn read_into(&self, lines: &mut Vec<u8>, begin: u64, end: u64) -> Result<(), RecordError> {
        lines.resize((end - begin).min(LONGEST) as usize, 0);
        let filled = self.file.fill_at(lines, begin).map_err(doing("read", &self.path))?;
        lines.truncate(filled);
        Ok(())
    }
}

/// Returns the level of a line as it stands in the file.
fn level_of(line: &[u8]) -> LineLevel {
    let raw = RawLogLine::read(line);
    LineLevel::of(raw.phase, &printable_text(&String::from_utf8_lossy(raw.text)))
}

/// Gives every line with its number, without its end.
fn each_line(
    lines: &[u8],
    first: u64,
    take: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let whole = lines.strip_suffix(b"\n").unwrap_or(lines);
    (first..)
        .zip(whole.split(|byte| *byte == b'\n'))
        .try_for_each(|(number, line)| take(number, line))
}

#[cfg(test)]
mod tests;
