//! Tells a machine that waits for its disk to be unlocked from one whose host key has changed.
//!
//! The ssh server of an initrd has a host key of its own. When what answered shows a key that
//! `known_hosts` has for the same machine under another port or name, it is the initrd that
//! answered. Nothing is decided by it but what is said: there is no login either way.

use crate::fleet::{Address, Host};
use crate::remote::Program;
use crate::remote::route::SshRoute;
use std::path::Path;
use std::time::Duration;

/// How long ssh-keygen may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Ports that people give the ssh server of an initrd.
const PORTS: [u16; 3] = [22, 222, 2222];

/// Returns what to say when the key that a host showed is known for it elsewhere.
pub(super) async fn known_elsewhere(
    log: &str,
    host: &Host,
    address: &Address,
    route: &SshRoute,
) -> Option<String> {
    let shown = shown_key(log)?;
    let names = names_of(host, address, route);
    for file in &route.known_hosts {
        let listed = keygen(&["-l".as_ref(), "-f".as_ref(), file.as_os_str()]).await;
        if let Some(name) = listed.and_then(|list| find_listed(&list, shown, &names)) {
            return Some(told(&name));
        }
        for name in &names {
            // Names may be kept as hashes, which only a name itself can be compared with.
            let words =
                ["-F".as_ref(), name.as_ref(), "-l".as_ref(), "-f".as_ref(), file.as_os_str()];
            if keygen(&words).await.is_some_and(|found| found.contains(shown)) {
                return Some(told(name));
            }
        }
    }
    None
}

/// Returns the sentence.
fn told(name: &str) -> String {
    format!("it waits for its disk to be unlocked: it answers with the host key of {name}")
}

/// Runs ssh-keygen and returns what it printed.
async fn keygen(words: &[&std::ffi::OsStr]) -> Option<String> {
    if words.last().is_some_and(|file| !Path::new(file).is_file()) {
        return None;
    }
    let output = Program::new("ssh-keygen", words).limit(LIMIT).run().await.ok()?;
    Some(output.stdout)
}

/// Returns the fingerprint of the key that a host showed, from ssh's log.
fn shown_key(log: &str) -> Option<&str> {
    let line = log.lines().find_map(|line| line.split_once("Server host key: "))?;
    line.1.split_whitespace().find(|word| word.starts_with("SHA256:"))
}

/// Returns the names under which a key of a host's initrd may be kept.
fn names_of(host: &Host, address: &Address, route: &SshRoute) -> Vec<String> {
    let written = host.addresses.iter().map(|address| address.host.clone());
    let mut bare: Vec<String> = written.collect();
    bare.extend([host.name.clone(), address.host.clone(), route.host.clone()]);
    bare.extend(route.key_alias.clone());
    bare.sort();
    bare.dedup();
    let mut names = Vec::new();
    for name in bare {
        let ports = host.addresses.iter().filter_map(|address| address.port);
        for port in PORTS.into_iter().chain(ports) {
            names.push(if port == 22 { name.clone() } else { format!("[{name}]:{port}") });
        }
        for ending in ["initrd", "unlock", "boot"] {
            names.push(format!("{name}-{ending}"));
        }
    }
    names.sort();
    names.dedup();
    names
}

/// Finds a key in the list of a `known_hosts`: length, fingerprint, names, type in each line.
fn find_listed(list: &str, shown: &str, names: &[String]) -> Option<String> {
    let lines = list.lines().filter(|line| line.split_whitespace().nth(1) == Some(shown));
    let mut known = lines.filter_map(|line| line.split_whitespace().nth(2));
    known.find_map(|listed| {
        listed.split(',').find(|name| names.iter().any(|of| of == name)).map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_an_initrd_is_found_under_another_port_or_name() {
        let fleet = "[hosts.samsung]\naddresses = [\"samsung.lan\"]\n";
        let fleet = crate::config::parse(fleet, Path::new("hosts.toml"), None).unwrap();
        let host = &fleet.hosts[0];
        let names = names_of(host, &host.addresses[0], &SshRoute::default());
        let list = "256 SHA256:host samsung.lan,10.0.0.7 (ED25519)\n\
                    256 SHA256:initrd [samsung.lan]:2222 (ED25519)\n\
                    256 SHA256:other razer-initrd (ED25519)\n\
                    256 SHA256:named samsung-initrd (ED25519)\n";
        let find = |shown| find_listed(list, shown, &names);
        assert_eq!(find("SHA256:initrd").as_deref(), Some("[samsung.lan]:2222"));
        assert_eq!(find("SHA256:named").as_deref(), Some("samsung-initrd"));
        assert_eq!(find("SHA256:other"), None, "a key of another machine proves nothing");
        assert_eq!(find("SHA256:unknown"), None);
    }

    #[test]
    fn the_key_that_was_shown_is_in_the_log() {
        let log = "debug1: Server host key: ssh-ed25519 SHA256:abc\n@@@@\nHost key verification \
                   failed.\n";
        assert_eq!(shown_key(log), Some("SHA256:abc"));
        assert_eq!(shown_key("Host key verification failed."), None);
    }
}
