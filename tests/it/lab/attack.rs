//! What the attacks on a deploy share: a host to begin with, the truth about it, and a deploy that
//! may not hang.

use super::{Deployed, Lab, assert_ok, lab, on, power_cycle, wait_for};
use std::fmt::Write as _;
use std::process::Child;
use std::sync::mpsc;
use std::time::Duration;

/// What an attacked deploy may take before it counts as hung.
pub(super) const LIMIT: Duration = Duration::from_secs(240);

/// Where the system profile is.
const PROFILE: &str = "/nix/var/nix/profiles/system";

/// Returns the fleet, with this host on its first generation again, nothing of nixdash running there.
pub(super) fn fresh(host: &str) -> Lab {
    let fleet = Lab::healthy();
    let first = on(host, &format!("readlink -f {PROFILE}-1-link"));
    let quiet =
        units(host).is_empty() && on(host, "ls /nix/var/nixdash 2>/dev/null; true").is_empty();
    if !quiet || Stands::of(host) != Stands::on(&first) {
        reset_to_first(host);
    }
    assert_eq!(Stands::of(host), Stands::on(&first), "the host could not be set back");
    fleet
}

/// Sets a host back to its first generation, by force.
pub(super) fn reset_to_first(host: &str) {
    on(
        host,
        &format!(
            "rm -rf /nix/var/nixdash; nix-env -p {PROFILE} --switch-generation 1 2>/dev/null && \
             NIXOS_NO_CHECK=1 {PROFILE}/bin/switch-to-configuration boot 2>/dev/null"
        ),
    );
    power_cycle(host);
}

/// Returns a system that a host has and does not run, made by an earlier deploy.
pub(super) fn other_system(fleet: &Lab, host: &str) -> String {
    let now = running(host);
    let all = on(host, &format!("for link in {PROFILE}-*-link; do readlink -f $link; done"));
    if let Some(other) = all.lines().find(|system| *system != now) {
        return other.to_owned();
    }
    assert_ok(&lab(&["bump", host]));
    finish(fleet.deploying(&[host])).assert_outcome(host, "switched");
    now
}

/// Everything by which a host can be half of one system and half of another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stands {
    pub(super) running: String,
    etc: String,
    pub(super) profile: String,
    boots: String,
    demo: String,
}

impl Stands {
    /// Looks at a host, past nixdash.
    pub(super) fn of(host: &str) -> Self {
        Self {
            running: on(host, "readlink -f /run/current-system"),
            etc: on(host, "readlink -f /etc/static"),
            profile: on(host, &format!("readlink -f {PROFILE}")),
            boots: on(
                host,
                "entry=$(sed -n 's/^default //p' /boot/loader/loader.conf); \
                 sed -n 's/^options init=\\(.*\\)\\/init.*/\\1/p' /boot/loader/entries/$entry",
            ),
            demo: on(host, "systemctl is-active nixdash-demo.service || true"),
        }
    }

    /// Returns how a host stands that is on this system with all that it has.
    pub(super) fn on(system: &str) -> Self {
        let found = ["samsung", "p510"].into_iter().find_map(|host| etc_at(host, system));
        Self::with(system, &found.unwrap_or_else(|| panic!("{system} is nowhere")))
    }

    /// As [`Stands::on`], for a system that this host has.
    pub(super) fn on_at(system: &str, host: &str) -> Self {
        let found = etc_at(host, system);
        Self::with(system, &found.unwrap_or_else(|| panic!("{host} does not have {system}")))
    }

    fn with(system: &str, etc: &str) -> Self {
        Self {
            running: system.to_owned(),
            etc: format!("{etc}/etc"),
            profile: system.to_owned(),
            boots: system.to_owned(),
            demo: "active".to_owned(),
        }
    }
}

/// Returns what holds a system's /etc, which is a link into another path of the store; nothing where
/// a host does not have that system.
fn etc_at(host: &str, system: &str) -> Option<String> {
    let etc = on(host, &format!("readlink -f {system}/etc || true"));
    etc.strip_suffix("/etc").map(str::to_owned)
}

/// Returns the system that a host runs.
pub(super) fn running(host: &str) -> String {
    on(host, "readlink -f /run/current-system")
}

/// Checks that a host is on a system with all that it has, now and after a power cut.
pub(super) fn assert_on(host: &str, system: &str, story: &str) {
    assert_eq!(Stands::of(host), Stands::on(system), "{story}");
    power_cycle(host);
    assert_eq!(Stands::of(host), Stands::on(system), "after a power cut: {story}");
}

/// Checks that the host is where its outcome says, now and after a power cut. Returns the word.
pub(super) fn assert_truth(host: &str, deployed: &Deployed, before: &str) -> String {
    let result = deployed.result(host);
    let word = result["outcome"].as_str().unwrap().to_owned();
    let toplevel = result["toplevel"].as_str();
    let story = deployed.story();
    match word.as_str() {
        "switched" => assert_on(host, toplevel.unwrap(), &story),
        // Nothing is claimed, or something is wrong and said: the rest has to be whole.
        "degraded" | "unknown" => {
            let now = running(host);
            assert!(now == before || Some(now.as_str()) == toplevel, "{now}: {story}");
            assert_on(host, &now, &story);
        }
        _ => assert_on(host, before, &story),
    }
    word
}

