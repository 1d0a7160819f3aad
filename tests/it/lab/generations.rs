//! Generations, rollbacks, given systems, restarts and tries again, on real hosts.

use super::attack::{Stands, assert_on, bump_broken, finish, fresh, running};
use super::tiers::changed;
use super::{Deployed, Lab, assert_ok, lab, on, power_cycle, systems};
use serde_json::Value;
use std::process::Stdio;

impl Lab {
    /// Runs a command of nixdash that prints one JSON document.
    fn document(&self, args: &[&str]) -> Value {
        let output = self.nixdash(args).output().unwrap();
        assert_ok(&output);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    /// Runs a command of nixdash that deploys, and waits for its end.
    fn run(&self, args: &[&str]) -> Deployed {
        let mut command = self.nixdash(args);
        command.arg("--yes").arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped());
        finish(command.spawn().unwrap())
    }
}

/// Deploys a new system to samsung and returns it.
fn deploy_new(fleet: &Lab) -> String {
    assert_ok(&lab(&["bump", "samsung"]));
    let deployed = fleet.deploy(&["samsung"]);
    deployed.assert_outcome("samsung", "switched")["toplevel"].as_str().unwrap().to_owned()
}

/// Returns the number of the generation that samsung's profile names.
pub(super) fn profile_number() -> String {
    let link = on("samsung", "readlink /nix/var/nix/profiles/system");
    link.trim_start_matches("system-").trim_end_matches("-link").to_owned()
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn generations_are_listed_and_compared_as_nix_compares_them() {
    let fleet = fresh("samsung");
    let first = running("samsung");
    let second = deploy_new(&fleet);
    let found = fleet.document(&["generations", "samsung", "--json"]);
    let all = found["generations"].as_array().unwrap();
    let of = |system: &str| all.iter().rfind(|one| one["system"] == system).unwrap().clone();
    let (old, new) = (of(&first), of(&second));
    assert_eq!(new["running"], true, "{found}");
    assert_eq!(new["next_boot"], true, "{found}");
    assert_eq!(old["booted"], true, "{found}");
    assert_eq!(old["running"], false, "{found}");
    assert!(new["bytes"].as_u64().unwrap() > 1000, "{found}");
    assert!(new["nixos_version"].as_str().unwrap().contains('.'), "{found}");
    let numbers = [old["generation"].to_string(), new["generation"].to_string()];
    let diff =
        fleet.document(&["generations", "samsung", "diff", &numbers[0], &numbers[1], "--json"]);
    let nix = format!(
        "nix --extra-experimental-features nix-command store diff-closures {first} {second} | \
         sed 's/\\x1b\\[[0-9;]*m//g'"
    );
    let nix = on("samsung", &nix);
    let upgraded = diff["packages"].as_array().unwrap();
    for line in nix.lines().filter(|line| line.contains('→') && !line.contains(['∅', 'ε'])) {
        let (name, rest) = line.split_once(": ").unwrap();
        // The system itself is what is compared.
        if name.starts_with("nixos-system-") {
            continue;
        }
        let change = upgraded.iter().find(|one| one["name"] == name);
        let change = change.unwrap_or_else(|| panic!("{name} is missing in {diff}\n{nix}"));
        let before = change["before"][0].as_str().unwrap();
        assert!(rest.starts_with(before), "{line}: {change}");
    }
    assert_eq!(diff["bytes_after"], new["bytes"], "{diff}");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_rollback_to_a_chosen_generation_survives_a_power_cut() {
    let fleet = fresh("samsung");
    let first = running("samsung");
    let chosen = deploy_new(&fleet);
    let number = profile_number();
    let newest = deploy_new(&fleet);
    assert_ne!(newest, chosen);
    let back = fleet.run(&["rollback", "samsung", "--to", &number]);
    back.assert_outcome("samsung", "switched");
    assert_eq!(back.code, Some(0));
    for phase in ["evaluate", "build", "publish", "verify", "fetch"] {
        assert_eq!(back.place("samsung", phase, "started"), None, "{phase}: {}", back.story());
    }
    for phase in ["preflight", "activate", "acknowledge", "check", "settle", "persist"] {
        assert!(back.place("samsung", phase, "finished").is_some(), "{phase}: {}", back.story());
    }
    assert_eq!(profile_number(), number, "it went to that generation and made no new one");
    assert_on("samsung", &chosen, &back.story());
    // By number the one before the chosen one is the first system, whatever was switched to since.
    let again = fleet.run(&["rollback", "samsung"]);
    assert!(again.stderr.contains("to generation"), "{}", again.stderr);
    let result = again.assert_outcome("samsung", "switched");
    let toplevel = result["toplevel"].as_str().unwrap();
    assert_ne!(toplevel, chosen);
    assert_ne!(toplevel, newest);
    assert_on("samsung", toplevel, &again.story());
    assert!(on("samsung", "ls /nix/var/nix/profiles").contains("system-1-link"), "{first}");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_rollback_that_cuts_the_host_off_goes_back_to_what_ran() {
    let fleet = fresh("samsung");
    bump_broken("samsung", &["network"]);
    let broken = finish(fleet.deploying(&["samsung", "--action", "boot"]));
    let cut_off =
        broken.assert_outcome("samsung", "booted")["toplevel"].as_str().unwrap().to_owned();
    let number = profile_number();
    assert_ok(&lab(&["bump", "samsung", "--fix"]));
    let well = deploy_new(&fleet);
    let back = fleet.run(&["rollback", "samsung", "--to", &number]);
    assert_eq!(back.result("samsung")["toplevel"], cut_off.as_str());
    back.assert_outcome("samsung", "rolled-back");
    assert_on("samsung", &well, &back.story());
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn what_was_built_is_deployed_without_an_evaluation() {
    let fleet = fresh("samsung");
    assert_ok(&lab(&["bump", "samsung"]));
    assert_ok(&fleet.nixdash(&["build", "samsung", "--json"]).output().unwrap());
    // What the flake says meanwhile is another system.
    let built = on("p620", "readlink -e /nix/var/nix/gcroots/nixdash/samsung.next");
    assert_ok(&lab(&["bump", "samsung"]));
    let deployed = fleet.run(&["deploy", "samsung", "--built"]);
    let result = deployed.assert_outcome("samsung", "switched");
    assert_eq!(result["toplevel"], built.as_str());
    assert_eq!(deployed.place("samsung", "evaluate", "started"), None);
    assert_eq!(deployed.place("samsung", "build", "started"), None);
    assert!(deployed.place("samsung", "verify", "finished").is_some());
    assert_eq!(systems("samsung"), (built.clone(), built.clone()));
    // It is remembered as the revision that it was built from, and not as that which the flake is at now.
    let remembered = on("samsung", "tail -n 1 /nix/var/nixdash/deployed");
    let name = built.rsplit('/').next().unwrap();
    let note = on("p620", &format!("cat /nix/var/nixdash/built-from/{name}"));
    let revision = note.split('\t').next().unwrap();
    assert!(remembered.starts_with(&format!("{built}\t{revision}\t")), "{remembered}\n{note}");
    let again = fleet.nixdash(&["deploy", "samsung", "--built", "--yes"]).output().unwrap();
    // As it ends among several hosts, of which others may have one.
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert!(String::from_utf8_lossy(&again.stderr).contains("no built system of samsung waits"));
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_named_system_is_deployed_from_where_it_is() {
    let fleet = fresh("samsung");
    let first = running("samsung");
    let second = deploy_new(&fleet);
    // On the host.
    let named = fleet.run(&["deploy", "samsung", "--to", &first]);
    named.assert_outcome("samsung", "switched");
    assert_eq!(named.place("samsung", "verify", "started"), None, "{}", named.story());
    assert_on("samsung", &first, &named.story());
    // On the builder only.
    assert_ok(&lab(&["bump", "samsung"]));
    assert_ok(&fleet.nixdash(&["build", "samsung", "--json"]).output().unwrap());
    let built = on("p620", "readlink -e /nix/var/nix/gcroots/nixdash/samsung.next");
    let named = fleet.run(&["deploy", "samsung", "--to", &built]);
    let result = named.assert_outcome("samsung", "switched");
    assert!(result["fetched"]["p620"]["paths"].as_u64().unwrap() > 0, "{}", named.story());
    assert_eq!(result["built"], 0);
    // Nowhere.
    let nowhere = "/nix/store/00000000000000000000000000000000-nixos-system-samsung-1";
    let refused = fleet.nixdash(&["deploy", "samsung", "--yes", "--to", nowhere]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("was not found"), "{refused:?}");
    let other = fleet.nixdash(&["deploy", "razer", "--yes", "--to", &second]).output().unwrap();
    assert!(
        String::from_utf8_lossy(&other.stderr).contains("is the system of samsung"),
        "{other:?}"
    );
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_failed_fetch_is_tried_again_without_another_evaluation_or_build() {
    let fleet = fresh("samsung");
    assert_ok(&lab(&["bump", "samsung"]));
    assert_ok(&lab(&["fault", "cache", "nar-missing"]));
    let failed = fleet.deploy(&["samsung"]);
    failed.assert_outcome("samsung", "failed");
    assert!(failed.place("samsung", "fetch", "failed").is_some(), "{}", failed.story());
    assert_ok(&lab(&["fault", "cache", "clear"]));
    let again = fleet.run(&["retry", "last"]);
    let result = again.assert_outcome("samsung", "switched");
    assert_eq!(result["toplevel"], failed.result("samsung")["toplevel"]);
    for phase in ["evaluate", "build"] {
        assert_eq!(again.place("samsung", phase, "started"), None, "{phase}: {}", again.story());
    }
    for phase in ["preflight", "compare", "verify", "fetch"] {
        assert!(again.place("samsung", phase, "finished").is_some(), "{phase}: {}", again.story());
    }
    assert_on("samsung", result["toplevel"].as_str().unwrap(), &again.story());
    let nothing = fleet.nixdash(&["retry", "last", "--yes"]).output().unwrap();
    assert_eq!(nothing.status.code(), Some(2), "{nothing:?}");
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("there is nothing to try again"));
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_host_is_restarted_into_its_new_system_and_looked_at() {
    let fleet = fresh("samsung");
    let boot_id = || {
        on(
            "samsung",
            "cat /proc/sys/kernel/random/boot_id; cat /run/nixdash-start 2>/dev/null; true",
        )
    };
    let before = boot_id();
    assert_ok(&lab(&["bump", "samsung"]));
    let deployed = fleet.run(&["deploy", "samsung", "--action", "boot", "--reboot"]);
    let result = deployed.assert_outcome("samsung", "switched");
    let toplevel = result["toplevel"].as_str().unwrap();
    assert!(deployed.place("samsung", "reboot", "finished").is_some(), "{}", deployed.story());
    assert_eq!(Stands::of("samsung"), Stands::on(toplevel), "{before}: {}", deployed.story());
    power_cycle("samsung");
    assert_eq!(systems("samsung"), (toplevel.to_owned(), toplevel.to_owned()));
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_check_that_fails_after_a_restart_leaves_the_host_degraded() {
    let fleet = fresh("samsung");
    assert_ok(&lab(&["bump", "samsung"]));
    let fleet = changed(fleet, |text| text.replace("check = [", "check = [\"false\", "));
    let deployed = fleet.run(&["deploy", "samsung", "--action", "boot", "--reboot"]);
    let result = deployed.assert_outcome("samsung", "degraded");
    assert_eq!(result["findings"][0]["code"], "check-failed", "{}", deployed.story());
    assert_eq!(systems("samsung").0, result["toplevel"].as_str().unwrap());
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn the_plan_says_what_changes_before_anything_does() {
    let fleet = fresh("samsung");
    assert_ok(&lab(&["bump", "samsung"]));
    // Not built: versions from derivations, marked as partial.
    let output =
        fleet.nixdash(&["deploy", "samsung", "--action", "dry-activate", "--json"]).output();
    let dry = Deployed::from_output(output.unwrap());
    let plan = |deployed: &Deployed| {
        let event = deployed.events.iter().find(|event| event["event"] == "plan").cloned();
        event.unwrap_or_else(|| panic!("no plan: {}", deployed.story()))["plan"]["hosts"][0].clone()
    };
    let host = plan(&dry);
    let system = &host["changes"]["system"];
    assert_eq!(system["partial"], true, "{host}");
    assert!(!system["packages"].as_array().unwrap().is_empty(), "{host}");
    // Built, though not on samsung: all is known.
    let host = plan(&fleet.deploy(&["samsung"]));
    let system = &host["changes"]["system"];
    assert_eq!(system["partial"], Value::Null, "{host}");
    assert!(system["bytes_after"].as_u64().unwrap() > 0, "{host}");
    assert!(system["paths_added"].as_u64().unwrap() > 0, "{host}");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_packet_that_wakes_a_host_is_heard_in_the_network_of_another_one() {
    let fleet = Lab::healthy();
    let mac = "0a:1b:2c:3d:4e:5f";
    let text = std::fs::read_to_string(&fleet.hosts_file).unwrap();
    let with = format!("[hosts.samsung]\nmac = \"{mac}\"\nwake_via = \"p620\"");
    let text = text.replacen("[hosts.samsung]", &with, 1);
    let file = fleet.state.path().join("wake.toml");
    std::fs::write(&file, text).unwrap();
    let fleet = Lab { hosts_file: file, ..fleet };
    // p510 listens, as a network card does.
    on(
        "p510",
        "rm -f /run/heard; systemd-run --collect --quiet --unit=listen perl -MSocket -e '\
         socket(my $s, PF_INET, SOCK_DGRAM, 17); setsockopt($s, SOL_SOCKET, SO_BROADCAST, 1); \
         bind($s, pack_sockaddr_in(9, INADDR_ANY)) or die; open(my $r, \">\", \"/run/ready\"); close $r; \
         recv($s, my $p, 200, 0); open(my $f, \">\", \"/run/heard\"); print $f unpack(\"H*\", $p);'",
    );
    super::wait_for("the listener", std::time::Duration::from_secs(20), || {
        on("p510", "cat /run/ready 2>/dev/null && echo yes || true").contains("yes")
    });
    let output = fleet.nixdash(&["wake", "samsung", "--json"]).output().unwrap();
    assert_ok(&output);
    let woken: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(woken[0]["awake"], true, "{woken}");
    assert!(woken[0]["sent"].as_str().unwrap().contains("from p620"), "{woken}");
    let expected = format!("ffffffffffff{}", mac.replace(':', "").repeat(16));
    super::wait_for("the packet", std::time::Duration::from_secs(20), || {
        on("p510", "cat /run/heard 2>/dev/null || true") == expected
    });
}
