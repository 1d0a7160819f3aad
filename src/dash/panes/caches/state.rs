//! How the tiers are looked at.

use crate::dash::filter::Filter;

/// Which tiers are shown, and which is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CachesPane {
    /// The selected tier: an index into the fleet.
    pub selected: usize,
    /// Which tiers are shown.
    pub filter: Filter,
}
