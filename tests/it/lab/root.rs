//! Hosts whose sudo (or sudo-rs) asks for a password, hosts with doas or run0, and hosts behind another one.

use super::{Lab, NIXDASH, assert_ok, lab, on, systems};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The password of the login user of razer.
const PASSWORD: &str = "canary-hunter2 ä";

impl Lab {
    /// Returns a fleet whose files are this one's with other texts in them.
    fn changed(mut self, name: &str, change: impl Fn(String) -> String) -> Self {
        let text = change(fs::read_to_string(&self.hosts_file).unwrap());
        self.hosts_file = self.hosts_file.with_file_name(format!("hosts-{name}.toml"));
        fs::write(&self.hosts_file, text).unwrap();
        self
    }
}

/// Lets sudo of razer ask for a password, until it is dropped.
struct AsksForPassword;

impl AsksForPassword {
    fn begin() -> Self {
        on(
            "razer",
            &format!(
                "echo 'me:{PASSWORD}' | /usr/sbin/chpasswd && \
                 echo 'me ALL=(ALL:ALL) PASSWD: ALL' >/etc/sudoers.d/zz-password"
            ),
        );
        Self
    }
}

impl Drop for AsksForPassword {
    fn drop(&mut self) {
        on("razer", "rm -f /etc/sudoers.d/zz-password");
    }
}

/// Lets only doas of razer make its login user root, until it is dropped.
struct OnlyDoas;

impl OnlyDoas {
    fn begin(rule: &str) -> Self {
        on(
            "razer",
            &format!(
                "echo 'me ALL=(ALL:ALL) PASSWD: ALL' >/etc/sudoers.d/zz-password && \
                 echo '{rule}' >/etc/doas.conf && chmod 400 /etc/doas.conf"
            ),
        );
        Self
    }
}

impl Drop for OnlyDoas {
    fn drop(&mut self) {
        on("razer", "rm -f /etc/sudoers.d/zz-password /etc/doas.conf");
    }
}

/// Lets the sudo of razer be that of sudo-rs, until it is dropped.
struct SudoRs;

impl SudoRs {
    fn begin() -> Self {
        on("razer", "ln -sf /usr/bin/sudo-rs /run/wrappers/bin/sudo");
        Self
    }
}

impl Drop for SudoRs {
    fn drop(&mut self) {
        let wrapper = "/run/wrappers/bin/sudo";
        on(
            "razer",
            &format!("rm -f {wrapper} && cp /usr/bin/sudo {wrapper} && chmod 4755 {wrapper}"),
        );
    }
}

/// Puts run0 where NixOS has it, until it is dropped. Whether polkit lets the login user of razer use it
/// without a question is another matter.
struct HasRun0;

/// The rule with which polkit lets the login user of razer become root.
const POLKIT_RULE: &str = "/etc/polkit-1/rules.d/10-me.rules";

impl HasRun0 {
    fn begin() -> Self {
        on("razer", "ln -sf /usr/bin/run0 /run/wrappers/bin/run0");
        Self
    }

    fn allow() {
        let rule = r#"polkit.addRule(function (action, subject) { if (action.id == "org.freedesktop.systemd1.manage-units" && subject.user == "me") return polkit.Result.YES; });"#;
        on("razer", &format!("echo '{rule}' >{POLKIT_RULE} && systemctl restart polkit"));
    }
}

impl Drop for HasRun0 {
    fn drop(&mut self) {
        on(
            "razer",
            &format!("rm -f /run/wrappers/bin/run0 {POLKIT_RULE}; systemctl restart polkit"),
        );
    }
}

/// Adds lines to the section of razer.
fn of_razer(text: &str, more: &str) -> String {
    text.replacen("[hosts.razer]\n", &format!("[hosts.razer]\n{more}\n"), 1)
}

