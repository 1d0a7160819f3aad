//! Settings of a host, what its real daemon does with them, and what nixdash says it does.

use super::{Lab, lab, on};
use serde_json::Value;
use std::process::Output;

/// Where razer's settings are kept while they are changed.
const KEPT: &str = "/etc/nix/nix.conf.kept";

/// A cache in a folder of razer.
const FOLDER: &str = "/var/tmp/settings-cache";

/// Puts razer's settings back, also after a test that failed.
struct Kept;

impl Kept {
    fn new() -> Self {
        on("razer", &format!("cp -n /etc/nix/nix.conf {KEPT}"));
        Self
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let back = format!(
            "mv -f {KEPT} /etc/nix/nix.conf; systemctl restart nix-daemon; rm -rf {FOLDER} \
             /root/.cache/nix"
        );
        let _ = lab(&["shell", "razer", "/bin/sh", "-c", &back]);
    }
}

/// The server of p620's store.
struct Cache {
    url: String,
    key: String,
}

impl Cache {
    /// Reads it from the hosts file.
    fn of(lab: &Lab) -> Self {
        let text = std::fs::read_to_string(&lab.hosts_file).unwrap();
        let whole: toml::Table = text.parse().unwrap();
        let tiers = whole["tiers"].as_array().unwrap();
        let tier = tiers.iter().find(|tier| tier["name"].as_str() == Some("p620")).unwrap();
        let word = |key: &str| tier[key].as_str().unwrap().to_owned();
        Self { url: word("url"), key: word("public_key") }
    }
}

/// Changes razer's settings.
fn set(substituters: &str, keys: &str, more: &str) {
    let write = format!(
        "grep -vE '^(substituters|trusted-public-keys|extra-.*|require-sigs|fallback) *=' {KEPT} \
         >/etc/nix/nix.conf; printf '%s\\n' 'substituters = {substituters}' \
         'trusted-public-keys = {keys}' 'fallback = false' {more} >>/etc/nix/nix.conf"
    );
    on("razer", &write);
}

/// Starts razer's daemon anew, without a record of caches.
fn restart() {
    // Files of the same second as the start are not known to be older.
    on("razer", "rm -rf /root/.cache/nix; sleep 1.1; systemctl restart nix-daemon");
}

/// Builds a path on p620 that razer does not have, and returns it.
fn fresh(name: &str) -> String {
    let build = format!(
        "nix --extra-experimental-features 'nix-command flakes' build --impure --no-link \
         --print-out-paths --expr 'derivation {{ name = \"{name}\"; system = builtins.currentSystem; \
         builder = \"/bin/sh\"; args = [ \"-c\" \"echo {name} > $out\" ]; }}'"
    );
    on("p620", &build.replace("$out", "\\$out"))
}

/// Lets razer's daemon fetch a path; returns all that it said.
fn fetched(path: &str) -> Output {
    let fetch = format!("NIX_REMOTE=daemon nix-store --realise {path} 2>&1");
    lab(&["shell", "razer", "/bin/sh", "-c", &fetch])
}

/// Returns what nixdash says of razer and of p620's cache on razer.
fn told(lab: &Lab) -> (Value, Value) {
    let output = lab.nixdash(&["caches", "--json"]).output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let tiers = json["tiers"].as_array().unwrap();
    let tier = tiers.iter().find(|tier| tier["name"] == "p620").unwrap();
    (json["hosts"]["razer"].clone(), tier["hosts"]["razer"].clone())
}

/// Returns whether a finding with that code is among these.
fn has(found: &Value, code: &str) -> bool {
    found["findings"].as_array().unwrap().iter().any(|finding| finding["code"] == code)
}

