//! Which run is looked at, here, among the logs and in the history.

use crate::dash::filter::Filter;
use crate::fleet::RunId;

/// The run that is shown, and the host that is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeployPane {
    /// The run: an index into the runs.
    pub run: usize,
    /// The selected host of the run.
    pub host: usize,
    /// Whether the run was opened among the runs, to which the way back leads.
    pub from_history: bool,
    /// The newest run that was begun here.
    pub own: Option<RunId>,
    /// Which hosts of a run are shown.
    pub filter: Filter,
}
