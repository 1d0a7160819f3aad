//! A first `hosts.toml`, made from the practice fleet's flake and ssh's configuration.

use super::{Lab, nixdash};
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};

/// Returns an ssh configuration that knows the hosts by their names, as people's own do; the lab's
/// knows addresses.
fn ssh_config(fleet: &toml::Table) -> String {
    let mut text = String::new();
    for (name, host) in fleet["hosts"].as_table().unwrap() {
        let address = host["addresses"][0].as_str().unwrap();
        let (user, place) = address.split_once('@').unwrap();
        writeln!(text, "Host {name}\n  HostName {place}\n  User {user}").unwrap();
    }
    let own = fs::read_to_string(fleet["fleet"]["ssh_config"].as_str().unwrap()).unwrap();
    let (_, options) = own.split_once('\n').unwrap();
    text + "Host *\n" + options
}

/// Returns what a status shows of hosts and tiers, in its order. A cluster of SeaweedFS that serves nothing to
/// the hosts is left out: none of them can say that it is there.
fn shown(status: &Value) -> Vec<String> {
    let rows = |list: &str, keys: [&str; 4]| -> Vec<String> {
        let rows = status[list].as_array().unwrap().iter();
        rows.map(|row| keys.map(|key| row[key].to_string()).join(" ")).collect()
    };
    let mut hosts = rows("hosts", ["name", "state", "toplevel", "generation"]);
    hosts.sort();
    let tiers = rows("tiers", ["name", "kind", "state", "signature"]);
    hosts.extend(tiers.into_iter().filter(|tier| !tier.contains("\"seaweedfs\"")));
    hosts
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_first_file_shows_the_hosts_and_tiers_of_the_labs_own() {
    let own = Lab::healthy();
    let whole: toml::Table = fs::read_to_string(&own.hosts_file).unwrap().parse().unwrap();
    let state = tempfile::tempdir().unwrap();
    let (ssh, hosts_file) = (state.path().join("ssh_config"), state.path().join("hosts.toml"));
    fs::write(&ssh, ssh_config(&whole)).unwrap();
    let made = Command::new(nixdash())
        .args(["init", whole["fleet"]["flake"].as_str().unwrap(), "--ssh-config"])
        .arg(&ssh)
        .arg("--output")
        .arg(&hosts_file)
        .env("XDG_STATE_HOME", state.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let text = fs::read_to_string(&hosts_file).unwrap();
    assert!(text.contains("\nbuilder = \"p620\"\n"), "{text}");
    let found = Lab { hosts_file, state };
    assert_eq!(shown(&found.status()), shown(&own.status()), "{text}");
}
