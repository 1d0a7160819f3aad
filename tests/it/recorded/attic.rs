//! attic: configuration, tokens that end, bulk questions for those who may push.

use super::server::{PLAIN, Recorded};
use super::{CANARY, HASH, MISSING, PATH, Scene, causes, details, error};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::SignedDuration;
use nixdash::fleet::{Code, KindName, Login, SignatureState, TierState};

const CONFIG: &str = "/_api/v1/cache-config/fleet";
/// The key that the captured cache made for itself.
pub(super) const KEY: &str = "fleet:NlTldwS4FPbxLcCqdBByV0l/K0j2cqUwjROH4IwRk2M=";
const BULK: &str = "/_api/v1/get-missing-paths";
const NARINFO: &str = "/fleet/p21fy4sc5b87h3ma8y0mbiph36v5yfk7.narinfo";
const NAR: &str = "/fleet/nar/p21fy4sc5b87h3ma8y0mbiph36v5yfk7.nar";

/// Starts a cache that is well and holds one path.
async fn well() -> Recorded {
    let server = Recorded::start("attic", PLAIN).await;
    server
        .on("GET", CONFIG, "cache-config.http")
        .on("GET", NARINFO, "narinfo.http")
        .on("HEAD", NARINFO, "narinfo.http")
        .on("GET", NAR, "nar.http");
    server
}

/// Makes a tier at a server.
fn scene(server: &Recorded) -> Scene {
    Scene::new(KindName::Attic, &format!("{}/fleet", server.url))
}

/// Makes a token that ends at a time and has these rights; its signature is the canary.
fn token(end: &str, rights: &str) -> String {
    let end: jiff::Timestamp = end.parse().unwrap();
    let claims = format!(
        "{{\"sub\":\"nixdash\",\"exp\":{},\"https://jwt.attic.rs/v1\":{{\"caches\":{{\"fleet\":{rights}}}}}}}",
        end.as_second()
    );
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{CANARY}", part("{\"typ\":\"JWT\",\"alg\":\"HS256\"}"), part(&claims))
}

#[tokio::test]
async fn a_cache_that_is_well_is_proven_and_told_of() {
    let server = well().await;
    let token = token("2027-11-21T08:00:00Z", "{\"r\":1}");
    server.lock(&format!("Bearer {token}"), "401.http");
    let facts = scene(&server).token(&token).look().await;
    assert_eq!(facts.state, TierState::Up, "{facts:#?}");
    assert_eq!((facts.priority, facts.signature), (Some(41), SignatureState::Valid));
    assert_eq!(facts.nar_proof.as_deref(), Some("a-1.0 is served (content not checked)"));
    assert_eq!(details(&facts, "cache"), ["private"]);
    assert_eq!(details(&facts, "kept"), ["30 d 0 h after the last use"]);
    assert_eq!(details(&facts, "token"), ["may pull; expires in 365 d 0 h"]);
    assert!(details(&facts, "left out")[0].contains("cache.nixos.org-1"));
    super::declares_what_is_kept(KindName::Attic, &server);
}

#[tokio::test]
async fn a_token_that_ends_soon_is_told_before_it_does() {
    let server = well().await;
    let facts = scene(&server).token(&token("2026-11-23T08:00:00Z", "{\"r\":1}")).look().await;
    assert_eq!(facts.state, TierState::Up);
    assert_eq!(
        causes(&facts, Code::TokenExpiresSoon)[0],
        "the token for this cache expires in 2 d 0 h"
    );
}

#[tokio::test]
async fn an_expired_token_is_named_though_hosts_say_nothing() {
    let server = well().await;
    server.always(Some("401.http"));
    let expired = token("2026-11-20T08:00:00Z", "{\"r\":1}");
    let facts = scene(&server).token(&expired).look().await;
    let said = error(&facts, TierState::Unauthorized);
    assert!(said.contains("the token expired at 2026-11-20T08:00:00Z"), "{said}");
    assert!(said.contains("netrc"), "{said}");
    assert_eq!(details(&facts, "token"), ["expired at 2026-11-20T08:00:00Z"]);
    assert_eq!(causes(&facts, Code::TokenExpired).len(), 1, "{facts:#?}");
    // The same token in a netrc, as hosts have it.
    let mut scene = scene(&server);
    let netrc = format!("machine 127.0.0.1 login nixdash password {expired}\n");
    scene.tier.access.login = Login::Netrc(scene.secret("netrc", &netrc));
    let facts = scene.look().await;
    assert!(error(&facts, TierState::Unauthorized).contains("the token expired"));
    let basic = format!("Basic {}", STANDARD.encode(format!("nixdash:{expired}")));
    assert_eq!(server.take_asked().last().unwrap().headers["authorization"], basic);
}

#[tokio::test]
async fn a_token_that_was_renewed_is_read_anew() {
    let server = well().await;
    let (old, new) =
        (token("2026-11-20T08:00:00Z", "{\"r\":1}"), token("2027-11-20T08:00:00Z", "{\"r\":1}"));
    server.lock(&format!("Bearer {new}"), "401.http");
    let scene = scene(&server).token(&old);
    error(&scene.look().await, TierState::Unauthorized);
    scene.secret("token", &new);
    assert_eq!(scene.look().await.state, TierState::Up);
}

