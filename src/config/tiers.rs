//! `[[tiers]]`: the binary caches, in the order that is meant.

use crate::config::error::MistakeReport;
use crate::config::hosts::HostNames;
use crate::config::secret::{self, Paths, Sources};
use crate::config::section::Section;
use crate::config::server::{self, RawServer};
use crate::config::{tier_keys, value};
use crate::fleet::{Access, KindName, Login, PublicKey, Seaweed, Tier, TierKind};
use crate::nix::signature::{KeyError, parse_public_key};
use std::collections::HashSet;

/// What the tiers before are: no two are the same.
#[derive(Default)]
pub(super) struct Before {
    names: HashSet<String>,
    /// Each with the title that messages call it by.
    tiers: Vec<(String, Tier)>,
}

/// Reads one entry of `[[tiers]]`; reports all that is wrong and returns nothing when that leaves
/// no tier.
pub(super) fn read(
    report: &mut MistakeReport<'_>,
    section: Section<'_>,
    paths: Paths<'_>,
    hosts: &HostNames<'_>,
    before: &mut Before,
) -> Option<Tier> {
    let section = section.requiring(&["name", "kind"]);
    let name = name(report, &section, before);
    let kind = kind(report, &section);
    let foreign = tier_keys::check(report, &section, kind);
    let section = section.without(foreign).requiring(required_keys(kind));
    let is_github = kind == Some(KindName::GithubActions);
    let repo = if is_github { repository(report, &section) } else { None };
    let url = url(report, &section, kind, repo.as_deref());
    let public_key = public_key(report, &section);
    let host = hosts.named(report, &section, "host");
    let via = hosts.named(report, &section, "via");
    let max_size = section.parsed(report, "max_size", value::size).map(|size| size.value);
    let every = section.parsed(report, "every", value::interval).map(|every| every.value);
    let max_requests_per_month = section
        .integer(report, "max_requests_per_month", 1..=1_000_000_000)
        .and_then(|count| u64::try_from(count).ok());
    let mistakes = report.count();
    tier_keys::check_logins(report, &section);
    let access = access(report, &section, paths);
    let is_login_known = report.count() == mistakes;
    let own = own(report, &section, kind, repo);
    let tier = Tier {
        public_key,
        host,
        via,
        max_size,
        every,
        max_requests_per_month,
        access,
        ..Tier::new(name.as_deref().unwrap_or_default(), own?, &url?)
    };
    if is_login_known {
        check_twice(report, &section, &tier, before);
        before.tiers.push((section.name().to_owned(), tier.clone()));
    }
    name.map(|_| tier)
}

/// Returns the keys that a tier of a kind must have.
fn required_keys(kind: Option<KindName>) -> &'static [&'static str] {
    match kind {
        Some(
            KindName::NixServe
            | KindName::Harmonia
            | KindName::Http
            | KindName::Cachix
            | KindName::Attic
            | KindName::Ncps
            | KindName::Niks3
            | KindName::S3,
        ) => &["name", "kind", "url"],
        Some(KindName::Seaweedfs) => &["name", "kind", "s3", "masters"],
        Some(KindName::GithubActions) => &["name", "kind", "repo"],
        Some(KindName::Local) | None => &["name", "kind"],
    }
}

/// Reads the name, which no tier before may have.
fn name(
    report: &mut MistakeReport<'_>,
    section: &Section<'_>,
    before: &mut Before,
) -> Option<String> {
    if section.key("name").is_none() {
        report.error(
            section.at(),
            format!("{} has no name", section.name()),
            "add name = \"…\"; it is what screens and runs call it",
        );
    }
    let name = section.parsed(report, "name", value::name)?;
    if !before.names.insert(name.value.clone()) {
        let message = format!("two tiers are called {:?}", name.value);
        report.error(name.at, message, "give one of them another name");
    }
    Some(name.value)
}

/// Reads the kind.
fn kind(report: &mut MistakeReport<'_>, section: &Section<'_>) -> Option<KindName> {
    if section.key("kind").is_none() {
        let known: Vec<&str> = KindName::ALL.iter().map(|kind| kind.word()).collect();
        report.error(
            section.at(),
            format!("{} has no kind", section.name()),
            format!("add kind = \"…\", one of: {}", known.join(", ")),
        );
    }
    let words: Vec<(&str, KindName)> = KindName::ALL.map(|kind| (kind.word(), kind)).to_vec();
    section.word(report, "kind", &words).map(|kind| kind.value)
}

