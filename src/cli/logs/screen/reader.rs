//! Gives the pane the rows in sight, counts what matches, and looks for lines.

use super::PaneReader;
use super::rows::PaneRows;
use crate::dash::{
    LineMatcher, LinePattern, LogNews, Msg, PaneRow, PaneWanted, RowSearch, RowsAt, RowsShown,
    Sought,
};
use crate::record::{LineLevel, LogPattern, RecordError, Runs, SearchDirection, SearchNews};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// How often rows, and how far something is, are told while files are read.
const TELL_EVERY: Duration = Duration::from_millis(80);

/// How many rows are looked at at once.
const PIECE: u64 = 1024;

/// Gives the pane its rows.
pub(super) struct RowsReader {
    runs: Runs,
    rows: Option<PaneRows>,
    /// What was told last.
    told: Option<RowsShown>,
    /// The search that came to its end last.
    searched: Option<u64>,
    count: Option<RowCount>,
    /// What was wrong last; it is said once.
    trouble: Option<String>,
}

/// Counts rows that match.
struct RowCount {
    pattern: LinePattern,
    matcher: LineMatcher,
    /// The next row that is looked at.
    next: u64,
    /// How many match.
    rows: u64,
    /// What was told last: how many match, and how many rows were looked at of how many.
    told: Option<(u64, u64, u64)>,
}

impl RowsReader {
    /// Begins with nothing.
    pub(super) fn new(runs: Runs) -> Self {
        Self { runs, rows: None, told: None, searched: None, count: None, trouble: None }
    }

    /// Reads what is wanted; returns whether anything was new.
    fn read(
        &mut self,
        wanted: &PaneWanted,
        still: &dyn Fn() -> bool,
        tell: &mut dyn FnMut(Msg),
    ) -> Result<bool, RecordError> {
        let is_other = self.rows.as_ref().is_none_or(|rows| *rows.of() != wanted.of);
        if is_other {
            self.rows = Some(PaneRows::new(&self.runs, &wanted.of));
            (self.told, self.count) = (None, None);
        }
        let Some(mut rows) = self.rows.take() else { return Ok(false) };
        let done = self.read_rows(&mut rows, wanted, still, tell);
        self.rows = Some(rows);
        done
    }

    fn read_rows(
        &mut self,
        rows: &mut PaneRows,
        wanted: &PaneWanted,
        still: &dyn Fn() -> bool,
        tell: &mut dyn FnMut(Msg),
    ) -> Result<bool, RecordError> {
        let mut is_new = rows.look()?;
        loop {
            let is_all = rows.go_on(Instant::now() + TELL_EVERY, still)?;
            is_new |= self.tell_rows(rows, wanted, is_all, tell)?;
            if is_all || !still() {
                break;
            }
        }
        if let Some(search) =
            wanted.search.as_ref().filter(|search| self.searched != Some(search.id))
            && still()
            && self::search(rows, search, still, tell)?
        {
            self.searched = Some(search.id);
        }
        if let Some(pattern) = &wanted.counting {
            is_new |= self.count(rows, pattern, still, tell)?;
        }
        Ok(is_new)
    }

    /// Tells the rows that are wanted, when they are others than those told last.
    fn tell_rows(
        &mut self,
        rows: &PaneRows,
        wanted: &PaneWanted,
        is_all: bool,
        tell: &mut dyn FnMut(Msg),
    ) -> Result<bool, RecordError> {
        let (count, size) = (rows.count(), wanted.count as u64);
        let (first, around) = match wanted.at {
            RowsAt::Newest => (count.saturating_sub(size), None),
            RowsAt::From(first) => (first, None),
            // Its row may still come.
            RowsAt::Around(_) if !is_all => return Ok(false),
            RowsAt::Around(line) => {
                let row = rows.row_of(line);
                (row.saturating_sub(size / 2), Some((line, row)))
            }
        };
        let shown = RowsShown {
            of: rows.of().clone(),
            rows: count,
            lines: rows.lines(),
            read: rows.read(),
            first,
            shown: rows.rows(first..first + size)?,
            is_cut: rows.is_cut(),
            around,
        };
        if self.told.as_ref() == Some(&shown) {
            return Ok(false);
        }
        self.told = Some(shown.clone());
        tell(Msg::Logs(LogNews::Rows(Box::new(shown))));
        Ok(true)
    }

