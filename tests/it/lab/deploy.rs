//! Deploys that go well.

use super::{Lab, assert_ok, lab, on, power_cycle, systems};

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn samsung_pulls_what_p620_built_and_boots_it() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump", "samsung"]));
    let before = systems("samsung").0;
    let deployed = fleet.deploy(&["samsung"]);
    let result = deployed.assert_outcome("samsung", "switched");
    assert_eq!(deployed.code, Some(0));
    assert!(result["built"].as_u64().unwrap() > 0, "p620 built: {}", deployed.story());
    assert!(result["fetched"]["p620"]["paths"].as_u64().unwrap() > 0, "{}", deployed.story());
    assert!(result["fetched"]["static"]["paths"].as_u64().unwrap() > 0, "{}", deployed.story());
    assert_eq!(result["previous"], before);
    assert_eq!(on("samsung", "ls /nix/var/log/nix/drvs 2>/dev/null | wc -l"), "0");
    let toplevel = result["toplevel"].as_str().unwrap().to_owned();
    assert_eq!(fleet.host("samsung")["toplevel"], toplevel);
    power_cycle("samsung");
    assert_eq!(systems("samsung"), (toplevel.clone(), toplevel.clone()));
    let again = fleet.deploy(&["samsung"]);
    again.assert_outcome("samsung", "unchanged");
    assert_eq!(again.place("samsung", "build", "started"), None);
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn razer_is_deployed_through_sudo_and_fish() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump", "razer"]));
    let deployed = fleet.deploy(&["razer"]);
    let result = deployed.assert_outcome("razer", "switched");
    let toplevel = result["toplevel"].as_str().unwrap();
    assert_eq!(systems("razer"), (toplevel.to_owned(), toplevel.to_owned()));
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn four_hosts_at_once_and_the_builder_last() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump"]));
    let deployed = fleet.deploy(&["all", "--allow-protected", "p510"]);
    for host in ["p620", "razer", "samsung", "p510"] {
        deployed.assert_outcome(host, "switched");
    }
    let begins = deployed.place("p620", "activate", "started").unwrap();
    for host in ["razer", "samsung", "p510"] {
        assert!(deployed.place(host, "persist", "finished").unwrap() < begins, "{host}");
    }
    assert_eq!(deployed.place("p620", "fetch", "started"), None);
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn boot_test_and_dry_activate_do_what_they_say() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump", "samsung"]));
    let before = systems("samsung");
    let dry = fleet.deploy(&["samsung", "--action", "dry-activate"]);
    let toplevel = dry.assert_outcome("samsung", "dry")["toplevel"].as_str().unwrap().to_owned();
    assert!(dry.log("samsung", "activate").contains("would"), "{}", dry.story());
    assert_eq!(systems("samsung"), before);
    let tested = fleet.deploy(&["samsung", "--action", "test"]);
    tested.assert_outcome("samsung", "tested");
    assert_eq!(systems("samsung"), (toplevel.clone(), before.1.clone()));
    power_cycle("samsung");
    assert_eq!(systems("samsung"), before);
    let booted = fleet.deploy(&["samsung", "--action", "boot"]);
    booted.assert_outcome("samsung", "booted");
    assert_eq!(systems("samsung"), (before.0, toplevel.clone()));
    power_cycle("samsung");
    assert_eq!(systems("samsung"), (toplevel.clone(), toplevel));
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_direct_deploy_builds_on_the_target() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump", "samsung"]));
    let deployed = fleet.deploy(&["samsung", "--strategy", "direct"]);
    let result = deployed.assert_outcome("samsung", "switched");
    assert!(result["built"].as_u64().unwrap() > 0, "{}", deployed.story());
    assert!(deployed.place("samsung", "fetch", "skipped").is_some());
    // The tests after this one look for builds on samsung.
    on("samsung", "rm -rf /nix/var/log/nix/drvs");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn evaluation_here_copies_the_derivation_to_the_builder() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump", "samsung"]));
    let text = std::fs::read_to_string(&fleet.hosts_file).unwrap();
    let here = text.replace("evaluate = \"auto\"", "evaluate = \"here\"");
    assert_ne!(text, here, "the lab's hosts.toml names evaluate");
    let file = fleet.state.path().join("here.toml");
    std::fs::write(&file, here).unwrap();
    let fleet = Lab { hosts_file: file, ..fleet };
    let deployed = fleet.deploy(&["samsung"]);
    deployed.assert_outcome("samsung", "switched");
    assert!(deployed.log("samsung", "evaluate").contains("evaluating here"));
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_build_beside_a_deploy_of_the_same_host_exchanges_no_roots() {
    let fleet = Lab::healthy();
    let roots_of_runs = || on("p620", "ls /nix/var/nix/gcroots/nixdash | grep run- || true");
    let before = roots_of_runs();
    assert_ok(&lab(&["bump", "samsung", "--break", "slow", "--amount", "10"]));
    let child = fleet.deploying(&["samsung"]);
    fleet.wait_for_event("the activation to begin", |event| {
        event["phase"] == "activate" && event["state"] == "started"
    });
    assert_ok(&lab(&["bump", "samsung", "--fix"]));
    assert_ok(&lab(&["bump", "samsung"]));
    assert_ok(&fleet.nixdash(&["build", "samsung", "--json"]).output().unwrap());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let root = |name: &str| on("p620", &format!("readlink -e /nix/var/nix/gcroots/nixdash/{name}"));
    let running = systems("samsung").0;
    assert_eq!(root("samsung"), running, "what runs is kept");
    let next = root("samsung.next");
    assert!(!next.is_empty() && next != running, "what was built is kept too: {next}");
    assert_eq!(roots_of_runs(), before, "a run that has ended has no roots of its own");
}