/// Reports a tier that is one of those before under another name. Asked from another host, or with
/// another login, the same server is another tier: it may answer otherwise.
fn check_twice(
    report: &mut MistakeReport<'_>,
    section: &Section<'_>,
    tier: &Tier,
    before: &Before,
) {
    let address = |tier: &Tier| {
        reqwest::Url::parse(&tier.url).map_or_else(|_| tier.url.clone(), |url| url.to_string())
    };
    let same = before.tiers.iter().find(|(_, other)| {
        address(other) == address(tier) && other.via == tier.via && other.access == tier.access
    });
    let Some((other, _)) = same else { return };
    let value_at = |key| section.raw(key).map(|value| value.span().start);
    let name = section.name();
    if tier.kind == TierKind::Local {
        report.error(
            value_at("kind").unwrap_or(section.at()),
            format!("{name} and {other} are both of kind local"),
            "remove one of them: one stands for the stores of all hosts",
        );
        return;
    }
    let at = ["url", "s3", "repo"].into_iter().find_map(value_at);
    report.error(
        at.unwrap_or(section.at()),
        format!("{name} and {other} have the same address"),
        "remove one of them: a server that is asked in one way is one tier",
    );
}

/// Where the interface of GitHub is, but for one of one's own.
const GITHUB: &str = "https://api.github.com";

/// Reads the address that hosts name as substituter, as the kind writes it.
///
/// Of the caches of GitHub Actions, which no host names, it is the repository's address in GitHub's
/// interface: `url` is where that begins (`https://HOST/api/v3` of a GitHub of one's own).
fn url(
    report: &mut MistakeReport<'_>,
    section: &Section<'_>,
    kind: Option<KindName>,
    repo: Option<&str>,
) -> Option<String> {
    let server = kind.map_or(RawServer::AnyTier, RawServer::Tier);
    let (key, example) = match kind {
        Some(KindName::NixServe | KindName::Harmonia) => ("url", "http://p620.lan:5000"),
        Some(KindName::Http) => ("url", "https://cache.nixos.org"),
        Some(KindName::Cachix) => ("url", "https://NAME.cachix.org"),
        Some(KindName::Attic) => ("url", "https://attic.example/CACHE"),
        Some(KindName::Ncps) => ("url", "http://ncps.lan:8501"),
        Some(KindName::Niks3) => ("url", "https://cache.example"),
        Some(KindName::S3) => ("url", "s3://nix-cache?endpoint=https://…&region=…"),
        Some(KindName::Seaweedfs) => ("s3", "http://10.0.0.5:8333/nix-cache"),
        // It has no address that a host would name.
        Some(KindName::Local) => return Some(String::new()),
        Some(KindName::GithubActions) => {
            let begin = match section.key("url") {
                Some(_) => section.parsed(report, "url", |text| server::url(text, server))?.value,
                None => GITHUB.to_owned(),
            };
            return repo.map(|repo| format!("{begin}/repos/{repo}"));
        }
        // Whether one is missing depends on the kind.
        None => {
            return section
                .parsed(report, "url", |text| server::url(text, server))
                .map(|url| url.value);
        }
    };
    if section.key(key).is_none() {
        report.error(
            section.at(),
            format!("{} has no {key}", section.name()),
            format!("add {key} = \"{example}\""),
        );
        return None;
    }
    section.parsed(report, key, |text| server::url(text, server)).map(|url| url.value)
}

/// Reads `repo`, written `owner/name`.
fn repository(report: &mut MistakeReport<'_>, section: &Section<'_>) -> Option<String> {
    if section.key("repo").is_none() {
        report.error(
            section.at(),
            format!("{} has no repo", section.name()),
            "add repo = \"owner/name\"",
        );
        return None;
    }
    let repo = section.parsed(report, "repo", |text| match text.split_once('/') {
        Some((owner, name)) if value::name(owner).is_ok() && value::name(name).is_ok() => {
            Ok(text.to_owned())
        }
        Some(_) | None => {
            Err((format!("{text:?} is not a repository"), "write owner/name".to_owned()))
        }
    });
    repo.map(|repo| repo.value)
}

/// Reads the key that the tier signs with.
fn public_key(report: &mut MistakeReport<'_>, section: &Section<'_>) -> Option<PublicKey> {
    let key = section.parsed(report, "public_key", |text| {
        parse_public_key(text).map_err(|error| {
            let hint = match &error {
                KeyError::Secret => {
                    "this is the secret key: take it out, and make a new pair if the file was \
                     ever shared"
                }
                KeyError::Placeholder => {
                    "print the real one where the cache runs: `nix key convert-secret-to-public`"
                }
                KeyError::NoName | KeyError::NotBase64 | KeyError::Length(_) => {
                    "a key is name:base64 of 32 bytes, such as \
                     cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="
                }
            };
            (format!("it is not a public key of Nix: {error}"), hint.to_owned())
        })
    });
    key.map(|key| key.value)
}

