//! The caches of GitHub Actions: usage, families of keys, limits, entity tags.

use super::server::{PLAIN, Recorded};
use super::{CANARY, PATH, Scene, causes, details, error};
use jiff::SignedDuration;
use nixdash::fleet::{Code, KindName, TierKind, TierState};

const USAGE: &str = "/repos/me/nixos/actions/cache/usage";
const CACHES: &str = "/repos/me/nixos/actions/caches";

const RUNS: &str = "/repos/me/nixos/actions/runs";

/// Starts a GitHub with one repository.
async fn well() -> Recorded {
    let server = Recorded::start("github", PLAIN).await;
    server.on("GET", USAGE, "usage.http").on("GET", CACHES, "caches.http");
    server
}

/// Returns where the jobs of a run are listed.
fn jobs(run: u64) -> String {
    format!("{RUNS}/{run}/jobs")
}

/// Returns where the log of a job is asked for.
fn log(job: u64) -> String {
    format!("/repos/me/nixos/actions/jobs/{job}/logs")
}

/// Lets a GitHub have three runs, whose logs are in a storage elsewhere.
async fn with_runs(server: &Recorded) -> Recorded {
    let storage = Recorded::start("github", PLAIN).await;
    server.on("GET", RUNS, "runs.http");
    for (run, file) in [(30_433_642, "jobs-42.http"), (30_433_641, "jobs-41.http")] {
        server.on("GET", &jobs(run), file);
    }
    server.on("GET", &jobs(30_433_640), "jobs-40.http").on(
        "GET",
        &jobs(30_433_643),
        "jobs-43.http",
    );
    for (job, file) in [(9001, "log-9001.http"), (9002, "log-9002.http"), (8001, "log-8001.http")] {
        keep_log(server, &storage, job, file);
    }
    // The oldest is not kept any more.
    server.on("GET", &log(7001), "410.http");
    storage
}

/// Keeps the log of a job in a storage that GitHub sends to.
fn keep_log(server: &Recorded, storage: &Recorded, job: u64, file: &str) {
    let path = format!("/storage{}", log(job));
    let address = format!("{}{path}?sig=secret", storage.url);
    server.redirect(&log(job), &address);
    storage.on("GET", &path, file);
}

/// Makes a tier at a server.
fn scene(server: &Recorded) -> Scene {
    let url = format!("{}/repos/me/nixos", server.url);
    let mut scene = Scene::new(KindName::GithubActions, &url);
    scene.tier.kind = TierKind::GithubActions { repo: "me/nixos".to_owned() };
    scene
}

#[tokio::test]
async fn usage_families_token_and_limit_are_told() {
    let server = well().await;
    let facts = scene(&server).token(CANARY).look().await;
    assert_eq!(facts.state, TierState::Up, "{facts:#?}");
    let size = facts.size.clone().unwrap();
    assert_eq!((size.bytes, size.objects, size.exact), (5_369_443_699, Some(4), true));
    assert_eq!(size.limit, Some(10 << 30));
    assert_eq!(details(&facts, "usage"), ["5.37 GB of 10.7 GB (50 %) in 4 entries"]);
    assert_eq!(
        details(&facts, "keys"),
        [
            "nix-Linux-: 5.37 GB in 2 entries, last used 1 h ago, 1 of them used again after they \
             were made; 1 entry goes within a day",
            "Magic Nix Cache nars: 734 kB in 1 entry, last used 13 h ago, 1 of them used again \
             after they were made",
        ]
    );
    let leaving = "Magic Nix Cache narinfos: 612 B in 1 entry, last used 6 d ago, 0 of them used \
                   again after they were made; all of it is removed within a day unless it is used";
    assert_eq!(causes(&facts, Code::EntriesLeaving), [leaving]);
    assert_eq!(details(&facts, "leaving"), ["2 entries go within a day: not used for 6 of 7 days"]);
    assert_eq!(details(&facts, "token"), ["classic, may: repo, workflow"]);
    let ends = "the token for this cache expires in 3 d 0 h";
    assert_eq!(causes(&facts, Code::TokenExpiresSoon), [ends]);
    assert_eq!(details(&facts, "requests"), ["4987 of 5000 left in this hour"]);
    let asked = server.take_asked();
    assert_eq!(asked[0].headers["authorization"], format!("Bearer {CANARY}"));
    assert_eq!(asked[0].headers["accept"], "application/vnd.github+json");
    assert_eq!(asked[0].headers["x-github-api-version"], "2022-11-28");
    super::declares_what_is_kept(KindName::GithubActions, &server);
}

