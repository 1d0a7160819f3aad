//! Cachix: what hosts ask, and the API beside it.

use super::server::{PLAIN, Recorded};
use super::{CANARY, HASH, MISSING, OTHER_KEY, PATH, Scene, causes, details, error};
use jiff::SignedDuration;
use nixdash::fleet::{Code, KindName, Login, SignatureState, TierKind, TierState};
use nixdash::nix::signature::parse_public_key;

const API: &str = "/api/v1/cache/fleet";
const BULK: &str = "/api/v1/cache/fleet/narinfo";
const NARINFO: &str = "/fleet/p21fy4sc5b87h3ma8y0mbiph36v5yfk7.narinfo";
const NAR: &str = "/fleet/nar/1b2m2y8asgspgamxqxqbg7rxbi1gi7f9xh8w6k1vnxqmcm9nhzz4.nar.zst";

/// Starts a cache that is well and holds one path.
async fn well() -> Recorded {
    let server = Recorded::start("cachix", PLAIN).await;
    server
        .on("GET", "/fleet/nix-cache-info", "nix-cache-info.http")
        .on("GET", API, "cache.http")
        .holds(BULK, &[HASH])
        .on("GET", NARINFO, "narinfo.http")
        .on("GET", NAR, "nar.http");
    server
}

/// Makes a tier at a server.
fn scene(server: &Recorded) -> Scene {
    Scene::new(KindName::Cachix, &format!("{}/fleet", server.url))
}

#[tokio::test]
async fn a_cache_that_is_well_is_proven_and_told_of() {
    let server = well().await;
    server.lock(&format!("Bearer {CANARY}"), "401.http");
    let scene = scene(&server).token(CANARY);
    let facts = scene.look().await;
    assert_eq!(facts.state, TierState::Up, "{facts:#?}");
    assert_eq!((facts.priority, facts.signature), (Some(41), SignatureState::Valid));
    assert_eq!(facts.proof.as_deref(), Some("a-1.0, signed by test-1"));
    assert_eq!(facts.nar_proof.as_deref(), Some("a-1.0 answers (content not checked)"));
    assert_eq!(details(&facts, "cache"), ["fleet, private"]);
    assert_eq!(details(&facts, "token"), ["may write"]);
    super::declares_what_is_kept(KindName::Cachix, &server);
}

#[tokio::test]
async fn reading_counts_as_use_so_a_narinfo_is_read_once_a_day() {
    let server = well().await;
    let mut scene = scene(&server);
    let mut asked = Vec::new();
    for _ in 0..25 {
        assert_eq!(scene.look().await.signature, SignatureState::Valid);
        asked.push(server.take_lines());
        scene.later(SignedDuration::from_mins(59));
    }
    let reads = |line: &String| line.contains(".narinfo") || line.contains("/nar/");
    assert_eq!(asked[0].iter().filter(|line| reads(line)).count(), 2, "{:?}", asked[0]);
    for lines in &asked[1..24] {
        assert_eq!(lines, &["GET /fleet/nix-cache-info", "GET /api/v1/cache/fleet"]);
    }
    assert_eq!(asked[24].iter().filter(|line| reads(line)).count(), 0);
    scene.later(SignedDuration::from_mins(59));
    scene.look().await;
    assert_eq!(server.take_lines().iter().filter(|line| reads(line)).count(), 2);
}

#[tokio::test]
async fn most_looks_take_one_request() {
    let server = well().await;
    let mut scene = scene(&server);
    scene.look().await;
    server.take_asked();
    for _ in 0..4 {
        scene.later(SignedDuration::from_secs(60));
        scene.look().await;
        assert_eq!(server.take_lines(), ["GET /fleet/nix-cache-info"]);
    }
}

#[tokio::test]
async fn paths_are_asked_for_in_bulk() {
    let server = well().await;
    let scene = scene(&server).token(CANARY);
    assert_eq!(scene.holds(&[PATH, MISSING]).await, Ok(vec![true, false]));
    let asked = server.take_asked();
    assert_eq!(asked.len(), 1);
    let body = r#"["p21fy4sc5b87h3ma8y0mbiph36v5yfk7","4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a"]"#;
    assert_eq!(asked[0].body, body);
    assert_eq!(asked[0].headers["authorization"], format!("Bearer {CANARY}"));
    // More than one request can take are asked in several, and answered in order.
    let many: Vec<&str> = std::iter::repeat_n(MISSING, 32_768).chain([PATH, MISSING]).collect();
    let held = scene.holds(&many).await.unwrap();
    assert_eq!(server.take_asked().len(), 2);
    assert_eq!((held.len(), held[32_768], held[32_769]), (32_770, true, false));
}

