//! ncps: hits and misses, and never a request that makes it fetch.

use super::server::{PLAIN, Recorded};
use super::{MISSING, OTHER_KEY, PATH, Scene, causes, details, error};
use jiff::SignedDuration;
use nixdash::fleet::{Code, KindName, Share, SignatureState, TierState};
use nixdash::nix::signature::parse_public_key;

const NARINFO: &str = "/upload/p21fy4sc5b87h3ma8y0mbiph36v5yfk7.narinfo";
const NAR: &str = "/upload/nar/1b2m2y8asgspgamxqxqbg7rxbi1gi7f9xh8w6k1vnxqmcm9nhzz4.nar.zst";

/// Starts a proxy that is well and holds one path.
async fn well() -> Recorded {
    let server = Recorded::start("ncps", PLAIN).await;
    server
        .on("GET", "/healthz", "healthz.http")
        .on("GET", "/nix-cache-info", "nix-cache-info.http")
        .on("GET", "/metrics", "metrics-before.http")
        .on("GET", "/pins", "pins.http")
        .on("GET", NARINFO, "narinfo.http")
        .on("GET", NAR, "nar.http");
    server
}

/// Makes a tier at a server.
fn scene(server: &Recorded) -> Scene {
    Scene::new(KindName::Ncps, &server.url)
}

#[tokio::test]
async fn hits_size_pins_and_upstreams_are_told() {
    let server = well().await;
    let mut scene = scene(&server);
    let first = scene.look().await;
    assert_eq!((first.state, first.signature), (TierState::Up, SignatureState::Valid));
    assert_eq!((first.priority, first.served), (Some(10), None));
    assert_eq!(first.nar_proof.as_deref(), Some("a-1.0 is served (content not checked)"));
    assert_eq!(details(&first, "pins"), ["2"]);
    assert_eq!(details(&first, "upstreams"), ["2 of 2 healthy"]);
    assert_eq!(details(&first, "evicted"), ["1.07 GB since it was started"]);
    let size = first.size.unwrap();
    assert_eq!((size.bytes, size.objects), (42_914_095_104, Some(5998)));
    assert_eq!((size.limit, size.exact), (Some(53_687_091_200), true));
    server.on("GET", "/metrics", "metrics-after.http");
    scene.later(SignedDuration::from_secs(10));
    let second = scene.look().await;
    assert_eq!(second.served.unwrap().answered, Some(Share { have: 90, total: 100 }));
    let failing = causes(&second, Code::UpstreamsFailing);
    assert_eq!(failing, ["1 of 2 upstream caches are healthy"]);
    super::declares_what_is_kept(KindName::Ncps, &server);
}

#[tokio::test]
async fn nothing_that_it_would_fetch_is_asked_for() {
    let server = well().await;
    let scene = scene(&server);
    scene.look().await;
    assert_eq!(scene.holds(&[PATH, MISSING]).await, Ok(vec![true, false]));
    for line in server.take_lines() {
        let fetches = line.contains(".narinfo") || line.contains("/nar/");
        assert!(!fetches || line.starts_with("GET /upload/"), "{line}");
    }
}

#[tokio::test]
async fn our_own_hits_are_taken_off() {
    let server = well().await;
    let mut scene = scene(&server);
    scene.look().await;
    scene.holds(&[PATH; 30]).await.unwrap();
    scene.holds(&[MISSING; 45]).await.unwrap();
    server.on("GET", "/metrics", "metrics-after.http");
    scene.later(SignedDuration::from_secs(10));
    // Of 90 hits 30 are ours; our misses have no status and were never counted.
    let served = scene.look().await.served.unwrap();
    assert_eq!(served.answered, Some(Share { have: 60, total: 70 }));
}

#[tokio::test]
async fn without_metrics_and_pins_it_is_still_up() {
    let server = Recorded::start("ncps", PLAIN).await;
    server.on("GET", "/healthz", "healthz.http").on(
        "GET",
        "/nix-cache-info",
        "nix-cache-info.http",
    );
    let facts = scene(&server).look().await;
    assert_eq!((facts.state, facts.signature), (TierState::Up, SignatureState::Unchecked));
    assert!(details(&facts, "metrics")[0].contains("--prometheus-enabled"));
    assert_eq!((facts.size, facts.served), (None, None));
}

#[tokio::test]
async fn a_wrong_key_and_a_missing_nar_are_named() {
    let server = well().await;
    let mut wrong = scene(&server);
    wrong.tier.public_key = parse_public_key(OTHER_KEY).ok();
    assert_eq!(wrong.look().await.signature, SignatureState::Invalid);
    server.on("GET", NAR, "500.http");
    let facts = scene(&server).look().await;
    let said = error(&facts, TierState::NarMissing);
    assert!(said.contains("500") && !said.contains("/upload"), "{said}");
}

#[tokio::test]
async fn a_token_that_is_wanted_is_named() {
    // Its health is told to everybody; everything else wants the token.
    let server = well().await;
    server.on("GET", "/nix-cache-info", "401.http");
    error(&scene(&server).look().await, TierState::Unauthorized);
}

#[tokio::test]
async fn it_fails_as_servers_fail() {
    let server = well().await;
    let url = str::to_owned;
    super::every_way_to_fail(KindName::Ncps, &server, url, &[("401.http", "token")]).await;
}
