//! What is remembered of deploys, against the truth counted by hand from Nix's own lines.

use super::{Deployed, Lab, assert_ok, lab, on};
use serde_json::Value;
use std::collections::BTreeMap;

/// Returns what Nix said it copied in a phase: the paths, by where they came from.
fn copied(deployed: &Deployed, host: &str, phase: &str) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in deployed.log(host, phase).lines() {
        let mut words = line.strip_prefix("copying path '").unwrap_or_default().split('\'');
        if let (Some(path), Some(_), Some(from)) = (words.next(), words.next(), words.next()) {
            found.entry(from.to_owned()).or_default().push(path.to_owned());
        }
    }
    found
}

/// Returns how many derivations Nix said it built.
fn built(deployed: &Deployed, host: &str) -> usize {
    let log = deployed.log(host, "build");
    log.lines().filter(|line| line.starts_with("building '/nix/store/")).count()
}

impl Lab {
    fn json(&self, args: &[&str]) -> Value {
        let output = self.nixdash(args).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn hit_rate_and_share_served_are_what_nix_said() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump", "samsung"]));
    // The static cache has nix itself's closure: what the builder lacks of it, it fetches.
    let deployed = fleet.deploy(&["samsung"]);
    deployed.assert_outcome("samsung", "switched");
    let built = built(&deployed, "samsung");
    let substituted = copied(&deployed, "samsung", "build");
    let fetched = copied(&deployed, "samsung", "fetch");
    let count = |by_source: &BTreeMap<String, Vec<String>>| -> usize {
        by_source.values().map(Vec::len).sum()
    };
    assert!(built > 0 && count(&fetched) > 0, "{}", deployed.story());

    let history = fleet.json(&["history", "--json", "samsung"]);
    let run = &history["runs"][0];
    let host = &run["hosts"][0];
    assert_eq!(host["outcome"], "switched", "{history}");
    assert_eq!(host["built"].as_u64(), Some(built as u64), "{history}");
    let hits = count(&substituted);
    let rate = hits as f64 / (hits + built) as f64;
    assert!((host["hit_rate"].as_f64().unwrap() - rate).abs() < 1e-9, "{rate}: {history}");
    assert!(run["ended_at"].is_string() && run["duration_ms"].as_u64().unwrap() > 0, "{history}");

    let caches = fleet.json(&["caches", "--json"]);
    let total = hits + count(&fetched);
    let mut served = 0;
    for tier in caches["tiers"].as_array().unwrap() {
        let Some(paths) = tier["share_served"]["1d"]["paths"].as_array() else { continue };
        assert_eq!(paths[1].as_u64(), Some(total as u64), "{caches}");
        served += paths[0].as_u64().unwrap();
    }
    assert_eq!(served, total as u64, "every path came from a tier of the fleet: {caches}");
    let p620 = caches["tiers"].as_array().unwrap().iter().find(|tier| tier["name"] == "p620");
    let bytes = &p620.unwrap()["share_served"]["1d"]["bytes"];
    let from_p620 = fetched.iter().find(|(from, _)| from.contains(":5000")).unwrap().1;
    let sizes = on("samsung", &format!("nix-store --query --size {}", from_p620.join(" ")));
    let truth: u64 = sizes.lines().map(|line| line.trim().parse::<u64>().unwrap()).sum();
    let off = bytes[0].as_u64().unwrap().abs_diff(truth);
    assert!(off * 50 <= truth, "{} bytes were told, {truth} came", bytes[0]);
    let hit_rate = &caches["hit_rate"]["hosts"]["samsung"]["7d"]["share"];
    assert!((hit_rate.as_f64().unwrap() - rate).abs() < 1e-9, "{caches}");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_host_that_was_off_is_remembered_with_the_reason() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["fault", "samsung", "power-off"]));
    let deployed = fleet.deploy(&["samsung"]);
    assert_ok(&lab(&["fault", "samsung", "clear"]));
    deployed.assert_outcome("samsung", "offline");
    let history = fleet.json(&["history", "--json"]);
    let host = &history["runs"][0]["hosts"][0];
    assert_eq!(host["outcome"], "offline", "{history}");
    assert_eq!(host["hit_rate"], Value::Null);
    assert!(!host["error"].as_str().unwrap().is_empty(), "{history}");
}
