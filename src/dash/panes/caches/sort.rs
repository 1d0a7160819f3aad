//! By what tiers can be sorted.

use crate::dash::sorting::{SortBy, SortValue};
use crate::dash::world::ScreenWorld;
use crate::fleet::{Severity, TierFacts, TierState, worst};
use serde::{Deserialize, Serialize};

/// By what tiers are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TierSort {
    /// As they stand in hosts.toml.
    #[default]
    File,
    /// By what is wrong with them.
    Problems,
    /// By name.
    Name,
    /// By how long they have been in their state.
    Since,
    /// By the share of bytes that they served.
    Served,
    /// By the share of requests that they answered.
    Answered,
    /// By latency.
    Latency,
    /// By how fast they served.
    Speed,
    /// By size.
    Size,
    /// By the priority that they name.
    Priority,
    /// By how much they hold of the hosts' closures, on average.
    Average,
    /// By how much they hold of the closure of the host of that number.
    Host(usize),
}

impl SortBy for TierSort {
    fn greatest_first(self) -> bool {
        match self {
            Self::File
            | Self::Name
            | Self::Since
            | Self::Priority
            | Self::Average
            | Self::Host(_)
            | Self::Answered => false,
            Self::Problems | Self::Served | Self::Latency | Self::Speed | Self::Size => true,
        }
    }

    fn words(self) -> [&'static str; 3] {
        match self {
            Self::File => ["their place in hosts.toml", "the first on top", "the last on top"],
            Self::Problems => ["what is wrong", "the best on top", "the worst on top"],
            Self::Name => ["name", "a to z", "z to a"],
            Self::Since => ["time in their state", "the shortest on top", "the longest on top"],
            Self::Served => ["share served", "the least on top", "the most on top"],
            Self::Answered => ["share answered", "the least on top", "the most on top"],
            Self::Latency => ["latency", "the fastest on top", "the slowest on top"],
            Self::Speed => ["speed", "the slowest on top", "the fastest on top"],
            Self::Size => ["size", "the smallest on top", "the largest on top"],
            Self::Priority => ["priority", "the first asked on top", "the last asked on top"],
            Self::Average => ["coverage", "the least on top", "the most on top"],
            Self::Host(_) => ["coverage of the host", "the least on top", "the most on top"],
        }
    }
}

impl TierSort {
    /// Returns what a tier is sorted by; none where that is not known.
    pub(in crate::dash) fn value(self, world: &ScreenWorld, index: usize) -> Option<SortValue> {
        let (tier, view) = (world.fleet.tiers.get(index)?, world.tiers.get(index)?);
        let facts = &view.facts;
        let figures = world.figures.tiers.get(&tier.name);
        let number = match self {
            Self::File => index as f64,
            Self::Problems => urgency(facts)?,
            Self::Name => return Some(SortValue::text(&tier.name)),
            Self::Since => -(facts.since?.as_millisecond() as f64),
            Self::Served => figures?.share_bytes?,
            Self::Answered => figures?.answered?,
            Self::Latency => facts.latency_ms?,
            Self::Speed => facts.speed.as_ref()?.bytes_per_s,
            Self::Size => facts.size.as_ref()?.bytes as f64,
            Self::Priority => f64::from(facts.priority?),
            Self::Average => world.mean_coverage(&tier.name)?.share,
            Self::Host(host) => {
                world.hosts.get(host)?.coverage.tiers.get(&tier.name)?.paths.ratio()?
            }
        };
        Some(SortValue::Number(number))
    }
}

/// Returns how urgently somebody should look at a tier; none for one that was not asked.
fn urgency(facts: &TierFacts) -> Option<f64> {
    match (worst(&facts.findings).map(|finding| finding.severity), facts.state) {
        (Some(Severity::Error), _) => Some(2.0),
        (Some(Severity::Warning), _) => Some(1.0),
        (Some(Severity::Note) | None, TierState::Unknown) => None,
        (Some(Severity::Note) | None, _) => Some(0.0),
    }
}
