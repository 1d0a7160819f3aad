//! Deploys that go wrong: each ends on the right system, and says so.

use super::{Lab, assert_ok, lab, on, power_cycle, systems};

/// Checks that a host is on this system, now and after a restart.
fn assert_stays_on(host: &str, before: &(String, String)) {
    assert_eq!(systems(host), *before);
    power_cycle(host);
    assert_eq!(systems(host), *before, "after a restart");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn an_activation_that_fails_goes_back() {
    let fleet = Lab::healthy();
    let before = systems("samsung");
    assert_ok(&lab(&["bump", "samsung", "--break", "activation"]));
    let deployed = fleet.deploy(&["samsung"]);
    let result = deployed.assert_outcome("samsung", "rolled-back");
    assert_eq!(deployed.code, Some(1));
    assert!(result["error"].as_str().unwrap().contains("exit code 2"), "{}", deployed.story());
    assert_stays_on("samsung", &before);
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn an_activation_that_cuts_the_network_goes_back() {
    let fleet = Lab::healthy();
    let before = systems("samsung");
    assert_ok(&lab(&["bump", "samsung", "--break", "network"]));
    let deployed = fleet.deploy(&["samsung"]);
    let result = deployed.assert_outcome("samsung", "rolled-back");
    assert!(result["error"].as_str().unwrap().contains("reach"), "{}", deployed.story());
    assert_stays_on("samsung", &before);
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_power_cut_before_the_acknowledgement_starts_the_old_system() {
    let fleet = Lab::healthy();
    let before = systems("samsung");
    // The network is gone when the activation ends, so no acknowledgement can come.
    assert_ok(&lab(&["bump", "samsung", "--break", "network"]));
    let child = fleet.deploying(&["samsung"]);
    super::wait_for("the new system to run", std::time::Duration::from_secs(90), || {
        on("samsung", "cat /run/nixdash/jobs/*/activated 2>/dev/null; true").contains("ok")
            && systems("samsung").0 != before.0
    });
    power_cycle("samsung");
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("\"outcome\":\"rolled-back\""), "{text}");
    assert!(text.contains("it was restarted before its new system was confirmed"), "{text}");
    assert_eq!(systems("samsung"), before);
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_laptop_that_vanishes_in_the_fetch_does_not_stop_the_other() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump"]));
    // Slow enough that the cut falls into the fetch.
    assert_ok(&lab(&["fault", "cache", "slow", "400"]));
    let child = fleet.deploying(&["samsung", "razer"]);
    fleet.wait_for_line("samsung", "fetch");
    assert_ok(&lab(&["fault", "samsung", "partition"]));
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let result = |host: &str| {
        let line = text.lines().find(|line| {
            line.contains("\"event\":\"result\"") && line.contains(&format!("\"host\":\"{host}\""))
        });
        serde_json::from_str::<serde_json::Value>(line.unwrap()).unwrap()
    };
    assert_eq!(result("razer")["outcome"], "switched", "{text}");
    let samsung = result("samsung");
    assert!(["failed", "offline"].contains(&samsung["outcome"].as_str().unwrap()), "{text}");
    assert!(samsung["error"].as_str().unwrap().contains("fetch"), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_cache_that_signs_with_another_key_is_refused_before_the_fetch() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump", "samsung"]));
    assert_ok(&lab(&["fault", "cache", "wrong-key"]));
    let before = systems("samsung");
    let deployed = fleet.deploy(&["samsung"]);
    let result = deployed.assert_outcome("samsung", "failed");
    assert!(result["error"].as_str().unwrap().contains("does not verify"), "{}", deployed.story());
    assert_eq!(deployed.place("samsung", "fetch", "started"), None);
    assert_eq!(systems("samsung"), before);
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_target_that_does_not_trust_the_key_is_told_its_name() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump", "samsung"]));
    assert_ok(&lab(&["fault", "samsung", "untrust"]));
    let deployed = fleet.deploy(&["samsung"]);
    let result = deployed.assert_outcome("samsung", "failed");
    let error = result["error"].as_str().unwrap();
    assert!(error.contains("samsung does not trust the key p620-1"), "{error}");
    assert_eq!(deployed.place("samsung", "fetch", "started"), None);
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_build_that_fails_says_why_and_touches_nobody() {
    let fleet = Lab::healthy();
    let before = systems("samsung");
    assert_ok(&lab(&["bump", "samsung", "--break", "build"]));
    let deployed = fleet.deploy(&["samsung"]);
    let result = deployed.assert_outcome("samsung", "failed");
    assert!(result["error"].as_str().unwrap().contains("on p620"), "{}", deployed.story());
    assert_eq!(systems("samsung"), before);
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_unit_that_fails_leaves_the_host_degraded_on_the_new_system() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump", "samsung", "--break", "unit"]));
    let deployed = fleet.deploy(&["samsung"]);
    let result = deployed.assert_outcome("samsung", "degraded");
    assert!(result["error"].as_str().unwrap().contains("failed"), "{}", deployed.story());
    let toplevel = result["toplevel"].as_str().unwrap();
    assert_eq!(systems("samsung"), (toplevel.to_owned(), toplevel.to_owned()));
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_host_that_is_off_is_set_aside() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump"]));
    assert_ok(&lab(&["fault", "samsung", "partition"]));
    let deployed = fleet.deploy(&["samsung", "razer"]);
    deployed.assert_outcome("samsung", "offline");
    deployed.assert_outcome("razer", "switched");
    assert_eq!(deployed.code, Some(1));
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn an_interrupted_run_stops_its_build_and_exits_with_130() {
    let fleet = Lab::healthy();
    let before = systems("samsung");
    assert_ok(&lab(&["bump", "samsung"]));
    let child = fleet.deploying(&["samsung"]);
    fleet.wait_for_event("the build to begin", |event| {
        event["phase"] == "build" && event["state"] == "started"
    });
    let pid = child.id().to_string();
    assert_ok(&std::process::Command::new("kill").args(["-INT", &pid]).output().unwrap());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert_eq!(systems("samsung"), before);
    let left = on("p620", "systemctl list-units --plain --no-legend 'nixdash-[0-9]*' | wc -l");
    assert_eq!(left, "0", "the build's unit is gone");
}
