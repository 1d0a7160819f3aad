//! attic: a cache's configuration, its token's end, and what it holds.
//!
//! Whoever may not see a cache is told 401, also for caches that do not exist; and an expired token
//! is treated as none. Nix takes that for "not here" and says nothing: so the token's own end is
//! read from it, and warned of before. Only reading a nar counts as use, a narinfo does not.

mod token;

use crate::fleet::words::{kinds, tiers};
use crate::fleet::{
    Code, SignatureState, StorePath, Tier, TierFacts, TierState, duration, printable_line,
};
use crate::probe::asking::{Asking, TierFuture, TierProbe};
use crate::probe::checks::answer::{
    compare_keys, detail, failed, nonsense, read_json, refused, up,
};
use crate::probe::checks::held::held_by_head;
use crate::probe::checks::up::STORE_DIR;
use crate::probe::checks::{one_request, prove};
use crate::probe::transport::{
    DeclaredRequest, HttpReply, HttpRequest, Method, RequestError, RestWish, Rules, asks_for_rest,
};
use crate::probe::words::IS_URL_RIGHT;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use token::Token;

/// Most hashes in one bulk request: SQLite binds no more than 32 766 values.
const BULK: usize = 30_000;

/// Longest answer of the bulk request, in bytes: every hash is missing.
const BULK_LIMIT: usize = BULK * 40;

/// A token that ends within this time is a finding.
const ENDS_SOON: Duration = Duration::from_hours(7 * 24);

/// What attic is asked.
const REQUESTS: &[DeclaredRequest] = &[
    (Method::Get, "*/_api/v1/cache-config/*"),
    (Method::Post, "*/_api/v1/get-missing-paths"),
    (Method::Get, "*.narinfo"),
    (Method::Head, "*.narinfo"),
    (Method::Get, "*/nar/*"),
];

/// How gently it is asked.
static RULES: Rules = Rules { wish: asks_attic_for_rest, ..Rules::new(REQUESTS) };

/// Returns whether an answer asks us to leave attic alone. With 503 in JSON attic says that a nar is
/// not whole; whoever stands before it sends a page.
fn asks_attic_for_rest(reply: &HttpReply, now: Timestamp) -> RestWish {
    let is_json =
        reply.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    match (reply.status, reply.retry_after(now)) {
        (503, None) if is_json => RestWish::None,
        (_, Some(_) | None) => asks_for_rest(reply, now),
    }
}

/// The kind `attic`.
pub(super) struct Attic;

impl TierProbe for Attic {
    fn rules(&self) -> &'static Rules {
        &RULES
    }

    fn is_asked_one_thing(&self, _tier: &Tier) -> bool {
        true
    }

    /// A day: reading counts as use, and would keep alive what nobody else needs.
    fn content_age(&self) -> SignedDuration {
        SignedDuration::from_hours(24)
    }

    fn reading_counts_as_use(&self) -> bool {
        true
    }

    fn look<'a>(&'a self, asking: &'a Asking<'a>) -> TierFuture<'a, TierFacts> {
        Box::pin(look(asking))
    }

    fn holds<'a>(
        &'a self,
        asking: &'a Asking<'a>,
        paths: &'a [&'a StorePath],
    ) -> TierFuture<'a, Result<Vec<bool>, RequestError>> {
        Box::pin(async move {
            // Whoever may push may ask in bulk; the others ask path by path.
            let may_push = match (place(asking.tier), token(asking).await) {
                (Some((_, cache)), Some(token)) => token.rights(cache).push,
                (_, _) => false,
            };
            if may_push && let Some(held) = confirmed(asking, paths).await? {
                return Ok(held);
            }
            held_by_head(asking, paths).await
        })
    }
}

/// What attic says of a cache.
#[derive(Clone, Debug, Deserialize)]
struct Config {
    public_key: Option<String>,
    is_public: Option<bool>,
    store_dir: Option<String>,
    priority: Option<i32>,
    #[serde(default)]
    upstream_cache_key_names: Vec<String>,
    retention_period: Option<KeptFor>,
}

/// How long attic keeps what nobody reads.
#[derive(Clone, Debug, Deserialize)]
enum KeptFor {
    /// As the server's configuration says.
    Global,
    /// Seconds.
    Period(u64),
}

