//! By what hosts can be sorted.

use crate::dash::sorting::{SortBy, SortValue};
use crate::dash::world::{ScreenWorld, Urgency, coverage_tier};
use crate::fleet::Bytes;
use serde::{Deserialize, Serialize};

/// By what hosts are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostSort {
    /// As they stand in hosts.toml.
    #[default]
    File,
    /// By what is wrong with them.
    Problems,
    /// By name.
    Name,
    /// By NixOS's version.
    Version,
    /// By the generation that runs.
    Generation,
    /// By the revision that the running system was built from.
    Revision,
    /// By how many commits of the flake they lack.
    Behind,
    /// By load.
    Load,
    /// By the share of memory that is in use.
    Memory,
    /// By free room below `/nix`.
    Free,
    /// By the size of the store.
    Store,
    /// By how much of their closure the tier holds that deploys publish to.
    Coverage,
    /// By how long they have been up.
    Uptime,
    /// By the round trip to them.
    Latency,
    /// By Nix's version.
    Nix,
    /// By how old their figures are.
    Age,
}

impl SortBy for HostSort {
    fn greatest_first(self) -> bool {
        match self {
            Self::File
            | Self::Name
            | Self::Version
            | Self::Generation
            | Self::Revision
            | Self::Free
            | Self::Coverage
            | Self::Nix => false,
            Self::Problems
            | Self::Behind
            | Self::Load
            | Self::Memory
            | Self::Store
            | Self::Uptime
            | Self::Latency
            | Self::Age => true,
        }
    }

    fn words(self) -> [&'static str; 3] {
        match self {
            Self::File => ["their place in hosts.toml", "the first on top", "the last on top"],
            Self::Problems => ["what is wrong", "the best on top", "the worst on top"],
            Self::Name => ["name", "a to z", "z to a"],
            Self::Version => ["NixOS's version", "the oldest on top", "the newest on top"],
            Self::Generation => ["generation", "the lowest on top", "the highest on top"],
            Self::Revision => ["revision", "0 to f", "f to 0"],
            Self::Behind => ["commits behind the flake", "the fewest on top", "the most on top"],
            Self::Load => ["load", "the lowest on top", "the highest on top"],
            Self::Memory => ["memory in use", "the least on top", "the most on top"],
            Self::Free => ["free room below /nix", "the least on top", "the most on top"],
            Self::Store => ["size of the store", "the smallest on top", "the largest on top"],
            Self::Coverage => ["what the cache holds", "the least on top", "the most on top"],
            Self::Uptime => ["time since boot", "the shortest on top", "the longest on top"],
            Self::Latency => ["latency", "the fastest on top", "the slowest on top"],
            Self::Nix => ["Nix's version", "the oldest on top", "the newest on top"],
            Self::Age => ["age of the figures", "the newest on top", "the oldest on top"],
        }
    }
}

impl HostSort {
    /// Returns what a host is sorted by; none where that is not known.
    pub(in crate::dash) fn value(self, world: &ScreenWorld, index: usize) -> Option<SortValue> {
        let (host, view) = (world.fleet.hosts.get(index)?, world.hosts.get(index)?);
        let facts = &view.facts;
        let number = match self {
            Self::File => index as f64,
            Self::Problems => match Urgency::of(facts) {
                Urgency::Error => 3.0,
                Urgency::Warning => 2.0,
                Urgency::Away => 1.0,
                Urgency::Well => 0.0,
                Urgency::Unknown => return None,
            },
            Self::Name => return Some(SortValue::text(&host.name)),
            Self::Version => return facts.system.nixos_version.as_deref().map(SortValue::text),
            Self::Nix => return facts.system.nix_version.as_deref().map(SortValue::text),
            Self::Revision => {
                // Hexadecimal digits are no decimal numbers: they are compared as they are.
                let from = view.built_from()?;
                return Some(SortValue::Parts(vec![(from.revision.clone(), 0)]));
            }
            Self::Generation => facts.running_generation()? as f64,
            Self::Behind => world.ancestry(host, view)?.behind as f64,
            Self::Load => facts.load1?,
            Self::Memory => facts.memory.and_then(Bytes::share)?,
            Self::Free => facts.disk?.free() as f64,
            Self::Store => view.store.as_ref()?.bytes as f64,
            Self::Coverage => {
                let tier = coverage_tier(&world.fleet)?;
                view.coverage.tiers.get(&tier.name)?.paths.ratio()?
            }
            Self::Uptime => facts.uptime_s? as f64,
            Self::Latency => facts.latency_ms?,
            Self::Age => -(facts.measured_at?.as_second() as f64),
        };
        Some(SortValue::Number(number))
    }
}
