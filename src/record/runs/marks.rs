//! When the bytes of a stream were written: `HOST.build.marks` beside `HOST.build.stream`.
//!
//! Nix's internal-json has no times. A line of this file says how long the stream was at a time, about once
//! a second while it grew, by the clock of this machine. What a host's job wrote while nobody read has
//! the times that the host noted. Where the file cannot be written, times are missing and nothing else.

use crate::fleet::LogMark;
use jiff::Timestamp;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How often a mark is made at most, in milliseconds.
const EVERY: i64 = 1000;

/// The marks of a stream that grows.
#[derive(Debug)]
pub(super) struct StreamMarks {
    path: PathBuf,
    /// Where it is written; none where that is not possible.
    file: Option<File>,
    last: Option<LogMark>,
    /// The newest that came too soon after it.
    skipped: Option<LogMark>,
}

/// Returns the file with the marks of a stream.
fn marks_of(stream: &Path) -> PathBuf {
    stream.with_extension("marks")
}

/// Reads the marks of a stream, the oldest first.
pub(super) fn read_marks(stream: &Path) -> Vec<LogMark> {
    let text = fs::read_to_string(marks_of(stream)).unwrap_or_default();
    let mut marks: Vec<LogMark> = Vec::new();
    for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let mark = line.split_once(' ').and_then(|(offset, at)| {
            let at = Timestamp::from_millisecond(at.parse().ok()?).ok()?;
            Some(LogMark { offset: offset.parse().ok()?, at })
        });
        // What a host noted is known once more after a lost connection.
        if let Some(mark) = mark
            && mark.follows(marks.last())
        {
            marks.push(mark);
        }
    }
    marks
}

impl StreamMarks {
    /// Goes on with the marks of a stream.
    pub(super) fn open(stream: &Path) -> Self {
        let (path, last) = (marks_of(stream), read_marks(stream).last().copied());
        Self { path, file: None, last, skipped: None }
    }

    /// Notes that the stream is so long now, when the last mark is old enough. What came sooner and before a
    /// silence is noted with its own time, or it would seem to have come after the silence.
    pub(super) fn note(&mut self, mark: LogMark) {
        let is_old =
            |before: LogMark| mark.at.as_millisecond() - before.at.as_millisecond() >= EVERY;
        if self.last.is_none_or(|last| is_old(last) && mark.offset > last.offset) {
            let skipped = self.skipped.take();
            let ended = skipped.filter(|skipped| is_old(*skipped) && mark.offset > skipped.offset);
            self.add(ended.as_slice());
            self.add(&[mark]);
        } else if self.skipped.is_none_or(|skipped| mark.offset > skipped.offset) {
            self.skipped = Some(mark);
        }
    }

    /// Adds marks that were made elsewhere, the oldest first.
    pub(super) fn add(&mut self, marks: &[LogMark]) {
        if self.file.is_none() {
            let mut options = OpenOptions::new();
            self.file = options.append(true).create(true).mode(0o600).open(&self.path).ok();
        }
        let last = self.last;
        let is_later = |mark: &&LogMark| last.is_none_or(|last| mark.offset > last.offset);
        let mut lines = Vec::new();
        for LogMark { offset, at } in marks.iter().filter(is_later) {
            // Writing into a buffer cannot fail.
            drop(writeln!(lines, "{offset} {}", at.as_millisecond()));
            self.last = Some(LogMark { offset: *offset, at: *at });
        }
        // Half a line at the end is none.
        if let Some(file) = &mut self.file {
            drop(file.write_all(&lines));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(offset: u64, millisecond: i64) -> LogMark {
        LogMark { offset, at: Timestamp::from_millisecond(millisecond).unwrap() }
    }

    #[test]
    fn what_came_before_a_silence_has_its_own_time() {
        let dir = tempfile::tempdir().unwrap();
        let stream = dir.path().join("a.build.stream");
        let mut marks = StreamMarks::open(&stream);
        for (offset, at) in [(10, 0), (20, 300), (30, 600), (30, 700), (40, 60_000)] {
            marks.note(mark(offset, at));
        }
        assert_eq!(read_marks(&stream), [mark(10, 0), mark(30, 600), mark(40, 60_000)]);
    }

    #[test]
    fn a_mark_is_made_once_a_second_while_the_stream_grows() {
        let dir = tempfile::tempdir().unwrap();
        let stream = dir.path().join("a.build.stream");
        let mut marks = StreamMarks::open(&stream);
        for (offset, at) in [(10, 0), (20, 400), (30, 1000), (30, 5000), (40, 9000)] {
            marks.note(mark(offset, at));
        }
        let wanted = [mark(10, 0), mark(30, 1000), mark(40, 9000)];
        assert_eq!(read_marks(&stream), wanted);
        // A process that goes on learns the host's, of which it has some already.
        let mut file = OpenOptions::new().append(true).open(marks_of(&stream)).unwrap();
        file.write_all(b"50 99").unwrap();
        let mut marks = StreamMarks::open(&stream);
        marks.add(&[mark(35, 2000), mark(60, 10_000), mark(70, 11_000)]);
        let found = read_marks(&stream);
        assert_eq!(found.last(), Some(&mark(70, 11_000)));
        assert!(found.iter().all(|mark| mark.offset < 41 || mark.offset > 59), "{found:?}");
    }
}
