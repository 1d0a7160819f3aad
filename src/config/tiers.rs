//! `[[tiers]]`: the binary caches, in the order that is meant.

use crate::config::error::Report;
use crate::config::secret::{self, Paths, Sources};
use crate::config::section::{At, Section};
use crate::config::value;
use crate::fleet::{Access, PublicKey, Seaweed, Tier, TierKind};
use crate::nix::s3_url::S3Url;
use crate::nix::signature::{KeyError, parse_public_key};

/// Keys of every kind.
const COMMON: &[&str] = &["name", "kind", "url", "public_key", "host", "max_size", "every"];

/// Further keys of kinds that are asked over HTTP.
const WEB: &[&str] =
    &["netrc", "token", "user", "password", "ca_file", "proxy", "via", "max_requests_per_month"];

/// Further keys of one kind.
fn own_keys(kind: TierKind) -> &'static [&'static str] {
    match kind {
        TierKind::Harmonia
        | TierKind::Http
        | TierKind::Cachix
        | TierKind::Attic
        | TierKind::Ncps
        | TierKind::Local => &[],
        TierKind::NixServe => &["unit"],
        TierKind::S3 => &["access_key", "secret_key"],
        TierKind::Seaweedfs => &[
            "access_key",
            "secret_key",
            "masters",
            "s3",
            "metrics",
            "replication",
            "volume_servers",
        ],
        TierKind::GithubActions => &["repo"],
    }
}

/// A tier with the places that later checks point at.
pub(super) struct PlacedTier {
    pub(super) tier: Tier,
    pub(super) name_at: usize,
    pub(super) host_at: usize,
    pub(super) via_at: usize,
}

/// Reads one entry of `[[tiers]]`; reports what is wrong and returns nothing then.
pub(super) fn read(
    report: &mut Report<'_>,
    section: &Section<'_>,
    paths: Paths<'_>,
) -> Option<PlacedTier> {
    let name = section.parsed(report, "name", value::name);
    if section.key("name").is_none() {
        report.error(
            section.at(),
            format!("{} has no name", section.name()),
            "add name = \"…\"; it is what screens and runs call it",
        );
    }
    let words: Vec<(&str, TierKind)> = TierKind::ALL.map(|kind| (kind.word(), kind)).to_vec();
    let kind = section.word(report, "kind", &words);
    if section.key("kind").is_none() {
        let known: Vec<&str> = TierKind::ALL.iter().map(|kind| kind.word()).collect();
        report.error(
            section.at(),
            format!("{} has no kind", section.name()),
            format!("add kind = \"…\", one of: {}", known.join(", ")),
        );
    }
    let Some(At { value: kind, .. }) = kind else {
        // Without a kind only keys that no kind has are certain to be wrong.
        let every: Vec<&str> = TierKind::ALL
            .iter()
            .flat_map(|kind| own_keys(*kind))
            .chain(COMMON)
            .chain(WEB)
            .copied()
            .collect();
        section.check_keys(report, &every);
        return None;
    };
    check_keys(report, section, kind);
    let repo = if kind == TierKind::GithubActions { repository(report, section) } else { None };
    let url = url(report, section, kind, repo.as_deref());
    let unit = section.parsed(report, "unit", value::unit).map(|unit| unit.value);
    let public_key = public_key(report, section);
    let host = section.text(report, "host");
    let via = section.text(report, "via");
    let max_size = section.parsed(report, "max_size", value::size).map(|size| size.value);
    let every = section.parsed(report, "every", value::interval).map(|every| every.value);
    let max_requests_per_month = section
        .integer(report, "max_requests_per_month", 1..=1_000_000_000)
        .and_then(|count| u64::try_from(count).ok());
    let access = access(report, section, paths);
    let seaweed = seaweed(report, section, kind);
    let name = name?;
    Some(PlacedTier {
        tier: Tier {
            public_key,
            host: host.map(|host| host.value.to_owned()),
            via: via.map(|via| via.value.to_owned()),
            max_size,
            every,
            max_requests_per_month,
            access,
            seaweed,
            repo,
            unit,
            ..Tier::new(&name.value, kind, &url?)
        },
        name_at: name.at,
        host_at: host.map_or(section.at(), |host| host.at),
        via_at: via.map_or(section.at(), |via| via.at),
    })
}

/// Reports keys that no tier, or not this kind of tier, has.
fn check_keys(report: &mut Report<'_>, section: &Section<'_>, kind: TierKind) {
    let mut known: Vec<&str> = COMMON.to_vec();
    known.extend(own_keys(kind));
    if kind != TierKind::Local {
        known.extend(WEB);
    }
    let mut foreign = Vec::new();
    for (key, _) in section.entries() {
        let word = key.value;
        let owner = TierKind::ALL
            .iter()
            .find(|other| own_keys(**other).contains(&word))
            .copied()
            .or(if WEB.contains(&word) { Some(TierKind::Http) } else { None });
        if let Some(owner) = owner
            && !known.contains(&word)
        {
            report.error(
                key.at,
                format!("a tier of kind {kind} has no key `{word}`"),
                format!("it belongs to kind {owner}"),
            );
            foreign.push(word);
        }
    }
    known.extend(foreign);
    section.check_keys(report, &known);
}

/// Where the interface of GitHub is, but for one of one's own.
const GITHUB: &str = "https://api.github.com";

