//! Without magic rollback nobody is waited for; and what a system was built from is remembered.

use super::host::{FolderHost, WELL};
use crate::fleet::Code;

#[test]
fn without_magic_rollback_the_system_is_kept_at_once() {
    let mut host = FolderHost::new();
    host.option("rollback=no");
    assert_eq!(host.supervise().outcome().0, "switched", "{}", host.log());
    assert_eq!(host.systems(), ["new", "new", "new"]);
    assert!(host.log().contains("nobody is waited for"), "{}", host.log());
}

#[test]
fn without_magic_rollback_an_activation_that_fails_goes_back_all_the_same() {
    let mut host = FolderHost::new();
    host.option("rollback=no");
    host.activation("new", "echo 'activating the configuration...'; exit 3");
    assert_eq!(host.supervise().outcome().0, "rolled-back");
    host.assert_untouched();
}

#[test]
fn without_magic_rollback_failed_units_are_told_and_the_word_abort_is_heard() {
    let mut host = FolderHost::new();
    host.option("rollback=no");
    host.activation("new", &format!("{WELL}exit 4"));
    assert_eq!(host.supervise().outcome().0, "degraded");
    assert_eq!(host.code(), Some(Code::UnitsFailed));
    assert_eq!(host.systems(), ["new", "new", "new"]);

    let mut host = FolderHost::new();
    host.option("rollback=no");
    host.activation("new", &format!("{WELL}echo 'user activation for me failed'; exit 4"));
    let (word, reason) = host.supervise().outcome();
    assert_eq!((word.as_str(), host.code()), ("degraded", Some(Code::UserUnitsFailed)));
    assert!(reason.starts_with("units of me failed"), "{reason}");

    let mut host = FolderHost::new();
    host.option("rollback=no");
    host.say("abort run-stopped the operator stopped the run");
    assert_eq!(host.supervise().outcome().0, "rolled-back");
    host.assert_untouched();
}

/// Returns the lines of what is remembered, without paths and times.
fn remembered(host: &FolderHost) -> Vec<String> {
    let text = std::fs::read_to_string(host.path("nix/var/nixdash/deployed")).unwrap_or_default();
    let store = format!("{}/", host.path("nix/store").display());
    let line = |line: &str| line.replace(&store, "").rsplit_once('\t').unwrap().0.to_owned();
    text.lines().map(line).collect()
}

#[test]
fn what_a_kept_system_was_built_from_is_remembered_and_of_one_that_went_back_it_is_not() {
    let mut host = FolderHost::new();
    host.option("revision=1234abc");
    host.option("flake=git+ssh://git@example.org/fleet");
    assert_eq!(host.deploy("abort check-failed enough").0, "rolled-back");
    assert!(remembered(&host).is_empty());
    let folder = "nix/var/nixdash";
    std::fs::create_dir_all(host.path(folder)).unwrap();
    let before = (0..30).map(|n| format!("/nix/store/{n}\t{n}\tflake\tme@desk\t9\n"));
    host.write("nix/var/nixdash/deployed", &before.collect::<String>());
    host.write(&super::host::job("outcome"), "");
    assert_eq!(host.deploy("commit").0, "switched", "{}", host.log());
    let found = remembered(&host);
    assert_eq!(found.len(), 20, "old lines are forgotten");
    assert_eq!(found[19], "new\t1234abc\tgit+ssh://git@example.org/fleet\tme@desk");
}
