//! A run: what is deployed, through which phases it goes and how it ends.

use crate::fleet::{Bytes, Finding, Share, StorePath, TimedBytes};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What switch-to-configuration is asked to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Activate now and boot it from now on.
    #[default]
    Switch,
    /// Boot it from now on, activate nothing now.
    Boot,
    /// Activate now, boot the old one.
    Test,
    /// Say what an activation would do.
    DryActivate,
}

impl Action {
    /// Returns the word that switch-to-configuration and the command line use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Switch => "switch",
            Self::Boot => "boot",
            Self::Test => "test",
            Self::DryActivate => "dry-activate",
        }
    }

    /// Returns whether the running system changes.
    pub fn activates(self) -> bool {
        matches!(self, Self::Switch | Self::Test)
    }

    /// Returns whether the profile and the boot default change.
    pub fn persists(self) -> bool {
        matches!(self, Self::Switch | Self::Boot)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Where a system is built and how its bytes reach the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Build on the builder, publish in its cache, let the target pull.
    #[default]
    ViaCache,
    /// Build on the target.
    Direct,
}

impl Strategy {
    /// Returns the word of `hosts.toml` and the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::ViaCache => "via-cache",
            Self::Direct => "direct",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One step of a deploy, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Reachable, allowed, unlocked, with room.
    Preflight,
    /// Derivation and output path are known.
    Evaluate,
    /// Is there anything to do, and what.
    Compare,
    /// The system is realised on the builder (or the target).
    Build,
    /// It is in the tier.
    Publish,
    /// The target can see it there, signed by a key it trusts.
    Verify,
    /// The target has it.
    Fetch,
    /// What differs from the running system.
    Diff,
    /// switch-to-configuration ran.
    Activate,
    /// A new connection reached the host afterwards.
    Acknowledge,
    /// Units and configured checks hold.
    Check,
    /// It stayed reachable and well for a while.
    Settle,
    /// Profile and boot default are set.
    Persist,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Self; 13] = [
        Self::Preflight,
        Self::Evaluate,
        Self::Compare,
        Self::Build,
        Self::Publish,
        Self::Verify,
        Self::Fetch,
        Self::Diff,
        Self::Activate,
        Self::Acknowledge,
        Self::Check,
        Self::Settle,
        Self::Persist,
    ];

    /// Returns the phase's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Evaluate => "evaluate",
            Self::Compare => "compare",
            Self::Build => "build",
            Self::Publish => "publish",
            Self::Verify => "verify",
            Self::Fetch => "fetch",
            Self::Diff => "diff",
            Self::Activate => "activate",
            Self::Acknowledge => "acknowledge",
            Self::Check => "check",
            Self::Settle => "settle",
            Self::Persist => "persist",
        }
    }

    /// Returns a short word for narrow panes.
    pub fn short(self) -> &'static str {
        match self {
            Self::Preflight => "pre",
            Self::Evaluate => "eval",
            Self::Compare => "cmp",
            Self::Build => "build",
            Self::Publish => "pub",
            Self::Verify => "verify",
            Self::Fetch => "fetch",
            Self::Diff => "diff",
            Self::Activate => "act",
            Self::Acknowledge => "ack",
            Self::Check => "check",
            Self::Settle => "settle",
            Self::Persist => "persist",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// How a phase stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PhaseState {
    /// It runs.
    Started,
    /// It ended well.
    Finished,
    /// It ended the host's run.
    Failed,
    /// It does not apply to this strategy or action.
    Skipped,
}

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
    /// Has not been seen since it was activated or told to keep the new system: what it runs is not
    /// known.
    Unknown,
    /// Ended before anything was activated.
    Failed,
    /// Was not reachable; set aside.
    Offline,
    /// Was not tried, since something else went wrong or nobody confirmed.
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
            Self::Unknown => "unknown",
            Self::Failed => "failed",
            Self::Offline => "offline",
            Self::Skipped => "skipped",
            Self::Interrupted => "interrupted",
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