/// What the bulk request asks.
#[derive(Serialize)]
struct BulkQuestion<'a> {
    cache: &'a str,
    store_path_hashes: &'a [&'a str],
}

/// What it answers.
#[derive(Deserialize)]
struct Missing {
    missing_paths: Vec<String>,
}

/// Splits a cache's address into the server's and the cache's name.
fn place(tier: &Tier) -> Option<(&str, &str)> {
    let (server, cache) = tier.url.rsplit_once('/')?;
    (!cache.is_empty() && !server.ends_with('/')).then_some((server, cache))
}

/// Returns the token that goes to the tier, when it is one of attic's.
async fn token(asking: &Asking<'_>) -> Option<Token> {
    let header = asking.web.authorization(asking.tier, &RULES).await?;
    Token::of_header(header.expose())
}

/// Looks at a cache.
async fn look(asking: &Asking<'_>) -> TierFacts {
    let tier = asking.tier;
    let Some((server, cache)) = place(tier) else {
        let finding = kinds::names_no_cache(tier, "https://HOST/CACHE");
        return TierFacts::of(TierState::Down, finding);
    };
    if let Some((facts, _)) = one_request::by_probe_path(asking).await {
        return facts;
    }
    let url = format!("{server}/_api/v1/cache-config/{cache}");
    // Before the request: one that is refused makes it to be read again.
    let token = token(asking).await;
    let reply = match asking.send(HttpRequest::get(url)).await {
        Ok(reply) => reply,
        Err(error) => return failed(tier, &error),
    };
    if reply.status != 200 {
        let mut facts = denied(asking, cache, &reply, token.as_ref());
        show_token(asking, cache, token.as_ref(), &mut facts);
        return facts;
    }
    let Ok(config) = serde_json::from_slice::<Config>(&reply.body) else {
        return nonsense(tier, "configuration of an attic cache", &reply);
    };
    let mut facts = up(&reply);
    describe(tier, &config, &mut facts);
    show_token(asking, cache, token.as_ref(), &mut facts);
    if matches!(facts.state, TierState::Up | TierState::Slow)
        && facts.signature != SignatureState::Invalid
    {
        prove(asking, &mut facts).await;
    }
    one_request::keep(asking, &facts);
    facts
}

/// Says what it means that attic does not tell a cache's configuration.
fn denied(asking: &Asking<'_>, cache: &str, reply: &HttpReply, token: Option<&Token>) -> TierFacts {
    let expired = token.and_then(|token| token.expires).filter(|at| *at <= asking.now);
    let let_in = match (expired, token) {
        (Some(at), _) => format!(
            "the token expired at {at}; make a new one (atticadm make-token) and put it into the \
             hosts' netrc too: they skip such a cache, older Nix silently"
        ),
        (None, Some(token)) if !token.rights(cache).pull => {
            format!("the token does not name {cache}; make one that may pull it")
        }
        (None, Some(_)) => format!(
            "attic answers the same when there is no cache {cache}, and when the token is of \
             another server"
        ),
        (None, None) => format!(
            "it wants a token that may pull {cache}, or there is no such cache: attic does not \
             say which"
        ),
    };
    let mut facts = refused(asking, "the configuration of the cache", reply, &let_in);
    if expired.is_some() {
        let denied = facts.findings.iter_mut().filter(|found| found.code == Code::AccessDenied);
        denied.for_each(|found| found.code = Code::TokenExpired);
    }
    if reply.status == 404 {
        // attic names its errors in JSON; a plain web server has other words for 404.
        let body = serde_json::from_slice::<serde_json::Value>(&reply.body).unwrap_or_default();
        let is_attic = body.get("error").is_some_and(serde_json::Value::is_string);
        facts.findings = vec![if is_attic {
            kinds::attic_has_no_cache(asking.tier, cache)
        } else {
            kinds::no_attic(asking.tier, cache)
        }];
    }
    facts
}

