//! What is wrong with a tier of any kind, in words.

use crate::fleet::{Code, Finding, KindName, PublicKey, SizeFacts, Tier, bytes_of, percent};

/// The store directory of every NixOS.
const STORE_DIR: &str = "/nix/store";

/// What to do about a cache that lets nobody in.
const LET_IN: &str = "give hosts (root's netrc) and nixdash a valid token, since hosts skip this \
                      cache, older Nix silently";

/// Says that a tier of a kind that this nixdash does not know is not asked.
pub fn not_probed(tier: &Tier) -> Finding {
    let cause = format!("nixdash does not ask caches of kind {} yet", tier.kind);
    Finding::of_tier(tier, Code::KindNotProbed, &cause, "use a newer nixdash")
}

/// Says that a tier could not be asked, by what was observed and what to do.
pub fn not_asked(tier: &Tier, code: Code, url: &str, cause: &str, fix: &str) -> Finding {
    Finding::of_tier(tier, code, &format!("{url}: {cause}"), fix)
}

/// Says that a tier did not answer within a whole look's time, in seconds.
pub fn silent(tier: &Tier, seconds: u64) -> Finding {
    let cause = format!("{} did not answer within {seconds} s", tier.url);
    let fix = "see whether its server is overloaded or asleep, or the network is bad";
    Finding::of_tier(tier, Code::TierUnreachable, &cause, fix)
}

/// Says that the host that asks for us could not.
pub fn not_asked_from(tier: &Tier, host: &str, why: &str) -> Finding {
    let cause = format!("this cache is asked from {host}, which could not ask it: {why}");
    Finding::of_tier(tier, Code::AskingHostFailed, &cause, "")
}

/// Says that a tier takes long for its first byte, in milliseconds.
pub fn slow(tier: &Tier, latency_ms: f64) -> Finding {
    let seconds = latency_ms / 1000.0;
    let cause = format!("its first byte took {seconds:.1} s");
    Finding::of_tier(tier, Code::TierSlow, &cause, "see what its server is busy with")
}

/// Says that a tier asked to be left alone, where its answer did not say more; `until` is like
/// `left alone until 12:04:31 UTC`.
pub fn left_alone(tier: &Tier, until: &str) -> Finding {
    let cause = format!("{} asked to be left alone, and is {until}", tier.url);
    Finding::of_tier(tier, Code::LeftAlone, &cause, "ask it less often (`every` in hosts.toml)")
}

/// Adds to what a tier answered until when it is left alone now.
pub fn left_alone_too(answered: &Finding, until: &str) -> Finding {
    Finding { cause: format!("{}; it is {until}", answered.cause), ..answered.clone() }
}

/// Says that a server answered with a status for what was asked of it; `said` are its own words.
pub fn answered(
    tier: &Tier,
    code: Code,
    (status, what): (u16, &str),
    said: Option<&str>,
    fix: &str,
) -> Finding {
    let said = said.map(|said| format!(" ({said})")).unwrap_or_default();
    let cause = format!("{} answered {status} for {what}{said}", tier.url);
    Finding::of_tier(tier, code, &cause, fix)
}

/// Says that a cache answered 401 or 403 for what every host asks first.
pub fn denied(tier: &Tier, status: u16) -> Finding {
    Finding::of_tier(tier, Code::AccessDenied, &format!("{} answered {status}", tier.url), LET_IN)
}

/// Says that a cache did not let us read a narinfo.
pub fn narinfo_denied(tier: &Tier, status: u16, name: &str, was_read_before: bool) -> Finding {
    let before = if was_read_before { ", which nixdash could read before" } else { "" };
    let cause = format!("{} answered {status} for the narinfo of {name}{before}", tier.url);
    Finding::of_tier(tier, Code::AccessDenied, &cause, LET_IN)
}

