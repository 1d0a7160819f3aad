//! How the hosts are looked at.

use crate::dash::filter::Filter;
use std::collections::BTreeSet;

/// Which hosts are shown, and which of them are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetPane {
    /// The selected host: an index into the fleet.
    pub selected: usize,
    /// Hosts that are marked, by name.
    pub marked: BTreeSet<String>,
    /// Whether hosts with which something is wrong stand before the others.
    pub problems_first: bool,
    /// Which hosts are shown.
    pub filter: Filter,
}
