//! Which run is looked at, here, among the logs and in the history.

/// The run that is shown, and the host that is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeployPane {
    /// The run: an index into the runs.
    pub run: usize,
    /// The selected host of the run.
    pub host: usize,
}
