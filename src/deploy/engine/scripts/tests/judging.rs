//! What the supervisor makes of an activation: of its exit code, and of every line it goes by.

use super::host::{FolderHost, WELL};
use crate::deploy::engine::scripts::SUPERVISE;
use crate::fleet::Code;

/// Deploys a system whose activation does this, kept if the supervisor lets it.
fn deploy(activation: &str) -> (FolderHost, String, String) {
    let host = FolderHost::new();
    host.activation("new", activation);
    let (word, reason) = host.deploy("commit");
    (host, word, reason)
}

#[test]
fn an_activation_that_goes_well_is_made_permanent() {
    let (host, word, reason) = deploy(&format!("{WELL}exit 0"));
    assert_eq!((word.as_str(), reason.as_str()), ("switched", ""), "{}", host.log());
    assert_eq!(host.code(), None);
    assert_eq!(host.systems(), ["new", "new", "new"]);
    assert_eq!(host.result("activated").unwrap(), "0 ok");
    host.assert_tidy();
    host.wait_until("the end of everything that it started", |host| {
        let name = host.path("supervise.sh").display().to_string();
        let found = std::process::Command::new("pgrep").args(["-f", &name]).output().unwrap();
        found.stdout.is_empty()
    });
}

#[test]
fn a_failed_activation_is_no_inhibitor_though_it_prints_the_word() {
    let (host, word, reason) = deploy("echo 'Checking switch inhibitors...'; exit 1");
    assert_eq!(word, "failed", "{}", host.log());
    assert_eq!(host.code(), Some(Code::ActivationFailed));
    assert!(reason.contains("exited with 1 before anything was changed"), "{reason}");
    host.assert_untouched();
}

#[test]
fn an_inhibited_switch_boots_the_new_system_next_time() {
    for activation in [
        "echo 'Checking switch inhibitors...'; echo \"Pre-switch check 'switchInhibitors' failed\"; exit 1",
        "exit 100",
    ] {
        let (host, word, reason) = deploy(activation);
        assert_eq!(word, "needs-reboot", "{}", host.log());
        assert_eq!(host.code(), Some(Code::SwitchInhibited));
        assert!(reason.contains("starts at the next reboot"), "{reason}");
        assert_eq!(host.systems(), ["old", "new", "new"]);
        host.assert_tidy();
    }
}

#[test]
fn an_inhibitor_that_comes_after_a_change_goes_back() {
    let (host, word, reason) =
        deploy(&format!("{WELL}echo \"Pre-switch check 'switchInhibitors' failed\"; exit 1"));
    assert_eq!(word, "rolled-back", "{reason}");
    assert_eq!(host.code(), Some(Code::ActivationFailed));
    host.assert_untouched();
}

#[test]
fn another_pre_switch_check_fails_by_its_name() {
    let (host, word, reason) = deploy("echo \"Pre-switch check 'diskSpace' failed\"; exit 1");
    assert_eq!(word, "failed");
    assert_eq!(host.code(), Some(Code::PreSwitchFailed));
    assert!(reason.contains("'diskSpace'"), "{reason}");
    host.assert_untouched();
}

#[test]
fn a_test_that_needs_a_reboot_fails_and_changes_nothing() {
    let mut host = FolderHost::new();
    host.option("action=test");
    host.activation("new", "exit 100");
    assert_eq!(host.deploy("commit").0, "failed");
    assert_eq!(host.code(), Some(Code::SwitchInhibited));
    host.assert_untouched();
}

#[test]
fn an_errno_of_an_older_switch_to_configuration_is_judged_by_what_it_printed() {
    for code in [2, 4, 11, 13] {
        let (host, word, reason) = deploy(&format!("echo 'Error: no such file'; exit {code}"));
        assert_eq!(word, "failed", "{}", host.log());
        assert!(reason.contains(&format!("exited with {code} before")), "{reason}");
        host.assert_untouched();
    }
    let (host, word, reason) = deploy(&format!("{WELL}exit 11"));
    assert_eq!((word.as_str(), reason.as_str()), ("rolled-back", "its activation exited with 11"));
    host.assert_untouched();
}

