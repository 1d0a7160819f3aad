//! What a run will do, before it does it.

use crate::fleet::{
    Ancestry, DeployedFrom, Finding, FlakeSource, Goal, RestartReason, Route, Share, StorePath,
    Strategy, SystemChanges, is_same_revision,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a deploy will do to one host, before it does it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPlan {
    /// The host.
    pub host: String,
    /// Who builds, and by which way it travels.
    pub route: Route,
    /// Why this way was chosen; none where somebody said which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The system to come.
    pub toplevel: StorePath,
    /// What is done to it, where that is not what the plan is for: hosts.toml says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
    /// What it is built from; none where that is not known, and in the records of older runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built_from: Option<DeployedFrom>,
    /// Its derivation; none in the records of older runs.
    #[serde(default)]
    pub drv: Option<StorePath>,
    /// The system that runs now.
    pub running: Option<StorePath>,
    /// What the system that runs now was built from; none where the host does not say it, and in the records of
    /// older runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<ReplacedRevision>,
    /// The system that its profile is now; none where it has none, and in the records of older runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<StorePath>,
    /// Derivations to build there; none when Nix did not say.
    pub to_build: Option<u64>,
    /// Paths the building host must download first.
    pub to_download: Option<u64>,
    /// Its wave, from 1; none where there is nothing to do, and in the records of older runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<usize>,
    /// Whether there is nothing to do.
    pub unchanged: bool,
    /// What will change on it; none where that is not known, and in the records of older runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Box<PlannedChanges>>,
    /// The generation that it goes to, where it goes to one that is there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Whether it is restarted when its new system is permanent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reboots: bool,
    /// What the person should know before saying yes (on battery, little room …).
    pub notes: Vec<String>,
    /// The same as findings; empty in the records of older runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// What a system was built from that a run replaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplacedRevision {
    /// The revision, with `-dirty` where its work tree had other changes.
    pub revision: String,
    /// How that stood to the revision of the new system when the plan was made; none where git did not know it.
    pub ancestry: Option<Ancestry>,
}

/// What will change on a host, before it does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedChanges {
    /// Packages, paths and sizes; none where nobody has both systems.
    pub system: Option<SystemChanges>,
    /// What of it only a restart brings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restart: Vec<RestartReason>,
    /// Bytes that the host that builds must download first; none where Nix did not say.
    pub download_bytes: Option<u64>,
    /// Of the paths that must be fetched, how many each tier holds; empty where nobody asked the tiers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<String, Share>,
    /// Names of what must be built, the first few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to_build: Vec<String>,
    /// Paths that another host has and that the host does not take from there, where no cache is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedPaths>,
}

/// Paths that a host does not take from another one's store, since no key that it trusts signed them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedPaths {
    /// How many.
    pub count: u64,
    /// The host that has them.
    pub on: String,
}

impl HostPlan {
    /// Returns the host that builds.
    pub fn build_on(&self) -> &str {
        self.route.builder(&self.host)
    }

    /// Returns what the person should know as people read it: each with its code behind it.
    pub fn told(&self) -> Vec<String> {
        if self.findings.is_empty() {
            return self.notes.clone();
        }
        told(&self.findings)
    }
}

/// What a run will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What is asked for.
    pub goal: Goal,
    /// By which way.
    pub strategy: Strategy,
    /// The revision that is deployed, with `-dirty` when its work tree has changes: that of the fleet's flake or,
    /// where no host gets what that says now, the one that all hosts get. None when it is not known.
    pub revision: Option<String>,
    /// What is deployed; none where it is not known on this machine, and in the records of older runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<FlakeSource>,
    /// What the person should know of what is deployed, whatever the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// The hosts that take part.
    pub hosts: Vec<HostPlan>,
    /// Hosts that were set aside, each with the reason.
    pub set_aside: BTreeMap<String, String>,
    /// Those of them that are away and waited for, in the order of the run; empty in the records of older runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waited_for: Vec<String>,
}

impl Plan {
    /// Returns what the person should know of what is deployed, each with its code behind it.
    pub fn told(&self) -> Vec<String> {
        told(&self.findings)
    }

    /// Returns the revision that a host's system is built from, where that is not the plan's.
    pub fn other_revision<'a>(&self, host: &'a HostPlan) -> Option<&'a str> {
        let revision = &host.built_from.as_ref()?.revision;
        let of_plan = self.revision.as_deref();
        let is_same = of_plan.is_some_and(|of_plan| is_same_revision(of_plan, revision));
        (!is_same).then_some(revision)
    }

    /// Returns the hosts on which something will be done.
    pub fn changing(&self) -> impl Iterator<Item = &HostPlan> {
        self.hosts.iter().filter(|host| !host.unchanged)
    }
}

/// Returns what findings say, each with its code behind it.
fn told(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|found| format!("{} [{}]", found.cause, found.code)).collect()
}
