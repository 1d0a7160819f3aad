//! nixdash as a service: what a service manager starts has no terminal, no home and no user.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What a program said on standard error.
fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs nixdash as a service manager may: no terminal, no home, no user, no other variable.
fn without_surroundings(args: &[&str], dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nixdash"));
    command.args(["--hosts", "hosts.toml"]).args(args).current_dir(dir).env_clear();
    command.env("STATE_DIRECTORY", dir.join("state")).stdin(Stdio::null());
    command
}

#[test]
fn status_and_caches_need_no_terminal_no_home_and_no_user() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = "[hosts.here]\naddresses = []\n";
    std::fs::write(dir.path().join("hosts.toml"), fleet).unwrap();
    for (args, word) in [
        (&["status"][..], "here "),
        (&["status", "--json"], "\"here\""),
        (&["status", "--line"], "1"),
        (&["caches"], "all hosts"),
        (&["history"], "no runs"),
        (&["config", "check"], "1 host"),
    ] {
        let output = without_surroundings(args, dir.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
        assert!(said.contains(word), "{args:?}: {said}");
        assert_eq!(stderr(&output), "", "{args:?}");
    }
    assert!(dir.path().join("state/nixdash.db").exists(), "what was measured is kept");
}

#[test]
fn what_is_measured_is_shown_also_where_nothing_can_be_kept() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = "[hosts.here]\naddresses = []\n";
    std::fs::write(dir.path().join("hosts.toml"), fleet).unwrap();
    for (args, word) in [(&["status"][..], "here "), (&["caches"], "all hosts")] {
        let mut command = without_surroundings(args, dir.path());
        let output = command.env("STATE_DIRECTORY", "/dev/null/nowhere").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(String::from_utf8_lossy(&output.stdout).contains(word), "{args:?}");
        assert!(stderr(&output).contains("XDG_STATE_HOME"), "{}", stderr(&output));
    }
}

#[test]
fn the_exporter_needs_no_terminal_no_home_and_no_user() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("hosts.toml"), "[hosts.here]\naddresses = []\n").unwrap();
    let mut command = without_surroundings(&["exporter", "--listen", "127.0.0.1:0"], dir.path());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    let address = line.strip_prefix("nixdash: serving http://").unwrap();
    let mut stream =
        std::net::TcpStream::connect(address.strip_suffix("/metrics").unwrap()).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(answer.contains("\nnixdash_build_info{"), "{answer}");
}
