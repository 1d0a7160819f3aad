//! Supervisors and operators that are killed in the middle of their work. A nixdash that is killed in each
//! of its phases is a row of the fault matrix.

use super::attack::{
    Stands, assert_on, assert_truth, bump_broken, error, finish, fresh, repair, running,
    supervisor, wait_for_profile, wait_until_quiet,
};
use super::{Lab, assert_ok, lab, on};
use std::process::Command;
use std::time::{Duration, Instant};

/// Kills every process of a unit, as the kernel does for want of memory.
fn kill_unit(host: &str, unit: &str) {
    on(host, &format!("systemctl kill --signal=KILL {unit}"));
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_supervisor_that_is_killed_in_the_activation_leaves_no_half_host() {
    for milliseconds in [500, 3000] {
        let fleet = fresh("samsung");
        let before = running("samsung");
        bump_broken("samsung", &["slow", "8"]);
        let child = fleet.deploying(&["samsung"]);
        let unit = supervisor("samsung");
        std::thread::sleep(Duration::from_millis(milliseconds));
        kill_unit("samsung", &unit);
        let deployed = finish(child);
        wait_until_quiet("samsung");
        let word = deployed.result("samsung")["outcome"].as_str().unwrap();
        assert!(["rolled-back", "failed"].contains(&word), "{}", deployed.story());
        assert_on("samsung", &before, &deployed.story());
        repair(&fleet, "samsung");
    }
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_supervisor_that_is_killed_after_commit_ends_on_one_system_and_says_which() {
    let fleet = fresh("samsung");
    let before = running("samsung");
    bump_broken("samsung", &["slow-boot", "6"]);
    let child = fleet.deploying(&["samsung"]);
    let unit = supervisor("samsung");
    wait_for_profile("samsung", &before);
    kill_unit("samsung", &unit);
    let deployed = finish(child);
    wait_until_quiet("samsung");
    assert_truth("samsung", &deployed, &before);
    repair(&fleet, "samsung");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_supervisor_that_is_killed_while_it_waits_goes_back() {
    let fleet = fresh("samsung").with("settle = \"10s\"");
    let before = running("samsung");
    assert_ok(&lab(&["bump", "samsung"]));
    let child = fleet.deploying(&["samsung"]);
    let unit = supervisor("samsung");
    super::wait_for("the new system to run", Duration::from_secs(60), || {
        running("samsung") != before
    });
    std::thread::sleep(Duration::from_secs(2));
    kill_unit("samsung", &unit);
    let deployed = finish(child);
    wait_until_quiet("samsung");
    deployed.assert_outcome("samsung", "rolled-back");
    assert_on("samsung", &before, &deployed.story());
    repair(&fleet, "samsung");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_second_operator_is_told_who_deploys_and_disturbs_nobody() {
    let fleet = fresh("samsung");
    bump_broken("samsung", &["slow", "9"]);
    let first = fleet.deploying(&["samsung"]);
    supervisor("samsung");
    for second in 0..4 {
        let other =
            Lab { hosts_file: fleet.hosts_file.clone(), state: tempfile::tempdir().unwrap() };
        let began = Instant::now();
        let refused = finish(other.deploying(&["samsung"]));
        let result = refused.result("samsung");
        assert_ne!(result["outcome"], "switched", "at {second} s: {}", refused.story());
        let said = error(&refused, "samsung");
        assert!(said.contains("run"), "at {second} s it does not name the run: {said}");
        std::thread::sleep(Duration::from_secs(1).saturating_sub(began.elapsed()));
    }
    let deployed = finish(first);
    let result = deployed.assert_outcome("samsung", "switched");
    assert_on("samsung", result["toplevel"].as_str().unwrap(), &deployed.story());
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn an_interrupt_in_the_activation_is_heard_at_once_and_goes_back() {
    let fleet = fresh("samsung");
    let before = running("samsung");
    bump_broken("samsung", &["slow", "6"]);
    let child = fleet.deploying(&["samsung"]);
    supervisor("samsung");
    std::thread::sleep(Duration::from_secs(1));
    assert_ok(&Command::new("kill").args(["-INT", &child.id().to_string()]).output().unwrap());
    let deployed = finish(child);
    let said = deployed.story();
    assert!(said.contains("cannot be interrupted"), "{said}");
    wait_until_quiet("samsung");
    assert_eq!(Stands::of("samsung"), Stands::on(&before), "{said}");
    assert_on("samsung", &before, &said);
    repair(&fleet, "samsung");
}
