//! What `known_hosts` has for a name, and where else it has a key.

use crate::fleet::KnownKeyOf;
use crate::remote::Program;
use crate::remote::route::SshRoute;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};
use std::path::Path;
use std::time::Duration;

/// How long ssh-keygen may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Returns the keys that are known for a name, in every file that ssh reads. Names may be kept as
/// hashes, which ssh-keygen compares.
pub(super) async fn for_name(route: &SshRoute, name: &str) -> Vec<KnownKeyOf> {
    let mut known = Vec::new();
    for file in &route.known_hosts {
        let words = ["-F".as_ref(), name.as_ref(), "-f".as_ref(), file.as_os_str()];
        if !file.is_file() {
            continue;
        }
        let Ok(found) = Program::new("ssh-keygen", words).limit(LIMIT).run().await else {
            continue;
        };
        for (kind, key) in found.stdout.lines().filter_map(key_of) {
            known.push(KnownKeyOf {
                kind: kind.to_owned(),
                fingerprint: fingerprint(key),
                file: file.clone(),
                is_own: route.own_files().contains(file),
            });
        }
    }
    known
}

/// Returns the other names under which a key is known, as far as they are not hashed.
pub(super) fn same_key(route: &SshRoute, key: &str, name: &str) -> Vec<String> {
    let mut names = Vec::new();
    for file in &route.known_hosts {
        let text = read(file);
        for line in text.lines().filter(|line| key_of(line).is_some_and(|(_, known)| known == key))
        {
            let listed = line.split_whitespace().next().unwrap_or_default();
            let plain = listed.split(',').filter(|known| !known.starts_with('|') && *known != name);
            names.extend(plain.map(crate::fleet::printable_line));
        }
    }
    names.sort();
    names.dedup();
    names
}

/// Reads a file, as far as anybody would write one by hand.
fn read(file: &Path) -> String {
    use std::io::Read as _;
    let mut text = Vec::new();
    if let Ok(file) = std::fs::File::open(file) {
        drop(file.take(4 << 20).read_to_end(&mut text));
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Returns kind and key of a line; nothing of a comment, and of keys of authorities.
fn key_of(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split_whitespace();
    words.next().filter(|names| !names.starts_with(['#', '@']))?;
    Some((words.next()?, words.next()?))
}

/// Returns the fingerprint of a key in base64, as ssh shows it; a text that is no key has none.
fn fingerprint(key: &str) -> String {
    let Ok(bytes) = STANDARD.decode(key) else { return "not readable".to_owned() };
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_that_of_ssh_keygen() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("k");
        let made = std::process::Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&file)
            .status();
        // A machine without ssh has nothing to compare with.
        let Ok(made) = made else { return };
        assert!(made.success());
        let public = std::fs::read_to_string(dir.path().join("k.pub")).unwrap();
        let key = public.split_whitespace().nth(1).unwrap();
        let shown =
            std::process::Command::new("ssh-keygen").arg("-lf").arg(&file).output().unwrap();
        assert!(String::from_utf8(shown.stdout).unwrap().contains(&fingerprint(key)));
        assert_eq!(fingerprint("%"), "not readable");
    }

    #[test]
    fn the_same_key_is_found_under_other_names() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("known");
        let text = "# a comment\nrazer.lan,10.0.0.2 ssh-ed25519 AAAA\n|1|x|y ssh-ed25519 AAAA\n\
                    @cert-authority * ssh-ed25519 AAAA\nother ssh-ed25519 BBBB\n";
        std::fs::write(&file, text).unwrap();
        let route = SshRoute { known_hosts: vec![file], ..SshRoute::default() };
        assert_eq!(same_key(&route, "AAAA", "razer.lan"), ["10.0.0.2"]);
    }
}
