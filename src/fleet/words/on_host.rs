//! What is wrong with a tier for one host, in words.
//!
//! The sentences do not name the host: what is wrong for several hosts in the same words is told
//! once, with all their names before it.

use crate::fleet::{Code, Finding, PublicKey, SpeedSeen, Subject, Tier};

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
    finding(tier, host, Code::ToolMissing, &cause, "add curl to its system")
}

/// Says that the host does not reach the tier.
pub fn not_reached(tier: &Tier, host: &str, why: &str) -> Finding {
    let cause = format!("{} is not reached from there: {why}", tier.url);
    finding(tier, host, Code::NotReached, &cause, "mend the network between both")
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
    finding(tier, host, Code::SubstitutionOff, cause, "set nix.settings.substitute = true")
}

/// Says that the host does not ask the tier.
pub fn not_configured(tier: &Tier, host: &str) -> Finding {
    let fix = format!("add \"{}\" to nix.settings.substituters there", tier.url);
    finding(tier, host, Code::NotConfigured, "this cache is not asked", &fix)
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
pub fn priority_missing(tier: &Tier, host: &str, served: Option<u32>) -> Finding {
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
pub fn order_wrong(tier: &Tier, host: &str, early: &[(&str, u32)], priority: u32) -> Finding {
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
        "write ?priority= behind the addresses in the substituters, so that {name} comes first"
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
            " ({path} is taken by the signature of {signer}, but nothing that only the cache's key \
             signed)"
        )
    });
    let cause = format!("the key {} is not trusted{}", key.name, but.unwrap_or_default());
    let fix = format!("add \"{}\" to nix.settings.trusted-public-keys there", key.text);
    finding(tier, host, Code::KeyNotTrusted, &cause, &fix)
}

/// Says that the host's settings have a text under the name of the tier's key that is no key.
pub fn key_malformed(tier: &Tier, host: &str, key: &PublicKey, written: &str) -> Finding {
    let cause = format!("\"{written}\" in trusted-public-keys is no ed25519 key");
    let fix = format!("write \"{}\" there", key.text);
    finding(tier, host, Code::KeyMalformed, &cause, &fix)
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
    finding(tier, host, Code::KeyReplaced, &cause, "mend public_key in hosts.toml")
}

/// Says that a signature on a path has a trusted key's name but is not by that key.
pub fn signature_invalid(tier: &Tier, host: &str, path: &str, name: &str) -> Finding {
    let cause = format!(
        "{path} is not taken: its signature of {name} is not by the key of that name that is \
         trusted there"
    );
    let fix = "find out whether another key signs now, or the narinfo was changed";
    finding(tier, host, Code::SignatureInvalid, &cause, fix)
}

/// Says that the host trusts nobody who signed a path.
pub fn signer_not_trusted(tier: &Tier, host: &str, path: &str, signers: &[&str]) -> Finding {
    if signers.is_empty() {
        let cause = format!("{path} is not taken: nobody signed it");
        let fix = "sign it with a key that is trusted there (nix store sign)";
        return finding(tier, host, Code::SignatureMissing, &cause, fix);
    }
    let cause = format!("none of the keys that signed {path} ({}) is trusted", signers.join(", "));
    let fix = "add one of them to nix.settings.trusted-public-keys there, or sign the path with one \
               that is trusted";
    finding(tier, host, Code::SignerNotTrusted, &cause, fix)
}
