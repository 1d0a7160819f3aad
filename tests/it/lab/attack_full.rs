//! Memory and disks without a byte left, in the middle of a deploy.

use super::attack::{
    assert_truth, bump_broken, error, finish, fresh, repair, running, supervisor, wait_for_profile,
    wait_until_quiet,
};
use super::{assert_ok, lab};
use std::time::Duration;

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_run_that_fills_up_in_the_activation_ends_with_a_true_account() {
    let fleet = fresh("samsung");
    let before = running("samsung");
    bump_broken("samsung", &["slow", "5"]);
    let child = fleet.deploying(&["samsung"]);
    supervisor("samsung");
    std::thread::sleep(Duration::from_secs(2));
    assert_ok(&lab(&["fault", "samsung", "run-full"]));
    let deployed = finish(child);
    wait_until_quiet("samsung");
    assert_ok(&lab(&["fault", "samsung", "clear"]));
    assert_truth("samsung", &deployed, &before);
    repair(&fleet, "samsung");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_run_that_fills_up_in_persist_ends_with_a_true_account() {
    let fleet = fresh("samsung");
    let before = running("samsung");
    bump_broken("samsung", &["slow-boot", "5"]);
    let child = fleet.deploying(&["samsung"]);
    wait_for_profile("samsung", &before);
    assert_ok(&lab(&["fault", "samsung", "run-full"]));
    let deployed = finish(child);
    wait_until_quiet("samsung");
    assert_ok(&lab(&["fault", "samsung", "clear"]));
    assert_truth("samsung", &deployed, &before);
    repair(&fleet, "samsung");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_run_that_is_full_before_the_deploy_is_said_and_changes_nothing() {
    let fleet = fresh("samsung");
    let before = running("samsung");
    assert_ok(&lab(&["bump", "samsung"]));
    assert_ok(&lab(&["fault", "samsung", "run-full"]));
    let deployed = finish(fleet.deploying(&["samsung"]));
    assert_ok(&lab(&["fault", "samsung", "clear"]));
    deployed.assert_outcome("samsung", "failed");
    let said = error(&deployed, "samsung");
    assert!(said.contains("/run"), "{said}");
    assert_truth("samsung", &deployed, &before);
    repair(&fleet, "samsung");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_full_folder_of_logs_ends_with_a_true_account() {
    let fleet = fresh("samsung");
    let before = running("samsung");
    assert_ok(&lab(&["bump", "samsung"]));
    assert_ok(&lab(&["fault", "samsung", "var-full"]));
    let deployed = finish(fleet.deploying(&["samsung"]));
    wait_until_quiet("samsung");
    assert_ok(&lab(&["fault", "samsung", "clear"]));
    assert_truth("samsung", &deployed, &before);
    repair(&fleet, "samsung");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_folder_of_logs_that_fills_up_in_the_activation_does_not_disturb_it() {
    let fleet = fresh("p510");
    let before = running("p510");
    bump_broken("p510", &["slow", "5"]);
    let child = fleet.deploying(&["p510", "--allow-protected", "p510"]);
    supervisor("p510");
    std::thread::sleep(Duration::from_secs(1));
    assert_ok(&lab(&["fault", "p510", "var-full"]));
    let deployed = finish(child);
    wait_until_quiet("p510");
    assert_ok(&lab(&["fault", "p510", "clear"]));
    let word = assert_truth("p510", &deployed, &before);
    assert_eq!(word, "switched", "{}", deployed.story());
    repair(&fleet, "p510");
}
