//! What a host runs next, before and after it is built, held against Nix's own answers.

use super::{Lab, assert_ok, lab, on};
use serde_json::Value;
use std::collections::BTreeSet;

/// Returns what `caches` says with these arguments.
fn caches(fleet: &Lab, args: &[&str]) -> Value {
    let mut command = fleet.nixdash(&["caches", "--json"]);
    let output = command.args(args).output().unwrap();
    assert_ok(&output);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns what a tier holds of samsung's next system.
fn held<'a>(caches: &'a Value, tier: &str) -> &'a Value {
    let tiers = caches["tiers"].as_array().unwrap();
    &tiers.iter().find(|found| found["name"] == tier).unwrap()["next"]["samsung"]
}

/// Returns what a path of the store is called.
fn name(path: &str) -> &str {
    &path["/nix/store/".len() + 33..]
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn before_it_is_built_the_next_system_needs_the_builds_that_nix_says() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump", "samsung"]));
    let found = caches(&fleet, &["--next", "samsung"]);
    let next = &found["next"]["samsung"];
    assert_eq!((&next["partial"], &next["error"]), (&true.into(), &Value::Null), "{next}");
    let drv = next["drv"].as_str().unwrap();
    // Standard error: nothing is printed where nothing is to be built.
    let said = on("p620", &format!("nix-store --realise --dry-run {drv} 2>&1"));
    let drvs: BTreeSet<&str> = said
        .lines()
        .map(str::trim)
        .filter_map(|line| line.strip_suffix(".drv"))
        .map(name)
        .collect();
    assert!(drvs.len() > 3, "{said}");
    assert_eq!(next["to_build"], drvs.len(), "{next}\n{said}");
    let names = next["to_build_names"].as_array().unwrap();
    let names: BTreeSet<&str> = names.iter().filter_map(Value::as_str).collect();
    assert!(names.len() == drvs.len().min(10) && names.is_subset(&drvs), "{names:?}\n{said}");
    let toplevel = next["toplevel"].as_str().unwrap();
    let valid = on("p620", &format!("nix-store --check-validity --print-invalid {toplevel}"));
    assert_eq!(valid, toplevel, "nothing was built");
    // What Nix would fetch is what the static cache holds and p620 has not.
    let fetched = said.lines().map(str::trim).filter(|line| line.starts_with("/nix/store/"));
    let fetched = fetched.filter(|line| line.strip_suffix(".drv").is_none()).count() as u64;
    let (own, shared) = (held(&found, "p620"), held(&found, "static"));
    assert_eq!((&own["bytes"], &own["partial"]), (&Value::Null, &true.into()), "{own}");
    let [have, total] = [0, 1].map(|at| own["paths"][at].as_u64().unwrap());
    assert_eq!(total - have, drvs.len() as u64 + fetched, "{own}\n{said}");
    assert!(shared["paths"][0].as_u64().unwrap() >= fetched, "{shared}");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn once_it_is_built_the_next_system_is_exact_and_once_it_runs_none_comes_next() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump", "samsung"]));
    assert_ok(&fleet.nixdash(&["build", "samsung", "--quiet"]).output().unwrap());
    let found = caches(&fleet, &[]);
    let next = &found["next"]["samsung"];
    assert_eq!((&next["partial"], &next["to_build"]), (&false.into(), &0.into()), "{next}");
    let toplevel = next["toplevel"].as_str().unwrap();
    let closure = on("p620", &format!("nix-store --query --requisites {toplevel}"));
    let size = on(
        "p620",
        &format!("nix-store --query --size $(nix-store --query --requisites {toplevel})"),
    );
    let size: u64 = size.lines().filter_map(|line| line.parse::<u64>().ok()).sum();
    let all = closure.lines().count() as u64;
    let own = held(&found, "p620");
    assert_eq!(own["paths"], serde_json::json!([all, all]), "{own}");
    assert_eq!(own["bytes"], serde_json::json!([size, size]), "{own}");
    // Counted by hand, past nixdash: what the static cache answers to each narinfo.
    let by_hand = on(
        "p620",
        &format!(
            "url=$(sed -n 's/^substituters = //p' /etc/nix/nix.conf); \
             for path in $(nix-store --query --requisites {toplevel}); do \
             hash=$(echo $path | cut -c 12-43); \
             curl -s -o /dev/null -w '%{{http_code}}\\n' $url/$hash.narinfo; done"
        ),
    );
    let there = by_hand.lines().filter(|code| *code == "200").count() as u64;
    assert!(there > 10 && there < all, "{by_hand}");
    let shared = held(&found, "static");
    assert_eq!(shared["paths"], serde_json::json!([there, all]), "{shared}");
    let running = on("samsung", "nix-store --query --requisites /run/current-system");
    let running: BTreeSet<&str> = running.lines().collect();
    let new = closure.lines().filter(|path| !running.contains(path)).count();
    assert_eq!(next["new"]["paths"], new, "{next}");
    let evaluated = caches(&fleet, &["--next", "samsung"]);
    assert_eq!(evaluated["next"]["samsung"]["toplevel"], toplevel);
    assert_eq!(held(&evaluated, "static")["paths"], shared["paths"]);
    fleet.deploy(&["samsung"]).assert_outcome("samsung", "switched");
    assert_eq!(caches(&fleet, &[])["next"], serde_json::json!({}));
    let again = caches(&fleet, &["--next", "samsung"]);
    assert_eq!(again["next"]["samsung"]["unchanged"], true, "{again}");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn what_cannot_be_evaluated_says_why_and_the_rest_is_told() {
    let fleet = Lab::healthy();
    let text = std::fs::read_to_string(&fleet.hosts_file).unwrap();
    let file = fleet.state.path().join("odd.toml");
    std::fs::write(&file, text.replace("[hosts.razer]\n", "[hosts.razer]\nattribute = \"none\"\n"))
        .unwrap();
    let fleet = Lab { hosts_file: file, ..fleet };
    let output = fleet.nixdash(&["caches", "--json", "--next", "razer", "p620"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let error = found["next"]["razer"]["error"].as_str().unwrap();
    assert!(error.contains("razer") && error.contains("could not be evaluated"), "{error}");
    assert!(found["next"]["razer"]["toplevel"].is_null());
    assert_eq!(found["next"]["p620"]["error"], Value::Null);
    assert!(found["next"]["p620"]["toplevel"].is_string());
}
