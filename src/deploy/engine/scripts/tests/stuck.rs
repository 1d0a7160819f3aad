//! A build whose Nix stands still without end, on a machine whose /proc is a folder.

use crate::deploy::engine::scripts::BUILD;
use crate::remote::write_program;
use std::fs;
use std::process::{Command, Output};

/// What a thread waits in: a lock inside of its process, without a limit.
const LOCKED: &str = "202 0x7f84028bdfe8 0x80 0x2 0x0 0xffffffff 0x0 0x7ffe44e8a558 0x7f8402766b66";

/// The same for a lock that processes share.
const SHARED: &str = "202 0x7f84028bdfe8 0x0 0x2 0x0 0xffffffff 0x0 0x7ffe44e8a558 0x7f8402766b66";

/// Stands in for nix-store: while `$machine/stuck` counts down, a process is forked that stands still as
/// the test says, and nothing goes on until that ends.
const NIX_STORE: &str = r#"#!/bin/sh
times=$(cat "$machine/stuck")
echo "asked" >>"$machine/asked"
[ "$times" -gt 0 ] || exit 0
echo "$((times - 1))" >"$machine/stuck"
sleep 30 >/dev/null 2>&1 &
child=$!
mkdir -p "$machine/proc/$child"
printf '%s\n' "$name" >"$machine/proc/$child/comm"
printf '%s\n' "$call" >"$machine/proc/$child/syscall"
printf 'Name:\t%s\nPPid:\t7\nThreads:\t%s\n' "$name" "$threads" >"$machine/proc/$child/status"
printf 'nix-daemon\0%s\0' "${whose:-$$}" >"$machine/proc/$child/cmdline"
wait "$child"
rm -r "$machine/proc/$child"
echo "error: unexpected EOF reading a line"
exit 1
"#;

/// A forked process as it is when it stands still, but for what a test changes.
struct Forked {
    name: &'static str,
    call: &'static str,
    threads: &'static str,
    client: &'static str,
}

const STUCK: Forked = Forked { name: "nix-daemon", call: LOCKED, threads: "1", client: "" };

/// Builds where Nix stands still so often, for so many seconds at most; returns what was said and how
/// often Nix was asked.
fn build(times: u32, forked: &Forked, limit: &str) -> (Output, usize) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("bin")).unwrap();
    fs::create_dir_all(root.path().join("proc")).unwrap();
    write_program(&root.path().join("bin/nix-store"), NIX_STORE);
    fs::write(root.path().join("stuck"), times.to_string()).unwrap();
    let proc = format!("{}/proc/", root.path().display());
    assert!(BUILD.contains("sleep 10 ") && BUILD.contains(" /proc/"));
    let body = BUILD.replace("sleep 10 ", "sleep 0.2 ").replace(" /proc/", &format!(" {proc}"));
    let path = format!("{}/bin:{}", root.path().display(), std::env::var("PATH").unwrap());
    let output = Command::new("timeout")
        .args([limit, "/bin/sh", "-c", &body, "sh", "/nix/store/x.drv"])
        .arg(root.path().join("roots/x"))
        .env("PATH", path)
        .env("machine", root.path())
        .envs([("name", forked.name), ("call", forked.call)])
        .envs([("threads", forked.threads), ("whose", forked.client)])
        .output()
        .unwrap();
    let asked = fs::read_to_string(root.path().join("asked"));
    let asked = asked.unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output, asked.lines().count())
}

#[test]
fn a_build_that_nix_lets_stand_still_is_asked_for_again_and_says_so() {
    let (output, asked) = build(1, &STUCK, "60");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(asked, 2, "{said}");
    assert!(said.contains("a bug of Nix; asking Nix again"), "{said}");
}

#[test]
fn a_build_that_stands_still_each_time_fails_in_the_end() {
    let (output, asked) = build(9, &STUCK, "60");
    assert_eq!((output.status.code(), asked), (Some(1), 3), "{output:?}");
}

#[test]
fn a_build_that_goes_well_is_asked_for_once() {
    let (output, asked) = build(0, &STUCK, "60");
    assert_eq!((output.status.code(), asked), (Some(0), 1), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}

#[test]
fn whatever_may_still_go_on_is_left_alone() {
    let timed =
        "202 0x7f84028bdfe8 0x80 0x2 0x7ffe44e8a558 0xffffffff 0x0 0x7ffe44e8a558 0x7f8402766b66";
    let cases = [
        ("another thread may release the lock", Forked { threads: "2", ..STUCK }),
        ("it waits with a limit", Forked { call: timed, ..STUCK }),
        ("another process may release it", Forked { call: SHARED, ..STUCK }),
        ("it runs", Forked { call: "running", ..STUCK }),
        ("it is of another client", Forked { client: "1", ..STUCK }),
        ("it is not of Nix", Forked { name: "cc1plus", ..STUCK }),
    ];
    std::thread::scope(|scope| {
        for (what, forked) in cases {
            scope.spawn(move || {
                let (output, asked) = build(1, &forked, "4");
                assert_eq!((output.status.code(), asked), (Some(124), 1), "{what}: {output:?}");
            });
        }
    });
}
