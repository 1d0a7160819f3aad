//! Tiers that speak the binary cache protocol over HTTP: static and public, and what nix-serve and
//! harmonia share with them.
//!
//! That `nix-cache-info` answers proves little; so a narinfo is fetched too and its signature
//! checked against the configured key. Only GET is used: nix-serve ignores the method, and caches
//! that redirect to signed addresses refuse HEAD.

use crate::fleet::words::tiers;
use crate::fleet::{StorePath, Tier, TierFacts, TierState, printable_line};
use crate::nix::cache_info::CacheInfo;
use crate::nix::s3_url::web_url;
use crate::probe::clock::milliseconds;
use crate::probe::kinds::answers::failed;
pub(in crate::probe) use crate::probe::kinds::nar::prove_nar;
pub(in crate::probe) use crate::probe::kinds::proof::prove;
use crate::probe::kinds::proof::{recall, remember};
use crate::probe::kinds::thrift;
use crate::probe::tier::{Answer, Asking, TierProbe};
use crate::probe::web::{Ask, Declared, Method, Reply, WebError, width};
use futures_util::stream::{self, StreamExt as _};

/// The store directory of every NixOS.
const STORE_DIR: &str = "/nix/store";

/// A tier that takes longer than this for its first byte is slow, in milliseconds.
pub(in crate::probe) const SLOW_MS: f64 = 1000.0;

/// What the binary cache protocol needs.
pub(in crate::probe) const REQUESTS: &[Declared] =
    &[(Method::Get, "*/nix-cache-info"), (Method::Get, "*.narinfo"), (Method::Get, "*/nar/*")];

/// The probe of HTTP kinds.
pub(in crate::probe) struct HttpProbe;

impl TierProbe for HttpProbe {
    fn requests(&self) -> &'static [Declared] {
        REQUESTS
    }

    fn probe<'a>(&'a self, asking: &'a Asking<'a>) -> Answer<'a, TierFacts> {
        Box::pin(look_at(asking, REQUESTS))
    }

    fn holds<'a>(
        &'a self,
        asking: &'a Asking<'a>,
        paths: &'a [&'a StorePath],
    ) -> Answer<'a, Result<Vec<bool>, WebError>> {
        Box::pin(held(asking, REQUESTS, paths))
    }
}

/// Asks whether a cache is well, and proves its signature and that it serves its nars.
pub(in crate::probe) async fn look_at(asking: &Asking<'_>, declared: &[Declared]) -> TierFacts {
    if let Some((facts, _)) = thrift::by_canary(asking, declared).await {
        return facts;
    }
    let tier = asking.tier;
    let url = format!("{}/nix-cache-info", web_url(tier));
    let reply = match asking.web.send(tier, declared, Ask::get(url).follow()).await {
        Ok(reply) => reply,
        Err(error) => return failed(tier, &error),
    };
    let facts = weigh(asking, declared, &reply).await;
    thrift::keep(asking, &facts);
    facts
}

/// Judges an answer to `nix-cache-info`, and proves the rest when it was good.
pub(in crate::probe) async fn weigh(
    asking: &Asking<'_>,
    declared: &[Declared],
    reply: &Reply,
) -> TierFacts {
    let mut facts = judge(asking.tier, reply);
    if facts.state == TierState::Up {
        if !recall(asking, &mut facts) {
            let (signature, proof, narinfo) = prove(asking, declared).await;
            facts.signature = signature;
            facts.proof = Some(proof);
            if let Some(narinfo) = narinfo {
                prove_nar(asking, declared, &narinfo, &mut facts).await;
            }
            remember(asking, &facts);
        }
        // The first answer of a fresh connection is late for more than the connecting.
        if reply.connect.is_some()
            && let Some(warm) = asking.web.take_warm(asking.tier)
        {
            facts.latency_ms = Some(milliseconds(warm.min(reply.first_byte)));
        }
        if facts.state == TierState::Up && facts.latency_ms.is_some_and(|ms| ms > SLOW_MS) {
            facts.state = TierState::Slow;
        }
    }
    facts
}

