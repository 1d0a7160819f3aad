//! Why a script could not be run on a host, and what to do about it.

use crate::fleet::{HostState, printable_line};
use std::time::Duration;

/// What kind of trouble it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No address answered: asleep, off, or another network.
    Unreachable,
    /// It answered and let us not in: a key, a user, a host key.
    Denied,
    /// The connection ended while the script ran.
    Lost,
    /// The script took longer than its limit.
    Slow(Duration),
    /// Something on this machine: no ssh program, no such host in the fleet.
    Here,
}

/// A script could not be run on a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host}: {cause}; {hint}")]
pub struct RemoteError {
    /// The host.
    pub host: String,
    /// What kind of trouble it is.
    pub trouble: Trouble,
    /// What was observed, printable.
    pub cause: String,
    /// What to do about it.
    pub hint: String,
}

impl RemoteError {
    /// Makes an error from what ssh or the system said.
    pub fn new(host: &str, trouble: Trouble, cause: &str) -> Self {
        let hint = match &trouble {
            Trouble::Unreachable => {
                "is it on and in this network? `ssh` to it by hand shows more".to_owned()
            }
            Trouble::Denied => denied_hint(cause),
            Trouble::Lost => "the connection broke; it is made anew at the next try".to_owned(),
            Trouble::Slow(limit) => format!(
                "it did not finish within {}; is the host overloaded or asleep?",
                crate::fleet::duration(*limit)
            ),
            Trouble::Here => "this is a problem of this machine, not of the host".to_owned(),
        };
        Self { host: host.to_owned(), trouble, cause: printable_line(cause), hint }
    }

    /// Sorts what ssh printed when it could not connect.
    pub fn from_ssh(host: &str, said: &str) -> Self {
        let unknown_key =
            said.lines().map(str::trim).find(|line| line.contains("host key is known"));
        let last = said
            .lines()
            .map(str::trim)
            .rfind(|line| {
                !line.is_empty() && !line.starts_with("debug") && !line.starts_with("Warning:")
            })
            .unwrap_or("ssh could not connect and did not say why");
        let line = unknown_key.unwrap_or(last).trim_end_matches('.');
        let denied = [
            "Permission denied",
            "Host key verification failed",
            "Too many auth",
            "IDENTIFICATION HAS CHANGED",
        ]
        .iter()
        .any(|sign| said.contains(sign));
        let trouble = if denied { Trouble::Denied } else { Trouble::Unreachable };
        Self::new(host, trouble, line)
    }

    /// Returns the state that a probe shows for this error.
    pub fn host_state(&self) -> HostState {
        match self.trouble {
            Trouble::Denied => HostState::Denied,
            Trouble::Unreachable | Trouble::Lost | Trouble::Slow(_) => HostState::Unreachable,
            Trouble::Here => HostState::Unknown,
        }
    }

    /// Returns whether the script may have run all the same: it was sent, and no answer came.
    pub fn may_have_run(&self) -> bool {
        matches!(self.trouble, Trouble::Lost | Trouble::Slow(_))
    }

    /// Returns whether another try may succeed without anybody doing anything.
    pub fn is_passing(&self) -> bool {
        matches!(self.trouble, Trouble::Unreachable | Trouble::Lost | Trouble::Slow(_))
    }
}

/// Returns what to do when ssh says no.
fn denied_hint(said: &str) -> String {
    if said.contains("host key is known") {
        "its host key is not known yet: ssh to it once by hand and compare the key".to_owned()
    } else if said.contains("Host key") || said.contains("IDENTIFICATION") {
        "its host key is not the one in known_hosts: find out why; a machine that was installed \
         anew needs ssh-keygen -R"
            .to_owned()
    } else {
        "load your key with ssh-add, or name user and key in ~/.ssh/config".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ssh_says_becomes_a_kind_of_trouble() {
        for (said, trouble) in [
            ("ssh: connect to host 10.0.0.9 port 22: No route to host", Trouble::Unreachable),
            ("ssh: Could not resolve hostname x: Name or service not known", Trouble::Unreachable),
            ("me@10.0.0.9: Permission denied (publickey).", Trouble::Denied),
            ("@@@\nHost key verification failed.", Trouble::Denied),
        ] {
            assert_eq!(RemoteError::from_ssh("samsung", said).trouble, trouble, "{said}");
        }
    }

    #[test]
    fn an_error_names_the_host_the_cause_and_what_to_do() {
        let error = RemoteError::from_ssh("samsung", "me@x: Permission denied (publickey).");
        let text = error.to_string();
        assert!(text.starts_with("samsung: me@x: Permission denied"), "{text}");
        assert!(text.contains("ssh-add"), "{text}");
    }
}
