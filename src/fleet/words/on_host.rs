//! What is wrong with a tier for one host, in words.
//!
//! The sentences do not name the host: what is wrong for several hosts in the same words is told
//! once, with all their names before it.

use crate::fleet::{
    CacheRecord, Code, Finding, NixSnippet, PublicKey, Reaction, SpeedSeen, Subject, Tier,
    WhenDown, duration,
};
use jiff::Timestamp;
use std::time::Duration;

fn finding(tier: &Tier, host: &str, code: Code, cause: &str, fix: &str) -> Finding {
    Finding::new(Subject::tier_on_host(tier, host), code, cause, fix)
}

/// Says that the settings of the host's Nix could not be read.
pub fn settings_unreadable(tier: &Tier, host: &str, why: &str) -> Finding {
    let cause = format!("the Nix settings of {host} could not be read: {why}");
    finding(tier, host, Code::SettingsUnreadable, &cause, "try `nix config show` there")
}

/// Says that the host has no curl.
pub fn no_curl(tier: &Tier, host: &str) -> Finding {
    let cause = format!("{host} has no curl to ask with");
    let snippet = NixSnippet::lines("environment.systemPackages = [ pkgs.curl ];");
    finding(tier, host, Code::ToolMissing, &cause, "add curl to its system").with_snippet(snippet)
}

/// Says that the host does not reach the tier.
pub fn not_reached(tier: &Tier, host: &str, why: &str) -> Finding {
    let cause = format!("{} is not reached from there: {why}", tier.url);
    finding(tier, host, Code::NotReached, &cause, "fix the network between both")
}

/// Says that curl on the host could not ask, which says nothing of the tier.
pub fn curl_cannot_ask(tier: &Tier, host: &str, why: &str) -> Finding {
    let cause = format!("whether {} is reached from there is not known: {why}", tier.url);
    finding(tier, host, Code::CurlCannotAsk, &cause, "")
}

/// Says that the tier redirects the host to where nixdash does not follow.
pub fn redirect_refused(tier: &Tier, host: &str, why: &str) -> Finding {
    let cause = format!("whether {} is reached from there is not known: {why}", tier.url);
    let fix = "find out who answers at this address, and let the cache answer itself";
    finding(tier, host, Code::RedirectRefused, &cause, fix)
}

/// Says that the host asks no cache at all.
pub fn substitution_off(tier: &Tier, host: &str) -> Finding {
    let cause = "no cache is asked at all: the settings there say substitute = false";
    let fix = "set nix.settings.substitute = true";
    let snippet = NixSnippet::lines("nix.settings.substitute = true;");
    finding(tier, host, Code::SubstitutionOff, cause, fix).with_snippet(snippet)
}

/// Says that the host does not ask the tier.
pub fn not_configured(tier: &Tier, host: &str) -> Finding {
    let fix = format!("add \"{}\" to nix.settings.substituters there", tier.url);
    let caches = NixSnippet::list("nix.settings.substituters", &tier.url);
    // A cache whose key is not trusted would be asked for nothing.
    let snippet = match &tier.public_key {
        Some(key) => caches.and(trusted(key)),
        None => caches,
    };
    let finding = finding(tier, host, Code::NotConfigured, "this cache is not asked", &fix);
    finding.with_snippet(snippet)
}

/// Returns what trusts a key.
fn trusted(key: &PublicKey) -> NixSnippet {
    NixSnippet::list("nix.settings.trusted-public-keys", &key.text)
}

/// Says that the login user was refused, who has not the daemon's credentials.
pub fn access_not_known(tier: &Tier, host: &str, status: u16) -> Finding {
    let cause = format!(
        "{} answered {status} to the login user of {host}, who cannot read root's netrc",
        tier.url
    );
    let fix = "let that user use sudo without a password, to know what the daemon gets";
    finding(tier, host, Code::AccessNotKnown, &cause, fix)
}

/// Says that the tier is asked before every other because it does not name its place; `served` is
/// the Priority that it serves.
pub fn priority_missing(tier: &Tier, host: &str, served: Option<i32>) -> Finding {
    let what = if served.is_none() { "no Priority" } else { "Priority 0" };
    let url = &tier.url;
    let joint = if url.contains('?') { '&' } else { '?' };
    let cause =
        format!("this cache is asked before every other, since its nix-cache-info has {what}");
    let fix = format!(
        "add `Priority: 45` to that file, or write \"{url}{joint}priority=45\" in the substituters"
    );
    finding(tier, host, Code::PriorityMissing, &cause, &fix)
}