#[tokio::test]
async fn an_answer_that_did_not_change_keeps_its_facts_and_costs_nothing() {
    let server = well().await;
    let mut scene = scene(&server);
    let first = scene.look().await;
    server.take_asked();
    scene.later(SignedDuration::from_mins(5));
    let second = scene.look().await;
    let asked = server.take_asked();
    assert_eq!(asked[0].headers["if-none-match"], "W/\"5b2f8c1e\"");
    assert_eq!(asked[1].headers["if-none-match"], "W/\"0c9d11aa\"");
    assert_eq!(second.state, TierState::Up);
    assert_eq!(
        second.size.clone(),
        first.size.map(|size| nixdash::fleet::SizeFacts { measured_at: Some(scene.now), ..size })
    );
    assert_eq!(details(&second, "usage").len(), 1);
    // Ages go on though nothing was sent anew.
    scene.later(SignedDuration::from_hours(20));
    let keys = details(&scene.look().await, "keys").join("\n");
    assert!(keys.contains("last used 21 h ago"), "{keys}");
    server.on("GET", USAGE, "usage-full.http");
    let full = scene.look().await;
    let usage = causes(&full, Code::NearlyFull)[0];
    assert!(usage.starts_with("10.5 GB of 10.7 GB (98 %)"), "{full:#?}");
}

#[tokio::test]
async fn the_usage_is_its_size_and_no_host_is_served() {
    let server = well().await;
    let mut scene = scene(&server);
    scene.tier.max_size = Some(8_000_000_000);
    let size = scene.size(&[]).await.unwrap().unwrap();
    assert_eq!((size.bytes, size.limit), (5_369_443_699, Some(8_000_000_000)));
    let why = scene.holds(&[PATH]).await.unwrap_err().to_string();
    assert!(why.contains("inside of CI runs only"), "{why}");
}

#[tokio::test]
async fn refusals_say_what_a_person_can_do() {
    let server = well().await;
    for (file, word) in [
        ("401.http", "answered 401 for the caches of GitHub Actions (Bad credentials)"),
        ("403.http", "may read actions of me/nixos"),
        ("404.http", "GitHub shows no repository me/nixos"),
    ] {
        server.always(Some(file));
        let facts = scene(&server).token(CANARY).look().await;
        let said = error(&facts, TierState::Unauthorized);
        assert!(said.contains(word), "{said}");
    }
    // Usage can be read but the list cannot.
    server.always(None).on("GET", CACHES, "403.http");
    let facts = scene(&server).token(CANARY).look().await;
    error(&facts, TierState::Unauthorized);
    assert!(facts.size.is_some());
}

#[tokio::test]
async fn a_limit_that_is_used_up_is_waited_for() {
    let server = well().await;
    server.always(Some("403-limit.http"));
    let mut scene = scene(&server);
    let facts = scene.look().await;
    let said = error(&facts, TierState::Degraded);
    assert!(said.contains("limit of 60 requests in an hour is used up"), "{said}");
    assert!(said.contains("starts again in 10 min"), "{said}");
    assert!(said.contains("left alone until 08:10:00 UTC"), "{said}");
    assert!(said.contains("give it a token"), "{said}");
    server.always(None).take_asked();
    scene.later(SignedDuration::from_mins(9));
    scene.look().await;
    assert!(server.take_asked().is_empty());
    scene.later(SignedDuration::from_mins(2));
    assert_eq!(scene.look().await.state, TierState::Up);
}

