//! How much a tier holds of all hosts' running closures, in one figure.

use crate::dash::world::is_current;
use crate::fleet::{CoverageFacts, HostFacts, percent, upper_bound};

/// The mean over hosts of the share of paths that a tier holds of each host's running closure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanCoverage {
    /// The mean share, 0 to 1.
    pub share: f64,
    /// Whether it holds less perhaps: so it is for one of the hosts.
    pub at_most: bool,
}

impl MeanCoverage {
    /// Returns it as read: `97 %`, and `≤ 97 %` where it is an upper bound.
    pub fn words(self) -> String {
        format!("{}{}", upper_bound(self.at_most), percent(self.share))
    }
}

/// Returns the mean over the closures that a tier was asked for; none when it was asked for none.
pub(in crate::dash) fn mean_coverage<'a>(
    hosts: impl Iterator<Item = (&'a HostFacts, &'a CoverageFacts)>,
    tier: &str,
) -> Option<MeanCoverage> {
    let found: Vec<(f64, bool)> = hosts
        .filter(|(facts, coverage)| is_current(facts, coverage))
        .filter_map(|(_, coverage)| {
            let coverage = coverage.tiers.get(tier)?;
            Some((coverage.paths.ratio()?, coverage.at_most))
        })
        .collect();
    (!found.is_empty()).then(|| MeanCoverage {
        share: found.iter().map(|(share, _)| share).sum::<f64>() / found.len() as f64,
        at_most: found.iter().any(|(_, at_most)| *at_most),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Coverage, Share};
    use jiff::Timestamp;

    #[test]
    fn a_mean_of_which_one_part_is_an_upper_bound_is_one_too() {
        let facts = HostFacts::default();
        let of = |have, at_most| {
            let share = Share { have, total: 4 };
            let measured_at = Timestamp::UNIX_EPOCH;
            let found = Coverage { paths: share, bytes: share, measured_at, at_most };
            let tiers = [("weed".to_owned(), found)].into();
            CoverageFacts { tiers, ..CoverageFacts::default() }
        };
        let mean = |all: &[CoverageFacts]| {
            mean_coverage(all.iter().map(|found| (&facts, found)), "weed").map(MeanCoverage::words)
        };
        assert_eq!(mean(&[of(4, false), of(2, false)]).as_deref(), Some("75 %"));
        assert_eq!(mean(&[of(4, false), of(2, true)]).as_deref(), Some("≤ 75 %"));
        assert_eq!(mean(&[CoverageFacts::default()]), None);
    }
}
