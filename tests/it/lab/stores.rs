//! Hosts' own stores as a tier: whether their databases can be read, what hard links save there, and
//! what is dead.

use super::{Lab, assert_ok, lab, on, wait_for};
use serde_json::Value;
use std::time::Duration;

/// Returns what `status` says of the tier of kind local.
fn stores(fleet: &Lab) -> Value {
    let status = fleet.status();
    let tiers = status["tiers"].as_array().unwrap();
    tiers.iter().find(|tier| tier["name"] == "stores").unwrap().clone()
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_store_whose_database_cannot_be_read_is_named_with_its_host() {
    let fleet = Lab::healthy();
    let well = stores(&fleet);
    assert_eq!((&well["state"], &well["error"]), (&Value::from("up"), &Value::Null), "{well}");
    on("samsung", "mv /nix/var/nix/db/db.sqlite /nix/var/nix/db/db.away");
    let broken = std::panic::catch_unwind(|| stores(&fleet));
    on("samsung", "mv /nix/var/nix/db/db.away /nix/var/nix/db/db.sqlite");
    let broken = broken.unwrap();
    assert_eq!(broken["state"], "degraded", "{broken}");
    let error = broken["error"].as_str().unwrap();
    assert!(error.starts_with("Nix cannot read the database of the store of samsung"), "{error}");
    // One that is cut off says nothing against the others.
    lab(&["fault", "razer", "partition"]);
    let away = stores(&fleet);
    lab(&["fault", "razer", "clear"]);
    assert_eq!(away["state"], "up", "{away}");
}

/// Returns what `caches --deep --json` says of a host.
fn deep(fleet: &Lab, host: &str) -> Value {
    let output = fleet.nixdash(&["caches", "--deep", "--json", host]).output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    said["hosts"][host].clone()
}

/// Puts three equal files into samsung's store, hard-linked to one, and returns their paths.
fn add_equal_files(kept: bool) -> Vec<String> {
    let add = "cd /tmp && head -c 1000000 /dev/urandom >equal-a && cp equal-a equal-b && \
               cp equal-a equal-c && for each in a b c; do nix-store --add equal-$each; done && \
               nix-store --optimise";
    let paths: Vec<String> = on("samsung", add).lines().map(str::to_owned).collect();
    assert_eq!(paths.len(), 3, "{paths:?}");
    if kept {
        for (number, path) in paths.iter().enumerate() {
            let root = format!("ln -sfn {path} /nix/var/nix/gcroots/test-{number}");
            on("samsung", &root);
        }
    }
    paths
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn what_is_dead_and_what_hard_links_save_is_what_nix_says() {
    let fleet = Lab::healthy();
    on("samsung", "nix-store --gc");
    let before = deep(&fleet, "samsung");
    assert_eq!((&before["dead_paths"], &before["dead_bytes"]), (&0.into(), &0.into()), "{before}");
    add_equal_files(false);
    let after = deep(&fleet, "samsung");
    // By hand: every path that Nix calls dead, with the size that it has in the database.
    let dead = on("samsung", "nix-store --gc --print-dead");
    let sizes = on("samsung", "nix-store --query --size $(nix-store --gc --print-dead)");
    let bytes: u64 = sizes.lines().map(|size| size.parse::<u64>().unwrap()).sum();
    assert_eq!(after["dead_paths"], dead.lines().count(), "{after} {dead}");
    assert_eq!(after["dead_bytes"], bytes, "{after} {sizes}");
    assert_eq!(dead.lines().count(), 3, "nothing was collected: {dead}");
    // A screen that is opened later shows it with its age.
    let stores = stores(&fleet);
    assert_eq!(stores["depths"]["samsung"]["dead_bytes"], bytes, "{stores}");
    assert_eq!(stores["depths"]["samsung"]["measured_at"], after["measured_at"], "{stores}");
    on("samsung", "nix-store --gc");
    // Nix itself says what hard links save only when it has collected.
    add_equal_files(true);
    let saved = deep(&fleet, "samsung")["saved_bytes"].as_f64().unwrap();
    let said = on("samsung", "nix-store --gc 2>&1");
    let note = said.split_once("hard linking saves ").unwrap_or_else(|| panic!("{said}")).1;
    let mebibytes: f64 = note.split_once(" MiB").unwrap().0.parse().unwrap();
    assert!(mebibytes > 1.0, "{said}");
    assert_eq!(format!("{:.2}", saved / 1_048_576.0), format!("{mebibytes:.2}"), "{said}");
    on("samsung", "rm /nix/var/nix/gcroots/test-*; nix-store --gc");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn nothing_is_looked_for_while_a_run_is_at_work() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump", "samsung"]));
    let run = fleet.deploying(&["samsung"]);
    fleet.wait_for_event("the build", |event| {
        event["event"] == "phase" && event["phase"] == "build" && event["state"] == "started"
    });
    let output = fleet.nixdash(&["caches", "--deep", "samsung"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("nixdash: run #1 is at work"), "{said}");
    // Whoever does not know of the run, as on another machine, learns of it from the host.
    let stranger =
        Lab { state: tempfile::tempdir().unwrap(), hosts_file: fleet.hosts_file.clone() };
    wait_for("the builder to say that it is at work", Duration::from_secs(20), || {
        let error = deep(&stranger, "p620")["error"].clone();
        error.as_str().is_some_and(|error| error.contains("a run is at work on this host"))
    });
    assert!(run.wait_with_output().unwrap().status.success());
    assert!(deep(&fleet, "samsung")["error"].is_null(), "it has ended");
}