/// Says that others are asked before the tier that hosts.toml means to be asked later, each with
/// its priority.
pub fn order_wrong(tier: &Tier, host: &str, early: &[(&str, i32)], priority: i32) -> Finding {
    let early: Vec<String> =
        early.iter().map(|(name, priority)| format!("{name} (priority {priority})")).collect();
    let verb = if early.len() == 1 { "is" } else { "are" };
    let cause = format!(
        "{} {verb} asked before {} (priority {priority}), which hosts.toml has first",
        early.join(", "),
        tier.name
    );
    let fix = "write ?priority= behind the addresses in the substituters, the lowest first";
    finding(tier, host, Code::OrderWrong, &cause, fix)
}

/// Says that the host's Nix does not know prefixes in a bucket; `release` is what it is.
pub fn prefix_not_known(tier: &Tier, host: &str, release: &str, whole: &str) -> Finding {
    let cause = format!(
        "{release} takes {whole} for the name of a bucket and gets nothing from this cache: a prefix \
         in a bucket is known from Nix 2.33 on"
    );
    let fix = "update Nix there, or give the cache a bucket of its own";
    finding(tier, host, Code::PrefixNotKnown, &cause, fix)
}

/// Says that the tier is asked before one that holds the same paths and sends them much faster.
pub fn slow_first(tier: &Tier, host: &str, own: &SpeedSeen, faster: (&str, &SpeedSeen)) -> Finding {
    let (name, other) = faster;
    let cause = format!(
        "this cache sent files at {}, and is asked before {name}, which holds the same paths and \
         sent files at {}",
        own.words(),
        other.words()
    );
    let fix = format!(
        "put {name} before {} in hosts.toml, and write ?priority= behind the addresses in the \
         substituters, so that {name} is asked first",
        tier.name
    );
    finding(tier, host, Code::SlowFirst, &cause, &fix)
}

/// Says that the host does not trust the tier's key. `takes` is a path that it takes all the same,
/// and whose signature on it the host trusts.
pub fn key_not_trusted(
    tier: &Tier,
    host: &str,
    key: &PublicKey,
    takes: Option<(&str, &str)>,
) -> Finding {
    let but = takes.map(|(path, signer)| {
        format!(
            " ({path} is accepted for the signature of {signer}; paths signed only by the cache's \
             key are refused)"
        )
    });
    let cause = format!("the key {} is not trusted{}", key.name, but.unwrap_or_default());
    let fix = format!("add \"{}\" to nix.settings.trusted-public-keys there", key.text);
    finding(tier, host, Code::KeyNotTrusted, &cause, &fix).with_snippet(trusted(key))
}

/// Says that the host's Nix can check no signature, since a text among its trusted keys is no key.
pub fn nothing_checked(tier: &Tier, host: &str, written: &str, why: &str) -> Finding {
    let cause = format!(
        "nothing is taken from this cache: \"{written}\" in trusted-public-keys is not a key ({why}), \
         and with it Nix can check no signature at all"
    );
    let named = written.split_once(':').map_or(written, |(name, _)| name);
    let fix = match &tier.public_key {
        Some(key) if key.name == named => format!("write \"{}\" there", key.text),
        Some(_) | None => "fix that key, or remove it".to_owned(),
    };
    finding(tier, host, Code::TrustedKeyMalformed, &cause, &fix)
}

/// Says that the tier's key stands among the host's trusted keys but does not count.
pub fn key_shadowed(tier: &Tier, host: &str, key: &PublicKey) -> Finding {
    let cause = format!(
        "the key {} is ignored: another key of that name stands before it in \
         trusted-public-keys, and Nix uses only the first",
        key.name
    );
    finding(tier, host, Code::KeyReplaced, &cause, "remove the other key there")
}

/// Says that a row of zeros stands under the name of the tier's key.
pub fn key_placeholder(tier: &Tier, host: &str, key: &PublicKey) -> Finding {
    let cause = format!(
        "a placeholder is trusted under the name {}: nothing can verify under a key of zeros",
        key.name
    );
    let fix = format!("write \"{}\" into nix.settings.trusted-public-keys there", key.text);
    finding(tier, host, Code::KeyReplaced, &cause, &fix)
}

/// Says that the host's Nix leaves a cache out, and why.
pub fn left_out(tier: &Tier, host: &str, text: &str, why: &str) -> Finding {
    let cause = format!("this cache is left out with a warning: {why}, in \"{text}\"");
    finding(tier, host, Code::CacheLeftOut, &cause, "fix that address in the substituters there")
}

/// Says that the host goes by an older priority of the tier than the tier serves.
pub fn record_old(tier: &Tier, host: &str, record: &CacheRecord, served: i32) -> Finding {
    let cause = format!(
        "this cache is still asked with its old priority {}, noted there on {}; it serves {served} \
         now, which takes effect on {}",
        record.priority,
        date(record.read_at),
        date(record.until)
    );
    let fix =
        "wait, or remove ~root/.cache/nix/binary-cache-v*.sqlite there and restart nix-daemon";
    finding(tier, host, Code::RecordOld, &cause, fix)
}