    /// Counts the rows that match, as far as there are new ones; returns whether there were.
    fn count(
        &mut self,
        rows: &PaneRows,
        pattern: &LinePattern,
        still: &dyn Fn() -> bool,
        tell: &mut dyn FnMut(Msg),
    ) -> Result<bool, RecordError> {
        if self.count.as_ref().is_none_or(|count| count.pattern != *pattern) {
            let Ok(matcher) = pattern.matcher() else { return Ok(false) };
            let (pattern, next, rows) = (pattern.clone(), 0, 0);
            self.count = Some(RowCount { pattern, matcher, next, rows, told: None });
        }
        let Some(count) = &mut self.count else { return Ok(false) };
        let all = rows.count();
        let pattern = pattern.clone();
        let mut told_at = Instant::now();
        let mut tell_count = |found: u64, looked_at: u64, is_last: bool| {
            if is_last || told_at.elapsed() >= TELL_EVERY {
                told_at = Instant::now();
                tell(Msg::Logs(LogNews::Counted {
                    pattern: pattern.clone(),
                    of: Box::new(rows.of().clone()),
                    rows: found,
                    read: looked_at..all,
                }));
            }
        };
        if still() && count.next < all {
            count
                .go_on(rows, still, &mut |found, looked_at| tell_count(found, looked_at, false))?;
        }
        let now = (count.rows, count.next, all);
        if count.told.replace(now) == Some(now) {
            return Ok(false);
        }
        tell_count(count.rows, count.next, true);
        Ok(true)
    }
}

impl RowCount {
    /// Counts on until `still` says no, and tells how many rows were found among how many.
    fn go_on(
        &mut self,
        rows: &PaneRows,
        still: &dyn Fn() -> bool,
        tell: &mut dyn FnMut(u64, u64),
    ) -> Result<(), RecordError> {
        if let Some(log) = rows.plain().filter(|_| !self.matcher.is_inverse) {
            let (from, end) = (self.next, log.count());
            let (mut hits, mut reached) = (0, from);
            let (pattern, before) = (&self.matcher.pattern, self.rows);
            let ended =
                log.search(pattern, from, SearchDirection::Forward, &mut |news| match news {
                    SearchNews::Hit(line) => {
                        (hits, reached) = (hits + 1, line + 1);
                        ControlFlow::Continue(())
                    }
                    SearchNews::Searched { bytes, of } if still() => {
                        let share = bytes as f64 / of.max(1) as f64;
                        tell(before + hits, from + ((end - from) as f64 * share) as u64);
                        ControlFlow::Continue(())
                    }
                    SearchNews::Searched { .. } => ControlFlow::Break(()),
                })?;
            self.rows += hits;
            self.next = if ended.is_break() { reached } else { end };
            return Ok(());
        }
        while still() && self.next < rows.count() {
            let piece = rows.rows(self.next..self.next + PIECE)?;
            self.next = (self.next + PIECE).min(rows.count());
            self.rows += piece.iter().filter(|row| self.matcher.takes(&row.text)).count() as u64;
            tell(self.rows, self.next);
        }
        Ok(())
    }
}

/// Looks for a row and tells it; returns whether the search came to its end.
fn search(
    rows: &PaneRows,
    search: &RowSearch,
    still: &dyn Fn() -> bool,
    tell: &mut dyn FnMut(Msg),
) -> Result<bool, RecordError> {
    let id = search.id;
    let mut told_at = Instant::now();
    let mut progress = |part: u64, whole: u64| {
        if told_at.elapsed() >= TELL_EVERY {
            told_at = Instant::now();
            let share = (part as f64 / whole.max(1) as f64) as f32;
            tell(Msg::Logs(LogNews::Searching { id, share }));
        }
        still()
    };
    let found = match find_plain(rows, search, &mut progress)? {
        Some(found) => found,
        None => find_row(rows, search, &mut progress)?,
    };
    let ControlFlow::Continue(row) = found else { return Ok(false) };
    tell(Msg::Logs(LogNews::Found { id, row }));
    Ok(true)
}

/// What was found, unless it was given up.
type FoundRow = ControlFlow<(), Option<u64>>;

