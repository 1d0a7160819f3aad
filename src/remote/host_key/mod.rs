//! Host keys: what the ssh servers behind a host's addresses show, fetched through the same machines
//! on the way and without a login, and how an accepted one gets into `known_hosts`.
//!
//! ssh itself says whether a key is known. It is told to be strict, so that it stops at a key that
//! is not known before it offers anything; the key itself comes from `KnownHostsCommand`, which ssh
//! runs with the key that it was shown. No key of the person is offered either way.

mod accept;
mod known;

pub use accept::{AcceptError, accept_host_key};

use crate::fleet::{Address, Fleet, Host, HostKey, HostKeyState};
use crate::remote::master::destination;
use crate::remote::route::SshRoute;
use crate::remote::{Program, RemoteError, Trouble};
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

/// How long it may take to be shown a key, machines on the way included.
const LIMIT: Duration = Duration::from_secs(20);

/// What ssh runs with the key: it says it on standard error and makes nothing known.
const SAY_KEY: &str = "KnownHostsCommand=/bin/sh -c \"echo nixdash-host-key %I %t %K %f >&2\"";

/// What keeps ssh from offering anything where the key is known already.
const OFFER_NOTHING: [&str; 12] = [
    "PreferredAuthentications=none",
    "PubkeyAuthentication=no",
    "PasswordAuthentication=no",
    "KbdInteractiveAuthentication=no",
    "HostbasedAuthentication=no",
    "GSSAPIAuthentication=no",
    "IdentityAgent=none",
    "ControlMaster=no",
    "ControlPath=none",
    "UpdateHostKeys=no",
    "LogLevel=INFO",
    "NumberOfPasswordPrompts=0",
];

/// One ssh server on the way to a host, the host itself last.
#[derive(Clone, Debug, PartialEq, Eq)]
struct KeyPlace {
    address: Address,
    /// The machines before it, for `ProxyJump`; none where its own configuration says.
    via: Option<String>,
    is_on_the_way: bool,
}

/// Returns the keys that the ssh servers behind a host's addresses show, each with those of the
/// machines on the way to it before it. Behind a machine whose key is not known nobody is asked.
///
/// Each address is asked by itself; one that cannot be asked is an error among the keys.
pub async fn host_keys(fleet: &Fleet, host: &Host) -> Vec<Result<HostKey, RemoteError>> {
    let config = fleet.ssh_config.as_deref();
    let mut found: Vec<Result<HostKey, RemoteError>> = Vec::new();
    for address in &host.addresses {
        let route = SshRoute::ask(address, config).await;
        for place in places(address, route.jump.as_deref()) {
            let shown = ask(host, &place, config).await;
            let goes_on = shown.as_ref().is_ok_and(|key| key.state == HostKeyState::Known);
            let is_new = |key: &HostKey| {
                let same = |other: &HostKey| other.name == key.name && other.key == key.key;
                !found.iter().flatten().any(same)
            };
            if shown.as_ref().map_or(true, is_new) {
                found.push(shown);
            }
            if !goes_on {
                break;
            }
        }
    }
    found
}

/// Returns the ssh servers on the way to an address, in order.
fn places(address: &Address, jump: Option<&str>) -> Vec<KeyPlace> {
    let mut places = Vec::new();
    let mut before: Vec<&str> = Vec::new();
    for word in jump.into_iter().flat_map(|jump| jump.split(',')) {
        let Some(hop) = hop(word) else { continue };
        let via = (!before.is_empty()).then(|| before.join(","));
        places.push(KeyPlace { address: hop, via, is_on_the_way: true });
        before.push(word);
    }
    places.push(KeyPlace { address: address.clone(), via: None, is_on_the_way: false });
    places
}

/// Reads `[user@]host[:port]` or `ssh://…`, as `ProxyJump` has it.
fn hop(word: &str) -> Option<Address> {
    let word = word.trim().trim_start_matches("ssh://").trim_end_matches('/');
    let (user, rest) = match word.rsplit_once('@') {
        Some((user, rest)) => (Some(user.to_owned()), rest),
        None => (None, word),
    };
    let bracketed = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match bracketed {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match rest.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') => (host, Some(port)),
            Some(_) | None => (rest, None),
        },
    };
    let is_option = host.is_empty() || host.starts_with('-');
    let port = port.map(str::parse).transpose().ok()?;
    (!is_option).then(|| Address { user, host: host.to_owned(), port })
}

/// Returns the arguments of the ssh that is shown the key.
fn arguments(place: &KeyPlace, config: Option<&Path>) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["-N".into(), "-T".into()];
    for setting in OFFER_NOTHING.into_iter().chain([SAY_KEY]) {
        words.extend(["-o".into(), setting.into()]);
    }
    if let Some(via) = &place.via {
        words.extend(["-o".into(), format!("ProxyJump={via}").into()]);
    }
    words.extend(destination(&place.address, config));
    words
}

