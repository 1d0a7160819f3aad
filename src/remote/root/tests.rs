//! Sends scripts and a password through real shells to programs that stand in for `sudo`, and looks
//! where every byte of the password ends.

use super::*;
use crate::remote::Script;
use crate::remote::wire::{Marks, Wire, wire};
use crate::remote::write_program;
use proptest::prelude::*;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A `sudo` that logs each line that it reads as a password, and says what files tell it to say.
/// Its mode: `asks` for the password, `free` asks for nothing, `reads` asks for nothing and reads a
/// line all the same.
const SUDO: &str = include_str!("../../../tests/it/scripts/sudo.sh");

/// A machine whose login user is not root, with a `sudo` of ours.
struct SudoHost {
    dir: tempfile::TempDir,
    shell: &'static str,
    has_socket: bool,
}

/// What came back.
#[derive(Debug)]
struct Back {
    out: String,
    err: String,
    code: Option<i32>,
    told: Option<ToldWay>,
    noise: String,
    raw: Vec<u8>,
}

impl SudoHost {
    fn new(mode: &str, password: &str, lecture: (&[u8], &[u8])) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let machine = Self { dir, shell: "/bin/sh", has_socket: false };
        machine.program("sudo", SUDO);
        machine.program("id", "#!/bin/sh\necho 1000\n");
        machine.file("mode", mode.as_bytes());
        machine.file("password", password.as_bytes());
        machine.file("lecture-out", lecture.0);
        machine.file("lecture-err", lecture.1);
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, text: &[u8]) {
        fs::write(self.path(name), text).unwrap();
    }

    fn program(&self, name: &str, text: &str) {
        write_program(&self.path(name), text);
    }

    /// Returns the lines that sudo took for passwords.
    fn tried(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("tried")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Runs a script by a way. The input stays open until the script has ended, as over ssh.
    fn run(&self, script: &Script, way: &RootWay) -> Back {
        let Wire { command, input, marks } = wire(script, Some(way));
        let path = format!("{}:{}", self.dir.path().display(), std::env::var("PATH").unwrap());
        let (theirs, mut ours): (OwnedFd, Box<dyn Write + Send>) = if self.has_socket {
            let (theirs, ours) = UnixStream::pair().unwrap();
            (theirs.into(), Box::new(ours))
        } else {
            let (theirs, ours) = std::io::pipe().unwrap();
            (theirs.into(), Box::new(ours))
        };
        let mut child = Command::new(self.shell)
            .args(["-c", &command.replacen("/bin/sh", self.shell, 1)])
            .env("PATH", path)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (mut out_bytes, mut err_bytes) = (Vec::new(), Vec::new());
        let has_stdin = !script.stdin.is_empty();
        std::thread::scope(|scope| {
            scope.spawn(|| out.read_to_end(&mut out_bytes).unwrap());
            scope.spawn(|| err.read_to_end(&mut err_bytes).unwrap());
            // It may have ended already.
            drop(ours.write_all(&input));
            if has_stdin {
                drop(ours);
            } else {
                child.wait().unwrap();
                drop(ours);
            }
        });
        child.wait().unwrap();
        read(&marks, &out_bytes, &err_bytes)
    }
}

/// Reads both outputs as the other side does.
fn read(marks: &Marks, out: &[u8], err: &[u8]) -> Back {
    let (mut of_out, mut of_err) = (marks.filter(), marks.filter());
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let mut printed = of_out.feed(out);
    printed.extend(of_out.finish());
    let mut complained = of_err.feed(err);
    complained.extend(of_err.finish());
    Back {
        out: text(printed),
        err: text(complained),
        code: of_out.code(),
        told: of_err.told(),
        noise: of_err.noise(),
        raw: [out, err].concat(),
    }
}

/// Shells that are `/bin/sh` somewhere.
fn shells() -> impl Iterator<Item = &'static str> {
    ["/bin/sh", "/bin/dash", "/bin/bash"].into_iter().filter(|shell| Path::new(shell).exists())
}

fn password(text: &str) -> RootWay {
    RootWay::Password(Arc::new(Secret::new(text)))
}

/// Says what it was given and exits with 5.
const SAYS: &str = "printf 'arg=%s input=' \"$1\"; cat; echo oops >&2; exit 5";

