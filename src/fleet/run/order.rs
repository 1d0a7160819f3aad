//! What a person may say to a run while it goes on, beside the answer to its plan.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How much of a run goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RollbackScope {
    /// The newest wave that got its system, or is getting it.
    Wave,
    /// Every host of the run.
    Run,
}

impl RollbackScope {
    /// Returns which hosts go back, of those that have their new system from the run or are getting it, each
    /// with its wave.
    pub fn taken_back<H>(self, fresh: impl IntoIterator<Item = (H, Option<usize>)>) -> Vec<H> {
        let fresh: Vec<(H, Option<usize>)> = fresh.into_iter().collect();
        let newest = fresh.iter().map(|(_, wave)| *wave).max();
        let is_meant = |wave| self == Self::Run || Some(wave) == newest;
        fresh.into_iter().filter(|(_, wave)| is_meant(*wave)).map(|(host, _)| host).collect()
    }
}

/// Says of so many hosts, behind their names, that a run takes them back.
pub fn back_to_before(hosts: usize) -> &'static str {
    if hosts == 1 {
        "goes back to what it ran before this run"
    } else {
        "go back to what they ran before this run"
    }
}

/// What a person may say to a run while it goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "lowercase")]
pub enum RunOrder {
    /// No host begins anything more.
    Pause,
    /// Hosts go on, a check that could not be made is made again, and hosts to which no way was left are
    /// tried again.
    Resume,
    /// A person looked themselves: a check that could not be made counts as passed.
    Accept,
    /// A host is left out.
    Skip {
        /// The host.
        host: String,
    },
    /// A host that did not get its system, or to which no way is left, is tried again.
    Retry {
        /// The host.
        host: String,
    },
    /// Hosts go back to what they ran before the run, and no other host begins.
    Rollback {
        /// Which.
        scope: RollbackScope,
    },
}

impl RunOrder {
    /// Returns whether hosts are changed by it, so that a person should confirm it.
    pub fn is_destructive(&self) -> bool {
        match self {
            Self::Rollback { .. } | Self::Skip { .. } | Self::Accept => true,
            Self::Pause | Self::Resume | Self::Retry { .. } => false,
        }
    }

    /// Reads what [`fmt::Display`] writes; nothing of anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let order = match (words.next()?, words.next()) {
            ("pause", None) => Self::Pause,
            ("resume", None) => Self::Resume,
            ("accept", None) => Self::Accept,
            ("skip", Some(host)) => Self::Skip { host: host.to_owned() },
            ("retry", Some(host)) => Self::Retry { host: host.to_owned() },
            ("rollback", Some("wave")) => Self::Rollback { scope: RollbackScope::Wave },
            ("rollback", None | Some("run")) => Self::Rollback { scope: RollbackScope::Run },
            _ => return None,
        };
        words.next().is_none().then_some(order)
    }
}

impl fmt::Display for RunOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pause => f.write_str("pause"),
            Self::Resume => f.write_str("resume"),
            Self::Accept => f.write_str("accept"),
            Self::Skip { host } => write!(f, "skip {host}"),
            Self::Retry { host } => write!(f, "retry {host}"),
            Self::Rollback { scope: RollbackScope::Wave } => f.write_str("rollback wave"),
            Self::Rollback { scope: RollbackScope::Run } => f.write_str("rollback run"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_wave_goes_back_or_the_whole_run() {
        let fresh = [("a", Some(0)), ("b", Some(1)), ("c", Some(1))];
        assert_eq!(RollbackScope::Wave.taken_back(fresh), ["b", "c"]);
        assert_eq!(RollbackScope::Run.taken_back(fresh), ["a", "b", "c"]);
        assert_eq!(RollbackScope::Wave.taken_back([("a", None), ("b", None)]), ["a", "b"]);
        assert!(RollbackScope::Wave.taken_back::<&str>([]).is_empty());
    }

    #[test]
    fn one_host_goes_back_and_several_go_back() {
        assert_eq!(back_to_before(1), "goes back to what it ran before this run");
        assert_eq!(back_to_before(2), "go back to what they ran before this run");
    }

    #[test]
    fn what_is_said_is_read_as_it_was_written() {
        let host = "p620".to_owned();
        for order in [
            RunOrder::Pause,
            RunOrder::Resume,
            RunOrder::Accept,
            RunOrder::Skip { host: host.clone() },
            RunOrder::Retry { host },
            RunOrder::Rollback { scope: RollbackScope::Wave },
            RunOrder::Rollback { scope: RollbackScope::Run },
        ] {
            assert_eq!(RunOrder::parse(&order.to_string()), Some(order));
        }
        for odd in ["", "skip", "pause now", "retry a b", "rollback all", "yes"] {
            assert_eq!(RunOrder::parse(odd), None, "{odd}");
        }
    }
}
