//! Why the login user of a host did not become root, and what to do about it.

use crate::fleet::{Code, SecretSource};

/// Why the login user of a host did not become root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRoot {
    /// sudo asks for a password, and none was given.
    PasswordNeeded,
    /// sudo refused the password.
    PasswordWrong,
    /// The login user may not run this as root.
    NotAllowed,
    /// doas or run0 would ask for a password, which they are never given.
    WouldAsk,
    /// sudo wants a terminal (`requiretty`).
    TerminalNeeded,
    /// There is no program for it, or none is to be used.
    NoProgram,
    /// The program failed for another reason.
    Failed,
}

impl NotRoot {
    /// Returns the code of its finding.
    pub fn code(self) -> Code {
        match self {
            Self::PasswordNeeded => Code::SudoPasswordNeeded,
            Self::PasswordWrong => Code::SudoPasswordWrong,
            Self::NotAllowed => Code::RootNotAllowed,
            Self::WouldAsk => Code::RootWouldAsk,
            Self::TerminalNeeded => Code::SudoWantsTerminal,
            Self::NoProgram | Self::Failed => Code::PrivilegesMissing,
        }
    }

    /// Returns what to do about it.
    pub(super) fn hint(self, host: &str) -> String {
        let text = match self {
            Self::PasswordNeeded => {
                return format!(
                    "say with `sudo_password` in [hosts.{host}] where it is (\"ask\" lets you type it), or \
                     deploy with `--ask-sudo-password`, or allow that user sudo without one"
                );
            }
            Self::PasswordWrong => {
                "it was tried once and is not tried again, because a host may lock an account after a few \
                 wrong ones; begin again to be asked for the password once more"
            }
            Self::NotAllowed => {
                "add the login user to those who may (wheel on NixOS), or name another user in its address, \
                 such as root@"
            }
            Self::WouldAsk => {
                "only sudo gets a password; allow that user doas with `nopass`, or run0 by a polkit rule, or \
                 use sudo"
            }
            Self::TerminalNeeded => {
                "remove `requiretty` from its sudoers, for instance with `Defaults:USER !requiretty`"
            }
            Self::NoProgram => {
                "name root@ in its address, or install sudo, doas or run0 there and see `elevate` in hosts.toml"
            }
            Self::Failed => return format!("try `nixdash shell {host} -- sudo -n true` by hand"),
        };
        text.to_owned()
    }
}

/// Says what to do about a password that sudo refused and that `hosts.toml` names a source of: nobody is
/// asked for it.
pub(super) fn mend_source(source: &SecretSource) -> String {
    let mend = match source {
        SecretSource::Env(variable) => format!("set the right password in the variable {variable}"),
        SecretSource::File(file) => {
            format!("write the right password into the file {}", file.display())
        }
        SecretSource::Command { words, .. } => {
            format!("let `{}` print the right password", words.join(" "))
        }
    };
    format!(
        "{mend}, which `sudo_password` in hosts.toml names, and begin again; the wrong one was tried once and is \
         not tried again, because a host may lock an account after a few wrong ones"
    )
}
