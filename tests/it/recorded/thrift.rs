//! What a look at somebody else's tier costs, counted over hours.

use super::server::{PLAIN, Recorded};
use super::{CANARY, HASH, Scene};
use jiff::SignedDuration;
use nixdash::fleet::{KindName, Login, SignatureState, TierState};

const NAR: &str = "nar/1b2m2y8asgspgamxqxqbg7rxbi1gi7f9xh8w6k1vnxqmcm9nhzz4.nar.zst";

/// Starts a static cache below an address.
async fn files(base: &str) -> Recorded {
    let server = Recorded::start("s3", PLAIN).await;
    server
        .on("GET", &format!("{base}/nix-cache-info"), "nix-cache-info.http")
        .on("GET", &format!("{base}/{HASH}.narinfo"), "narinfo.http")
        .on("GET", &format!("{base}/{NAR}"), "nar.http")
        .on("HEAD", &format!("{base}/"), "head.http");
    server
}

/// Makes a bucket `b` at a server, with keys.
fn bucket(server: &Recorded) -> Scene {
    let mut scene = Scene::new(KindName::S3, &format!("s3://b?endpoint={}", server.url));
    let (access, secret) = (scene.secret("access", "AKIA"), scene.secret("secret", CANARY));
    scene.tier.access.login = Login::Keys { access, secret };
    scene
}

/// What was asked for: by each look, and what came on top.
struct HostClosure {
    looks: Vec<String>,
    more: Vec<String>,
}

impl HostClosure {
    /// Returns how many looks of an hour were one of these, rounded.
    fn an_hour(&self, what: &str) -> usize {
        let looks = self.looks.iter().filter(|line| line.contains(what)).count();
        (looks * 60 + self.looks.len() / 2) / self.looks.len()
    }
}

/// Looks once, then every minute for so many hours, and checks that all is well each time.
async fn hours(server: &Recorded, scene: &mut Scene, hours: usize) -> HostClosure {
    scene.look().await;
    server.take_lines();
    let (mut looks, mut more) = (Vec::new(), Vec::new());
    for minute in 0..hours * 60 {
        scene.later(SignedDuration::from_mins(1));
        let facts = scene.look().await;
        assert_eq!((facts.state, facts.signature), (TierState::Up, SignatureState::Valid));
        assert!(facts.priority.is_some() && facts.latency_ms.is_some(), "{minute}: {facts:#?}");
        assert!(facts.nar_proof.is_some(), "{minute}: {facts:#?}");
        let mut lines = server.take_lines();
        assert!(!lines.is_empty(), "nobody looked in minute {minute}");
        more.extend(lines.split_off(1));
        looks.extend(lines);
    }
    HostClosure { looks, more }
}

#[tokio::test]
async fn a_public_cache_is_asked_one_thing_a_minute_and_one_nar_an_hour() {
    // A public name, reached by way of a proxy: the server.
    let base = "http://cache.example";
    let server = files(base).await;
    let mut scene = Scene::new(KindName::Http, base);
    scene.tier.access.proxy = Some(server.url.clone());
    let asked = hours(&server, &mut scene, 3).await;
    assert_eq!((asked.an_hour("nix-cache-info"), asked.an_hour(".narinfo")), (54, 6));
    assert_eq!(asked.more, vec![format!("GET {base}/{NAR}"); 3]);
}

#[tokio::test]
async fn a_bucket_is_asked_one_thing_a_minute_and_one_nar_an_hour() {
    let server = files("/b").await;
    let asked = hours(&server, &mut bucket(&server), 3).await;
    assert_eq!((asked.an_hour("nix-cache-info"), asked.an_hour(".narinfo")), (50, 6));
    assert_eq!(asked.an_hour("HEAD"), 4);
    assert_eq!(asked.more, vec![format!("GET /b/{NAR}"); 2]);
}

