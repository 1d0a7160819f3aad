//! A cache at a server of the test, that is well or not.

use crate::fleet::{
    Code, KindName, SignatureState, SizeFacts, StorePath, Tier, TierFacts, TierState,
};
use crate::nix::signature::parse_public_key;
use crate::probe::asking::Tools;
use crate::probe::look::look;
use crate::probe::memory::Memory;
use crate::probe::server::{KEY, NARINFO, PATH, Server};
use crate::probe::transport::http::HttpClient;
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
    web: &HttpClient,
    tier: &Tier,
    paths: &[StorePath],
    previous: Option<&TierFacts>,
) -> TierFacts {
    let (fleet, memory) = (crate::config::fallback(), Memory::default());
    let runner = FakeRunner::unreachable();
    let tools = Tools { web, runner: &runner, fleet: &fleet, memory: &memory };
    let asking = tools.asking(tier, paths, &[], Timestamp::now());
    look(&asking, previous).await
}

/// Probes a server that answers with these files.
async fn probe_with(files: &[(&str, u16, &str)], key: &str, paths: &[&str]) -> TierFacts {
    let server = Server::start(files).await;
    let web = HttpClient::new().unwrap();
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
        (200, "<html>", TierState::Degraded, "no valid nix-cache-info"),
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
    let web = HttpClient::new().unwrap();
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
    let (web, tier) = (HttpClient::new().unwrap(), tier(&server.url, KEY));
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
    let web = HttpClient::new().unwrap();
    let tier = tier(&server.url, KEY);
    let path = StorePath::parse(PATH).unwrap();
    let (fleet, memory) = (crate::config::fallback(), Memory::default());
    let runner = FakeRunner::unreachable();
    let tools = Tools { web: &web, runner: &runner, fleet: &fleet, memory: &memory };
    let asking = tools.asking(&tier, &[], &[], Timestamp::now());
    let answers = asking.kind.holds(&asking, &[&path; 20]).await;
    assert_eq!(answers, Ok(vec![false; 20]));
    assert!(server.most_open() <= 2, "{}", server.most_open());
}