/// Asks which paths a cache has a narinfo of: the first alone, so that the protocol is known, then
/// as many at once as the connection bears.
pub(in crate::probe) async fn held(
    asking: &Asking<'_>,
    declared: &[Declared],
    paths: &[&StorePath],
) -> Result<Vec<bool>, WebError> {
    let statuses = held_by(asking, declared, paths, Ask::get).await?;
    // A bucket that may not be listed answers 403 for what it lacks, and so does one that lets
    // nobody in: what it says of itself tells which it is.
    if !statuses.is_empty() && statuses.iter().all(|status| *status == 403) {
        let url = format!("{}/nix-cache-info", web_url(asking.tier));
        let reply = asking.web.send(asking.tier, declared, Ask::get(url).follow()).await?;
        if matches!(reply.status, 401 | 403) {
            return Err(closed(asking.tier, reply.status));
        }
    }
    Ok(statuses.into_iter().map(is_there).collect())
}

/// Returns whether a status says that a narinfo is there.
fn is_there(status: u16) -> bool {
    matches!(status, 200 | 204)
}

/// Says that nothing is known of what a cache holds that lets nobody in.
pub(in crate::probe) fn closed(tier: &Tier, status: u16) -> WebError {
    let cause = format!("answered {status} for nix-cache-info too: what it holds is not known");
    WebError::new(&tier.url, &cause, "see why it does not let us in")
}

/// Does what [`held`] does, for servers that answer HEAD as they should.
pub(in crate::probe) async fn held_by_head(
    asking: &Asking<'_>,
    declared: &[Declared],
    paths: &[&StorePath],
) -> Result<Vec<bool>, WebError> {
    let statuses = held_by(asking, declared, paths, Ask::head).await?;
    Ok(statuses.into_iter().map(is_there).collect())
}

/// Asks for many narinfos; returns the status of each: it is there, or it is not.
async fn held_by(
    asking: &Asking<'_>,
    declared: &[Declared],
    paths: &[&StorePath],
    ask: fn(String) -> Ask,
) -> Result<Vec<u16>, WebError> {
    let Some((first, rest)) = paths.split_first() else { return Ok(Vec::new()) };
    let (answer, is_http2) = holds_one(asking, declared, first, ask).await?;
    let mut all = vec![answer];
    let mut answers = stream::iter(rest)
        .map(|path| holds_one(asking, declared, path, ask))
        .buffered(width(asking.tier.kind.name(), is_http2))
        .boxed();
    while let Some(answer) = answers.next().await {
        all.push(answer?.0);
    }
    Ok(all)
}

/// Asks whether a cache has a narinfo of a path: its status, and whether it speaks HTTP/2.
async fn holds_one(
    asking: &Asking<'_>,
    declared: &[Declared],
    path: &StorePath,
    ask: fn(String) -> Ask,
) -> Result<(u16, bool), WebError> {
    let url = format!("{}/{}.narinfo", web_url(asking.tier), path.hash());
    let reply = asking.web.send(asking.tier, declared, ask(url).follow()).await?;
    match reply.status {
        status @ (200 | 204 | 403 | 404) => Ok((status, reply.is_http2)),
        status => Err(WebError::new(
            &asking.tier.url,
            &format!("answered {status} for the narinfo of {}", path.name()),
            "see the log of the cache",
        )),
    }
}

