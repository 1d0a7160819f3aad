//! What came from one tier.

use crate::fleet::TimedBytes;
use serde::{Deserialize, Serialize};

/// Paths and bytes that came from one tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// Paths.
    pub paths: u64,
    /// Bytes (NAR size).
    pub bytes: u64,
    /// What of it was timed; none where Nix did not tell, or it was too little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timed: Option<TimedBytes>,
}

impl Fetched {
    /// Adds what else came from the same place.
    pub fn add(&mut self, other: Self) {
        self.paths = self.paths.saturating_add(other.paths);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.timed = match (self.timed, other.timed) {
            (Some(one), Some(other)) => Some(one.and(other)),
            (one, other) => one.or(other),
        };
    }
}
