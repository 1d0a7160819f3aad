//! ncps: a proxy before other caches, that tells its own hits and misses.
//!
//! Asked for a narinfo that it has not, it fetches path and nar from upstream. Under `/upload` it
//! answers with what it has and fetches nothing; so everything is asked for there. A narinfo that it
//! has counts as used all the same: what is asked for is what ncps evicts last. Its counters
//! count such requests too: hits of ours are taken off, and misses of ours carry no status.

use crate::fleet::words::kinds;
use crate::fleet::{StorePath, Tier, TierFacts, TierState};
use crate::probe::asking::{Asking, TierFuture, TierProbe};
use crate::probe::checks::answer::{detail, failed, read_metrics, recent, refused, size};
use crate::probe::checks::held::held;
use crate::probe::checks::served::{self, Counts};
use crate::probe::checks::up::{info, mark_slow};
use crate::probe::checks::{proof, take_verdict};
use crate::probe::memory::{Dated, MemoryPart};
use crate::probe::prometheus::Metrics;
use crate::probe::schedule::Pace;
use crate::probe::transport::{DeclaredRequest, HttpRequest, Method, RequestError, Rules};
use jiff::SignedDuration;

/// How long the pins are believed.
const PINS_AGE: SignedDuration = SignedDuration::from_mins(5);

/// Longest metrics that are read, in bytes.
const METRICS_LIMIT: usize = 4 << 20;

/// What ncps is asked. There is no narinfo but under `/upload`: another would be fetched.
const REQUESTS: &[DeclaredRequest] = &[
    (Method::Get, "*/healthz"),
    (Method::Get, "*/metrics"),
    (Method::Get, "*/pins"),
    (Method::Get, "*/nix-cache-info"),
    (Method::Get, "*/upload/*.narinfo"),
    (Method::Get, "*/upload/nar/*"),
];

/// How gently it is asked.
static RULES: Rules = Rules::new(REQUESTS);

/// What is remembered of a proxy: how many closures are pinned, none where it does not say.
#[derive(Default)]
struct NcpsMemory {
    pins: Option<Dated<Option<usize>>>,
}

impl MemoryPart for NcpsMemory {}

/// The kind `ncps`.
pub(super) struct Ncps;

impl TierProbe for Ncps {
    fn rules(&self) -> &'static Rules {
        &RULES
    }

    /// As it answers without fetching anything.
    fn files_url(&self, tier: &Tier) -> String {
        format!("{}/upload", tier.url)
    }

    fn target(&self, _tier: &Tier) -> Pace {
        Pace::LanTier
    }

    fn counts_requests(&self) -> bool {
        true
    }

    fn shares_counters(&self) -> bool {
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
            let held = held(asking, paths).await?;
            // Misses of `/upload` are not among those that are counted here.
            let hits: Vec<bool> = held.iter().copied().filter(|held| *held).collect();
            served::asked(asking, &hits);
            Ok(held)
        })
    }
}

/// Looks at a proxy.
async fn look(asking: &Asking<'_>) -> TierFacts {
    let tier = asking.tier;
    let url = format!("{}/healthz", tier.url);
    let health = match asking.send(HttpRequest::get(url)).await {
        Ok(reply) => reply,
        Err(error) => return failed(tier, &error),
    };
    if health.status != 200 {
        return refused(asking, "healthz", &health, "give nixdash its --cache-get-token");
    }
    let before = metrics(asking).await;
    let served = before.as_ref().and_then(counts).and_then(|now| served::since_last(asking, now));
    let mut facts = whether_well(asking).await;
    if matches!(
        facts.state,
        TierState::Down | TierState::Proxy | TierState::Unauthorized | TierState::Unknown
    ) {
        return facts;
    }
    if let Some(metrics) = &before {
        facts.served = served;
        describe(asking, metrics, &mut facts);
    } else {
        let text = "not served: start it with --prometheus-enabled to see hits and size";
        facts.details.push(detail("metrics", text));
    }
    if let Some(count) = pins(asking).await {
        facts.details.push(detail("pins", &count.to_string()));
    }
    if before.is_some()
        && let Some(after) = metrics(asking).await.as_ref().and_then(counts)
    {
        served::end(asking, after);
    }
    facts
}

