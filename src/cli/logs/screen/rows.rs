//! Which lines of logs are the rows of a pane, by their numbers.
//!
//! Where every line of one log is a row, nothing is held. Else each row costs twelve bytes, and the lines
//! are read once, piece by piece.

use crate::dash::{LineAt, LineLevels, LineMatcher, PaneRow, RowsOf};
use crate::fleet::LogLine;
use crate::record::{
    LineLevel, LogPattern, NumberedLog, RecordError, Runs, SearchDirection, SearchNews,
};
use jiff::{SignedDuration, Timestamp};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::{ControlFlow, Range};
use std::time::Instant;

/// How many lines are read at once, and how many where most are passed over.
const PIECE: u64 = 4096;
const FEW: u64 = 256;

/// Most rows that are kept in mind; that there are more is said, and they are not shown.
const MOST: usize = 4_000_000;

/// Lines of several hosts wait so long for others that were written before them, in milliseconds; one that
/// comes later than that is late.
const TOGETHER: i64 = 100;

/// Rows whose lines are nearer to each other than this are read at once.
const NEAR: u64 = 512;

/// A row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RowPlace {
    line: u32,
    /// How many equal lines it stands for.
    times: u32,
    host: u16,
    is_late: bool,
}

/// The log of a host, and how far it was read.
#[derive(Debug)]
struct RowLog {
    log: NumberedLog,
    /// The next line that is read.
    next: u64,
    /// Lines that were read and not taken yet.
    read: VecDeque<LogLine>,
    /// When the line that was taken last was; one that does not say it is as old as that.
    at: Option<Timestamp>,
    /// What every row has; lines without it are passed over in whole pieces.
    every: Option<LogPattern>,
    /// Whether every row tells of an error.
    errors: bool,
}

/// When the next line of a host was.
type RowHead = Reverse<(Option<Timestamp>, usize)>;

/// The rows of a pane.
#[derive(Debug)]
pub(super) struct PaneRows {
    of: RowsOf,
    /// What lines are looked for; none where nothing is, or where it cannot be read.
    only: Option<LineMatcher>,
    logs: Vec<RowLog>,
    places: Vec<RowPlace>,
    /// The row that was taken last: lines that equal it are folded.
    last: Option<(usize, LogLine)>,
    /// When the newest line that was taken was.
    newest: Option<Timestamp>,
    /// How many rows are kept at most.
    most: usize,
    /// Whether there are more rows than are kept.
    is_cut: bool,
    /// Whether lines that were just written are left for the next time, and nothing else is.
    waits: bool,
}

impl PaneRows {
    /// Begins with rows of which nothing was read.
    pub(super) fn new(runs: &Runs, of: &RowsOf) -> Self {
        let only = of.only.as_ref().and_then(|only| only.matcher().ok());
        let every = match (&only, &of.build) {
            (Some(only), _) if !only.is_inverse => Some(only.pattern.clone()),
            (_, Some(build)) => {
                LogPattern::regex(&format!("(?-i){}", regex::escape(&build.package))).ok()
            }
            (_, None) => None,
        };
        let log = |host: &String| RowLog {
            log: runs.numbered_log(&of.run, host),
            next: 0,
            read: VecDeque::new(),
            at: None,
            every: every.clone(),
            errors: of.levels == LineLevels::Errors,
        };
        Self {
            only,
            logs: of.hosts.iter().map(log).collect(),
            of: of.clone(),
            places: Vec::new(),
            last: None,
            newest: None,
            most: MOST,
            is_cut: false,
            waits: false,
        }
    }

