//! niks3: a server that takes uploads into a bucket, knows what is in it, and collects garbage there.
//!
//! Hosts read from `url`: the bucket, what stands before it, or the server itself where it passes
//! objects on. The server, `api` where that is another address, tells what the cache holds: its
//! metrics, or else `/api/cache-stats`, which everybody may ask; and with its token how the last
//! collection went. What is asked, and what that means, is read in niks3's source (`answers.rs`).

mod answers;

use crate::fleet::words::kinds;
use crate::fleet::{Code, SizeFacts, StorePath, Tier, TierFacts, ago, printable_line};
use crate::probe::asking::{Asking, TierFuture, TierProbe};
use crate::probe::checks::answer::{
    compare_keys, detail, read_json, read_metrics, recent, since, size,
};
use crate::probe::checks::held::held;
use crate::probe::checks::up;
use crate::probe::memory::{Dated, MemoryPart};
use crate::probe::transport::{
    DeclaredRequest, HttpReply, HttpRequest, Method, RequestError, Rules,
};
use answers::{CacheConfig, Collection, Inventory, Stats};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;

/// How long it is believed what the server says of its cache: it counts once a minute itself.
const API_AGE: SignedDuration = SignedDuration::from_mins(5);

/// Longest metrics that are read, in bytes.
const METRICS_LIMIT: usize = 4 << 20;

/// What niks3 and the bucket behind it are asked.
const REQUESTS: &[DeclaredRequest] = &[
    (Method::Get, "*/nix-cache-info"),
    (Method::Get, "*.narinfo"),
    (Method::Head, "*.narinfo"),
    (Method::Get, "*/nar/*"),
    (Method::Get, "*/metrics"),
    (Method::Get, "*/api/cache-stats"),
    (Method::Get, "*/api/cache-config"),
    (Method::Get, "*/api/gc/status"),
];

/// How gently it is asked.
static RULES: Rules = Rules::new(REQUESTS);

/// What the server said of its cache.
#[derive(Clone, Debug, Default)]
struct Told {
    inventory: Option<Inventory>,
    config: Option<CacheConfig>,
    /// How the last collection went; none without the token, or before the first.
    collection: Option<Collection>,
    /// Why nothing is known: the server did not answer.
    silence: Option<String>,
}

/// What is remembered of a server.
#[derive(Default)]
struct Niks3Memory {
    told: Option<Dated<Told>>,
}

impl MemoryPart for Niks3Memory {}

/// The kind `niks3`.
pub(super) struct Niks3;

impl TierProbe for Niks3 {
    fn rules(&self) -> &'static Rules {
        &RULES
    }

    fn look<'a>(&'a self, asking: &'a Asking<'a>) -> TierFuture<'a, TierFacts> {
        Box::pin(async move {
            let mut facts = up::look(asking).await;
            add_told(asking, &mut facts).await;
            facts
        })
    }

    fn holds<'a>(
        &'a self,
        asking: &'a Asking<'a>,
        paths: &'a [&'a StorePath],
    ) -> TierFuture<'a, Result<Vec<bool>, RequestError>> {
        Box::pin(held(asking, paths))
    }

    fn size<'a>(
        &'a self,
        asking: &'a Asking<'a>,
    ) -> TierFuture<'a, Result<Option<SizeFacts>, RequestError>> {
        Box::pin(async move {
            let told = told(asking).await;
            Ok(told.value.inventory.map(|inventory| size_of(asking, &told, inventory)))
        })
    }
}

/// Returns the tier as it is at its server, which gets the same credentials: hosts.toml names it.
fn at_server(tier: &Tier) -> Tier {
    Tier { url: tier.login_url().to_owned(), ..tier.clone() }
}

/// Adds what the server says of its cache, which hosts do not need.
async fn add_told(asking: &Asking<'_>, facts: &mut TierFacts) {
    let told = told(asking).await;
    let Dated { at, value } = &told;
    let age = said_ago(asking, *at);
    if let Some(why) = &value.silence {
        let finding =
            kinds::api_silent(asking.tier, Code::ApiUnreachable, "of niks3 does not answer", why);
        facts.findings.push(finding);
    }
    if let Some(inventory) = value.inventory {
        describe(asking, &inventory, &age, facts);
        facts.size = Some(size_of(asking, &told, inventory));
    }
    if let Some(config) = &value.config {
        compare(asking.tier, config, facts);
    }
    let collection = value.collection.as_ref().filter(|collection| collection.state == "failed");
    if let Some(collection) = collection {
        let error = printable_line(&collection.error);
        facts.findings.push(kinds::collection_failed(asking.tier, collection.finished_at, &error));
    }
}

/// Returns how long ago something was, in words.
fn said_ago(asking: &Asking<'_>, at: Timestamp) -> String {
    match ago(since(asking, at)).as_str() {
        "now" => "now".to_owned(),
        age => format!("{age} ago"),
    }
}

