//! Somebody else deploys while a deploy is under way: what they made of the host is left alone.

use super::host::{BOOT, FolderHost, Supervisor, WELL};
use crate::deploy::engine::decision::Decision;
use crate::fleet::{Code, Outcome};

/// Makes a host with a third system, and lets a supervisor activate the new one.
fn activated(host: &FolderHost) -> Supervisor<'_> {
    host.add_system("third");
    let supervisor = host.supervise();
    host.wait_until("the activation", |host| host.result("activated").is_some());
    supervisor
}

/// Deploys the third system by hand, as nixos-rebuild switch does.
fn rebuild(host: &FolderHost) {
    host.set_profile(2, "third");
    host.link("run/current-system", "third");
}

#[test]
fn a_system_that_somebody_else_deployed_meanwhile_is_never_made_permanent_over() {
    let host = FolderHost::new();
    let supervisor = activated(&host);
    rebuild(&host);
    host.acknowledge();
    host.say("commit");
    let (word, reason) = supervisor.outcome();
    assert_eq!((word.as_str(), host.code()), ("superseded", Some(Code::Superseded)), "{reason}");
    assert!(reason.contains("it runs") && reason.contains("/third"), "{reason}");
    assert_eq!(host.systems()[..2], ["third", "third"], "{}", host.log());
    assert_eq!(host.called(), ["new test"], "nothing was activated or written");
    host.assert_tidy();
}

#[test]
fn a_system_that_somebody_else_deployed_meanwhile_is_not_undone() {
    for word in ["abort check-failed enough", "maybe"] {
        let host = FolderHost::new();
        let supervisor = activated(&host);
        rebuild(&host);
        host.say(word);
        assert_eq!(supervisor.outcome().0, "superseded");
        assert_eq!(host.systems()[..2], ["third", "third"], "{}", host.log());
        assert_eq!(host.called(), ["new test"]);
    }
}

#[test]
fn a_profile_that_somebody_else_set_is_not_set_over() {
    let host = FolderHost::new();
    let supervisor = activated(&host);
    host.set_profile(2, "third");
    host.acknowledge();
    host.say("commit");
    let (word, reason) = supervisor.outcome();
    assert_eq!(word, "superseded");
    assert!(reason.contains("its profile is system-2-link, and was system-1-link"), "{reason}");
    assert!(reason.contains("it runs the new system until it is restarted"), "{reason}");
    assert_eq!(host.systems()[..2], ["new", "third"]);
    assert_eq!(host.called(), ["new test"]);
}

#[test]
fn a_profile_that_somebody_else_set_while_our_boot_menu_failed_is_theirs() {
    let host = FolderHost::new();
    host.add_system("third");
    let theirs = r#"
    ln -sfn "$root/nix/store/third" "$root/nix/var/nix/profiles/system-3-link"
    ln -sfn system-3-link "$root/nix/var/nix/profiles/system"
    exit 1"#;
    host.switch_to_configuration("new", WELL, theirs);
    let (word, reason) = host.deploy("commit");
    assert_eq!((word.as_str(), host.code()), ("degraded", Some(Code::BootMenuFailed)), "{reason}");
    for part in
        ["boot exited with 1", "somebody else deployed meanwhile", "/third", "left as they are"]
    {
        assert!(reason.contains(part), "{part}: {reason}");
    }
    assert_eq!(host.systems()[..2], ["new", "third"], "{}", host.log());
    assert_eq!(host.called(), ["new test", "new boot"], "their boot menu is not written over");
    host.assert_tidy();
}

#[test]
fn a_profile_that_somebody_else_set_while_the_disk_was_waited_for_is_not_set_over() {
    let host = FolderHost::new();
    host.add_system("third");
    let sync = "#!/bin/sh
case $* in *intent.new)
    ln -sfn \"$root/nix/store/third\" \"$root/nix/var/nix/profiles/system-3-link\"
    ln -sfn system-3-link \"$root/nix/var/nix/profiles/system\" ;;
