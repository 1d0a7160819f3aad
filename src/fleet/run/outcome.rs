//! How a host's run ended.

use crate::fleet::{Code, Fetched, Finding, Phase, Share, StorePath, TakenRoute};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// How a host's run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Runs the new system and will boot it.
    Switched,
    /// Will boot the new system.
    Booted,
    /// Runs the new system, boots the old one.
    Tested,
    /// Nothing was changed: dry-activate.
    Dry,
    /// The system was built, and nothing was changed: a build ends so.
    Built,
    /// There was nothing to do.
    Unchanged,
    /// Runs the new system, but something is wrong with it.
    Degraded,
    /// Will boot the new system; it cannot be activated without a reboot.
    NeedsReboot,
    /// Runs the old system again after a failed activation.
    RolledBack,
    /// Somebody else deployed to it meanwhile: what they made of it was left alone.
    Superseded,
    /// Has not been seen since it was activated or told to keep the new system: what it runs is not
    /// known.
    Unknown,
    /// Ended before anything was activated.
    Failed,
    /// Was not reachable; set aside.
    Offline,
    /// Was not tried, since something else went wrong, nobody confirmed, or hosts.toml says that nothing is changed there.
    Skipped,
    /// The operator stopped the run.
    Interrupted,
}

impl Outcome {
    /// Returns the word used in JSON and on the screen.
    pub fn word(self) -> &'static str {
        match self {
            Self::Switched => "switched",
            Self::Booted => "booted",
            Self::Tested => "tested",
            Self::Dry => "dry",
            Self::Built => "built",
            Self::Unchanged => "unchanged",
            Self::Degraded => "degraded",
            Self::NeedsReboot => "needs-reboot",
            Self::RolledBack => "rolled-back",
            Self::Superseded => "superseded",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
            Self::Offline => "offline",
            Self::Skipped => "skipped",
            Self::Interrupted => "interrupted",
        }
    }

    /// Returns whether the host has the system that was to come, in one way or another.
    pub fn is_new_system(self) -> bool {
        match self {
            Self::Switched | Self::Booted | Self::Tested | Self::Degraded | Self::NeedsReboot => {
                true
            }
            Self::Superseded
            | Self::Dry
            | Self::Built
            | Self::Unchanged
            | Self::RolledBack
            | Self::Unknown
            | Self::Failed
            | Self::Offline
            | Self::Skipped
            | Self::Interrupted => false,
        }
    }

    /// Returns whether something went wrong with the host or its new system. One that was away, left
    /// out or stopped tells nothing of that.
    pub fn is_trouble(self) -> bool {
        match self {
            Self::Degraded | Self::RolledBack | Self::Unknown | Self::Failed | Self::Superseded => {
                true
            }
            Self::Switched
            | Self::Booted
            | Self::Tested
            | Self::Dry
            | Self::Built
            | Self::Unchanged
            | Self::NeedsReboot
            | Self::Offline
            | Self::Skipped
            | Self::Interrupted => false,
        }
    }

    /// Returns whether the host boots the new system from now on, as it was to.
    pub fn is_permanent(self) -> bool {
        match self {
            Self::Switched | Self::Booted | Self::NeedsReboot => true,
            Self::Tested
            | Self::Dry
            | Self::Built
            | Self::Unchanged
            | Self::Degraded
            | Self::RolledBack
            | Self::Superseded
            | Self::Unknown
            | Self::Failed
            | Self::Offline
            | Self::Skipped
            | Self::Interrupted => false,
        }
    }

    /// Returns whether the person got what they asked for.
    pub fn is_good(self) -> bool {
        match self {
            Self::Switched
            | Self::Booted
            | Self::Tested
            | Self::Dry
            | Self::Built
            | Self::Unchanged
            | Self::NeedsReboot => true,
            Self::Degraded
            | Self::RolledBack
            | Self::Superseded
            | Self::Unknown
            | Self::Failed
            | Self::Offline
            | Self::Skipped
            | Self::Interrupted => false,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// How one host's run ended, in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostResult {
    /// How it ended.
    pub outcome: Outcome,
    /// Which of the host's attempts in its run ended so, from 1: one that is tried again or taken back ends once
    /// more, and its last attempt counts. None in the history and in the records of older runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The system that was asked for; none when evaluation failed.
    pub toplevel: Option<StorePath>,
    /// The system that ran before; none when the host could not be asked.
    pub previous: Option<StorePath>,
    /// How long the host took, in milliseconds.
    pub duration_ms: u64,
    /// Derivations that were built for it.
    pub built: u64,
    /// The host that builds for it; none where that is not known, as in the records of older runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_on: Option<String>,
    /// By which way it got its system; none where it did not, and in the records of older runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<TakenRoute>,
    /// What the host that builds fetched for it, by tier name (or URL): with `built`, what was not
    /// valid there when the run began.
    #[serde(default)]
    pub substituted: BTreeMap<String, Fetched>,
    /// What the target fetched, by tier name (or URL, where no tier has it).
    pub fetched: BTreeMap<String, Fetched>,
    /// How long each phase took that was reached, in milliseconds; empty in the records of older runs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub phases: BTreeMap<Phase, u64>,
    /// What went wrong and what to do, in one or two sentences.
    pub error: Option<String>,
    /// The same as findings; empty when all went well, and in the records of older runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

impl HostResult {
    /// Returns the result of a host that ended so, of which nothing else is known.
    pub fn ended(outcome: Outcome) -> Self {
        Self {
            outcome,
            attempt: None,
            toplevel: None,
            previous: None,
            duration_ms: 0,
            built: 0,
            build_on: None,
            taken: None,
            substituted: BTreeMap::new(),
            fetched: BTreeMap::new(),
            phases: BTreeMap::new(),
            error: None,
            findings: Vec::new(),
        }
    }

    /// Returns whether the host was left alone, since hosts.toml says that nothing is changed there.
    pub fn is_of_read_only(&self) -> bool {
        self.outcome == Outcome::Skipped
            && self.findings.iter().any(|finding| finding.code == Code::HostReadOnly)
    }

    /// Returns whether the host is as it was to be: nothing of it is to be tried again.
    pub fn is_as_asked(&self) -> bool {
        self.outcome.is_good() || self.is_of_read_only()
    }

    /// Returns the error as people read it: with the codes of its findings behind it, `… [disk-low]`.
    pub fn told(&self) -> Option<String> {
        let codes = self.findings.iter().map(|finding| format!(" [{}]", finding.code));
        self.error.as_ref().map(|error| format!("{error}{}", codes.collect::<String>()))
    }

    /// Returns what to do about it, where something went wrong and the error does not say it: neither in these
    /// words, nor by naming the same program. Where the operator stopped it or took it back, there is nothing to mend.
    pub fn to_do(&self) -> Option<&str> {
        let first = self.findings.first().filter(|finding| finding.code.is_fault());
        let fix = first.map(|finding| finding.fix.as_str());
        let fix = fix.filter(|fix| self.outcome.is_trouble() && !fix.is_empty())?;
        let error = self.error.as_deref().unwrap_or_default();
        let is_named = |program: &str| error.contains(&format!("`{program}"));
        let mut programs = fix.split('`').skip(1).step_by(2).filter_map(|it| it.split(' ').next());
        let is_said = error.to_lowercase().contains(&fix.to_lowercase());
        (!is_said && !programs.any(is_named)).then_some(fix)
    }

    /// Returns the hit rate: of what was not yet valid on the host that builds, how much was
    /// substituted. A build counts as one, whatever the number of its outputs.
    pub fn hits(&self) -> Share {
        let have = self.substituted.values().map(|got| got.paths).fold(0, u64::saturating_add);
        Share { have, total: have.saturating_add(self.built) }
    }
}
