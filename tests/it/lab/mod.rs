//! Tests on the practice fleet: real systemd, ssh, Nix and HTTP. They need root and a lab that is
//! up; `tests/run.sh` sees to both. They share four hosts, so they run one after the other.

mod attack;
mod attack_activation;
mod attack_cut;
mod attack_full;
mod attack_killed;
mod attack_network;
mod attack_user;
mod builds;
mod deploy;
mod faults;
mod first;
mod flakes;
mod flood;
mod generations;
mod history;
mod init;
mod matrix;
mod next;
mod reattach;
mod rollout;
mod root;
mod screen;
mod seaweed;
mod settings;
mod status;
mod stores;
mod strategies;
mod terminal;
mod tiers;
mod via_s3;
mod walk;

use nixdash::fleet::{Phase, RawLogLine, RunId};
use nixdash::record::Runs;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The program under test.
const NIXDASH: &str = env!("CARGO_BIN_EXE_nixdash");

/// Returns the program under test: `$NIXDASH_PROGRAM`, for instance a copy that no build replaces meanwhile.
fn nixdash() -> PathBuf {
    std::env::var_os("NIXDASH_PROGRAM").map_or_else(|| PathBuf::from(NIXDASH), PathBuf::from)
}

/// The practice fleet, and a state folder of this test's own.
struct Lab {
    hosts_file: PathBuf,
    state: tempfile::TempDir,
}

/// What `deploy --json` printed.
struct Deployed {
    code: Option<i32>,
    events: Vec<Value>,
    stderr: String,
}

impl Lab {
    /// Returns the fleet that is up, healed of every fault and break of the test before.
    fn healthy() -> Self {
        let status = lab(&["status", "--json"]);
        let status: Value = serde_json::from_slice(&status.stdout).expect("lab status is JSON");
        let hosts_file = PathBuf::from(status["hosts_file"].as_str().expect("a hosts file"));
        for host in ["p620", "razer", "samsung", "p510", "cache"] {
            assert_ok(&lab(&["fault", host, "clear"]));
        }
        assert_ok(&lab(&["bump", "--fix"]));
        for host in ["p620", "razer", "samsung", "p510"] {
            on(host, "systemctl reset-failed");
        }
        Self { hosts_file, state: tempfile::tempdir().unwrap() }
    }

    /// Returns nixdash on this fleet.
    fn nixdash(&self, args: &[&str]) -> Command {
        let mut command = Command::new(nixdash());
        command
            .arg("--hosts")
            .arg(&self.hosts_file)
            .args(args)
            .env("XDG_STATE_HOME", self.state.path())
            .stdin(Stdio::null());
        command
    }

    /// Deploys and waits for the end.
    fn deploy(&self, args: &[&str]) -> Deployed {
        Deployed::from_output(self.deploying(args).wait_with_output().unwrap())
    }

    /// Begins to deploy.
    fn deploying(&self, args: &[&str]) -> Child {
        let mut command = self.nixdash(&["deploy", "--yes", "--json"]);
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Waits until a run of this test has told something, and returns the host's log so far.
    fn wait_for_event(&self, what: &str, holds: impl Fn(&Value) -> bool) {
        let runs = self.state.path().join("nixdash/runs");
        wait_for(what, Duration::from_secs(90), || events_below(&runs).iter().any(&holds));
    }

    /// Waits until a host's log has a line of a phase.
    fn wait_for_line(&self, host: &str, phase: &str) {
        let runs = Runs::open(&self.state.path().join("nixdash")).unwrap();
        let has_one = |run: &RunId| {
            let mut lines = runs.log_lines(run, host);
            while lines.advance().unwrap() {
                if RawLogLine::read(lines.line()).phase.map(Phase::word) == Some(phase) {
                    return true;
                }
            }
            false
        };
        wait_for(&format!("a line of {host}'s {phase}"), Duration::from_secs(90), || {
            runs.list().unwrap().iter().any(has_one)
        });
    }

    /// Returns what `status --json` says.
    fn status(&self) -> Value {
        let output = self.nixdash(&["status", "--json"]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    /// Returns what `status --json` says of one host.
    fn host(&self, name: &str) -> Value {
        let status = self.status();
        let hosts = status["hosts"].as_array().unwrap();
        hosts.iter().find(|host| host["name"] == name).cloned().unwrap()
    }
}

impl Deployed {
    /// Reads what a deploy printed.
    fn from_output(output: Output) -> Self {
        let text = String::from_utf8(output.stdout).unwrap();
        let events: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
            .collect();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { code: output.status.code(), events, stderr }
    }

    /// Returns the result of a host.
    fn result(&self, host: &str) -> &Value {
        let found = self.events.iter().find(|e| e["event"] == "result" && e["host"] == host);
        found.unwrap_or_else(|| panic!("no result of {host}: {}", self.story()))
    }

    /// Checks how a host ended.
    fn assert_outcome(&self, host: &str, outcome: &str) -> &Value {
        let result = self.result(host);
        assert_eq!(result["outcome"], outcome, "{}", self.story());
        result
    }

    /// Returns the place of a phase's state among the events.
    fn place(&self, host: &str, phase: &str, state: &str) -> Option<usize> {
        self.events.iter().position(|event| {
            event["event"] == "phase"
                && event["host"] == host
                && event["phase"] == phase
                && event["state"] == state
        })
    }

    /// Returns the logged lines of a host's phase.
    fn log(&self, host: &str, phase: &str) -> String {
        let lines: Vec<&str> = self
            .events
            .iter()
            .filter(|e| e["event"] == "log" && e["host"] == host && e["phase"] == phase)
            .filter_map(|event| event["line"].as_str())
            .collect();
        lines.join("\n")
    }

    /// Returns everything, for the message of a failed test.
    fn story(&self) -> String {
        let lines: Vec<String> = self.events.iter().map(Value::to_string).collect();
        format!("exit {:?}\n{}\n{}", self.code, lines.join("\n"), self.stderr)
    }
}

/// Returns all events of the runs below a folder.
fn events_below(runs: &Path) -> Vec<Value> {
    let Ok(entries) = std::fs::read_dir(runs) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("events.jsonl")).ok())
        .flat_map(|text| {
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<_>>()
        })
        .collect()
}

/// Runs `nixdash lab` for the fleet of the tests.
fn lab(args: &[&str]) -> Output {
    let name = std::env::var("NIXDASH_LAB_NAME").unwrap_or_else(|_| "test".to_owned());
    Command::new(nixdash())
        .arg("lab")
        .args(args)
        .env("NIXDASH_LAB_NAME", name)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Runs a command on a host, past nixdash and ssh.
fn on(host: &str, command: &str) -> String {
    let output = lab(&["shell", host, "/bin/sh", "-c", command]);
    assert_ok(&output);
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Returns the running system and the boot default's system of a host, asked past nixdash.
fn systems(host: &str) -> (String, String) {
    (
        on(host, "readlink -f /run/current-system"),
        on(host, "readlink -f /nix/var/nix/profiles/system"),
    )
}

/// Cuts a host's power and waits until it runs again.
fn power_cycle(host: &str) {
    assert_ok(&lab(&["fault", host, "power-cycle"]));
    wait_for("the host to run again", Duration::from_secs(60), || {
        let output = lab(&["shell", host, "/bin/sh", "-c", "systemctl is-system-running"]);
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        said == "running" || said == "degraded"
    });
}

fn assert_ok(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

/// Waits for a condition.
fn wait_for(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < limit, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