    /// Keeps so many rows at most.
    #[cfg(test)]
    pub(super) fn with_most(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// Returns whether there are more rows than are kept.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Returns which lines are rows.
    pub(super) fn of(&self) -> &RowsOf {
        &self.of
    }

    /// Returns whether every line of one log is a row.
    fn is_plain(&self) -> bool {
        let of = &self.of;
        of.hosts.len() == 1
            && of.build.is_none()
            && of.levels == LineLevels::All
            && of.only.is_none()
            && !of.folds
    }

    /// Looks what was added to the logs; returns whether there was anything.
    pub(super) fn look(&mut self) -> Result<bool, RecordError> {
        let mut is_new = false;
        for log in &mut self.logs {
            is_new |= log.log.look()?;
        }
        Ok(is_new)
    }

    /// Returns how many rows are known.
    pub(super) fn count(&self) -> u64 {
        if self.is_plain() { self.lines() } else { self.places.len() as u64 }
    }

    /// Returns how many lines there are.
    pub(super) fn lines(&self) -> u64 {
        self.logs.iter().map(|log| log.log.count()).sum()
    }

    /// Returns how many lines were read, of how many.
    pub(super) fn read(&self) -> Range<u64> {
        let taken = |log: &RowLog| log.next - log.read.len() as u64;
        let is_all = self.is_plain() || self.is_cut || self.waits;
        let read = if is_all { self.lines() } else { self.logs.iter().map(taken).sum() };
        read..self.lines()
    }

    /// Reads on for a while, or until `still` says no; returns whether all was read.
    pub(super) fn go_on(
        &mut self,
        until: Instant,
        still: &dyn Fn() -> bool,
    ) -> Result<bool, RecordError> {
        if self.is_plain() || self.is_cut {
            return Ok(true);
        }
        if let Some(all) = self.find_all(still)? {
            return Ok(all);
        }
        while still() && Instant::now() < until {
            if !self.take_piece(Timestamp::now())? || self.is_cut {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Finds the rows of one log by a search, where they are those that match something and nothing
    /// else counts; returns whether all was searched, or nothing where rows are found otherwise.
    fn find_all(&mut self, still: &dyn Fn() -> bool) -> Result<Option<bool>, RecordError> {
        let of = &self.of;
        let is_search =
            of.hosts.len() == 1 && of.build.is_none() && of.levels == LineLevels::All && !of.folds;
        let Some(only) = self.only.as_ref().filter(|only| is_search && !only.is_inverse) else {
            return Ok(None);
        };
        let [log] = &mut self.logs[..] else { return Ok(None) };
        let (places, from, end) = (&mut self.places, log.next, log.log.count());
        let (mut reached, is_cut, most) = (from, &mut self.is_cut, self.most);
        let ended = log.log.search(&only.pattern, from, SearchDirection::Forward, &mut |news| {
            if let SearchNews::Hit(line) = news {
                *is_cut = places.len() >= most;
                if *is_cut {
                    return ControlFlow::Break(());
                }
                reached = line + 1;
                places.push(place(line, 0));
            }
            if still() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        log.next = if ended.is_break() { reached } else { end };
        Ok(Some(ended.is_continue() || self.is_cut))
    }

    /// Takes a piece of lines, of all logs the oldest first; returns whether there was any. Those of several
    /// hosts that were just written are left for the next time: older ones may come.
    fn take_piece(&mut self, now: Timestamp) -> Result<bool, RecordError> {
        let is_merged = self.logs.len() > 1;
        let may_wait = |at: Option<Timestamp>| {
            let age = at.map(|at| now.as_millisecond() - at.as_millisecond());
            is_merged && age.is_some_and(|age| (0..TOGETHER).contains(&age))
        };
        let mut heads = BinaryHeap::new();
        for (host, log) in self.logs.iter_mut().enumerate() {
            log.fill()?;
            heads.extend(log.head(host));
        }
        let mut taken = 0;
        while let Some(Reverse((at, host))) = heads.pop() {
            self.waits = may_wait(at);
            if self.waits {
                break;
            }
            let log = &mut self.logs[host];
            let number = log.next - log.read.len() as u64;
            let Some(line) = log.read.pop_front() else { break };
            log.at = at;
            self.take(host, number, at, line);
            taken += 1;
            if taken >= PIECE || self.is_cut {
                break;
            }
            let log = &mut self.logs[host];
            log.fill()?;
            heads.extend(log.head(host));
        }
        Ok(taken > 0)
    }

    /// Takes the next line, when it is a row.
    fn take(&mut self, host: usize, number: u64, at: Option<Timestamp>, line: LogLine) {
        if !self.takes(&line) {
            return;
        }
        if self.of.folds {
            let is_same = |(before, other): &(usize, LogLine)| {
                *before == host
                    && (other.phase, other.build) == (line.phase, line.build)
                    && other.text == line.text
            };
            if self.last.as_ref().is_some_and(is_same) {
                if let Some(place) = self.places.last_mut() {
                    place.times = place.times.saturating_add(1);
                }
                return;
            }
            self.last = Some((host, line));
        }
        if self.places.len() >= self.most {
            self.is_cut = true;
            return;
        }
        let is_late = at.map(latest) < self.newest;
        self.newest = self.newest.max(at);
        self.places.push(RowPlace { is_late, ..place(number, host) });
    }

    /// Returns whether a line is a row.
    fn takes(&self, line: &LogLine) -> bool {
        let level = match self.of.levels {
            LineLevels::All => LineLevel::Output,
            LineLevels::Messages => LineLevel::Message,
            LineLevels::Errors => LineLevel::Error,
        };
        self.of.build.as_ref().is_none_or(|build| build.takes(&line.text, line.build))
            && self.only.as_ref().is_none_or(|only| only.takes(&line.text))
            && is_of(level, line)
    }

    /// Returns rows from a number on.
    pub(super) fn rows(&self, wanted: Range<u64>) -> Result<Vec<PaneRow>, RecordError> {
        let end = wanted.end.min(self.count());
        let wanted = wanted.start.min(end)..end;
        if self.is_plain() {
            let numbers = wanted.clone();
            let lines = self.logs.first().map(|log| log.log.lines(wanted)).transpose()?;
            let lines = lines.unwrap_or_default();
            return Ok(numbers.zip(lines).map(|(n, line)| row(place(n, 0), line)).collect());
        }
        let places = &self.places[wanted.start as usize..wanted.end as usize];
        let mut rows: Vec<Option<PaneRow>> = vec![None; places.len()];
        for host in 0..self.logs.len() {
            self.read_rows(host, places, &mut rows)?;
        }
        Ok(rows.into_iter().flatten().collect())
    }

    /// Reads the rows that are lines of a host.
    fn read_rows(
        &self,
        host: usize,
        places: &[RowPlace],
        rows: &mut [Option<PaneRow>],
    ) -> Result<(), RecordError> {
        let of_host = |(_, place): &(usize, &RowPlace)| usize::from(place.host) == host;
        let mut open = places.iter().enumerate().filter(of_host).peekable();
        while let Some((_, first)) = open.peek() {
            let begin = u64::from(first.line);
            let mut group = Vec::new();
            let mut end = begin;
            while let Some((index, place)) =
                open.next_if(|(_, place)| u64::from(place.line) < end + NEAR)
            {
                end = u64::from(place.line) + 1;
                group.push((index, *place));
            }
            let lines = self.logs[host].log.lines(begin..end)?;
            for (index, place) in group {
                let at = (u64::from(place.line) - begin) as usize;
                rows[index] = lines.get(at).map(|line| row(place, line.clone()));
            }
        }
        Ok(())
    }

    /// Returns the row of a line, or of the first row after it that is a line of the same host.
    pub(super) fn row_of(&self, line: LineAt) -> u64 {
        if self.is_plain() {
            return line.line.min(self.count().saturating_sub(1));
        }
        let is_it = |place: &RowPlace| {
            usize::from(place.host) == line.host
                && u64::from(place.line) + u64::from(place.times) > line.line
        };
        let found = self.places.iter().position(is_it);
        found.map_or(self.count().saturating_sub(1), |found| found as u64)
    }

    /// Returns the log of which every line is a row; none where rows are found otherwise.
    pub(super) fn plain(&self) -> Option<&NumberedLog> {
        self.logs.first().filter(|_| self.is_plain()).map(|log| &log.log)
    }
}

impl RowLog {
    /// Reads lines, when none is left.
    fn fill(&mut self) -> Result<(), RecordError> {
        if !self.read.is_empty() {
            return Ok(());
        }
        let before = self.next;
        self.pass_over()?;
        if self.next < self.log.count() {
            let piece = if self.next > before + PIECE { FEW } else { PIECE };
            let lines = self.log.lines(self.next..self.next + piece)?;
            self.next += lines.len() as u64;
            self.read = lines.into();
        }
        Ok(())
    }

    /// Passes over lines that are no rows.
    fn pass_over(&mut self) -> Result<(), RecordError> {
        let count = self.log.count();
        if self.errors {
            let next = self.log.next_of(LineLevel::Error, self.next, SearchDirection::Forward)?;
            self.next = next.unwrap_or(count);
        }
        if let Some(every) = &self.every {
            let mut next = count;
            let _ = self.log.search(every, self.next, SearchDirection::Forward, &mut |news| {
                if let SearchNews::Hit(line) = news {
                    next = line;
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            })?;
            self.next = next;
        }
        Ok(())
    }

    /// Returns when the next line was, for the heap of which the oldest is taken; none where there is no
    /// line.
    fn head(&self, host: usize) -> Option<RowHead> {
        self.read.front().map(|line| Reverse((line.at.or(self.at), host)))
    }
}

/// Returns when a line was written at the latest that is not told to be late.
fn latest(at: Timestamp) -> Timestamp {
    let is_rough = at.subsec_millisecond() == 0;
    let later = if is_rough { 999 } else { TOGETHER };
    at.checked_add(SignedDuration::from_millis(later)).unwrap_or(at)
}

/// Returns whether a line matters so much.
fn is_of(level: LineLevel, line: &LogLine) -> bool {
    level == LineLevel::Output || LineLevel::of(line.phase, &line.text) >= level
}

/// Returns the place of a row that is one line.
fn place(line: u64, host: usize) -> RowPlace {
    let line = u32::try_from(line).unwrap_or(u32::MAX);
    let host = u16::try_from(host).unwrap_or(u16::MAX);
    RowPlace { line, times: 1, host, is_late: false }
}

/// Returns a row with its line.
fn row(place: RowPlace, line: LogLine) -> PaneRow {
    PaneRow {
        place: LineAt { host: usize::from(place.host), line: u64::from(place.line) },
        at: line.at,
        phase: line.phase,
        level: LineLevel::of(line.phase, &line.text),
        text: line.text,
        build: line.build,
        colours: line.colours,
        times: u64::from(place.times),
        is_late: place.is_late,
    }
}
