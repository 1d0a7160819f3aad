//! One ssh process that holds a connection, and the control socket that scripts reach it by.
//!
//! It is started here and not by the `openssh` crate, which takes no `-o` and leaves the process
//! running when a connect is given up.

use crate::fleet::Address;
use crate::nix::argv::SSH_SETTINGS;
use crate::remote::RemoteError;
use openssh::Session;
use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use tempfile::TempDir;

/// How often ssh asks a silent host whether it is still there, in seconds; after three silences it
/// gives up.
const ALIVE_INTERVAL: u32 = 4;

/// How long an unused connection of a nixdash that died may stay open, in seconds.
const PERSIST: u32 = 90;

/// Most bytes of ssh's log that are read.
const LOG_LIMIT: u64 = 256 * 1024;

/// An open connection. Dropping the last reference ends it, as soon as no script runs on it.
pub(super) struct Master {
    session: Arc<Session>,
    /// Whether the key that let us in asks to be touched.
    asks_for_touch: bool,
    // Dropped after the session: it ends the process.
    socket: Socket,
}

/// The folder with the control socket of one ssh process.
struct Socket {
    dir: TempDir,
}

impl Socket {
    fn path(&self) -> PathBuf {
        self.dir.path().join("m")
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // One that cannot be told ends by itself when it is idle.
        drop(openssh_mux_client::shutdown_mux_master(self.path()));
    }
}

/// A connection that could not be made.
pub(super) enum NoMaster {
    /// ssh did not start, or its files could not be made.
    Here(io::Error),
    /// ssh gave up; what it wrote into its log.
    Ssh(String),
}

impl From<io::Error> for NoMaster {
    fn from(error: io::Error) -> Self {
        Self::Here(error)
    }
}

impl NoMaster {
    /// Returns the error of a host.
    pub(super) fn error(&self, host: &str) -> RemoteError {
        match self {
            Self::Here(error) => {
                let cause = format!("could not start ssh: {error}");
                RemoteError::new(host, crate::remote::Trouble::Here, &cause)
            }
            Self::Ssh(log) => RemoteError::from_ssh(host, log),
        }
    }
}

impl Master {
    /// Makes a connection; its socket lies in a folder of its own below `folder`.
    ///
    /// Cancelling ends the ssh process.
    pub(super) async fn start(
        address: &Address,
        config: Option<&Path>,
        folder: &Path,
    ) -> Result<Self, NoMaster> {
        let private = Permissions::from_mode(0o700);
        let dir = tempfile::Builder::new().prefix("c").permissions(private).tempdir_in(folder)?;
        let socket = Socket { dir };
        let log = socket.dir.path().join("log");
        let said = socket.dir.path().join("said");
        let status = tokio::process::Command::new("ssh")
            .args(arguments(address, config, &socket.path(), &log))
            // The ssh of a machine on the way does not have our settings, and would ask on the terminal.
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&said)?)
            .kill_on_drop(true)
            .spawn()?
            .wait()
            .await?;
        // What ssh says before it has opened its log is on its standard error.
        let said = format!("{}{}", read(&said), read(&log));
        if !status.success() {
            return Err(NoMaster::Ssh(said));
        }
        drop(fs::remove_file(&log));
        let session = Arc::new(Session::resume_mux(socket.path().into_boxed_path(), None));
        Ok(Self { session, asks_for_touch: touched(&said), socket })
    }

    /// Returns what scripts run on.
    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Returns the control socket that any ssh of this user can use the connection by.
    pub(super) fn socket(&self) -> PathBuf {
        self.socket.path()
    }

    /// Returns whether the key that let us in asks to be touched at every login.
    pub(super) fn asks_for_touch(&self) -> bool {
        self.asks_for_touch
    }
}

/// Returns the arguments of the ssh that holds a connection.
///
/// Its log tells which key the host took and which key the host showed, which only the lowest
/// level of debugging says.
fn arguments(address: &Address, config: Option<&Path>, socket: &Path, log: &Path) -> Vec<OsString> {
    let mut words: Vec<OsString> = ["-f", "-N", "-M", "-S"].map(OsString::from).to_vec();
    words.push(socket.into());
    words.push("-E".into());
    words.push(log.into());
    words.push("-o".into());
    words.push("LogLevel=DEBUG1".into());
    words.push("-o".into());
    words.push(format!("ControlPersist={PERSIST}").into());
    words.push("-o".into());
    words.push(format!("ServerAliveInterval={ALIVE_INTERVAL}").into());
    words.extend(destination(address, config));
    words
}

/// Returns the words that any ssh to an address is given: our settings, the person's file, user,
/// port and name.
pub(super) fn destination(address: &Address, config: Option<&Path>) -> Vec<OsString> {
    let mut words = Vec::new();
    for setting in SSH_SETTINGS {
        words.push("-o".into());
        words.push(setting.into());
    }
    if let Some(file) = config {
        words.push("-F".into());
        words.push(file.into());
    }
    if let Some(user) = &address.user {
        words.push("-l".into());
        words.push(user.into());
    }
    if let Some(port) = address.port {
        words.push("-p".into());
        words.push(port.to_string().into());
    }
    words.push("--".into());
    words.push((&address.host).into());
    words
}

/// Returns the text of a file, as far as the limit; nothing for one that cannot be read.
fn read(file: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(file) {
        drop(file.take(LOG_LIMIT).read_to_end(&mut bytes));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns whether ssh's log says that the key which the host took is one of a security key, whose
/// type ends in `-SK`.
fn touched(log: &str) -> bool {
    log.lines().any(|line| line.contains("Server accepts key: ") && line.contains("-SK"))
}

/// Returns an error with its causes, one per line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push('\n');
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_settings_come_before_the_persons_file() {
        let address = Address { user: Some("root".into()), host: "p620".into(), port: Some(2222) };
        let config = Path::new("/my files/ssh");
        let words =
            arguments(&address, Some(config), Path::new("/run/s/m"), Path::new("/run/s/log"));
        let text: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
        let place = |word: &str| text.iter().position(|found| *found == word).unwrap();
        assert!(place("ClearAllForwardings=yes") < place("-F"));
        assert!(place("RemoteCommand=none") < place("-F"));
        assert_eq!(text[place("-F") + 1], "/my files/ssh");
        assert_eq!(&text[text.len() - 6..], ["-l", "root", "-p", "2222", "--", "p620"]);
        assert!(!text.contains(&"StrictHostKeyChecking=no"));
    }

    #[test]
    fn a_security_key_is_known_by_what_the_host_took() {
        let plain = "debug1: Offering public key: /k ED25519-SK SHA256:a agent\n\
                     debug1: Server accepts key: /home/me/.ssh/id_ed25519 ED25519 SHA256:x agent\n";
        let touch = "debug1: Server accepts key: /home/me/.ssh/k ED25519-SK SHA256:x explicit\n";
        assert!(!touched(plain) && touched(touch));
    }
}
