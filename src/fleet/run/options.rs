//! What a person asked of a run beside its hosts and its goal.

use crate::fleet::{Goal, StorePath, Strategy};
use serde::{Deserialize, Serialize};

/// What a person asked of a run beside its hosts and its goal. It stands in the run's record, so that a
/// run that tries it again is asked for the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunOptions {
    /// A strategy for all hosts instead of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Whether hosts may take part on which no system of NixOS runs yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub first: bool,
    /// Whether a host may run a revision that the one to be deployed does not contain, though nobody
    /// is asked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allow_older: bool,
    /// Whether a host that runs a specialisation gets the system itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub without_specialisation: bool,
    /// Whether no cache is asked: what the builder and this machine have comes over ssh.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skip_caches: bool,
    /// Whether hosts that are away are waited for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub wait_offline: bool,
    /// How long a host may take to restart, in seconds, where hosts are to be restarted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reboot_limit_s: Option<u64>,
}

impl RunOptions {
    /// Returns whether nothing was asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns these options with those that are given now. Caches are only left out where hosts build
    /// themselves, so another strategy asks them again.
    #[must_use]
    pub fn given_anew(self, anew: Self) -> Self {
        let keeps_skipping = anew.strategy.is_none_or(|strategy| strategy == Strategy::Direct);
        Self {
            strategy: anew.strategy.or(self.strategy),
            first: self.first || anew.first,
            allow_older: self.allow_older || anew.allow_older,
            without_specialisation: self.without_specialisation || anew.without_specialisation,
            skip_caches: (self.skip_caches && keeps_skipping) || anew.skip_caches,
            wait_offline: self.wait_offline || anew.wait_offline,
            reboot_limit_s: anew.reboot_limit_s.or(self.reboot_limit_s),
        }
    }
}

/// What was asked for one host of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedOfHost {
    /// What is done to it.
    pub goal: Goal,
    /// The system that it is given; none where its flake says which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<StorePath>,
    /// The generation of its system profile that it goes to; none where it gets a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_anew_replaces_what_was_asked_for_before() {
        let before = RunOptions {
            strategy: Some(Strategy::Direct),
            skip_caches: true,
            allow_older: true,
            ..RunOptions::default()
        };
        assert_eq!(before.given_anew(RunOptions::default()), before);
        let anew = RunOptions { strategy: Some(Strategy::Push), ..RunOptions::default() };
        let expected = RunOptions { allow_older: true, ..anew };
        assert_eq!(before.given_anew(anew), expected, "push asks the caches again");
    }

    #[test]
    fn only_what_was_asked_for_is_written_and_older_records_are_read() {
        let text = serde_json::to_string(&RunOptions::default()).unwrap();
        assert_eq!(text, "{}");
        let options = RunOptions { wait_offline: true, ..RunOptions::default() };
        let text = serde_json::to_string(&options).unwrap();
        assert_eq!(text, "{\"wait_offline\":true}");
        assert_eq!(serde_json::from_str::<RunOptions>(&text).unwrap(), options);
    }
}
