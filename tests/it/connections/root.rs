//! Becoming root on a host whose login user is not root: by a program that stands in for sudo.

use super::Sshd;
use crate::programs::write_program;
use nixdash::fleet::{Fleet, Secret};
use nixdash::remote::{LineReceiver, NotRoot, Remote, Script, ScriptRunner, Trouble, Way};
use std::fs;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Commands of the server run with our own `id` and `sudo`.
const NOT_ROOT: &str = "ForceCommand PATH=DIR/bin:$PATH exec sh -c \"$SSH_ORIGINAL_COMMAND\"";

/// Starts a server whose user is not root, with a `sudo` that asks for this password.
fn server(password: &str) -> Sshd {
    let sshd = Sshd::start(NOT_ROOT);
    fs::create_dir(sshd.file("bin")).unwrap();
    let program = |name: &str, text: &str| {
        write_program(&sshd.file("bin").join(name), text);
    };
    program("id", "#!/bin/sh\necho 1000\n");
    program("sudo", include_str!("../scripts/sudo.sh"));
    for (name, text) in [
        ("mode", "asks"),
        ("password", password),
        ("lecture-out", "Welcome\n"),
        ("lecture-err", "We trust you have received the usual lecture.\nPassword: "),
    ] {
        fs::write(sshd.file("bin").join(name), text).unwrap();
    }
    sshd
}

/// Returns a runner for the host `p620` with more lines of `hosts.toml`.
fn runner(sshd: &Sshd, more: &str) -> (Arc<Fleet>, Remote) {
    let client = sshd.client("");
    Sshd::runner(&client, &format!("[hosts.p620]\naddresses = [\"127.0.0.1\"]\n{more}"))
}

/// Returns the lines that sudo took for passwords.
fn tried(sshd: &Sshd) -> Vec<String> {
    let text = fs::read_to_string(sshd.file("bin/tried")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks"]
async fn a_password_makes_every_script_root_over_every_way() {
    let sshd = server("hunter2 ä");
    let (_, runner) = runner(&sshd, "");
    runner.give_sudo_password("p620", Secret::new("hunter2 ä"));
    let limit = Duration::from_secs(20);
    for way in [Way::Beside, Way::Fresh, Way::Beside] {
        let script = Script::new("cat; echo oops >&2; exit 4").stdin("data\n").root().way(way);
        let output = runner.run("p620", &script.limit(limit)).await.unwrap();
        let told = (output.code, output.stdout.as_str(), output.complaint());
        assert_eq!(told, (4, "data\n", "oops".to_owned()), "{way:?}");
    }
    let (sender, pieces) = mpsc::channel(8);
    let script = Script::new("echo one; echo two").root();
    runner.follow("p620", &script, sender).await.unwrap();
    let mut lines = LineReceiver::new(pieces);
    assert_eq!(lines.next().await.unwrap().text(), "one");
    assert_eq!(lines.next().await.unwrap().text(), "two");
    assert!(tried(&sshd).iter().all(|line| line == "hunter2 ä"), "{:?}", tried(&sshd));
    runner.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks"]
async fn a_wrong_password_is_tried_once_however_many_scripts_want_it() {
    let sshd = server("right");
    let (_, runner) = runner(&sshd, "");
    let script = Script::new("echo ran").root().limit(Duration::from_secs(20));
    let error = runner.run("p620", &script).await.unwrap_err();
    assert_eq!(error.trouble, Trouble::NotRoot(NotRoot::PasswordNeeded), "{error}");
    assert!(error.to_string().contains("--ask-sudo-password"), "{error}");
    runner.give_sudo_password("p620", Secret::new("wrong"));
    let all = futures_util::future::join_all((0..6).map(|_| runner.run("p620", &script))).await;
    for result in all {
        let error = result.unwrap_err();
        assert_eq!(error.trouble, Trouble::NotRoot(NotRoot::PasswordWrong), "{error}");
    }
    let error = runner.run("p620", &script).await.unwrap_err();
    assert!(error.to_string().contains("is not tried again"), "{error}");
    assert_eq!(tried(&sshd), ["wrong"]);
    runner.give_sudo_password("p620", Secret::new("right"));
    assert_eq!(runner.run("p620", &script).await.unwrap().stdout, "ran\n");
    runner.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks"]
async fn a_password_that_hosts_toml_names_is_read_when_sudo_wants_it() {
    let sshd = server("from a file");
    fs::write(sshd.file("secret"), "from a file\n").unwrap();
    let source = format!("sudo_password = {{ file = \"{}\" }}\n", sshd.file("secret").display());
    let (_, by_file) = runner(&sshd, &source);
    let script = Script::new("echo ran").root().limit(Duration::from_secs(20));
    assert_eq!(by_file.run("p620", &script).await.unwrap().stdout, "ran\n");
    by_file.close().await;
    let (_, missing) = runner(&sshd, "sudo_password = { file = \"/no/such/file\" }\n");
    let error = missing.run("p620", &script).await.unwrap_err();
    assert!(error.to_string().contains("could not be read"), "{error}");
    missing.close().await;
    fs::write(sshd.file("bin/mode"), "free").unwrap();
    let (_, free) = runner(&sshd, "elevate = \"sudo\"\n");
    assert_eq!(free.run("p620", &script).await.unwrap().stdout, "ran\n");
    free.close().await;
    assert_eq!(tried(&sshd), ["from a file"; 2], "one proof, one script");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks"]
async fn nothing_is_left_running_behind_a_script_of_root_that_hangs() {
    let sshd = server("x");
    let (_, runner) = runner(&sshd, "");
    runner.give_sudo_password("p620", Secret::new("x"));
    let script = Script::new("echo ran").root().limit(Duration::from_secs(20));
    runner.run("p620", &script).await.unwrap();
    let hanging = Script::new("trap '' TERM; sleep \"$1\"; :").arg("98767").root();
    let error = runner.run("p620", &hanging.limit(Duration::from_secs(2))).await.unwrap_err();
    assert_eq!(error.trouble, Trouble::Slow(Duration::from_secs(2)));
    super::wait_until("what hung is gone", || super::processes_with("sleep\u{0}98767").is_empty());
    runner.close().await;
}
