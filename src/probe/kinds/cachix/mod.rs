//! Hosted Cachix caches: what hosts see, and what its API says of cache, token and keys.
//!
//! Reading a narinfo counts as use there and keeps dead paths alive; so paths are asked for in
//! bulk, which does not, and a narinfo is read for proof once a day. How much a cache holds, and
//! how much it may, is told in Cachix' web pages only: the size here is what is confirmed of the
//! fleet's paths, "at least".

use crate::fleet::words::kinds;
use crate::fleet::{
    Code, Login, SignatureState, SizeFacts, StorePath, Tier, TierFacts, TierKind, TierState, ago,
    printable_line,
};
use crate::probe::asking::{Asking, TierFuture, TierProbe};
use crate::probe::checks::answer::{
    compare_keys, detail, failed, nonsense, not_asked, read_json, recent, refused, since, size,
};
use crate::probe::checks::up::{info, mark_slow};
use crate::probe::checks::{one_request, proof, take_verdict};
use crate::probe::memory::{Dated, MemoryPart};
use crate::probe::schedule::Pace;
use crate::probe::transport::{DeclaredRequest, HttpRequest, Method, RequestError, Rules};
use crate::probe::words::IS_URL_RIGHT;
use jiff::SignedDuration;
use reqwest::Url;
use serde::Deserialize;
use std::time::Duration;

/// Most hashes in one bulk request, as Cachix' own client has it.
const BULK: usize = 32_768;

/// How long it is believed what the API said of cache and token: hosts do not ask the API.
const API_AGE: SignedDuration = SignedDuration::from_mins(5);

/// How long a proven signature is believed: reading a narinfo counts as use.
const PROOF_AGE: SignedDuration = SignedDuration::from_hours(24);

/// Longest answer of the bulk request, in bytes: every hash is missing.
const BULK_LIMIT: usize = BULK * 40;

/// What Cachix is asked.
const REQUESTS: &[DeclaredRequest] = &[
    (Method::Get, "*/nix-cache-info"),
    (Method::Get, "/api/v1/cache/*"),
    (Method::Post, "/api/v1/cache/*/narinfo"),
    (Method::Get, "*.narinfo"),
    (Method::Get, "*/nar/*"),
];

/// How gently it is asked.
static RULES: Rules = Rules::new(REQUESTS);

/// The kind `cachix`.
pub(super) struct Cachix;

impl TierProbe for Cachix {
    fn rules(&self) -> &'static Rules {
        &RULES
    }

    fn interval(&self, _tier: &Tier) -> Duration {
        Pace::PublicTier.interval()
    }

    fn is_asked_one_thing(&self, _tier: &Tier) -> bool {
        true
    }

    /// A day: reading counts as use, and would keep alive what nobody else needs.
    fn content_age(&self) -> SignedDuration {
        PROOF_AGE
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
        Box::pin(confirmed(asking, paths))
    }

    fn size<'a>(
        &'a self,
        asking: &'a Asking<'a>,
    ) -> TierFuture<'a, Result<Option<SizeFacts>, RequestError>> {
        Box::pin(async move {
            let paths: Vec<&StorePath> = asking.closures.iter().map(|entry| &entry.path).collect();
            if paths.is_empty() {
                return Ok(None);
            }
            let held = confirmed(asking, &paths).await?;
            let sizes = asking.closures.iter().zip(&held).filter(|(_, held)| **held);
            let bytes = sizes.clone().map(|(entry, _)| entry.nar_size).sum();
            Ok(Some(size(asking, bytes, Some(sizes.count() as u64), None, false)))
        })
    }
}

/// Where the API of a cache is, and what the cache is called there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Api {
    /// Its scheme, host and port.
    origin: String,
    name: String,
    /// Whether credentials go there: it is at the tier's own address, or named in hosts.toml.
    is_let_in: bool,
}

