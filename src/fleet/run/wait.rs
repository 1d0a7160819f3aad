//! What a host waits for before its next phase.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a host waits for before its next phase. Its sentence is [`Wait::sentence`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "kebab-case")]
pub enum Wait {
    /// Somebody has to confirm the plan.
    Confirmation,
    /// One of the places of `rollout.parallel`.
    Place {
        /// How many there are.
        places: usize,
    },
    /// Others have to be done first, since it builds or serves a cache for them.
    Served {
        /// Those that are not done.
        hosts: Vec<String>,
    },
    /// An earlier wave.
    Wave {
        /// The wave of this host, from 1.
        wave: usize,
        /// Hosts of earlier waves that are not done.
        hosts: Vec<String>,
    },
    /// An earlier wave has to stay well for a while.
    Soak {
        /// The wave that is watched, from 1.
        wave: usize,
        /// Until when.
        until: Timestamp,
    },
    /// A place in a budget: hosts of one tag that may be in flight at once.
    Budget {
        /// The budget.
        budget: String,
        /// The hosts that have its places.
        hosts: Vec<String>,
    },
    /// Somebody else deploys to it.
    Lock {
        /// Who, as its lock tells.
        owner: String,
    },
    /// Its activation, which cannot be interrupted; then it goes back.
    Activation,
    /// Its way back to the previous system.
    WayBack,
}
