//! What is run on a host for a phase.

use serde::{Deserialize, Serialize};

/// A script that is run on a host. Its text is a file of nixdash (`nixdash scripts NAME` prints it);
/// it reaches the host on standard input, and these are its arguments.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RemoteCommand {
    /// The host on which it runs.
    pub on: String,
    /// Whether it runs as root.
    pub root: bool,
    /// The name of the script: `fetch.sh`.
    pub script: String,
    /// Its arguments, printable.
    pub args: Vec<String>,
}
