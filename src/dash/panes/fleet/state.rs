//! How the hosts are looked at.

use crate::dash::filter::Filter;
use crate::dash::panes::fleet::sort::HostSort;
use crate::dash::sorting::Sorting;
use std::collections::BTreeSet;

/// Which hosts are shown, and which of them are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetPane {
    /// The selected host: an index into the fleet.
    pub selected: usize,
    /// Hosts that are marked, by name.
    pub marked: BTreeSet<String>,
    /// In which order hosts stand.
    pub sorting: Sorting<HostSort>,
    /// Which hosts are shown.
    pub filter: Filter,
}