esac\n";
    host.program("bin/sync", sync);
    let (word, reason) = host.deploy("commit");
    assert_eq!((word.as_str(), host.code()), ("superseded", Some(Code::Superseded)), "{reason}");
    assert!(reason.contains("its profile is system-3-link, and was system-1-link"), "{reason}");
    assert_eq!(host.systems()[..2], ["new", "third"], "{}", host.log());
    assert_eq!(host.called(), ["new test"]);
    host.assert_tidy();
}

#[test]
fn a_host_that_runs_what_somebody_else_activated_while_our_boot_menu_failed_is_told_so() {
    let host = FolderHost::new();
    host.add_system("third");
    // Whoever activates it holds the lock of switch-to-configuration.
    let theirs = "ln -sfn \"$root/nix/store/third\" \"$root/run/current-system\"; exit 1";
    host.switch_to_configuration("new", WELL, theirs);
    let (word, reason) = host.deploy("commit");
    assert_eq!((word.as_str(), host.code()), ("superseded", Some(Code::Superseded)), "{reason}");
    for part in ["it runs", "/third", "boot exited with 1"] {
        assert!(reason.contains(part), "{part}: {reason}");
    }
}

#[test]
fn an_unconfirmed_system_goes_back_though_somebody_else_set_the_profile() {
    let host = FolderHost::new();
    let supervisor = activated(&host);
    host.set_profile(2, "third");
    host.say("abort network-lost nobody could reach it");
    let (word, reason) = supervisor.outcome();
    assert_eq!(word, "superseded");
    assert!(
        reason.contains("nobody could reach it; it runs the previous system again"),
        "{reason}"
    );
    assert_eq!(host.systems()[..2], ["old", "third"], "{}", host.log());
}

#[test]
fn the_same_system_made_permanent_by_somebody_else_is_a_switch() {
    let host = FolderHost::new();
    let supervisor = activated(&host);
    host.set_profile(2, "new");
    host.acknowledge();
    host.say("commit");
    assert_eq!(supervisor.outcome().0, "switched", "{}", host.log());
    assert_eq!(host.systems(), ["new", "new", "new"]);
}

#[test]
fn a_test_that_somebody_else_ended_is_superseded_too() {
    let mut host = FolderHost::new();
    host.option("action=test");
    let supervisor = activated(&host);
    rebuild(&host);
    host.acknowledge();
    host.say("commit");
    assert_eq!(supervisor.outcome().0, "superseded");
}

#[test]
fn a_profile_that_somebody_else_set_a_moment_before_is_theirs_again() {
    let host = FolderHost::new();
    host.add_system("third");
    // Between the look at the profile and its change, somebody else sets it.
    let nix_env = std::fs::read_to_string(host.path("bin/nix-env")).unwrap();
    let set = nix_env.replacen(
        "case $3 in",
        "if [ ! -e \"$root/theirs\" ]; then : >\"$root/theirs\"; \"$0\" \"$1\" \"$2\" --set \"$root/nix/store/third\"; fi\ncase $3 in",
        1,
    );
    host.program("bin/nix-env", &set);
    let (word, reason) = host.deploy("commit");
    assert_eq!((word.as_str(), host.code()), ("superseded", Some(Code::Superseded)), "{reason}");
    assert!(reason.contains("its profile is") && reason.contains("/third again"), "{reason}");
    assert_eq!(host.systems()[..2], ["new", "third"], "{}", host.log());
    assert_eq!(host.called(), ["new test"], "the boot menu is theirs too");
    host.assert_tidy();
}

#[test]
fn a_generation_that_somebody_else_went_back_to_a_moment_before_is_theirs_again() {
    // Whoever goes back to a generation that is there makes no new one; what runs and boots tells.
    for (boots, profile) in [("3", "third"), ("1", "old")] {
        let host = FolderHost::new();
        host.add_system("third");
        host.set_profile(3, "third");
        host.set_profile(1, "old");
        let menu = format!(
            "ln -sfn \"$root/nix/store/third\" \"$root/run/current-system\"
            echo \"options init=$root/nix/store/third/init\" >\"$root/boot/loader/entries/nixos-generation-3.conf\"
            echo 'default nixos-generation-{boots}.conf' >\"$root/boot/loader/loader.conf\"
            echo 'Could not acquire lock'; exit 1"
        );
        host.switch_to_configuration("new", WELL, &menu);
        let (word, reason) = host.deploy("commit");
        assert_eq!(word, "superseded", "{}", host.log());
        assert!(reason.contains("/third, which is neither"), "{reason}");
        assert_eq!(host.systems()[..2], ["third", profile], "{}", host.log());
        host.assert_tidy();
    }
}

