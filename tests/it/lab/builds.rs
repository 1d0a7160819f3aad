//! A build that fails on real Nix: what failed because of it, what is kept of it, and where its log is.

use super::attack::{bump_broken, fresh, repair};
use super::{assert_ok, events_below};
use serde_json::Value;

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_failed_build_names_what_failed_because_of_it_and_keeps_what_needs_what() {
    let fleet = fresh("samsung");
    bump_broken("samsung", &["build"]);
    let deployed = fleet.deploy(&["samsung"]);
    let result = deployed.events.iter().find(|event| event["event"] == "result").unwrap();
    let error = result["error"].as_str().unwrap();
    for part in [
        "nixos-system-samsung-",
        " failed because of fleet-tools-",
        "src/fleet-tools/part77.c:118:17: error: implicit declaration of function 'fleet_open'",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let builds = deployed.events.iter().find(|event| event["event"] == "builds").unwrap();
    assert_eq!(builds["failed"], 1, "{builds}");
    let runs = fleet.state.path().join("nixdash/runs");
    assert!(events_below(&runs).iter().any(|event| event["event"] == "builds"));
    let edges = std::fs::read_to_string(runs.join("1/samsung.edges")).unwrap();
    assert!(edges.contains("-fleet-tools-") && edges.contains("-system-path.drv"), "{edges}");
    let words = ["logs", "last", "samsung", "--derivation", "fleet-tools", "--errors", "--json"];
    let output = fleet.nixdash(&words).output().unwrap();
    assert_ok(&output);
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let is_cause = |line: &Value| line["line"].as_str().unwrap_or_default().contains("failed");
    assert!(lines.iter().any(is_cause), "{said}");
    // The next one builds, and how long its packages took is remembered.
    repair(&fleet, "samsung");
    let output = fleet.nixdash(&["history", "--json", "--limit", "1"]).output().unwrap();
    assert_ok(&output);
    let history: Value = serde_json::from_slice(&output.stdout).unwrap();
    let host = &history["runs"][0]["hosts"][0];
    let times = host["builds"]["times"].as_array().map_or(0, Vec::len);
    assert!(times > 0 || host["builds"]["built"] == 0, "{host}");
}
