//! Sends scripts to real shells: whole, cut short, and through shells that print.

use super::*;
use proptest::prelude::*;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

/// Shells that are `/bin/sh` somewhere; those that are not installed here are left out.
fn shells() -> Vec<&'static str> {
    let known = ["/bin/sh", "/bin/dash", "/bin/bash"];
    known.into_iter().filter(|shell| std::path::Path::new(shell).exists()).collect()
}

/// Runs a command of ours in a shell, with these bytes as its input.
fn run(shell: &str, command: &str, input: &[u8]) -> Output {
    run_cut(shell, command, input, false)
}

/// Runs a command of ours in a shell; its input ends behind these bytes when it is cut short.
fn run_cut(shell: &str, command: &str, input: &[u8], is_cut: bool) -> Output {
    let command = command.replacen("/bin/sh", shell, 1);
    let mut child = Command::new(shell)
        .args(["-c", &command])
        // A locale in which a shell may count characters instead of bytes.
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may have ended already.
    drop(stdin.write_all(input));
    // What was cut short is over; else the end of the input would end the script.
    let held = (!is_cut).then_some(stdin);
    let output = child.wait_with_output().unwrap();
    drop(held);
    output
}

/// Returns what a script printed, and its exit code.
fn read(marks: &Marks, output: &[u8]) -> (String, Option<i32>) {
    let mut filter = marks.filter();
    let mut within = filter.feed(output);
    within.extend(filter.finish());
    (String::from_utf8_lossy(&within).into_owned(), filter.code())
}

#[test]
fn a_text_that_was_cut_short_does_not_run_in_any_shell() {
    let script = Script::new("echo ran; : äöü 漢字").arg("naïve");
    // As root the step is made again behind sudo, which a build user of Nix does not have.
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    for root in [false, true].into_iter().filter(|root| !root || is_root) {
        let script = Script { root, ..script.clone() };
        let wire = wire(&script, root.then_some(&RootWay::Auto));
        let whole = wire.input.len();
        for shell in shells() {
            let output = run(shell, &wire.command, &wire.input);
            assert_eq!(read(&wire.marks, &output.stdout), ("ran\n".to_owned(), Some(0)), "{shell}");
            for kept in [0, 1, whole / 3, whole / 2, whole - 40, whole - 2, whole - 1] {
                let output = run_cut(shell, &wire.command, &wire.input[..kept], true);
                assert_eq!(output.status.code(), Some(CUT_SHORT), "{shell} {root} {kept}");
                assert_eq!(output.stdout, b"", "{shell} {kept}");
            }
        }
    }
}

#[test]
fn what_is_printed_before_and_after_is_no_output_of_the_script() {
    let script = Script::new("printf 'no end of line'; echo oops >&2; exit 3");
    let wire = wire(&script, None);
    let command = format!("echo hello; echo hello >&2; {}; printf bye", wire.command);
    for shell in shells() {
        let output = run(shell, &command, &wire.input);
        let printed = read(&wire.marks, &output.stdout);
        assert_eq!(printed, ("no end of line".to_owned(), Some(3)), "{shell}");
        assert_eq!(read(&wire.marks, &output.stderr), ("oops\n".to_owned(), Some(3)), "{shell}");
    }
}

#[test]
fn a_shell_that_shows_what_it_runs_shows_no_mark() {
    let wire = wire(&Script::new("echo ran"), None);
    let command = wire.command.replacen("-c", "-xvc", 1);
    let output = run("/bin/sh", &command, &wire.input);
    assert_eq!(read(&wire.marks, &output.stdout), ("ran\n".to_owned(), Some(0)));
    assert!(read(&wire.marks, &output.stderr).1 == Some(0));
}

/// A shell of ours that is open in a real one.
struct OpenShell {
    child: std::process::Child,
    stdin: Option<std::process::ChildStdin>,
    stdout: std::process::ChildStdout,
    begun: Marks,
}