#[test]
fn a_held_switch_lock_names_nobody_it_does_not_know() {
    let (host, word, reason) = deploy("echo 'Could not acquire lock'; exit 1");
    assert_eq!(word, "failed");
    assert_eq!(host.code(), Some(Code::LockHeld));
    assert_eq!(reason, "another switch-to-configuration holds the lock");
    host.assert_untouched();
}

#[test]
fn whoever_holds_the_switch_lock_is_named() {
    let host = FolderHost::new();
    let lock = host.path("run/nixos/switch-to-configuration.lock");
    std::fs::write(&lock, "").unwrap();
    let mut holder =
        std::process::Command::new("flock").arg(&lock).args(["sleep", "60"]).spawn().unwrap();
    let body = "until ! flock -n \"$root/run/nixos/switch-to-configuration.lock\" true; do :; done
        echo 'Could not acquire lock'; exit 11";
    host.activation("new", body);
    let (word, reason) = host.deploy("commit");
    let killed =
        std::process::Command::new("pkill").args(["-P", &holder.id().to_string()]).status();
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(killed.unwrap().success());
    assert_eq!(word, "failed");
    assert!(reason.contains("holds it with process") && reason.contains("sleep 60"), "{reason}");
}

#[test]
fn exit_4_with_a_failed_activation_script_goes_back() {
    for said in ["Activation script snippet 'users' failed (1)", "Failed to run activate script"] {
        let (host, word, reason) = deploy(&format!("{WELL}echo \"{said}\"; exit 4"));
        assert_eq!(word, "rolled-back", "{}", host.log());
        assert!(reason.contains("activation script failed"), "{reason}");
        let is_snippet = reason.contains("users");
        let code = if is_snippet { Code::SnippetFailed } else { Code::ActivationFailed };
        assert_eq!(host.code(), Some(code));
        host.assert_untouched();
    }
}

#[test]
fn a_snippet_that_failed_is_told_with_what_it_said_last() {
    let failed = "Activation script snippet 'users' failed (1)";
    for (said, wanted) in [
        ("printf 'users: no\\tgroup\\033[1m wheel\\n'", "in users: nogroup[1m wheel (exit"),
        ("echo 'setting up /etc...'", "in users (exit"),
    ] {
        let (host, word, reason) = deploy(&format!("{WELL}{said}; echo \"{failed}\"; exit 4"));
        assert_eq!(word, "rolled-back", "{}", host.log());
        assert!(reason.contains(wanted), "{reason}");
    }
}

#[test]
fn exit_4_of_units_alone_stays_and_says_so() {
    let (host, word, _) =
        deploy(&format!("{WELL}echo 'warning: the following units failed: a.service'; exit 4"));
    assert_eq!(word, "switched", "{}", host.log());
    assert_eq!(host.result("activated").unwrap(), "4 ok");
}

#[test]
fn user_units_that_fail_are_told_by_their_user() {
    let (host, word, _) = deploy(&format!(
        "{WELL}echo 'warning: the following user units failed: x.service'
        echo 'warning: user activation for me failed'; exit 4"
    ));
    assert_eq!(word, "switched", "{}", host.log());
    assert_eq!(host.result("activated").unwrap(), "4 ok user=me");
}

#[test]
fn exit_0_or_4_counts_only_when_the_new_system_runs() {
    for code in [0, 4] {
        let (host, word, reason) =
            deploy(&format!("echo 'activating the configuration...'; exit {code}"));
        assert_eq!(word, "rolled-back", "{}", host.log());
        assert_eq!(host.code(), Some(Code::ActivationFailed));
        assert!(reason.contains("the running system is"), "{reason}");
        host.assert_untouched();
    }
}

#[test]
fn exit_2_goes_back() {
    let (host, word, reason) =
        deploy(&format!("{WELL}echo 'Failed to run activate script'; exit 2"));
    assert_eq!(word, "rolled-back");
    assert_eq!(host.code(), Some(Code::ActivationFailed));
    assert!(reason.contains("exit code 2"), "{reason}");
    host.assert_untouched();
}

