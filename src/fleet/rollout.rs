//! How a run moves over its hosts, and how many hosts of a tag may be in flight at once.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// How a run moves over its hosts: `[rollout]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// How many hosts may be in fetch or activate at once; at least 1.
    pub parallel: usize,
    /// Who is in which wave; what is left over makes the last one.
    pub waves: Vec<WaveRule>,
    /// How many hosts of the first wave go alone, before all others; 0 for none. It holds for runs
    /// of more than [`Self::CANARY_FROM`] hosts, or for every run where it was written.
    pub canary: usize,
    /// Whether `canary` was written.
    pub canary_is_written: bool,
    /// How long a wave has to stay well before the next one begins.
    pub soak: Duration,
    /// What is checked after a wave.
    pub gates: Vec<Gate>,
    /// How many hosts of a wave may fail.
    pub max_failed: Quota,
    /// What happens when more of them fail, or a gate does.
    pub on_failure: OnFailure,
    /// Which hosts go after which others.
    pub order: Vec<OrderRule>,
}

impl Rollout {
    /// A run of more hosts than this has a canary, where nothing else is written.
    pub const CANARY_FROM: usize = 3;

    /// Returns how many hosts go alone in a run of so many.
    pub fn canaries(&self, hosts: usize) -> usize {
        if self.canary_is_written || hosts > Self::CANARY_FROM { self.canary } else { 0 }
    }
}

impl Default for Rollout {
    fn default() -> Self {
        Self {
            parallel: 4,
            waves: Vec::new(),
            canary: 1,
            canary_is_written: false,
            soak: Duration::from_secs(30),
            gates: Vec::new(),
            max_failed: Quota::Count(0),
            on_failure: OnFailure::Halt,
            order: Vec::new(),
        }
    }
}

/// Who is in a wave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WaveRule {
    /// Every host with this tag.
    Tag(String),
    /// So many hosts, or so many of each hundred, of those that the run began with.
    Some(Quota),
    /// Every host that is left.
    Rest,
}

impl fmt::Display for WaveRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, "@{tag}"),
            Self::Some(quota) => quota.fmt(f),
            Self::Rest => f.write_str("rest"),
        }
    }
}

/// A part of a number of hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Quota {
    /// So many.
    Count(usize),
    /// So many of each hundred, 0 to 100.
    Percent(u8),
}

impl Quota {
    /// Returns how many of a number it is, rounded down.
    pub fn of(self, all: usize) -> usize {
        match self {
            Self::Count(count) => count.min(all),
            Self::Percent(percent) => all.saturating_mul(usize::from(percent)) / 100,
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// What happens when a wave does not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnFailure {
    /// No other host is touched.
    #[default]
    Halt,
    /// And the hosts that this run brought their system go back to what they ran before.
    Rollback,
}

/// A check after a wave: `[[rollout.gates]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// What it is called.
    pub name: String,
    /// What is asked.
    pub asks: GateQuestion,
    /// How long after the end of the wave it is asked first.
    pub delay: Duration,
    /// How long after an answer it is asked again.
    pub interval: Duration,
    /// How many good answers one after the other let the next wave begin; at least 1.
    pub successes_in_a_row: u32,
    /// How many bad answers are borne.
    pub failures: u32,
    /// How long an answer may take.
    pub limit: Duration,
}

impl Gate {
    /// The name of the check that nixdash makes itself at the end of `soak`.
    pub const SOAK: &'static str = "soak";

    /// The name under which nixdash asks a person whether to go on, where no host can be looked at.
    pub const PROOF: &'static str = "proof";

    /// The names that no gate of a `hosts.toml` may have, since a run tells gates apart by their names.
    pub const BUILT_IN: [&'static str; 2] = [Self::SOAK, Self::PROOF];
}

/// What a gate asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GateQuestion {
    /// Whether each host of the wave still runs its new system, and no more units failed.
    Well,
    /// A program with its arguments, run as root on each host of the wave.
    Command(Vec<String>),
    /// An address, asked from this machine.
    Url(String),
}

/// A host, or all hosts with a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostOrTag {
    /// A host.
    Host(String),
    /// Every host with the tag.
    Tag(String),
}

impl HostOrTag {
    /// Returns whether a host with these tags is meant.
    pub fn means(&self, host: &str, tags: &[String]) -> bool {
        match self {
            Self::Host(name) => name == host,
            Self::Tag(tag) => tags.contains(tag),
        }
    }
}

impl fmt::Display for HostOrTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => f.write_str(name),
            Self::Tag(tag) => write!(f, "@{tag}"),
        }
    }
}

/// Which hosts go after which others: `[[rollout.order]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRule {
    /// Who waits.
    pub who: HostOrTag,
    /// For whom.
    pub after: HostOrTag,
    /// Why.
    pub reason: String,
}

/// How many hosts of a tag may be in flight at once, over all runs and operators: `[budget.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// What it is called.
    pub name: String,
    /// The hosts that it is for.
    pub tag: String,
    /// How many of them may be in flight at once; at least 1.
    pub in_flight: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_one_of_the_whole_and_rounded_down() {
        assert_eq!(Quota::Percent(10).of(30), 3);
        assert_eq!(Quota::Percent(10).of(9), 0);
        assert_eq!(Quota::Percent(100).of(7), 7);
        assert_eq!(Quota::Count(4).of(3), 3);
    }

    #[test]
    fn more_than_three_hosts_have_a_canary_unless_something_else_is_written() {
        let usual = Rollout::default();
        assert_eq!((usual.canaries(3), usual.canaries(4)), (0, 1));
        let written = Rollout { canary: 2, canary_is_written: true, ..Rollout::default() };
        assert_eq!(written.canaries(3), 2);
        let off = Rollout { canary: 0, canary_is_written: true, ..Rollout::default() };
        assert_eq!(off.canaries(40), 0);
    }
}
