//! Why a script could not be run on a host, and what to do about it.

use crate::fleet::{Code, HostState, printable_line};
use crate::remote::not_root::NotRoot;
use crate::remote::route::REFUSED;
use std::time::Duration;

/// What kind of trouble it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No address answered: asleep, off, or another network.
    Unreachable,
    /// It answered and refused the login: a key, a user, or no login from here for a while. Asking
    /// again soon makes OpenSSH refuse this machine altogether.
    Denied,
    /// It answered with a host key that is not taken.
    HostKey(KeyTrouble),
    /// It started and waits for its disk to be unlocked: what answers is its initrd.
    Locked,
    /// It let us in, and did not make us root.
    NotRoot(NotRoot),
    /// The connection ended while the script ran.
    Lost,
    /// The script took longer than its limit.
    Slow(Duration),
    /// It is not asked, since nobody trusts the `hosts.toml` that names it.
    Untrusted,
    /// Something on this machine: no ssh program, a mistake in ssh's configuration, no such host in
    /// the fleet.
    Here,
}

/// Why a host key is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyTrouble {
    /// None is known of it.
    Unknown,
    /// Another one is known of it.
    Changed,
    /// ssh does not take it for another reason, such as that it is revoked.
    Refused,
}

/// How ssh ends its sentence where nobody listens at the port.
const NOBODY_LISTENS: &str = "Connection refused";

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
    /// Whether the machine answered that nobody listens there: it is up, and its ssh server is not.
    pub nobody_listens: bool,
}

impl RemoteError {
    /// Makes an error from what ssh or the system said.
    pub fn new(host: &str, trouble: Trouble, cause: &str) -> Self {
        // ssh has one exit code for everything; this is the system's word for ECONNREFUSED.
        let nobody_listens = trouble == Trouble::Unreachable && cause.ends_with(NOBODY_LISTENS);
        let hint = match &trouble {
            Trouble::Unreachable if nobody_listens => {
                "the machine answers, and no ssh server listens there: see whether its sshd runs and at which port"
                    .to_owned()
            }
            Trouble::Unreachable => {
                "is it on and in this network? `ssh` to it by hand shows more".to_owned()
            }
            Trouble::Denied if cause.contains(REFUSED) => {
                "its sshd takes no connection from this machine for a while, after failed logins \
                 from here; wait some minutes, and load the right key before the next try"
                    .to_owned()
            }
            Trouble::Denied => {
                "load your key with ssh-add, or name user and key in ~/.ssh/config".to_owned()
            }
            Trouble::HostKey(why) => host_key_hint(host, *why),
            Trouble::Locked => {
                "unlock its disk: log in to its initrd by hand, or at its keyboard".to_owned()
            }
            Trouble::NotRoot(why) => why.hint(host),
            Trouble::Lost => "the connection broke; the next try makes a new one".to_owned(),
            Trouble::Slow(_) => {
                "the host may be overloaded or asleep, or the network may be bad".to_owned()
            }
            Trouble::Untrusted => "look at the file, then run `nixdash trust`".to_owned(),
            Trouble::Here => "this is a problem of this machine, not of the host".to_owned(),
        };
        Self { host: host.to_owned(), trouble, cause: printable_line(cause), hint, nobody_listens }
    }

    /// Makes the error of a host that let us in and did not make us root.
    pub fn not_root(host: &str, why: NotRoot, cause: &str) -> Self {
        Self::new(host, Trouble::NotRoot(why), cause)
    }

    /// Sorts what ssh printed when it could not connect.
    pub fn from_ssh(host: &str, said: &str) -> Self {
        let lines: Vec<&str> = said
            .lines()
            .map(str::trim)
            .filter(|line| {
                !line.is_empty() && !line.starts_with("debug") && !line.starts_with("Warning:")
            })
            .collect();
        let find = |signs: &[&str]| {
            lines.iter().rfind(|line| signs.iter().any(|sign| line.contains(sign))).copied()
        };
        let last = lines.last().copied().unwrap_or("ssh could not connect and did not say why");
        let (trouble, line) = if said.contains(REFUSED) {
            (Trouble::Denied, REFUSED)
        } else if let Some(line) = find(&["host key is known"]) {
            (Trouble::HostKey(KeyTrouble::Unknown), line)
        } else if let Some(line) = find(&["IDENTIFICATION HAS CHANGED", "has changed and you have"])
        {
            (Trouble::HostKey(KeyTrouble::Changed), line)
        } else if find(&["Host key verification failed"]).is_some() {
            (Trouble::HostKey(KeyTrouble::Refused), last)
        } else if let Some(line) = find(&["Permission denied (", "Too many authentication"]) {
            (Trouble::Denied, line)
        } else if let Some(line) = find(&[
            "onfiguration option",
            "Bad owner or permissions on",
            // ssh refuses to start for a user that this machine does not know.
            "No user exists for uid",
        ]) {
            (Trouble::Here, line)
        } else {
            (Trouble::Unreachable, last)
        };
        Self::new(host, trouble, line.trim_end_matches('.'))
    }

    /// Returns the state that a probe shows for this error.
    pub fn host_state(&self) -> HostState {
        match self.trouble {
            Trouble::Denied | Trouble::HostKey(_) | Trouble::NotRoot(_) => HostState::Denied,
            Trouble::Locked => HostState::Locked,
            Trouble::Unreachable | Trouble::Lost | Trouble::Slow(_) => HostState::Offline,
            Trouble::Untrusted | Trouble::Here => HostState::Unknown,
        }
    }

