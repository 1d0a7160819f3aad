//! `nixdash logs`: what the logs of runs have, printed, filtered and followed.

use jiff::Timestamp;
use nixdash::fleet::{
    Code, DerivationTime, Finding, HostBuilds, HostResult, Outcome, Phase, RunEvent, RunId,
    RunWhat, Subject, printable_coloured,
};
use nixdash::record::{RunWriter, Runs};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Returns the command in an empty folder with that state.
fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nixdash"));
    command
        .arg("logs")
        .args(args)
        .current_dir(dir)
        .env_remove("NIXDASH_HOSTS")
        .env("XDG_STATE_HOME", dir.join("state"))
        .env("XDG_CONFIG_HOME", dir.join("config"))
        .env("TERM", "xterm-256color")
        .stdin(Stdio::null());
    command
}

fn logs(dir: &Path, args: &[&str]) -> Output {
    command(dir, args).output().unwrap()
}

/// Returns what is printed by a call that must go well.
fn printed(dir: &Path, args: &[&str]) -> String {
    let output = logs(dir, args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the texts of the lines that are printed, without their heads.
fn texts(dir: &Path, args: &[&str]) -> Vec<String> {
    let args = [args, &["--json"]].concat();
    let lines = printed(dir, &args);
    let json = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    json.map(|json| json["line"].as_str().unwrap_or_default().to_owned()).collect()
}

fn runs(dir: &Path) -> Runs {
    Runs::open(&dir.join("state/nixdash")).unwrap()
}

/// What is written into a run in a test.
struct TestRun(RunWriter);

impl TestRun {
    fn begin(dir: &Path, hosts: &[&str]) -> Self {
        let mut run = Self(runs(dir).begin(None).unwrap());
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        run.write(0, RunWhat::begin(hosts, "switch via-cache".to_owned()));
        run
    }

    fn id(&self) -> RunId {
        self.0.run().clone()
    }

    fn write(&mut self, second: i64, what: RunWhat) {
        // 2026-11-21T12:00:00Z and later.
        let at = Timestamp::from_second(1_795_262_400 + second).unwrap();
        self.0.write(&RunEvent { run: self.id(), at, what });
    }

    fn log(&mut self, second: i64, host: &str, phase: Phase, line: &str) {
        let what = RunWhat::log(host.to_owned(), phase, line.to_owned());
        self.write(second, what);
    }

    fn result(&mut self, host: &str, outcome: Outcome, error: Option<&str>) {
        let result = HostResult {
            duration_ms: 31_000,
            error: error.map(str::to_owned),
            ..HostResult::ended(outcome)
        };
        self.write(60, RunWhat::Result { host: host.to_owned(), result });
    }

    fn end(mut self) -> RunId {
        let id = self.id();
        let (outcomes, findings) = (BTreeMap::new(), Vec::new());
        self.write(61, RunWhat::Summary { outcomes, duration_ms: 61_000, findings });
        self.0.finish();
        id
    }
}

#[test]
fn logs_that_were_removed_are_said_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let run = a_run(dir.path());
    let folder = runs(dir.path()).folder(&run);
    fs::write(folder.join("process"), "1 12345\n").unwrap();
    // Enough that it is worth compressing.
    let log = fs::read_to_string(folder.join("razer.log")).unwrap();
    let last = format!("{}\n", log.lines().next_back().unwrap());
    fs::write(folder.join("razer.log"), log + &last.repeat(3000)).unwrap();
    let before = texts(dir.path(), &["last"]);
    let keep = |size| nixdash::fleet::Retention { max_logs_size: size, ..Default::default() };
    let now = "2026-11-21T13:00:00Z".parse().unwrap();
    runs(dir.path()).tidy(None, None, &keep(1 << 30), now).unwrap();
    assert!(runs(dir.path()).folder(&run).join("razer.log.zst").exists());
    assert_eq!(texts(dir.path(), &["last"]), before);
    runs(dir.path()).tidy(None, None, &keep(0), now).unwrap();
    let output = logs(dir.path(), &["last"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.stdout.is_empty() && said.contains("were removed on 2026-11-21"), "{said}");
    assert!(printed(dir.path(), &[]).contains("removed 2026-11-21"));
}

/// Writes a run in which samsung went well, razer's build failed, and p510 failed without a word.
fn a_run(dir: &Path) -> RunId {
    let mut run = TestRun::begin(dir, &["samsung", "razer", "p510"]);
    run.log(1, "samsung", Phase::Build, "linux> CC main.o");
    run.log(2, "razer", Phase::Build, "building '/nix/store/abc-firefox-145.0.drv'");
    run.log(3, "samsung", Phase::Build, "linux-firmware> copying");
    run.log(4, "razer", Phase::Build, "firefox> checking for error.h... no");
    run.log(4, "samsung", Phase::Fetch, "copying path '/nix/store/abc-perl-Error-0.17'");
    run.log(5, "razer", Phase::Build, "firefox> a.c:1:2: error: expected ';'");
    run.log(6, "p510", Phase::Preflight, "who am I");
    run.log(
        7,
        "razer",
        Phase::Build,
        "error: builder for '/nix/store/abc-firefox-145.0.drv' failed",
    );
    run.log(8, "samsung", Phase::Activate, "Job for nginx.service failed");
    run.result("samsung", Outcome::Switched, None);
    run.result("razer", Outcome::Failed, Some("firefox could not be built, with password=hunter2"));
    run.result("p510", Outcome::Offline, Some("p510 did not answer"));
    run.end()
}

#[test]
fn the_hosts_of_a_run_are_merged_by_time_and_one_host_stands_alone() {
    let dir = tempfile::tempdir().unwrap();
    a_run(dir.path());
    let all = printed(dir.path(), &["1"]);
    let lines: Vec<&str> = all.lines().collect();
    assert_eq!(lines.len(), 9, "{all}");
    assert_eq!(lines[0], "samsung  2026-11-21T12:00:01Z     build       linux> CC main.o");
    assert!(
        lines[1].starts_with("razer    2026-11-21T12:00:02Z     build       building"),
        "{all}"
    );
    let hosts: Vec<&str> = lines.iter().map(|line| line.split(' ').next().unwrap()).collect();
    let order = "samsung razer samsung samsung razer razer p510 razer samsung";
    assert_eq!(hosts.join(" "), order);
    assert_eq!(printed(dir.path(), &["last"]), all);
    let one = printed(dir.path(), &["#1", "p510"]);
    assert_eq!(one, "2026-11-21T12:00:06Z     preflight   who am I\n");
    let two = printed(dir.path(), &["1", "p510", "samsung"]);
    assert_eq!(two.lines().count(), 5, "{two}");
    // No colours where nobody sees them.
    assert!(!all.contains('\u{1b}'));
}

#[test]
fn lines_are_chosen_by_derivation_phase_pattern_and_time() {
    let dir = tempfile::tempdir().unwrap();
    a_run(dir.path());
    for (args, count) in [
        (&["--derivation", "linux"][..], 1),
        (&["--derivation", "linux-f"], 1),
        (&["--derivation", "firefox"], 4),
        (&["--derivation", "/nix/store/abc-firefox-145.0.drv"], 4),
        (&["--derivation", "fox-145"], 4),
        (&["--derivation", "nothing"], 0),
        (&["--phase", "fetch"], 1),
        (&["--phase", "fetch,activate"], 2),
        (&["--phase", "fetch", "--phase", "build"], 7),
        (&["--grep", "ERROR"], 0),
        (&["--grep", "error"], 4),
        (&["--grep", "^building .*drv'$"], 1),
        (&["--since", "2026-11-21T12:00:05Z"], 4),
        (&["--since", "2026-11-21T12:00:05Z", "--phase", "build", "--grep", "error:"], 2),
    ] {
        let args = [&["1"][..], args].concat();
        assert_eq!(texts(dir.path(), &args).len(), count, "{args:?}");
    }
    let output = logs(dir.path(), &["1", "--grep", "nowhere"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("run 1 has no log line that fits"), "{said}");
}

#[test]
fn errors_are_what_went_wrong_and_why_hosts_failed() {
    let dir = tempfile::tempdir().unwrap();
    a_run(dir.path());
    let text = printed(dir.path(), &["1", "--errors"]);
    let expected = [
        "razer    2026-11-21T12:00:05Z     build       firefox> a.c:1:2: error: expected ';'",
        "razer    2026-11-21T12:00:07Z     build       error: builder for '/nix/store/abc-firefox-145.0.drv' failed",
        "samsung  2026-11-21T12:00:08Z     activate    Job for nginx.service failed",
        "razer    failed in 31 s",
        "         firefox could not be built, with password=[secret]",
        "p510     2026-11-21T12:00:06Z     preflight   who am I",
        "p510     offline in 31 s",
        "         did not answer",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected, "{text}");
    let json = printed(dir.path(), &["1", "razer", "--errors", "--json"]);
    let last: serde_json::Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["outcome"]), (&"result".into(), &"failed".into()));
    assert!(!json.contains("hunter2"), "{json}");
}

#[test]
fn a_host_that_went_back_with_its_run_shows_no_lines_as_errors() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = TestRun::begin(dir.path(), &["samsung", "razer"]);
    let cause = "the operator rolled it back";
    run.log(1, "samsung", Phase::Diff, "upgraded fleet-lib 0.9.6 → 0.9.9");
    run.log(2, "samsung", Phase::Persist, "outcome: switched");
    run.log(3, "samsung", Phase::Preflight, &format!("{cause} [run-rolled-back]"));
    let finding = Finding::new(Subject::host("samsung"), Code::RunRolledBack, cause, "");
    let result = HostResult {
        duration_ms: 31_000,
        error: Some(cause.to_owned()),
        findings: vec![finding],
        ..HostResult::ended(Outcome::RolledBack)
    };
    run.write(60, RunWhat::Result { host: "samsung".to_owned(), result });
    run.result("razer", Outcome::Switched, None);
    run.end();
    let text = printed(dir.path(), &["1", "--errors"]);
    let expected =
        "samsung  rolled back in 31 s\n         the operator rolled it back [run-rolled-back]\n";
    assert_eq!(text, expected);
}