/// Looks for a line where every line of a log is a row; nothing where another way is needed.
fn find_plain(
    rows: &PaneRows,
    search: &RowSearch,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Option<FoundRow>, RecordError> {
    let Some(log) = rows.plain() else { return Ok(None) };
    let direction =
        if search.is_down { SearchDirection::Forward } else { SearchDirection::Backward };
    let from = search.from.min(log.count());
    let pattern = match &search.sought {
        Sought::Trouble => {
            let found = log.next_of(LineLevel::Error, from, direction)?;
            return Ok(Some(ControlFlow::Continue(found)));
        }
        // A phase is seen in the row alone.
        Sought::TroubleIn(_) => return Ok(None),
        Sought::Text(text) => LogPattern::substring(text),
        Sought::Pattern(pattern) => match pattern.matcher() {
            Ok(matcher) if matcher.is_inverse => return Ok(None),
            Ok(matcher) => Ok(matcher.pattern),
            Err(error) => Err(error),
        },
    };
    let Ok(pattern) = pattern else { return Ok(Some(ControlFlow::Continue(None))) };
    let mut found = None;
    let ended = log.search(&pattern, from, direction, &mut |news| match news {
        SearchNews::Hit(line) => {
            found = Some(line);
            ControlFlow::Break(())
        }
        SearchNews::Searched { bytes, of } if progress(bytes, of) => ControlFlow::Continue(()),
        SearchNews::Searched { .. } => ControlFlow::Break(()),
    })?;
    let is_over = found.is_some() || ended.is_continue();
    Ok(Some(if is_over { ControlFlow::Continue(found) } else { ControlFlow::Break(()) }))
}

/// Looks for a row, piece by piece.
fn find_row(
    rows: &PaneRows,
    search: &RowSearch,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<FoundRow, RecordError> {
    let Some(is_it) = test(&search.sought) else { return Ok(ControlFlow::Continue(None)) };
    let count = rows.count();
    let mut at = search.from.min(count);
    let whole = if search.is_down { count - at } else { at };
    while if search.is_down { at < count } else { at > 0 } {
        let piece =
            if search.is_down { at..(at + PIECE).min(count) } else { at.saturating_sub(PIECE)..at };
        let read = rows.rows(piece.clone())?;
        let found = if search.is_down {
            read.iter().position(&is_it)
        } else {
            read.iter().rposition(&is_it)
        };
        if let Some(found) = found {
            return Ok(ControlFlow::Continue(Some(piece.start + found as u64)));
        }
        at = if search.is_down { piece.end } else { piece.start };
        let left = if search.is_down { count - at } else { at };
        if !progress(whole - left, whole) {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(None))
}

/// Tells a row that is looked for from others.
type RowTest = Box<dyn Fn(&PaneRow) -> bool>;

/// Returns what tells a row that is looked for from others; nothing where there can be none.
fn test(sought: &Sought) -> Option<RowTest> {
    match sought {
        Sought::Trouble => Some(Box::new(|row| row.level == LineLevel::Error)),
        Sought::TroubleIn(phase) => {
            let phase = Some(*phase);
            Some(Box::new(move |row| row.level == LineLevel::Error && row.phase == phase))
        }
        Sought::Text(text) => {
            let text = text.clone();
            Some(Box::new(move |row| row.text.contains(&text)))
        }
        Sought::Pattern(pattern) => {
            let matcher = pattern.matcher().ok()?;
            Some(Box::new(move |row| matcher.takes(&row.text)))
        }
    }
}

impl PaneReader for RowsReader {
    fn look(
        &mut self,
        wanted: &PaneWanted,
        still: &dyn Fn() -> bool,
        tell: &mut dyn FnMut(Msg),
    ) -> bool {
        match self.read(wanted, still, tell) {
            Ok(is_new) => {
                self.trouble = None;
                is_new
            }
            Err(error) => {
                let text = error.to_string();
                if self.trouble.as_ref() != Some(&text) {
                    tell(Msg::Said { text: text.clone(), bad: true });
                }
                self.trouble = Some(text);
                false
            }
        }
    }

    fn forget(&mut self) {
        *self = Self::new(self.runs.clone());
    }
}
