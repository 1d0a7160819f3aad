//! Which run is looked at, here, among the logs and in the history.

use crate::dash::filter::Filter;
use crate::dash::split::Split;
use crate::fleet::RunId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The run that is shown, and the host that is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeployPane {
    /// The run: an index into the runs.
    pub run: usize,
    /// The selected host of the run.
    pub host: usize,
    /// Whether a person chose that host; else the first is meant, whichever that is.
    pub is_host_chosen: bool,
    /// Whether its hosts stand in an order that is not theirs any more, since somebody moves among them.
    pub order_is_due: bool,
    /// Whether the run was opened among the runs, to which the way back leads.
    pub from_history: bool,
    /// The newest run that was begun here.
    pub own: Option<RunId>,
    /// Runs that went wrong since the dashboard was opened, and that were not looked at.
    pub unseen: BTreeSet<RunId>,
    /// Which hosts of a run are shown.
    pub filter: Filter,
    /// Where the border between the hosts of a run and the log is.
    pub split: Split,
    /// The run that was shown when the dashboard was left; it is meant until a key is pressed.
    pub left: Option<RunLeft>,
}

/// The run that was shown when the dashboard was left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunLeft {
    /// The run.
    pub run: RunId,
    /// The selected host of the run.
    pub host: Option<String>,
    /// Whether it was the run of that time: then one that began since is shown instead.
    pub is_of_now: bool,
    /// Whether it was opened among the runs.
    pub from_history: bool,
}