/// Says what a status other than 200, 401 and 403 for `nix-cache-info` means.
pub fn no_cache_info(tier: &Tier, status: u16) -> Finding {
    let cause = |why: &str| format!("{} answered {status}{why}", tier.url);
    let every = "ask it less often (`every` in hosts.toml)";
    match status {
        429 => Finding::of_tier(tier, Code::RateLimited, &cause(": too many requests"), every),
        503 => Finding::of_tier(tier, Code::RateLimited, &cause(": it is overloaded"), every),
        500..=599 => Finding::of_tier(
            tier,
            Code::ServerFailing,
            &cause(" for nix-cache-info"),
            "read its log",
        ),
        404 => Finding::of_tier(
            tier,
            Code::AnswerUnexpected,
            &cause(" for nix-cache-info"),
            "write the address of a cache into hosts.toml (url)",
        ),
        _ => Finding::of_tier(
            tier,
            Code::AnswerUnexpected,
            &cause(" for nix-cache-info"),
            "read its log, and see whether url is right",
        ),
    }
}

/// Says that a tier's certificate is not good at this time, as whoever connected said.
pub fn certificate_not_good(tier: &Tier, url: &str, why: &str) -> Finding {
    let cause = format!("{url}: its TLS certificate is refused: {why}");
    let fix = "renew the certificate, or set the clock of the machine whose time is wrong";
    Finding::of_tier(tier, Code::CertificateExpired, &cause, fix)
}

/// Says how long a tier's certificate is still good for: `left` is a time such as `3 d`, `until` a
/// date.
pub fn certificate_expires(tier: &Tier, left: &str, until: &str) -> Finding {
    let cause = format!("its TLS certificate expires in {left}, on {until}");
    let fix = "see why its renewal failed; after that day hosts refuse to connect";
    let finding = Finding::of_tier(tier, Code::CertificateExpiresSoon, &cause, fix);
    finding.in_short(&format!("certificate expires in {left}"))
}

/// Says that a tier is for another store directory.
pub fn store_dir_wrong(tier: &Tier, dir: &str) -> Finding {
    let cause = format!("{} is for stores in {dir}, not in {STORE_DIR}", tier.url);
    Finding::of_tier(tier, Code::StoreDirWrong, &cause, "fix url in hosts.toml")
}

/// Says that Nix stops at the Priority of a tier.
pub fn priority_unreadable(tier: &Tier, value: &str) -> Finding {
    let cause = format!(
        "the nix-cache-info of {} has the Priority {value:?}, which is not a number: builds of every \
         host that asks this cache stop",
        tier.url
    );
    Finding::of_tier(tier, Code::PriorityUnreadable, &cause, "write a number there, such as 40")
}

/// Says that Nix cannot read what the tier serves as the narinfo of a path; `why` says what it is.
pub fn narinfo_malformed(tier: &Tier, name: &str, why: &str) -> Finding {
    let cause = format!(
        "{} served something for the narinfo of {name} that Nix cannot read: {why}",
        tier.url
    );
    let fix = "fix what writes the narinfos, or see whether a login page or proxy answers instead";
    Finding::of_tier(tier, Code::NarinfoMalformed, &cause, fix)
}

/// Says from which version of Nix on the narinfo of a path is refused, and what it refuses.
pub fn narinfo_too_old(tier: &Tier, name: &str, version: &str, why: &str) -> Finding {
    let cause = format!("Nix {version} and newer refuse the narinfo of {name}: {why}");
    let fix = "publish the path again, before hosts get that version";
    Finding::of_tier(tier, Code::NarinfoTooOld, &cause, fix)
}

/// Says that Nix reads the narinfo of a path, but cannot import the path.
pub fn narinfo_not_imported(tier: &Tier, name: &str, why: &str) -> Finding {
    let cause = format!("Nix cannot import {name} from {}: {why}", tier.url);
    Finding::of_tier(tier, Code::NarinfoNotImported, &cause, "publish the path again")
}

/// Says that a nar is not packed as its narinfo says.
pub fn nar_mislabelled(tier: &Tier, name: &str, label: &str, found: &str) -> Finding {
    let cause = format!(
        "the narinfo of {name} says that its nar is packed with {label}, but it is {found}: Nix \
         from 2.22 on cannot unpack it"
    );
    let fix = "publish the path again, or fix what packs the nars";
    Finding::of_tier(tier, Code::NarMislabelled, &cause, fix)
}

