//! The newest lines of one host's log, under numbers that stay the same when old lines leave.

use crate::fleet::LogLine;
use std::collections::VecDeque;

/// Lines that are kept of one host, more than any screen has rows; the complete log is on disk.
const CAPACITY: usize = 1000;

/// How long the kept lines are together at most, in bytes.
const BYTES: usize = 4 << 20;

/// A bounded log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogRing {
    lines: VecDeque<LogLine>,
    dropped: u64,
    bytes: usize,
}

impl LogRing {
    /// Returns an empty log before which so many lines stand that are not kept.
    pub fn after(earlier: u64) -> Self {
        Self { dropped: earlier, ..Self::default() }
    }

    /// Adds a line; the oldest leaves when there are too many.
    pub fn push(&mut self, line: LogLine) {
        self.bytes += line.text.len();
        self.lines.push_back(line);
        while (self.lines.len() > CAPACITY || self.bytes > BYTES)
            && self.lines.len() > 1
            && let Some(oldest) = self.lines.pop_front()
        {
            self.bytes -= oldest.text.len();
            self.dropped += 1;
        }
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
    use crate::fleet::Phase;
    use jiff::Timestamp;

    fn ring(count: usize) -> LogRing {
        let mut ring = LogRing::default();
        for n in 0..count {
            let at = Some(Timestamp::UNIX_EPOCH);
            ring.push(LogLine::plain(at, Some(Phase::Build), n.to_string()));
        }
        ring
    }

    #[test]
    fn a_line_keeps_its_number_when_old_ones_leave() {
        let ring = ring(CAPACITY + 5);
        assert_eq!(ring.dropped(), 5);
        assert_eq!(ring.line(4), None);
        assert_eq!(ring.line(5).map(|line| line.text.as_str()), Some("5"));
        assert_eq!(ring.end(), 1005);
        assert_eq!(ring.from(1003).map(|(n, _)| n).collect::<Vec<_>>(), [1003, 1004]);
        assert_eq!(ring.before(7).map(|(n, _)| n).collect::<Vec<_>>(), [6, 5]);
        for (number, line) in ring.from(0).chain(ring.before(u64::MAX)) {
            assert_eq!(number.to_string(), line.text);
        }
    }
    #[test]
    fn long_lines_leave_sooner() {
        let mut ring = LogRing::after(7);
        for _ in 0..1000 {
            ring.push(LogLine::plain(None, None, "x".repeat(8192)));
        }
        let kept = ring.before(u64::MAX).count();
        assert_eq!((kept, ring.end()), (BYTES / 8192, 1007));
        ring.push(LogLine::plain(None, None, "x".repeat(2 * BYTES)));
        assert_eq!(ring.before(u64::MAX).count(), 1);
    }
}
