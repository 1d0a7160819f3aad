//! Words, limits, and a supervisor that is ended: the host is what it was, or what it was told to be.

use super::host::{FolderHost, Supervisor, WELL, job};
use crate::fleet::Code;

#[test]
fn nobody_who_reaches_it_sends_it_back() {
    let mut host = FolderHost::new();
    host.option("ack=0");
    let (word, reason) = host.supervise().outcome();
    assert_eq!(word, "rolled-back");
    assert_eq!(host.code(), Some(Code::NetworkLost));
    assert!(reason.contains("nobody reached the host"), "{reason}");
    host.assert_untouched();
}

#[test]
fn no_word_after_the_checks_sends_it_back() {
    let mut host = FolderHost::new();
    host.option("settle=0");
    host.option("ack=1");
    host.acknowledge();
    host.write(&job("checked"), "");
    let (word, reason) = host.supervise().outcome();
    assert_eq!(
        (word.as_str(), reason.as_str()),
        ("rolled-back", "no order to keep the new system came within 1 s after the checks")
    );
    assert_eq!(host.code(), Some(Code::ConfirmationMissing));
    host.assert_untouched();
}

#[test]
fn checks_that_do_not_end_send_it_back() {
    let mut host = FolderHost::new();
    host.option("check=0");
    host.acknowledge();
    let (word, reason) = host.supervise().outcome();
    assert_eq!(
        (word.as_str(), reason.as_str()),
        ("rolled-back", "the checks did not end within 0 s")
    );
    assert_eq!(host.code(), Some(Code::ConfirmationMissing));
    host.assert_untouched();
}

#[test]
fn the_word_abort_is_heard_without_an_acknowledgement() {
    let host = FolderHost::new();
    let supervisor = host.supervise();
    host.wait_until("the activation", |host| host.result("activated").is_some());
    host.say("abort run-stopped the operator stopped the run");
    assert_eq!(supervisor.outcome(), ("rolled-back".into(), "the operator stopped the run".into()));
    assert_eq!(host.code(), Some(Code::RunStopped));
    host.assert_untouched();
}

#[test]
fn a_word_that_is_not_understood_sends_it_back() {
    let host = FolderHost::new();
    assert_eq!(host.deploy("maybe").0, "rolled-back");
    assert_eq!(host.code(), Some(Code::ConfirmationMissing));
    host.assert_untouched();
}

