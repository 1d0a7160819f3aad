//! Which keys a tier of which kind has: a key that its kind never reads is a mistake.

use crate::config::error::MistakeReport;
use crate::config::keys::KeyTable;
use crate::config::section::Section;
use crate::fleet::KindName;

/// Returns whether a tier of a kind has a key of a tier.
pub(super) fn has(kind: KindName, key: &str) -> bool {
    let is_seaweed = kind == KindName::Seaweedfs;
    let is_bucket = kind == KindName::S3;
    let is_github = kind == KindName::GithubActions;
    match key {
        "url" => !matches!(kind, KindName::Local | KindName::Seaweedfs),
        // Of one that no host asks there is nothing to sign, to serve, or to see from a host.
        "public_key" | "host" | "via" => kind.is_substituter(),
        "max_requests_per_month" | "ca_file" | "proxy" => kind != KindName::Local,
        "token" => kind != KindName::Local && !is_bucket,
        "user" | "password" | "netrc" => kind.is_substituter() && !is_bucket,
        "access_key" | "secret_key" => is_bucket || is_seaweed,
        "api" => matches!(kind, KindName::Cachix | KindName::Niks3),
        "repo" => is_github,
        "unit" => kind == KindName::NixServe,
        "masters" | "s3" | "metrics" | "replication" | "volume_servers" => is_seaweed,
        _ => true,
    }
}

/// Reports keys that no tier, or not this kind of tier, has; returns the latter, which need no
/// further look. Without a kind only keys that no kind has are certain to be wrong.
pub(super) fn check(
    report: &mut MistakeReport<'_>,
    section: &Section<'_>,
    kind: Option<KindName>,
) -> Vec<String> {
    let known = KeyTable::Tiers.names();
    section.check_keys(report, &known);
    let Some(kind) = kind else { return Vec::new() };
    let entries = section.entries().into_iter().map(|(key, _)| key);
    let foreign = entries.filter(|key| known.contains(&key.value) && !has(kind, key.value));
    foreign
        .map(|key| {
            let message =
                format!("{} is of kind {kind}, which has no key `{}`", section.name(), key.value);
            report.error(key.at, message, advice(kind, key.value));
            key.value.to_owned()
        })
        .collect()
}

/// Returns what to do about a key that a kind does not have.
fn advice(kind: KindName, key: &str) -> String {
    match (kind, key) {
        (KindName::S3, "token" | "user" | "password" | "netrc") => {
            return "remove it; access_key and secret_key sign what is asked of a bucket"
                .to_owned();
        }
        (KindName::GithubActions, "user" | "password" | "netrc") => {
            return "remove it; GitHub takes a token = { env = \"…\" }".to_owned();
        }
        (KindName::Seaweedfs, "url") => return "its address is `s3`".to_owned(),
        _ => {}
    }
    let (having, lacking): (Vec<KindName>, Vec<KindName>) =
        KindName::ALL.iter().partition(|kind| has(**kind, key));
    let words = |kinds: &[KindName]| {
        let words: Vec<&str> = kinds.iter().map(|kind| kind.word()).collect();
        words.join(" and ")
    };
    if having.len() <= lacking.len() {
        let kinds = if having.len() == 1 { "kind" } else { "kinds" };
        format!("remove it; it is for {kinds} {} only", words(&having))
    } else {
        format!("remove it; it is for every kind but {}", words(&lacking))
    }
}

/// Reports a way to log in that is never used, since another comes before it, in the order in
/// which [`crate::probe`] looks for them; and one half of a pair.
pub(super) fn check_logins(report: &mut MistakeReport<'_>, section: &Section<'_>) {
    const WAYS: [&[&str]; 4] =
        [&["access_key", "secret_key"], &["token"], &["user", "password"], &["netrc"]];
    for way in WAYS {
        let [one, other] = way else { continue };
        let (here, at, missing) = match (section.key(one), section.key(other)) {
            (Some(at), None) => (one, at, other),
            (None, Some(at)) => (other, at, one),
            (Some(_), Some(_)) | (None, None) => continue,
        };
        let message = format!("{} has `{here}` but no `{missing}`", section.name());
        report.error(at, message, "the two go together");
    }
    let given =
        |way: &&[&'static str]| way.iter().find_map(|key| section.key(key).map(|at| (*key, at)));
    let mut given = WAYS.iter().filter_map(given);
    let Some((used, _)) = given.next() else { return };
    for (key, at) in given {
        report.error(
            at,
            format!("{} has `{used}`, so its `{key}` is never used", section.name()),
            "remove one of the two",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_belongs_to_a_kind_and_no_advice_names_none() {
        for key in KeyTable::Tiers.names() {
            assert!(KindName::ALL.iter().any(|kind| has(*kind, key)), "{key}");
        }
        assert_eq!(advice(KindName::Http, "unit"), "remove it; it is for kind nix-serve only");
        assert_eq!(
            advice(KindName::Http, "access_key"),
            "remove it; it is for kinds s3 and seaweedfs only"
        );
        assert_eq!(
            advice(KindName::Local, "via"),
            "remove it; it is for every kind but local and github-actions"
        );
    }
}