/// Says what the cache holds and when garbage was collected last.
fn describe(asking: &Asking<'_>, inventory: &Inventory, age: &str, facts: &mut TierFacts) {
    let told = |text: String| format!("{text}, as niks3 told {age}");
    let bytes = crate::fleet::bytes(inventory.logical_bytes);
    let objects = format!("{} objects of {bytes} before compression", inventory.objects);
    facts.details.push(detail("objects", &told(objects)));
    if let Some(pending) = inventory.pending {
        let uploads = if pending == 1 { "1 upload is" } else { &format!("{pending} uploads are") };
        facts.details.push(detail("pending", &told(format!("{uploads} not complete"))));
    }
    let collected = match (inventory.collected_at, inventory.collections) {
        (Some(at), runs) => {
            let failed = runs.map_or(0, |(_, failed)| failed);
            let but = if failed > 0 { format!("; {failed} failed") } else { String::new() };
            format!("the last one that succeeded ended {}{but}", said_ago(asking, at))
        }
        (None, Some((0, _))) => "none since the server was started".to_owned(),
        (None, Some((all, failed))) => {
            format!("none succeeded since the server was started, {failed} of {all} failed")
        }
        (None, None) => return,
    };
    facts.details.push(detail("collection", &collected));
}

/// Compares what the server says of address and keys with hosts.toml.
fn compare(tier: &Tier, config: &CacheConfig, facts: &mut TierFacts) {
    let theirs: Vec<&str> = config.public_keys.iter().map(String::as_str).collect();
    compare_keys(tier, &theirs, facts);
    let own = config.substituter_url.trim_end_matches('/');
    if !own.is_empty() && own != tier.url {
        let text = format!("niks3 tells hosts to ask {}", printable_line(own));
        facts.details.push(detail("substituter", &text));
    }
}

/// Returns the size: at least so much before compression, since some objects have no known size.
fn size_of(asking: &Asking<'_>, told: &Dated<Told>, inventory: Inventory) -> SizeFacts {
    // The limit is of compressed bytes, and says nothing of these.
    let found = size(asking, inventory.logical_bytes, Some(inventory.objects), None, false);
    SizeFacts { limit: None, measured_at: Some(told.at), ..found }
}

/// Asks the server now and then what it says of its cache.
async fn told(asking: &Asking<'_>) -> Dated<Told> {
    let known = asking.memory.part(asking.tier, |memory: &mut Niks3Memory| {
        let known = memory.told.clone();
        recent(asking, known.as_ref(), API_AGE).and(known)
    });
    if let Some(known) = known {
        return known;
    }
    let server = at_server(asking.tier);
    let value = match metrics(asking, &server).await {
        Ok(Some(inventory)) => all(asking, &server, Some(inventory)).await,
        Ok(None) => {
            let stats = json::<Stats>(asking, &server, "cache-stats").await;
            all(asking, &server, stats.map(Inventory::from)).await
        }
        Err(error) => Told { silence: Some(error.to_string()), ..Told::default() },
    };
    let dated = Dated { at: asking.now, value };
    let kept = Some(dated.clone()).filter(|told| told.value.silence.is_none());
    asking.memory.part(asking.tier, |memory: &mut Niks3Memory| memory.told = kept);
    dated
}

/// Asks for the rest: keys and address, and with a token how the last collection went.
async fn all(asking: &Asking<'_>, server: &Tier, inventory: Option<Inventory>) -> Told {
    let config = json(asking, server, "cache-config").await;
    let collection =
        if server.access.login.is_token() { json(asking, server, "gc/status").await } else { None };
    Told { inventory, config, collection, silence: None }
}

/// Reads the metrics; nothing where they are not served, or are not niks3's.
async fn metrics(asking: &Asking<'_>, server: &Tier) -> Result<Option<Inventory>, RequestError> {
    let ask = HttpRequest::get(format!("{}/metrics", server.url)).limit(METRICS_LIMIT);
    let reply = asking.web.ask(server, &RULES, ask).await?;
    if reply.status != 200 {
        return Ok(None);
    }
    Ok(read_metrics(reply.body).await.and_then(|metrics| Inventory::of_metrics(&metrics)))
}

/// Asks the server's interface for something; nothing where it does not say.
async fn json<T: DeserializeOwned + Send + 'static>(
    asking: &Asking<'_>,
    server: &Tier,
    what: &str,
) -> Option<T> {
    let ask = HttpRequest::get(format!("{}/api/{what}", server.url));
    let reply: HttpReply = asking.web.ask(server, &RULES, ask).await.ok()?;
    if reply.status == 200 { read_json(reply.body).await.ok() } else { None }
}

#[cfg(test)]
mod tests;
