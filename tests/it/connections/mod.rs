//! Connections to a real ssh server on the loopback interface, which the tests start as the user
//! who runs them, with keys and a port of its own.

mod keys;
mod many;
mod one;
mod root;

use nixdash::fleet::Fleet;
use nixdash::remote::Remote;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A running ssh server, on which the home of the user who logs in is the server's own folder; ended, with everything that belongs to it, when it is dropped.
pub(crate) struct Sshd {
    dir: tempfile::TempDir,
    port: u16,
    server: Child,
}

impl Sshd {
    /// Starts a server on 127.0.0.1, with more lines for its configuration.
    pub(crate) fn start(more: &str) -> Self {
        Self::listen("127.0.0.1", more)
    }

    /// Starts a server on an address.
    pub(crate) fn listen(address: &str, more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        make_key(&at("host_key"));
        make_key(&at("id"));
        fs::copy(at("id.pub"), at("authorized_keys")).unwrap();
        let public = fs::read_to_string(at("host_key.pub")).unwrap();
        fs::write(at("known_hosts"), format!("* {public}")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place = dir.path().display();
        let config = format!(
            "Port {port}\nListenAddress {address}\nHostKey {place}/host_key\n\
             AuthorizedKeysFile {place}/authorized_keys\nPidFile none\nUsePAM no\nStrictModes no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 400\n\
             PermitRootLogin prohibit-password\nLogLevel VERBOSE\nSetEnv HOME={place}\n{}\n",
            more.replace("DIR", &place.to_string())
        );
        fs::write(at("sshd_config"), config).unwrap();
        // Where the program was built to drop its rights; only root needs it.
        drop(fs::create_dir("/run/sshd"));
        let program = std::env::var("NIXDASH_SSHD").unwrap_or_else(|_| "/usr/sbin/sshd".to_owned());
        let mut server = Command::new(&program)
            .args(["-D", "-E"])
            .arg(at("sshd.log"))
            .arg("-f")
            .arg(at("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("tests/run.sh names an sshd");
        wait_until("the server listens", || {
            if let Some(ended) = server.try_wait().unwrap() {
                let log = fs::read_to_string(at("sshd.log")).unwrap_or_default();
                panic!("{program} ended with {ended} when it began: {log}");
            }
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self { dir, port, server }
    }

    /// Returns a file of the server.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Writes an ssh configuration that leads to the server, with more lines before ours.
    pub(crate) fn client(&self, more: &str) -> PathBuf {
        let place = self.dir.path().display();
        let file = self.file("ssh_config");
        let config = format!(
            "{more}\nHost *\n  IdentityFile {place}/id\n  IdentitiesOnly yes\n  IdentityAgent none\n  \
             UserKnownHostsFile {place}/known_hosts\n  GlobalKnownHostsFile /dev/null\n  Port {}\n",
            self.port
        );
        fs::write(&file, config).unwrap();
        file
    }

    /// Returns a runner for a fleet of hosts, given as lines of `hosts.toml`.
    pub(crate) fn runner(client: &Path, hosts: &str) -> (Arc<Fleet>, Remote) {
        let text = format!("[fleet]\nssh_config = \"{}\"\n{hosts}", client.display());
        let fleet = nixdash::config::parse(&text, Path::new("/hosts.toml"), None)
            .unwrap_or_else(|errors| panic!("{errors}"));
        let fleet = Arc::new(fleet);
        (Arc::clone(&fleet), Remote::new(fleet))
    }

    /// Returns a runner for one host, `p620`.
    pub(crate) fn one(&self, more: &str) -> Remote {
        let client = self.client(more);
        Self::runner(&client, "[hosts.p620]\naddresses = [\"127.0.0.1\"]\n").1
    }

    /// Returns how many logins the server accepted so far.
    pub(crate) fn logins(&self) -> usize {
        let log = fs::read_to_string(self.file("sshd.log")).unwrap_or_default();
        log.lines().filter(|line| line.contains("Accepted publickey")).count()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

/// Makes a key without a passphrase.
fn make_key(file: &Path) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(file)
        .status()
        .unwrap();
    assert!(made.success());
}

/// Waits for something, ten seconds at most.
pub(crate) fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < Duration::from_secs(10), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Returns the processes whose command line has a word in it.
pub(crate) fn processes_with(word: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(word)
    })
    .collect()
}
