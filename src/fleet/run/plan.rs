//! What a run will do, before it does it.

use crate::fleet::{Finding, FlakeSource, Goal, Route, StorePath, Strategy};
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
    /// The flake's revision, with `-dirty` when its work tree has changes; none when not in git.
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
}

impl Plan {
    /// Returns what the person should know of what is deployed, each with its code behind it.
    pub fn told(&self) -> Vec<String> {
        told(&self.findings)
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
