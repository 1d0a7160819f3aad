//! The newest lines of one host's log, under numbers that stay the same when old lines leave.

use crate::fleet::Phase;
use jiff::Timestamp;
use std::collections::VecDeque;

/// Lines that are kept of one host; the complete log is on disk.
const CAPACITY: usize = 10_000;

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When it came.
    pub at: Timestamp,
    /// The phase it belongs to.
    pub phase: Phase,
    /// The line, printable.
    pub text: String,
}

/// A bounded log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogRing {
    lines: VecDeque<LogLine>,
    dropped: u64,
}

impl LogRing {
    /// Adds a line; the oldest leaves when the ring is full.
    pub fn push(&mut self, line: LogLine) {
        if self.lines.len() == CAPACITY {
            self.lines.pop_front();
            self.dropped += 1;
        }
        self.lines.push_back(line);
    }

    /// Returns how many old lines left.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Returns the number of the first line that is kept.
    pub fn first(&self) -> u64 {
        self.dropped
    }

    /// Returns the number that the next line will get.
    pub fn end(&self) -> u64 {
        self.dropped + self.lines.len() as u64
    }

    /// Returns whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Returns the line of that number, when it is kept.
    pub fn line(&self, number: u64) -> Option<&LogLine> {
        let index = number.checked_sub(self.dropped)?;
        self.lines.get(usize::try_from(index).ok()?)
    }

    /// Returns the lines from that number on, with their numbers.
    pub fn from(&self, number: u64) -> impl Iterator<Item = (u64, &LogLine)> {
        let skip = (number.max(self.dropped) - self.dropped).min(self.lines.len() as u64) as usize;
        self.lines.range(skip..).zip(self.dropped + skip as u64..).map(|(line, n)| (n, line))
    }

    /// Returns the lines before that number, newest first, with their numbers.
    pub fn before(&self, number: u64) -> impl Iterator<Item = (u64, &LogLine)> {
        let take = number.saturating_sub(self.dropped).min(self.lines.len() as u64) as usize;
        let dropped = self.dropped;
        self.lines
            .range(..take)
            .rev()
            .zip((0..take as u64).rev())
            .map(move |(line, n)| (n + dropped, line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(count: usize) -> LogRing {
        let mut ring = LogRing::default();
        for n in 0..count {
            ring.push(LogLine {
                at: Timestamp::UNIX_EPOCH,
                phase: Phase::Build,
                text: n.to_string(),
            });
        }
        ring
    }

    #[test]
    fn a_line_keeps_its_number_when_old_ones_leave() {
        let ring = ring(CAPACITY + 5);
        assert_eq!(ring.dropped(), 5);
        assert_eq!(ring.line(4), None);
        assert_eq!(ring.line(5).map(|line| line.text.as_str()), Some("5"));
        assert_eq!(ring.end(), 10_005);
        assert_eq!(ring.from(10_003).map(|(n, _)| n).collect::<Vec<_>>(), [10_003, 10_004]);
        assert_eq!(ring.before(7).map(|(n, _)| n).collect::<Vec<_>>(), [6, 5]);
        for (number, line) in ring.from(0).chain(ring.before(u64::MAX)) {
            assert_eq!(number.to_string(), line.text);
        }
    }
}