impl Api {
    /// Returns the API of a cache: where hosts.toml says (`api`), else `https://cachix.org` for
    /// `https://NAME.cachix.org`, and `https://HOST` for `https://HOST/NAME`.
    fn of(tier: &Tier) -> Option<Self> {
        let url = Url::parse(&tier.url).ok()?;
        let host = url.host_str()?;
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let path = url.path().trim_matches('/');
        let (parent, name) = match host.split_once('.') {
            _ if !path.is_empty() => (host, path.rsplit('/').next()?),
            Some((name, rest)) if rest.contains('.') && url.domain().is_some() => (rest, name),
            Some(_) | None => return None,
        };
        let named = match &tier.kind {
            TierKind::Cachix { api } => api.clone(),
            _ => None,
        };
        let is_let_in = named.is_some() || parent == host;
        let origin = named.unwrap_or_else(|| format!("{}://{parent}{port}", url.scheme()));
        Some(Self { origin, name: name.to_owned(), is_let_in })
    }

    /// Returns the address of the cache in the API.
    fn url(&self) -> String {
        format!("{}/api/v1/cache/{}", self.origin, self.name)
    }
}

/// What the API says of a cache (`Cachix.Types.BinaryCache`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cache {
    name: String,
    #[serde(default)]
    is_public: Option<bool>,
    #[serde(default)]
    public_signing_keys: Vec<String>,
    #[serde(default)]
    permission: Option<String>,
}

/// What is remembered of a cache.
#[derive(Default)]
struct CachixMemory {
    /// What the API said last.
    cache: Option<Dated<Cache>>,
    /// The last verdict on the signature, and what it was made with.
    proof: Option<Dated<(SignatureState, String)>>,
}

impl MemoryPart for CachixMemory {}

impl CachixMemory {
    /// Returns what the API said, while that is believed.
    fn cache(asking: &Asking<'_>) -> Option<Cache> {
        let recent = |memory: &mut Self| recent(asking, memory.cache.as_ref(), API_AGE);
        asking.memory.part(asking.tier, recent)
    }
}

/// Looks at a cache.
async fn look(asking: &Asking<'_>) -> TierFacts {
    let tier = asking.tier;
    let Some(api) = Api::of(tier) else {
        let finding = kinds::names_no_cache(tier, "https://NAME.cachix.org");
        return TierFacts::of(TierState::Down, finding);
    };
    // The API takes the place of what hosts ask; that has answered a minute ago.
    let is_api_due = CachixMemory::cache(asking).is_none();
    let mut facts = if let Some(facts) = one_request::kept(asking).filter(|_| is_api_due) {
        facts
    } else {
        let facts = as_hosts_see(asking).await;
        one_request::keep(asking, &facts);
        facts
    };
    if !matches!(facts.state, TierState::Up | TierState::Slow) {
        return facts;
    }
    match cache(asking, &api).await {
        Ok(cache) => {
            describe(tier, &cache, &mut facts);
            if facts.signature != SignatureState::Invalid {
                prove_daily(asking, &mut facts).await;
            }
        }
        Err(trouble) => {
            // What hosts ask has answered: its figures hold, but something is wrong.
            facts.state = trouble.state;
            facts.findings.extend(trouble.findings);
        }
    }
    facts
}

/// Asks what hosts ask first.
async fn as_hosts_see(asking: &Asking<'_>) -> TierFacts {
    let tier = asking.tier;
    let url = format!("{}/nix-cache-info", tier.url);
    let reply = match asking.send(HttpRequest::get(url)).await {
        Ok(reply) => reply,
        Err(error) => return failed(tier, &error),
    };
    if reply.status == 429 || reply.status >= 500 {
        return refused(asking, "nix-cache-info", &reply, "");
    }
    let mut facts = info(tier, &reply);
    mark_slow(&mut facts);
    facts
}