#[test]
fn json_has_a_line_per_line_as_a_deploy_prints_it() {
    let dir = tempfile::tempdir().unwrap();
    a_run(dir.path());
    let text = printed(dir.path(), &["1", "p510", "--json"]);
    let line = r#"{"run":"1","at":"2026-11-21T12:00:06Z","event":"log","host":"p510","phase":"preflight","line":"who am I"}"#;
    assert_eq!(text.trim_end(), line);
}

#[test]
fn json_says_behind_the_log_how_long_each_derivation_took() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = TestRun::begin(dir.path(), &["samsung", "razer"]);
    for host in ["samsung", "razer"] {
        run.log(1, host, Phase::Build, "zlib> ok");
        let time = DerivationTime {
            name: "zlib-1.3\u{1b}[31m".to_owned(),
            package: "zlib".to_owned(),
            is_built: true,
            ms: 4200,
        };
        let builds = HostBuilds {
            build_on: "p620".to_owned(),
            built: 1,
            times: vec![time],
            ..HostBuilds::default()
        };
        run.write(2, RunWhat::Builds { host: host.to_owned(), builds });
    }
    run.end();
    let json = |args: &[&str]| {
        let text = printed(dir.path(), &[&["1", "--json"], args].concat());
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<serde_json::Value>>()
    };
    let lines = json(&["razer"]);
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert_eq!(lines[0]["event"], "log");
    assert_eq!((&lines[1]["event"], &lines[1]["host"]), (&"builds".into(), &"razer".into()));
    let time = &lines[1]["times"][0];
    assert_eq!((&time["package"], &time["ms"]), (&"zlib".into(), &4200.into()));
    assert!(!time.to_string().contains("u001b"), "{time}");
    let builds =
        |lines: &[serde_json::Value]| lines.iter().filter(|line| line["event"] == "builds").count();
    assert_eq!(builds(&json(&[])), 2);
    // Who asks for some of the lines gets those.
    assert_eq!(builds(&json(&["--grep", "zlib"])), 0);
    assert!(!printed(dir.path(), &["1"]).contains("4200"));
}