/// Says what a configuration means for the fleet.
fn describe(tier: &Tier, config: &Config, facts: &mut TierFacts) {
    facts.priority = config.priority;
    facts.store_dir = config.store_dir.as_deref().map(printable_line);
    if let Some(dir) = &facts.store_dir
        && dir != STORE_DIR
    {
        facts.findings.push(tiers::store_dir_wrong(tier, dir));
        facts.state = TierState::WrongStore;
    }
    if let Some(is_public) = config.is_public {
        facts.details.push(detail("cache", if is_public { "public" } else { "private" }));
    }
    if let Some(retention) = &config.retention_period {
        facts.details.push(detail(
            "kept",
            &match retention {
                KeptFor::Global => "as the server's configuration says".to_owned(),
                // To attic that means no end.
                KeptFor::Period(0) => "until it is deleted".to_owned(),
                KeptFor::Period(seconds) => {
                    format!("{} after the last use", duration(Duration::from_secs(*seconds)))
                }
            },
        ));
    }
    if !config.upstream_cache_key_names.is_empty() {
        let names = config.upstream_cache_key_names.join(", ");
        let text = format!("what {names} signed is not kept here: closures are not whole");
        facts.details.push(detail("left out", &text));
    }
    let theirs: Vec<&str> = config.public_key.as_deref().into_iter().collect();
    compare_keys(tier, &theirs, facts);
}

/// Says what the token may do and how long it is good for.
fn show_token(asking: &Asking<'_>, cache: &str, token: Option<&Token>, facts: &mut TierFacts) {
    let Some(token) = token else { return };
    let rights = token.rights(cache);
    let may = match (rights.pull, rights.push) {
        (true, true) => "may pull and push",
        (true, false) => "may pull",
        (false, true) => "may push",
        (false, false) => "may do nothing with this cache",
    };
    let Some(expires) = token.expires else {
        facts.details.push(detail("token", &format!("{may}; never expires")));
        return;
    };
    match Duration::try_from(asking.now.duration_until(expires)) {
        Ok(left) if !left.is_zero() => {
            let left_words = duration(left);
            facts.details.push(detail("token", &format!("{may}; expires in {left_words}")));
            if left <= ENDS_SOON {
                facts.findings.push(kinds::token_expires(asking.tier, &left_words));
            }
        }
        // Where that keeps us out, the refusal says so.
        Ok(_) | Err(_) if facts.findings.is_empty() => {
            facts.findings.push(kinds::token_expired(asking.tier, &format!(" at {expires}")));
        }
        Ok(_) | Err(_) => facts.details.push(detail("token", &format!("expired at {expires}"))),
    }
}

/// Asks in bulk which paths the cache has; nothing when the token may not.
async fn confirmed(
    asking: &Asking<'_>,
    paths: &[&StorePath],
) -> Result<Option<Vec<bool>>, RequestError> {
    let Some((server, cache)) = place(asking.tier) else { return Ok(None) };
    let mut all = Vec::with_capacity(paths.len());
    for part in paths.chunks(BULK) {
        let hashes: Vec<&str> = part.iter().map(|path| path.hash()).collect();
        let question = BulkQuestion { cache, store_path_hashes: &hashes };
        let url = format!("{server}/_api/v1/get-missing-paths");
        let ask = HttpRequest::post_json(url, &question).limit(BULK_LIMIT);
        let reply = asking.send(ask).await?;
        let wrong = |cause: &str, hint: &str| RequestError::new(&asking.tier.url, cause, hint);
        match reply.status {
            200 => {}
            401 | 403 => return Ok(None),
            status => {
                let cause = format!("answered {status} for {} paths", part.len());
                return Err(wrong(&cause, "see its log"));
            }
        }
        let missing: Missing = read_json(reply.body)
            .await
            .map_err(|_| wrong("answered no list of missing paths", IS_URL_RIGHT))?;
        let missing: std::collections::HashSet<String> =
            missing.missing_paths.into_iter().collect();
        all.extend(hashes.iter().map(|hash| !missing.contains(*hash)));
    }
    Ok(Some(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::KindName;

    #[test]
    fn a_cache_is_the_last_part_of_its_address() {
        for (url, expected) in [
            ("https://attic.example/fleet", Some(("https://attic.example", "fleet"))),
            ("https://x.example/attic/fleet/", Some(("https://x.example/attic", "fleet"))),
            ("https://attic.example", None),
        ] {
            assert_eq!(place(&Tier::new("x", KindName::Attic, url)), expected, "{url}");
        }
    }
}