#[tokio::test]
async fn cachix_is_asked_one_thing_a_minute_and_proven_once_a_day() {
    let server = Recorded::start("cachix", PLAIN).await;
    let api = "/api/v1/cache/fleet";
    server
        .on("GET", "/fleet/nix-cache-info", "nix-cache-info.http")
        .on("GET", api, "cache.http")
        .holds(&format!("{api}/narinfo"), &[HASH])
        .on("GET", &format!("/fleet/{HASH}.narinfo"), "narinfo.http")
        .on("GET", &format!("/fleet/{NAR}"), "nar.http");
    let mut scene = Scene::new(KindName::Cachix, &format!("{}/fleet", server.url));
    let asked = hours(&server, &mut scene, 25).await;
    assert_eq!((asked.an_hour("nix-cache-info"), asked.an_hour("/api/v1/cache/fleet")), (48, 12));
    let narinfo = format!("GET /fleet/{HASH}.narinfo");
    assert_eq!(asked.more, [format!("POST {api}/narinfo"), narinfo, format!("GET /fleet/{NAR}")]);
}

#[tokio::test]
async fn attic_is_asked_one_thing_a_minute_and_one_nar_a_day() {
    let server = Recorded::start("attic", PLAIN).await;
    let nar = format!("/fleet/nar/{HASH}.nar");
    server
        .on("GET", "/_api/v1/cache-config/fleet", "cache-config.http")
        .on("GET", &format!("/fleet/{HASH}.narinfo"), "narinfo.http")
        .on("GET", &nar, "nar.http");
    let mut scene = Scene::new(KindName::Attic, &format!("{}/fleet", server.url));
    scene.tier.every = Some(std::time::Duration::from_secs(60));
    let asked = hours(&server, &mut scene, 25).await;
    assert_eq!((asked.an_hour("cache-config"), asked.an_hour(".narinfo")), (54, 6));
    assert_eq!(asked.more, [format!("GET {nar}")]);
}

#[tokio::test]
async fn a_cache_that_holds_nothing_to_prove_with_is_not_searched_every_minute() {
    let server = files("/b").await;
    let mut scene = bucket(&server);
    server.on("GET", &format!("/b/{HASH}.narinfo"), "missing.http");
    let mut asked = Vec::new();
    for _ in 0..60 {
        assert_eq!(scene.look().await.signature, SignatureState::Unchecked);
        asked.extend(server.take_lines());
        scene.later(SignedDuration::from_mins(1));
    }
    let searched = asked.iter().filter(|line| line.contains(".narinfo")).count();
    // Two paths, six times in an hour.
    assert_eq!((searched, asked.len()), (12, 12 + 60 + 1), "{asked:?}");
}

#[tokio::test]
async fn what_goes_wrong_is_found_by_the_one_request_that_is_due() {
    let server = files("/b").await;
    let mut scene = bucket(&server);
    assert_eq!(scene.look().await.state, TierState::Up);
    // Keys that are refused show in the bucket itself, after a quarter of an hour at most.
    server.on("HEAD", "/b/", "403.http");
    let mut minutes = 0;
    while scene.look().await.state == TierState::Up {
        scene.later(SignedDuration::from_mins(1));
        minutes += 1;
        assert!(minutes <= 15);
    }
    server.on("HEAD", "/b/", "head.http");
    assert_eq!(scene.look().await.state, TierState::Up);
    // What it signed is gone after ten minutes at most.
    server.on("GET", &format!("/b/{HASH}.narinfo"), "missing.http");
    let mut minutes = 0;
    while scene.look().await.signature == SignatureState::Valid {
        scene.later(SignedDuration::from_mins(1));
        minutes += 1;
        assert!(minutes <= 11);
    }
    // Files that are refused show at once.
    server.on("GET", "/b/nix-cache-info", "403.http");
    scene.later(SignedDuration::from_mins(1));
    assert_eq!(scene.look().await.state, TierState::Unauthorized);
}
