//! What changes from one system to another, by package: what `nix store diff-closures`, nvd and dix
//! show, before a deploy as well as between two generations.

use serde::{Deserialize, Serialize};

/// What happens to a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// A newer version comes.
    Upgraded,
    /// An older version comes.
    Downgraded,
    /// Some of its versions come or go, and which is newer cannot be said.
    Changed,
    /// It was not there.
    Added,
    /// It will not be there any more.
    Removed,
    /// Its versions stay and its size differs.
    Resized,
}

impl ChangeKind {
    /// Every kind, in the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::Upgraded,
        Self::Downgraded,
        Self::Changed,
        Self::Added,
        Self::Removed,
        Self::Resized,
    ];

    /// Returns the word of JSON and of the screen.
    pub fn word(self) -> &'static str {
        match self {
            Self::Upgraded => "upgraded",
            Self::Downgraded => "downgraded",
            Self::Changed => "changed",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Resized => "resized",
        }
    }
}

/// What changes of one package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageChange {
    /// The package, such as `firefox`.
    pub name: String,
    /// What happens to it.
    pub kind: ChangeKind,
    /// The versions that go; empty where none goes, or where it has none.
    pub before: Vec<String>,
    /// The versions that come.
    pub after: Vec<String>,
    /// By how many bytes it grows (unpacked, as Nix counts), negative when it shrinks; none where
    /// that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
}

impl PackageChange {
    /// Returns the versions as people read them: `144.0 → 145.0`; nothing of a package without.
    pub fn versions(&self) -> String {
        match (self.before.is_empty(), self.after.is_empty()) {
            (true, true) => String::new(),
            (true, false) => self.after.join(", "),
            (false, true) => match self.kind {
                ChangeKind::Removed => self.before.join(", "),
                ChangeKind::Upgraded
                | ChangeKind::Downgraded
                | ChangeKind::Changed
                | ChangeKind::Added
                | ChangeKind::Resized => format!("{} → none", self.before.join(", ")),
            },
            (false, false) => format!("{} → {}", self.before.join(", "), self.after.join(", ")),
        }
    }
}

/// What changes from one system to another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemChanges {
    /// The packages that change, in the order of [`ChangeKind::ALL`] and then by name.
    pub packages: Vec<PackageChange>,
    /// Paths that come; none where that is not known.
    pub paths_added: Option<u64>,
    /// Paths that go.
    pub paths_removed: Option<u64>,
    /// The size of the old system's closure in bytes, unpacked.
    pub bytes_before: Option<u64>,
    /// The size of the new system's closure.
    pub bytes_after: Option<u64>,
    /// Whether the new system is not built yet: then only new versions of packages that the old one
    /// has are known, from derivations and from what is there already of what they need. What is added or
    /// removed, and sizes, are not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

impl SystemChanges {
    /// Returns the packages to which this happens.
    pub fn of_kind(&self, kind: ChangeKind) -> impl Iterator<Item = &PackageChange> {
        self.packages.iter().filter(move |change| change.kind == kind)
    }

    /// Returns by how many bytes the closure grows; none where that is not known.
    pub fn growth(&self) -> Option<i64> {
        Some(difference(self.bytes_before?, self.bytes_after?))
    }
}

/// Returns by how much a size grows, without an overflow.
pub fn difference(before: u64, after: u64) -> i64 {
    let size = i64::try_from(after.abs_diff(before)).unwrap_or(i64::MAX);
    if after >= before { size } else { -size }
}

/// A part of a system that only a restart replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RestartPart {
    /// The kernel.
    Kernel,
    /// The initial RAM disk.
    Initrd,
    /// The kernel's modules.
    Modules,
    /// systemd, which executes itself again at an activation: some of it is new only after a restart.
    Systemd,
    /// What the kernel is started with.
    Parameters,
}

impl RestartPart {
    /// Returns its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Initrd => "initrd",
            Self::Modules => "kernel modules",
            Self::Systemd => "systemd",
            Self::Parameters => "kernel parameters",
        }
    }
}

/// Why a new system is whole only after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartReason {
    /// What differs from the system that was booted.
    pub part: RestartPart,
    /// The version that was booted; none where it has none.
    pub before: Option<String>,
    /// The version to come.
    pub after: Option<String>,
}

impl RestartReason {
    /// Returns it in a few words: `kernel 6.12.57 → 6.12.58`.
    pub fn phrase(&self) -> String {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) if before != after => {
                format!("{} {before} → {after}", self.part.word())
            }
            (Some(_) | None, Some(_) | None) => self.part.word().to_owned(),
        }
    }
}
