//! Whether a cache is up: its `nix-cache-info`, and then what can be proven.
//!
//! That `nix-cache-info` answers proves little; so a narinfo is fetched too and its signature
//! checked against the configured key. Only GET is used: nix-serve ignores the method, and caches
//! that redirect to signed addresses refuse HEAD.

use crate::fleet::words::{on_host, tiers};
use crate::fleet::{Subject, Tier, TierFacts, TierState, printable_line};
use crate::nix::cache_info::{CacheInfo, CacheInfoFault};
use crate::probe::asking::{Asking, TierProbe};
use crate::probe::checks::answer::failed;
use crate::probe::checks::{one_request, prove};
use crate::probe::clock::milliseconds;
use crate::probe::transport::{Asker, HttpReply, HttpRequest, RequestError, RequestTrouble};

/// The store directory of every NixOS.
pub(in crate::probe) const STORE_DIR: &str = "/nix/store";

/// A tier that takes longer than this for its first byte is slow, in milliseconds.
pub(in crate::probe) const SLOW_MS: f64 = 1000.0;

/// Asks whether a cache is up, and proves its signature and that it serves its nars.
pub(in crate::probe) async fn look(asking: &Asking<'_>) -> TierFacts {
    if let Some((facts, _)) = one_request::by_probe_path(asking).await {
        return facts;
    }
    let answer = asking.send(HttpRequest::get(asking.info_url()).follow()).await;
    let facts = weigh(asking, &answer).await;
    one_request::keep(asking, &facts);
    facts
}

/// Says what an answer to `nix-cache-info` means, and proves the rest when it was good.
pub(in crate::probe) async fn weigh(
    asking: &Asking<'_>,
    answer: &Result<HttpReply, RequestError>,
) -> TierFacts {
    let mut facts = match asking.transport.asker() {
        Some(asker) => seen_from(asking.kind, asking.tier, asker, answer),
        None => match answer {
            Ok(reply) => info(asking.tier, reply),
            Err(error) => failed(asking.tier, error),
        },
    };
    if facts.state == TierState::Up {
        prove(asking, &mut facts).await;
        // The first answer of a fresh connection is late for more than the connecting.
        if let Ok(HttpReply { connect: Some(_), first_byte, .. }) = answer
            && let Some(warm) = asking.transport.take_warm(asking.tier)
        {
            facts.latency_ms = Some(milliseconds(warm.min(*first_byte)));
        }
        mark_slow(&mut facts);
    }
    facts
}

/// Calls a tier slow that is up and took long to answer.
pub(in crate::probe) fn mark_slow(facts: &mut TierFacts) {
    if facts.state == TierState::Up && facts.latency_ms.is_some_and(|ms| ms > SLOW_MS) {
        facts.state = TierState::Slow;
    }
}

/// Says what an answer to `nix-cache-info` means.
pub(in crate::probe) fn info(tier: &Tier, reply: &HttpReply) -> TierFacts {
    let mut facts = TierFacts {
        latency_ms: Some(milliseconds(reply.first_byte)),
        connect_ms: reply.connect.map(milliseconds),
        ..TierFacts::default()
    };
    match reply.status {
        200 => {}
        status @ (401 | 403) => {
            facts.state = TierState::Unauthorized;
            facts.findings.push(tiers::denied(tier, status));
            return facts;
        }
        status => {
            facts.state = TierState::Degraded;
            facts.findings.push(tiers::no_cache_info(tier, status));
            return facts;
        }
    }
    let info = CacheInfo::parse(&reply.text());
    facts.priority = info.priority;
    facts.store_dir = info.store_dir.as_deref().map(printable_line);
    let (state, finding) = match info.fault {
        Some(CacheInfoFault::OtherStoreDir(other)) => {
            let other = printable_line(&other);
            (TierState::WrongStore, Some(tiers::store_dir_wrong(tier, &other)))
        }
        Some(CacheInfoFault::PriorityUnreadable(value)) => {
            let value = printable_line(&value);
            (TierState::Malformed, Some(tiers::priority_unreadable(tier, &value)))
        }
        // Nix takes a page for a cache of its own store with Priority 0.
        None if info.says_nothing => {
            (TierState::Degraded, Some(tiers::nonsense(tier, "nix-cache-info")))
        }
        None => (TierState::Up, None),
    };
    facts.state = state;
    facts.findings.extend(finding);
    facts
}

/// Says what it means that a host got this answer to a tier's `nix-cache-info`.
pub(in crate::probe) fn seen_from(
    kind: &dyn TierProbe,
    tier: &Tier,
    asker: Asker<'_>,
    answer: &Result<HttpReply, RequestError>,
) -> TierFacts {
    let host = asker.host;
    let reply = match answer {
        Ok(reply) => reply,
        Err(error) => {
            let why = &error.cause;
            let (state, finding) = match error.trouble {
                RequestTrouble::NoAnswer | RequestTrouble::Proxy => {
                    (TierState::Down, on_host::not_reached(tier, host, why))
                }
                RequestTrouble::Certificate => {
                    (TierState::Down, tiers::certificate_not_good(tier, &error.url, why))
                }
                RequestTrouble::Redirect => {
                    (TierState::Unknown, on_host::redirect_refused(tier, host, why))
                }
                RequestTrouble::Rest | RequestTrouble::Spent | RequestTrouble::Setup => {
                    (TierState::Unknown, on_host::curl_cannot_ask(tier, host, why))
                }
            };
            let subject = Subject::tier_on_host(tier, host);
            return TierFacts::of(state, finding.about(subject));
        }
    };
    let mut facts = info(tier, reply);
    if facts.state == TierState::Unauthorized {
        if !asker.root {
            facts.state = TierState::Unknown;
            facts.findings = vec![on_host::access_not_known(tier, host, reply.status)];
        } else if let Some(denied) = kind.denied_on_host(tier, host, reply) {
            facts.findings = vec![denied];
        }
    }
    let subject = Subject::tier_on_host(tier, host);
    facts.findings =
        facts.findings.into_iter().map(|finding| finding.about(subject.clone())).collect();
    facts
}

#[cfg(test)]
mod tests;
