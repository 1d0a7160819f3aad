//! First deploys: no system runs that the host could go back to, and none is claimed.

use super::host::{FolderHost, WELL};
use super::persisting::recover;
use crate::fleet::Code;

/// Checks that nothing was made permanent, and that nothing of the deploy is left but what it activated.
fn assert_not_permanent(host: &FolderHost) {
    let profiles = std::fs::read_dir(host.path("nix/var/nix/profiles")).unwrap();
    assert_eq!(profiles.count(), 0, "{}", host.log());
    assert!(!host.called().iter().any(|call| call.starts_with("old")), "{:?}", host.called());
    for gone in ["nix/var/nixdash/intent", "run/nixdash/owner"] {
        assert!(!host.path(gone).exists(), "{gone} is left");
    }
    for root in ["before-running", "before-profile", "before-booted"] {
        let root = host.path(&format!("nix/var/nix/gcroots/nixdash/{root}"));
        assert!(root.symlink_metadata().is_err(), "{}", root.display());
    }
}

#[test]
fn a_first_deploy_that_is_confirmed_is_what_runs_and_boots() {
    let host = FolderHost::without_system();
    assert_eq!(host.deploy("commit").0, "switched", "{}", host.log());
    assert_eq!(host.systems(), ["new", "new", "new"]);
    host.assert_tidy();
}

#[test]
fn a_first_deploy_that_is_not_confirmed_says_that_there_is_no_way_back() {
    for (word, code) in [("abort check-failed enough", "enough"), ("maybe", "not understood")] {
        let host = FolderHost::without_system();
        let (outcome, reason) = host.deploy(word);
        assert_eq!(outcome, "stuck", "nothing was rolled back: {}", host.log());
        assert_eq!(host.code(), Some(Code::NoWayBack));
        for part in [code, "nothing to go back to", "/nix/store/new", "was not made permanent"] {
            assert!(reason.contains(part), "{part}: {reason}");
        }
        assert_not_permanent(&host);
    }
}

#[test]
fn nobody_who_reaches_a_first_deploy_leaves_it_as_it_is() {
    let mut host = FolderHost::without_system();
    // There is nothing that a restart could bring back for sure.
    for option in ["ack=0", "recover=yes"] {
        host.option(option);
    }
    let (outcome, reason) = host.supervise().outcome();
    assert_eq!((outcome.as_str(), host.code()), ("stuck", Some(Code::NoWayBack)));
    assert!(reason.contains("nobody reached the host"), "{reason}");
    assert!(!host.path("restarted").exists());
    assert_not_permanent(&host);
}

#[test]
fn an_activation_that_fails_before_it_changed_anything_has_failed_and_no_more() {
    let host = FolderHost::without_system();
    host.activation("new", "echo 'This is not a NixOS installation!'; exit 1");
    let (outcome, reason) = host.deploy("commit");
    assert_eq!(outcome, "failed", "{reason}");
    assert!(reason.contains("before anything was changed"), "{reason}");
    assert_not_permanent(&host);
}

#[test]
fn a_snippet_that_fails_in_a_first_system_is_not_tried_in_a_previous_one() {
    let host = FolderHost::without_system();
    let snippet = "echo \"Activation script snippet 'secrets' failed (1)\"";
    host.activation("new", &format!("{WELL}{snippet}\nexit 2"));
    let (outcome, reason) = host.deploy("commit");
    assert_eq!((outcome.as_str(), host.code()), ("stuck", Some(Code::NoWayBack)), "{reason}");
    assert!(reason.contains("secrets"), "{reason}");
    assert_eq!(host.called(), ["new test"]);
}

#[test]
fn a_first_boot_menu_that_cannot_be_written_leaves_no_profile() {
    let host = FolderHost::without_system();
    host.switch_to_configuration("new", WELL, "exit 1");
    let (outcome, reason) = host.deploy("commit");
    assert_eq!((outcome.as_str(), host.code()), ("degraded", Some(Code::BootMenuFailed)));
    assert!(reason.contains("there was no previous system"), "{reason}");
    assert_eq!(host.called(), ["new test", "new boot"]);
    assert_not_permanent(&host);
}

#[test]
fn a_first_deploy_of_the_next_boot_alone_activates_nothing() {
    let mut host = FolderHost::without_system();
    host.option("action=boot");
    assert_eq!(host.supervise().outcome().0, "booted", "{}", host.log());
    assert!(!host.path("run/current-system").exists());
    assert_eq!(host.called(), ["new boot"]);
}

#[test]
fn a_host_that_lost_its_system_is_no_first_deploy_unless_that_was_asked_for() {
    let mut host = FolderHost::without_system();
    host.option("first=no");
    let (outcome, reason) = host.deploy("commit");
    assert_eq!((outcome.as_str(), host.code()), ("failed", Some(Code::NotNixos)), "{reason}");
    assert!(host.called().is_empty());
}

#[test]
fn a_supervisor_of_a_first_deploy_that_is_killed_claims_no_way_back() {
    let host = FolderHost::without_system();
    host.activation("new", &format!("{WELL}: >\"$root/half\"; sleep 60"));
    let supervisor = host.supervise();
    host.wait_until("the activation", |host| host.path("half").exists());
    supervisor.kill();
    let (outcome, reason) = host.after();
    assert_eq!((outcome.as_str(), host.code()), ("stuck", Some(Code::NoWayBack)), "{reason}");
    assert_not_permanent(&host);
}

#[test]
fn a_power_cut_in_the_first_boot_menu_is_put_right() {
    let host = FolderHost::without_system();
    let once = ": >\"$root/half\"; sleep 60";
    host.switch_to_configuration("new", WELL, once);
    host.acknowledge();
    host.say("commit");
    let supervisor = host.supervise();
    host.wait_until("the boot menu", |host| host.path("half").exists());
    supervisor.kill();
    // What it started before starts again, and that is no NixOS.
    std::fs::remove_file(host.path("run/current-system")).unwrap();
    let said = recover(&host);
    for part in ["the first deploy", "the system profile was removed again"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(host.path("nix/var/nix/profiles/system").symlink_metadata().is_err());
    assert!(!host.path("nix/var/nixdash/intent").exists());
    assert_eq!(host.called(), ["new test", "new boot"]);
    assert_eq!(recover(&host), "", "there is nothing left to do");
}
