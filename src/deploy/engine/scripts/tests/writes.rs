//! Writes that fail, at every place where the supervisor writes.

use super::host::{FolderHost, WELL, job};
use crate::fleet::Code;

#[test]
fn without_room_for_roots_nothing_is_begun() {
    let host = FolderHost::new();
    host.write("nix/var/nix/gcroots/nixdash", "no folder");
    let (word, reason) = host.deploy("commit");
    assert_eq!(word, "failed");
    assert_eq!(host.code(), Some(Code::WriteFailed));
    assert!(reason.contains("could not begin"), "{reason}");
    assert!(host.called().is_empty());
}

#[test]
fn a_root_that_cannot_be_made_stops_the_deploy() {
    let host = FolderHost::new();
    std::fs::create_dir_all(host.path("nix/var/nix/gcroots/nixdash/before-profile/x")).unwrap();
    // ln makes the link inside of a folder of that name, so the folder must refuse it.
    std::fs::create_dir_all(host.path("nix/var/nix/gcroots/nixdash/before-profile/old/x")).unwrap();
    let (word, reason) = host.deploy("commit");
    assert_eq!(word, "failed", "{}", host.log());
    assert_eq!(host.code(), Some(Code::WriteFailed));
    assert!(reason.contains("could not be kept from garbage collection"), "{reason}");
    assert!(host.called().is_empty());
}

#[test]
fn facts_that_cannot_be_written_stop_the_deploy() {
    let host = FolderHost::new();
    std::fs::remove_file(host.path(&job("facts"))).unwrap();
    std::fs::create_dir(host.path(&job("facts"))).unwrap();
    assert_eq!(host.deploy("commit").0, "failed", "{}", host.log());
    assert!(host.called().is_empty());
}

#[test]
fn a_lock_whose_owner_cannot_be_written_is_not_taken() {
    let host = FolderHost::new();
    std::fs::create_dir(host.path("run/nixdash/owner.new")).unwrap();
    assert_eq!(host.deploy("commit").0, "failed", "{}", host.log());
    assert!(host.called().is_empty());
}

#[test]
fn a_profile_that_cannot_be_set_leaves_the_old_one_and_says_so() {
    let host = FolderHost::new();
    host.write("nix-env-fails", "");
    let (word, reason) = host.deploy("commit");
    assert_eq!(word, "degraded");
    assert_eq!(host.code(), Some(Code::WriteFailed));
    assert!(reason.contains("the profile could not be set"), "{reason}");
    assert_eq!(host.systems(), ["new", "old", "old"]);
    host.assert_tidy();
}

#[test]
fn a_profile_that_somebody_else_set_at_the_same_moment_is_theirs() {
    let host = FolderHost::new();
    host.add_system("third");
    let theirs = "ln -sfn \"$root/nix/store/third\" \"$2-7-link\"; ln -sfn system-7-link \"$2\"";
    host.write("nix-env-fails", theirs);
    let (word, reason) = host.deploy("commit");
    assert_eq!((word.as_str(), host.code()), ("superseded", Some(Code::Superseded)), "{reason}");
    assert!(reason.contains("while the new system was made permanent: its profile is"), "{reason}");
    assert_eq!(host.systems()[..2], ["new", "third"], "{}", host.log());
    assert_eq!(host.called(), ["new test"], "the boot menu is theirs");
    host.assert_tidy();
}

#[test]
fn what_is_begun_is_written_before_it_begins() {
    let host = FolderHost::new();
    std::fs::create_dir_all(host.path("nix/var/nixdash/intent.new/x")).unwrap();
    let (word, reason) = host.deploy("commit");
    assert_eq!(word, "degraded");
    assert_eq!(host.code(), Some(Code::WriteFailed));
    assert!(reason.contains("could not be written below /nix/var"), "{reason}");
    assert_eq!(host.systems(), ["new", "old", "old"]);
}

#[test]
fn a_log_that_takes_nothing_ends_no_activation() {
    let mut host = FolderHost::new();
    host.option("log=0");
    host.activation("new", &format!("{WELL}echo done; exit 0"));
    assert_eq!(host.deploy("commit").0, "switched", "{}", host.log());
    assert_eq!(host.systems(), ["new", "new", "new"]);
}

#[test]
fn an_activation_whose_output_is_lost_is_kept_only_when_its_exit_code_is_0() {
    let mut host = FolderHost::new();
    host.option("log=0");
    host.activation("new", &format!("{WELL}exit 4"));
    let (word, reason) = host.deploy("commit");
    assert_eq!(word, "rolled-back");
    assert!(reason.contains("could not be kept"), "{reason}");
    host.assert_untouched();
}

#[test]
fn more_output_than_the_log_takes_is_read_on() {
    let mut host = FolderHost::new();
    host.option("log=64");
    // Twenty times what the log takes, and more than a pipe holds.
    host.activation("new", &format!("{WELL}head -c 700000 /dev/zero | tr '\\000' x; exit 0"));
    assert_eq!(host.deploy("commit").0, "switched");
    assert!(host.log().len() < 80_000, "{}", host.log().len());
}

#[test]
fn a_full_run_stops_no_result() {
    let host = FolderHost::new();
    // Every page is there already: results are written in place and never grow.
    let before = std::fs::metadata(host.path(&job("outcome"))).unwrap().len();
    host.deploy("commit");
    assert_eq!(std::fs::metadata(host.path(&job("outcome"))).unwrap().len(), before);
    let reason = "x".repeat(9000);
    let host = FolderHost::new();
    let (_, said) = host.deploy(&format!("abort run-stopped {reason}"));
    assert!(said.len() < 4000 && said.starts_with("xxx"), "{}", said.len());
}