    /// Returns the code of the finding that a probe makes of this error.
    pub fn code(&self) -> Code {
        match self.trouble {
            Trouble::Unreachable => Code::HostUnreachable,
            Trouble::Denied => Code::LoginRefused,
            Trouble::HostKey(KeyTrouble::Unknown) => Code::HostKeyUnknown,
            Trouble::HostKey(KeyTrouble::Changed) => Code::HostKeyChanged,
            Trouble::HostKey(KeyTrouble::Refused) => Code::HostKeyRefused,
            Trouble::Locked => Code::DiskLocked,
            Trouble::NotRoot(why) => why.code(),
            Trouble::Lost => Code::ConnectionLost,
            Trouble::Slow(_) => Code::HostSlow,
            Trouble::Untrusted => Code::FileNotTrusted,
            Trouble::Here => Code::HostNotAsked,
        }
    }

    /// Returns whether the script may have run all the same: it was sent, and no answer came.
    pub fn may_have_run(&self) -> bool {
        matches!(self.trouble, Trouble::Lost | Trouble::Slow(_))
    }

    /// Returns whether another try may succeed without anybody doing anything.
    pub fn is_passing(&self) -> bool {
        match self.trouble {
            Trouble::Unreachable | Trouble::Lost | Trouble::Slow(_) | Trouble::Locked => true,
            Trouble::Denied
            | Trouble::HostKey(_)
            | Trouble::NotRoot(_)
            | Trouble::Untrusted
            | Trouble::Here => false,
        }
    }

    /// Returns how much it tells of a host, where several of its addresses fail in their own ways.
    pub(super) fn weight(&self) -> u8 {
        match self.trouble {
            Trouble::Untrusted | Trouble::Here => 0,
            Trouble::Unreachable | Trouble::Lost | Trouble::Slow(_) => 1,
            Trouble::HostKey(_) => 2,
            Trouble::Denied => 3,
            Trouble::Locked => 4,
            Trouble::NotRoot(_) => 5,
        }
    }
}

/// Returns what to do about a host key.
fn host_key_hint(host: &str, why: KeyTrouble) -> String {
    match why {
        KeyTrouble::Unknown => {
            format!("`nixdash trust-host {host}` shows its key, to be compared and accepted")
        }
        KeyTrouble::Changed => format!(
            "it was reinstalled, another machine has its address, or somebody intercepts the \
             connection; find out which, then `nixdash trust-host {host}` shows both keys"
        ),
        KeyTrouble::Refused => {
            "`ssh -v` to its address, with `-F` and the ssh_config that hosts.toml names, shows more"
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn what_ssh_says_becomes_a_kind_of_trouble() {
        for (said, trouble) in [
            ("ssh: connect to host 10.0.0.9 port 22: No route to host", Trouble::Unreachable),
            ("ssh: Could not resolve hostname x: Name or service not known", Trouble::Unreachable),
            ("me@10.0.0.9: Permission denied (publickey).", Trouble::Denied),
            ("@@@\nHost key verification failed.", Trouble::HostKey(KeyTrouble::Refused)),
            (
                "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n\
                 Host key verification failed.",
                Trouble::HostKey(KeyTrouble::Changed),
            ),
            (
                "No ED25519 host key is known for x and you have requested strict checking.\n\
                 Host key verification failed.",
                Trouble::HostKey(KeyTrouble::Unknown),
            ),
            (
                "debug1: kex_exchange_identification: banner line 0: Not allowed at this time\n\
                 kex_exchange_identification: Connection closed by remote host",
                Trouble::Denied,
            ),
            ("kex_exchange_identification: Connection closed by remote host", Trouble::Unreachable),
            ("/home/me/.ssh/config: line 3: Bad configuration option: hostnam", Trouble::Here),
            ("No user exists for uid 4711", Trouble::Here),
            (
                "debug1: identity file /k: Permission denied (x)\nssh: timed out",
                Trouble::Unreachable,
            ),
        ] {
            assert_eq!(RemoteError::from_ssh("samsung", said).trouble, trouble, "{said}");
        }
    }

    #[test]
    fn each_kind_of_trouble_has_a_code_of_its_own() {
        let all = [
            Trouble::Unreachable,
            Trouble::Denied,
            Trouble::HostKey(KeyTrouble::Unknown),
            Trouble::HostKey(KeyTrouble::Changed),
            Trouble::HostKey(KeyTrouble::Refused),
            Trouble::NotRoot(NotRoot::PasswordNeeded),
            Trouble::Locked,
            Trouble::Lost,
            Trouble::Slow(Duration::ZERO),
            Trouble::Untrusted,
            Trouble::Here,
        ];
        let codes = all.map(|trouble| RemoteError::new("samsung", trouble, "no").code());
        assert_eq!(codes.into_iter().collect::<BTreeSet<_>>().len(), codes.len());
        assert_eq!((codes[2], codes[6]), (Code::HostKeyUnknown, Code::DiskLocked));
    }

    #[test]
    fn an_address_that_is_locked_out_does_not_look_like_a_dead_network() {
        let text = RemoteError::from_ssh("samsung", "x\nNot allowed at this time\ny").to_string();
        assert!(text.contains("after failed logins from here; wait some minutes"), "{text}");
    }

    #[test]
    fn an_error_names_the_host_the_cause_and_what_to_do() {
        let error = RemoteError::from_ssh("samsung", "me@x: Permission denied (publickey).");
        let text = error.to_string();
        assert!(text.starts_with("samsung: me@x: Permission denied"), "{text}");
        assert!(text.contains("ssh-add"), "{text}");
    }
}