/// What the new system's boot menu does where another switch-to-configuration holds the lock at its first try,
/// and does this until it lets go.
fn busy(theirs: &str) -> String {
    format!(
        "if [ ! -e \"$root/was-busy\" ]; then
            : >\"$root/was-busy\"
            : >\"$root/run/nixos/switch-to-configuration.lock\"
            (exec 3<&- 9<&-; exec flock \"$root/run/nixos/switch-to-configuration.lock\" sh -c '{theirs}; sleep 1') >/dev/null 2>&1 &
            sleep 0.2
            echo 'Could not acquire lock'
            exit 1
        fi
        flock -n \"$root/run/nixos/switch-to-configuration.lock\" true || exit 1
        {BOOT}"
    )
}

#[test]
fn another_switch_that_holds_the_lock_is_waited_for() {
    let host = FolderHost::new();
    host.switch_to_configuration("new", WELL, &busy(":"));
    assert_eq!(host.deploy("commit").0, "switched", "{}", host.log());
    assert_eq!(host.called(), ["new test", "new boot", "new boot"]);
    assert_eq!(host.systems(), ["new", "new", "new"]);
}

#[test]
fn what_another_switch_changed_while_it_was_waited_for_is_not_written_over() {
    // It went back to the system before.
    let host = FolderHost::new();
    let back = "ln -sfn \"$root/nix/store/old\" \"$root/run/current-system\"";
    host.switch_to_configuration("new", WELL, &busy(back));
    let (word, reason) = host.deploy("commit");
    assert_eq!((word.as_str(), host.code()), ("superseded", Some(Code::Superseded)), "{reason}");
    assert!(reason.contains("it was switched back to"), "{reason}");
    assert_eq!(host.systems(), ["old", "old", "old"], "{}", host.log());
    assert_eq!(host.called(), ["new test", "new boot", "old boot"]);
    host.assert_tidy();
    // It made another system permanent for the next boot.
    let host = FolderHost::new();
    host.add_system("third");
    let boot = "profiles=$root/nix/var/nix/profiles; ln -sfn \"$root/nix/store/third\" $profiles/system-7-link; \
                ln -sfn system-7-link $profiles/system";
    host.switch_to_configuration("new", WELL, &busy(boot));
    let (word, reason) = host.deploy("commit");
    assert_eq!(word, "degraded", "{}", host.log());
    assert!(reason.contains("their profile and the boot menu were left"), "{reason}");
    assert_eq!(host.systems()[..2], ["new", "third"], "{}", host.log());
    assert_eq!(host.called(), ["new test", "new boot"], "the boot menu is theirs");
    host.assert_tidy();
}

#[test]
fn a_host_that_changed_since_the_plan_is_not_begun() {
    for (option, part) in [("seen_running=/nix/store/x", "runs"), ("seen_profile=/y", "profile")] {
        let mut host = FolderHost::new();
        host.option(option);
        let (word, reason) = host.deploy("commit");
        assert_eq!((word.as_str(), host.code()), ("superseded", Some(Code::Superseded)));
        assert!(reason.contains("since the plan was made") && reason.contains(part), "{reason}");
        assert!(host.called().is_empty());
        host.assert_untouched();
    }
    let mut host = FolderHost::new();
    let old = host.path("nix/store/old").display().to_string();
    host.option(&format!("seen_running={old}"));
    host.option(&format!("seen_profile={old}"));
    assert_eq!(host.deploy("commit").0, "switched");
}

/// Makes a host whose plan saw the old system, and on which somebody else has activated the new one since.
fn changed_since_the_plan() -> FolderHost {
    let mut host = FolderHost::new();
    let old = host.path("nix/store/old").display().to_string();
    host.option(&format!("seen_running={old}"));
    host.option(&format!("seen_profile={old}"));
    host.link("run/current-system", "new");
    host
}

#[test]
fn a_host_that_somebody_else_brought_the_same_system_since_the_plan_is_done() {
    for (action, word) in [("switch", "switched"), ("boot", "booted")] {
        let mut host = changed_since_the_plan();
        host.option(&format!("action={action}"));
        host.set_profile(2, "new");
        let entry = format!("options init={}/init quiet\n", host.path("nix/store/new").display());
        host.write("boot/loader/entries/nixos-generation-2.conf", &entry);
        host.write("boot/loader/loader.conf", "default nixos-generation-2.conf\n");
        let (found, reason) = host.deploy("commit");
        assert_eq!((found.as_str(), host.code()), (word, Some(Code::Superseded)), "{reason}");
        let line = host.result("outcome").unwrap();
        let ending = Decision::parse(&line).unwrap().ending("samsung", false);
        assert_eq!((ending.outcome, ending.reason), (Outcome::Unchanged, None));
        assert!(host.called().is_empty(), "nothing is left to do");
        assert_eq!(host.systems(), ["new", "new", "new"]);
        host.assert_tidy();
    }
}

#[test]
fn what_somebody_else_began_with_the_same_system_is_gone_on_with() {
    // It runs and is not permanent; it is permanent and another system is the boot default.
    for is_profile in [false, true] {
        let host = changed_since_the_plan();
        if is_profile {
            host.set_profile(2, "new");
        }
        assert_eq!(host.deploy("commit").0, "switched", "{}", host.log());
        assert_eq!(host.code(), None, "this deploy did it");
        assert_eq!(host.called(), ["new test", "new boot"]);
        assert_eq!(host.systems(), ["new", "new", "new"]);
    }
}

#[test]
fn the_same_system_beside_a_profile_that_is_a_third_one_is_superseded() {
    let host = changed_since_the_plan();
    host.add_system("third");
    host.set_profile(2, "third");
    assert_eq!(host.deploy("commit").0, "superseded");
    assert!(host.called().is_empty());
}

#[test]
fn what_somebody_else_deployed_while_the_supervisor_was_killed_stays() {
    let host = FolderHost::new();
    activated(&host).kill();
    rebuild(&host);
    assert_eq!(host.after().0, "superseded");
    assert_eq!(host.systems()[..2], ["third", "third"]);
    host.assert_tidy();
}

#[test]
fn who_deployed_while_the_lock_was_held_is_not_undone() {
    let host = FolderHost::new();
    host.add_system("third");
    // Whoever holds the lock of switch-to-configuration deploys the third system.
    let third = "echo 'Could not acquire lock'; ln -sfn \"$root/nix/store/third\" \"$root/run/current-system\"; exit 1";
    host.activation("old", third);
    assert_eq!(host.deploy("abort check-failed enough").0, "superseded");
    assert_eq!(host.systems()[0], "third");
    assert_eq!(host.called(), ["new test", "old test"]);
}

#[test]
fn a_system_that_somebody_deployed_while_the_boot_menu_was_written_is_told() {
    let host = FolderHost::new();
    host.add_system("third");
    let rebuilds = "ln -sfn \"$root/nix/store/third\" \"$root/run/current-system\"";
    host.switch_to_configuration("new", WELL, rebuilds);
    let (word, reason) = host.deploy("commit");
    assert_eq!((word.as_str(), host.code()), ("superseded", Some(Code::Superseded)), "{reason}");
    assert!(reason.contains("while the new system was made permanent"), "{reason}");
    assert!(reason.contains("/third"), "{reason}");
}

#[test]
fn a_system_that_somebody_switched_back_by_hand_is_not_made_permanent() {
    let host = FolderHost::new();
    let supervisor = activated(&host);
    host.link("run/current-system", "old");
    host.acknowledge();
    host.say("commit");
    let (word, reason) = supervisor.outcome();
    assert_eq!(word, "superseded", "{reason}");
    assert!(reason.contains("somebody switched it back"), "{reason}");
    assert_eq!(host.systems()[..2], ["old", "old"]);
    assert_eq!(host.called(), ["new test"]);
}
