//! nix-serve and its habits: five workers, a second of keep-alive, a body on HEAD.

use super::server::{NIX_SERVE, Recorded};
use super::{MISSING, PATH, Scene};
use nixdash::fleet::{KindName, SignatureState, TierState};
use std::time::Duration;

const NARINFO: &str = "/p21fy4sc5b87h3ma8y0mbiph36v5yfk7.narinfo";
const NAR: &str = "/nar/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-\
                   0p3l2z3riilylr2rxb1aq2blxdfxg55wbgp4gxkns93srbr4bwyq.nar";

/// Starts a cache that is well and holds one path, whose nar is huge.
async fn well() -> Recorded {
    let server = Recorded::start("nix-serve", NIX_SERVE).await;
    server
        .on("GET", "/nix-cache-info", "nix-cache-info.http")
        .on("GET", NARINFO, "narinfo.http")
        .endless(NAR);
    server
}

#[tokio::test]
async fn a_huge_nar_is_proven_by_its_first_byte_and_hung_up_on() {
    let server = well().await;
    let scene = Scene::new(KindName::NixServe, &server.url);
    let facts = tokio::time::timeout(Duration::from_secs(5), scene.look()).await.unwrap();
    assert_eq!((facts.state, facts.signature), (TierState::Up, SignatureState::Valid));
    assert_eq!(facts.nar_proof.as_deref(), Some("a-1.0 is served (content not checked)"));
    assert!(!server.take_lines().iter().any(|line| line.starts_with("HEAD")));
}

#[tokio::test]
async fn probes_take_two_of_its_five_workers_at_most() {
    let server = well().await;
    server.delay(Duration::from_millis(5));
    let scene = Scene::new(KindName::NixServe, &server.url);
    let held = scene.holds(&[MISSING; 100]).await.unwrap();
    assert_eq!(held, [false; 100]);
    let (most, all) = server.connections();
    assert!(most <= 2, "{most} of {all} connections at once");
}

#[tokio::test]
async fn a_connection_that_it_closed_meanwhile_is_no_failure() {
    let server = well().await;
    let scene = Scene::new(KindName::NixServe, &server.url);
    assert_eq!(scene.holds(&[PATH]).await, Ok(vec![true]));
    // Longer than the server keeps a connection: there is nothing else to wait for.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(scene.holds(&[PATH]).await, Ok(vec![true]));
    assert_eq!(server.connections().1, 2);
}

#[tokio::test]
async fn it_fails_as_servers_fail() {
    let server = well().await;
    let url = str::to_owned;
    super::every_way_to_fail(KindName::NixServe, &server, url, &[("401.http", "token")]).await;
}