#[test]
fn runs_are_listed_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(printed(dir.path(), &[]), "no runs\n");
    a_run(dir.path());
    let mut second = TestRun::begin(dir.path(), &["samsung"]);
    second.0.flush().unwrap();
    fs::create_dir(dir.path().join("state/nixdash/runs/9")).unwrap();
    let text = printed(dir.path(), &[]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].starts_with("RUN  BEGAN ") && lines[0].ends_with("LOGS"), "{text}");
    assert!(lines[1].starts_with("2 ") && lines[1].contains("goes on"), "{text}");
    assert!(lines[2].contains("samsung, razer, p510"), "{text}");
    assert!(lines[2].contains("1 switched, 1 failed, 1 offline"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&printed(dir.path(), &["--json", "--limit", "1"])).unwrap();
    assert_eq!(json["runs"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&json["runs"][0]["run"], &json["runs"][0]["stands"]),
        (&"2".into(), &"goes-on".into())
    );
    second.end();
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let dir = tempfile::tempdir().unwrap();
    let fails = |args: &[&str], words: &str| {
        let output = logs(dir.path(), args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    };
    fails(&["last"], "there are no runs here yet");
    a_run(dir.path());
    fails(&["7"], "there is no run 7: there is only run 1; `nixdash logs` lists them");
    fails(&["seven"], "\"seven\" is not the number of a run");
    fails(&["../1"], "is not the number of a run");
    fails(&["1", "heron"], "run 1 has no host heron; it has samsung, razer, p510");
    fails(&["1", "--phase", "bild"], "a similar value exists: 'build'");
    fails(&["1", "--grep", "("], "unclosed group");
    fails(&["1", "--since", "soon"], "is not a time; write 10m");
    fails(&["--follow"], "required arguments");
}

#[test]
fn a_torn_line_an_older_format_and_a_missing_index_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let run = a_run(dir.path());
    let folder = runs(dir.path()).folder(&run);
    let mut file = OpenOptions::new().append(true).open(folder.join("p510.log")).unwrap();
    file.write_all(
        b"no time, \x1b[31mred\x1b]0;title\x07 \xff\n2026-11-21T12:00:09Z build       tor",
    )
    .unwrap();
    for name in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
        if name.extension().is_some_and(|extension| extension == "index") {
            fs::write(name, "{\"line\":").unwrap();
        }
    }
    let text = printed(dir.path(), &["1", "p510"]);
    let lines = [
        "2026-11-21T12:00:06Z     preflight   who am I",
        "no time, red \u{fffd}",
        "2026-11-21T12:00:09Z     build       tor",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), lines);
    // A line that does not say when it came stays behind the one before it.
    let late = texts(dir.path(), &["1", "--since", "2026-11-21T12:00:06Z"]);
    assert_eq!(late[..2], ["who am I", "no time, red \u{fffd}"]);
    // Whether it has ended is not known, so the half line may still grow while its process lives.
    fs::write(folder.join("events.jsonl"), "{\"run\":").unwrap();
    assert_eq!(printed(dir.path(), &["1"]).lines().count(), 10);
    fs::write(folder.join("process"), "1 1\n").unwrap();
    assert_eq!(printed(dir.path(), &["1"]).lines().count(), 11);
    fs::remove_file(folder.join("events.jsonl")).unwrap();
    assert_eq!(printed(dir.path(), &["1", "razer"]).lines().count(), 4);
    assert!(printed(dir.path(), &[]).contains("no end"));
}

