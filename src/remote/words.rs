//! The sentences that several files of this room say, or that a room below says alike.

use crate::fleet::duration;
use std::time::Duration;

/// Why there is no result: nothing came within the time that was given.
pub(in crate::remote) fn no_answer_within(limit: Duration) -> String {
    format!("no answer within {}", duration(limit))
}

/// Why a script has no result: what ran it here was stopped.
pub const TASK_STOPPED: &str = "its task was stopped";

/// Why a host cannot be asked: `hosts.toml` does not name it.
pub const NO_SUCH_HOST: &str = "no such host in the fleet";

/// Says in a log that the connection to its host broke, and that it is made again.
pub fn connection_lost(cause: &str) -> String {
    format!("connection lost, trying again: {cause}")
}
