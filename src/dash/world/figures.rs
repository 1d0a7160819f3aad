//! What the history tells of the last days, as the screen shows it.

use crate::fleet::{Share, percent};
use std::collections::BTreeMap;

/// Figures over some days; what nobody knows is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// The days that were counted over.
    pub days: u32,
    /// Hit rates by host: of the paths that were not valid on its builder when a run began, those
    /// that came from a cache.
    pub hits: BTreeMap<String, Share>,
    /// Figures by tier.
    pub tiers: BTreeMap<String, TierFigures>,
    /// The same over other times, the shortest first; those have none beside them.
    pub beside: Vec<Figures>,
}

impl Figures {
    /// Returns the hit rate over all hosts.
    pub fn hit(&self) -> Share {
        self.hits.values().fold(Share::default(), |sum, share| Share {
            have: sum.have.saturating_add(share.have),
            total: sum.total.saturating_add(share.total),
        })
    }

    /// Returns a figure over the other times, as text that follows this one: ` (1 d 20 %, 30 d –)`.
    /// Nothing where none of them is known.
    pub fn beside(&self, figure: impl Fn(&Self) -> Option<f64>) -> String {
        let known: Vec<(u32, Option<f64>)> =
            self.beside.iter().map(|other| (other.days, figure(other))).collect();
        if known.iter().all(|(_, share)| share.is_none()) {
            return String::new();
        }
        let words: Vec<String> = known
            .iter()
            .map(|(days, share)| {
                format!("{days} d {}", share.map_or_else(|| "–".to_owned(), percent))
            })
            .collect();
        format!(" ({})", words.join(", "))
    }
}

/// Figures of one tier; shares are 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TierFigures {
    /// Of all paths that were delivered to hosts and builders, those that it served.
    pub share_paths: Option<f64>,
    /// Of all bytes that were delivered to hosts and builders, those that it served.
    pub share_bytes: Option<f64>,
    /// Of the narinfo requests that its server counted, those answered with a narinfo.
    pub answered: Option<f64>,
    /// Bytes that it grew by in a day, on average.
    pub growth: Option<f64>,
}
