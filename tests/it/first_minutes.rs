//! The first minutes of who has no hosts.toml, on a terminal: what was found, the questions of
//! `nixdash init`, and the dashboard on the file that came out of them.
//!
//! Nix and ssh are scripts that answer at once: the flake has two hosts, and neither can be reached.

use crate::terminal::{Ended, Pseudo, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const NIX: &str = r#"#!/bin/sh
case "$*" in
*--version*) echo 'nix (Nix) 2.31.2' ;;
*nixosConfigurations*) echo '["p620","razer"]' ;;
*) echo "error: flake 'path:/f' does not provide attribute 'deploy'" >&2; exit 1 ;;
esac
"#;

const SSH: &str =
    "#!/bin/sh\necho 'ssh: connect to host p620 port 22: Connection refused' >&2\nexit 255\n";

/// A person at a terminal, in a folder with a flake.
struct FirstMinutes {
    dir: TempDir,
    pseudo: Pseudo,
    shown: Arc<Mutex<Vec<u8>>>,
    nixdash: Ended,
}

impl FirstMinutes {
    /// Starts nixdash with these arguments.
    fn start(args: &[&str]) -> Self {
        Self::start_with(NIX, args)
    }

    /// Starts nixdash with these arguments, where Nix is this script.
    fn start_with(nix: &str, args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        for (name, text) in [("nix", nix), ("ssh", SSH)] {
            std::fs::write(bin.join(name), text).unwrap();
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(bin.join(name), mode).unwrap();
        }
        std::fs::write(dir.path().join("flake.nix"), "{ outputs = _: { }; }\n").unwrap();
        std::fs::create_dir(dir.path().join(".ssh")).unwrap();
        std::fs::write(dir.path().join(".ssh/config"), "Host p620\nHost nas\n").unwrap();
        let (pseudo, shown) = Pseudo::open_keeping();
        let child = Command::new(env!("CARGO_BIN_EXE_nixdash"))
            .args(args)
            .current_dir(dir.path())
            .env("PATH", path_with(&bin))
            .env("HOME", dir.path())
            .env("XDG_STATE_HOME", dir.path().join("state"))
            .envs([("TERM", "xterm"), ("LANG", "C.UTF-8")])
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("NIXDASH_HOSTS")
            .stdin(pseudo.end())
            .stdout(pseudo.end())
            .stderr(pseudo.end())
            .spawn()
            .unwrap();
        Self { dir, pseudo, shown, nixdash: Ended(child) }
    }

    fn hosts_toml(&self) -> Option<String> {
        std::fs::read_to_string(self.dir.path().join("hosts.toml")).ok()
    }

    /// Waits until something new is shown, and forgets what was shown up to its end.
    fn wait_for(&self, text: &str) {
        wait_until(text, || {
            let mut shown = self.shown.lock().unwrap();
            let found = shown.windows(text.len()).position(|part| part == text.as_bytes());
            if let Some(at) = found {
                shown.drain(..at + text.len());
            }
            found.is_some()
        });
    }

    fn type_keys(&mut self, keys: &str) {
        self.pseudo.person.write_all(keys.as_bytes()).unwrap();
    }

    fn end(&mut self) -> ExitStatus {
        let mut ended = None;
        wait_until("it ends", || {
            ended = self.nixdash.0.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap()
    }
}

/// Returns the search path with a folder before all others.
fn path_with(bin: &Path) -> OsString {
    let others = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(bin.to_owned()).chain(std::env::split_paths(&others)))
        .unwrap()
}

#[test]
fn init_asks_who_builds_and_whether_to_write() {
    let mut first = FirstMinutes::start(&["init", "--write"]);
    first.wait_for("Which host builds for the others: p620, razer?");
    first.type_keys("nobody\n");
    first.wait_for("There is no such host.");
    first.type_keys("p620\n");
    first.wait_for("Write this to hosts.toml? [y/N]");
    assert_eq!(first.hosts_toml(), None, "nothing is written before it is allowed");
    first.type_keys("y\n");
    first.wait_for("hosts.toml was written.");
    // Its hosts did not answer.
    assert_eq!(first.end().code(), Some(1));
    let text = first.hosts_toml().unwrap();
    assert!(text.contains("builder = \"p620\"") && text.contains("[hosts.razer]"), "{text}");
}

#[test]
fn anything_but_yes_writes_nothing() {
    let mut first = FirstMinutes::start(&["init", "--write"]);
    first.wait_for("Which host builds");
    first.type_keys("\n");
    first.wait_for("Write this to hosts.toml? [y/N]");
    first.type_keys("\n");
    first.wait_for("Nothing was written.");
    first.end();
    assert_eq!(first.hosts_toml(), None);
}

#[test]
fn of_a_flake_that_cannot_be_read_no_file_is_proposed() {
    let nix = "#!/bin/sh\necho \"error: unable to download 'https://x/y': Could not resolve host\" >&2\nexit 1\n";
    let mut first = FirstMinutes::start_with(nix, &["init", "--write"]);
    first.wait_for("Nothing is proposed, because no host of the flake is known.");
    assert_eq!(first.end().code(), Some(1));
    assert_eq!(first.hosts_toml(), None);
}

/// A flake with a hive of colmena and without `nixosConfigurations`, as many of its users have it.
const HIVE: &str = r#"#!/bin/sh
case "$*" in
*colmenaHive*) ;;
*colmena*) echo '{"oak":{"host":"oak.lan","port":2222,"user":"root"}}'; exit 0 ;;
esac
echo "error: flake 'path:/f' does not provide attribute 'x'" >&2
exit 1
"#;

#[test]
fn of_a_hive_alone_the_hosts_are_proposed_and_what_to_add_is_said() {
    let mut first = FirstMinutes::start_with(HIVE, &["init", "--write"]);
    first.wait_for("nixosConfigurations = self.colmenaHive.nodes;");
    first.wait_for("addresses = [\"root@oak.lan:2222\"]");
    first.wait_for("Write this to hosts.toml? [y/N]");
    first.type_keys("n\n");
    assert_eq!(first.end().code(), Some(1));
}

#[test]
fn an_interrupt_at_a_question_ends_init() {
    let mut first = FirstMinutes::start(&["init", "--write"]);
    first.wait_for("Which host builds");
    kill_process(Pid::from_child(&first.nixdash.0), Signal::INT).unwrap();
    assert_eq!(first.end().code(), Some(130));
    assert_eq!(first.hosts_toml(), None);
}

#[test]
fn the_dashboard_says_what_is_here_makes_the_file_and_goes_on_with_it() {
    let mut first = FirstMinutes::start(&[]);
    first.wait_for("There is no hosts.toml yet");
    first.wait_for("razer");
    first.type_keys("i");
    first.wait_for("Which host builds for the others: p620, razer?");
    first.type_keys("\n");
    first.wait_for("Write this to hosts.toml? [y/N]");
    first.type_keys("y\n");
    first.wait_for("Press Enter to open the dashboard");
    first.type_keys("\n");
    first.wait_for("trust it now? [y/N]");
    first.type_keys("y\n");
    first.wait_for("razer");
    first.type_keys("q");
    assert!(first.end().success());
}
