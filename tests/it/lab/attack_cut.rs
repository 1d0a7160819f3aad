//! Cables and power that are cut at the worst moments.

use super::attack::{
    Stands, assert_on, assert_truth, bump_broken, error, finish, fresh, repair, running,
    supervisor, wait_for_profile, wait_until_quiet,
};
use super::{assert_ok, lab, on, power_cycle};
use std::time::Duration;

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_host_that_is_cut_off_for_good_in_persist_is_told_with_what_is_known() {
    let fleet = fresh("samsung");
    let before = running("samsung");
    bump_broken("samsung", &["slow-boot", "5"]);
    let child = fleet.deploying(&["samsung"]);
    wait_for_profile("samsung", &before);
    assert_ok(&lab(&["fault", "samsung", "partition"]));
    let deployed = finish(child);
    let result = deployed.assert_outcome("samsung", "unknown");
    let said = error(&deployed, "samsung");
    assert!(said.contains("told to keep the new system"), "{said}");
    assert!(said.contains("not seen since"), "{said}");
    let toplevel = result["toplevel"].as_str().unwrap().to_owned();
    assert_eq!(Stands::of("samsung"), Stands::on(&toplevel), "{}", deployed.story());
    assert_ok(&lab(&["fault", "samsung", "clear"]));
    assert_on("samsung", &toplevel, &deployed.story());
    repair(&fleet, "samsung");
}

/// Cuts a host's power between the profile and the boot menu. p510 forgets /var at every start.
fn cut_power_in_persist(host: &str) {
    let fleet = fresh(host);
    let before = running(host);
    bump_broken(host, &["slow-boot", "20"]);
    let child = fleet.deploying(&[host, "--allow-protected", "p510"]);
    wait_for_profile(host, &before);
    power_cycle(host);
    let deployed = finish(child);
    let word = deployed.result(host)["outcome"].as_str().unwrap().to_owned();
    assert_ne!(word, "switched", "{}", deployed.story());
    wait_until_quiet(host);
    let stands = Stands::of(host);
    // Put back, or said: an untrue word of either kind is the fault.
    if stands != Stands::on(&before) {
        let said = error(&deployed, host);
        assert!(said.contains("profile"), "{stands:?}: {}", deployed.story());
    }
    repair(&fleet, host);
    let repaired = running(host);
    assert_on(host, &repaired, "after the repair");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_power_cut_between_profile_and_boot_menu_is_put_back_or_said() {
    cut_power_in_persist("samsung");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_host_that_forgets_its_root_is_put_right_after_a_power_cut_in_persist() {
    cut_power_in_persist("p510");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_cable_that_is_cut_as_the_activation_begins_is_told_truly() {
    let fleet = fresh("samsung");
    let before = running("samsung");
    bump_broken("samsung", &["slow", "3"]);
    let child = fleet.deploying(&["samsung"]);
    fleet.wait_for_event("the activation to begin", |event| {
        event["phase"] == "activate" && event["state"] == "started"
    });
    assert_ok(&lab(&["fault", "samsung", "partition"]));
    std::thread::sleep(Duration::from_secs(8));
    assert_ok(&lab(&["fault", "samsung", "clear"]));
    let deployed = finish(child);
    wait_until_quiet("samsung");
    let word = assert_truth("samsung", &deployed, &before);
    assert_ne!(word, "offline", "{}", deployed.story());
    repair(&fleet, "samsung");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_cable_that_is_cut_for_long_as_the_activation_begins_is_told_truly() {
    let fleet = fresh("samsung");
    let before = running("samsung");
    assert_ok(&lab(&["bump", "samsung"]));
    let child = fleet.deploying(&["samsung"]);
    fleet.wait_for_event("the activation to begin", |event| {
        event["phase"] == "activate" && event["state"] == "started"
    });
    assert_ok(&lab(&["fault", "samsung", "partition"]));
    std::thread::sleep(Duration::from_secs(40));
    assert_ok(&lab(&["fault", "samsung", "clear"]));
    let deployed = finish(child);
    wait_until_quiet("samsung");
    assert_truth("samsung", &deployed, &before);
    repair(&fleet, "samsung");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_power_cut_in_the_middle_of_the_activation_starts_the_old_system() {
    let fleet = fresh("samsung");
    let before = running("samsung");
    bump_broken("samsung", &["slow", "20"]);
    let child = fleet.deploying(&["samsung"]);
    supervisor("samsung");
    std::thread::sleep(Duration::from_secs(3));
    power_cycle("samsung");
    let deployed = finish(child);
    deployed.assert_outcome("samsung", "rolled-back");
    assert_on("samsung", &before, &deployed.story());
    assert_eq!(on("samsung", "ls /nix/var/nixdash/intent 2>/dev/null; true"), "");
    repair(&fleet, "samsung");
}
