//! How the hosts are looked at.

use crate::dash::filter::Filter;
use crate::dash::panes::fleet::groups::Grouping;
use crate::dash::panes::fleet::sort::HostSort;
use crate::dash::sorting::Sorting;
use crate::dash::split::Split;
use std::collections::BTreeSet;

/// Which hosts are shown, and which of them are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetPane {
    /// The selected row: an index into the fleet, or behind all hosts that of a group.
    pub selected: usize,
    /// Hosts that are marked, by name.
    pub marked: BTreeSet<String>,
    /// In which order hosts stand.
    pub sorting: Sorting<HostSort>,
    /// Whether hosts stand in groups.
    pub grouping: Grouping,
    /// Which hosts are shown.
    pub filter: Filter,
    /// Where the border between the hosts and the details is.
    pub split: Split,
}
