//! What a host remembers of the deploy that made its system, and which specialisation runs.

use crate::fleet::{StorePath, printable_line};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What is known on a host of deploys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployFacts {
    /// What the running system was built from.
    pub built_from: Option<DeployedFrom>,
    /// How that stands to what the flake says now; none where it is not known or cannot be counted.
    #[serde(default)]
    pub ancestry: Option<Ancestry>,
    /// The specialisation that runs; none where the system itself does.
    pub specialisation: Option<Specialisation>,
    /// Units of tools that deploy to the host by themselves, such as `comin.service`.
    pub by_themselves: Vec<String>,
}

/// What a system was built from, as its host remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployedFrom {
    /// The flake's revision; its work tree had other changes where it ends in `-dirty`.
    pub revision: String,
    /// The flake, without credentials; none where only NixOS names the revision
    /// (`system.configurationRevision`).
    pub flake: Option<String>,
    /// Who deployed it, login name and machine.
    pub by: Option<String>,
    /// When it was made permanent.
    pub at: Option<Timestamp>,
}

impl DeployedFrom {
    /// Reads `REVISION<TAB>FLAKE<TAB>WHO<TAB>SECONDS`, where all but the first may be missing.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('\t').map(|field| printable_line(field.trim()));
        let revision = fields.next().filter(|revision| is_revision(revision))?;
        let known = |field: String| (!field.is_empty() && field != "unknown").then_some(field);
        let flake = fields.next().and_then(known);
        let by = fields.next().and_then(known);
        let at = fields.next().and_then(|at| Timestamp::from_second(at.parse().ok()?).ok());
        Some(Self { revision, flake, by, at })
    }

    /// Returns what a record of a run says, unless its revision is none: what it says is passed on to git.
    pub fn checked(&self) -> Option<Self> {
        is_revision(&self.revision).then(|| self.clone())
    }

    /// Returns whether the work tree had changes that no revision has.
    pub fn is_dirty(&self) -> bool {
        self.commit() != self.revision
    }

    /// Returns the revision that git knows, without what says that the work tree had changes.
    pub fn commit(&self) -> &str {
        commit_of(&self.revision)
    }
}

/// Returns the commit of a revision: without `-dirty` behind it.
pub fn commit_of(revision: &str) -> &str {
    revision.strip_suffix("-dirty").unwrap_or(revision)
}

/// Returns whether two revisions are the same, dirty or not, where either may be cut short.
pub fn is_same_revision(one: &str, other: &str) -> bool {
    let is_dirty = |revision: &str| commit_of(revision) != revision;
    let (short, long) = (commit_of(one), commit_of(other));
    is_dirty(one) == is_dirty(other) && (long.starts_with(short) || short.starts_with(long))
}

/// Returns whether a text may be a revision of git, dirty or not: what a host says is passed on to git.
fn is_revision(text: &str) -> bool {
    let commit = commit_of(text);
    (7..=64).contains(&commit.len()) && commit.chars().all(|c| c.is_ascii_hexdigit())
}

/// What a run deploys, as far as it is known on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlakeSource {
    /// The flake's reference, without credentials.
    pub flake: String,
    /// The commit that is checked out.
    pub commit: String,
    /// Tracked files with changes that are not committed: what is deployed is no revision then.
    pub changed: Vec<String>,
    /// The input that tells the age of `flake.lock`, with the time of what it is locked to.
    pub locked: Option<(String, Timestamp)>,
}

impl FlakeSource {
    /// Returns the revision, with `-dirty` where the work tree has changes.
    pub fn revision(&self) -> String {
        let dirty = if self.changed.is_empty() { "" } else { "-dirty" };
        format!("{}{dirty}", self.commit)
    }
}

/// A specialisation of a system of NixOS that runs instead of the system itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Specialisation {
    /// The system that it belongs to: what the profile names.
    pub system: StorePath,
    /// Its name in the configuration.
    pub name: String,
}

impl Specialisation {
    /// Reads `SYSTEM<TAB>NAME`.
    pub fn parse(text: &str) -> Option<Self> {
        let (system, name) = text.split_once('\t')?;
        let (system, name) = (StorePath::parse(system.trim()).ok()?, name.trim());
        // It becomes part of a path on the host.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
        let is_name = !name.is_empty() && !name.starts_with('.') && name.chars().all(plain);
        is_name.then(|| Self { system, name: name.to_owned() })
    }
}

/// How what runs on a host stands to what the flake says now, counted with git here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ancestry {
    /// Commits of the flake that what runs lacks.
    pub behind: u64,
    /// Commits of what runs that the flake lacks.
    pub ahead: u64,
}

impl Ancestry {
    /// Returns whether the flake's revision contains the one that runs.
    pub fn is_contained(self) -> bool {
        self.ahead == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEM: &str = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-nixos-system-samsung";

    #[test]
    fn what_a_host_remembers_is_read() {
        let found =
            DeployedFrom::parse("0123abcd-dirty\tgit+ssh://h/f\tme@desk\t1700000000").unwrap();
        assert_eq!((found.revision.as_str(), found.commit()), ("0123abcd-dirty", "0123abcd"));
        assert_eq!(found.by.as_deref(), Some("me@desk"));
        assert_eq!(found.at.unwrap().as_second(), 1_700_000_000);
        let bare = DeployedFrom::parse("0123abcd").unwrap();
        assert_eq!((bare.flake, bare.by, bare.at), (None, None, None));
        let unknown = DeployedFrom::parse("0123abcd\tunknown\tunknown\tsoon").unwrap();
        assert_eq!((unknown.flake, unknown.by, unknown.at), (None, None, None));
    }

    #[test]
    fn what_is_no_revision_never_reaches_git() {
        for text in ["", "--all", "main", "HEAD", "12", "0123abcd; rm -rf /", "-dirty"] {
            assert_eq!(DeployedFrom::parse(text), None, "{text}");
            let recorded =
                DeployedFrom { revision: text.to_owned(), flake: None, by: None, at: None };
            assert_eq!(recorded.checked(), None, "{text}");
        }
    }

    #[test]
    fn a_specialisation_is_read_and_odd_names_are_refused() {
        let found = Specialisation::parse(&format!("{SYSTEM}\tgaming")).unwrap();
        assert_eq!((found.system.as_str(), found.name.as_str()), (SYSTEM, "gaming"));
        for name in ["", "..", ".", "a/b", "a b", "a\nb"] {
            assert_eq!(Specialisation::parse(&format!("{SYSTEM}\t{name}")), None, "{name:?}");
        }
    }
}
