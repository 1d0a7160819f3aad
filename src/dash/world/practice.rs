//! What a person has tried of the practice fleet, as far as it was seen on this screen.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Something to try of the practice fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PracticeStep {
    /// Deploy a host.
    Deploy,
    /// Watch a run.
    Watch,
    /// Read the log of a run.
    ReadLog,
    /// Look at the caches.
    Caches,
    /// Deploy a system that breaks.
    Break,
    /// See how its host was rolled back.
    SeeRollback,
    /// Look at the runs.
    History,
}

impl PracticeStep {
    /// Every step, in the order in which they are proposed.
    const ALL: [Self; 7] = [
        Self::Deploy,
        Self::Watch,
        Self::ReadLog,
        Self::Caches,
        Self::Break,
        Self::SeeRollback,
        Self::History,
    ];
}

/// What was tried; kept with the practice fleet, and gone with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Practice {
    /// What was tried.
    pub(in crate::dash) tried: BTreeSet<PracticeStep>,
    /// The flake's revision when a run ended last, or when it was seen first.
    pub(in crate::dash) revision: Option<String>,
    /// Whether the person wants to hear no more of it.
    pub(in crate::dash) is_hidden: bool,
}

impl Practice {
    /// Returns what to try next; nothing when all was tried, or nobody wants to hear of it.
    pub(in crate::dash) fn next(&self) -> Option<PracticeStep> {
        let left = PracticeStep::ALL.into_iter().find(|step| !self.tried.contains(step));
        left.filter(|_| !self.is_hidden)
    }
}
