//! What is wrong with tiers whose kind has an interface of its own, in words.

use crate::fleet::{Code, Finding, Subject, Tier};
use jiff::Timestamp;

/// Says that an address names no cache of its kind; `like` is how one looks.
pub fn names_no_cache(tier: &Tier, like: &str) -> Finding {
    let cause = format!("{} names no cache", tier.url);
    Finding::of_tier(tier, Code::CacheMissing, &cause, &format!("write {like} into hosts.toml"))
}

/// Says that attic has no such cache.
pub fn attic_has_no_cache(tier: &Tier, cache: &str) -> Finding {
    let cause = format!("{}: attic has no cache {cache}", tier.url);
    let fix = format!("make it (attic cache create {cache}), or fix url in hosts.toml");
    Finding::of_tier(tier, Code::CacheMissing, &cause, &fix)
}

/// Says that something that is not attic answered 404.
pub fn no_attic(tier: &Tier, cache: &str) -> Finding {
    let cause = format!("{} answered 404 for the configuration of the cache {cache}", tier.url);
    let fix = "see whether that is an attic server, and fix url in hosts.toml";
    Finding::of_tier(tier, Code::AnswerUnexpected, &cause, fix)
}

/// Says that a token has expired; `when` says since when.
pub fn token_expired(tier: &Tier, when: &str) -> Finding {
    let cause = format!("the token for this cache has expired{when}");
    let fix = if tier.kind.is_substituter() {
        "make a new one, and put it into the hosts' netrc too: they skip this cache, older Nix \
         silently"
    } else {
        "make a new one"
    };
    Finding::of_tier(tier, Code::TokenExpired, &cause, fix)
}

/// Says how long a token is still good for: `left` is a time such as `3 d`.
pub fn token_expires(tier: &Tier, left: &str) -> Finding {
    let cause = format!("the token for this cache expires in {left}");
    let fix = if tier.kind.is_substituter() {
        "make a new one, and put it into the hosts' netrc too: then they skip this cache, older \
         Nix silently"
    } else {
        "make a new one"
    };
    let finding = Finding::of_tier(tier, Code::TokenExpiresSoon, &cause, fix);
    finding.in_short(&format!("token expires in {left}"))
}

/// Says that the API of a hosted cache was not asked or did not answer; hosts do not need it.
pub fn api_silent(tier: &Tier, code: Code, what: &str, why: &str) -> Finding {
    let cause = format!("hosts are served, but the API {what}: {why}");
    Finding::of_tier(tier, code, &cause, "")
}

/// Says that Cachix has no such cache, or does not show it.
pub fn cachix_has_no_cache(tier: &Tier, name: &str, let_in: Option<&str>) -> Finding {
    let cause =
        format!("{}: Cachix knows no cache {name:?}, or the token may not see it", tier.url);
    let fix = let_in.unwrap_or("fix url in hosts.toml, or use a token that may read the cache");
    Finding::of_tier(tier, Code::AccessDenied, &cause, fix)
}

/// Says that GitHub's limit of requests is used up; `limit` and `again` are in words.
pub fn github_spent(tier: &Tier, limit: &str, again: &str) -> Finding {
    let cause = format!(
        "{}: GitHub's limit of {limit} requests in an hour is used up, and starts again {again}",
        tier.url
    );
    let has_token = tier.access.login.is_token();
    let fix =
        if has_token { "ask it less often (`every` in hosts.toml)" } else { "give it a token" };
    Finding::of_tier(tier, Code::RateLimited, &cause, fix)
}

/// Says that GitHub shows no such repository.
pub fn github_has_no_repository(tier: &Tier, repo: &str) -> Finding {
    let cause = format!("{}: GitHub shows no repository {repo}", tier.url);
    let fix = if tier.access.login.is_token() {
        "see whether the name is right, and the token may read its actions"
    } else {
        "see whether the name is right; a private one needs a token that may read its actions"
    };
    Finding::of_tier(tier, Code::AccessDenied, &cause, fix)
}

/// Says that few of GitHub's requests are left in this hour.
pub fn github_requests_low(tier: &Tier, remaining: u64, limit: u64) -> Finding {
    let cause = format!("{remaining} of {limit} requests are left in this hour");
    let fix = "ask it less often (`every` in hosts.toml)";
    let finding = Finding::of_tier(tier, Code::RequestsLow, &cause, fix);
    finding.in_short(&format!("{remaining} requests left"))
}