/// Asks as a host does, and proves signature and nar with what it has already.
async fn whether_well(asking: &Asking<'_>) -> TierFacts {
    let tier = asking.tier;
    let url = format!("{}/nix-cache-info", tier.url);
    let reply = match asking.send(HttpRequest::get(url)).await {
        Ok(reply) => reply,
        Err(error) => return failed(tier, &error),
    };
    let mut facts = info(tier, &reply);
    if facts.state != TierState::Up {
        return facts;
    }
    let verdict = proof::search(asking).await;
    take_verdict(asking, verdict, &mut facts).await;
    mark_slow(&mut facts);
    facts
}

/// Reads the metrics; nothing where there are none.
async fn metrics(asking: &Asking<'_>) -> Option<Metrics> {
    let url = format!("{}/metrics", asking.tier.url);
    let ask = HttpRequest::get(url).limit(METRICS_LIMIT);
    let reply = asking.send(ask).await.ok()?;
    if reply.status == 200 { read_metrics(reply.body).await } else { None }
}

/// Asks now and then how many closures are pinned.
async fn pins(asking: &Asking<'_>) -> Option<usize> {
    let known = asking.memory.part(asking.tier, |memory: &mut NcpsMemory| {
        recent(asking, memory.pins.as_ref(), PINS_AGE)
    });
    if let Some(pins) = known {
        return pins;
    }
    let url = format!("{}/pins", asking.tier.url);
    let reply = asking.send(HttpRequest::get(url)).await.ok()?;
    let list: Option<Vec<String>> =
        (reply.status == 200).then(|| serde_json::from_slice(&reply.body).ok()).flatten();
    let count = list.map(|list| list.len());
    let dated = Some(Dated { at: asking.now, value: count });
    asking.memory.part(asking.tier, |memory: &mut NcpsMemory| memory.pins = dated);
    count
}

/// Picks the counters out of the metrics: what hosts asked for, hit or missed.
///
/// A miss without a status is of `/upload`: ours, or of somebody who pushes.
fn counts(metrics: &Metrics) -> Option<Counts> {
    const NARINFO: &str = "ncps_narinfo_served_total";
    const NAR: &str = "ncps_nar_served_total";
    let of = |name: &str, result: &str| {
        metrics.sum(name, |sample| {
            sample.label("result") == Some(result) && sample.label("status").is_some()
        })
    };
    let (hits, misses) = (of(NARINFO, "hit")?, of(NARINFO, "miss")?);
    let nars = of(NAR, "hit").unwrap_or(0.0) + of(NAR, "miss").unwrap_or(0.0);
    // What it misses it fetches, so a miss is no 404.
    Some(Counts { hits, misses, requests: hits + misses + nars, not_found: 0.0 })
}

/// Says how full it is and how its upstreams are.
fn describe(asking: &Asking<'_>, metrics: &Metrics, facts: &mut TierFacts) {
    let whole = |name: &str| metrics.total(name).filter(|value| *value >= 0.0);
    if let Some(bytes) = whole("ncps_store_total_size_bytes") {
        let limit = whole("ncps_cache_max_size_bytes").filter(|limit| *limit > 0.0);
        let objects = whole("ncps_nar_file_count").map(|count| count as u64);
        let limit = limit.map(|limit| limit as u64);
        facts.size = Some(size(asking, bytes as u64, objects, limit, true));
    }
    if let (Some(healthy), Some(all)) =
        (whole("ncps_upstream_count_healthy"), whole("ncps_upstream_count_total"))
    {
        let text = format!("{healthy:.0} of {all:.0} healthy");
        if healthy < all {
            facts.findings.push(kinds::upstreams_failing(asking.tier, healthy, all));
        } else {
            facts.details.push(detail("upstreams", &text));
        }
    }
    if let Some(freed) = whole("ncps_lru_bytes_freed_total").filter(|freed| *freed > 0.0) {
        let text = format!("{} since it was started", crate::fleet::bytes(freed as u64));
        facts.details.push(detail("evicted", &text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misses_of_those_who_push_are_nobodys_misses() {
        let text = include_str!("../../../../tests/answers/ncps/metrics-before.txt");
        let counts = counts(&Metrics::parse(text).unwrap()).unwrap();
        assert_eq!((counts.hits, counts.misses), (4310.0, 415.0));
        assert!(counts.requests > 4725.0);
    }
}
