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
        /// Until when it waits; then the wave fails. None while the run is paused; older runs waited for ever.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// Somebody to decide: no way is left by which its system could reach it.
    Way {
        /// Why.
        why: String,
        /// Until when it waits; then it ends. None while the run is paused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
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
        /// Those that do not answer, and so count, where they alone take all of its places.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        silent: Vec<String>,
        /// Until when it waits where those do not answer; then the host fails. None where somebody else has a place,
        /// which becomes free.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// Its hooks to end, before it begins to change or after its attempt.
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
        /// Whether it answered, and goes back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        goes_back: bool,
    },
}

/// Of how many hosts a wait is told anew whenever one of them is done; of more, when half of them are.
const FEW: usize = 3;

impl Wait {
    /// Returns the hosts that are waited for, where those are several that end one after the other.
    fn hosts_mut(&mut self) -> Option<&mut Vec<String>> {
        match self {
            Self::Plan { hosts }
            | Self::Place { hosts, .. }
            | Self::Served { hosts }
            | Self::Wave { hosts, .. }
            | Self::Order { hosts, .. } => Some(hosts),
            Self::Confirmation { .. }
            | Self::Soak { .. }
            | Self::Gate { .. }
            | Self::Decision { .. }
            | Self::Budget { .. }
            | Self::Paused
            | Self::Way { .. }
            | Self::Offline { .. }
            | Self::Hook { .. }
            | Self::Activation { .. }
            | Self::WayBack
            | Self::Answer { .. }
            | Self::Cache { .. }
            | Self::Back { .. } => None,
        }
    }

    /// Returns the wait for a place in a budget that hosts have; none of them while that is being asked.
    pub fn place_in(budget: &str, hosts: Vec<String>) -> Self {
        Self::Budget { budget: budget.to_owned(), hosts, silent: Vec::new(), until: None }
    }

    /// Returns whether what was told of it still says enough, so that a run over many hosts does not tell each of
    /// them of each that is done: it is the same wait, hosts that were named are still waited for, and these are more
    /// than half of them, or any of those that have a place.
    pub fn is_told_by(&self, told: &Self) -> bool {
        if self == told {
            return true;
        }
        let (mut wait, mut before) = (self.clone(), told.clone());
        let hosts = (wait.hosts_mut().map(std::mem::take), before.hosts_mut().map(std::mem::take));
        let (Some(left), Some(named)) = hosts else { return false };
        let some_are_left = left.iter().any(|host| named.contains(host));
        let most_are_left = left.len() > FEW && left.len() * 2 > named.len();
        let has_places = matches!(self, Self::Place { .. });
        // Without the hosts.
        wait == before && some_are_left && (most_are_left || has_places)
    }

    /// Waits no longer for a host that is done; the last one stays named until something else is told.
    pub fn forget(&mut self, done: &str) {
        if let Some(hosts) = self.hosts_mut().filter(|hosts| hosts.len() > 1) {
            hosts.retain(|host| host != done);
        }
    }

    /// Returns whether it is for the host to be on its previous system again, as it was told to.
    pub fn is_way_back(&self) -> bool {
        matches!(self, Self::WayBack | Self::Back { goes_back: true, .. })
    }

    /// Returns whether it is for somebody who answered before and does not any more.
    pub fn is_for_silent(&self) -> bool {
        match self {
            Self::Answer { .. } | Self::Cache { .. } => true,
            Self::Back { goes_back, .. } => !goes_back,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(wave: usize, hosts: std::ops::Range<usize>) -> Wait {
        Wait::Wave { wave, hosts: hosts.map(|number| format!("h{number}")).collect() }
    }

    #[test]
    fn a_wait_for_many_hosts_is_told_anew_when_half_of_them_are_done_and_one_for_few_with_each() {
        assert!(wave(2, 0..30).is_told_by(&wave(2, 0..30)));
        assert!(wave(2, 14..30).is_told_by(&wave(2, 0..30)));
        assert!(!wave(2, 15..30).is_told_by(&wave(2, 0..30)));
        assert!(!wave(2, 1..4).is_told_by(&wave(2, 0..4)));
        assert!(!wave(3, 0..30).is_told_by(&wave(2, 0..30)), "it is another wave");
        assert!(!wave(2, 30..60).is_told_by(&wave(2, 0..30)), "they are other hosts");
        let served = Wait::Served { hosts: vec!["h1".to_owned()] };
        assert!(!served.is_told_by(&wave(2, 1..2)));
        assert!(!Wait::Paused.is_told_by(&served) && Wait::Paused.is_told_by(&Wait::Paused));
        let place = |hosts: [&str; 2]| {
            let hosts = hosts.map(str::to_owned).into();
            Wait::Place { places: 2, hosts }
        };
        assert!(place(["b", "c"]).is_told_by(&place(["a", "b"])));
        assert!(!place(["c", "d"]).is_told_by(&place(["a", "b"])), "nobody who was named has one");
    }

    #[test]
    fn a_host_that_is_done_is_waited_for_no_longer() {
        let mut wait = wave(2, 0..3);
        for done in ["h0", "h2", "h1", "other"] {
            wait.forget(done);
        }
        assert_eq!(wait, wave(2, 1..2), "the last one stays until something else is told");
    }
}