/// Paths and bytes that came from one tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// Paths.
    pub paths: u64,
    /// Bytes (NAR size).
    pub bytes: u64,
    /// What of it was timed; none where Nix did not tell, or it was too little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timed: Option<TimedBytes>,
}

impl Fetched {
    /// Adds what else came from the same place.
    pub fn add(&mut self, other: Self) {
        self.paths = self.paths.saturating_add(other.paths);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.timed = match (self.timed, other.timed) {
            (Some(one), Some(other)) => Some(one.and(other)),
            (one, other) => one.or(other),
        };
    }
}

/// How far a phase is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Bytes copied of bytes expected, where the phase copies.
    pub bytes: Option<Bytes>,
    /// Paths or derivations done.
    pub done: u64,
    /// Paths or derivations expected; 0 when not known yet.
    pub expected: u64,
    /// Derivations built of those to build, where the phase builds.
    #[serde(default)]
    pub builds: Option<Share>,
    /// What is being worked on: a package with its build phase, or a path and its tier.
    pub doing: Option<String>,
}

/// What a deploy will do to one host, before it does it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPlan {
    /// The host.
    pub host: String,
    /// The host that builds.
    pub build_on: String,
    /// The tier the target pulls from; none for `direct`.
    pub tier: Option<String>,
    /// The system to come.
    pub toplevel: StorePath,
    /// Its derivation; none in the records of older runs.
    #[serde(default)]
    pub drv: Option<StorePath>,
    /// The system that runs now.
    pub running: Option<StorePath>,
    /// Derivations to build there; none when Nix did not say.
    pub to_build: Option<u64>,
    /// Paths the building host must download first.
    pub to_download: Option<u64>,
    /// Whether there is nothing to do.
    pub unchanged: bool,
    /// What the person should know before saying yes (on battery, little room …).
    pub notes: Vec<String>,
    /// The same as findings; empty in the records of older runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

impl HostPlan {
    /// Returns what the person should know as people read it: each with its code behind it.
    pub fn told(&self) -> Vec<String> {
        if self.findings.is_empty() {
            return self.notes.clone();
        }
        let lines = self.findings.iter().map(|found| format!("{} [{}]", found.cause, found.code));
        lines.collect()
    }
}

/// What a run will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What is asked for.
    pub action: Action,
    /// By which way.
    pub strategy: Strategy,
    /// The flake's revision, with `-dirty` when its work tree has changes; none when not in git.
    pub revision: Option<String>,
    /// The hosts that take part.
    pub hosts: Vec<HostPlan>,
    /// Hosts that were set aside, each with the reason.
    pub set_aside: BTreeMap<String, String>,
}

impl Plan {
    /// Returns the hosts on which something will be done.
    pub fn changing(&self) -> impl Iterator<Item = &HostPlan> {
        self.hosts.iter().filter(|host| !host.unchanged)
    }
}

/// How one host's run ended, in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostResult {
    /// How it ended.
    pub outcome: Outcome,
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
    /// What the host that builds fetched for it, by tier name (or URL): with `built`, what was not
    /// valid there when the run began.
    #[serde(default)]
    pub substituted: BTreeMap<String, Fetched>,
    /// What the target fetched, by tier name (or URL, where no tier has it).
    pub fetched: BTreeMap<String, Fetched>,
    /// What went wrong and what to do, in one or two sentences.
    pub error: Option<String>,
    /// The same as findings; empty when all went well, and in the records of older runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

impl HostResult {
    /// Returns the error as people read it: with the codes of its findings behind it, `… [disk-low]`.
    pub fn told(&self) -> Option<String> {
        let codes = self.findings.iter().map(|finding| format!(" [{}]", finding.code));
        self.error.as_ref().map(|error| format!("{error}{}", codes.collect::<String>()))
    }

    /// Returns the hit rate: of what was not yet valid on the host that builds, how much was
    /// substituted. A build counts as one, whatever the number of its outputs.
    pub fn hits(&self) -> Share {
        let have = self.substituted.values().map(|got| got.paths).fold(0, u64::saturating_add);
        Share { have, total: have.saturating_add(self.built) }
    }
}
