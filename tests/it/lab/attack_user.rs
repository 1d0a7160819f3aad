//! An unprivileged user of a target who tries everything that is in reach.

use super::attack::{assert_on, bump_broken, error, finish, fresh, running, supervisor};
use super::{assert_ok, lab, on};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Returns whether a command of the user `guest` of samsung succeeds.
fn guest_can(command: &str) -> bool {
    let output = lab(&["shell", "samsung", "su", "-s", "/bin/sh", "guest", "-c", command]);
    output.status.success()
}

/// Checks that nothing of nixdash on the host can be read, written or held by the user.
fn assert_kept_out(when: &str) {
    let tries = [
        "flock -n /run/nixdash/lock true",
        ": >>/run/nixdash/lock",
        "ls /run/nixdash",
        "mkdir -p /run/nixdash/jobs/mine",
        "ls /run/nixdash/jobs",
        "cat /run/nixdash/jobs/*/script",
        "echo commit >/run/nixdash/jobs/*/word",
        "ls /var/lib/nixdash/jobs",
        "mkdir -p /var/lib/nixdash/jobs/mine",
        "mkdir -p /nix/var/nixdash/mine",
        "echo x >/nix/var/nixdash/intent",
        "ln -s /nix/store /nix/var/nix/gcroots/nixdash/mine",
        "mv /run/nixdash /run/nixdash-old",
    ];
    for command in tries {
        assert!(!guest_can(command), "{when}: guest could: {command}");
    }
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn an_unprivileged_user_reaches_neither_lock_nor_jobs() {
    let fleet = fresh("samsung");
    assert_kept_out("before any deploy");
    bump_broken("samsung", &["slow", "5"]);
    let child = fleet.deploying(&["samsung"]);
    supervisor("samsung");
    std::thread::sleep(Duration::from_secs(1));
    assert_kept_out("during an activation");
    let deployed = finish(child);
    let result = deployed.assert_outcome("samsung", "switched");
    assert_kept_out("after a deploy");
    assert_on("samsung", result["toplevel"].as_str().unwrap(), &deployed.story());
}

/// Lets the user hold switch-to-configuration's own lock, which everybody may read, for so long.
fn guest_holds_the_lock(seconds: u32) -> Child {
    on("samsung", "mkdir -p /run/nixos; : >>/run/nixos/switch-to-configuration.lock");
    let name = std::env::var("NIXDASH_LAB_NAME").unwrap_or_else(|_| "test".to_owned());
    let command = format!("exec flock /run/nixos/switch-to-configuration.lock sleep {seconds}");
    let child = Command::new(super::nixdash())
        .args(["lab", "shell", "samsung", "su", "-s", "/bin/sh", "guest", "-c", &command])
        .env("NIXDASH_LAB_NAME", name)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    super::wait_for("the user to hold the lock", Duration::from_secs(10), || {
        let lock = "/run/nixos/switch-to-configuration.lock";
        on("samsung", &format!("flock -n {lock} true && echo free; true")) != "free"
    });
    child
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_user_who_holds_the_lock_of_nixos_is_named() {
    let fleet = fresh("samsung");
    let before = running("samsung");
    assert_ok(&lab(&["bump", "samsung"]));
    let mut holder = guest_holds_the_lock(120);
    let deployed = finish(fleet.deploying(&["samsung"]));
    deployed.assert_outcome("samsung", "failed");
    let said = error(&deployed, "samsung");
    assert!(said.contains("guest"), "{said}");
    on("samsung", "pkill -u guest; true");
    holder.wait().unwrap();
    assert_on("samsung", &before, &deployed.story());
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn going_back_waits_for_a_user_who_holds_the_lock_of_nixos() {
    let fleet = fresh("samsung");
    let before = running("samsung");
    bump_broken("samsung", &["network"]);
    let child = fleet.deploying(&["samsung"]);
    super::wait_for("the new system to run", Duration::from_secs(90), || {
        running("samsung") != before
    });
    std::thread::sleep(Duration::from_secs(2));
    let mut holder = guest_holds_the_lock(30);
    let deployed = finish(child);
    holder.wait().unwrap();
    deployed.assert_outcome("samsung", "rolled-back");
    assert_on("samsung", &before, &deployed.story());
}
