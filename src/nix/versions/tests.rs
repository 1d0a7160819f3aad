//! The names are those of a pair of closures that Nix 2.8 compared; what it printed stands below.

use super::*;

/// The closures, by their names and NAR sizes.
const OLD: &[(&str, u64)] = &[
    ("down-2.0", 480),
    ("old-tool-1.0", 5472),
    ("big-1.0", 576),
    ("etc-fstab", 488),
    ("python3.12-requests-2.31.0", 488),
    ("unit-a.service", 488),
    ("foo-0-unstable-2024-11-01", 480),
    ("bash-5.2p37", 488),
    ("linux-6.12.57", 1472),
    ("conf", 576),
    ("glibc-2.40-66", 496),
    ("nixos-system-x-1", 1368),
    ("bash-interactive-5.2p37", 488),
    ("linux-6.12.57-modules", 50472),
    ("firefox-144.0", 100_472),
    ("glibc-2.40", 488),
];

const NEW: &[(&str, u64)] = &[
    ("etc-hosts", 488),
    ("linux-6.12.58-modules", 50472),
    ("new-tool", 488),
    ("python3.12-requests-2.32.0", 488),
    ("bash-5.2p38", 488),
    ("conf", 20472),
    ("foo-0-unstable-2025-01-01", 480),
    ("down-1.9", 480),
    ("bash-interactive-5.2p37", 488),
    ("firefox-145.0", 130_472),
    ("big-1.0", 90472),
    ("unit-b.service", 488),
    ("linux-6.12.58", 1472),
    ("glibc-2.40", 488),
    ("nixos-system-x-2", 1360),
    ("glibc-2.40-70", 496),
];

/// What `nix store diff-closures` printed of them, but for the two names that it reads as a package
/// with an output: `new: ∅ → ε`, and nothing of `etc-fstab` and `etc-hosts`.
const PRINTED: &str = "\
bash: 5.2p37 → 5.2p38
big: +87.8 KiB
conf: +19.4 KiB
down: 2.0 → 1.9
firefox: 144.0 → 145.0, +29.3 KiB
foo: 0-unstable-2024-11-01 → 0-unstable-2025-01-01
glibc: 2.40-66 → 2.40-70
linux: 6.12.57 → 6.12.58
nixos-system-x: 1 → 2
old-tool: 1.0 → ∅
python3.12-requests: 2.31.0 → 2.32.0
unit-a.service: ε → ∅
unit-b.service: ∅ → ε
";

/// Returns the changes between both; in both are only the paths that have the same name and size.
fn changes() -> SystemChanges {
    let both = |one: &&(&str, u64)| NEW.contains(one);
    let path = |side, (name, bytes): &(&str, u64)| ComparedPath {
        side,
        name: (*name).to_owned(),
        bytes: *bytes,
    };
    let mut paths: Vec<ComparedPath> =
        OLD.iter().filter(both).map(|one| path(ClosureSide::Both, one)).collect();
    let gone = OLD.iter().filter(|one| !both(one));
    paths.extend(gone.map(|one| path(ClosureSide::Before, one)));
    let come = NEW.iter().filter(|one| !OLD.contains(one));
    paths.extend(come.map(|one| path(ClosureSide::After, one)));
    compare_closures(paths, Some((1000, 3000)))
}

/// Writes a change as Nix does.
fn as_nix(change: &PackageChange) -> String {
    let versions = |list: &[String], is_there: bool| match (list, is_there) {
        ([], true) => "ε".to_owned(),
        ([], false) => "∅".to_owned(),
        (list, _) => list.join(", "),
    };
    let mut items = Vec::new();
    if change.kind != ChangeKind::Resized {
        let before = versions(&change.before, change.kind != ChangeKind::Added);
        let after = versions(&change.after, change.kind != ChangeKind::Removed);
        items.push(format!("{before} → {after}"));
    }
    let bytes = change.bytes.unwrap();
    if bytes.unsigned_abs() >= SIZE_SHOWN {
        items.push(format!("{:+.1} KiB", bytes as f64 / 1024.0));
    }
    format!("{}: {}\n", change.name, items.join(", "))
}

