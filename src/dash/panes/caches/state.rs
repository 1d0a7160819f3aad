//! How the tiers are looked at.

use crate::dash::filter::Filter;
use crate::dash::panes::caches::sort::TierSort;
use crate::dash::sorting::Sorting;
use crate::dash::split::Split;

/// Which tiers are shown, and which is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CachesPane {
    /// The selected tier: an index into the fleet.
    pub selected: usize,
    /// The first host that has a column, where not all have: its place among them.
    pub first_host: usize,
    /// In which order tiers stand.
    pub sorting: Sorting<TierSort>,
    /// Which tiers are shown.
    pub filter: Filter,
    /// Where the border between the tiers and the details is.
    pub split: Split,
}
