//! How the runs are looked at; which of them is meant is known where a run is shown.

use crate::dash::filter::Filter;
use crate::dash::panes::history::sort::RunSort;
use crate::dash::sorting::Sorting;
use crate::dash::split::Split;

/// Which runs are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryPane {
    /// In which order runs stand.
    pub sorting: Sorting<RunSort>,
    /// Which runs are shown.
    pub filter: Filter,
    /// Where the border between the runs and the hosts of the selected one is.
    pub split: Split,
}