/// Reads the address that hosts name as substituter, as the kind writes it.
///
/// Of the caches of GitHub Actions, which no host names, it is the repository's address in GitHub's
/// interface: `url` is where that begins (`https://HOST/api/v3` of a GitHub of one's own).
fn url(
    report: &mut Report<'_>,
    section: &Section<'_>,
    kind: TierKind,
    repo: Option<&str>,
) -> Option<String> {
    let web: &[&str] = &["http://", "https://"];
    let (key, schemes, example) = match kind {
        TierKind::NixServe | TierKind::Harmonia => ("url", web, "http://p620.lan:5000"),
        TierKind::Http => ("url", web, "https://cache.nixos.org"),
        TierKind::Cachix => ("url", web, "https://NAME.cachix.org"),
        TierKind::Attic => ("url", web, "https://attic.example/CACHE"),
        TierKind::Ncps => ("url", web, "http://ncps.lan:8501"),
        TierKind::S3 => ("url", &["s3://"][..], "s3://nix-cache?endpoint=https://…&region=…"),
        TierKind::Seaweedfs => ("s3", web, "http://10.0.0.5:8333/nix-cache"),
        // It has no address that a host would name.
        TierKind::Local => return Some(String::new()),
        TierKind::GithubActions => {
            let begin = match section.key("url") {
                Some(_) => section.parsed(report, "url", |text| value::url(text, web))?.value,
                None => GITHUB.to_owned(),
            };
            return repo.map(|repo| format!("{begin}/repos/{repo}"));
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
    let url = section.parsed(report, key, |text| {
        let url = value::url(text, schemes)?;
        if kind == TierKind::S3 { S3Url::parse(&url).map(|_| url) } else { Ok(url) }
    });
    url.map(|url| url.value)
}

/// Reads `repo`, written `owner/name`.
fn repository(report: &mut Report<'_>, section: &Section<'_>) -> Option<String> {
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
            Err((format!("{text:?} is no repository"), "write owner/name".to_owned()))
        }
    });
    repo.map(|repo| repo.value)
}

/// Reads the key that the tier signs with.
fn public_key(report: &mut Report<'_>, section: &Section<'_>) -> Option<PublicKey> {
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
fn access(report: &mut Report<'_>, section: &Section<'_>, paths: Paths<'_>) -> Access {
    let mut any = |key| secret::read(report, section, key, Sources::Any, paths);
    let (access_key, secret_key) = (any("access_key"), any("secret_key"));
    let (token, password) = (any("token"), any("password"));
    pair(report, section, "access_key", "secret_key");
    let netrc = secret::read(report, section, "netrc", Sources::File, paths);
    let user = section.text(report, "user").map(|user| user.value.to_owned());
    let ca_file =
        section.parsed(report, "ca_file", |text| value::path(text, paths.home, paths.folder));
    let proxy = section.parsed(report, "proxy", |text| {
        value::url(text, &["http://", "https://", "socks5://", "socks5h://"])
    });
    Access {
        token,
        user,
        password,
        netrc,
        access_key,
        secret_key,
        ca_file: ca_file.map(|path| path.value),
        proxy: proxy.map(|proxy| proxy.value),
    }
}

/// Reports one of two keys without the other.
fn pair(report: &mut Report<'_>, section: &Section<'_>, one: &str, other: &str) {
    let (here, missing) = match (section.key(one), section.key(other)) {
        (Some(at), None) => ((one, at), other),
        (None, Some(at)) => ((other, at), one),
        (Some(_), Some(_)) | (None, None) => return,
    };
    let message = format!("{} has `{}` but no `{missing}`", section.name(), here.0);
    report.error(here.1, message, "the two go together");
}

/// Reads the cluster of a tier of kind seaweedfs.
fn seaweed(report: &mut Report<'_>, section: &Section<'_>, kind: TierKind) -> Seaweed {
    const WEB_SCHEMES: &[&str] = &["http://", "https://"];
    let mut seaweed = Seaweed::default();
    if kind != TierKind::Seaweedfs {
        return seaweed;
    }
    let masters = section.texts(report, "masters");
    let none = match &masters {
        Some(masters) => masters.is_empty(),
        // One of another type was reported.
        None => section.key("masters").is_none(),
    };
    if none {
        report.error(
            section.key("masters").unwrap_or(section.at()),
            format!("{} has no masters", section.name()),
            "add masters = [\"http://10.0.0.5:9333\"], every one of them",
        );
    }
    for master in masters.unwrap_or_default() {
        match value::url(master.value, WEB_SCHEMES) {
            Ok(url) => seaweed.masters.push(url),
            Err((message, hint)) => {
                let message = format!("`masters` in {}: {message}", section.name());
                report.error(master.at, message, hint);
            }
        }
    }
    // A mistake in `s3` was reported where the tier's address was read.
    let s3 = section.raw("s3").and_then(|value| value.get_ref().as_str());
    seaweed.s3 = s3.and_then(|text| value::url(text, WEB_SCHEMES).ok());
    let metrics = section.parsed(report, "metrics", |text| value::url(text, WEB_SCHEMES));
    seaweed.metrics = metrics.map(|metrics| metrics.value);
    let replication = section.parsed(report, "replication", |text| {
        if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(text.to_owned())
        } else {
            Err((format!("{text:?} is no replication"), "three digits, such as \"001\"".to_owned()))
        }
    });
    seaweed.replication = replication.map(|replication| replication.value);
    seaweed.volume_servers = section
        .integer(report, "volume_servers", 1..=10_000)
        .and_then(|count| usize::try_from(count).ok());
    seaweed
}
