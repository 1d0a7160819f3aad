//! What is wrong with how a host's Nix is set up, for every cache, in words.

use crate::fleet::{Code, Finding, Subject, UnlistedCache};

/// Most caches that a sentence names.
const NAMED: usize = 3;

fn finding(host: &str, code: Code, cause: &str, fix: &str) -> Finding {
    Finding::new(Subject::host(host), code, cause, fix)
}

/// Says that a text among the trusted keys is no key, so that Nix can check no signature.
pub fn key_malformed(host: &str, written: &str, why: &str) -> Finding {
    let cause = format!(
        "{host} takes nothing from any cache: \"{written}\" in its trusted-public-keys is not a key \
         ({why}), and with it Nix can check no signature"
    );
    let fix = format!("fix or remove it in nix.settings.trusted-public-keys of {host}");
    finding(host, Code::TrustedKeyMalformed, &cause, &fix)
}

/// Says that the daemon works with older settings than the files have.
pub fn daemon_older(host: &str, changed: &[String]) -> Finding {
    let names = changed.join(", ");
    let cause = format!(
        "the Nix daemon of {host} works with older settings: {names} changed after it started, and \
         a daemon reads its settings only when it starts"
    );
    let fix = format!("run `systemctl restart nix-daemon` on {host}");
    finding(host, Code::DaemonSettingsOld, &cause, &fix)
}

/// Says which caches the host asks that hosts.toml lacks.
pub fn unlisted(host: &str, caches: &[UnlistedCache]) -> Finding {
    let named: Vec<&str> = caches.iter().take(NAMED).map(|cache| cache.url.as_str()).collect();
    let more = match caches.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let cause = format!("{host} also asks {}{more}, which hosts.toml lacks", named.join(", "));
    let fix = "add a tier for each to hosts.toml, or remove it from nix.settings.substituters";
    finding(host, Code::CacheUnlisted, &cause, fix)
}