#[test]
fn a_log_is_followed_until_its_run_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = TestRun::begin(dir.path(), &["samsung", "razer"]);
    run.log(1, "samsung", Phase::Build, "one");
    run.0.flush().unwrap();
    let mut command = command(dir.path(), &["last", "--follow"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || lines.next().map(|line| line.unwrap().split_off(46));
    assert_eq!(next().as_deref(), Some("one"));
    for (number, line) in (2..).zip(["two", "three"]) {
        run.log(number, "razer", Phase::Build, line);
        run.0.flush().unwrap();
        assert_eq!(next().as_deref(), Some(line));
    }
    // A log that is cut short under its reader.
    let log = runs(dir.path()).folder(&run.id()).join("razer.log");
    OpenOptions::new().write(true).open(log).unwrap().set_len(0).unwrap();
    run.log(4, "samsung", Phase::Build, "last");
    run.result("razer", Outcome::Failed, Some("it failed"));
    run.end();
    assert_eq!(next().as_deref(), Some("last"));
    assert_eq!(next(), None);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn following_a_run_whose_process_is_gone_ends_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = TestRun::begin(dir.path(), &["samsung"]);
    run.log(1, "samsung", Phase::Build, "one");
    run.0.flush().unwrap();
    fs::write(runs(dir.path()).folder(&run.id()).join("process"), "1 1\n").unwrap();
    let output = logs(dir.path(), &["1", "-f"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("`nixdash reattach 1` goes on with it"), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("one"));
}

#[test]
fn who_stops_reading_ends_it_without_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = TestRun::begin(dir.path(), &["samsung"]);
    for number in 0..50_000 {
        run.log(number, "samsung", Phase::Build, "a line that is one of very many others");
    }
    run.end();
    let mut command = command(dir.path(), &["1"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 20];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

/// Returns what a command shows on a terminal, up to its end.
fn shown(command: &mut Command) -> String {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&person).unwrap();
    unlockpt(&person).unwrap();
    let name = ptsname(&person, Vec::new()).unwrap();
    let terminal = OpenOptions::new().write(true).open(name.to_str().unwrap()).unwrap();
    let mut child = command.stdout(terminal).spawn().unwrap();
    command.stdout(Stdio::null());
    let (mut shown, mut person) = (Vec::new(), fs::File::from(person));
    // A terminal that no program has any more cannot be read.
    drop(person.read_to_end(&mut shown));
    assert!(child.wait().unwrap().success());
    String::from_utf8(shown).unwrap().replace('\r', "")
}

#[test]
fn lines_have_their_colours_on_a_terminal_and_none_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = TestRun::begin(dir.path(), &["a"]);
    let (text, colours) =
        printable_coloured("gcc> a.c: \u{1b}[1;31merr\u{1b}[4mor:\u{1b}[0m no\u{1b}]0;x\u{7}");
    let (host, line, phase) = ("a".to_owned(), text.into_owned(), Phase::Build);
    run.write(1, RunWhat::Log { host, phase, line, build: None, colours, from: None });
    run.end();
    let head = "2026-11-21T12:00:01Z     build       ";
    let plain = format!("{head}gcc> a.c: error: no\n");
    assert_eq!(printed(dir.path(), &["1", "a"]), plain);
    assert_eq!(texts(dir.path(), &["1", "--grep", "error: no"]), ["gcc> a.c: error: no"]);
    assert!(texts(dir.path(), &["1", "--grep", "31"]).is_empty());
    let coloured = shown(&mut command(dir.path(), &["1", "a", "--grep", "error"]));
    let painted = "gcc> a.c: \u{1b}[1;31merr\u{1b}[0m\u{1b}[1;4;31mor:\u{1b}[0m no";
    assert_eq!(coloured, format!("{head}{painted}\n"));
    let asked = |name: &str, value: &str| shown(command(dir.path(), &["1", "a"]).env(name, value));
    assert_eq!(asked("NO_COLOR", "1"), plain);
    assert_eq!(asked("TERM", "dumb"), plain);
}

#[test]
fn runs_and_the_hosts_of_a_run_are_completed() {
    let dir = tempfile::tempdir().unwrap();
    a_run(dir.path());
    let complete = |line: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_nixdash"))
            .args(["--", "nixdash", "logs"])
            .args(line)
            .current_dir(dir.path())
            .env("XDG_STATE_HOME", dir.path().join("state"))
            .env("NIXDASH_COMPLETE", "fish")
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let offered = complete(&[""]);
    assert!(offered.contains("1\tswitch via-cache of samsung, razer, p510"), "{offered}");
    assert!(offered.contains("last\tthe newest run"), "{offered}");
    for run in ["1", "last"] {
        let offered = complete(&[run, ""]);
        assert!(offered.contains("razer") && offered.contains("p510"), "{offered}");
    }
    assert!(!complete(&["7", ""]).contains("razer"));
}