/// Returns the tier as it is at its API, which takes the same credentials where it may have them.
async fn at_api(asking: &Asking<'_>, api: &Api) -> Tier {
    if !api.is_let_in {
        // At another address than its own a tier's credentials are left out.
        return asking.tier.clone();
    }
    // They are read here for the cache's own address, which is the one that a netrc names.
    drop(asking.web.authorization(asking.tier, &RULES).await);
    Tier { url: api.origin.clone(), ..asking.tier.clone() }
}

/// Says what to do when the API does not let us in.
fn let_in(tier: &Tier, api: &Api) -> String {
    let has_login = tier.access.login != Login::Nobody;
    if has_login && !api.is_let_in {
        return format!(
            "its API is at another address, which gets no credentials unless hosts.toml says so: \
             add api = \"{}\" to the tier",
            api.origin
        );
    }
    format!(
        "make a new token that may read {} (app.cachix.org, Personal auth tokens), and put it into \
         hosts' netrc too: they skip such a cache, older Nix silently",
        api.name
    )
}

/// Asks the API for the cache now and then; what is wrong is asked again every time.
async fn cache(asking: &Asking<'_>, api: &Api) -> Result<Cache, Box<TierFacts>> {
    if let Some(cache) = CachixMemory::cache(asking) {
        return Ok(cache);
    }
    let tier = at_api(asking, api).await;
    let reply = match asking.transport.send(&tier, &RULES, HttpRequest::get(api.url())).await {
        Ok(reply) => reply,
        Err(error) => {
            let code = not_asked(&tier, &error).code;
            let (state, code, what) = match error.state() {
                TierState::Down => (TierState::Degraded, Code::ApiUnreachable, "does not answer"),
                TierState::Unknown => (TierState::Unknown, code, "was not asked"),
                state => (state, code, "does not answer"),
            };
            let finding = kinds::api_silent(asking.tier, code, what, &error.to_string());
            return Err(Box::new(TierFacts::of(state, finding)));
        }
    };
    if reply.status != 200 {
        let let_in = let_in(asking.tier, api);
        let mut facts = refused(asking, "its API", &reply, &let_in);
        if reply.status == 404 {
            facts.state = TierState::Unauthorized;
            let withheld = (!api.is_let_in).then_some(let_in.as_str());
            facts.findings = vec![kinds::cachix_has_no_cache(&tier, &api.name, withheld)];
        }
        return Err(Box::new(facts));
    }
    let Ok(cache) = serde_json::from_slice::<Cache>(&reply.body) else {
        return Err(Box::new(nonsense(&tier, "answer of Cachix' API", &reply)));
    };
    let dated = Some(Dated { at: asking.now, value: cache.clone() });
    asking.memory.part(asking.tier, |memory: &mut CachixMemory| memory.cache = dated);
    Ok(cache)
}

/// Says what the API said: who may do what, and whether the key is the one that is configured.
fn describe(tier: &Tier, cache: &Cache, facts: &mut TierFacts) {
    let access = match cache.is_public {
        Some(true) => "public",
        Some(false) => "private",
        None => "unknown",
    };
    facts.details.push(detail("cache", &format!("{}, {access}", cache.name)));
    if let Some(permission) = &cache.permission {
        facts.details.push(detail("token", &format!("may {}", permission.to_lowercase())));
    }
    let keys = &cache.public_signing_keys;
    let known: Vec<String> = keys.iter().map(|key| printable_line(key)).collect();
    facts.details.push(detail("keys", &known.join(", ")));
    compare_keys(tier, &keys.iter().map(String::as_str).collect::<Vec<_>>(), facts);
}