/// Reads how the tier lets us in: secrets, a private authority, a proxy.
fn access(report: &mut MistakeReport<'_>, section: &Section<'_>, paths: Paths<'_>) -> Access {
    let login = login(report, section, paths);
    let ca_file =
        section.parsed(report, "ca_file", |text| value::path(text, paths.home, paths.folder));
    let proxy = section.parsed(report, "proxy", |text| server::url(text, RawServer::Proxy));
    Access { login, ca_file: ca_file.map(|path| path.value), proxy: proxy.map(|proxy| proxy.value) }
}

/// Reads what the tier is shown: the first of several, of which the others were reported; and
/// nothing where half of a pair is missing, which was reported too.
fn login(report: &mut MistakeReport<'_>, section: &Section<'_>, paths: Paths<'_>) -> Login {
    let mut any = |key| secret::read(report, section, key, Sources::Any, paths);
    let (access_key, secret_key) = (any("access_key"), any("secret_key"));
    let (token, password) = (any("token"), any("password"));
    let netrc = secret::read(report, section, "netrc", Sources::File, paths);
    let user = section.text(report, "user").map(|user| user.value.to_owned());
    match (access_key, secret_key, token, user, password, netrc) {
        (Some(access), Some(secret), ..) => Login::Keys { access, secret },
        (_, _, Some(token), ..) => Login::Token(token),
        (_, _, _, Some(user), Some(password), _) => Login::Password { user, password },
        (.., Some(netrc)) => Login::Netrc(netrc),
        (_, _, None, _, _, None) => Login::Nobody,
    }
}

/// Reads what only tiers of this kind are told; nothing when the kind is missing, or what it needs.
fn own(
    report: &mut MistakeReport<'_>,
    section: &Section<'_>,
    kind: Option<KindName>,
    repo: Option<String>,
) -> Option<TierKind> {
    let unit = section.parsed(report, "unit", value::unit).map(|unit| unit.value);
    let cachix = RawServer::Tier(KindName::Cachix);
    let api = section.parsed(report, "api", |text| server::url(text, cachix)).map(|api| api.value);
    let seaweed = seaweed(report, section, kind);
    Some(match kind? {
        KindName::NixServe => TierKind::NixServe { unit },
        KindName::Cachix => TierKind::Cachix { api },
        KindName::Niks3 => TierKind::Niks3 { api },
        KindName::Seaweedfs => TierKind::Seaweedfs(seaweed),
        KindName::GithubActions => TierKind::GithubActions { repo: repo? },
        plain @ (KindName::Harmonia
        | KindName::Http
        | KindName::S3
        | KindName::Local
        | KindName::Attic
        | KindName::Ncps) => plain.into(),
    })
}

/// Reads the cluster of a tier of kind seaweedfs.
fn seaweed(
    report: &mut MistakeReport<'_>,
    section: &Section<'_>,
    kind: Option<KindName>,
) -> Seaweed {
    let mut seaweed = Seaweed::default();
    if kind.is_some_and(|kind| kind != KindName::Seaweedfs) {
        return seaweed;
    }
    let masters = section.texts(report, "masters");
    let none = match &masters {
        Some(masters) => masters.is_empty(),
        // One of another type was reported.
        None => section.key("masters").is_none(),
    };
    if none && kind.is_some() {
        report.error(
            section.key("masters").unwrap_or(section.at()),
            format!("{} has no masters", section.name()),
            "add masters = [\"http://10.0.0.5:9333\"], every one of them",
        );
    }
    for master in masters.unwrap_or_default() {
        match server::url(master.value, RawServer::Cluster) {
            Ok(url) => seaweed.masters.push(url),
            Err((message, hint)) => {
                let message = format!("`masters` in {}: {message}", section.name());
                report.error(master.at, message, hint);
            }
        }
    }
    let metrics = section.parsed(report, "metrics", |text| server::url(text, RawServer::Cluster));
    seaweed.metrics = metrics.map(|metrics| metrics.value);
    let replication = section.parsed(report, "replication", |text| {
        if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(text.to_owned())
        } else {
            Err((
                format!("{text:?} is not a replication"),
                "three digits, such as \"001\"".to_owned(),
            ))
        }
    });
    seaweed.replication = replication.map(|replication| replication.value);
    seaweed.volume_servers = section
        .integer(report, "volume_servers", 1..=10_000)
        .and_then(|count| usize::try_from(count).ok());
    seaweed
}