/// Says that a nar, fetched whole, is not what its narinfo describes.
pub fn nar_differs(tier: &Tier, name: &str, why: &str) -> Finding {
    let cause = format!("the nar of {name} is not the one that its narinfo describes: {why}");
    let fix = "remove the narinfo and the nar, publish the path again, look at the disk, and verify \
               the path again (nixdash caches --verify)";
    Finding::of_tier(tier, Code::NarDiffers, &cause, fix)
}

/// Says that the file of a nar is not what its narinfo says, which Nix does not compare.
pub fn file_differs(tier: &Tier, name: &str, why: &str) -> Finding {
    let cause = format!("the file of the nar of {name} {why}; Nix does not compare that");
    Finding::of_tier(tier, Code::FileDiffers, &cause, "publish the path again to fix it")
}

/// Says that an answer makes no sense; `what` is what it should have been.
pub fn nonsense(tier: &Tier, what: &str) -> Finding {
    let cause = format!("{} gave no valid {what}", tier.url);
    let fix = "see whether url is right, or a login page is between";
    Finding::of_tier(tier, Code::AnswerUnexpected, &cause, fix)
}

/// Says that a tier holds nearly as much as it may, when it does.
pub fn nearly_full(tier: &Tier, size: &SizeFacts) -> Option<Finding> {
    let (limit, share) = (size.limit?, size.fullness()?);
    let cause = format!("it holds {} ({})", bytes_of(size.bytes, limit), percent(share));
    let fix = "raise max_size in hosts.toml, or remove what nobody needs";
    let finding = Finding::of_tier(tier, Code::NearlyFull, &cause, fix);
    size.is_nearly_full().then(|| finding.in_short(&format!("{} full", percent(share))))
}

/// Says that a nar is not served whose narinfo is; `what` is what happened when it was asked for.
pub fn nar_missing(tier: &Tier, name: &str, what: &str) -> Finding {
    let cause = format!("there is a narinfo of {name}, but {what}: hosts fail there");
    let fix = "remove the narinfo, or publish the path again";
    Finding::of_tier(tier, Code::NarMissing, &cause, fix)
}

/// Says that a nar could not be asked for now, and why; that says nothing of the nar.
pub fn nar_not_proven(tier: &Tier, why: &str, fix: &str) -> Finding {
    let cause = format!("it is not proven that nars are served: {why}");
    Finding::of_tier(tier, Code::NarNotProven, &cause, fix)
}

/// Says that the server sends those who ask for a nar to where nixdash does not follow.
pub fn nar_redirected(tier: &Tier, why: &str, fix: &str) -> Finding {
    let cause = format!("it is not proven that nars are served: {why}");
    Finding::of_tier(tier, Code::RedirectRefused, &cause, fix)
}

/// Says that a narinfo names a nar where nixdash does not ask; `why` says what it names.
pub fn nar_elsewhere(tier: &Tier, why: &str) -> Finding {
    let cause =
        format!("it is not proven that nars are served: {why}; no signature covers that line");
    Finding::of_tier(tier, Code::NarElsewhere, &cause, "find out who wrote it")
}

/// Says that a server signs with other keys than hosts.toml has.
pub fn key_mismatch(tier: &Tier, theirs: &str, ours: &PublicKey) -> Finding {
    let cause = format!("it signs with {theirs}, hosts.toml has {}", ours.text);
    let fix = "fix public_key in hosts.toml, unless the cache should sign with that one";
    Finding::of_tier(tier, Code::KeyMismatch, &cause, fix)
}

