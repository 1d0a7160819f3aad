//! Waves, gates and budgets on real hosts.

use super::tiers::changed;
use super::{Deployed, Lab, assert_ok, lab, on, systems};
use serde_json::Value;
use std::process::Stdio;
use std::time::Duration;

/// Returns a fleet with these lines in place of its canary's half minute of waiting.
fn with_rollout(lines: &str) -> Lab {
    changed(Lab::healthy(), |text| format!("{text}\n{lines}\n"))
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_canary_that_fails_leaves_every_other_host_as_it_was() {
    let fleet = with_rollout("[rollout]\ncanary = 1\nsoak = \"1s\"");
    let before = ["samsung", "p510", "p620"].map(systems);
    assert_ok(&lab(&["bump", "--break", "activation"]));
    let deployed = fleet.deploy(&["all", "--allow-protected", "p510"]);
    assert_eq!(deployed.code, Some(1), "{}", deployed.story());
    deployed.assert_outcome("razer", "rolled-back");
    for host in ["samsung", "p510", "p620"] {
        let result = deployed.assert_outcome(host, "skipped");
        let error = result["error"].as_str().unwrap_or_default();
        assert!(error.contains("razer"), "{host}: it says whose failure held it back: {error}");
        assert_eq!(deployed.place(host, "activate", "started"), None, "{}", deployed.story());
    }
    assert_eq!(["samsung", "p510", "p620"].map(systems), before);
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_gate_that_could_not_be_made_pauses_until_somebody_decides() {
    let fleet = with_rollout(
        "[rollout]\ncanary = 0\nwaves = [1, \"rest\"]\nsoak = \"0s\"\n\
         [[rollout.gates]]\nname = \"nowhere\"\nurl = \"http://nowhere.invalid/\"\ninterval = \"1s\"",
    );
    assert_ok(&lab(&["bump", "samsung", "razer"]));
    let child = fleet.deploying(&["samsung", "razer"]);
    fleet.wait_for_event("the gate to be asked", |event| {
        event["news"] == "gate" && event["gate"] == "nowhere" && event["passed"].is_null()
    });
    // Nobody begins while it is not known.
    std::thread::sleep(Duration::from_secs(2));
    let activated = |event: &Value| {
        event["phase"] == "activate" && event["state"] == "started" && event["host"] == "samsung"
    };
    let runs = fleet.state.path().join("nixdash/runs");
    assert!(!super::events_below(&runs).iter().any(activated), "the second wave has not begun");
    let ended = std::thread::spawn(move || child.wait_with_output());
    let mut accepted = 0;
    // The last wave is asked about too.
    super::wait_for("the run to end", Duration::from_secs(90), || {
        let said = fleet.nixdash(&["say", "last", "accept", "--yes"]).output().unwrap();
        accepted += usize::from(said.status.success());
        std::thread::sleep(Duration::from_secs(1));
        ended.is_finished()
    });
    assert!(accepted >= 1, "somebody decided");
    let deployed = Deployed::from_output(ended.join().unwrap().unwrap());
    deployed.assert_outcome("razer", "switched");
    deployed.assert_outcome("samsung", "switched");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn two_operators_share_one_budget() {
    let lines = "[budget.laptops]\ntag = \"laptop\"\nin_flight = 1\n";
    let one = with_rollout(lines);
    let other = changed(
        Lab { hosts_file: one.hosts_file.clone(), state: tempfile::tempdir().unwrap() },
        |text| format!("{text}# of the other operator\n"),
    );
    assert_ok(&lab(&["bump", "samsung", "razer"]));
    let [first, second] = [(&one, "samsung"), (&other, "razer")].map(|(fleet, host)| {
        let mut command = fleet.nixdash(&["deploy", "--yes", "--json", host]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    });
    let first = Deployed::from_output(first.wait_with_output().unwrap());
    let second = Deployed::from_output(second.wait_with_output().unwrap());
    first.assert_outcome("samsung", "switched");
    second.assert_outcome("razer", "switched");
    let (begun, ended) = (time(&first, "samsung", "activate"), time_of_result(&first, "samsung"));
    let (begun_2, ended_2) = (time(&second, "razer", "activate"), time_of_result(&second, "razer"));
    assert!(
        ended <= begun_2 || ended_2 <= begun,
        "both were in flight at once: {begun}–{ended} and {begun_2}–{ended_2}"
    );
    for host in ["samsung", "razer"] {
        // The file that is locked meanwhile stays.
        let left = on(host, "cd /run/nixdash && ls -d budget* | grep -v '^budget.lock$' || :");
        assert_eq!(left, "", "{host} keeps no claim");
        assert_eq!(on(host, "ls /run/nixdash/budget.lock"), "/run/nixdash/budget.lock");
    }
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_host_is_left_out_and_a_run_is_stopped_while_a_hook_runs() {
    let mark = "86399.25";
    let lines = format!(
        "[hosts.samsung.hooks]\nbefore_activate = [{{ run = [\"sleep\", \"{mark}\"], on = \"host\", limit = \"1h\" }}]"
    );
    let hooks = || on("samsung", &format!("pgrep -cf '^sleep {mark}$' || :"));
    let before = systems("samsung");
    assert_ok(&lab(&["bump", "samsung"]));
    for (order, outcome) in [(&["skip", "samsung"][..], "skipped"), (&["cancel"], "interrupted")] {
        let fleet = with_rollout(&lines);
        let child = fleet.deploying(&["samsung"]);
        fleet.wait_for_event("the hook to be waited for", |event| event["wait"]["for"] == "hook");
        super::wait_for("the hook to run", Duration::from_secs(30), || hooks() == "1");
        let mut say = fleet.nixdash(&["say", "last"]);
        assert_ok(&say.args(order).arg("--yes").output().unwrap());
        let deployed = Deployed::from_output(child.wait_with_output().unwrap());
        deployed.assert_outcome("samsung", outcome);
        assert_eq!(deployed.place("samsung", "activate", "started"), None, "{}", deployed.story());
        assert_eq!(systems("samsung"), before);
        super::wait_for("the hook to be ended", Duration::from_secs(10), || hooks() == "0");
    }
}

/// Returns when a phase of a host began.
fn time(deployed: &Deployed, host: &str, phase: &str) -> String {
    let place = deployed.place(host, phase, "started");
    let place = place.unwrap_or_else(|| panic!("{host} never began {phase}: {}", deployed.story()));
    deployed.events[place]["at"].as_str().unwrap().to_owned()
}

/// Returns when a host was done.
fn time_of_result(deployed: &Deployed, host: &str) -> String {
    deployed.result(host)["at"].as_str().unwrap().to_owned()
}