#[tokio::test]
async fn the_entry_of_a_netrc_goes_to_the_api_too() {
    let server = well().await;
    let mut scene = scene(&server);
    let netrc = format!("machine 127.0.0.1 login fleet password {CANARY}\n");
    scene.tier.access.login = Login::Netrc(scene.secret("netrc", &netrc));
    scene.holds(&[PATH]).await.unwrap();
    assert!(server.take_asked()[0].headers["authorization"].starts_with("Basic "));
    assert_eq!(scene.look().await.state, TierState::Up);
}

#[tokio::test]
async fn an_api_that_is_named_gets_the_token_too() {
    let (own, api) = (well().await, well().await);
    let mut scene = scene(&own).token(CANARY);
    scene.tier.kind = TierKind::Cachix { api: Some(api.url.clone()) };
    scene.holds(&[PATH]).await.unwrap();
    assert!(api.take_asked()[0].headers["authorization"].contains(CANARY));
    assert_eq!(own.take_lines(), Vec::<String>::new());
}

#[tokio::test]
async fn its_size_is_at_least_what_it_confirms_of_the_fleets_paths() {
    let server = well().await;
    let mut scene = scene(&server);
    scene.tier.max_size = Some(5_000_000_000);
    let size = scene.size(&[(PATH, 120), (MISSING, 999)]).await.unwrap().unwrap();
    assert_eq!((size.bytes, size.objects, size.exact), (120, Some(1), false));
    assert_eq!(size.limit, Some(5_000_000_000));
    assert_eq!(scene.size(&[]).await, Ok(None));
}

#[tokio::test]
async fn an_expired_token_is_named_though_hosts_say_nothing() {
    let server = well().await;
    for file in ["401.http", "403.http"] {
        server.on("GET", API, file);
        let facts = scene(&server).token(CANARY).look().await;
        let said = error(&facts, TierState::Unauthorized);
        assert!(said.contains("make a new token that may read fleet"), "{said}");
        // What hosts ask was answered, and is still shown.
        assert_eq!(facts.priority, Some(41));
    }
}

#[tokio::test]
async fn a_cache_that_is_not_there_is_not_taken_for_an_empty_one() {
    let server = Recorded::start("cachix", PLAIN).await;
    server.on("GET", "/fleet/nix-cache-info", "nix-cache-info.http");
    let facts = scene(&server).look().await;
    assert!(error(&facts, TierState::Unauthorized).contains("knows no cache \"fleet\""));
}

#[tokio::test]
async fn another_key_than_the_configured_one_is_named_with_both() {
    let server = well().await;
    server.on("GET", API, "cache-other-key.http");
    let facts = scene(&server).look().await;
    assert_eq!(facts.signature, SignatureState::Invalid);
    let said = causes(&facts, Code::KeyMismatch);
    assert!(said[0].starts_with("it signs with fleet.cachix.org-1:"), "{said:?}");
    assert!(said[0].contains("hosts.toml has test-1:"), "{said:?}");
    assert_eq!(details(&facts, "token"), ["may read"]);
    // The API lists the key that is configured, but the narinfo was not signed with it.
    let server = well().await;
    let mut scene = scene(&server);
    server.on("GET", API, "cache.http");
    scene.tier.public_key = parse_public_key(OTHER_KEY).ok();
    assert_eq!(scene.look().await.signature, SignatureState::Invalid);
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_the_storage() {
    let (server, storage) = (well().await, Recorded::start("cachix", PLAIN).await);
    let to = format!("{}/bucket/nar/x.nar.zst?X-Amz-Signature={CANARY}", storage.url);
    server.redirect(NAR, &to);
    storage.on("GET", "/bucket/nar/x.nar.zst", "nar.http");
    let facts = scene(&server).token(CANARY).look().await;
    assert_eq!(facts.nar_proof.as_deref(), Some("a-1.0 answers (content not checked)"));
    let asked = storage.take_asked();
    assert_eq!(asked.len(), 1);
    assert!(!asked[0].headers.contains_key("authorization"));
    assert_eq!(asked[0].headers["range"], "bytes=0-31");
    // A storage that refuses: the narinfo is there, the nar is not.
    storage.on("GET", "/bucket/nar/x.nar.zst", "presigned-403.http");
    let facts = scene(&server).token(CANARY).look().await;
    assert!(error(&facts, TierState::NarMissing).contains("403"));
}

#[tokio::test]
async fn it_fails_as_servers_fail() {
    let server = well().await;
    super::every_way_to_fail(
        KindName::Cachix,
        &server,
        |url| format!("{url}/fleet"),
        &[("401.http", "token"), ("403.http", "token")],
    )
    .await;
}

#[tokio::test]
async fn an_api_that_fails_is_not_taken_for_the_cache() {
    let server = well().await;
    server.on("GET", API, "500.http");
    let facts = scene(&server).look().await;
    assert!(error(&facts, TierState::Degraded).contains("its API"));
    server.on("GET", API, "garbage.http");
    assert!(
        error(&scene(&server).look().await, TierState::Degraded).contains("no valid answer of")
    );
}
