//! harmonia: its counters, without what we asked.

use super::server::{PLAIN, Recorded};
use super::{MISSING, OTHER_KEY, PATH, Scene, details, error};
use jiff::SignedDuration;
use nixdash::fleet::{KindName, Share, SignatureState, TierState};
use nixdash::nix::signature::parse_public_key;

const NARINFO: &str = "/p21fy4sc5b87h3ma8y0mbiph36v5yfk7.narinfo";
const NAR: &str = "/nar/0p3l2z3riilylr2rxb1aq2blxdfxg55wbgp4gxkns93srbr4bwyq.nar";

/// Starts a cache that is well and holds one path.
async fn well() -> Recorded {
    let server = Recorded::start("harmonia", PLAIN).await;
    server
        .on("GET", "/nix-cache-info", "nix-cache-info.http")
        .on("GET", "/version", "version.http")
        .on("GET", "/metrics", "metrics-before.http")
        .on("GET", NARINFO, "narinfo.http")
        .on("HEAD", NARINFO, "narinfo.http")
        .on("GET", NAR, "nar.http");
    server
}

/// Makes a tier at a server.
fn scene(server: &Recorded) -> Scene {
    Scene::new(KindName::Harmonia, &server.url)
}

#[tokio::test]
async fn what_was_answered_is_the_growth_since_the_last_look() {
    let server = well().await;
    let mut scene = scene(&server);
    let first = scene.look().await;
    assert_eq!((first.state, first.signature), (TierState::Up, SignatureState::Valid));
    assert_eq!(details(&first, "version"), ["harmonia-cache 3.2.0"]);
    assert_eq!(first.nar_proof.as_deref(), Some("a-1.0 answers (content not checked)"));
    assert_eq!(first.served, None);
    server.on("GET", "/metrics", "metrics-after.http");
    scene.later(SignedDuration::from_secs(10));
    let served = scene.look().await.served.unwrap();
    // Between the two it answered 61 and 11 narinfos and 30 nars; one of each was for the first look.
    assert_eq!(served.answered, Some(Share { have: 60, total: 70 }));
    assert_eq!(served.requests_per_s, Some(9.9));
    assert_eq!(served.not_found, Some(10.0 / 99.0));
    // Started anew, it counts from nothing.
    server.on("GET", "/metrics", "metrics-restarted.http");
    scene.later(SignedDuration::from_secs(10));
    let served = scene.look().await.served.unwrap();
    assert_eq!(served.answered, Some(Share { have: 30, total: 40 }));
    super::declares_what_is_kept(KindName::Harmonia, &server);
}

#[tokio::test]
async fn coverage_is_asked_by_head_where_that_is_counted_apart() {
    let server = well().await;
    assert_eq!(scene(&server).holds(&[PATH, MISSING]).await, Ok(vec![true, false]));
    let lines = server.take_lines();
    assert_eq!(lines.iter().filter(|line| line.starts_with("HEAD")).count(), 2, "{lines:?}");
}

#[tokio::test]
async fn an_older_one_is_asked_by_get_and_our_own_requests_are_taken_off() {
    let server = well().await;
    server.on("GET", "/version", "version-old.http");
    let mut scene = scene(&server);
    scene.look().await;
    let held = scene.holds(&[PATH; 20]).await.unwrap();
    assert_eq!(held, [true; 20]);
    scene.holds(&[MISSING; 10]).await.unwrap();
    assert!(!server.take_lines().iter().any(|line| line.starts_with("HEAD")));
    // Of 60 hits and 10 misses of others, 20 and 10 are ours now.
    server.on("GET", "/metrics", "metrics-after.http");
    scene.later(SignedDuration::from_secs(10));
    let served = scene.look().await.served.unwrap();
    assert_eq!(served.answered, Some(Share { have: 40, total: 40 }));
    assert_eq!(served.requests_per_s, Some(6.9));
}

#[tokio::test]
async fn what_others_ask_for_while_we_look_is_counted_by_the_next_look() {
    let server = well().await;
    let mut scene = scene(&server);
    server.take_lines();
    scene.look().await;
    let lines = server.take_lines();
    // Read once, before anything else: read again at the end, it would hide what came between.
    assert_eq!(lines.iter().filter(|line| *line == "GET /metrics").count(), 1, "{lines:?}");
    assert_eq!(lines[0], "GET /metrics");
    // The next proof costs one narinfo, which is nobody's hit.
    server.on("GET", "/metrics", "metrics-after.http");
    scene.later(SignedDuration::from_secs(10));
    scene.look().await;
    scene.later(SignedDuration::from_secs(10));
    let served = scene.look().await.served.unwrap();
    assert_eq!(served.answered, Some(Share { have: 0, total: 0 }));
}

#[tokio::test]
async fn one_that_was_just_started_has_counted_nothing_yet() {
    let server = well().await;
    server.on("GET", "/metrics", "metrics-fresh.http");
    let mut scene = scene(&server);
    let facts = scene.look().await;
    assert_eq!((facts.state, details(&facts, "metrics").len()), (TierState::Up, 0), "{facts:?}");
    server.on("GET", "/metrics", "metrics-before.http");
    scene.later(SignedDuration::from_secs(10));
    let served = scene.look().await.served.unwrap();
    // All that it has counted since, but for the first look's one narinfo and one miss.
    assert_eq!(served.answered, Some(Share { have: 200, total: 240 }));
}

#[tokio::test]
async fn without_metrics_nothing_is_said_of_hits() {
    let server = well().await;
    server.on("GET", "/metrics", "404.http").on("GET", "/version", "404.http");
    let mut scene = scene(&server);
    scene.look().await;
    scene.later(SignedDuration::from_secs(10));
    let facts = scene.look().await;
    assert_eq!((facts.state, facts.served), (TierState::Up, None));
    assert!(details(&facts, "metrics")[0].contains("not served"));
    assert_eq!(details(&facts, "version"), [""; 0]);
}

#[tokio::test]
async fn a_wrong_key_and_a_missing_nar_are_named() {
    let server = well().await;
    let mut wrong = scene(&server);
    wrong.tier.public_key = parse_public_key(OTHER_KEY).ok();
    assert_eq!(wrong.look().await.signature, SignatureState::Invalid);
    server.on("GET", NAR, "404.http");
    let facts = scene(&server).look().await;
    assert!(error(&facts, TierState::NarMissing).contains("404"));
    // Its files are gone: it says that it has the nar, and breaks off.
    server.breaks_off(NAR, "nar.http");
    let facts = scene(&server).look().await;
    let said = error(&facts, TierState::NarMissing);
    assert!(said.contains("not one byte of its nar came"), "{said}");
    assert!(said.contains("publish the path again"), "{said}");
}

#[tokio::test]
async fn it_fails_as_servers_fail() {
    let server = well().await;
    let url = str::to_owned;
    super::every_way_to_fail(KindName::Harmonia, &server, url, &[("401.http", "token")]).await;
}
