//! Which hosts have a column in the matrix, where not all of them have room: the worst first.

use crate::dash::model::Model;
use crate::dash::words::tiers::is_bad_on_host;
use crate::dash::world::{coverage_tier, is_current};
use std::cmp::Reverse;
use std::ops::Range;

/// The hosts that have a column, by their places in the order of the screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::dash) struct HostsShown {
    /// Their places in that order.
    pub(in crate::dash) places: Range<usize>,
    /// How many hosts there are.
    pub(in crate::dash) all: usize,
}

impl HostsShown {
    /// Returns the places that are shown where there is room for so many: all where they fit, else from
    /// the one on to which the view was scrolled.
    pub(in crate::dash) fn of(model: &Model, room: usize) -> Self {
        let all = model.world.hosts.len();
        if room >= all {
            return Self { places: 0..all, all };
        }
        let from = model.caches.first_host.min(all - room);
        Self { places: from..from + room, all }
    }

    /// Returns the hosts at those places, as indices into the fleet: as in hosts.toml where all are shown,
    /// else the worst first. All hosts are compared for it, so it is asked for once a frame.
    pub(in crate::dash) fn hosts(&self, model: &Model) -> Vec<usize> {
        if self.hides_some() {
            worst_first(model).drain(self.places.clone()).collect()
        } else {
            self.places.clone().collect()
        }
    }

    /// Returns whether some hosts have a column, and others have none.
    pub(in crate::dash) fn hides_some(&self) -> bool {
        !self.places.is_empty() && self.places.len() < self.all
    }

    /// Returns which hosts are shown, and by which keys the others are; none where all are shown.
    pub(in crate::dash) fn note(&self) -> Option<String> {
        let (first, last) = (self.places.start + 1, self.places.end);
        let after = self.all - self.places.end;
        let ways =
            [(after, format!("> shows {after} more")), (first - 1, "< goes back".to_owned())];
        let ways = ways.into_iter().filter(|(count, _)| *count > 0).map(|(_, way)| way);
        let ways = ways.collect::<Vec<_>>().join(", ");
        let which = if first == last {
            format!("host {first}")
        } else {
            format!("hosts {first} to {last}")
        };
        let text = format!("{which} of {}, the worst first; {ways}", self.all);
        self.hides_some().then_some(text)
    }
}

/// Returns all hosts: first those for which most tiers are not what they should be, then those of whose
/// closure the tier that deploys publish to holds least, then those of which all tiers together hold least;
/// where that is not known, a host comes after those of which it is.
fn worst_first(model: &Model) -> Vec<usize> {
    let world = &model.world;
    let tier = coverage_tier(&world.fleet);
    let rank = |index: &usize| {
        let name = world.fleet.hosts.get(*index).map(|host| host.name.as_str()).unwrap_or_default();
        let on_host = world.tiers.iter().filter_map(|view| view.facts.hosts.get(name));
        let bad = on_host.filter(|on_host| is_bad_on_host(on_host)).count();
        let view = world.hosts.get(*index).filter(|view| is_current(&view.facts, &view.coverage));
        let share_of = |tier: &str| view?.coverage.tiers.get(tier)?.paths.ratio();
        // Shares are compared by the millionth: enough for a closure of any size.
        let millionths = |share: f64| (share.clamp(0.0, 1.0) * 1e6) as u32;
        let share = tier.and_then(|tier| share_of(&tier.name)).map_or(u32::MAX, millionths);
        let shares: Vec<u32> = world
            .fleet
            .tiers
            .iter()
            .filter_map(|tier| share_of(&tier.name))
            .map(millionths)
            .collect();
        let mean = shares.iter().sum::<u32>().checked_div(shares.len() as u32).unwrap_or(u32::MAX);
        (Reverse(bad), share, mean)
    };
    let mut all: Vec<usize> = (0..world.hosts.len()).collect();
    all.sort_by_cached_key(rank);
    all
}
