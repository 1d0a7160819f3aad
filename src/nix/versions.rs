//! Names and versions of packages, as Nix reads them off the names of store paths, and what differs
//! between two closures.
//!
//! The rules are Nix's own, so that the answer is that of `nix store diff-closures`
//! (`src/nix/diff-closures.cc`, `src/libstore/names.cc`). There are three differences, all to say
//! more: the name of an output is cut off only behind a version (Nix takes `etc-fstab` for the output
//! `fstab` of `etc`), a package without a version that comes or goes is listed, and each change says
//! whether it is an upgrade, as nvd does.

use crate::fleet::{ChangeKind, PackageChange, SystemChanges, difference};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// A package whose versions stay is listed when its size differs by at least so many bytes, as
/// `nix store diff-closures` does.
const SIZE_SHOWN: u64 = 8 * 1024;

/// How the names of files end that packages are only made of.
const SOURCE_ENDINGS: [&str; 11] =
    ["tar", "tgz", "tbz", "tbz2", "txz", "zip", "crate", "gem", "patch", "diff", "whl"];

/// Which of two closures a path belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosureSide {
    /// The old one only.
    Before,
    /// The new one only.
    After,
    /// Both.
    Both,
}

/// A path of one of two closures, or of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComparedPath {
    /// Which of them it belongs to.
    pub side: ClosureSide,
    /// Its name, without the hash: `firefox-145.0`.
    pub name: String,
    /// Its NAR size in bytes; it does not matter of a path of both.
    pub bytes: u64,
}

/// Splits the name of a store path into package and version: `linux-6.12.58-modules` is `linux` and
/// `6.12.58`. The version is empty where there is none.
pub fn name_and_version(name: &str) -> (&str, &str) {
    let name = name.strip_suffix(".drv").unwrap_or(name);
    let (package, version) = split(name);
    match without_output(name).map(split) {
        Some((package, version)) if !version.is_empty() => (package, version),
        Some(_) | None => (package, version),
    }
}

/// Splits at the first dash that no letter follows, as Nix's `DrvName` does.
fn split(name: &str) -> (&str, &str) {
    let bytes = name.as_bytes();
    let is_end = |at: &usize| {
        bytes[*at] == b'-' && bytes.get(at + 1).is_some_and(|next| !next.is_ascii_alphabetic())
    };
    match (0..bytes.len()).find(is_end) {
        Some(at) => (&name[..at], &name[at + 1..]),
        None => (name, ""),
    }
}

/// Returns a name without what may be the name of an output; nothing where there is none.
fn without_output(name: &str) -> Option<&str> {
    let (rest, output) = name.rsplit_once('-')?;
    let is_word = !output.is_empty() && output.bytes().all(|byte| byte.is_ascii_lowercase());
    (is_word || output == "lib32" || output == "lib64").then_some(rest)
}

/// Compares two versions as Nix's `builtins.compareVersions` does: `2.3pre1` is before `2.3`, and
/// `2.3` before `2.3a`, before `2.3.1`.
pub fn compare_versions(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one, other);
    loop {
        let (first, rest_of_one) = component(one);
        let (second, rest_of_other) = component(other);
        if first.is_empty() && second.is_empty() {
            return Ordering::Equal;
        }
        match compare_components(first, second) {
            Ordering::Equal => (one, other) = (rest_of_one, rest_of_other),
            unequal => return unequal,
        }
    }
}

/// Returns the first component of a version, and the rest: digits, or what is between them and the
/// separators `.` and `-`.
fn component(version: &str) -> (&str, &str) {
    let version = version.trim_start_matches(['.', '-']);
    let is_number = version.starts_with(|first: char| first.is_ascii_digit());
    let is_other = |c: char| c.is_ascii_digit() != is_number || matches!(c, '.' | '-');
    version.split_at(version.find(is_other).unwrap_or(version.len()))
}

/// Compares two components; an empty one is that of a version that has ended.
fn compare_components(one: &str, other: &str) -> Ordering {
    match (number(one), number(other)) {
        (Some(one), Some(other)) => one.len().cmp(&other.len()).then(one.cmp(other)),
        (one_number, other_number) => {
            if is_before(one, other, other_number.is_some(), one_number.is_some()) {
                Ordering::Less
            } else if is_before(other, one, one_number.is_some(), other_number.is_some()) {
                Ordering::Greater
            } else {
                Ordering::Equal
            }
        }
    }
}

/// Returns whether one component is before another, as Nix's `componentsLT` says of two that are not
/// both numbers.
fn is_before(one: &str, other: &str, other_is_number: bool, one_is_number: bool) -> bool {
    let has_ended = one.is_empty() && other_is_number;
    if has_ended || (one == "pre" && other != "pre") {
        return true;
    }
    other != "pre" && (other_is_number || (!one_is_number && one < other))
}

/// Returns the digits of a number without leading zeros; nothing for what is none.
fn number(component: &str) -> Option<&str> {
    let is_number = !component.is_empty() && component.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| component.trim_start_matches('0'))
}

/// What is known of a package in two closures.
#[derive(Default)]
struct Package {
    before: BTreeSet<String>,
    after: BTreeSet<String>,
    was_there: bool,
    will_be_there: bool,
    bytes_before: u64,
    bytes_after: u64,
}

