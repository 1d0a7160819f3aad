//! Which run is looked at, here, among the logs and in the history.

use crate::dash::filter::Filter;

/// The run that is shown, and the host that is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeployPane {
    /// The run: an index into the runs.
    pub run: usize,
    /// The selected host of the run.
    pub host: usize,
    /// Which hosts of a run are shown.
    pub filter: Filter,
}
