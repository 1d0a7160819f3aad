//! One host: what its login shell prints, what people set for themselves, and how connections end.

use super::{Sshd, processes_with, wait_until};
use nixdash::remote::{
    KeyTrouble, LineReceiver, Output, RemoteError, Script, ScriptRunner, Trouble, Way,
};
use std::fs;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Every way that a script can travel.
const WAYS: [Way; 3] = [Way::InTurn, Way::Beside, Way::Fresh];

/// Runs a script.
async fn run(runner: &impl ScriptRunner, script: Script) -> Result<Output, RemoteError> {
    runner.run("p620", &script.limit(Duration::from_secs(20))).await
}

/// Asserts that a script's output is its own over every way, and line by line.
async fn assert_clean(runner: &impl ScriptRunner, what: &str) {
    for way in WAYS {
        let script = Script::new("printf 'one\ntwo'; exit \"$1\"").arg("3").way(way);
        let output = run(runner, script).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((output.code, output.stdout.as_str()), (3, "one\ntwo"), "{what} {way:?}");
    }
    let output =
        run(runner, Script::new("cat; echo oops >&2; exit 4").stdin("data")).await.unwrap();
    let told = (output.code, output.stdout.as_str(), output.complaint());
    assert_eq!(told, (4, "data", "oops".to_owned()), "{what}");
    let (sender, pieces) = mpsc::channel(8);
    let script = Script::new("echo one; printf two");
    runner.follow("p620", &script, sender).await.unwrap();
    let (mut lines, mut heard) = (LineReceiver::new(pieces), Vec::new());
    while let Some(line) = lines.next().await {
        heard.push(line.text().into_owned());
    }
    assert_eq!(heard, ["one", "two"], "{what}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks"]
async fn what_a_login_shell_prints_is_no_output() {
    let noisy = "ForceCommand echo hello; echo noise >&2; sh -c \"$SSH_ORIGINAL_COMMAND\"; \
                 c=$?; echo bye; exit $c";
    let sshd = Sshd::start(noisy);
    let runner = sshd.one("");
    assert_clean(&runner, "a command that prints").await;
    runner.close().await;

    let sshd = Sshd::start("ForceCommand exec env -u SHLVL bash -c \"$SSH_ORIGINAL_COMMAND\"");
    fs::write(sshd.file(".bashrc"), "echo hello\nprintf 'no end of line'\n").unwrap();
    let runner = sshd.one("");
    assert_clean(&runner, "bash").await;
    runner.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks, and fish"]
async fn what_fish_prints_is_no_output() {
    if !std::path::Path::new("/usr/bin/fish").exists() {
        return;
    }
    let sshd =
        Sshd::start("ForceCommand XDG_CONFIG_HOME=DIR exec fish -c \"$SSH_ORIGINAL_COMMAND\"");
    fs::create_dir(sshd.file("fish")).unwrap();
    let config = "echo hello\nfunction bye --on-event fish_exit\n  echo bye\nend\n";
    fs::write(sshd.file("fish/config.fish"), config).unwrap();
    let runner = sshd.one("");
    assert_clean(&runner, "fish").await;
    runner.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks"]
async fn a_login_that_runs_something_else_says_so() {
    let sshd = Sshd::start("ForceCommand echo 'Passphrase for /dev/sda2:'");
    let runner = sshd.one("");
    let error = run(&runner, Script::new("echo ran")).await.unwrap_err();
    assert!(
        error.to_string().contains("something else than the command it was given: Passphrase"),
        "{error}"
    );
    runner.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks"]
async fn what_people_set_for_themselves_does_not_come_into_the_way() {
    let sshd = Sshd::start("");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let marker = sshd.file("local-command-ran");
    let runner = sshd.one(&format!(
        "Host *\n  LocalForward {port} 127.0.0.1:1\n  ExitOnForwardFailure yes\n  RequestTTY force\n  \
         RemoteCommand sleep 100\n  PermitLocalCommand yes\n  LocalCommand touch {}\n  \
         ForwardX11 yes\n  LogLevel QUIET\n  ConnectionAttempts 9\n  ControlMaster auto\n  \
         ControlPath {}/theirs",
        marker.display(),
        sshd.file("").display(),
    ));
    assert_clean(&runner, "an ssh_config").await;
    assert!(!marker.exists(), "their command ran");
    runner.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks"]
async fn a_fresh_connection_becomes_the_kept_one() {
    let sshd = Sshd::start("");
    let runner = sshd.one("");
    let connection = "echo \"$SSH_CONNECTION\"";
    let told = async |way| run(&runner, Script::new(connection).way(way)).await.unwrap().stdout;
    let first = told(Way::Beside).await;
    assert_eq!(told(Way::InTurn).await, first);
    let slow = Script::new("sleep 2; echo \"$SSH_CONNECTION\"");
    let slow = run(&runner, slow);
    let fresh = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let failed = run(&runner, Script::new("exit 1").way(Way::Fresh)).await.unwrap();
        assert_eq!(failed.code, 1);
        assert_eq!(told(Way::Beside).await, first, "a script that failed proves nothing");
        let fresh = told(Way::Fresh).await;
        assert_ne!(fresh, first);
        assert_eq!(told(Way::Beside).await, fresh);
        assert_eq!(told(Way::InTurn).await, fresh);
    };
    let (slow, ()) = tokio::join!(slow, fresh);
    assert_eq!(slow.unwrap().stdout, first, "what ran on the other one went on there");
    assert_eq!(sshd.logins(), 3);
    runner.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks"]
async fn addresses_that_answer_are_told_and_those_behind_another_host_left_out() {
    let sshd = Sshd::start("");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let client = sshd.client(&format!(
        "Host dead\n  HostName 127.0.0.1\n  Port {closed}\nHost alias\n  HostName 127.0.0.1\n\
         Host behind\n  ProxyJump bastion"
    ));
    let hosts = "[hosts.p620]\naddresses = [\"dead\", \"alias\", \"127.0.0.1\", \"behind\"]\n";
    let (_, runner) = Sshd::runner(&client, hosts);
    assert_eq!(runner.answering("p620").await.unwrap(), ["alias", "127.0.0.1"]);
    // The first that answers is the one that is used.
    run(&runner, Script::new(":")).await.unwrap();
    assert_eq!(runner.address("p620").as_deref(), Some("alias"));
    runner.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks"]
async fn a_refused_login_is_not_tried_again_by_probes() {
    let sshd = Sshd::start("");
    let runner = sshd.one("");
    fs::write(sshd.file("authorized_keys"), "").unwrap();
    for _ in 0..5 {
        let error = run(&runner, Script::new(":").way(Way::InTurn)).await.unwrap_err();
        assert_eq!(error.trouble, Trouble::Denied);
    }
    let refused = || {
        let log = fs::read_to_string(sshd.file("sshd.log")).unwrap();
        log.lines().filter(|line| line.contains("by authenticating user")).count()
    };
    // The server writes its log a moment later.
    wait_until("the refused login is in the log", || refused() > 0);
    assert_eq!(refused(), 1);
    fs::copy(sshd.file("id.pub"), sshd.file("authorized_keys")).unwrap();
    assert!(
        run(&runner, Script::new(":").way(Way::Fresh)).await.unwrap().is_ok(),
        "a proof is tried"
    );
    assert!(run(&runner, Script::new(":").way(Way::InTurn)).await.unwrap().is_ok());
    runner.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks"]
async fn a_host_that_waits_for_its_disk_is_called_that() {
    let sshd = Sshd::start("");
    let key = fs::read_to_string(sshd.file("host_key.pub")).unwrap();
    super::make_key(&sshd.file("other"));
    let other = fs::read_to_string(sshd.file("other.pub")).unwrap();
    let port = sshd.port();
    let write = |text: String| fs::write(sshd.file("known_hosts"), text).unwrap();
    write(format!("[127.0.0.1]:{port} {other}p620-initrd {key}"));
    let runner = sshd.one("");
    let error = run(&runner, Script::new(":")).await.unwrap_err();
    assert_eq!(error.trouble, Trouble::Locked, "{error}");
    assert!(error.to_string().contains("waits for its disk to be unlocked"), "{error}");
    write(format!("[127.0.0.1]:{port} {other}razer-initrd {key}"));
    let error = run(&runner, Script::new(":")).await.unwrap_err();
    assert_eq!(error.trouble, Trouble::HostKey(KeyTrouble::Changed), "{error}");
    runner.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks"]
async fn nothing_is_left_running_behind_a_script_that_hangs() {
    let sshd = Sshd::start("");
    let runner = sshd.one("");
    for (way, seconds) in [(Way::InTurn, "98761"), (Way::Beside, "98762"), (Way::Fresh, "98763")] {
        let hanging = Script::new("trap '' TERM; sleep \"$1\"; :").arg(seconds).way(way);
        let error = runner.run("p620", &hanging.limit(Duration::from_secs(1))).await.unwrap_err();
        assert_eq!(error.trouble, Trouble::Slow(Duration::from_secs(1)));
        wait_until("what hung is gone", || processes_with(&format!("sleep\0{seconds}")).is_empty());
    }
    runner.close().await;
}

/// Runs a script that says which shell it runs in.
async fn shell_of(runner: &impl ScriptRunner, way: Way) -> String {
    let output = run(runner, Script::new("echo \"$$\"").way(way)).await.unwrap();
    output.stdout.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks"]
async fn scripts_one_after_the_other_share_a_shell_until_somebody_ends_it() {
    let sshd = Sshd::start("");
    let runner = sshd.one("");
    let first = shell_of(&runner, Way::Beside).await;
    assert_eq!(shell_of(&runner, Way::InTurn).await, first);
    let fresh = shell_of(&runner, Way::Fresh).await;
    assert_ne!(fresh, first);
    assert_eq!(shell_of(&runner, Way::Beside).await, fresh, "its connection is the kept one now");
    let slow = Script::new("echo \"$$\"; sleep 0.5");
    let (one, other) = tokio::join!(run(&runner, slow.clone()), run(&runner, slow));
    assert_ne!(one.unwrap().stdout, other.unwrap().stdout, "none waits for another");
    // Somebody on the host ends those that are idle: nothing ran, and nothing is lost.
    for shell in processes_with("nixdash_bytes") {
        drop(std::process::Command::new("kill").args(["-KILL", &shell.to_string()]).status());
    }
    for way in WAYS {
        assert!(run(&runner, Script::new(":").way(way)).await.unwrap().is_ok(), "{way:?}");
    }
    runner.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks"]
async fn a_connection_that_ended_while_it_was_idle_is_made_anew_whatever_comes_next() {
    let sshd = Sshd::start("");
    let runner = sshd.one("");
    let known = sshd.file("ssh_config").display().to_string();
    for way in WAYS {
        assert!(run(&runner, Script::new(":").way(way)).await.unwrap().is_ok(), "{way:?}");
        for ssh in processes_with(&known) {
            drop(std::process::Command::new("kill").args(["-KILL", &ssh.to_string()]).status());
        }
        wait_until("ssh is gone", || processes_with(&known).is_empty());
        assert!(run(&runner, Script::new(":").way(way)).await.unwrap().is_ok(), "{way:?}");
    }
    runner.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks"]
async fn a_host_that_allows_one_session_at_once_runs_one_script_after_the_other() {
    let sshd = Sshd::start("MaxSessions 1\n");
    let runner = sshd.one("");
    for _ in 0..2 {
        for way in WAYS {
            assert!(run(&runner, Script::new(":").way(way)).await.unwrap().is_ok(), "{way:?}");
            let with_input = Script::new("cat").stdin("input").way(way);
            let output = run(&runner, with_input).await.unwrap();
            assert_eq!(output.stdout, "input", "{way:?}");
        }
    }
    runner.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks"]
async fn a_removed_folder_of_sockets_is_made_anew() {
    let sshd = Sshd::start("");
    let runner = sshd.one("");
    run(&runner, Script::new(":")).await.unwrap();
    let folders = || {
        let known = sshd.file("ssh_config").display().to_string();
        let mut lines = processes_with(&known).into_iter();
        let line = lines.find_map(|pid| fs::read(format!("/proc/{pid}/cmdline")).ok());
        let line = String::from_utf8_lossy(&line.unwrap()).into_owned();
        let socket =
            line.split('\0').find(|word| word.contains("nixdash-ssh-")).unwrap().to_owned();
        std::path::Path::new(&socket).parent().unwrap().parent().unwrap().to_path_buf()
    };
    let folder = folders();
    fs::remove_dir_all(&folder).unwrap();
    for way in WAYS {
        assert!(run(&runner, Script::new(":").way(way)).await.unwrap().is_ok(), "{way:?}");
    }
    assert!(!folder.exists());
    runner.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks"]
async fn connections_end_with_the_program() {
    let sshd = Sshd::start("");
    let runner = sshd.one("");
    let known = sshd.file("ssh_config").display().to_string();
    run(&runner, Script::new(":")).await.unwrap();
    run(&runner, Script::new(":").way(Way::InTurn)).await.unwrap();
    assert_eq!(processes_with(&known).len(), 1);
    runner.close().await;
    wait_until("the connection is closed", || processes_with(&known).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks"]
async fn a_connect_that_is_given_up_leaves_no_ssh_behind() {
    // Greets and says no more.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let serve = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = silent.accept().await {
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"SSH-2.0-silent\r\n").await.unwrap();
            held.push(stream);
        }
    });
    let sshd = Sshd::start("");
    let client = sshd.client("");
    let hosts = format!("[hosts.p620]\naddresses = [\"127.0.0.1:{port}\"]\n");
    let (_, runner) = Sshd::runner(&client, &hosts);
    let known = client.display().to_string();
    let began = Instant::now();
    let error =
        runner.run("p620", &Script::new(":").limit(Duration::from_secs(1))).await.unwrap_err();
    assert_eq!(error.trouble, Trouble::Slow(Duration::from_secs(1)), "{error}");
    assert!(began.elapsed() < Duration::from_secs(3));
    wait_until("ssh is gone", || processes_with(&known).is_empty());
    serve.abort();
}

#[test]
#[ignore = "needs sshd, which tests/run.sh unpacks"]
fn a_nixdash_that_is_killed_leaves_no_connection_and_no_folder() {
    // A host that lets us in and never answers.
    let sshd = Sshd::start("ForceCommand exec sleep 60");
    let client = sshd.client("");
    let hosts = sshd.file("hosts.toml");
    let text = format!(
        "[fleet]\nssh_config = \"{}\"\n[hosts.p620]\naddresses = [\"127.0.0.1\"]\n",
        client.display()
    );
    fs::write(&hosts, text).unwrap();
    let runtime = tempfile::tempdir_in("/tmp").unwrap();
    let mut nixdash = std::process::Command::new(env!("CARGO_BIN_EXE_nixdash"))
        .args(["status", "--hosts"])
        .arg(&hosts)
        .env("HOME", runtime.path())
        .env("XDG_STATE_HOME", runtime.path())
        .env("XDG_RUNTIME_DIR", runtime.path())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let known = client.display().to_string();
    let folders = || {
        let entries = fs::read_dir(runtime.path()).unwrap().filter_map(Result::ok);
        entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("nixdash-ssh-"))
            .count()
    };
    wait_until("it has logged in", || sshd.logins() == 1 && !processes_with(&known).is_empty());
    assert_eq!(folders(), 1);
    nixdash.kill().unwrap();
    nixdash.wait().unwrap();
    wait_until("the connection has ended", || processes_with(&known).is_empty());
    wait_until("the folder is gone", || folders() == 0);
}
