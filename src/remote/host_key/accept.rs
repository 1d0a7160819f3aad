//! Writes an accepted key into the person's `known_hosts`, as ssh does.

use crate::fleet::{HostKey, HostKeyState};
use crate::remote::Program;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long ssh-keygen may take.
const LIMIT: Duration = Duration::from_secs(5);

/// An accepted key could not be written.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// It must not be accepted.
    #[error(
        "the key of {0} is marked as revoked in known_hosts; a machine that shows it is not the \
         host"
    )]
    Revoked(String),
    /// The old key stands in a file that is not the person's own.
    #[error(
        "the old key of {name} stands in {}, which is not yours to change; on NixOS it comes from \
         programs.ssh.knownHosts of this machine: fix it there", file.display()
    )]
    Foreign {
        /// The name.
        name: String,
        /// The file.
        file: PathBuf,
    },
    /// The old key could not be removed.
    #[error("could not remove the old key of {name}: {why}; nothing was accepted")]
    Remove {
        /// The name.
        name: String,
        /// Why.
        why: String,
    },
    /// The file could not be written.
    #[error(
        "could not write {}: {source}; where another program writes this file, add this line there: {line}",
        file.display()
    )]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
        /// The line that is missing in it.
        line: String,
    },
}

/// Writes a key that a person accepted into the first `UserKnownHostsFile`; an old one of the same
/// name is removed first, with `ssh-keygen -R`, which keeps the file as it was beside it (`.old`).
pub async fn accept_host_key(key: &HostKey) -> Result<(), AcceptError> {
    match key.state {
        HostKeyState::Known => return Ok(()),
        HostKeyState::Revoked => return Err(AcceptError::Revoked(key.name.clone())),
        HostKeyState::Unknown | HostKeyState::Changed => {}
    }
    if let Some(foreign) = key.known.iter().find(|known| !known.is_own) {
        let (name, file) = (key.name.clone(), foreign.file.clone());
        return Err(AcceptError::Foreign { name, file });
    }
    let mut files: Vec<&PathBuf> = key.known.iter().map(|known| &known.file).collect();
    files.dedup();
    for file in files {
        remove(&key.name, file).await?;
    }
    let plain = format!("{} {} {}\n", key.name, key.kind, key.key);
    let line = if key.hashed { hashed(&plain).await.unwrap_or(plain) } else { plain };
    append(&key.file, &line).map_err(|source| AcceptError::Write {
        file: key.file.clone(),
        source,
        line: line.trim_end().to_owned(),
    })
}

/// Removes every key of a name from a file.
async fn remove(name: &str, file: &Path) -> Result<(), AcceptError> {
    let failed = |why: String| AcceptError::Remove { name: name.to_owned(), why };
    let words = ["-R".as_ref(), name.as_ref(), "-f".as_ref(), file.as_os_str()];
    let removed = Program::new("ssh-keygen", words).limit(LIMIT).run().await;
    let output = removed.map_err(|error| failed(error.to_string()))?;
    if output.is_ok() { Ok(()) } else { Err(failed(output.complaint())) }
}

/// Returns a line with its name hashed, as ssh-keygen does it.
async fn hashed(line: &str) -> Option<String> {
    let dir = tempfile::tempdir().ok()?;
    let file = dir.path().join("line");
    fs::write(&file, line).ok()?;
    let words = ["-H".as_ref(), "-f".as_ref(), file.as_os_str()];
    let output = Program::new("ssh-keygen", words).limit(LIMIT).run().await.ok()?;
    let text = fs::read_to_string(&file).ok()?;
    (output.is_ok() && text.starts_with("|1|")).then_some(text)
}

/// Adds a line at the end, in one write; a line before it that has no end gets one. What is not
/// there is made, for nobody else to read.
fn append(file: &Path, line: &str) -> io::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut open =
        OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(file)?;
    let mut last = [b'\n'];
    if open.metadata()?.len() > 0 {
        open.seek(SeekFrom::End(-1))?;
        open.read_exact(&mut last)?;
    }
    let start = if last == *b"\n" { "" } else { "\n" };
    open.write_all(format!("{start}{line}").as_bytes())?;
    open.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::KnownKeyOf;
    use std::os::unix::fs::PermissionsExt;

    fn key(file: &Path) -> HostKey {
        HostKey {
            host: "razer".to_owned(),
            place: "razer.lan".to_owned(),
            is_on_the_way: false,
            name: "razer.lan".to_owned(),
            kind: "ssh-ed25519".to_owned(),
            key: "AAAAC3NzaC1lZDI1NTE5AAAAIGJhc2U2NGJhc2U2NGJhc2U2NGJhc2U2NGJhc2U2".to_owned(),
            fingerprint: "SHA256:x".to_owned(),
            state: HostKeyState::Unknown,
            known: Vec::new(),
            same_as: Vec::new(),
            file: file.to_owned(),
            hashed: false,
        }
    }

    #[tokio::test]
    async fn an_accepted_key_is_a_line_of_its_own_in_a_private_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ssh/known_hosts");
        accept_host_key(&key(&file)).await.unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&file, "other ssh-ed25519 BBBB").unwrap();
        accept_host_key(&key(&file)).await.unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0]), (2, "other ssh-ed25519 BBBB"));
        assert!(lines[1].starts_with("razer.lan ssh-ed25519 AAAA"), "{text}");
    }

    #[tokio::test]
    async fn a_key_of_the_machine_itself_or_a_revoked_one_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("known_hosts");
        let mut changed = HostKey { state: HostKeyState::Changed, ..key(&file) };
        changed.known = vec![KnownKeyOf {
            kind: "ssh-ed25519".to_owned(),
            fingerprint: "SHA256:y".to_owned(),
            file: "/etc/ssh/ssh_known_hosts".into(),
            is_own: false,
        }];
        let error = accept_host_key(&changed).await.unwrap_err().to_string();
        assert!(error.contains("programs.ssh.knownHosts"), "{error}");
        let revoked = HostKey { state: HostKeyState::Revoked, ..key(&file) };
        assert!(accept_host_key(&revoked).await.is_err() && !file.exists());
    }
}
