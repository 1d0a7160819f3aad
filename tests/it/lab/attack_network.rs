//! Networks that break late, half, or for good, and what becomes of the host.

use super::attack::{
    Stands, assert_on, assert_truth, deploy_broken, error, finish, fresh, repair, running,
};
use super::{assert_ok, lab, on, power_cycle, wait_for};
use std::time::Duration;

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_network_that_dies_one_or_two_seconds_after_the_activation_is_gone_back_from() {
    for seconds in ["1", "2"] {
        let fleet = fresh("samsung");
        let before = running("samsung");
        let deployed = deploy_broken(&fleet, &["network-later", seconds]);
        deployed.assert_outcome("samsung", "rolled-back");
        assert_on("samsung", &before, &deployed.story());
        repair(&fleet, "samsung");
    }
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_network_that_dies_when_all_is_over_is_told_as_kept_and_then_as_not_reachable() {
    let fleet = fresh("samsung");
    // On a machine with much to do the deploy takes more than a few seconds to its end.
    let deployed = deploy_broken(&fleet, &["network-later", "20"]);
    let result = deployed.assert_outcome("samsung", "switched");
    let toplevel = result["toplevel"].as_str().unwrap().to_owned();
    wait_for("the network to die", Duration::from_secs(40), || {
        on("samsung", "ip -br link show dev host0").contains("DOWN")
    });
    let host = fleet.host("samsung");
    assert_eq!(host["state"], "offline", "{host}");
    assert_on("samsung", &toplevel, &deployed.story());
    assert_ok(&lab(&["fault", "samsung", "clear"]));
    repair(&fleet, "samsung");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_longer_settle_sees_the_network_die_after_five_seconds() {
    let fleet = fresh("samsung").with("settle = \"10s\"");
    let before = running("samsung");
    let deployed = deploy_broken(&fleet, &["network-later", "5"]);
    deployed.assert_outcome("samsung", "rolled-back");
    assert_on("samsung", &before, &deployed.story());
    repair(&fleet, "samsung");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_restart_of_what_carries_the_network_makes_it_settle_longer_by_itself() {
    let fleet = fresh("samsung");
    let before = running("samsung");
    let deployed = deploy_broken(&fleet, &["network-unit", "5"]);
    deployed.assert_outcome("samsung", "rolled-back");
    assert_on("samsung", &before, &deployed.story());
    repair(&fleet, "samsung");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn without_settling_a_good_deploy_is_committed_at_once() {
    let fleet = fresh("samsung").with("settle = \"0s\"");
    let deployed = deploy_broken(&fleet, &["network-later", "5"]);
    let result = deployed.assert_outcome("samsung", "switched");
    let toplevel = result["toplevel"].as_str().unwrap();
    assert_on("samsung", toplevel, &deployed.story());
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn an_address_that_answered_before_and_does_not_any_more_stops_the_commit() {
    let fleet = fresh("samsung").with_addresses(&["12", "112"]);
    let before = running("samsung");
    let deployed = deploy_broken(&fleet, &["address"]);
    deployed.assert_outcome("samsung", "rolled-back");
    let said = error(&deployed, "samsung");
    assert!(said.contains(&format!("{}.112", fleet.network())), "{said}");
    assert_on("samsung", &before, &deployed.story());
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn an_address_that_never_answered_stops_nothing() {
    let fleet = fresh("samsung").with_addresses(&["12", "99"]);
    repair(&fleet, "samsung");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_system_that_moves_sshd_is_reached_by_the_other_address_that_is_listed() {
    let fleet = fresh("samsung").with_addresses(&["12", "12:2222"]);
    let deployed = deploy_broken(&fleet, &["sshd-port"]);
    let result = deployed.assert_outcome("samsung", "switched");
    assert_on("samsung", result["toplevel"].as_str().unwrap(), &deployed.story());
    // And back.
    repair(&fleet, "samsung");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_system_that_moves_sshd_to_where_nobody_looks_is_gone_back_from() {
    let fleet = fresh("samsung");
    let before = running("samsung");
    let deployed = deploy_broken(&fleet, &["sshd-port"]);
    deployed.assert_outcome("samsung", "rolled-back");
    assert_on("samsung", &before, &deployed.story());
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_host_that_stays_cut_off_restarts_itself_when_it_may() {
    let fleet = fresh("samsung");
    let answers = format!("connectivity = \"{}.40:80\"", fleet.network());
    let fleet = fleet.with(&format!("reboot_to_recover = true\n{answers}"));
    let before = running("samsung");
    let boot = boot_id("samsung");
    let deployed = deploy_broken(&fleet, &["network-stuck"]);
    deployed.assert_outcome("samsung", "rolled-back");
    assert_ne!(boot_id("samsung"), boot, "it restarted: {}", deployed.story());
    assert_on("samsung", &before, &deployed.story());
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_host_that_stays_cut_off_and_may_not_restart_itself_is_not_called_well() {
    let fleet = fresh("samsung");
    let before = running("samsung");
    let boot = boot_id("samsung");
    let deployed = deploy_broken(&fleet, &["network-stuck"]);
    assert_eq!(boot_id("samsung"), boot, "it restarted: {}", deployed.story());
    let word = deployed.result("samsung")["outcome"].as_str().unwrap();
    assert!(["unknown", "rolled-back", "offline"].contains(&word), "{}", deployed.story());
    assert_eq!(Stands::of("samsung"), Stands::on(&before));
    power_cycle("samsung");
    assert_truth("samsung", &deployed, &before);
}

/// Returns what a host has anew at every start.
fn boot_id(host: &str) -> String {
    on(host, "cat /proc/sys/kernel/random/boot_id")
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_shell_and_a_sudo_that_print_do_not_disturb_a_deploy() {
    let fleet = fresh("samsung");
    for host in ["p620", "razer", "samsung"] {
        assert_ok(&lab(&["fault", host, "chatty"]));
    }
    assert_ok(&lab(&["bump", "samsung", "razer"]));
    let deployed = finish(fleet.deploying(&["samsung", "razer"]));
    for host in ["samsung", "razer"] {
        deployed.assert_outcome(host, "switched");
    }
    assert_eq!(fleet.host("razer")["state"], "up");
}