#[test]
fn a_script_behind_a_password_sees_its_own_input_and_nothing_else() {
    for shell in shells() {
        for has_socket in [false, true] {
            for mode in ["asks", "free", "reads"] {
                let lecture: (&[u8], &[u8]) = (b"Welcome\n", b"We trust you\nPassword: ");
                let machine =
                    SudoHost { shell, has_socket, ..SudoHost::new(mode, "hunter2 x", lecture) };
                let script = Script::new(SAYS).arg("a b").stdin("data\nhunter\n").root();
                let back = machine.run(&script, &password("hunter2 x"));
                let what = format!("{shell} {has_socket} {mode} {back:?}");
                assert_eq!(back.out, "arg=a b input=data\nhunter\n", "{what}");
                assert_eq!((back.code, back.err.as_str()), (Some(5), "oops\n"), "{what}");
                assert_eq!(back.told, Some(ToldWay::Sudo), "{what}");
                let tried = if mode == "asks" { vec!["hunter2 x".to_owned()] } else { Vec::new() };
                assert_eq!(machine.tried(), tried, "{what}");
            }
        }
    }
}

#[test]
fn a_script_without_input_ends_though_its_channel_stays_open() {
    for has_socket in [false, true] {
        let machine = SudoHost { has_socket, ..SudoHost::new("asks", "hunter2", (b"", b"")) };
        let back = machine.run(&Script::new("cat; echo ran").root(), &password("hunter2"));
        assert_eq!((back.out.as_str(), back.code), ("ran\n", Some(0)), "{back:?}");
    }
}

#[test]
fn a_wrong_password_is_tried_once_and_no_line_of_the_script_is_one() {
    for shell in shells() {
        for has_socket in [false, true] {
            let machine =
                SudoHost { shell, has_socket, ..SudoHost::new("asks", "right", (b"", b"")) };
            let script = Script::new("echo ran").root();
            let back = machine.run(&script, &password("wrong"));
            assert_eq!(machine.tried(), ["wrong"], "{shell}");
            assert_eq!((back.out.as_str(), back.code), ("", None), "{shell}");
            let error = refusal("razer", &password("wrong"), back.told.unwrap(), &back.noise);
            assert_eq!(error.trouble, Trouble::NotRoot(NotRoot::PasswordWrong), "{error}");
        }
    }
}

#[test]
fn a_password_is_proven_without_running_anything_and_a_wrong_one_tried_once() {
    let script = Script::new("echo ran").root();
    for shell in shells() {
        for (has_socket, mode) in
            [(false, "asks"), (true, "asks"), (false, "free"), (true, "reads")]
        {
            let lecture: (&[u8], &[u8]) = (b"Welcome\n", b"We trust you\n");
            let machine =
                || SudoHost { shell, has_socket, ..SudoHost::new(mode, "right", lecture) };
            let right = machine();
            let way = RootWay::Prove(Arc::new(Secret::new("right")));
            let back = right.run(&script, &way);
            let what = format!("{shell} {has_socket} {mode} {back:?}");
            assert_eq!((back.told, back.out.as_str()), (Some(ToldWay::Proven), ""), "{what}");
            if mode != "asks" {
                continue;
            }
            assert_eq!(right.tried(), ["right"], "{what}");
            let wrong = machine();
            let way = RootWay::Prove(Arc::new(Secret::new("wrong")));
            let began = std::time::Instant::now();
            let back = wrong.run(&script, &way);
            assert!(began.elapsed() < std::time::Duration::from_secs(10), "{what}");
            assert_eq!(wrong.tried(), ["wrong"], "{shell} {has_socket} {back:?}");
            let error = refusal("razer", &way, back.told.unwrap(), &back.noise);
            assert_eq!(error.trouble, Trouble::NotRoot(NotRoot::PasswordWrong), "{error}");
        }
    }
}

#[test]
fn the_first_program_that_asks_for_nothing_is_taken() {
    let machine = SudoHost::new("asks", "x", (b"", b""));
    let script = Script::new("echo ran").root();
    let refused = machine.run(&script, &RootWay::Auto);
    assert_eq!((refused.told, refused.code), (Some(ToldWay::Sudo), None), "{refused:?}");
    let error = refusal("razer", &RootWay::Auto, ToldWay::Sudo, &refused.noise);
    assert_eq!(error.trouble, Trouble::NotRoot(NotRoot::PasswordNeeded), "{error}");
    machine.program(
        "run0",
        // As systemd does on NixOS, it starts a shell with a PATH that leads to nothing, unless it is told one.
        "#!/bin/sh\n[ \"$1\" = --no-ask-password ] || exit 9\nshift\npath=/no-such-path\n\
         case $1 in --setenv=PATH=*) path=${1#--setenv=PATH=} && shift ;; esac\n\
         case $1 in */*) PATH=$path exec \"$@\" ;; *) exec \"$@\" ;; esac\n",
    );
    let finds = Script::new("head -n 1 /proc/sys/kernel/ostype >/dev/null && echo ran").root();
    let by_run0 = machine.run(&finds, &RootWay::Auto);
    assert_eq!((by_run0.told, by_run0.out.as_str()), (Some(ToldWay::Run0), "ran\n"));
    machine.program("doas", "#!/bin/sh\n[ \"$1\" = -n ] || exit 9\nshift\nexec \"$@\"\n");
    let by_doas = machine.run(&script, &RootWay::Auto);
    assert_eq!((by_doas.told, by_doas.out.as_str()), (Some(ToldWay::Doas), "ran\n"));
    machine.file("mode", b"free");
    let by_sudo = machine.run(&script, &RootWay::Auto);
    assert_eq!((by_sudo.told, by_sudo.out.as_str()), (Some(ToldWay::Sudo), "ran\n"));
    machine.program("id", "#!/bin/sh\necho 0\n");
    let as_root = machine.run(&script, &password("x"));
    assert_eq!((as_root.told, as_root.out.as_str()), (Some(ToldWay::Root), "ran\n"));
    assert_eq!(machine.tried(), [] as [&str; 0]);
}