#[test]
fn the_difference_is_that_of_nix_store_diff_closures() {
    let mut found: Vec<String> = changes()
        .packages
        .iter()
        .filter(|change| !change.name.starts_with("etc-") && change.name != "new-tool")
        .map(as_nix)
        .collect();
    found.sort_unstable();
    // Which system goes and which comes is told apart.
    let lines = PRINTED.lines().filter(|line| !line.starts_with("nixos-system-"));
    let mut expected: Vec<String> = lines.map(|line| format!("{line}\n")).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn each_change_says_what_happens_as_nvd_does() {
    let found = changes();
    let names = |kind| found.of_kind(kind).map(|one| one.name.as_str()).collect::<Vec<_>>();
    assert_eq!(names(ChangeKind::Downgraded), ["down"]);
    assert_eq!(names(ChangeKind::Added), ["etc-hosts", "new-tool", "unit-b.service"]);
    assert_eq!(names(ChangeKind::Removed), ["etc-fstab", "old-tool", "unit-a.service"]);
    assert_eq!(names(ChangeKind::Resized), ["big", "conf"]);
    let upgraded = names(ChangeKind::Upgraded);
    assert!(upgraded.contains(&"linux") && upgraded.contains(&"glibc"), "{upgraded:?}");
    assert_eq!(found.growth(), Some(2000));
    assert_eq!((found.paths_added, found.paths_removed), (Some(14), Some(14)));
}

#[test]
fn the_system_itself_is_no_package_that_changes() {
    let (old, new) = ("nixos-system-samsung-25.11.1", "nixos-system-samsung-25.11.2");
    let partly = compare_partially([old, "less-1"], [new, "less-2"]);
    let path = |name: &str, side| ComparedPath { name: name.to_owned(), bytes: 1, side };
    let wholly = compare_closures(
        [
            path(old, ClosureSide::Before),
            path(new, ClosureSide::After),
            path("less-1", ClosureSide::Before),
            path("less-2", ClosureSide::After),
        ],
        None,
    );
    for found in [partly, wholly] {
        let names: Vec<&str> = found.packages.iter().map(|change| change.name.as_str()).collect();
        assert_eq!(names, ["less"]);
    }
}

#[test]
fn names_are_split_as_nix_does() {
    for (name, package, version) in [
        ("firefox-145.0", "firefox", "145.0"),
        ("linux-6.12.58-modules", "linux", "6.12.58"),
        ("glibc-2.40-66-bin", "glibc", "2.40-66"),
        ("gcc-14.2.0-lib", "gcc", "14.2.0"),
        ("wine-9.0-lib32", "wine", "9.0"),
        ("nixos-system-samsung-26.05.20261118.abc", "nixos-system-samsung", "26.05.20261118.abc"),
        ("python3.12-requests-2.32.0", "python3.12-requests", "2.32.0"),
        ("hello-2.12.1.drv", "hello", "2.12.1"),
        ("1password-8.10", "1password", "8.10"),
        ("unit-sshd.service", "unit-sshd.service", ""),
        ("etc-fstab", "etc-fstab", ""),
        ("source", "source", ""),
        ("a-", "a-", ""),
        ("-", "-", ""),
        ("", "", ""),
    ] {
        assert_eq!(name_and_version(name), (package, version), "{name}");
    }
}

#[test]
fn versions_are_compared_as_nix_compares_them() {
    // What `builtins.compareVersions` of Nix 2.8 says.
    for (one, other, expected) in [
        ("1.0", "2.3", Ordering::Less),
        ("2.1", "2.3", Ordering::Less),
        ("2.3", "2.3", Ordering::Equal),
        ("2.5", "2.3", Ordering::Greater),
        ("3.1", "2.3", Ordering::Greater),
        ("2.3.1", "2.3", Ordering::Greater),
        ("2.3.1", "2.3a", Ordering::Greater),
        ("2.3pre1", "2.3", Ordering::Less),
        ("2.3pre3", "2.3pre12", Ordering::Less),
        ("2.3a", "2.3c", Ordering::Less),
        ("2.3pre1", "2.3c", Ordering::Less),
        ("0-unstable-2024-11-01", "0-unstable-2025-01-01", Ordering::Less),
        ("5.2p37", "5.2p38", Ordering::Less),
        ("1.0", "1.0.0", Ordering::Less),
        ("20241118123456", "20241118123457", Ordering::Less),
        ("01", "1", Ordering::Equal),
    ] {
        assert_eq!(compare_versions(one, other), expected, "{one} {other}");
        assert_eq!(compare_versions(other, one), expected.reverse(), "{other} {one}");
    }
}

#[test]
fn before_it_is_built_only_packages_that_are_there_are_compared() {
    let old = ["firefox-144.0", "glibc-2.42", "linux-6.12.57", "less-1"];
    let coming = ["firefox-145.0", "gcc-14.2.0", "linux-6.12.57", "glibc-2.42.drv"];
    let found = compare_partially(old, coming);
    assert!(found.partial);
    let names: Vec<&str> = found.packages.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["firefox"], "a compiler that comes for a build is nothing added");
    assert_eq!(found.packages[0].bytes, None);
    assert_eq!(found.packages[0].versions(), "144.0 → 145.0");
    assert_eq!((found.growth(), found.paths_added), (None, None));
}

