//! The pane of figures over time: what it holds.

use crate::fleet::{FigureOverTime, OverTime, OverTimeOf, TimeSpan};
use jiff::{SignedDuration, Timestamp};

/// The shortest and the longest time between two readings.
const READ_EVERY: [SignedDuration; 2] =
    [SignedDuration::from_secs(5), SignedDuration::from_secs(60)];

/// Less of a time than this is a sliver.
const SLIVER: f64 = 0.1;

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
    /// Whether nobody chose the time yet: where little of it was measured, a shorter one is shown.
    pub is_fitted: bool,
}

impl OverTimePane {
    /// Makes the pane of a host or tier that is read now.
    pub fn new(of: OverTimeOf, span: TimeSpan, parts: usize, now: Timestamp) -> Self {
        Self { of, span, found: None, first: 0, asked: (parts, now), is_fitted: true }
    }

    /// Returns whether it is to be read again: a part of the time went by, or there is room for another
    /// number of parts.
    pub fn is_due(&self, parts: usize, now: Timestamp) -> bool {
        let (asked, at) = self.asked;
        let [least, most] = READ_EVERY;
        let part = self.span.length() / i32::try_from(asked.max(1)).unwrap_or(i32::MAX);
        asked != parts || now.duration_since(at) >= part.clamp(least, most)
    }

    /// Returns the shortest time that has all that was measured, where nobody chose one and what is shown
    /// would be a sliver at its end.
    pub fn fitting_span(&self, found: &OverTime) -> Option<TimeSpan> {
        let first = |figure: &FigureOverTime| {
            let at = figure.points.iter().position(Option::is_some)?;
            Some(at as f64 / figure.points.len() as f64)
        };
        let first = found.figures.iter().filter_map(first).reduce(f64::min)?;
        let whole = found.until.duration_since(found.from).as_secs_f64();
        let measured = SignedDuration::from_secs_f64(whole * (1.0 - first));
        let shorter = std::iter::successors(Some(self.span), |span| span.shorter());
        let fitting = shorter.take_while(|span| span.length() >= measured).last();
        fitting.filter(|span| self.is_fitted && *span != self.span && 1.0 - first < SLIVER)
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
    use crate::fleet::{Figure, TimePoint};

    #[test]
    fn where_little_was_measured_a_shorter_time_is_shown_until_somebody_chooses_one() {
        let until = Timestamp::UNIX_EPOCH;
        let from = until - TimeSpan::Day.length();
        let point = TimePoint { low: 1.0, mean: 1.0, high: 1.0 };
        let measured = |parts: usize| {
            let mut points = vec![None; 288];
            points[288 - parts..].fill(Some(point));
            let figure = FigureOverTime { figure: Figure::Load, points, newest: None };
            OverTime { from, until, figures: vec![figure] }
        };
        let of = OverTimeOf::Host("p620".to_owned());
        let mut pane = OverTimePane::new(of, TimeSpan::Day, 288, until);
        for (parts, span) in [
            (1, Some(TimeSpan::TenMinutes)),
            (3, Some(TimeSpan::Hour)),
            (20, Some(TimeSpan::SixHours)),
            (100, None),
            (288, None),
        ] {
            assert_eq!(pane.fitting_span(&measured(parts)), span, "{parts}");
        }
        let nothing = OverTime { from, until, figures: Vec::new() };
        assert_eq!(pane.fitting_span(&nothing), None);
        pane.is_fitted = false;
        assert_eq!(pane.fitting_span(&measured(1)), None);
    }

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