/// Deploys a system without faults, as one does after an accident, and checks that it is there.
pub(super) fn repair(fleet: &Lab, host: &str) {
    assert_ok(&lab(&["bump", host]));
    let mut args = vec![host];
    if host == "p510" {
        args.extend(["--allow-protected", "p510"]);
    }
    let deployed = finish(fleet.deploying(&args));
    let result = deployed.assert_outcome(host, "switched");
    assert_eq!(Stands::of(host), Stands::on(result["toplevel"].as_str().unwrap()));
}

/// Waits for a deploy; one that takes too long is killed, and so fails its test.
pub(super) fn finish(child: Child) -> Deployed {
    let pid = child.id().to_string();
    let (ended, hung) = mpsc::channel();
    let watch = std::thread::spawn(move || {
        if hung.recv_timeout(LIMIT).is_ok() {
            return String::new();
        }
        let busy = what_runs(&pid);
        drop(std::process::Command::new("kill").args(["-KILL", &pid]).status());
        busy
    });
    let output = child.wait_with_output().unwrap();
    let _ = ended.send(());
    let mut deployed = Deployed::from_output(output);
    deployed.stderr.push_str(&watch.join().unwrap());
    deployed
}

/// Tells what runs on the builder, on the target and below a deploy that hangs: afterwards nobody
/// can say it.
fn what_runs(pid: &str) -> String {
    let look = "ps -eo pid,ppid,etimes,stat,wchan:20,args --forest; ss -tnp; \
                tail -n 5 /run/nixdash/jobs/*/log";
    let mut said = format!("it had not ended after {} s\n", LIMIT.as_secs());
    for host in ["p620", "samsung"] {
        let output = lab(&["shell", host, "/bin/sh", "-c", look]);
        let _ = writeln!(said, "== {host}\n{}", String::from_utf8_lossy(&output.stdout));
    }
    let here = std::process::Command::new("ps")
        .args(["-o", "pid,etimes,stat,wchan:20,args", "--ppid", pid, "-p", pid])
        .output();
    let here = here.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    said.push_str(&here.unwrap_or_default());
    said
}

/// Deploys samsung with this break and waits for the end. `broken` is the break and its number.
pub(super) fn deploy_broken(fleet: &Lab, broken: &[&str]) -> Deployed {
    bump_broken("samsung", broken);
    finish(fleet.deploying(&["samsung"]))
}

/// Gives a host a system with this break to deploy.
pub(super) fn bump_broken(host: &str, broken: &[&str]) {
    let mut words = vec!["bump", host, "--break", broken[0]];
    if let Some(amount) = broken.get(1) {
        words.extend(["--amount", amount]);
    }
    assert_ok(&lab(&words));
}

/// Returns the units of nixdash that run on a host.
pub(super) fn units(host: &str) -> Vec<String> {
    let said = on(host, "systemctl list-units --plain --no-legend 'nixdash-*-*.service'");
    said.lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|unit| *unit != "nixdash-demo.service")
        .map(str::to_owned)
        .collect()
}

/// Waits until a host's supervisor runs, and returns its unit.
pub(super) fn supervisor(host: &str) -> String {
    let mut found = None;
    wait_for("the supervisor to run", Duration::from_secs(90), || {
        found = units(host).into_iter().find(|unit| unit.contains("-activate-"));
        found.is_some()
    });
    found.unwrap()
}

/// Waits until nothing of nixdash runs on a host.
pub(super) fn wait_until_quiet(host: &str) {
    wait_for("the host to be left alone", Duration::from_secs(150), || units(host).is_empty());
}

/// Waits until the profile of a host names another system than this one.
pub(super) fn wait_for_profile(host: &str, before: &str) {
    wait_for("the profile to be set", Duration::from_secs(90), || {
        on(host, &format!("readlink -f {PROFILE}")) != before
    });
}

/// Returns the error of a host's result, or nothing.
pub(super) fn error<'a>(deployed: &'a Deployed, host: &str) -> &'a str {
    deployed.result(host)["error"].as_str().unwrap_or_default()
}

impl Lab {
    /// Returns this fleet with more lines below `[fleet]`.
    pub(super) fn with(self, lines: &str) -> Self {
        self.edited(|text| text.replacen("[fleet]\n", &format!("[fleet]\n{lines}\n"), 1))
    }

    /// Returns this fleet with one more command that is to hold after each activation.
    pub(super) fn with_check(self, command: &str) -> Self {
        let list = format!("check = [\"{command}\", ");
        self.edited(|text| text.replace("check = [", &list))
    }

    /// Returns this fleet with other addresses of samsung, each written after its network's numbers.
    pub(super) fn with_addresses(self, ends: &[&str]) -> Self {
        let network = self.network();
        let list: Vec<String> =
            ends.iter().map(|end| format!("\"root@{network}.{end}\"")).collect();
        let old = format!("addresses = [\"root@{network}.12\"]");
        self.edited(|text| text.replacen(&old, &format!("addresses = [{}]", list.join(", ")), 1))
    }

    /// Returns the first three numbers of the fleet's network.
    pub(super) fn network(&self) -> String {
        let text = std::fs::read_to_string(&self.hosts_file).unwrap();
        let rest = text.split("root@").nth(1).expect("an address of root");
        rest.split('"').next().and_then(|address| address.rsplit_once('.')).unwrap().0.to_owned()
    }

    fn edited(self, edit: impl Fn(&str) -> String) -> Self {
        let text = std::fs::read_to_string(&self.hosts_file).unwrap();
        let other = edit(&text);
        assert_ne!(text, other, "the lab's hosts.toml is another one");
        let file = self.state.path().join("edited.toml");
        std::fs::write(&file, other).unwrap();
        Self { hosts_file: file, ..self }
    }
}
