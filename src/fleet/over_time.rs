//! Figures over time: over which time, of what, and what was measured in each part of it.

use jiff::{SignedDuration, Timestamp};

/// How far back figures are looked at, from the present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimeSpan {
    /// 10 minutes.
    TenMinutes,
    /// An hour.
    Hour,
    /// 6 hours.
    SixHours,
    /// 24 hours.
    #[default]
    Day,
    /// 7 days.
    Week,
    /// 30 days.
    Month,
    /// 90 days.
    Quarter,
}

impl TimeSpan {
    /// Every span, the shortest first.
    pub const ALL: [Self; 7] = [
        Self::TenMinutes,
        Self::Hour,
        Self::SixHours,
        Self::Day,
        Self::Week,
        Self::Month,
        Self::Quarter,
    ];

    /// Returns how long it is.
    pub fn length(self) -> SignedDuration {
        match self {
            Self::TenMinutes => SignedDuration::from_mins(10),
            Self::Hour => SignedDuration::from_hours(1),
            Self::SixHours => SignedDuration::from_hours(6),
            Self::Day => SignedDuration::from_hours(24),
            Self::Week => SignedDuration::from_hours(7 * 24),
            Self::Month => SignedDuration::from_hours(30 * 24),
            Self::Quarter => SignedDuration::from_hours(90 * 24),
        }
    }

    /// Returns it in words, such as `24 h`.
    pub fn words(self) -> &'static str {
        match self {
            Self::TenMinutes => "10 min",
            Self::Hour => "1 h",
            Self::SixHours => "6 h",
            Self::Day => "24 h",
            Self::Week => "7 d",
            Self::Month => "30 d",
            Self::Quarter => "90 d",
        }
    }

    /// Returns the next shorter one; none of the shortest.
    pub fn shorter(self) -> Option<Self> {
        Self::ALL.into_iter().rev().find(|other| *other < self)
    }

    /// Returns the next longer one; none of the longest.
    pub fn longer(self) -> Option<Self> {
        Self::ALL.into_iter().find(|other| *other > self)
    }
}

/// Of what figures are looked at over time, by the names of `hosts.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverTimeOf {
    /// A host.
    Host(String),
    /// A tier.
    Tier(String),
}

impl OverTimeOf {
    /// Returns its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Host(name) | Self::Tier(name) => name,
        }
    }
}

/// A figure that is kept over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// The load average of a host over one minute.
    Load,
    /// The share of a host's main memory that is in use, 0 to 1.
    Memory,
    /// The free room below `/nix` of a host, in bytes.
    FreeRoom,
    /// How long a host takes to answer, in milliseconds.
    HostLatency,
    /// How long a tier takes to answer, in milliseconds.
    TierLatency,
    /// Of the narinfo requests that a tier's server counted, the share answered with a narinfo, 0 to 1.
    Answered,
    /// The share of the paths of hosts' running systems that a tier holds, 0 to 1: the mean over
    /// hosts, the lowest and the highest of any host.
    Coverage,
}

/// What was measured in a part of a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimePoint {
    /// The lowest value.
    pub low: f64,
    /// The mean: over time, or over requests where the figure counts these.
    pub mean: f64,
    /// The highest value.
    pub high: f64,
}

impl TimePoint {
    /// Returns one value that is all there was.
    pub fn only(value: f64) -> Self {
        Self { low: value, mean: value, high: value }
    }
}

/// One figure over a time, in equal parts.
#[derive(Clone, Debug, PartialEq)]
pub struct FigureOverTime {
    /// The figure.
    pub figure: Figure,
    /// What was measured in each part, the oldest first; none where nothing was.
    pub points: Vec<Option<TimePoint>>,
    /// The newest value in that time.
    pub newest: Option<f64>,
}

impl FigureOverTime {
    /// Returns the lowest and the highest value of all; none where nothing was measured.
    pub fn range(&self) -> Option<(f64, f64)> {
        let known = self.points.iter().flatten();
        known
            .map(|point| (point.low, point.high))
            .reduce(|all, point| (f64::min(all.0, point.0), f64::max(all.1, point.1)))
    }
}

/// All figures of one host or tier over a time.
#[derive(Clone, Debug, PartialEq)]
pub struct OverTime {
    /// When the first part begins.
    pub from: Timestamp,
    /// When the last part ends: the present, or a little behind it.
    pub until: Timestamp,
    /// The figures.
    pub figures: Vec<FigureOverTime>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zooming_goes_through_every_span_and_stops_at_both_ends() {
        let mut spans = vec![TimeSpan::TenMinutes];
        while let Some(longer) = spans[spans.len() - 1].longer() {
            assert_eq!(longer.shorter(), Some(spans[spans.len() - 1]));
            assert!(longer.length() > spans[spans.len() - 1].length());
            spans.push(longer);
        }
        assert_eq!(spans, TimeSpan::ALL);
        assert_eq!(TimeSpan::TenMinutes.shorter(), None);
    }

    #[test]
    fn the_range_of_a_figure_is_that_of_its_lowest_and_highest_values() {
        let point = TimePoint { low: 1.0, mean: 2.0, high: 9.0 };
        let points = vec![None, Some(point), Some(TimePoint::only(0.5)), None];
        let figure = FigureOverTime { figure: Figure::Load, points, newest: None };
        assert_eq!(figure.range(), Some((0.5, 9.0)));
        assert_eq!(FigureOverTime { points: vec![None], ..figure }.range(), None);
    }
}