#[tokio::test]
async fn it_fails_as_servers_fail() {
    let server = well().await;
    super::every_way_to_fail(
        KindName::GithubActions,
        &server,
        |url| format!("{url}/repos/me/nixos"),
        &[("401.http", "token"), ("403.http", "token"), ("404.http", "needs a token")],
    )
    .await;
}

#[tokio::test]
async fn logs_of_the_last_runs_say_which_of_them_got_their_cache() {
    let server = well().await;
    let storage = with_runs(&server).await;
    let mut scene = scene(&server).token(CANARY);
    let facts = scene.look().await;
    assert_eq!(facts.state, TierState::Up, "{facts:#?}");
    assert_eq!(
        details(&facts, "CI"),
        ["last run 1 h ago: restored nix-Linux-3f786850e387550fdab836ed7e6dc881de230…, 2 built, \
          4 copied (from me.cachix.org 2, Magic Nix Cache 1, cache.nixos.org 1)"]
    );
    // The oldest log is gone: what is not known is not counted.
    assert_eq!(details(&facts, "hits"), ["1 of 2 runs restored their cache"]);
    let asked = storage.take_asked();
    assert_eq!(asked.len(), 3);
    assert!(
        asked.iter().all(|request| !request.headers.contains_key("authorization")),
        "the token goes to GitHub only: {asked:?}"
    );
    let lines = server.take_lines();
    assert!(!lines.contains(&format!("GET {}", log(9003))), "it was skipped: {lines:?}");

    scene.later(SignedDuration::from_mins(5));
    let again = scene.look().await;
    assert_eq!(details(&again, "hits"), details(&facts, "hits"));
    let asked = server.take_asked();
    assert_eq!(asked.len(), 3, "usage, list and runs, nothing that is known: {asked:?}");
    assert_eq!(asked[2].headers["if-none-match"], "W/\"7f3d9a10\"");

    server.on("GET", RUNS, "runs-later.http");
    keep_log(&server, &storage, 9101, "log-9101.http");
    scene.later(SignedDuration::from_mins(5));
    let later = scene.look().await;
    assert_eq!(details(&later, "CI"), ["last run 6 min ago: restored nix-Linux-9c1185a"]);
    assert_eq!(details(&later, "hits"), ["2 of 3 runs restored their cache"]);
    let logs = server.take_lines().into_iter().filter(|line| line.ends_with("/logs"));
    assert_eq!(logs.collect::<Vec<_>>(), [format!("GET {}", log(9101))]);
}

#[tokio::test]
async fn logs_are_not_asked_for_without_a_token() {
    let server = well().await;
    let _storage = with_runs(&server).await;
    let facts = scene(&server).look().await;
    assert!(details(&facts, "CI")[0].contains("need a token"), "{facts:#?}");
    assert_eq!(server.take_asked().len(), 2);
}

#[tokio::test]
async fn logs_that_may_not_be_read_leave_the_tier_as_it_is() {
    let server = well().await;
    let _storage = with_runs(&server).await;
    server.on("GET", &log(9001), "403.http");
    let facts = scene(&server).token(CANARY).look().await;
    assert_eq!(facts.state, TierState::Up, "{facts:#?}");
    let said = details(&facts, "CI").join("\n");
    assert!(said.contains("logs not read:") && said.contains("may read actions"), "{said}");
    assert_eq!(details(&facts, "hits"), Vec::<String>::new());
}

#[tokio::test]
async fn of_a_log_without_end_only_the_beginning_is_read() {
    let server = well().await;
    let storage = with_runs(&server).await;
    let path = format!("/storage{}", log(9002));
    storage.endless(&path);
    let facts = scene(&server).token(CANARY).look().await;
    assert_eq!(details(&facts, "hits"), ["1 of 2 runs restored their cache"]);
}

#[tokio::test]
async fn no_logs_are_read_when_few_requests_are_left() {
    let server = well().await;
    let _storage = with_runs(&server).await;
    server.on("GET", USAGE, "usage-scarce.http");
    let facts = scene(&server).token(CANARY).look().await;
    assert_eq!(details(&facts, "CI"), ["no logs are read while few requests are left"]);
    assert_eq!(server.take_asked().len(), 2);
}
