//! niks3 as its source says that it answers; no answer here was recorded from a server at work.

use super::*;
use crate::fleet::{
    Finding, KindName, Login, PublicKey, SecretSource, SignatureState, TierKind, TierState,
};
use crate::nix::signature::parse_public_key;
use crate::probe::asking::Tools;
use crate::probe::memory::Memory;
use crate::probe::server::{KEY, NARINFO, PATH, Server};
use crate::probe::transport::http::HttpClient;
use crate::remote::FakeRunner;

const METRICS: &str = include_str!("../../../../tests/answers/niks3/metrics.txt");
const STATS: &str = include_str!("../../../../tests/answers/niks3/stats.json");
const CONFIG: &str = include_str!("../../../../tests/answers/niks3/config.json");
const COLLECTED: &str = include_str!("../../../../tests/answers/niks3/gc.json");
const FAILED: &str = include_str!("../../../../tests/answers/niks3/gc-failed.json");

/// Starts a cache and its server; returns the bucket, the server, and the tier.
async fn start() -> (Server, Server, Tier) {
    let bucket = Server::start(&[
        ("/nix-cache-info", 200, "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n"),
        ("/p21fy4sc5b87h3ma8y0mbiph36v5yfk7.narinfo", 200, NARINFO),
        ("/nar/x.nar.xz", 200, "x"),
    ])
    .await;
    let server = Server::start(&[
        ("/metrics", 200, METRICS),
        ("/api/cache-stats", 200, STATS),
        ("/api/cache-config", 200, CONFIG),
        ("/api/gc/status", 200, COLLECTED),
    ])
    .await;
    let kind = TierKind::Niks3 { api: Some(server.url.clone()) };
    let mut tier = Tier::new("niks3", kind, &bucket.url);
    tier.public_key = Some(parse_public_key(KEY).unwrap());
    (bucket, server, tier)
}

/// Looks once.
async fn looked(tier: &Tier) -> TierFacts {
    let (fleet, runner) = (crate::config::fallback(), FakeRunner::unreachable());
    let (web, memory) = (HttpClient::new().unwrap(), Memory::default());
    let tools = Tools { web: &web, runner: &runner, fleet: &fleet, memory: &memory };
    let paths = [StorePath::parse(PATH).unwrap()];
    let now: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
    Niks3.look(&tools.asking(tier, &paths, &[], now)).await
}

fn detail_of<'a>(facts: &'a TierFacts, label: &str) -> Option<&'a str> {
    let found = facts.details.iter().find(|detail| detail.label == label);
    found.map(|detail| detail.text.as_str())
}

#[tokio::test]
async fn what_the_server_says_of_its_cache_stands_beside_what_hosts_read() {
    let (bucket, server, tier) = start().await;
    let facts = looked(&tier).await;
    assert_eq!((facts.state, facts.signature), (TierState::Up, SignatureState::Valid));
    let size = facts.size.as_ref().unwrap();
    assert_eq!((size.bytes, size.objects, size.exact), (81_234_567_000, Some(48_210), false));
    assert_eq!(
        detail_of(&facts, "objects"),
        Some("48210 objects of 81.2 GB before compression, as niks3 told now")
    );
    assert!(detail_of(&facts, "pending").unwrap().starts_with("2 uploads are not complete"));
    let collected = detail_of(&facts, "collection").unwrap();
    assert!(collected.starts_with("the last one that succeeded ended "), "{collected}");
    assert!(collected.ends_with("; 1 failed"), "{collected}");
    assert_eq!(
        detail_of(&facts, "substituter"),
        Some("niks3 tells hosts to ask https://cache.example")
    );
    assert_eq!(facts.findings, [] as [Finding; 0]);
    // Without a token nobody asks what only its holders are told.
    assert!(!server.asked().iter().any(|path| path.contains("gc/status")));
    assert!(bucket.asked().iter().all(|path| !path.contains("api")), "{:?}", bucket.asked());
}

#[tokio::test]
async fn a_server_without_metrics_tells_everybody_objects_and_bytes() {
    let (_bucket, server, tier) = start().await;
    server.set("/metrics", 404, "");
    let facts = looked(&tier).await;
    assert_eq!(facts.size.as_ref().and_then(|size| size.objects), Some(48_210));
    assert_eq!(detail_of(&facts, "pending"), None, "unknown is not none");
    assert_eq!(detail_of(&facts, "collection"), None);
}

#[tokio::test]
async fn a_collection_that_failed_is_told_to_who_has_the_token() {
    let (_bucket, server, mut tier) = start().await;
    server.set("/api/gc/status", 200, FAILED);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "secret\n").unwrap();
    tier.access.login = Login::Token(SecretSource::File(file));
    let facts = looked(&tier).await;
    let found = facts.findings.iter().find(|found| found.code == Code::CollectionFailed).unwrap();
    assert!(found.cause.contains("S3 answered 503"), "{}", found.cause);
    assert_eq!(facts.state, TierState::Up, "hosts do not need it");
}

#[tokio::test]
async fn a_server_that_does_not_answer_leaves_the_cache_up_and_the_size_unknown() {
    let (_bucket, _server, mut tier) = start().await;
    tier.kind = TierKind::Niks3 { api: Some("http://127.0.0.1:1".to_owned()) };
    let facts = looked(&tier).await;
    assert_eq!((facts.state, facts.size.is_none()), (TierState::Up, true));
    let codes: Vec<Code> = facts.findings.iter().map(|found| found.code).collect();
    assert_eq!(codes, [Code::ApiUnreachable]);
}

#[tokio::test]
async fn another_key_than_the_server_signs_with_is_told() {
    let (_bucket, server, tier) = start().await;
    server.set("/api/cache-config", 200, &CONFIG.replace("test-1:84l", "test-1:94l"));
    let facts = looked(&tier).await;
    assert!(facts.findings.iter().any(|found| found.code == Code::KeyMismatch));
    assert_eq!(facts.signature, SignatureState::Invalid);
    let PublicKey { name, .. } = tier.public_key.as_ref().unwrap();
    assert_eq!((name.as_str(), tier.kind.name()), ("test-1", KindName::Niks3));
}
