//! harmonia: a binary cache like any other, with counters that tell narinfos from the rest.
//!
//! Its metrics (on by default since version 3.0) label every request with method, route and
//! status. Version 3.2 answers HEAD for narinfos, so that our coverage does not count among GETs;
//! an older one is asked with GET, and what we asked is taken off.

use crate::fleet::{SizeFacts, StorePath, Tier, TierFacts, TierState, printable_line};
use crate::probe::asking::{Asking, TierFuture, TierProbe};
use crate::probe::checks::answer::{detail, read_metrics, recent};
use crate::probe::checks::held::{held, held_by_head};
use crate::probe::checks::served::{self, Counts};
use crate::probe::checks::up;
use crate::probe::kinds::local::size_of_host;
use crate::probe::memory::{Dated, MemoryPart};
use crate::probe::prometheus::Metrics;
use crate::probe::schedule::Pace;
use crate::probe::transport::{DeclaredRequest, HttpRequest, Method, RequestError, Rules};
use jiff::SignedDuration;

/// How long the version is believed.
const VERSION_AGE: SignedDuration = SignedDuration::from_mins(10);

/// Longest metrics that are read, in bytes.
const METRICS_LIMIT: usize = 4 << 20;

/// What harmonia is asked.
const REQUESTS: &[DeclaredRequest] = &[
    (Method::Get, "*/nix-cache-info"),
    (Method::Get, "*.narinfo"),
    (Method::Head, "*.narinfo"),
    (Method::Get, "*/nar/*"),
    (Method::Get, "*/metrics"),
    (Method::Get, "*/version"),
];

/// How gently it is asked.
static RULES: Rules = Rules::new(REQUESTS);

/// What is remembered of a server: its version, none where it does not say.
#[derive(Default)]
struct HarmoniaMemory {
    version: Option<Dated<Option<String>>>,
}

impl MemoryPart for HarmoniaMemory {}

/// The kind `harmonia`.
pub(super) struct Harmonia;

impl TierProbe for Harmonia {
    fn rules(&self) -> &'static Rules {
        &RULES
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
        Box::pin(async move {
            let counts = counters(asking).await;
            let served = counts.map(|counts| served::since_last(asking, counts));
            let mut facts = up::look(asking).await;
            if matches!(facts.state, TierState::Down | TierState::Proxy | TierState::Unknown) {
                return facts;
            }
            facts.details.extend(version(asking).await.map(|text| detail("version", &text)));
            match served {
                Some(served) => facts.served = served,
                None => facts.details.push(detail(
                    "metrics",
                    "not served: harmonia has them since version 3.0, unless switched off",
                )),
            }
            facts
        })
    }

    fn holds<'a>(
        &'a self,
        asking: &'a Asking<'a>,
        paths: &'a [&'a StorePath],
    ) -> TierFuture<'a, Result<Vec<bool>, RequestError>> {
        Box::pin(async move {
            if version(asking).await.is_some_and(|version| answers_head(&version)) {
                return held_by_head(asking, paths).await;
            }
            let held = held(asking, paths).await?;
            served::asked(asking, &held);
            Ok(held)
        })
    }

    fn size<'a>(
        &'a self,
        asking: &'a Asking<'a>,
    ) -> TierFuture<'a, Result<Option<SizeFacts>, RequestError>> {
        Box::pin(async move { Ok(size_of_host(asking).await) })
    }
}

/// Asks for the version now and then, such as `harmonia-cache 3.2.0`.
async fn version(asking: &Asking<'_>) -> Option<String> {
    let known = asking.memory.part(asking.tier, |memory: &mut HarmoniaMemory| {
        recent(asking, memory.version.as_ref(), VERSION_AGE)
    });
    if let Some(version) = known {
        return version;
    }
    let url = format!("{}/version", asking.tier.url);
    let reply = asking.send(HttpRequest::get(url).limit(200)).await.ok()?;
    let text = printable_line(reply.text().trim());
    let version = (reply.status == 200 && text.starts_with("harmonia")).then_some(text);
    let dated = Some(Dated { at: asking.now, value: version.clone() });
    asking.memory.part(asking.tier, |memory: &mut HarmoniaMemory| memory.version = dated);
    version
}

/// Returns whether a version answers HEAD for a narinfo without counting it as GET.
fn answers_head(version: &str) -> bool {
    let number = version.rsplit(' ').next().unwrap_or_default();
    let mut parts = number.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (3, 2)
}

/// Reads the counters; nothing where there are none. A server that nobody has asked anything yet
/// answers with an empty text: each of its counters begins with the first request that it counts.
async fn counters(asking: &Asking<'_>) -> Option<Counts> {
    let url = format!("{}/metrics", asking.tier.url);
    let ask = HttpRequest::get(url).limit(METRICS_LIMIT);
    let reply = asking.send(ask).await.ok()?;
    let body = (reply.status == 200).then_some(reply.body)?;
    let is_empty = body.iter().all(u8::is_ascii_whitespace);
    if is_empty { Some(Counts::default()) } else { counts(&read_metrics(body).await?) }
}

/// Picks the counters out of the metrics.
fn counts(metrics: &Metrics) -> Option<Counts> {
    const NAME: &str = "harmonia_http_requests_total";
    let narinfo = |status: &'static str| {
        metrics.sum(NAME, |sample| {
            sample.label("method") == Some("GET")
                && sample.label("path") == Some("/{hash}.narinfo")
                && sample.label("status") == Some(status)
        })
    };
    // Of everything else only nars are asked for by hosts: narinfo, nar, and nothing of ours.
    let wanted = |path: &str| path == "/{hash}.narinfo" || path.starts_with("/nar/");
    let asked = |only_missing: bool| {
        metrics.sum(NAME, |sample| {
            sample.label("method") == Some("GET")
                && sample.label("path").is_some_and(wanted)
                && (!only_missing || sample.label("status") == Some("404"))
        })
    };
    Some(Counts {
        hits: narinfo("200")?,
        misses: narinfo("404")?,
        requests: asked(false)?,
        not_found: asked(true)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narinfos_are_told_from_nars_and_heads() {
        let text = include_str!("../../../../tests/answers/harmonia/metrics-before.txt");
        let counts = counts(&Metrics::parse(text).unwrap()).unwrap();
        assert_eq!(counts, Counts { hits: 201.0, misses: 41.0, requests: 363.0, not_found: 41.0 });
    }

    #[test]
    fn only_version_3_2_and_newer_answer_head() {
        for (version, expected) in [
            ("harmonia-cache 3.2.0", true),
            ("harmonia-cache 4.0", true),
            ("harmonia-cache 3.1.9", false),
            ("harmonia 2.1.0", false),
            ("harmonia", false),
        ] {
            assert_eq!(answers_head(version), expected, "{version}");
        }
    }
}
