//! What runs, by the number that Nix gave it.

/// An activity that began and did not stop yet.
#[derive(Clone, Debug)]
pub(super) enum RunningActivity {
    /// A derivation is built: its number in the tree.
    Build { node: usize },
    /// A derivation waits, where it is known which.
    Waiting { node: Option<usize> },
    /// The hook after a build runs.
    Hook { node: usize },
    /// A path is copied: its number among the copies.
    Copy { index: usize },
    /// A path is substituted, from a cache.
    Substitute { from: String },
    /// Something is counted.
    Count(RunningCount),
    /// A cache is asked about a path.
    Query,
    /// A file is downloaded.
    File,
    /// An input of a flake is fetched, or a source brought into the store.
    Source,
    /// Something else.
    Other,
}

/// What an activity that counts others said last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RunningCount {
    /// Derivations, or paths.
    pub(super) is_of_builds: bool,
    /// Whether it counts what another one counts too: the builds of a machine to which this Nix
    /// gave one.
    pub(super) is_nested: bool,
    pub(super) done: u64,
    pub(super) expected: u64,
    pub(super) failed: u64,
}