/// Returns what differs between two closures, each of whose paths is given once. `bytes` are the sizes
/// of both closures, where they are known.
pub fn compare_closures(
    paths: impl IntoIterator<Item = ComparedPath>,
    bytes: Option<(u64, u64)>,
) -> SystemChanges {
    let mut packages: BTreeMap<String, Package> = BTreeMap::new();
    let (mut added, mut removed) = (0, 0);
    for path in paths {
        let (name, version) = name_and_version(&path.name);
        let package = packages.entry(name.to_owned()).or_default();
        if matches!(path.side, ClosureSide::Before | ClosureSide::Both) {
            package.was_there = true;
            package.before.insert(version.to_owned());
        }
        if matches!(path.side, ClosureSide::After | ClosureSide::Both) {
            package.will_be_there = true;
            package.after.insert(version.to_owned());
        }
        match path.side {
            ClosureSide::Before => {
                removed += 1;
                package.bytes_before = package.bytes_before.saturating_add(path.bytes);
            }
            ClosureSide::After => {
                added += 1;
                package.bytes_after = package.bytes_after.saturating_add(path.bytes);
            }
            ClosureSide::Both => {}
        }
    }
    let packages = packages.into_iter().filter(|(name, _)| !is_system(name));
    let found = packages.filter_map(|(name, package)| package.change(name));
    SystemChanges {
        packages: in_order(found.collect()),
        paths_added: Some(added),
        paths_removed: Some(removed),
        bytes_before: bytes.map(|(before, _)| before),
        bytes_after: bytes.map(|(_, after)| after),
        partial: false,
    }
}

/// Returns what is known of a change before the new system is built: `before` are the names of the old
/// closure, `coming` those of all that the new one may be made of: what must be built or fetched for it, and what
/// is there already of what that needs. Much of it is only needed for building, so only packages that the old
/// system has are compared, and archives and patches are passed over: they have the names of packages.
pub fn compare_partially<'a>(
    before: impl IntoIterator<Item = &'a str>,
    coming: impl IntoIterator<Item = &'a str>,
) -> SystemChanges {
    let mut packages: BTreeMap<&str, Package> = BTreeMap::new();
    for (name, version) in before.into_iter().map(name_and_version) {
        let package = packages.entry(name).or_default();
        package.was_there = true;
        package.before.insert(version.to_owned());
    }
    let coming = coming.into_iter().filter(|name| !is_source(name));
    for (name, version) in coming.map(name_and_version) {
        if let Some(package) = packages.get_mut(name) {
            package.will_be_there = true;
            package.after.insert(version.to_owned());
        }
    }
    let mut found = Vec::new();
    for (name, package) in packages.into_iter().filter(|(name, _)| !is_system(name)) {
        // What is fetched may need more than is named here: that no version comes says nothing.
        if package.after.difference(&package.before).next().is_some() {
            found.extend(package.change(name.to_owned()));
        }
    }
    for change in &mut found {
        change.bytes = None;
    }
    SystemChanges { packages: in_order(found), partial: true, ..SystemChanges::default() }
}

/// Returns whether a name is that of a system of NixOS itself: which one goes and which comes is told apart.
fn is_system(name: &str) -> bool {
    name.starts_with("nixos-system-")
}

/// Returns whether the name of a path is that of a file which a package is only made of: an archive or a patch.
fn is_source(name: &str) -> bool {
    let name = name.strip_suffix(".drv").unwrap_or(name);
    // A compressed one has an ending more.
    let (stem, last) = name.rsplit_once('.').unwrap_or((name, ""));
    let before = stem.rsplit_once('.').map_or("", |(_, ending)| ending);
    let is_packed = ["tar", "patch", "diff"].contains(&before);
    is_packed || SOURCE_ENDINGS.contains(&last)
}

/// Sorts changes by what happens, then by name.
fn in_order(mut packages: Vec<PackageChange>) -> Vec<PackageChange> {
    packages.sort_by(|one, other| (one.kind, &one.name).cmp(&(other.kind, &other.name)));
    packages
}

impl Package {
    /// Returns what changes of this package; nothing where nothing does that is worth telling.
    fn change(self, name: String) -> Option<PackageChange> {
        let gone: Vec<String> = self.before.difference(&self.after).cloned().collect();
        let come: Vec<String> = self.after.difference(&self.before).cloned().collect();
        let growth = difference(self.bytes_before, self.bytes_after);
        let kind = match (self.was_there, self.will_be_there) {
            (false, true) => ChangeKind::Added,
            (true, false) => ChangeKind::Removed,
            (true, true) | (false, false) if !gone.is_empty() || !come.is_empty() => {
                direction(&gone, &come)
            }
            (true, true) | (false, false) => {
                if growth.unsigned_abs() < SIZE_SHOWN {
                    return None;
                }
                ChangeKind::Resized
            }
        };
        let (before, after) = (told(gone), told(come));
        Some(PackageChange { name, kind, before, after, bytes: Some(growth) })
    }
}

/// Says whether the versions that come are newer than those that go.
fn direction(gone: &[String], come: &[String]) -> ChangeKind {
    let newest = |versions: &[String]| {
        versions.iter().max_by(|one, other| compare_versions(one, other)).cloned()
    };
    match (newest(gone), newest(come)) {
        (Some(old), Some(new)) => match compare_versions(&old, &new) {
            Ordering::Less => ChangeKind::Upgraded,
            Ordering::Greater => ChangeKind::Downgraded,
            Ordering::Equal => ChangeKind::Changed,
        },
        (Some(_) | None, Some(_) | None) => ChangeKind::Changed,
    }
}

/// Returns versions in order, without the empty one of paths that have none.
fn told(versions: Vec<String>) -> Vec<String> {
    let mut told: Vec<String> =
        versions.into_iter().filter(|version| !version.is_empty()).collect();
    told.sort_by(|one, other| compare_versions(one, other));
    told
}

#[cfg(test)]
mod tests;
