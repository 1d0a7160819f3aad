//! Makes tiers of what hosts say of their caches: the kind from the address and from what runs
//! there, the key by its name.
//!
//! Pure. What cannot be told for sure is a sentence of the tier, or of the whole proposal.

use crate::config;
use crate::fleet::{KindName, PublicKey};
use crate::nix::s3_url::S3Url;
use crate::nix::settings::bare_url;
use crate::nix::substituter::{StoreKind, Substituter};
use crate::probe::HostCaches;
use reqwest::Url;
use serde::Serialize;

/// The port of nix-serve and harmonia, where nobody chose another one.
const STORE_PORT: u16 = 5000;

/// Parameters of a bucket's address that say where it is; others say how a host uses it.
const OF_A_BUCKET: [&str; 4] = ["endpoint", "region", "scheme", "addressing-style"];

/// A host of the fleet with what it said; nothing where it did not answer.
pub(super) struct AskedHost<'a> {
    pub(super) name: &'a str,
    /// Names and addresses by which others may call it.
    pub(super) places: Vec<&'a str>,
    pub(super) said: Option<&'a HostCaches>,
}

/// A tier that is proposed.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct ProposedTier {
    pub(super) name: String,
    /// Its kind, as `hosts.toml` writes it.
    pub(super) kind: &'static str,
    pub(super) url: String,
    pub(super) public_key: Option<String>,
    /// The host whose store it serves.
    pub(super) host: Option<String>,
    /// What a person should know of it, in whole sentences.
    pub(super) notes: Vec<String>,
}

