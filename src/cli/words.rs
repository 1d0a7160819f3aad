//! What several subcommands say alike.

/// What a list of runs says where there are none.
pub(in crate::cli) const NO_RUNS: &str = "no runs";

/// How a run stands whose process works on it.
pub(in crate::cli) const GOES_ON: &str = "goes on";

/// How a run stands that `nixdash reattach` can go on with.
pub(in crate::cli) const LEFT: &str = "left";

/// How a run stands whose process ended before it, and with which nobody can go on.
pub(in crate::cli) const NO_END: &str = "no end";

/// Says which host is the strongest of a fleet that is being described.
pub(in crate::cli) fn most_processors(host: &str, cpus: u32) -> String {
    format!("{host} has the most processors: {cpus}.")
}
