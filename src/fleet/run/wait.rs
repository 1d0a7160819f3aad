//! What a host waits for before its next phase.

use crate::fleet::HookMoment;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a plan waits for its answer; then it counts as not confirmed.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(15 * 60);

/// What a host waits for before its next phase. Its sentence is [`Wait::sentence`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "kebab-case")]
pub enum Wait {
    /// The plan: who takes part, in which waves and order, is known when all hosts were looked at.
    Plan {
        /// Those that are still looked at.
        hosts: Vec<String>,
    },
    /// Somebody has to confirm the plan.
    Confirmation {
        /// Until when it waits; none as long as the plan is not shown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// One of the places of `rollout.parallel`.
    Place {
        /// How many there are.
        places: usize,
        /// Those that have them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hosts: Vec<String>,
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
    /// A gate after an earlier wave.
    Gate {
        /// The wave, from 1.
        wave: usize,
        /// The gate.
        gate: String,
        /// What it said last, where it did not pass.
        said: Option<String>,
        /// When it is asked again; none while it is asked.
        next: Option<Timestamp>,
    },
    /// Somebody to decide: a check after an earlier wave could not be made.
    Decision {
        /// The wave, from 1.
        wave: usize,
        /// Why.
        why: String,
        /// Until when it waits; then the wave fails. Older runs waited for ever.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// Somebody to decide: no way is left by which its system could reach it.
    Way {
        /// Why.
        why: String,
        /// Until when it waits; then it ends.
        until: Timestamp,
    },
    /// Other hosts, since `order` says so.
    Order {
        /// Those that are not done.
        hosts: Vec<String>,
        /// Why, as `hosts.toml` says.
        reason: String,
    },
    /// Somebody to resume the run.
    Paused,
    /// The host to be there again.
    Offline {
        /// Since when it is away.
        since: Timestamp,
        /// How often it is tried, in seconds; none in older runs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        every_s: Option<u64>,
    },
    /// A place in a budget: hosts of one tag that may be in flight at once.
    Budget {
        /// The budget.
        budget: String,
        /// Who has its places: hosts, where known with whose run; none while that is being asked.
        hosts: Vec<String>,
    },
    /// Its hooks to end, before it begins to change.
    Hook {
        /// Which.
        moment: HookMoment,
        /// Until when they may take.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// Its activation, which cannot be interrupted; then it goes back.
    Activation {
        /// Until when it may take.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// Its way back to the previous system.
    WayBack,
    /// An answer of a host that answered before: the connection broke, and is made again.
    Answer {
        /// The host that does not answer: the one that builds, or the target.
        host: String,
        /// Since when it does not.
        since: Timestamp,
        /// Until when it is tried; none where it is tried once more.
        until: Option<Timestamp>,
    },
    /// An answer of a cache from which the system is to come: no other way works either.
    Cache {
        /// The tier that does not answer.
        tier: String,
        /// Since when it does not.
        since: Timestamp,
        /// Until when it is tried.
        until: Timestamp,
    },
    /// The host to be seen again: nobody reaches it, and it decides alone what it runs.
    Back {
        /// Until when it waits; then it is not known what the host runs.
        until: Timestamp,
    },
}

impl Wait {
    /// Returns whether it is for somebody who answered before and does not any more.
    pub fn is_for_silent(&self) -> bool {
        match self {
            Self::Answer { .. } | Self::Cache { .. } | Self::Back { .. } => true,
            Self::Plan { .. }
            | Self::Confirmation { .. }
            | Self::Place { .. }
            | Self::Served { .. }
            | Self::Wave { .. }
            | Self::Soak { .. }
            | Self::Gate { .. }
            | Self::Decision { .. }
            | Self::Order { .. }
            | Self::Budget { .. }
            | Self::Paused
            | Self::Way { .. }
            | Self::Offline { .. }
            | Self::Hook { .. }
            | Self::Activation { .. }
            | Self::WayBack => false,
        }
    }

    /// Returns whether it is for what other hosts have to do first.
    pub fn is_for_others(&self) -> bool {
        match self {
            Self::Plan { .. }
            | Self::Served { .. }
            | Self::Wave { .. }
            | Self::Soak { .. }
            | Self::Gate { .. }
            | Self::Decision { .. }
            | Self::Order { .. }
            | Self::Budget { .. } => true,
            Self::Confirmation { .. }
            | Self::Place { .. }
            | Self::Paused
            | Self::Way { .. }
            | Self::Offline { .. }
            | Self::Hook { .. }
            | Self::Activation { .. }
            | Self::WayBack
            | Self::Answer { .. }
            | Self::Cache { .. }
            | Self::Back { .. } => false,
        }
    }
}