/// Returns the tiers that hosts ask, in their order, and sentences on what is none.
pub(super) fn tiers(hosts: &[AskedHost<'_>]) -> (Vec<ProposedTier>, Vec<String>) {
    let keys = keys(hosts);
    let mut notes = Vec::new();
    let mut tiers: Vec<ProposedTier> = Vec::new();
    for text in merged(hosts) {
        match tier(&text, hosts) {
            Ok(mut tier) => {
                let named = keys.iter().find(|key| is_key_of(key, &tier));
                tier.public_key = named.map(|key| key.text.clone());
                tiers.push(tier);
            }
            Err(None) => {}
            Err(Some(note)) => notes.push(note),
        }
    }
    give_last_key(&mut tiers, &keys);
    for at in 0..tiers.len() {
        let taken: Vec<String> = tiers[..at].iter().map(|tier| tier.name.clone()).collect();
        tiers[at].name = free_name(&tiers[at].name, &taken);
        if tiers[at].public_key.is_none() {
            tiers[at].notes.push(
                "No trusted key has a name that fits, so what this cache serves is not verified. Write \
                 its key as public_key = \"NAME:…\"."
                    .to_owned(),
            );
        }
    }
    (tiers, notes)
}

/// Returns the caches of all hosts, each once: one that only some hosts ask comes right behind the
/// one that they ask before it.
fn merged(hosts: &[AskedHost<'_>]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for caches in hosts.iter().filter_map(|host| host.said).map(|said| &said.caches) {
        let mut next = 0;
        for cache in caches {
            let known = all.iter().position(|known| bare_url(known) == bare_url(cache));
            let at = known.unwrap_or_else(|| {
                all.insert(next, cache.clone());
                next
            });
            next = at + 1;
        }
    }
    all
}

/// Returns the keys that hosts trust, each once.
fn keys(hosts: &[AskedHost<'_>]) -> Vec<PublicKey> {
    let mut keys: Vec<PublicKey> = Vec::new();
    for key in hosts.iter().filter_map(|host| host.said).flat_map(|said| &said.keys) {
        if !keys.iter().any(|known| known.text == key.text) {
            keys.push(key.clone());
        }
    }
    keys
}

/// Makes a tier without a key of a cache as settings name it; else a sentence that says why it is
/// none, or nothing of a machine's own store.
fn tier(text: &str, hosts: &[AskedHost<'_>]) -> Result<ProposedTier, Option<String>> {
    let plain = |name: &str, kind: KindName, url: &str| ProposedTier {
        name: name.to_owned(),
        kind: kind.word(),
        url: url.to_owned(),
        public_key: None,
        host: None,
        notes: Vec::new(),
    };
    match Substituter::parse(text).kind {
        StoreKind::Local => Err(None),
        StoreKind::S3 => {
            let url = bucket_url(text);
            let bucket = S3Url::parse(&url).map_err(|(why, _)| {
                Some(format!("The cache {url} is left out, because nixdash cannot ask it: {why}."))
            })?;
            Ok(plain(&bucket.bucket, KindName::S3, &url))
        }
        StoreKind::Http => http(text, hosts, plain),
        StoreKind::Folder | StoreKind::Ssh | StoreKind::Unknown => Err(Some(format!(
            "The cache {} is left out, because nixdash has no kind of tier for such an address.",
            bare_url(text)
        ))),
    }
}

/// Makes a tier of a cache over HTTP.
fn http(
    text: &str,
    hosts: &[AskedHost<'_>],
    plain: impl Fn(&str, KindName, &str) -> ProposedTier,
) -> Result<ProposedTier, Option<String>> {
    let url = bare_url(text);
    let parsed = Url::parse(url).ok();
    let Some((parsed, place)) = parsed.as_ref().and_then(|url| Some((url, url.host_str()?))) else {
        return Err(Some(format!("The cache {url} is left out, because it is not an address.")));
    };
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(Some(format!(
            "A cache at {place} is left out, because its address has a login in it. Add it by hand, \
             with user = \"…\" and password = {{ file = \"…\" }}."
        )));
    }
    if is_loopback(place) {
        return Err(Some(format!(
            "The cache {url} is left out, because this address means another machine on each host."
        )));
    }
    if let Some(name) = place.strip_suffix(".cachix.org") {
        return Ok(plain(name, KindName::Cachix, url));
    }
    let label = place.split('.').next().unwrap_or(place);
    let is_called = |host: &&AskedHost<'_>| host.name == label || host.places.contains(&place);
    let of_fleet = hosts.iter().find(is_called).filter(|_| parsed.port() == Some(STORE_PORT));
    let Some(host) = of_fleet else { return Ok(plain(place, KindName::Http, url)) };
    let servers = host.said.map(|said| said.servers.as_slice()).unwrap_or_default();
    let kind = match servers {
        [server] if server == KindName::Harmonia.word() => KindName::Harmonia,
        _ => KindName::NixServe,
    };
    let mut tier = plain(host.name, kind, url);
    tier.host = Some(host.name.to_owned());
    if servers.len() != 1 {
        tier.notes.push(format!(
            "It is not known whether nix-serve or harmonia serves the store of {}. If it is harmonia, \
             write kind = \"harmonia\".",
            host.name
        ));
    }
    Ok(tier)
}

/// Returns whether an address means the machine that uses it.
fn is_loopback(place: &str) -> bool {
    let address = place.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    place == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Returns the address of a bucket without what says how a host uses it.
fn bucket_url(text: &str) -> String {
    let (address, query) = text.split_once('?').unwrap_or((text, ""));
    let is_kept =
        |pair: &&str| OF_A_BUCKET.contains(&pair.split_once('=').map_or(*pair, |(key, _)| key));
    let kept: Vec<&str> = query.split('&').filter(is_kept).collect();
    if kept.is_empty() { address.to_owned() } else { format!("{address}?{}", kept.join("&")) }
}

/// Returns the name of a key without the number that makes room for a next one.
fn stem(key: &PublicKey) -> &str {
    match key.name.rsplit_once('-') {
        Some((stem, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => stem,
        Some(_) | None => &key.name,
    }
}

/// Returns whether the name of a key is that of a tier, of its machine, or of its host.
fn is_key_of(key: &PublicKey, tier: &ProposedTier) -> bool {
    let stem = stem(key);
    let place = Url::parse(&tier.url).ok();
    let place = place.as_ref().and_then(Url::host_str).unwrap_or_default();
    let label = stem.split('.').next();
    stem == tier.name || stem == place || (tier.host.is_some() && label == tier.host.as_deref())
}

/// Gives the only key that is left to the only tier that has none, and says so.
fn give_last_key(tiers: &mut [ProposedTier], keys: &[PublicKey]) {
    let is_free =
        |key: &&PublicKey| !tiers.iter().any(|tier| tier.public_key.as_deref() == Some(&key.text));
    let free: Vec<&PublicKey> = keys.iter().filter(is_free).collect();
    let mut without = tiers.iter_mut().filter(|tier| tier.public_key.is_none());
    if let (&[key], Some(tier), None) = (&free[..], without.next(), without.next()) {
        tier.public_key = Some(key.text.clone());
        tier.notes.push(format!(
            "The key {} is taken for this cache because no other cache has it. `nixdash status` says \
             whether the cache signs with it.",
            key.name
        ));
        if tier.host.is_none() && config::mistake_in_name(stem(key)).is_none() {
            tier.name = stem(key).to_owned();
        }
    }
}

/// Returns a name that a tier may have and that none before it has.
pub(super) fn free_name(wish: &str, taken: &[String]) -> String {
    let wish = if config::mistake_in_name(wish).is_none() { wish } else { "cache" };
    let numbered = (2..).map(|number| format!("{wish}-{number}"));
    let mut names = std::iter::once(wish.to_owned()).chain(numbered);
    names.find(|name| !taken.contains(name)).unwrap_or_else(|| wish.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nix::signature::parse_public_key;

    const BYTES: &str = "MOYk7cam7pmSQgkAgHCqQVzYsjyi9d862m06xgAkwBk=";

    fn said(caches: &[&str], keys: &[&str], servers: &[&str]) -> HostCaches {
        let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let key = |name: &&str| parse_public_key(&format!("{name}:{BYTES}")).unwrap();
        HostCaches {
            caches: owned(caches),
            keys: keys.iter().map(key).collect(),
            servers: owned(servers),
            ..HostCaches::default()
        }
    }

    fn fleet<'a>(p620: &'a HostCaches, razer: &'a HostCaches) -> [AskedHost<'a>; 2] {
        [
            AskedHost { name: "p620", places: vec!["10.0.0.2"], said: Some(p620) },
            AskedHost { name: "razer", places: Vec::new(), said: Some(razer) },
        ]
    }

    #[test]
    fn caches_become_tiers_in_the_order_in_which_hosts_ask_them() {
        let p620 = said(&["http://10.0.0.40"], &["static-1"], &["nix-serve"]);
        let caches = [
            "http://10.0.0.40",
            "http://10.0.0.2:5000?priority=10",
            "https://nix-community.cachix.org",
            "s3://store?endpoint=https://s3.lan&region=eu&priority=5&want-mass-query=1",
            "https://cache.nixos.org/",
        ];
        let keys =
            ["p620.lan-1", "static-1", "nix-community.cachix.org-1", "cache.nixos.org-1", "store"];
        let razer = said(&caches, &keys, &[]);
        let (tiers, notes) = tiers(&fleet(&p620, &razer));
        let shown: Vec<String> = tiers
            .iter()
            .map(|tier| {
                let key = tier.public_key.as_deref().and_then(|key| key.split(':').next());
                let (host, key) = (tier.host.as_deref().unwrap_or("-"), key.unwrap_or("-"));
                format!("{} {} {} {host} {key}", tier.name, tier.kind, tier.url)
            })
            .collect();
        assert_eq!(
            shown,
            [
                "static http http://10.0.0.40 - static-1",
                "p620 nix-serve http://10.0.0.2:5000 p620 p620.lan-1",
                "nix-community cachix https://nix-community.cachix.org - nix-community.cachix.org-1",
                "store s3 s3://store?endpoint=https://s3.lan&region=eu - store",
                "cache.nixos.org http https://cache.nixos.org - cache.nixos.org-1",
            ]
        );
        assert!(tiers[0].notes[0].starts_with("The key static-1 is taken for this cache because"));
        assert!(tiers[1..].iter().all(|tier| tier.notes.is_empty()) && notes.is_empty());
    }

    #[test]
    fn what_cannot_be_told_is_said() {
        let p620 = said(&[], &[], &["nix-serve", "harmonia"]);
        let razer = said(&["http://p620.lan:5000", "http://a.lan", "http://b.lan"], &["x-1"], &[]);
        let (tiers, _) = tiers(&fleet(&p620, &razer));
        assert!(tiers[0].notes[0].starts_with("It is not known whether nix-serve or harmonia"));
        assert!(tiers.iter().all(|tier| tier.public_key.is_none()), "one key and three caches");
        assert!(tiers[2].notes[0].starts_with("No trusted key has a name that fits"));
    }

    #[test]
    fn harmonia_is_what_runs_there() {
        let p620 = said(&[], &[], &["harmonia"]);
        let razer = said(&["http://p620:5000"], &["p620-1"], &[]);
        let (tiers, _) = tiers(&fleet(&p620, &razer));
        assert_eq!((tiers[0].kind, tiers[0].host.as_deref()), ("harmonia", Some("p620")));
    }

    #[test]
    fn what_is_no_tier_is_left_out_and_no_login_is_shown() {
        let caches = [
            "daemon",
            "http://127.0.0.1:8080",
            "https://me:hunter2@x.lan",
            "ssh-ng://nas",
            "s3://",
        ];
        let (p620, razer) = (said(&[], &[], &[]), said(&caches, &[], &[]));
        let (tiers, notes) = tiers(&fleet(&p620, &razer));
        assert!(tiers.is_empty(), "{tiers:?}");
        assert_eq!(notes.len(), 4, "a machine's own store needs no word: {notes:?}");
        assert!(!notes.join("").contains("hunter2"), "{notes:?}");
    }

    #[test]
    fn two_tiers_have_two_names() {
        let caches = ["http://a.lan", "http://a.lan:8080"];
        let (p620, razer) = (said(&[], &[], &[]), said(&caches, &[], &[]));
        let (tiers, _) = tiers(&fleet(&p620, &razer));
        assert_eq!((tiers[0].name.as_str(), tiers[1].name.as_str()), ("a.lan", "a.lan-2"));
    }
}