/// Deploys razer, whose sudo asks for a password: without one, with a wrong one, which `refused` looks at, and
/// with the right one. Returns the fleet that did.
fn deploy_by_password(name: &str, refused: impl Fn()) -> Lab {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump", "razer"]));
    let needed = fleet.deploy(&["razer"]);
    let result = needed.assert_outcome("razer", "failed");
    assert_eq!(result["findings"][0]["code"], "sudo-password-needed", "{}", needed.story());
    let fleet = fleet
        .changed(name, |text| of_razer(&text, "sudo_password = { env = \"NIXDASH_TEST_SUDO\" }"));
    let deploy = |password: &str| {
        let mut command = fleet.nixdash(&["deploy", "--yes", "--json", "razer"]);
        let output = command.env("NIXDASH_TEST_SUDO", password).output().unwrap();
        super::Deployed::from_output(output)
    };
    let wrong = deploy("canary-wrong");
    let result = wrong.assert_outcome("razer", "failed");
    assert_eq!(result["findings"][0]["code"], "sudo-password-wrong", "{}", wrong.story());
    refused();
    let deployed = deploy(PASSWORD);
    let result = deployed.assert_outcome("razer", "switched");
    let toplevel = result["toplevel"].as_str().unwrap();
    assert_eq!(systems("razer"), (toplevel.to_owned(), toplevel.to_owned()));
    fleet
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn razer_is_deployed_through_a_sudo_that_asks_for_a_password() {
    let _asks = AsksForPassword::begin();
    let began = on("razer", "date +%s");
    let fleet = deploy_by_password("password", || {
        let refused = format!(
            "journalctl -b --since @{began} -o cat | grep -c 'auth could not identify password\\|authentication failure' || true"
        );
        let count: usize = on("razer", &refused).parse().unwrap();
        assert!(count <= 2, "it was tried once, but the host says {count} times");
    });
    // Neither what the run keeps here nor what the host keeps has the password.
    let kept =
        Command::new("grep").args(["-rl", "canary-"]).arg(fleet.state.path()).output().unwrap();
    assert!(kept.stdout.is_empty(), "{}", String::from_utf8_lossy(&kept.stdout));
    let there = "grep -rl canary- /run/nixdash /var/lib/nixdash /var/log /tmp 2>/dev/null; \
                 journalctl -b -o cat | grep canary- || true";
    assert_eq!(on("razer", there), "");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn razer_is_deployed_through_sudo_rs_which_asks_for_a_password() {
    let _asks = AsksForPassword::begin();
    let _sudo_rs = SudoRs::begin();
    deploy_by_password("sudo-rs", || ());
    let sudo = on("razer", "sudo --version 2>&1");
    assert!(sudo.starts_with("sudo-rs"), "it was another sudo: {sudo}");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn razer_is_deployed_through_run0_where_polkit_asks_for_nothing() {
    let _run0 = HasRun0::begin();
    let fleet = Lab::healthy().changed("run0", |text| of_razer(&text, "elevate = \"run0\""));
    assert_ok(&lab(&["bump", "razer"]));
    let asked = fleet.deploy(&["razer"]);
    let result = asked.assert_outcome("razer", "failed");
    assert_eq!(result["findings"][0]["code"], "root-would-ask", "{}", asked.story());
    HasRun0::allow();
    let deployed = fleet.deploy(&["razer"]);
    let result = deployed.assert_outcome("razer", "switched");
    let toplevel = result["toplevel"].as_str().unwrap();
    assert_eq!(systems("razer"), (toplevel.to_owned(), toplevel.to_owned()));
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn razer_is_deployed_through_doas_where_that_asks_for_nothing() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump", "razer"]));
    {
        let _asks = OnlyDoas::begin("permit me");
        let by_doas = Lab::healthy().changed("doas", |text| of_razer(&text, "elevate = \"doas\""));
        let asked = by_doas.deploy(&["razer"]);
        let result = asked.assert_outcome("razer", "failed");
        assert_eq!(result["findings"][0]["code"], "root-would-ask", "{}", asked.story());
    }
    let _free = OnlyDoas::begin("permit nopass me as root");
    let deployed = fleet.deploy(&["razer"]);
    let result = deployed.assert_outcome("razer", "switched");
    let toplevel = result["toplevel"].as_str().unwrap();
    assert_eq!(systems("razer"), (toplevel.to_owned(), toplevel.to_owned()));
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn the_dashboard_hands_a_password_to_its_run_through_standard_input() {
    let fleet = Lab::healthy();
    let _asks = AsksForPassword::begin();
    assert_ok(&lab(&["bump", "razer"]));
    let fleet = fleet.changed("ask", |text| of_razer(&text, "sudo_password = \"ask\""));
    // In a session of its own: this test may run in a terminal, on which nixdash would ask.
    let nobody = Command::new("setsid")
        .args(["--wait", NIXDASH, "--hosts"])
        .arg(&fleet.hosts_file)
        .args(["deploy", "--yes", "--json", "razer"])
        .env("XDG_STATE_HOME", fleet.state.path())
        .stdin(Stdio::null())
        .output();
    let nobody = super::Deployed::from_output(nobody.unwrap());
    assert_eq!(nobody.code, Some(2), "{}", nobody.stderr);
    assert!(nobody.stderr.contains("no terminal to ask on"), "{}", nobody.stderr);
    let mut child = Command::new(NIXDASH)
        .arg("--hosts")
        .arg(&fleet.hosts_file)
        .args(["deploy", "--sudo-passwords-from-stdin", "--yes", "--json", "razer"])
        .env("XDG_STATE_HOME", fleet.state.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, format!("razer\n{PASSWORD}\n").as_bytes()).unwrap();
    drop(stdin);
    let deployed = super::Deployed::from_output(child.wait_with_output().unwrap());
    deployed.assert_outcome("razer", "switched");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn samsung_is_deployed_through_razer_after_its_unknown_key_was_accepted() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump", "samsung"]));
    let folder = fleet.hosts_file.parent().unwrap().to_owned();
    let text = fs::read_to_string(&fleet.hosts_file).unwrap();
    let address = |host: &str| {
        let after = text.split(&format!("[hosts.{host}]")).nth(1).unwrap();
        let quoted = after.split('"').nth(1).unwrap();
        quoted.split('@').nth(1).unwrap().to_owned()
    };
    let (razer, samsung) = (address("razer"), address("samsung"));
    let known = folder.join("known_hosts-jump");
    let config = folder.join("ssh_config-jump");
    let plain = fs::read_to_string(folder.join("ssh_config")).unwrap();
    let old = folder.join("known_hosts").display().to_string();
    let behind = format!("Host {samsung}\n  ProxyJump me@{razer}\n");
    let plain = plain.replace(&old, &known.display().to_string());
    fs::write(&config, format!("{behind}{plain}")).unwrap();
    // Everybody is known but the host behind the other one.
    let all = fs::read_to_string(folder.join("known_hosts")).unwrap();
    let others: Vec<&str> = all.lines().filter(|line| !line.contains(&samsung)).collect();
    fs::write(&known, others.join("\n") + "\n").unwrap();
    let config_line = |path: &PathBuf| format!("ssh_config = \"{}\"", path.display());
    let (from, to) = (config_line(&folder.join("ssh_config")), config_line(&config));
    let fleet = fleet.changed("jump", |text| text.replace(&from, &to));
    assert_eq!(fleet.host("samsung")["findings"][0]["code"], "host-key-unknown");
    let shown = fleet.nixdash(&["trust-host", "samsung", "--json"]).output().unwrap();
    assert_eq!(shown.status.code(), Some(1));
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    let key = shown["keys"].as_array().unwrap().iter().find(|key| key["state"] == "unknown");
    let fingerprint = key.unwrap()["fingerprint"].as_str().unwrap().to_owned();
    let real = on("samsung", "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub");
    assert!(real.contains(&fingerprint), "{real} {fingerprint}");
    let other = format!("SHA256:{}", "A".repeat(43));
    let other = fleet.nixdash(&["trust-host", "samsung", "--fingerprint", &other]).output();
    assert_eq!(other.unwrap().status.code(), Some(1), "another key is not accepted");
    let malformed = fleet.nixdash(&["trust-host", "samsung", "--fingerprint", "SHA256:x"]).output();
    assert_eq!(malformed.unwrap().status.code(), Some(2), "no key has such a fingerprint");
    let accept = fleet.nixdash(&["trust-host", "samsung", "--fingerprint", &fingerprint]).output();
    assert_ok(&accept.unwrap());
    let deployed = fleet.deploy(&["samsung"]);
    deployed.assert_outcome("samsung", "switched");
}