#[tokio::test]
async fn refusals_say_what_a_person_can_do() {
    let server = well().await;
    server.always(Some("401.http"));
    let other = token("2027-11-21T08:00:00Z", "{\"w\":0}");
    for (scene, word) in [
        (scene(&server), "it wants a token that may pull fleet, or there is no such cache"),
        (scene(&server).token(&other), "the token does not name fleet"),
        (
            scene(&server).token(&token("2027-11-21T08:00:00Z", "{\"r\":1}")),
            "when there is no cache fleet",
        ),
        (scene(&server).token("no-token-at-all"), "it wants a token"),
    ] {
        let facts = scene.look().await;
        let said = error(&facts, TierState::Unauthorized);
        assert!(said.contains(word), "{said}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_attic_is_not_said_to_be_one() {
    let server = Recorded::start("attic", PLAIN).await;
    let facts = scene(&server).look().await;
    let said = error(&facts, TierState::Degraded);
    assert!(said.contains("see whether that is an attic server"), "{said}");
    server.on("GET", CONFIG, "404.http");
    let facts = scene(&server).look().await;
    let said = error(&facts, TierState::Degraded);
    assert!(said.contains("attic has no cache fleet"), "{said}");
}

#[tokio::test]
async fn who_may_push_asks_in_bulk_and_the_others_path_by_path() {
    let server = well().await;
    server.holds_paths(BULK, &[HASH]);
    let push = token("2027-11-21T08:00:00Z", "{\"r\":1,\"w\":1}");
    let pull = token("2027-11-21T08:00:00Z", "{\"r\":1}");
    let expected = Ok(vec![true, false]);
    assert_eq!(scene(&server).token(&push).holds(&[PATH, MISSING]).await, expected);
    let asked = server.take_asked();
    assert_eq!(asked.len(), 1);
    let body = r#"{"cache":"fleet","store_path_hashes":["p21fy4sc5b87h3ma8y0mbiph36v5yfk7","4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a"]}"#;
    assert_eq!(asked[0].body, body);
    assert_eq!(scene(&server).token(&pull).holds(&[PATH, MISSING]).await, expected);
    let lines = server.take_lines();
    assert!(lines.len() == 2 && lines.iter().all(|line| line.starts_with("HEAD")), "{lines:?}");
    // A server that refuses the bulk question all the same.
    server.on("POST", BULK, "403.http");
    assert_eq!(scene(&server).token(&push).holds(&[PATH, MISSING]).await, expected);
    assert_eq!(server.take_lines().len(), 3);
}

#[tokio::test]
async fn a_wrong_key_and_a_wrong_store_are_named() {
    let server = well().await;
    server.on("GET", CONFIG, "cache-config-other-key.http");
    let facts = scene(&server).look().await;
    assert_eq!((facts.state, facts.signature), (TierState::Untrusted, SignatureState::Invalid));
    assert!(causes(&facts, Code::KeyMismatch)[0].starts_with("it signs with fleet:"));
    server.on("GET", CONFIG, "cache-config-other-store.http");
    let facts = scene(&server).look().await;
    assert!(error(&facts, TierState::WrongStore).contains("/gnu/store"));
}

#[tokio::test]
async fn a_nar_with_missing_chunks_is_named() {
    let server = well().await;
    server.on("GET", NAR, "503.http");
    let missing = scene(&server);
    let facts = missing.look().await;
    let said = error(&facts, TierState::NarMissing);
    assert!(said.contains("503") && !said.contains("left alone"), "{said}");
    // The server is not overloaded: the next look asks it again, and sees it mended.
    server.on("GET", NAR, "nar.http");
    assert_eq!(missing.look().await.state, TierState::Up);
    // Its files are gone: it says that it has the nar, and breaks off.
    server.breaks_off(NAR, "nar.http");
    let facts = scene(&server).look().await;
    let said = error(&facts, TierState::NarMissing);
    assert!(said.contains("not one byte of its nar came"), "{said}");
    assert!(said.contains("publish the path again"), "{said}");
}

#[tokio::test]
async fn a_nar_is_read_once_a_day() {
    let server = well().await;
    let mut scene = scene(&server);
    let mut reads = 0;
    for _ in 0..24 {
        assert_eq!(
            scene.look().await.nar_proof.as_deref(),
            Some("a-1.0 is served (content not checked)")
        );
        reads += server.take_lines().iter().filter(|line| line.contains("/nar/")).count();
        scene.later(SignedDuration::from_mins(59));
    }
    assert_eq!(reads, 1);
}

#[tokio::test]
async fn it_fails_as_servers_fail() {
    let server = well().await;
    super::every_way_to_fail(
        KindName::Attic,
        &server,
        |url| format!("{url}/fleet"),
        &[("401.http", "token"), ("403.http", "token")],
    )
    .await;
}