/// Says what the host's Nix does with a cache that refuses its login.
pub fn login_refused(
    tier: &Tier,
    host: &str,
    status: u16,
    release: &str,
    reaction: Reaction,
) -> Finding {
    let then = match reaction {
        Reaction::SkipsSilently => format!("{release} skips this cache silently"),
        Reaction::Skips => format!("{release} warns and asks the next cache"),
        Reaction::NeedsAnother => format!(
            "{release} prints an error and asks the next cache, and what no other cache has fails"
        ),
        Reaction::Stops => format!("{release} stops with an error"),
    };
    let cause = format!("{} answered {status}: {then}", tier.url);
    let fix = "give root there a valid login, in the file that netrc-file names";
    finding(tier, host, Code::AccessDenied, &cause, fix)
}

/// Says what it costs builds on the host that a cache is down; nothing where it costs only a short
/// wait.
pub fn cost_of_failure(tier: &Tier, host: &str, release: &str, when: &WhenDown) -> Option<Finding> {
    let code = match when.reaction {
        Reaction::Stops => Code::BuildsStop,
        Reaction::NeedsAnother => Code::BuildsWait,
        Reaction::Skips | Reaction::SkipsSilently => return None,
    };
    let cause =
        format!("{release} has fallback = false: when this cache is down, {}", if_down(when));
    let fix = "set nix.settings.fallback = true there";
    let snippet = NixSnippet::lines("nix.settings.fallback = true;");
    Some(finding(tier, host, code, &cause, fix).with_snippet(snippet))
}

/// Returns what happens on a host when a cache is down, as a clause: `builds stop after 4 s`.
pub fn if_down(when: &WhenDown) -> String {
    let time = |milliseconds: u64| duration(Duration::from_millis(milliseconds));
    let wait = if when.silent_ms > when.refused_ms {
        format!("{} ({} if its machine is off)", time(when.refused_ms), time(when.silent_ms))
    } else {
        time(when.refused_ms)
    };
    match when.reaction {
        Reaction::Stops => format!("builds stop after {wait}"),
        Reaction::NeedsAnother => {
            format!("every path waits {wait} and fails if no other cache has it")
        }
        Reaction::Skips | Reaction::SkipsSilently => format!("it is skipped after {wait}"),
    }
}

/// Returns what happens on a host when a cache is down in a few words, for a table.
pub fn if_down_in_short(when: &WhenDown) -> String {
    let wait = duration(Duration::from_millis(when.refused_ms));
    match when.reaction {
        Reaction::Stops => format!("builds stop after {wait}"),
        Reaction::NeedsAnother => format!("{wait} a path, then the next"),
        Reaction::Skips | Reaction::SkipsSilently => format!("skipped after {wait}"),
    }
}

/// Returns a point in time as a date: `2026-11-25 21:15 UTC`.
fn date(then: Timestamp) -> String {
    then.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// Says that the host trusts another key under the name of the tier's.
pub fn key_replaced(tier: &Tier, host: &str, key: &PublicKey) -> Finding {
    let cause = format!("another key is trusted under the name {}", key.name);
    let fix = format!("write \"{}\" into nix.settings.trusted-public-keys there", key.text);
    finding(tier, host, Code::KeyReplaced, &cause, &fix)
}

/// Says that hosts.toml has another key than the host, and that the host's signed the path.
pub fn our_key_is_old(tier: &Tier, host: &str, key: &PublicKey, path: &str) -> Finding {
    let cause = format!(
        "another key is trusted under the name {}, and {path} is signed with that one",
        key.name
    );
    finding(tier, host, Code::KeyReplaced, &cause, "fix public_key in hosts.toml")
}

/// Says that a signature on a path has a trusted key's name but is not by that key.
pub fn signature_invalid(tier: &Tier, host: &str, path: &str, name: &str) -> Finding {
    let cause = format!(
        "{path} is refused: its signature by {name} does not verify with the trusted key of that \
         name"
    );
    let fix = "find out whether another key signs now, or the narinfo was changed";
    finding(tier, host, Code::SignatureInvalid, &cause, fix)
}

/// Says that the host trusts nobody who signed a path.
pub fn signer_not_trusted(tier: &Tier, host: &str, path: &str, signers: &[&str]) -> Finding {
    if signers.is_empty() {
        let cause = format!("{path} is refused: it has no signature");
        let fix = "sign it with a key that is trusted there (nix store sign)";
        return finding(tier, host, Code::SignatureMissing, &cause, fix);
    }
    let cause = format!("none of the keys that signed {path} ({}) is trusted", signers.join(", "));
    let fix = "add one of them to nix.settings.trusted-public-keys there, or sign the path with one \
               that is trusted";
    finding(tier, host, Code::SignerNotTrusted, &cause, fix)
}
