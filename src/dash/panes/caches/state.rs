//! How the tiers are looked at.

use crate::dash::filter::Filter;

/// Which tiers are shown, and which is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CachesPane {
    /// The selected tier: an index into the fleet.
    pub selected: usize,
    /// The first host that has a column, where not all have: its place among them.
    pub first_host: usize,
    /// Which tiers are shown.
    pub filter: Filter,
}