#[test]
fn what_a_package_is_made_of_is_no_new_version_of_it() {
    let old = ["linux-6.12.57", "tokio-1.48.0", "less-1", "bash-5.3"];
    let coming = [
        "linux-6.12.58.tar.xz",
        "linux-6.12.58.tar.xz.drv",
        "linux-6.12.58.tar",
        "tokio-1.49.0.crate",
        "less-2.tgz",
        "less-2.zip.drv",
        "less-2-fix.patch",
        "bash-5.3.diff",
        "bash-5.4.patch.gz",
    ];
    assert_eq!(compare_partially(old, coming).packages, []);
    let found = compare_partially(old, ["linux-6.12.58.drv", "bash-5.3.tar.gz"]);
    assert_eq!(found.packages[0].versions(), "6.12.57 → 6.12.58");
}

#[test]
fn a_version_that_is_still_needed_does_not_go_when_another_comes() {
    let found = compare_partially(["python3-3.12.1"], ["python3-3.12.1", "python3-3.13.0"]);
    assert_eq!(found.packages[0].kind, ChangeKind::Changed);
    assert_eq!(found.packages[0].versions(), "3.13.0");
}

#[test]
fn one_of_several_versions_that_goes_is_a_change_and_no_removal() {
    let path = |side, name: &str| ComparedPath { side, name: name.to_owned(), bytes: 1 };
    let found = compare_closures(
        [path(ClosureSide::Before, "openssl-1.1.1"), path(ClosureSide::Both, "openssl-3.4.0")],
        None,
    );
    assert_eq!(found.packages[0].kind, ChangeKind::Changed);
    assert_eq!(found.packages[0].versions(), "1.1.1 → none");
    assert_eq!(found.bytes_after, None);
}

proptest::proptest! {
    #[test]
    fn comparing_versions_never_contradicts_itself(one in "[0-9a-z.-]{0,12}", other in "[0-9a-z.-]{0,12}") {
        proptest::prop_assert_eq!(
            compare_versions(&one, &other),
            compare_versions(&other, &one).reverse()
        );
    }

    #[test]
    fn any_name_is_split_without_a_panic(name in "\\PC{0,40}") {
        let (package, version) = name_and_version(&name);
        proptest::prop_assert!(package.len() + version.len() <= name.len());
    }
}