impl OpenShell {
    fn new(shell: &str) -> Self {
        let Wire { command, input, marks } = begin_shell(None);
        let mut child = Command::new(shell)
            .args(["-c", &command.replacen("/bin/sh", shell, 1)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let stdout = child.stdout.take().unwrap();
        stdin.write_all(&input).unwrap();
        Self { child, stdin: Some(stdin), stdout, begun: marks }
    }

    fn write(&mut self, text: &str) {
        self.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Reads until something holds of what was printed, or the shell ends.
    fn read(&mut self, marks: &Marks, is_enough: impl Fn(&Between) -> bool) -> (String, Between) {
        let (mut filter, mut printed) = (marks.filter(), Vec::new());
        let mut chunk = [0; 512];
        while !is_enough(&filter) {
            let count = self.stdout.read(&mut chunk).unwrap();
            if count == 0 {
                break;
            }
            printed.extend(filter.feed(&chunk[..count]));
        }
        (String::from_utf8(printed).unwrap(), filter)
    }

    fn run(&mut self, script: &Script) -> (String, Option<i32>) {
        let marks = Marks::new();
        self.write(&marks.in_shell(script, ""));
        let (printed, filter) = self.read(&marks, |filter| filter.code().is_some());
        (printed, filter.code())
    }
}

#[test]
fn one_script_after_the_other_runs_in_an_open_shell() {
    for shell in shells() {
        let mut open = OpenShell::new(shell);
        let begun = open.begun.clone();
        assert!(open.read(&begun, Between::has_begun).1.has_begun(), "{shell}");
        // Each has its own arguments, folder and variables, nothing to read, and may end as it likes.
        let first = Script::new("cd /; nixdash_x=1; set -eu; cat; echo \"$1\"; exit 3").arg("ä\n#");
        assert_eq!(open.run(&first), ("ä\n#\n".to_owned(), Some(3)), "{shell}");
        let long = Script::new("echo \"$# ${nixdash_x-none} ${#1}\"").arg("x".repeat(100_000));
        assert_eq!(open.run(&long), ("1 none 100000\n".to_owned(), Some(0)), "{shell}");
        assert_eq!(
            open.run(&Script::new("kill -KILL \"$(exec sh -c 'echo $PPID')\"")).1,
            Some(137)
        );
        assert_eq!(
            open.run(&Script::new("exec echo end")),
            ("end\n".to_owned(), Some(0)),
            "{shell}"
        );
        drop(open.stdin.take());
        open.child.wait().unwrap();
    }
}

#[test]
fn a_script_that_was_cut_short_does_not_run_in_an_open_shell() {
    for shell in shells() {
        for cut in [1, 2, 20] {
            let mut open = OpenShell::new(shell);
            let marks = Marks::new();
            let text = marks.in_shell(&Script::new("echo ran"), "");
            open.write(&text[..text.len() - cut]);
            drop(open.stdin.take());
            let (printed, filter) = open.read(&marks, |filter| filter.code().is_some());
            assert_eq!((printed.as_str(), filter.has_begun()), ("", false), "{shell} {cut}");
            open.child.wait().unwrap();
        }
    }
}

#[test]
fn a_script_knows_how_long_its_input_is() {
    let wire = wire(&Script::new("cat >/dev/null; echo \"$INPUT_BYTES\"").stdin("12345"), None);
    let output = run_cut("/bin/sh", &wire.command, &wire.input, true);
    assert_eq!(read(&wire.marks, &output.stdout).0, "5\n");
}

#[test]
fn every_login_shell_takes_the_command_as_it_stands() {
    let script = Script::new("echo ran");
    for root in [false, true] {
        let script = Script { root, ..script.clone() };
        let command = wire(&script, root.then_some(&RootWay::Auto)).command;
        let quoted = command.strip_prefix("/bin/sh -c '").unwrap().strip_suffix('\'').unwrap();
        assert!(!quoted.contains(['\'', '\\']), "fish reads backslashes in quotes: {command}");
    }
    if std::path::Path::new("/usr/bin/fish").exists() {
        let wire = wire(&script, None);
        let mut child = Command::new("/usr/bin/fish")
            .args(["-c", &wire.command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&wire.input).unwrap();
        let output = child.wait_with_output().unwrap();
        drop(stdin);
        assert_eq!(read(&wire.marks, &output.stdout), ("ran\n".to_owned(), Some(0)));
    }
}

#[test]
fn two_runs_have_different_marks() {
    let (one, other) = (Marks::new(), Marks::new());
    assert!(one.begin != other.begin && one.end != other.end && one.last != other.last);
    assert_ne!(one.begin[1], one.end[1]);
}

#[test]
fn a_line_is_passed_on_at_once() {
    let marks = Marks::new();
    let mut filter = marks.filter();
    let begin = format!("noise{}{}\nline\n", marks.begin[0], marks.begin[1]);
    assert_eq!(filter.feed(begin.as_bytes()), b"line\n");
    assert_eq!(filter.feed(b"another\n"), b"another\n");
    assert_eq!(filter.feed(b"x nixdash"), b"x ");
    assert_eq!(filter.feed(b"!"), b"nixdash!");
    assert_eq!((filter.has_begun(), filter.code(), filter.noise().as_str()), (true, None, "noise"));
}

proptest! {
    #[test]
    fn pieces_of_any_size_give_the_same(
        body in "[ -~\n]{0,200}",
        noise in "[ -~\n]{0,50}",
        size in 1_usize..60,
    ) {
        let marks = Marks::new();
        let text = format!(
            "{noise}{}{}\n{body}{}{} 7\nbye",
            marks.begin[0], marks.begin[1], marks.end[0], marks.end[1]
        );
        let mut filter = marks.filter();
        let mut within = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            within.extend(filter.feed(piece));
        }
        within.extend(filter.finish());
        prop_assert_eq!(String::from_utf8(within).unwrap(), body);
        prop_assert_eq!(filter.code(), Some(7));
        prop_assert_eq!(filter.noise(), noise);
    }
}