#[test]
#[ignore = "needs root and the practice fleet: tests/run.sh"]
fn what_a_daemon_takes_under_its_settings_is_what_is_told() {
    let lab = Lab::healthy();
    let cache = Cache::of(&lab);
    let Cache { url, key } = &cache;
    let zeros = format!("{}=", "A".repeat(43));
    let (row, other_row) = (format!("p620-1:{zeros}"), format!("other-1:{zeros}"));
    let wrong = "p620-1:NiNfYW82Gw9o49ng/jhUKy3RmtBlesa/LQ0HuCcuSeU=";
    let unpadded = key.trim_end_matches('=');
    let asked = |query: &str| format!("{url}{query}");
    let both = |first: &str, second: &str| format!("{first} {second}");
    let _kept = Kept::new();
    // What is written, whether the daemon takes what the cache serves, and which finding says why not.
    let cases = [
        ("a good key", url.clone(), key.clone(), "", true, ""),
        ("one malformed", url.clone(), both(key, "broken"), "", false, "trusted-key-malformed"),
        ("malformed, ?trusted=1", asked("?trusted=1"), both(key, "broken"), "", true, ""),
        ("malformed, no sigs", url.clone(), both(key, "x"), "'require-sigs = false'", true, ""),
        ("a row of A", url.clone(), row, "", false, "key-replaced"),
        ("a row of A beside it", url.clone(), both(&other_row, key), "", true, ""),
        ("two of one name, wrong first", url.clone(), both(wrong, key), "", false, "key-replaced"),
        ("two of one name, right first", url.clone(), both(key, wrong), "", true, ""),
        ("no padding", url.clone(), unpadded.to_owned(), "", true, ""),
        ("?trusted=yes", asked("?trusted=yes"), String::new(), "", true, ""),
        ("?trusted=on", asked("?trusted=on"), key.clone(), "", false, "cache-left-out"),
        ("?priority=first", asked("?priority=first"), key.clone(), "", false, "cache-left-out"),
        ("no key", url.clone(), String::new(), "", false, "key-not-trusted"),
    ];
    let mut wrong = Vec::new();
    for (number, (name, substituters, keys, more, takes, code)) in cases.iter().enumerate() {
        let path = fresh(&format!("settings-{number}-{}", std::process::id()));
        set(substituters, keys, more);
        restart();
        let (_, on_razer) = told(&lab);
        let said = on_razer["trusted"] == true && on_razer["rank"].is_u64();
        let output = fetched(&path);
        let really = output.status.success();
        println!("{name}: the daemon takes it: {really}; told: {said}");
        if really != *takes || said != *takes || !(code.is_empty() || has(&on_razer, code)) {
            wrong.push(format!("{name}: {really} {said}\n{on_razer:#}\n{output:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
#[ignore = "needs root and the practice fleet: tests/run.sh"]
fn the_order_of_a_daemon_counts_folders_and_the_lowest_priority_of_a_cache() {
    let lab = Lab::healthy();
    let Cache { url, key } = Cache::of(&lab);
    let _kept = Kept::new();
    for (second, first_is_cache) in [(10, true), (25, false)] {
        let path = fresh(&format!("order-{second}-{}", std::process::id()));
        // The folder gets it from p620, as razer would.
        set(&url, &key, "");
        restart();
        assert!(fetched(&path).status.success());
        let copy = format!(
            "nix --extra-experimental-features nix-command copy --no-check-sigs --to file://{FOLDER} \
             {path} && nix-store --delete {path}"
        );
        on("razer", &copy);
        set(&format!("{url} file://{FOLDER}?priority=20 {url}?priority={second}"), &key, "");
        restart();
        let (razer, on_razer) = told(&lab);
        let output = fetched(&path);
        let said = String::from_utf8_lossy(&output.stdout);
        let from = if first_is_cache { url.as_str() } else { "file://" };
        assert!(said.contains(&format!("from '{from}")), "{said}");
        let rank = if first_is_cache { 1 } else { 2 };
        assert_eq!(on_razer["rank"], rank, "{on_razer:#}");
        assert_eq!(razer["unlisted"][0]["rank"], 3 - rank, "{razer:#}");
    }
}

#[test]
#[ignore = "needs root and the practice fleet: tests/run.sh"]
fn a_daemon_goes_on_with_the_settings_that_it_started_with() {
    let lab = Lab::healthy();
    let Cache { url, key } = Cache::of(&lab);
    let _kept = Kept::new();
    set(&url, &key, "");
    restart();
    let (razer, on_razer) = told(&lab);
    assert_eq!(
        (&razer["view"], &on_razer["trusted"]),
        (&"daemon".into(), &true.into()),
        "{razer:#}"
    );
    // A key that nobody has: the file would refuse, the daemon takes.
    set(&url, "p620-1:NiNfYW82Gw9o49ng/jhUKy3RmtBlesa/LQ0HuCcuSeU=", "");
    let path = fresh(&format!("daemon-{}", std::process::id()));
    let output = fetched(&path);
    assert!(output.status.success(), "the daemon has not read it: {output:?}");
    let (razer, on_razer) = told(&lab);
    assert_eq!(
        (&razer["view"], &on_razer["trusted"]),
        (&"daemon".into(), &true.into()),
        "{razer:#}"
    );
    let status = lab.host("razer");
    assert!(has(&status, "daemon-settings-old"), "{status:#}");
    restart();
    let (_, on_razer) = told(&lab);
    assert_eq!(on_razer["trusted"], false, "{on_razer:#}");
    assert!(!fetched(&fresh(&format!("refused-{}", std::process::id()))).status.success());
}

#[test]
#[ignore = "needs root and the practice fleet: tests/run.sh"]
fn a_host_goes_by_its_record_of_a_cache_and_stops_when_that_cache_is_down() {
    let lab = Lab::healthy();
    let Cache { url, key } = Cache::of(&lab);
    let _kept = Kept::new();
    // The record keeps the priority of the address, also when that is gone from the settings.
    set(&format!("{url}?priority=7"), &key, "");
    restart();
    assert!(fetched(&fresh(&format!("record-{}", std::process::id()))).status.success());
    set(&url, &key, "");
    on("razer", "sleep 1.1; systemctl restart nix-daemon");
    let (_, on_razer) = told(&lab);
    assert_eq!(on_razer["record"]["priority"], 7, "{on_razer:#}");
    assert!(has(&on_razer, "record-old"), "{on_razer:#}");
    assert_eq!(on_razer["when_down"]["reaction"], "stops", "{on_razer:#}");
    assert!(has(&on_razer, "builds-stop"), "{on_razer:#}");
    let path = fresh(&format!("down-{}", std::process::id()));
    on("p620", "systemctl stop nix-serve");
    let output = fetched(&path);
    let (_, down) = told(&lab);
    on("p620", "systemctl start nix-serve");
    assert!(!output.status.success(), "{output:?}");
    let stops = down["findings"].as_array().unwrap().iter().find(|it| it["code"] == "builds-stop");
    assert_eq!(stops.unwrap()["severity"], "error", "{down:#}");
}
