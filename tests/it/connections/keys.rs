//! Host keys: one that nobody knows, one that is another than before, and those behind a machine on
//! the way.

use super::{Sshd, make_key};
use nixdash::fleet::{HostKey, HostKeyState};
use nixdash::remote::{KeyTrouble, Script, ScriptRunner, Trouble, accept_host_key, host_keys};
use std::fs;
use std::process::Command;
use std::time::Duration;

/// Returns the keys that the host `p620` of a fleet shows.
async fn keys(sshd: &Sshd, more: &str, address: &str) -> Vec<HostKey> {
    let client = sshd.client(more);
    let hosts = format!("[hosts.p620]\naddresses = [\"{address}\"]\n");
    let (fleet, _) = Sshd::runner(&client, &hosts);
    let found = host_keys(&fleet, &fleet.hosts[0]).await;
    found.into_iter().map(|key| key.unwrap_or_else(|error| panic!("{error}"))).collect()
}

/// Returns the fingerprint of a key file, as ssh shows it.
fn fingerprint(sshd: &Sshd, name: &str) -> String {
    let output = Command::new("ssh-keygen").arg("-lf").arg(sshd.file(name)).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().nth(1).unwrap().to_owned()
}

/// Runs a script on `p620`, which is the server.
async fn ask(sshd: &Sshd, more: &str) -> Result<(), Trouble> {
    let runner = sshd.one(more);
    let script = Script::new(":").limit(Duration::from_secs(20));
    let result = runner.run("p620", &script).await.map(|_| ()).map_err(|error| error.trouble);
    runner.close().await;
    result
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks"]
async fn an_unknown_key_is_shown_without_a_login_and_accepted_as_ssh_would() {
    for hash in ["no", "yes"] {
        let sshd = Sshd::start("");
        fs::write(sshd.file("known_hosts"), "other ssh-ed25519 AAAA").unwrap();
        let more = format!("Host *\n  HashKnownHosts {hash}");
        let unknown = Err(Trouble::HostKey(KeyTrouble::Unknown));
        assert_eq!(ask(&sshd, &more).await, unknown);
        let [key] = &keys(&sshd, &more, "127.0.0.1").await[..] else { panic!("there is one") };
        assert_eq!(key.state, HostKeyState::Unknown);
        assert_eq!(key.fingerprint, fingerprint(&sshd, "host_key"));
        assert_eq!(key.name, format!("[127.0.0.1]:{}", sshd.port()));
        assert_eq!(sshd.logins(), 0, "nobody logged in");
        accept_host_key(key).await.unwrap();
        let text = fs::read_to_string(sshd.file("known_hosts")).unwrap();
        assert_eq!((text.lines().count(), text.contains("|1|")), (2, hash == "yes"), "{text}");
        assert_eq!(ask(&sshd, &more).await, Ok(()));
        let [known] = &keys(&sshd, &more, "127.0.0.1").await[..] else { panic!("there is one") };
        assert_eq!(known.state, HostKeyState::Known);
        assert_eq!(sshd.logins(), 1, "a key that is known is looked at without a login too");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks"]
async fn a_changed_key_is_shown_beside_the_old_one_and_takes_its_place() {
    let sshd = Sshd::start("");
    make_key(&sshd.file("old"));
    let old = fs::read_to_string(sshd.file("old.pub")).unwrap();
    let host = fs::read_to_string(sshd.file("host_key.pub")).unwrap();
    let name = format!("[127.0.0.1]:{}", sshd.port());
    fs::write(sshd.file("known_hosts"), format!("{name} {old}razer.lan {host}")).unwrap();
    let found = keys(&sshd, "", "127.0.0.1").await;
    let [key] = &found[..] else { panic!("there is one") };
    assert_eq!(key.state, HostKeyState::Changed);
    assert_eq!(key.fingerprint, fingerprint(&sshd, "host_key"));
    assert_eq!(key.known[0].fingerprint, fingerprint(&sshd, "old"));
    assert_eq!(key.same_as, ["razer.lan"]);
    accept_host_key(key).await.unwrap();
    let text = fs::read_to_string(sshd.file("known_hosts")).unwrap();
    assert!(!text.contains(old.split_whitespace().nth(1).unwrap()), "{text}");
    assert_eq!(ask(&sshd, "").await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks"]
async fn the_key_of_a_machine_on_the_way_comes_before_that_of_the_host_behind_it() {
    let sshd = Sshd::start("");
    let behind = Sshd::start("");
    fs::write(sshd.file("known_hosts"), "").unwrap();
    fs::copy(sshd.file("id.pub"), behind.file("authorized_keys")).unwrap();
    let more = format!(
        "Host bastion\n  HostName 127.0.0.1\nHost hidden\n  HostName localhost\n  Port {}\n  \
         ProxyJump bastion",
        behind.port()
    );
    let first = keys(&sshd, &more, "hidden").await;
    let [bastion] = &first[..] else { panic!("{first:?}") };
    assert!(bastion.is_on_the_way && bastion.state == HostKeyState::Unknown, "{bastion:?}");
    assert_eq!(bastion.fingerprint, fingerprint(&sshd, "host_key"));
    accept_host_key(bastion).await.unwrap();
    let then = keys(&sshd, &more, "hidden").await;
    let [known, hidden] = &then[..] else { panic!("{then:?}") };
    assert_eq!((&known.state, known.is_on_the_way), (&HostKeyState::Known, true));
    assert_eq!((&hidden.state, hidden.is_on_the_way), (&HostKeyState::Unknown, false));
    assert_eq!(hidden.fingerprint, fingerprint(&behind, "host_key"));
    assert_eq!(behind.logins(), 0);
    accept_host_key(hidden).await.unwrap();
    let client = sshd.client(&more);
    let (_, runner) = Sshd::runner(&client, "[hosts.p620]\naddresses = [\"hidden\"]\n");
    let script = Script::new("echo ran").limit(Duration::from_secs(20));
    assert_eq!(runner.run("p620", &script).await.unwrap().stdout, "ran\n");
    assert_eq!(behind.logins(), 1);
    runner.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd, which tests/run.sh unpacks"]
async fn a_key_that_only_the_agent_has_lets_us_in() {
    let sshd = Sshd::start("");
    let socket = sshd.file("agent");
    let mut agent = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).spawn().unwrap();
    super::wait_until("the agent listens", || socket.exists());
    let added = Command::new("ssh-add").env("SSH_AUTH_SOCK", &socket).arg(sshd.file("id")).output();
    assert!(added.unwrap().status.success());
    fs::remove_file(sshd.file("id")).unwrap();
    let more = format!("Host *\n  IdentityAgent {}", socket.display());
    let result = ask(&sshd, &more).await;
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert_eq!(result, Ok(()));
}
