//! When a job's log was written, by the clock of its host.
//!
//! The job notes once a second, while its log grows, how long the log is and what time it is (`start.sh`).
//! Whoever begins to follow gets these marks before the log (`follow.sh`), so that what was written while
//! nobody read has its own times. What comes after that is written when it is read.

use crate::fleet::LogMark;
use jiff::{SignedDuration, Timestamp};

/// The longest line of marks that is read, in bytes: some weeks of a log that grows all the time.
const LONGEST: usize = 4 << 20;

/// A clock that differs by no more than this is taken to be right: the marks have whole seconds, and are
/// on their way for a moment.
const SAME_CLOCK: SignedDuration = SignedDuration::from_secs(2);

/// When the lines of a log were written, as far as its host noted that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LogTimes {
    /// The oldest first.
    marks: Vec<LogMark>,
}

impl LogTimes {
    /// Takes marks that were kept, the oldest first.
    pub(super) fn new(marks: Vec<LogMark>) -> Self {
        Self { marks }
    }

    /// Reads what a host says, `NOW<TAB>LENGTH<TAB>OFFSET TIME,OFFSET TIME,.`, at this time here. Times are
    /// seconds by its clock; where that is wrong, they are set right. A job of an older nixdash noted
    /// nothing, and then there are no marks.
    fn read(text: &str, here: Timestamp) -> Self {
        let mut fields = text.splitn(3, '\t');
        let mut number = || fields.next().and_then(|field| field.trim().parse::<i64>().ok());
        let (Some(now), Some(length)) = (number(), number()) else { return Self::default() };
        let Some(noted) = fields.next().filter(|noted| !noted.is_empty()) else {
            return Self::default();
        };
        let there = Timestamp::from_second(now).unwrap_or(here);
        let differs = here.duration_since(there);
        let wrong = if differs.abs() <= SAME_CLOCK { SignedDuration::ZERO } else { differs };
        let mark = |offset: i64, second: i64| {
            let at = Timestamp::from_second(second).ok()?.checked_add(wrong).ok()?;
            Some(LogMark { offset: u64::try_from(offset).ok()?, at: at.min(here) })
        };
        let pair = |text: &str| {
            let (offset, second) = text.split_once(' ')?;
            mark(offset.parse().ok()?, second.parse().ok()?)
        };
        let mut marks: Vec<LogMark> = Vec::new();
        for found in noted.split(',').filter_map(pair).chain(mark(length, now)) {
            if found.follows(marks.last()) {
                marks.push(found);
            }
        }
        Self { marks }
    }

    /// Returns the marks, the oldest first.
    pub(super) fn marks(&self) -> &[LogMark] {
        &self.marks
    }

    /// Returns when the line was written that ends before this byte; none where it was written after the
    /// last mark.
    pub(super) fn at(&self, end: u64) -> Option<Timestamp> {
        LogMark::written_at(&self.marks, end)
    }
}

/// Tells the line of marks from the log that follows it. A script that prints none, and ends at once,
/// prints no log either.
pub(super) struct LogHead {
    /// What the line begins with: a word that the log cannot know.
    begin: Vec<u8>,
    /// What came and may be a part of the line; none behind it.
    held: Option<Vec<u8>>,
}

/// What came of a log.
pub(super) enum FollowedPiece {
    /// It is not yet known what this is.
    Nothing,
    /// The beginning of the log, and when it was written.
    Begin(LogTimes, Vec<u8>),
    /// What follows.
    More(Vec<u8>),
}

impl LogHead {
    /// Looks for a line with this mark.
    pub(super) fn new(mark: &str) -> Self {
        Self { begin: format!("{mark}\tmarks\t").into_bytes(), held: Some(Vec::new()) }
    }

    /// Takes a piece, which came at this time.
    pub(super) fn feed(&mut self, piece: Vec<u8>, now: Timestamp) -> FollowedPiece {
        let Some(held) = &mut self.held else { return FollowedPiece::More(piece) };
        held.extend_from_slice(&piece);
        let common = held.len().min(self.begin.len());
        let is_another = held[..common] != self.begin[..common] || held.len() > LONGEST;
        let end = memchr::memchr(b'\n', held);
        match end.filter(|_| !is_another) {
            Some(end) => {
                let text = String::from_utf8_lossy(&held[self.begin.len()..end]).into_owned();
                let rest = held.split_off(end + 1);
                self.held = None;
                FollowedPiece::Begin(LogTimes::read(&text, now), rest)
            }
            None if is_another => {
                FollowedPiece::Begin(LogTimes::default(), self.held.take().unwrap_or_default())
            }
            None => FollowedPiece::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn marks(times: &LogTimes) -> Vec<(u64, i64)> {
        times.marks.iter().map(|mark| (mark.offset, mark.at.as_second())).collect()
    }

    #[test]
    fn lines_have_the_time_of_the_first_mark_behind_them() {
        let times = LogTimes::read("3000\t500\t100 600,250 1200,.", at(3001));
        assert_eq!(marks(&times), [(100, 600), (250, 1200), (500, 3000)]);
        let seconds = |end| times.at(end).map(Timestamp::as_second);
        assert_eq!([seconds(1), seconds(100), seconds(101)], [Some(600), Some(600), Some(1200)]);
        assert_eq!([seconds(499), seconds(500), seconds(501)], [Some(3000), Some(3000), None]);
    }

    #[test]
    fn a_clock_that_is_wrong_is_set_right() {
        let times = LogTimes::read("3000\t500\t100 600,", at(10_000));
        assert_eq!(marks(&times), [(100, 7600), (500, 10_000)]);
    }

    #[test]
    fn marks_that_make_no_sense_are_left_out() {
        for text in ["", "x\ty\tz", "3000\t500\t", "3000", "\t\t100 600,"] {
            assert_eq!(LogTimes::read(text, at(3000)), LogTimes::default(), "{text}");
        }
        let torn =
            LogTimes::read("3000\t500\t100 600,90 700,x,200,-5 3,300 100,400 900,", at(3000));
        assert_eq!(marks(&torn), [(100, 600), (400, 900), (500, 3000)]);
        // A job that noted nothing yet has just begun.
        assert_eq!(marks(&LogTimes::read("3000\t500\t.", at(3000))), [(500, 3000)]);
    }

    proptest! {
        #[test]
        fn the_line_of_marks_is_told_from_the_log_whatever_the_pieces(
            log in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'e'), any::<u8>()], 0..100),
            has_marks in any::<bool>(),
            size in 1_usize..40,
        ) {
            let head = if has_marks { "end-0123\tmarks\t3000\t500\t100 600,\n" } else { "" };
            let output = [head.as_bytes(), &log, b"\nend-0123\tover"].concat();
            let (mut reader, mut found, mut known) = (LogHead::new("end-0123"), Vec::new(), None);
            for piece in output.chunks(size) {
                match reader.feed(piece.to_vec(), at(3000)) {
                    FollowedPiece::Nothing => {}
                    FollowedPiece::Begin(times, rest) => {
                        prop_assert!(known.is_none());
                        known = Some(times);
                        found.extend(rest);
                    }
                    FollowedPiece::More(rest) => found.extend(rest),
                }
            }
            prop_assert_eq!(found, [&log[..], b"\nend-0123\tover"].concat());
            prop_assert_eq!(known.unwrap().marks.len(), if has_marks { 2 } else { 0 });
        }
    }
}
