//! The pane of figures over time: what it holds.

use crate::fleet::{FigureOverTime, OverTime, OverTimeOf, TimeSpan};
use jiff::{SignedDuration, Timestamp};

/// The shortest and the longest time between two readings.
const READ_EVERY: [SignedDuration; 2] =
    [SignedDuration::from_secs(5), SignedDuration::from_secs(60)];

/// Figures of a host or tier over time.
#[derive(Clone, Debug, PartialEq)]
pub struct OverTimePane {
    /// Whose they are.
    pub of: OverTimeOf,
    /// How far back they reach.
    pub span: TimeSpan,
    /// What was found, or why not; none until the history was read.
    pub found: Option<Result<OverTime, String>>,
    /// The first figure that is shown.
    pub first: usize,
    /// In how many parts it was asked for last, and when.
    pub asked: (usize, Timestamp),
}

impl OverTimePane {
    /// Makes the pane of a host or tier that is read now.
    pub fn new(of: OverTimeOf, span: TimeSpan, parts: usize, now: Timestamp) -> Self {
        Self { of, span, found: None, first: 0, asked: (parts, now) }
    }

    /// Returns whether it is to be read again: a part of the time went by, or there is room for another
    /// number of parts.
    pub fn is_due(&self, parts: usize, now: Timestamp) -> bool {
        let (asked, at) = self.asked;
        let [least, most] = READ_EVERY;
        let part = self.span.length() / i32::try_from(asked.max(1)).unwrap_or(i32::MAX);
        asked != parts || now.duration_since(at) >= part.clamp(least, most)
    }

    /// Returns the figures, as far as they were read.
    pub fn figures(&self) -> &[FigureOverTime] {
        match &self.found {
            Some(Ok(found)) => &found.figures,
            Some(Err(_)) | None => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_read_again_when_a_part_of_it_went_by() {
        let now = Timestamp::UNIX_EPOCH;
        let after = |seconds| now + SignedDuration::from_secs(seconds);
        for (span, parts, due) in [
            (TimeSpan::TenMinutes, 300, 5),
            (TimeSpan::Hour, 120, 30),
            (TimeSpan::Quarter, 200, 60),
        ] {
            let pane = OverTimePane::new(OverTimeOf::Host("p620".to_owned()), span, parts, now);
            assert!(!pane.is_due(parts, after(due - 1)), "{span:?}");
            assert!(pane.is_due(parts, after(due)), "{span:?}");
            assert!(pane.is_due(parts + 1, now), "another width");
        }
    }
}