/// Says what an answer to `nix-cache-info` means.
pub(in crate::probe) fn judge(tier: &Tier, reply: &Reply) -> TierFacts {
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
    match facts.store_dir.as_deref() {
        Some(STORE_DIR) => facts.state = TierState::Up,
        Some(other) => {
            facts.state = TierState::WrongStore;
            facts.findings.push(tiers::store_dir_wrong(tier, other));
        }
        None => {
            facts.state = TierState::Degraded;
            facts.findings.push(tiers::nonsense(tier, "nix-cache-info"));
        }
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Code, KindName, SignatureState, SizeFacts};
    use crate::nix::signature::parse_public_key;
    use crate::probe::memory::Memory;
    use crate::probe::server::{KEY, NARINFO, PATH, Server};
    use crate::probe::tier::Tools;
    use crate::probe::web::Web;
    use crate::remote::FakeRunner;
    use jiff::Timestamp;

    const OTHER_KEY: &str = "test-1:NiNfYW82Gw9o49ng/jhUKy3RmtBlesa/LQ0HuCcuSeU=";
    const NIXOS_KEY: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
    const INFO: &str = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n";

    /// Makes a tier at a server.
    fn tier(url: &str, key: &str) -> Tier {
        Tier {
            public_key: parse_public_key(key).ok(),
            host: Some("p620".to_owned()),
            ..Tier::new("p620", KindName::NixServe, url)
        }
    }

    /// Probes a tier with what a test has.
    async fn probe_one(
        web: &Web,
        tier: &Tier,
        paths: &[StorePath],
        previous: Option<&TierFacts>,
    ) -> TierFacts {
        let (fleet, memory) = (crate::config::fallback(), Memory::default());
        let runner = FakeRunner::unreachable();
        let tools = Tools { web, runner: &runner, fleet: &fleet, memory: &memory };
        let asking = tools.asking(tier, paths, &[], Timestamp::now());
        crate::probe::tier::probe(&asking, previous).await
    }

    /// Probes a server that answers with these files.
    async fn probe_with(files: &[(&str, u16, &str)], key: &str, paths: &[&str]) -> TierFacts {
        let server = Server::start(files).await;
        let web = Web::new().unwrap();
        let paths: Vec<StorePath> = paths.iter().map(|p| StorePath::parse(p).unwrap()).collect();
        probe_one(&web, &tier(&server.url, key), &paths, None).await
    }

    #[tokio::test]
    async fn a_healthy_tier_is_proven_by_a_signature() {
        let files = [
            ("/nix-cache-info", 200, INFO),
            ("/p21fy4sc5b87h3ma8y0mbiph36v5yfk7.narinfo", 200, NARINFO),
            ("/nar/x.nar.xz", 206, "x"),
        ];
        let missing = "/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-b-2.0";
        let facts = probe_with(&files, KEY, &[missing, PATH]).await;
        assert_eq!(facts.state, TierState::Up);
        assert_eq!(facts.signature, SignatureState::Valid);
        assert_eq!(facts.proof.as_deref(), Some("a-1.0, signed by test-1"));
        assert_eq!((facts.priority, facts.store_dir.as_deref()), (Some(30), Some("/nix/store")));
        assert!(facts.latency_ms.is_some() && facts.measured_at.is_some());

        let facts = probe_with(&files, OTHER_KEY, &[PATH]).await;
        assert_eq!(facts.signature, SignatureState::Invalid);
        let facts = probe_with(&files, NIXOS_KEY, &[PATH]).await;
        assert_eq!(facts.signature, SignatureState::Untrusted);
        let proof = "a-1.0 is signed by test-1, not by cache.nixos.org-1";
        assert_eq!(facts.proof.as_deref(), Some(proof));
        let facts = probe_with(&files, KEY, &[missing]).await;
        assert_eq!(facts.signature, SignatureState::Unchecked);
        assert!(facts.proof.unwrap().contains("none of 1 paths"));
    }

    #[tokio::test]
    async fn a_narinfo_of_another_path_proves_nothing() {
        let files = [
            ("/nix-cache-info", 200, INFO),
            ("/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a.narinfo", 200, NARINFO),
        ];
        let other = "/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-b-2.0";
        let facts = probe_with(&files, KEY, &[other]).await;
        assert_eq!(facts.signature, SignatureState::Unchecked);
        assert!(facts.proof.unwrap().contains("another path"));
    }

    #[tokio::test]
    async fn what_is_not_a_healthy_cache_says_why() {
        for (status, body, state, word) in [
            (401, "", TierState::Unauthorized, "token"),
            (403, "", TierState::Unauthorized, "token"),
            (404, "no", TierState::Degraded, "address of a cache"),
            (429, "", TierState::Degraded, "less often"),
            (500, "", TierState::Degraded, "500"),
            (200, "<html>", TierState::Degraded, "no nix-cache-info"),
            (200, "StoreDir: /gnu/store\n", TierState::WrongStore, "/gnu/store"),
        ] {
            let facts = probe_with(&[("/nix-cache-info", status, body)], KEY, &[PATH]).await;
            assert_eq!(facts.state, state, "{status} {body}");
            assert!(facts.error().unwrap().contains(word), "{:?}", facts.error());
            assert_eq!(facts.signature, SignatureState::Unchecked);
        }
    }

    #[tokio::test]
    async fn a_tier_that_is_down_keeps_what_was_known_and_says_whose_cache_to_start() {
        let server = Server::start(&[("/nix-cache-info", 200, INFO)]).await;
        let web = Web::new().unwrap();
        let mut tier = tier(&server.url, KEY);
        let up = probe_one(&web, &tier, &[], None).await;
        assert_eq!(up.state, TierState::Up);
        // A port that was just free and is closed again.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        tier.url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let down = probe_one(&web, &tier, &[], Some(&up)).await;
        assert_eq!(down.state, TierState::Down);
        assert_eq!((down.priority, down.latency_ms), (Some(30), None));
        assert_eq!(down.measured_at, up.measured_at);
        assert!(down.error().unwrap().contains("running on p620"), "{:?}", down.error());
    }

    #[tokio::test]
    async fn a_tier_that_is_nearly_full_is_named_by_the_size_that_was_measured_last() {
        let server = Server::start(&[("/nix-cache-info", 200, INFO)]).await;
        let (web, tier) = (Web::new().unwrap(), tier(&server.url, KEY));
        let with = |bytes, exact| TierFacts {
            size: Some(SizeFacts { bytes, limit: Some(1000), exact, ..SizeFacts::default() }),
            ..TierFacts::default()
        };
        for (last, codes) in [
            (with(950, true), vec![Code::NearlyFull]),
            (with(890, true), Vec::new()),
            (with(950, false), Vec::new()),
        ] {
            let facts = probe_one(&web, &tier, &[], Some(&last)).await;
            let found: Vec<Code> = facts.findings.iter().map(|finding| finding.code).collect();
            assert_eq!((found, facts.state), (codes, TierState::Up), "{last:?}");
        }
    }

    #[tokio::test]
    async fn a_narinfo_without_its_nar_is_named() {
        let files = [
            ("/nix-cache-info", 200, INFO),
            ("/p21fy4sc5b87h3ma8y0mbiph36v5yfk7.narinfo", 200, NARINFO),
        ];
        let facts = probe_with(&files, KEY, &[PATH]).await;
        assert_eq!(facts.state, TierState::NarMissing);
        assert!(facts.error().unwrap().contains("answered 404 for its nar"));
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut() {
        let long = "x".repeat(3 << 20);
        let facts = probe_with(&[("/nix-cache-info", 200, &long)], KEY, &[]).await;
        assert_eq!(facts.state, TierState::Degraded);
    }

    #[tokio::test]
    async fn at_most_two_requests_are_open_to_nix_serve() {
        let server = Server::start(&[]).await;
        let web = Web::new().unwrap();
        let tier = tier(&server.url, KEY);
        let path = StorePath::parse(PATH).unwrap();
        let (fleet, memory) = (crate::config::fallback(), Memory::default());
        let runner = FakeRunner::unreachable();
        let tools = Tools { web: &web, runner: &runner, fleet: &fleet, memory: &memory };
        let asking = tools.asking(&tier, &[], &[], Timestamp::now());
        let answers = HttpProbe.holds(&asking, &[&path; 20]).await;
        assert_eq!(answers, Ok(vec![false; 20]));
        assert!(server.most_open() <= 2, "{}", server.most_open());
    }
}
