//! `nixdash runs`: a run goes to another machine as a file.

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Returns nixdash in a folder, with that state and without a terminal.
fn command(dir: &Path, state: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nixdash"));
    command
        .args(args)
        .current_dir(dir)
        .env_remove("NIXDASH_HOSTS")
        .env("XDG_STATE_HOME", dir.join(state))
        .env("XDG_CONFIG_HOME", dir.join("config"))
        .stdin(Stdio::null());
    command
}

/// Runs nixdash to its end.
fn nixdash(dir: &Path, state: &str, args: &[&str]) -> Output {
    command(dir, state, args).output().unwrap()
}

/// Writes run 7 as a nixdash of before left it: every log line is an event, too.
fn old_run(state: &Path, lines: usize) {
    let dir = state.join("nixdash/runs/7");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("process"), "1 1\n").unwrap();
    fs::write(dir.join("fleet"), "").unwrap();
    let at = "\"run\":\"7\",\"at\":\"2026-11-20T12:00:00Z\"";
    let line = "building with password=hunter2";
    let mut events = format!(
        "{{{at},\"event\":\"begin\",\"hosts\":[\"samsung\"],\"title\":\"switch direct\"}}\n"
    );
    let logged = format!(
        "{{{at},\"event\":\"log\",\"host\":\"samsung\",\"phase\":\"build\",\"line\":\"{line}\"}}\n"
    );
    events.push_str(&logged.repeat(lines));
    let end = format!(
        "{{{at},\"event\":\"result\",\"host\":\"samsung\",\"outcome\":\"failed\",\"toplevel\":null,\
         \"previous\":null,\"duration_ms\":5,\"built\":0,\"fetched\":{{}},\"error\":\"no token=hunter2\"}}\n\
         {{{at},\"event\":\"summary\",\"outcomes\":{{\"failed\":1}},\"duration_ms\":5}}\n"
    );
    events.push_str(&end);
    fs::write(dir.join("events.jsonl"), events).unwrap();
    let log = format!("2026-11-20T12:00:00Z build       {line}\n");
    fs::write(dir.join("samsung.log"), log.repeat(lines)).unwrap();
}

