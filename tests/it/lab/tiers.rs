//! What each host makes of the tiers, and what goes wrong with them.

use super::{Lab, assert_ok, lab, on, wait_for};
use serde_json::Value;
use std::process::Child;
use std::time::Duration;

/// The names of the hosts.
const HOSTS: [&str; 4] = ["p620", "razer", "samsung", "p510"];

/// Returns what `status --json` says of a tier.
pub(super) fn tier(fleet: &Lab, name: &str) -> Value {
    let status = fleet.status();
    let tiers = status["tiers"].as_array().unwrap();
    tiers.iter().find(|tier| tier["name"] == name).cloned().unwrap()
}

/// Returns the same fleet with its `hosts.toml` changed.
pub(super) fn changed(fleet: Lab, change: impl FnOnce(&str) -> String) -> Lab {
    let text = std::fs::read_to_string(&fleet.hosts_file).unwrap();
    let other = change(&text);
    assert_ne!(text, other, "the lab's hosts.toml is another than this test knows");
    let file = fleet.state.path().join("changed.toml");
    std::fs::write(&file, other).unwrap();
    Lab { hosts_file: file, ..fleet }
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn every_host_says_whether_in_which_order_and_with_what_trust_it_asks() {
    let fleet = Lab::healthy();
    let p620 = tier(&fleet, "p620");
    for host in ["razer", "samsung", "p510"] {
        let found = &p620["hosts"][host];
        assert_eq!(found["configured"], true, "{found}");
        assert_eq!(found["rank"], 2, "{found}");
        assert_eq!(found["trusted"], true, "{found}");
        assert_eq!(found["state"], "up", "{found}");
        assert_eq!(found["via"], host, "{found}");
        assert!(found["error"].is_null(), "{found}");
    }
    let own = &p620["hosts"]["p620"];
    assert_eq!(own["configured"], false, "p620 does not ask itself: {own}");
    assert!(own["error"].is_null(), "and need not: {own}");
    assert_eq!(tier(&fleet, "static")["hosts"]["p620"]["rank"], 1);
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_host_that_asks_in_another_order_is_named_with_its_order() {
    let fleet = Lab::healthy();
    on("samsung", "sed -i 's|^\\(substituters = [^ ]*\\)|\\1?priority=5|' /etc/nix/nix.conf");
    let p620 = tier(&fleet, "p620");
    let samsung = &p620["hosts"]["samsung"];
    assert_eq!(samsung["rank"], 1, "{samsung}");
    let late = tier(&fleet, "static");
    let error = late["hosts"]["samsung"]["error"].as_str().unwrap();
    let order = "p620 (priority 5) is asked before static (priority 20)";
    assert!(error.starts_with(order), "{error}");
    assert!(late["hosts"]["razer"]["error"].is_null(), "{late}");
    let text = fleet.nixdash(&["status"]).output().unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("static on samsung: p620 (priority 5) is asked before static"), "{text}");
    on("samsung", "echo '# changed' >>/etc/nix/nix.conf");
    assert_ok(&lab(&["fault", "samsung", "clear"]));
    assert!(tier(&fleet, "static")["hosts"]["samsung"]["error"].is_null());
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_key_that_one_host_lacks_is_said_there_and_one_that_nobody_trusts_is_untrusted() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["fault", "razer", "untrust"]));
    let p620 = tier(&fleet, "p620");
    assert_eq!(p620["state"], "up", "{p620}");
    let razer = &p620["hosts"]["razer"];
    assert_eq!((&razer["trusted"], &razer["state"]), (&false.into(), &"untrusted".into()));
    let error = razer["error"].as_str().unwrap();
    assert!(error.contains("the key p620-1 is not trusted; add \"p620-1:"), "{error}");
    for host in HOSTS {
        assert_ok(&lab(&["fault", host, "untrust"]));
    }
    let p620 = tier(&fleet, "p620");
    assert_eq!(p620["state"], "untrusted", "{p620}");
    assert_eq!(p620["signature"], "valid", "its key is its own all the same: {p620}");
    assert!(p620["error"].as_str().unwrap().contains("no host trusts the key p620-1"), "{p620}");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_cache_that_has_the_narinfo_and_not_the_nar_is_named() {
    let fleet = Lab::healthy();
    let before = tier(&fleet, "p620");
    assert!(before["nar_proof"].as_str().unwrap().contains("is served"), "{before}");
    assert_ok(&lab(&["fault", "cache", "nar-missing"]));
    let p620 = tier(&fleet, "p620");
    assert_eq!(p620["state"], "nar-missing", "{p620}");
    assert!(p620["error"].as_str().unwrap().contains("answered 404 for its nar"), "{p620}");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_token_that_has_expired_is_named_though_nix_says_nothing_of_it() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump", "samsung"]));
    assert_ok(&fleet.nixdash(&["build", "samsung"]).output().unwrap());
    let built = on("p620", "readlink -f /nix/var/nix/gcroots/nixdash/samsung.next");
    // samsung knows p620's nix-cache-info from now on, and does not ask for it again.
    let plan = on("samsung", &format!("nix-store -r --dry-run {built} 2>&1"));
    assert!(plan.contains("will be fetched"), "{plan}");
    assert_ok(&lab(&["fault", "cache", "token-expired"]));
    let fetch = format!(
        "nix-store -r {built} --option narinfo-cache-negative-ttl 0 \
         --option narinfo-cache-positive-ttl 0 2>&1 || true"
    );
    let said = on("samsung", &fetch);
    assert!(said.contains("don't know how to build these paths"), "{said}");
    assert!(!said.contains("401") && !said.contains("10.213."), "Nix says nothing of it: {said}");
    let p620 = tier(&fleet, "p620");
    assert_eq!(p620["state"], "unauthorized", "{p620}");
    let error = p620["error"].as_str().unwrap();
    assert!(error.contains("answered 401") && error.contains("silently"), "{error}");
    assert!(p620["coverage"]["samsung"].is_null(), "what it holds is not known: {p620}");
    assert_eq!(p620["hosts"]["samsung"]["state"], "unauthorized", "{p620}");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_path_that_is_deleted_from_a_tier_lowers_its_coverage() {
    let fleet = Lab::healthy();
    let share = |tier: &Value| {
        let paths = &tier["coverage"]["samsung"]["paths"];
        (paths[0].as_u64().unwrap(), paths[1].as_u64().unwrap())
    };
    let before = share(&tier(&fleet, "static"));
    // Any path of samsung's that the static cache holds will do.
    let cache = fleet.hosts_file.with_file_name("static");
    let hashes = on("samsung", "nix-store -qR /run/current-system | cut -c 12-43");
    let file = hashes
        .lines()
        .map(|hash| cache.join(format!("{hash}.narinfo")))
        .find(|file| file.exists())
        .expect("the static cache holds a part of samsung's system");
    let aside = fleet.state.path().join("narinfo");
    std::fs::copy(&file, &aside).unwrap();
    std::fs::remove_file(&file).unwrap();
    let after = tier(&fleet, "static");
    std::fs::copy(&aside, &file).unwrap();
    assert_eq!(share(&after), (before.0 - 1, before.1));
    let missing = after["coverage"]["samsung"]["missing"].as_array().unwrap();
    assert!(missing.len() <= 5, "{missing:?}");
    let sizes: Vec<u64> = missing.iter().map(|it| it["nar_size"].as_u64().unwrap()).collect();
    assert!(sizes.is_sorted_by(|a, b| a >= b), "the biggest first: {sizes:?}");
    assert_eq!(share(&tier(&fleet, "static")), before);
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_tier_asked_from_a_host_is_proven_there_and_nothing_of_it_changes() {
    let via =
        |text: &str| text.replacen("kind = \"http\"\n", "kind = \"http\"\nvia = \"samsung\"\n", 1);
    let fleet = Lab::healthy();
    let cache = fleet.hosts_file.with_file_name("static");
    let fleet = changed(fleet, via);
    let sums = |folder: &std::path::Path| {
        let script = "cd \"$1\" && find . -type f -exec sha256sum {} + | sort";
        let output = std::process::Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(folder)
            .output()
            .unwrap();
        assert_ok(&output);
        output.stdout
    };
    // Nix's memory of what caches have and lack, wherever it is on samsung.
    let memory = || {
        on(
            "samsung",
            "find / -xdev -path '*/nix/binary-cache-v*' -type f -exec sha256sum {} + 2>/dev/null | sort",
        )
    };
    let before = (sums(&cache), memory());
    let found = tier(&fleet, "static");
    assert_eq!((&found["state"], &found["via"]), (&"up".into(), &"samsung".into()), "{found}");
    assert_eq!(found["signature"], "valid", "{found}");
    assert!(found["proof"].as_str().unwrap().ends_with("asked from samsung"), "{found}");
    assert!(found["nar_proof"].is_string() && found["connect_ms"].is_number(), "{found}");
    let paths = &found["coverage"]["samsung"]["paths"];
    assert!(paths[0].as_u64().unwrap() > 10, "{found}");
    assert_eq!((sums(&cache), memory()), before, "looking changes nothing");
    on("samsung", "mv /usr/bin/curl /usr/bin/curl.away");
    let blind = tier(&fleet, "static");
    on("samsung", "mv /usr/bin/curl.away /usr/bin/curl");
    assert_eq!(blind["state"], "unknown", "a host that cannot ask knows nothing: {blind}");
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_server_answered_what_others_asked_it_as_its_log_says() {
    let fleet = Lab::healthy();
    // Narinfos that p620 answered, and all that it was asked for, as the history has them.
    let answered = || {
        let output = fleet.nixdash(&["caches", "--json"]).output().unwrap();
        let caches: Value = serde_json::from_slice(&output.stdout).unwrap();
        let tiers = caches["tiers"].as_array().unwrap();
        let p620 = tiers.iter().find(|tier| tier["name"] == "p620").unwrap();
        let paths = p620["answered"]["1d"]["paths"].as_array()?;
        Some((paths[0].as_u64().unwrap(), paths[1].as_u64().unwrap()))
    };
    let exporter = fleet.nixdash(&["exporter", "--listen", "127.0.0.1:0"]).spawn().unwrap();
    let _exporter = Running(exporter);
    // It takes its place in the log at its second look, and counts a minute later.
    let limit = Duration::from_secs(120);
    wait_for("the log to be counted", limit, || answered().is_some());
    assert_eq!(answered(), Some((0, 0)), "nobody but nixdash asked");
    let hashes = on("p620", "nix-store -qR /run/current-system | cut -c 12-43 | head -n 7");
    let held: Vec<&str> = hashes.lines().collect();
    assert_eq!(held.len(), 7);
    let lacking = ["0", "1", "2", "3", "4"].map(|digit| digit.repeat(32));
    let lacking: Vec<&str> = lacking.iter().map(String::as_str).collect();
    let ask = |what: &str, hashes: &[&str]| {
        let curl = format!("curl --silent --output /dev/null --max-time 5 {what}");
        let url = |hash: &&str| format!("{curl} http://p620:5000/{hash}.narinfo;");
        on("samsung", &hashes.iter().map(url).collect::<String>());
    };
    ask("", &held);
    ask("", &lacking);
    ask("--head", &held);
    ask("--user-agent nixdash/9.9.9", &lacking);
    let total = || answered().map_or(0, |(_, total)| total);
    wait_for("the requests to be counted", limit, || total() > 0);
    assert_eq!(answered(), Some((7, 12)));
    let log = on("p620", "journalctl --unit nix-serve --output cat --since -10min");
    let own = log.lines().filter(|line| line.contains(".narinfo") && line.contains("\"nixdash/"));
    assert!(own.count() > 20, "nixdash asked too: {log}");
}