#[test]
fn going_back_skips_pre_switch_checks_and_waits_for_a_held_lock() {
    let host = FolderHost::new();
    // The first try finds the lock held.
    host.activation("old", &format!("echo \"$NIXOS_NO_CHECK\" >>\"$root/seen\"
        if [ ! -e \"$root/second\" ]; then : >\"$root/second\"; echo 'Could not acquire lock'; exit 1; fi
        {WELL}exit 0"));
    assert_eq!(host.deploy("abort check-failed enough").0, "rolled-back");
    assert_eq!(std::fs::read_to_string(host.path("seen")).unwrap(), "1\n1\n");
    host.assert_untouched();
}

#[test]
fn a_host_that_cannot_go_back_says_what_it_is_now() {
    let host = FolderHost::new();
    host.activation("old", "echo 'activating the configuration...'; exit 1");
    let (word, reason) = host.deploy("abort check-failed enough");
    assert_eq!(word, "stuck");
    assert_eq!(host.code(), Some(Code::SystemUnexpected));
    assert!(reason.contains("it runs") && reason.contains("/etc is from"), "{reason}");
}

#[test]
fn a_host_of_which_only_etc_stays_new_is_not_called_rolled_back() {
    let host = FolderHost::new();
    host.activation(
        "old",
        "echo 'activating the configuration...'
        ln -sfn \"$system\" \"$root/run/current-system\"; exit 0",
    );
    let (word, reason) = host.deploy("abort check-failed enough");
    assert_eq!(word, "stuck", "{reason}");
    assert!(reason.contains("/etc is from") && !reason.contains("it runs"), "{reason}");
}

#[test]
fn a_way_back_that_failed_or_was_cut_off_is_stuck_though_the_links_are_the_old_ones() {
    for (ends, said) in [
        ("exit 1", "activating the previous system again exited with 1"),
        ("exit 101", "activating the previous system again exited with 101"),
        ("sleep 60", "activating the previous system again took longer than 2 s"),
    ] {
        let mut host = FolderHost::new();
        host.option("activation=2");
        host.activation("old", &format!("{WELL}{ends}"));
        let (word, reason) = host.deploy("abort check-failed enough");
        assert_eq!(word, "stuck", "{ends}: {reason}");
        assert_eq!(host.code(), Some(Code::SystemUnexpected));
        assert!(
            reason.starts_with("enough; after going back,") && reason.ends_with(said),
            "{reason}"
        );
        assert_eq!(host.systems(), ["old", "old", "old"], "{ends}");
    }
}

#[test]
fn units_that_failed_while_it_went_back_are_named() {
    let host = FolderHost::new();
    host.write("failed-units", "old.service loaded failed\n");
    host.activation(
        "old",
        &format!("echo 'dead.service loaded failed' >>\"$root/failed-units\"\n{WELL}exit 4"),
    );
    let (word, reason) = host.deploy("abort check-failed enough");
    assert_eq!(
        (word.as_str(), reason.as_str()),
        ("rolled-back", "enough; units that failed meanwhile: dead.service ")
    );
    assert_eq!(host.code(), Some(Code::CheckFailed));
}

#[test]
fn a_supervisor_that_is_killed_in_the_activation_leaves_the_old_system() {
    let host = FolderHost::new();
    host.activation(
        "new",
        "echo 'activating the configuration...'
        ln -sfn \"$system/etc\" \"$root/etc/static\"
        : >\"$root/half\"
        sleep 60",
    );
    let supervisor = host.supervise();
    host.wait_until("half of the activation", |host| host.path("half").exists());
    supervisor.kill();
    let (word, reason) = host.after();
    assert_eq!(word, "rolled-back", "{}", host.log());
    assert_eq!(host.code(), Some(Code::JobEnded));
    assert!(reason.contains("its supervisor was ended"), "{reason}");
    host.assert_untouched();
}

#[test]
fn a_supervisor_that_is_killed_before_anything_changed_says_so() {
    let host = FolderHost::new();
    host.activation("new", ": >\"$root/half\"; sleep 60");
    let supervisor = host.supervise();
    host.wait_until("the activation", |host| host.path("half").exists());
    supervisor.kill();
    let (word, reason) = host.after();
    assert_eq!(
        (word.as_str(), reason.as_str()),
        ("failed", "its supervisor was ended before anything was changed")
    );
    assert_eq!(host.code(), Some(Code::JobEnded));
    host.assert_untouched();
}

#[test]
fn a_supervisor_that_is_killed_after_the_word_goes_on_with_what_it_was_told() {
    let host = FolderHost::new();
    host.switch_to_configuration(
        "new",
        WELL,
        "if [ ! -e \"$root/half\" ]; then : >\"$root/half\"; sleep 60; fi
        printf 'default nixos-generation-2.conf\\n' >\"$root/boot/loader/loader.conf\"
        echo \"options init=$system/init\" >\"$root/boot/loader/entries/nixos-generation-2.conf\"",
    );
    host.acknowledge();
    host.say("commit");
    let supervisor = host.supervise();
    host.wait_until("the boot menu", |host| host.path("half").exists());
    supervisor.kill();
    assert_eq!(host.after().0, "switched", "{}", host.log());
    assert_eq!(host.systems(), ["new", "new", "new"]);
    host.assert_tidy();
}

#[test]
fn what_runs_after_the_job_leaves_a_decided_host_alone() {
    let host = FolderHost::new();
    assert_eq!(host.deploy("commit").0, "switched");
    assert_eq!(host.after().0, "switched");
    assert_eq!(host.called(), ["new test", "new boot"]);
}

#[test]
fn nothing_is_done_while_the_machine_goes_down() {
    let host = FolderHost::new();
    let supervisor = host.supervise();
    host.wait_until("the activation", |host| host.result("activated").is_some());
    supervisor.kill();
    host.write("machine", "stopping\n");
    let mut command = host.called();
    assert!(std::panic::catch_unwind(|| host.after()).is_err(), "there is no outcome");
    command.retain(|line| line != "new test");
    assert!(command.is_empty(), "{command:?}");
}

#[test]
fn a_supervisor_that_is_told_to_end_goes_back_first() {
    let host = FolderHost::new();
    let supervisor = host.supervise();
    host.wait_until("the activation", |host| host.result("activated").is_some());
    supervisor.stop();
    assert_eq!(
        supervisor.outcome(),
        ("rolled-back".into(), "its supervisor was told to end".into())
    );
    assert_eq!(host.code(), Some(Code::JobEnded));
    host.assert_untouched();
}

#[test]
fn a_machine_that_stays_cut_off_restarts_when_it_may() {
    let mut host = FolderHost::new();
    for option in ["ack=0", "recover=yes", "connectivity=127.0.0.1:9"] {
        host.option(option);
    }
    // Nothing answers there before, so nothing is known of the network: no restart.
    assert_eq!(host.supervise().outcome().0, "rolled-back");
    assert!(!host.path("restarted").exists(), "{}", host.log());
}

/// Lets nobody reach a host that may restart itself; the place that answers it does so until the
/// activation, and afterwards when `answers`.
fn stay_cut_off(answers: bool) -> FolderHost {
    let mut host = FolderHost::new();
    let place = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let connectivity = format!("connectivity={}", place.local_addr().unwrap());
    for option in ["ack=1", "recover=yes", &connectivity] {
        host.option(option);
    }
    let supervisor = host.supervise();
    host.wait_until("the activation", |host| host.result("activated").is_some());
    let kept = answers.then_some(place);
    assert_eq!(supervisor.outcome().0, "rolled-back");
    drop(kept);
    host
}

#[test]
fn a_machine_that_stays_cut_off_restarts_when_what_answered_it_does_not_any_more() {
    let host = stay_cut_off(false);
    // The root disk of the machine of the test decides too: one that asks for a passphrase stays.
    let asks = host.log().contains("may ask for a passphrase");
    assert_eq!(host.path("restarted").exists(), !asks, "{}", host.log());
    host.assert_untouched();
}

#[test]
fn a_machine_that_is_still_connected_is_not_restarted() {
    let host = stay_cut_off(true);
    assert!(!host.path("restarted").exists(), "{}", host.log());
    assert!(host.log().contains("this host is not restarted"), "{}", host.log());
}

#[test]
fn a_second_operator_is_told_who_is_at_it() {
    let host = FolderHost::new();
    let supervisor = host.supervise();
    host.wait_until("the activation", |host| host.result("activated").is_some());
    let other = FolderHost::new();
    // The same host, seen by another job.
    for shared in ["run/nixdash/lock", "run/nixdash/owner"] {
        std::os::unix::fs::symlink(host.path(shared), other.path(shared)).unwrap();
    }
    let (word, reason) = other.deploy("commit");
    assert_eq!((word.as_str(), other.code()), ("locked", Some(Code::LockHeld)));
    for part in ["who=me@desk", "run=41", "since=", "until="] {
        assert!(reason.contains(part), "{reason}");
    }
    assert_eq!(other.systems(), ["old", "old", "old"]);
    host.say("abort check-failed enough");
    assert_eq!(supervisor.outcome().0, "rolled-back");
}

#[test]
fn the_lock_lives_as_long_as_the_unit_of_a_supervisor_that_died() {
    let host = FolderHost::new();
    host.write(
        "run/nixdash/owner",
        "who=you@desk run=40 unit=nixdash-other dir=/x since=1 until=2\n",
    );
    host.write("units/nixdash-other", "deactivating\n");
    assert_eq!(host.deploy("commit").0, "locked");
    std::fs::remove_file(host.path("units/nixdash-other")).unwrap();
    host.write(&job("outcome"), &format!("{:4095}\n", ""));
    assert_eq!(host.deploy("commit").0, "switched");
}

/// Lets somebody hold the lock whose name is this, until the file `give-back` is there; then does this.
fn hold_the_lock(host: &FolderHost, and_then: &str) -> std::process::Child {
    host.write("run/nixdash/lock", "");
    host.write(
        "run/nixdash/owner",
        "who=you@desk run=40 unit=nixdash-other dir=/x since=1 until=2\n",
    );
    host.write("units/nixdash-other", "active\n");
    let script = format!(
        "exec 9>>\"$root/run/nixdash/lock\"; flock 9; : >\"$root/holds\"
        until [ -e \"$root/give-back\" ]; do sleep 0.02; done; {and_then}"
    );
    let mut holding = std::process::Command::new("/bin/sh");
    holding.args(["-c", &script]).env("root", host.path("")).stdin(std::process::Stdio::null());
    let child = holding.spawn().unwrap();
    host.wait_until("the other one's lock", |host| host.path("holds").exists());
    child
}

#[test]
fn a_lock_that_was_given_back_is_taken_when_the_unit_has_ended() {
    let host = FolderHost::new();
    let then = "rm \"$root/run/nixdash/owner\"; exec 9>&-; : >\"$root/free\"; sleep 1; rm \"$root/units/nixdash-other\"";
    let mut other = hold_the_lock(&host, then);
    std::fs::write(host.path(&job("ack")), "").unwrap();
    host.say("commit");
    let supervisor = host.supervise();
    // It has read whose lock it is before that one ends.
    host.wait_until("the wait for the lock", |_| waits_for_a_lock(&supervisor));
    host.write("give-back", "");
    assert_eq!(supervisor.outcome().0, "switched", "{}", host.log());
    assert!(!host.path("units/nixdash-other").exists(), "the unit was not waited for");
    assert!(other.wait().unwrap().success());
}

#[test]
fn a_lock_whose_unit_does_not_end_is_refused_with_its_name_though_that_is_gone() {
    let host = FolderHost::new();
    let mut other = hold_the_lock(&host, "rm \"$root/run/nixdash/owner\"");
    let supervisor = host.supervise();
    host.wait_until("the wait for the lock", |_| waits_for_a_lock(&supervisor));
    host.write("give-back", "");
    let (word, reason) = supervisor.outcome();
    assert_eq!((word.as_str(), host.code()), ("locked", Some(Code::LockHeld)));
    assert!(reason.contains("who=you@desk run=40"), "{reason}");
    host.assert_untouched();
    assert!(other.wait().unwrap().success());
}

/// Tells whether a supervisor waits for the lock.
fn waits_for_a_lock(supervisor: &Supervisor<'_>) -> bool {
    let parent = supervisor.id().to_string();
    let found =
        std::process::Command::new("pgrep").args(["-P", &parent, "flock"]).output().unwrap();
    !found.stdout.is_empty()
}

#[test]
fn a_word_to_keep_a_host_on_its_way_back_keeps_nothing() {
    let mut host = FolderHost::new();
    // Going back hangs, and the supervisor is killed in the middle of it.
    host.activation("old", ": >\"$root/half\"; sleep 60");
    host.option("ack=0");
    let supervisor = host.supervise();
    host.wait_until("the way back", |host| host.path("half").exists());
    host.say("commit");
    supervisor.kill();
    host.activation("old", &format!("{WELL}exit 0"));
    let (word, ..) = host.after();
    assert_eq!(word, "rolled-back", "{}", host.log());
    host.assert_untouched();
}

#[test]
fn a_reason_with_backslashes_stands_in_the_log_as_it_was_given() {
    let host = FolderHost::new();
    let why = r"a check failed: printf 'one\rtwo\n\033[31m'; exit 22 (exit code 22)";
    host.deploy(&format!("abort check-failed {why}"));
    assert!(host.log().contains(why), "{}", host.log());
}

#[test]
fn a_stopped_run_does_not_install_what_needs_a_reboot() {
    let host = FolderHost::new();
    host.activation("new", "exit 100");
    host.say("abort run-stopped the operator stopped the run");
    let (word, ..) = host.supervise().outcome();
    assert_eq!(word, "failed", "{}", host.log());
    host.assert_untouched();
}

#[test]
fn a_unit_that_is_stopped_lets_the_supervisor_go_back_through_its_wrapper() {
    let host = FolderHost::new();
    let wrapper = host.wrapped();
    host.wait_until("the activation", |host| host.result("activated").is_some());
    wrapper.stop();
    assert_eq!(wrapper.outcome().0, "rolled-back", "{}", host.log());
    assert_eq!(host.result("exit").as_deref(), Some("0"));
    host.assert_untouched();
}