#[test]
fn doas_that_would_ask_and_no_program_at_all_are_told_apart() {
    let machine = SudoHost::new("asks", "x", (b"", b""));
    machine.program("doas", "#!/bin/sh\necho 'doas: Authentication required' >&2\nexit 1\n");
    let script = Script::new("echo ran").root();
    let back = machine.run(&script, &RootWay::Doas);
    let error = refusal("razer", &RootWay::Doas, back.told.unwrap(), &back.noise);
    assert_eq!(error.trouble, Trouble::NotRoot(NotRoot::WouldAsk), "{error}");
    let back = machine.run(&script, &RootWay::AlreadyRoot);
    let error = refusal("razer", &RootWay::AlreadyRoot, back.told.unwrap(), &back.noise);
    assert_eq!(error.trouble, Trouble::NotRoot(NotRoot::NoProgram), "{error}");
}

#[test]
fn nothing_on_a_command_line_tells_the_password_or_its_length() {
    let script = Script::new("echo ran").root();
    let short = wire(&script, Some(&password("short")));
    let long = wire(&script, Some(&password(&"long".repeat(100))));
    assert_eq!(short.input.len(), long.input.len());
    for wire in [&short, &long] {
        assert!(!wire.command.contains("short") && !wire.command.contains("longlong"));
    }
}

#[test]
fn a_sudo_that_asks_nothing_waits_until_the_password_is_out_of_the_way() {
    for (shell, has_socket) in shells().flat_map(|shell| [(shell, false), (shell, true)]) {
        let machine = SudoHost { shell, has_socket, ..SudoHost::new("free", "right", (b"", b"")) };
        // A machine that is busy: who reads the password comes late.
        machine.program("head", "#!/bin/sh\nsleep 0.2\nPATH=${PATH#*:}\nexec head \"$@\"\n");
        let script = Script::new("cat").stdin(b"whole".to_vec()).root();
        let back = machine.run(&script, &password("right"));
        assert_eq!((back.out.as_str(), back.code), ("whole", Some(0)), "{shell}: {back:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn no_byte_of_a_password_comes_into_a_script_or_out_of_it(
        tail in "[^\\r\\n\u{0}]{0,40}",
        mode in prop::sample::select(vec!["asks", "free", "reads"]),
        out in prop::collection::vec(any::<u8>(), 0..300),
        err in prop::collection::vec(any::<u8>(), 0..300),
        echoes in any::<bool>(),
        input in prop::collection::vec(any::<u8>(), 1..2000),
        has_socket in any::<bool>(),
    ) {
        let text = format!("canary-{tail}");
        // A sudo that says the password itself, before and after the script.
        let said = |noise: &[u8]| if echoes { [noise, b"\n", text.as_bytes(), b"\n"].concat() } else { noise.to_vec() };
        let (out, err) = (said(&out), said(&err));
        let machine = SudoHost { has_socket, ..SudoHost::new(mode, &text, (&out, &err)) };
        let script = Script::new("od -An -v -tx1; env | od -An -v -tx1 >&2").stdin(input.clone()).root();
        let back = machine.run(&script, &password(&text));
        let seen: Vec<u8> = back
            .out
            .split_whitespace()
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect();
        prop_assert_eq!(seen, input, "{:?}", back);
        prop_assert_eq!(back.code, Some(0));
        let environment: Vec<u8> = back
            .err
            .split_whitespace()
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect();
        let canary = |bytes: &[u8]| bytes.windows(7).any(|part| part == b"canary-");
        prop_assert!(!canary(&environment));
        if !echoes {
            prop_assert!(!canary(&back.raw), "{}", String::from_utf8_lossy(&back.raw));
        }
        prop_assert!(machine.tried().iter().all(|line| *line == text));
    }
}
