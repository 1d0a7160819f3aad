//! A machine that becomes NixOS: no system runs there, and nothing can go back.

use super::{Lab, assert_ok, events_below, lab, on, power_cycle, systems};

/// A host that forgot every system it had, as a Debian with Nix that is being converted. It finds its
/// programs as such a one does. A restart makes it what it was.
struct Converted;

impl Converted {
    fn new() -> Self {
        on(
            "samsung",
            "export PATH=/usr/sbin:/usr/bin:/sbin:/bin
             echo 'SetEnv PATH=/usr/sbin:/usr/bin:/sbin:/bin' >/etc/ssh/sshd_config.d/00-converted.conf
             systemctl restart ssh || systemctl restart sshd
             cp -P /nix/var/nix/profiles/system /etc/nixdash-lab/system-before
             rm -f /etc/os-release && cp /usr/lib/os-release /etc/os-release
             rm -f /run/current-system /run/booted-system /nix/var/nix/profiles/system",
        );
        Self
    }
}

impl Drop for Converted {
    fn drop(&mut self) {
        let put_back = "export PATH=/usr/sbin:/usr/bin:/sbin:/bin
             rm -f /etc/ssh/sshd_config.d/00-converted.conf
             [ -e /nix/var/nix/profiles/system ] ||
                 cp -P /etc/nixdash-lab/system-before /nix/var/nix/profiles/system
             sync";
        lab(&["shell", "samsung", "/bin/sh", "-c", put_back]);
        if std::thread::panicking() {
            lab(&["fault", "samsung", "power-cycle"]);
        } else {
            power_cycle("samsung");
        }
    }
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_machine_that_becomes_nixos_is_told_and_deployed_as_a_first_deploy() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump", "samsung"]));
    let converted = Converted::new();
    let host = fleet.host("samsung");
    assert!(host["other_system"].as_str().unwrap().contains("Debian"), "{host}");
    let findings = host["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["code"] == "not-nixos"), "{host}");
    let refused = fleet.deploy(&["samsung"]);
    let result = refused.assert_outcome("samsung", "failed");
    assert_eq!(result["findings"][0]["code"], "not-nixos", "{}", refused.story());
    assert!(result["error"].as_str().unwrap().contains("nixdash deploy samsung --first"));
    let deployed = fleet.deploy(&["samsung", "--first"]);
    // NixOS activates nothing where no system of the same kind runs: it is installed.
    let result = deployed.assert_outcome("samsung", "needs-reboot");
    assert_eq!(result["previous"], serde_json::Value::Null);
    let events = events_below(&fleet.state.path().join("nixdash/runs"));
    let mut plans = events.iter().filter(|event| event["event"] == "plan");
    let plan = plans.find(|plan| !plan["plan"]["hosts"][0].is_null()).unwrap();
    let notes = plan["plan"]["hosts"][0]["findings"].as_array().unwrap();
    assert!(notes.iter().any(|note| note["code"] == "first-deploy"), "{plan}");
    let toplevel = result["toplevel"].as_str().unwrap().to_owned();
    drop(converted);
    assert_eq!(
        systems("samsung"),
        (toplevel.clone(), toplevel),
        "it boots what was deployed first"
    );
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_first_deploy_that_changes_nothing_is_never_called_rolled_back() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump", "samsung"]));
    let _converted = Converted::new();
    let deployed = fleet.deploy(&["samsung", "--first", "--action", "test"]);
    let result = deployed.assert_outcome("samsung", "failed");
    assert_eq!(result["findings"][0]["code"], "switch-inhibited", "{}", deployed.story());
    let look = "/usr/bin/readlink /nix/var/nix/profiles/system /run/current-system || true";
    assert_eq!(on("samsung", look), "", "nothing was made permanent, and nothing runs");
}