#[test]
fn a_snippet_that_fails_in_the_running_system_too_does_not_stop_a_deploy() {
    let host = FolderHost::new();
    let fails =
        format!("{WELL}echo \"Activation script snippet 'setupSecrets' failed (1)\"; exit 2");
    host.activation("old", &fails);
    host.activation("new", &fails);
    let (word, reason) = host.deploy("commit");
    assert_eq!(word, "switched", "{reason} {}", host.log());
    assert_eq!(host.result("activated").unwrap(), "0 ok snippet=setupSecrets");
    assert_eq!(host.called(), ["new test", "old test", "new test", "new boot"]);
    // Nobody must take the trial for the end: what follows the log reads the first result there is.
    assert!(!host.log().contains("going back"), "{}", host.log());
    // What was seen is remembered: the next system with the same fault costs one activation.
    let known = std::fs::read_to_string(host.path("nix/var/nixdash/failing-snippets")).unwrap();
    assert_eq!(known, format!("{}\tsetupSecrets\n", host.path("nix/store/new").display()));
}

#[test]
fn a_snippet_that_is_known_to_fail_costs_one_activation() {
    let host = FolderHost::new();
    std::fs::create_dir_all(host.path("nix/var/nixdash")).unwrap();
    let known = format!("{}\tsetupSecrets other\n", host.path("nix/store/old").display());
    host.write("nix/var/nixdash/failing-snippets", &known);
    host.activation(
        "new",
        &format!("{WELL}echo \"Activation script snippet 'setupSecrets' failed (1)\"; exit 2"),
    );
    assert_eq!(host.deploy("commit").0, "switched", "{}", host.log());
    assert_eq!(host.called(), ["new test", "new boot"]);
}

#[test]
fn an_activation_that_hangs_and_ignores_term_is_killed() {
    let mut host = FolderHost::new();
    host.option("activation=1");
    host.activation("new", &format!("trap '' TERM\n{WELL}while :; do sleep 1; done"));
    let (word, reason) = host.deploy("commit");
    assert_eq!(word, "rolled-back");
    assert_eq!(host.code(), Some(Code::ActivationFailed));
    assert!(reason.contains("took longer than 1 s"), "{reason}");
    host.assert_untouched();
}

#[test]
fn what_carries_the_network_is_noticed_when_it_is_restarted() {
    for (line, network) in [
        ("restarting the following units: a.service, systemd-networkd.service", true),
        ("stopping the following units: wg-quick-home.service, z.service", true),
        ("stopping the following units: sshd@12-10.0.0.1.service", true),
        ("restarting the following units: NetworkManager.service", true),
        ("NOT restarting the following changed units: sshd.service", false),
        ("restarting the following units: my-sshd-helper.service", false),
    ] {
        let (host, ..) = deploy(&format!("{WELL}echo '{line}'; exit 0"));
        let activated = host.result("activated").unwrap();
        assert_eq!(activated.contains("network"), network, "{line}: {activated}");
    }
}

#[test]
fn a_dry_activation_changes_nothing() {
    let mut host = FolderHost::new();
    host.option("action=dry-activate");
    assert_eq!(host.supervise().outcome().0, "dry");
    host.assert_untouched();
}

#[test]
fn every_code_that_the_supervisor_writes_is_one_that_we_know() {
    let mut seen = std::collections::BTreeSet::new();
    for line in SUPERVISE.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        for (call, place) in [
            ("go_back ", 0),
            ("give_up ", 0),
            ("finding=", 0),
            ("end ", 1),
            ("persist_and_end ", 1),
            ("tell_outcome ", 1),
        ] {
            // A call stands where a command does, or in quotes.
            let Some((before, rest)) = line.split_once(call) else { continue };
            let is_call = (before.is_empty() || before.ends_with([' ', ';']))
                && rest.starts_with(|first: char| {
                    first.is_ascii_alphabetic() || "\"$".contains(first)
                });
            let word = rest.split_whitespace().nth(place).unwrap_or_default().trim_matches('"');
            if !is_call || word.is_empty() || word.starts_with('$') {
                continue;
            }
            assert!(Code::of_word(word).is_some(), "{word} is no code: {line}");
            seen.insert(word);
        }
    }
    assert!(seen.len() > 10, "{seen:?}");
}
