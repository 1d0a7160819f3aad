//! A person's own shell on a host: what is started for it in a terminal.
//!
//! The connection is made as for scripts, with the same addresses, settings, keys and holds, and is the
//! kept one of the host. The shell is an ssh of its own that goes over the control socket of that
//! connection; where the host opens no further session on it, ssh connects again by the same settings.

use crate::fleet::Address;
use crate::remote::connection::Remote;
use crate::remote::master::destination;
use crate::remote::{RemoteError, quote};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The way to a person's own shell on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteShell {
    /// The host is this machine.
    Here,
    /// Over ssh.
    Ssh {
        /// The address that let us in.
        address: Address,
        /// The control socket of the connection.
        socket: PathBuf,
        /// The file that ssh reads instead of the person's own.
        config: Option<PathBuf>,
    },
}

impl Remote {
    /// Makes a connection where there is none, and returns the way to a shell on a host. It stays as
    /// long as this runner keeps the connection.
    pub async fn shell(&self, host: &str) -> Result<RemoteShell, RemoteError> {
        let Some((address, socket)) = self.connected(host).await? else {
            return Ok(RemoteShell::Here);
        };
        Ok(RemoteShell::Ssh { address, socket, config: self.ssh_config() })
    }
}

impl RemoteShell {
    /// Returns the program and its arguments: a login shell, or a command in one. ssh writes what it has
    /// to say of itself into `log`. With a terminal, programs on the host have one too.
    pub fn words(&self, log: &Path, command: &[String], terminal: bool) -> Vec<OsString> {
        match self {
            Self::Here if command.is_empty() => vec![own_shell()],
            Self::Here => command.iter().map(OsString::from).collect(),
            Self::Ssh { address, socket, config } => {
                let mut words = vec!["ssh".into(), "-S".into(), socket.into()];
                words.extend(["-E".into(), log.into()]);
                // The first word of two about the same counts, and programs get no terminal.
                let terminal = if terminal { "RequestTTY=yes" } else { "RequestTTY=no" };
                for setting in [terminal, "ControlMaster=no", "ServerAliveInterval=10"] {
                    words.extend(["-o".into(), setting.into()]);
                }
                words.extend(destination(address, config.as_deref()));
                // ssh puts a space between words, and the login shell reads the line.
                words.extend(command.iter().map(|word| quote(word).into()));
                words
            }
        }
    }

    /// Returns where it leads, in words.
    pub fn place(&self) -> String {
        match self {
            Self::Here => "this machine".to_owned(),
            Self::Ssh { address, .. } => address.to_string(),
        }
    }
}

/// Returns the person's shell on this machine.
fn own_shell() -> OsString {
    std::env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or_else(|| "/bin/sh".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over_ssh() -> RemoteShell {
        RemoteShell::Ssh {
            address: Address { user: Some("root".into()), host: "p620".into(), port: Some(2222) },
            socket: "/run/s/m".into(),
            config: Some("/my files/ssh".into()),
        }
    }

    fn words(shell: &RemoteShell, command: &[&str], terminal: bool) -> Vec<String> {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let words = shell.words(Path::new("/tmp/log"), &command, terminal);
        words.into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn a_shell_goes_over_the_connection_with_our_settings_and_a_terminal() {
        let all = words(&over_ssh(), &[], true);
        assert_eq!(all[..7], ["ssh", "-S", "/run/s/m", "-E", "/tmp/log", "-o", "RequestTTY=yes"]);
        let place = |word: &str| all.iter().position(|found| found == word).unwrap();
        assert!(place("RequestTTY=yes") < place("RequestTTY=no"));
        assert!(place("BatchMode=yes") < place("-F") && place("StrictHostKeyChecking=yes") > 0);
        assert_eq!(
            all[all.len() - 8..],
            ["-F", "/my files/ssh", "-l", "root", "-p", "2222", "--", "p620"]
        );
    }

    #[test]
    fn the_words_of_a_command_arrive_as_they_were_typed() {
        let all = words(&over_ssh(), &["ls", "a b", "$(reboot)", "it's"], false);
        assert_eq!(all[all.len() - 4..], ["'ls'", "'a b'", "'$(reboot)'", "'it'\\''s'"]);
        assert!(all.iter().all(|word| word != "RequestTTY=yes"));
        assert_eq!(words(&RemoteShell::Here, &["ls", "a b"], true), ["ls", "a b"]);
    }
}