#[test]
fn a_run_is_exported_and_told_elsewhere_without_its_secrets() {
    let dir = tempfile::tempdir().unwrap();
    old_run(&dir.path().join("here"), 3);
    let output = nixdash(dir.path(), "here", &["runs", "export", "7"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("wrote run 7 to nixdash-run-7.jsonl.gz: 6 lines"), "{said}");
    let mut zcat = Command::new("gzip");
    zcat.args(["-dc", "nixdash-run-7.jsonl.gz"]).current_dir(dir.path());
    let text = String::from_utf8(zcat.output().unwrap().stdout).unwrap();
    assert!(text.contains("[secret]") && !text.contains("hunter2"), "{text}");
    // A machine with no state, and without a terminal.
    let output = nixdash(dir.path(), "there", &["runs", "view", "nixdash-run-7.jsonl.gz"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("switch direct") && said.contains("failed"), "{said}");
    let output =
        nixdash(dir.path(), "there", &["runs", "view", "--json", "nixdash-run-7.jsonl.gz"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["runs"][0]["run"], "7");
    assert_eq!(json["runs"][0]["hosts"][0]["outcome"], "failed");
    assert!(!dir.path().join("there/nixdash/runs/7").exists(), "it is only shown there");
}

#[test]
fn what_cannot_be_exported_or_shown_is_told() {
    let dir = tempfile::tempdir().unwrap();
    old_run(&dir.path().join("here"), 1);
    fs::write(dir.path().join("taken"), "mine").unwrap();
    for (args, words) in [
        (&["runs", "export", "seven"][..], "is not the number of a run"),
        (&["runs", "export", "../7"], "is not the number of a run"),
        (&["runs", "export", "99"], "there is no run 99"),
        (&["runs", "export", "7", "-o", "taken"], "taken is there already"),
        (&["runs", "view", "taken"], "is not a run that nixdash exported"),
        (&["runs", "view", "missing"], "could not open missing"),
    ] {
        let output = nixdash(dir.path(), "here", args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    }
    assert_eq!(fs::read_to_string(dir.path().join("taken")).unwrap(), "mine");
    assert!(!dir.path().join("nixdash-run-99.jsonl.gz").exists());
    let output = nixdash(dir.path(), "here", &["runs"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "no runs\n");
}

#[test]
fn commands_end_well_where_nobody_reads_what_they_say() {
    let dir = tempfile::tempdir().unwrap();
    // A run of another fleet, which a note behind the list names.
    old_run(&dir.path().join("here"), 1);
    fs::write(dir.path().join("fleet.toml"), "[hosts.p620]\naddresses = [\"127.0.0.1:1\"]\n")
        .unwrap();
    for args in [
        &["history"][..],
        &["runs", "export", "7", "-o", "run.jsonl.gz"],
        &["runs", "view", "run.jsonl.gz"],
        &["reattach", "7"],
        &["say", "7", "pause", "--yes"],
        &["status"],
        &["caches"],
    ] {
        let (nobody, pipe) = std::io::pipe().unwrap();
        drop(nobody);
        let args = [&["--hosts", "fleet.toml"][..], args].concat();
        let mut nixdash = command(dir.path(), "here", &args);
        nixdash.stdin(Stdio::null()).stdout(pipe.try_clone().unwrap()).stderr(pipe);
        let code = nixdash.status().unwrap().code();
        // 101 is the code of a program that panicked.
        assert!(code.is_some_and(|code| code < 100), "{args:?}: {code:?}");
    }
}

#[test]
fn a_run_begins_only_in_a_folder_that_was_made_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let fleet =
        "[fleet]\nflake = \"/nonexistent\"\nstrategy = \"direct\"\n[hosts.here]\naddresses = []\n";
    let file = dir.path().join("fleet.toml");
    fs::write(&file, fleet).unwrap();
    let build = |state: &str, more: &[&str]| {
        let file = file.to_str().unwrap();
        let args = [&["--hosts", file, "build", "here"][..], more].concat();
        nixdash(dir.path(), state, &args)
    };
    old_run(&dir.path().join("here"), 1);
    for (number, words) in [
        ("7", "run 7 was begun already"),
        ("8", "there is no run 8"),
        ("../7", "there is no run ../7"),
    ] {
        let output = build("here", &["--detached", "--run", number]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{number}: {said}");
        assert!(said.contains(words), "{number}: {said}");
    }
    // A number is for those who hand one over.
    assert_eq!(build("here", &["--run", "9"]).status.code(), Some(2));
}

#[test]
fn whoever_stops_a_run_that_compresses_logs_waits_for_nothing_and_loses_nothing() {
    // A hole in the file: nothing of it is on the disk, and compressing it takes seconds.
    const LONG: u64 = 16 << 30;
    let dir = tempfile::tempdir().unwrap();
    let fleet = "[fleet]\nflake = \"/nonexistent\"\nstrategy = \"direct\"\n\
                 [hosts.samsung]\naddresses = [\"127.0.0.1:1\"]\n";
    fs::write(dir.path().join("fleet.toml"), fleet).unwrap();
    let build = ["--hosts", "fleet.toml", "build", "samsung", "--quiet"];
    old_run(&dir.path().join("here"), 1);
    let stream = dir.path().join("here/nixdash/runs/7/samsung.build.stream");
    let (fresh, packed) =
        (stream.with_extension("stream.zst-new"), stream.with_extension("stream.zst"));
    let file = fs::File::create(&stream).unwrap();
    file.set_len(LONG).unwrap();
    // As soon as it begins, and again: a stop is heard also where nobody waits for one yet.
    for signal in [Signal::INT, Signal::TERM].repeat(4) {
        let mut nixdash = command(dir.path(), "here", &build);
        let mut run = nixdash.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while !fresh.exists() {
            assert!(Instant::now() < deadline, "nothing is compressed");
            std::thread::sleep(Duration::from_micros(100));
        }
        kill_process(Pid::from_child(&run), signal).unwrap();
        let code = run.wait().unwrap().code();
        // As the run ended: its host cannot be reached.
        assert_eq!(code, Some(1), "{signal:?}");
        assert!(!packed.exists() && fs::metadata(&stream).unwrap().len() == LONG, "{signal:?}");
        fs::remove_file(&fresh).unwrap();
    }
    // A later run does it.
    file.set_len(100_000).unwrap();
    nixdash(dir.path(), "here", &build);
    assert!(packed.exists() && !stream.exists());
}
