//! The key that a host's ssh server shows, and what is known of it here.

use serde::Serialize;
use std::path::PathBuf;

/// What `known_hosts` says of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HostKeyState {
    /// It is the known one.
    Known,
    /// No key is known for this name.
    Unknown,
    /// Another key is known for this name.
    Changed,
    /// It is marked as one that must not be used any more.
    Revoked,
}

/// A key that the ssh server behind a name showed. Nobody logged in for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostKey {
    /// The host of the fleet.
    pub host: String,
    /// What was asked, as it is written in `hosts.toml` or, for a machine on the way, in ssh's
    /// configuration.
    pub place: String,
    /// Whether it is a machine on the way to the host (`ProxyJump`).
    pub is_on_the_way: bool,
    /// The name that `known_hosts` has for it, such as `razer.lan` or `[razer.lan]:2222`.
    pub name: String,
    /// The kind as `known_hosts` writes it, such as `ssh-ed25519`.
    pub kind: String,
    /// The key itself, in base64.
    #[serde(skip)]
    pub key: String,
    /// The fingerprint as ssh shows it: `SHA256:…`.
    pub fingerprint: String,
    /// What is known of it.
    pub state: HostKeyState,
    /// The keys that are known for the name instead: kind, fingerprint, and in which file.
    pub known: Vec<KnownKeyOf>,
    /// Other names under which the same key is known.
    pub same_as: Vec<String>,
    /// The file that takes it when it is accepted.
    pub file: PathBuf,
    /// Whether names are hashed there (`HashKnownHosts`).
    pub hashed: bool,
}

/// A key that is known for a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KnownKeyOf {
    /// The kind, such as `ssh-ed25519`.
    pub kind: String,
    /// The fingerprint.
    pub fingerprint: String,
    /// The file that has it.
    pub file: PathBuf,
    /// Whether the file is the person's own, and may be changed.
    pub is_own: bool,
}

impl HostKey {
    /// Returns the kind as ssh writes it beside a fingerprint, such as `ED25519`.
    pub fn kind_word(&self) -> String {
        kind_word(&self.kind)
    }

    /// Returns how ssh calls a kind of key, such as `ED25519`.
    pub fn word_of(kind: &str) -> String {
        kind_word(kind)
    }

    /// Returns what can have happened when a host shows another key than before.
    pub fn changed_words() -> &'static str {
        "A reinstalled machine has a new key, and so has another machine that took over the \
         address. But somebody who intercepts the connection to the host shows another key too, \
         and would read and change everything that is sent. Find out which of these it is before \
         you accept the new key."
    }

    /// Returns how to compare the key with that of the host.
    pub fn compare_words(&self) -> String {
        let file = match self.kind_word().as_str() {
            "RSA" => "rsa",
            "ECDSA" => "ecdsa",
            _ => "ed25519",
        };
        format!(
            "Compare the fingerprint with what the host itself says, at its console: ssh-keygen -lf \
             /etc/ssh/ssh_host_{file}_key.pub"
        )
    }
}

/// Returns how ssh calls a kind of key.
fn kind_word(kind: &str) -> String {
    let kind = kind.trim_start_matches("ssh-");
    let is_security_key = kind.starts_with("sk-");
    let plain = kind.trim_start_matches("sk-").trim_start_matches("ssh-");
    let word = match plain.split(['-', '@']).next().unwrap_or_default() {
        "ed25519" => "ED25519",
        "ecdsa" => "ECDSA",
        "rsa" => "RSA",
        other => return other.to_uppercase(),
    };
    if is_security_key { format!("{word}-SK") } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_called_as_ssh_calls_them() {
        for (kind, word) in [
            ("ssh-ed25519", "ED25519"),
            ("ssh-rsa", "RSA"),
            ("ecdsa-sha2-nistp256", "ECDSA"),
            ("sk-ssh-ed25519@openssh.com", "ED25519-SK"),
        ] {
            assert_eq!(kind_word(kind), word);
        }
    }
}