/// Says that the last garbage collection of a cache failed, and why.
pub fn collection_failed(tier: &Tier, at: Option<Timestamp>, why: &str) -> Finding {
    let when = at.map(|at| at.strftime(" on %Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default();
    let cause = format!("the last garbage collection failed{when}: {why}");
    Finding::of_tier(tier, Code::CollectionFailed, &cause, "read the log of niks3-server")
}

/// Says that a CI cache is nearly full: `usage` is how full, `used` that in short.
pub fn nearly_full(tier: &Tier, usage: &str, used: &str) -> Finding {
    let cause = format!("{usage}; the least recently used is removed first");
    let fix = "cache less, or remove entries that nobody needs";
    Finding::of_tier(tier, Code::NearlyFull, &cause, fix).in_short(&format!("usage {used}"))
}

/// Says that a whole family of entries goes within a day.
pub fn family_leaves(tier: &Tier, family: &str) -> Finding {
    let cause = format!("{family}; all of it is removed within a day unless it is used");
    Finding::of_tier(tier, Code::EntriesLeaving, &cause, "run the CI job that uses it")
}

/// Says that a proxy cannot use all its upstreams.
pub fn upstreams_failing(tier: &Tier, healthy: f64, all: f64) -> Finding {
    let cause = format!("{healthy:.0} of {all:.0} upstream caches are healthy");
    let fix = "see its log for the others";
    let finding = Finding::of_tier(tier, Code::UpstreamsFailing, &cause, fix);
    finding.in_short(&format!("{healthy:.0} of {all:.0} upstreams"))
}

/// Says that this machine's clock is not the server's; `clock` says how far it is off.
pub fn clock_skew(tier: &Tier, clock: &str) -> Finding {
    let cause = format!("{clock}; beyond 15 min signatures are refused");
    Finding::of_tier(tier, Code::ClockSkew, &cause, "set it (timedatectl)")
}

/// Says that there is no such bucket.
pub fn no_bucket(tier: &Tier) -> Finding {
    let cause = format!("{}: there is no such bucket", tier.url);
    let fix = "see whether name, endpoint and region are right";
    Finding::of_tier(tier, Code::CacheMissing, &cause, fix)
}

/// Says that a bucket is no cache yet.
pub fn bucket_without_info(tier: &Tier) -> Finding {
    let cause = format!(
        "{}: the bucket has no nix-cache-info; the next `nix copy` to it writes one without \
         Priority, and hosts would ask it before all others",
        tier.url
    );
    let fix = "put one there with StoreDir, WantMassQuery and Priority";
    Finding::of_tier(tier, Code::CacheInfoMissing, &cause, fix)
}

/// Says that a bucket does not let its reader in, by the status, S3's code and why that is.
pub fn bucket_denied(tier: &Tier, status: u16, code: Option<&str>, why: &str) -> Finding {
    let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
    let cause = format!("{} answered {status}{code}", tier.url);
    Finding::of_tier(tier, Code::AccessDenied, &cause, why)
}

/// Says that Nix cannot read a host's own store.
pub fn store_unreadable(tier: &Tier, host: &str, why: &str) -> Finding {
    let cause = format!("Nix cannot read the database of the store of {host} ({why})");
    let subject = Subject::tier_on_host(tier, host);
    Finding::new(subject, Code::StoreUnreadable, &cause, "try `nix-store --verify` there")
}

/// Says why a host told nothing of its own store.
pub fn store_silent(tier: &Tier, host: &str, code: Code, why: &str) -> Finding {
    Finding::new(Subject::tier_on_host(tier, host), code, why, "")
}

/// Says that no host answers.
pub fn no_host_answers(tier: &Tier) -> Finding {
    let fix = "see why the hosts do not answer";
    Finding::of_tier(tier, Code::NoHostAnswers, "no host answers", fix)
}

/// Says that a host's disk is nearly full: `usage` is how full.
pub fn disk_full_on(tier: &Tier, host: &str, usage: &str) -> Finding {
    let cause = format!("the disk of the store of {host} is nearly full: {usage}");
    let fix = "make room there with nix-collect-garbage";
    let finding = Finding::of_tier(tier, Code::DiskLow, &cause, fix);
    finding.in_short(&format!("disk of {host}"))
}