/// Says that a signature does not verify; `taken` says of each host that is known to take or refuse
/// what the tier serves which of both it does.
pub fn signature_invalid(tier: &Tier, proof: &str, taken: &[bool]) -> Finding {
    let (cause, fix) = if taken.contains(&true) {
        // Hosts that were told to trust the key of hosts.toml would trust the wrong one.
        (
            format!("{proof}; hosts accept it by a key that hosts.toml does not name"),
            "fix public_key in hosts.toml, unless the cache should sign with that one",
        )
    } else if taken.is_empty() {
        let fix = "fix public_key in hosts.toml, unless the cache should sign with that one";
        (proof.to_owned(), fix)
    } else {
        let fix = "find out who signed it, and publish the path again";
        (format!("hosts refuse what it serves: {proof}"), fix)
    };
    Finding::of_tier(tier, Code::SignatureInvalid, &format!("{}: {cause}", tier.url), fix)
}

/// Says that what a tier serves is not signed by its key.
pub fn signature_missing(tier: &Tier, proof: &str) -> Finding {
    let fix = "sign it with that key (nix store sign), or fix public_key in hosts.toml";
    Finding::of_tier(tier, Code::SignatureMissing, proof, fix)
}

/// Says that no host trusts a tier's key; so many were asked.
pub fn key_trusted_by_none(tier: &Tier, key: &PublicKey, asked: usize) -> Finding {
    let cause = format!(
        "no host trusts the key {} (asked: {asked}), so none takes anything from this cache",
        key.name
    );
    let fix = format!("add \"{}\" to nix.settings.trusted-public-keys of the hosts", key.text);
    Finding::of_tier(tier, Code::NotTrusted, &cause, &fix)
}

/// Says that no host takes what a tier serves; so many were asked.
pub fn taken_by_none(tier: &Tier, proof: Option<&str>, asked: usize) -> Finding {
    let what = proof.map(|proof| format!(": {proof}")).unwrap_or_default();
    let cause = format!("no host takes what this cache serves (asked: {asked}){what}");
    let fix = "add a key that signs there to nix.settings.trusted-public-keys of the hosts";
    Finding::of_tier(tier, Code::NotTrusted, &cause, fix)
}

/// Says that no host asks a tier.
pub fn not_used(tier: &Tier) -> Finding {
    let url = &tier.url;
    let fix = format!("add \"{url}\" to nix.settings.substituters of those that should");
    Finding::of_tier(tier, Code::NotUsed, "no host asks this cache", &fix)
}

/// What findings about a tier mean: for hosts that ask it, and for nixdash where no host does.
const CONSEQUENCES: [(Code, &str, &str); 15] = [
    (Code::AccessDenied, "hosts skip this cache, older Nix silently", "it does not let nixdash in"),
    (Code::TokenExpired, "hosts skip this cache, older Nix silently", "it does not let nixdash in"),
    (Code::CacheMissing, "hosts find nothing there", "nixdash finds nothing there"),
    (Code::StoreDirWrong, "Nix refuses a cache of another store", "it is for another store"),
    (Code::SignatureInvalid, "hosts refuse what it serves", "what it serves is not trusted"),
    (Code::SignatureMissing, "what it serves lacks its signature", "what it serves is not signed"),
    (Code::NotTrusted, "no host trusts what it serves", "what it serves is not trusted"),
    (Code::NarMissing, "hosts fail on nars that it lacks", "it lacks nars that it lists"),
    (Code::PriorityUnreadable, "builds of hosts that ask it stop", "its Priority is not a number"),
    (Code::NarinfoMalformed, "builds of hosts fail there", "its narinfos cannot be read"),
    (Code::NarinfoNotImported, "hosts cannot import what it serves", "it cannot be imported"),
    (Code::NarMislabelled, "hosts cannot unpack its nars", "its nars are not packed as it says"),
    (Code::NarDiffers, "hosts refuse its nars", "its nars differ from its narinfos"),
    (Code::ProxyRefused, "the proxy refuses every request", "the proxy refuses every request"),
    (Code::TierUnreachable, "hosts use the other caches", "it does not answer"),
];

/// Returns what a finding about a tier means for hosts, or for nixdash where no host asks such a
/// tier; none when the tier still serves.
pub fn consequence(kind: KindName, code: Code) -> Option<&'static str> {
    let (_, for_hosts, for_us) = CONSEQUENCES.into_iter().find(|(known, ..)| *known == code)?;
    Some(if kind.is_substituter() { for_hosts } else { for_us })
}