/// Asks one ssh server.
async fn ask(host: &Host, place: &KeyPlace, config: Option<&Path>) -> Result<HostKey, RemoteError> {
    let name = &host.name;
    let here = |cause: String| RemoteError::new(name, Trouble::Here, &cause);
    // Whoever is on the way may ask something; nobody is there to answer.
    let ssh = Program::new("ssh", arguments(place, config)).limit(LIMIT);
    let ssh = ssh.env("SSH_ASKPASS", "false").env("SSH_ASKPASS_REQUIRE", "force");
    let said = ssh.run().await.map_err(|error| here(error.to_string()))?.stderr;
    let Some((kind, key, fingerprint)) = shown(&said) else {
        let at = format!("{}: ", place.address);
        let error = RemoteError::from_ssh(name, &said);
        return Err(RemoteError { cause: format!("{at}{}", error.cause), ..error });
    };
    let route = SshRoute::ask(&place.address, config).await;
    let known = known::for_name(&route, &route.known_name()).await;
    let same_as = known::same_key(&route, &key, &route.known_name());
    let Some(file) = route.own_files().first().cloned() else {
        return Err(here("ssh's configuration names no UserKnownHostsFile".to_owned()));
    };
    Ok(HostKey {
        host: name.clone(),
        place: place.address.to_string(),
        is_on_the_way: place.is_on_the_way,
        name: route.known_name(),
        state: state(&said),
        kind,
        key,
        fingerprint,
        known,
        same_as,
        file,
        hashed: route.hashes,
    })
}

/// Finds the key that ssh was shown: kind, key and fingerprint.
fn shown(said: &str) -> Option<(String, String, String)> {
    let lines = said.lines().rev();
    let mut words = lines.filter_map(|line| line.trim().strip_prefix("nixdash-host-key HOSTNAME "));
    let mut words = words.next()?.split_whitespace().map(str::to_owned);
    let (kind, key, fingerprint) = (words.next()?, words.next()?, words.next()?);
    let plain =
        |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "+/=:-@.".contains(c));
    let all_plain = [&kind, &key, &fingerprint].into_iter().all(|text| plain(text));
    (all_plain && fingerprint.starts_with("SHA256:")).then_some((kind, key, fingerprint))
}

/// Returns what ssh made of the key.
fn state(said: &str) -> HostKeyState {
    if said.contains("marked as revoked") || said.contains("REVOKED HOST KEY") {
        HostKeyState::Revoked
    } else if said.contains("IDENTIFICATION HAS CHANGED") {
        HostKeyState::Changed
    } else if said.contains("host key is known for") {
        HostKeyState::Unknown
    } else if said.contains("Host key verification failed") {
        HostKeyState::Changed
    } else {
        HostKeyState::Known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        hop(text).unwrap()
    }

    #[test]
    fn machines_on_the_way_are_asked_first_each_through_those_before_it() {
        let way = places(&address("razer"), Some("me@a:2222,b"));
        let told: Vec<_> = way
            .iter()
            .map(|place| (place.address.to_string(), place.via.clone(), place.is_on_the_way))
            .collect();
        assert_eq!(
            told,
            [
                ("me@a:2222".to_owned(), None, true),
                ("b".to_owned(), Some("me@a:2222".to_owned()), true),
                ("razer".to_owned(), None, false),
            ]
        );
        assert_eq!(hop("[fd00::1]:22").unwrap().to_string(), "[fd00::1]:22");
        assert_eq!(hop("ssh://me@b/").unwrap().to_string(), "me@b");
        assert!(hop("-oProxyCommand=x").is_none() && hop("b:x").is_none());
    }

    #[test]
    fn nothing_is_offered_and_no_key_is_taken_unseen() {
        let place = KeyPlace { address: address("razer"), via: None, is_on_the_way: false };
        let words = arguments(&place, None);
        let has = |word: &str| words.iter().any(|known| known == word);
        assert!(has("PubkeyAuthentication=no") && has("IdentityAgent=none"));
        assert!(has("StrictHostKeyChecking=yes") && !has("StrictHostKeyChecking=no"));
    }

    #[test]
    fn the_key_and_what_ssh_makes_of_it_are_read() {
        let said = "nixdash-host-key ORDER NONE NONE NONE\n\
                    nixdash-host-key HOSTNAME ssh-ed25519 AAAA SHA256:x\n\
                    No ED25519 host key is known for razer and you have requested strict checking.\n\
                    Host key verification failed.";
        assert_eq!(shown(said).unwrap().2, "SHA256:x");
        assert_eq!(state(said), HostKeyState::Unknown);
        assert_eq!(
            state("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @"),
            HostKeyState::Changed
        );
        assert_eq!(state("me@razer: Permission denied (publickey)."), HostKeyState::Known);
        assert_eq!(shown("nixdash-host-key HOSTNAME a b;c SHA256:x"), None, "no key is so written");
    }
}
