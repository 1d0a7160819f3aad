//! What is measured equals what the hosts say past nixdash.

use super::tiers::changed;
use super::{Lab, assert_ok, lab, on, power_cycle};
use serde_json::Value;
use std::fs;
use std::process::Stdio;

/// Returns a tier of a status.
fn named<'a>(status: &'a Value, name: &str) -> &'a Value {
    status["tiers"].as_array().unwrap().iter().find(|tier| tier["name"] == name).unwrap()
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn status_says_what_the_hosts_say() {
    let fleet = Lab::healthy();
    let status = fleet.status();
    for host in ["p620", "razer", "samsung", "p510"] {
        let found = status["hosts"].as_array().unwrap().iter().find(|it| it["name"] == host);
        let found = found.unwrap();
        assert_eq!(found["toplevel"], on(host, "readlink -f /run/current-system"), "{host}");
        assert_eq!(found["state"], "up", "{found}");
        let generation = on(host, "readlink /nix/var/nix/profiles/system | tr -dc 0-9");
        assert_eq!(found["generation"].to_string(), generation, "{host}");
        let paths = on(
            host,
            "nix --extra-experimental-features nix-command path-info --all | sort -u | wc -l",
        );
        assert_eq!(found["store"]["paths"].to_string(), paths, "{host}");
    }
    for tier in status["tiers"].as_array().unwrap() {
        assert_eq!(tier["state"], "up", "{tier}");
        if tier["kind"] == "local" {
            continue;
        }
        assert_eq!(tier["signature"], "valid", "{tier}");
        assert_eq!(tier["store_dir"], "/nix/store", "{tier}");
        assert!(tier["coverage"]["samsung"]["paths"][1].as_u64().unwrap() > 10, "{tier}");
    }
    let closure = on("samsung", "nix-store -qR /run/current-system | wc -l");
    let p620 = &named(&status, "p620")["coverage"]["p620"]["paths"];
    assert_eq!(p620[0], p620[1], "p620 serves its own store");
    let samsung = &named(&status, "p620")["coverage"]["samsung"]["paths"];
    assert_eq!(samsung[1].to_string(), closure);
}

/// Returns a healthy fleet of which no host waits for a restart, as one does after a deploy with
/// another kernel.
fn restarted() -> Lab {
    let fleet = Lab::healthy();
    for host in ["p620", "razer", "samsung", "p510"] {
        let waits = "for part in kernel initrd kernel-modules; do \
                     [ /run/booted-system/$part -ef /run/current-system/$part ] || echo $part; done";
        if !on(host, waits).is_empty() {
            power_cycle(host);
        }
    }
    fleet
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_cache_that_is_down_and_a_host_that_is_cut_off_are_called_so() {
    let fleet = restarted();
    assert_ok(&lab(&["fault", "cache", "down"]));
    assert_ok(&lab(&["fault", "samsung", "partition"]));
    let status = fleet.status();
    let p620 = named(&status, "p620");
    assert_eq!(p620["state"], "down", "{p620}");
    let samsung = &status["hosts"][2];
    assert_eq!(samsung["state"], "offline", "{samsung}");
    assert!(samsung["toplevel"].is_null(), "nothing was measured: {samsung}");
    assert!(samsung["error"].as_str().unwrap().contains("samsung"), "{samsung}");
    let line = fleet.nixdash(&["status", "--line"]).output().unwrap();
    let line = String::from_utf8(line.stdout).unwrap();
    assert!(line.starts_with("3●") || line.contains("3●"), "{line}");
    assert_eq!(line.lines().count(), 1);
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_tier_that_signs_with_another_key_is_not_called_valid() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["fault", "cache", "wrong-key"]));
    let status = fleet.status();
    let p620 = named(&status, "p620");
    assert_eq!(p620["signature"], "invalid", "{p620}");
    assert_eq!(p620["state"], "untrusted", "hosts refuse what it serves: {p620}");
    let razer = p620["hosts"]["razer"]["error"].as_str().unwrap();
    let said = "its signature by p620-1 does not verify with the trusted key of that name";
    assert!(razer.contains(said), "{razer}");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn looks_that_follow_each_other_fast_do_not_lock_anybody_out() {
    // The hosts have an OpenSSH that counts connections without a login against the address they
    // come from, and lets nobody in from there when more than one comes in a second.
    let fleet = Lab::healthy();
    let whole: toml::Table = fs::read_to_string(&fleet.hosts_file).unwrap().parse().unwrap();
    let ssh_config = &whole["fleet"]["ssh_config"];
    let samsung = &whole["hosts"]["samsung"]["addresses"];
    let text =
        format!("[fleet]\nssh_config = {ssh_config}\n[hosts.samsung]\naddresses = {samsung}\n");
    let hosts_file = fleet.state.path().join("hosts.toml");
    fs::write(&hosts_file, text).unwrap();
    let fleet = Lab { hosts_file, ..fleet };
    for round in 0..10 {
        let looks: Vec<_> = (0..4)
            .map(|_| {
                let mut look = fleet.nixdash(&["status", "--json"]);
                look.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
            })
            .collect();
        for look in looks {
            let output = look.wait_with_output().unwrap();
            let status: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(status["hosts"][0]["state"], "up", "round {round}: {status}");
        }
    }
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_fresh_practice_fleet_has_no_alarm_and_what_is_wrong_fails_a_status() {
    // The cluster that this fleet may have is asked by no host, which is told rightly.
    let fleet = changed(restarted(), |text| {
        let tables = text.split("[[tiers]]").filter(|table| !table.contains("\"seaweedfs\""));
        tables.collect::<Vec<_>>().join("[[tiers]]")
    });
    let status = fleet.status();
    let wrong = &status["findings"];
    assert_eq!((&wrong["error"], &wrong["warning"]), (&0.into(), &0.into()), "{status:#}");
    let well = fleet.nixdash(&["status", "--fail-on", "warning"]).output().unwrap();
    assert_eq!(well.status.code(), Some(0));
    let watched = changed(fleet, |text| format!("{text}\n[alarms]\nnix_free = \"900TB\"\n"));
    let found = watched.nixdash(&["status", "--fail-on", "warning"]).output().unwrap();
    let text = String::from_utf8(found.stdout).unwrap();
    assert_eq!(found.status.code(), Some(3), "{text}");
    assert!(text.contains("is left for /nix/store on razer"), "{text}");
    let found = watched.nixdash(&["status", "--fail-on", "error"]).output().unwrap();
    assert_eq!(found.status.code(), Some(0), "a warning is no error");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_host_that_is_cut_off_keeps_its_figures_with_their_age() {
    let fleet = Lab::healthy();
    let before = fleet.status();
    assert_ok(&lab(&["fault", "samsung", "partition"]));
    let after = fleet.status();
    let [before, after] = [&before, &after].map(|status| &status["hosts"][2]);
    assert_eq!(after["state"], "offline", "{after}");
    for figure in ["toplevel", "generation", "disk", "measured_at", "store"] {
        assert_eq!(after[figure], before[figure], "{figure}: {after}");
        assert!(!after[figure].is_null(), "{figure}: {after}");
    }
    assert!(after["latency_ms"].is_null(), "that is about now: {after}");
    assert_eq!(after["findings"][0]["code"], "host-unreachable");
}