/// Proves signature and nar, at most once a day: reading counts as use.
async fn prove_daily(asking: &Asking<'_>, facts: &mut TierFacts) {
    let known = asking.memory.part(asking.tier, |memory: &mut CachixMemory| memory.proof.clone());
    if let Some(Dated { at, value: (signature, proof) }) =
        known.filter(|known| asking.now.duration_since(known.at) < PROOF_AGE)
    {
        facts.signature = signature;
        facts.proof = Some(format!("{proof}; read {} ago", ago(since(asking, at))));
        let content = asking.memory.with(asking.tier, |memory| memory.content.clone());
        facts.nar_proof = content.map(|content| content.value);
        return;
    }
    // Only a path that is there is worth a read.
    let all: Vec<&StorePath> = asking.candidates.iter().collect();
    let held = match confirmed(asking, &all).await {
        Ok(held) => held,
        Err(error) => {
            facts.proof = Some(format!("not proven: {error}"));
            return;
        }
    };
    let held = asking.candidates.iter().zip(held).filter(|(_, held)| *held);
    let candidates: Vec<StorePath> = held.map(|(path, _)| path.clone()).take(1).collect();
    if candidates.is_empty() && !asking.candidates.is_empty() {
        let count = asking.candidates.len();
        facts.proof = Some(format!("not proven: it holds none of {count} paths"));
        return;
    }
    let one = Asking { candidates: &candidates, ..*asking };
    let verdict = proof::search(&one).await;
    let is_found = verdict.narinfo.is_some();
    let value = (verdict.signature, verdict.proof.clone());
    take_verdict(asking, verdict, facts).await;
    if is_found && facts.state != TierState::NarMissing {
        let proof = Some(Dated { at: asking.now, value });
        asking.memory.part(asking.tier, |memory: &mut CachixMemory| memory.proof = proof);
    }
}

/// Asks in bulk which paths the cache has: the answer lists what is missing.
async fn confirmed(asking: &Asking<'_>, paths: &[&StorePath]) -> Result<Vec<bool>, RequestError> {
    let url = &asking.tier.url;
    let wrong = |cause: &str, hint: &str| RequestError::new(url, cause, hint);
    let api =
        Api::of(asking.tier).ok_or_else(|| wrong("names no cache", "https://NAME.cachix.org"))?;
    let tier = at_api(asking, &api).await;
    let mut all = Vec::with_capacity(paths.len());
    for part in paths.chunks(BULK) {
        let hashes: Vec<&str> = part.iter().map(|path| path.hash()).collect();
        let ask =
            HttpRequest::post_json(format!("{}/narinfo", api.url()), &hashes).limit(BULK_LIMIT);
        let reply = asking.transport.send(&tier, &RULES, ask).await?;
        if reply.status != 200 {
            let cause = format!("answered {} for {} paths", reply.status, part.len());
            return Err(wrong(&cause, "is the token valid?"));
        }
        let missing: std::collections::HashSet<String> = read_json(reply.body)
            .await
            .map_err(|_| wrong("answered no list of hashes", IS_URL_RIGHT))?;
        all.extend(hashes.iter().map(|hash| !missing.contains(*hash)));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::KindName;

    #[test]
    fn the_api_is_told_by_the_address_of_the_cache() {
        let at = |url: &str| Tier::new("x", KindName::Cachix, url);
        for (url, origin, name, is_let_in) in [
            ("https://nix-community.cachix.org", "https://cachix.org", "nix-community", false),
            ("https://fleet.cache.example:8443", "https://cache.example:8443", "fleet", false),
            ("http://127.0.0.1:4000/fleet", "http://127.0.0.1:4000", "fleet", true),
        ] {
            let api = Api::of(&at(url)).unwrap();
            let expected = (origin, name, is_let_in);
            assert_eq!((api.origin.as_str(), api.name.as_str(), api.is_let_in), expected, "{url}");
        }
        assert_eq!(Api::of(&at("https://cachix.org")), None);
        assert_eq!(Api::of(&at("http://127.0.0.1:4000")), None);
        let mut named = at("https://fleet.cachix.org");
        named.kind = TierKind::Cachix { api: Some("https://cachix.org".to_owned()) };
        let api = Api::of(&named).unwrap();
        assert!(api.is_let_in && api.url() == "https://cachix.org/api/v1/cache/fleet", "{api:?}");
    }
}
