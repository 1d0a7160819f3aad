//! What a build came to, derivation by derivation.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// How long packages usually take to be built on a host, in milliseconds, by the name of the package
/// (`firefox`).
pub type UsualBuilds = HashMap<String, u64>;

/// What the build for a host came to, whether it ended well or not.
///
/// What came from which tier is told by the host's result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostBuilds {
    /// The host that builds.
    pub build_on: String,
    /// Derivations that were built.
    pub built: u64,
    /// Derivations that failed by themselves.
    pub failed: u64,
    /// Derivations that were not built because of another.
    pub dependency_failed: u64,
    /// Derivations that began and were stopped.
    pub interrupted: u64,
    /// Derivations that were needed and there already; none where their files were not read.
    pub already_there: Option<u64>,
    /// Those that were built or failed and whose times are known, the longest first; of many the
    /// first thousand.
    pub times: Vec<DerivationTime>,
}

/// How long a derivation took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DerivationTime {
    /// Its name with its version, such as `firefox-145.0`.
    pub name: String,
    /// Its package, such as `firefox`.
    pub package: String,
    /// Whether it was built to its end.
    pub is_built: bool,
    /// How long it took, in milliseconds.
    pub ms: u64,
}
