//! Activations that fail in the ways that real switch-to-configuration programs do.

use super::attack::{
    Stands, assert_on, assert_truth, deploy_broken, error, finish, fresh, repair, running,
};
use super::{assert_ok, lab, power_cycle};
use std::time::{Duration, Instant};

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_failed_part_of_the_activation_script_goes_back_whatever_the_exit_code() {
    for broken in ["snippet", "perl-snippet", "perl-snippet-unit"] {
        let fleet = fresh("samsung");
        let before = running("samsung");
        let deployed = deploy_broken(&fleet, &[broken]);
        deployed.assert_outcome("samsung", "rolled-back");
        let said = error(&deployed, "samsung");
        assert!(said.contains("setupSecrets"), "{broken}: {said}");
        assert_on("samsung", &before, &deployed.story());
        repair(&fleet, "samsung");
    }
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_part_that_fails_in_the_running_system_too_is_named_and_stops_no_deploy() {
    let fleet = fresh("samsung");
    assert_ok(&lab(&["fault", "samsung", "no-secrets-key"]));
    assert_ok(&lab(&["bump", "samsung"]));
    let deployed = finish(fleet.deploying(&["samsung"]));
    let result = deployed.result("samsung");
    let toplevel = result["toplevel"].as_str().unwrap();
    assert_eq!(Stands::of("samsung"), Stands::on(toplevel), "{}", deployed.story());
    assert!(error(&deployed, "samsung").contains("setupSecrets"), "{}", deployed.story());
    assert_on("samsung", toplevel, &deployed.story());
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn an_inhibited_system_is_to_be_booted() {
    let fleet = fresh("samsung");
    let before = running("samsung");
    let deployed = deploy_broken(&fleet, &["inhibited"]);
    let result = deployed.assert_outcome("samsung", "needs-reboot");
    let toplevel = result["toplevel"].as_str().unwrap();
    assert_eq!(running("samsung"), before);
    power_cycle("samsung");
    assert_eq!(Stands::of("samsung"), Stands::on(toplevel), "{}", deployed.story());
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn another_pre_switch_check_is_a_failure_by_its_name_whatever_the_exit_code() {
    let breaks: [&[&str]; 6] = [
        &["pre-switch"],
        &["errno"],
        &["errno", "2"],
        &["errno", "4"],
        &["errno", "100"],
        &["errno", "124"],
    ];
    for broken in breaks {
        let fleet = fresh("samsung");
        let before = running("samsung");
        let deployed = deploy_broken(&fleet, broken);
        deployed.assert_outcome("samsung", "failed");
        let said = error(&deployed, "samsung");
        assert!(said.contains("diskSpace"), "{broken:?}: {said}");
        assert_on("samsung", &before, &deployed.story());
    }
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn units_of_a_user_that_fail_are_told_by_the_user() {
    let fleet = fresh("samsung");
    let deployed = deploy_broken(&fleet, &["user-units"]);
    let result = deployed.result("samsung");
    let word = result["outcome"].as_str().unwrap();
    assert!(["switched", "degraded"].contains(&word), "{}", deployed.story());
    let said = error(&deployed, "samsung");
    assert!(said.split(|c: char| !c.is_alphanumeric()).any(|word| word == "me"), "{said}");
    assert_on("samsung", result["toplevel"].as_str().unwrap(), &deployed.story());
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_failed_unit_is_told_with_the_line_that_it_wrote() {
    let fleet = fresh("samsung");
    let deployed = deploy_broken(&fleet, &["unit"]);
    let result = deployed.assert_outcome("samsung", "degraded");
    let said = error(&deployed, "samsung");
    assert!(said.contains("fleet-migrate"), "{said}");
    assert!(said.contains("no such table: hosts"), "{said}");
    assert_on("samsung", result["toplevel"].as_str().unwrap(), &deployed.story());
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn an_activation_that_ignores_its_end_is_killed_and_gone_back_from() {
    let fleet = fresh("samsung").with("activation_timeout = \"10s\"");
    let before = running("samsung");
    let began = Instant::now();
    let deployed = deploy_broken(&fleet, &["stubborn"]);
    deployed.assert_outcome("samsung", "rolled-back");
    assert!(began.elapsed() < Duration::from_secs(90), "{}", deployed.story());
    assert_on("samsung", &before, &deployed.story());
    repair(&fleet, "samsung");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn an_activation_that_is_slow_says_something_every_ten_seconds() {
    let fleet = fresh("samsung").with("activation_timeout = \"28s\"");
    let before = running("samsung");
    let deployed = deploy_broken(&fleet, &["stubborn"]);
    deployed.assert_outcome("samsung", "rolled-back");
    let log = deployed.log("samsung", "activate");
    assert!(log.matches("has been running for").count() >= 2, "{log}");
    assert_on("samsung", &before, &deployed.story());
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_pinned_boot_entry_is_no_success() {
    let fleet = fresh("samsung");
    let before = running("samsung");
    assert_ok(&lab(&["fault", "samsung", "boot-pinned"]));
    assert_ok(&lab(&["bump", "samsung"]));
    let deployed = finish(fleet.deploying(&["samsung"]));
    let result = deployed.result("samsung");
    assert_ne!(result["outcome"], "switched", "{}", deployed.story());
    let said = error(&deployed, "samsung");
    assert!(said.contains("bootctl set-default"), "{said}");
    power_cycle("samsung");
    assert_eq!(running("samsung"), before, "the pinned entry boots");
    assert_ok(&lab(&["fault", "samsung", "clear"]));
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_deploy_without_faults_is_told_truly_too() {
    let fleet = fresh("samsung");
    let before = running("samsung");
    assert_ok(&lab(&["bump", "samsung"]));
    let deployed = finish(fleet.deploying(&["samsung"]));
    assert_eq!(assert_truth("samsung", &deployed, &before), "switched");
}
