//! How the runs are looked at; which of them is meant is known where a run is shown.

use crate::dash::filter::Filter;

/// Which runs are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryPane {
    /// Which runs are shown.
    pub filter: Filter,
}
