//! A cache that fails while a run goes on: another way comes next, or the cache comes back.

use super::ways::{FLEET, HostAnswers, WaysStory, deploy, prints};
use crate::fleet::{Code, Outcome, Route, RunWhat, Strategy, Wait};
use crate::remote::{Output, RemoteError, Script};
use std::sync::atomic::{AtomicU32, Ordering};

/// The public half of the cache's key.
const CACHE_KEY: &str = "cache-1:uWEIN0LCIw+8nltEtCv7vOneIgsKjlZ+ziho3KtpMN0=";

/// What the cache serves of the new system.
const NARINFO: &str = "StorePath: /nix/store/m0znnv1nxsr0ry7gmadkh49s1d0hycgd-new\nURL: nar/x.nar\n\
    Compression: none\nNarHash: sha256:1hga3hi85r8pr9b77dslwiink01mslj3di8k6a09yk3vmd4v3b02\nNarSize: 120\n\
    References: \nSig: cache-1:ezmzS3M+o2WAzAMfw8Ggf8YTxGly65QIyniBBUVLdsptt/vgx1tdStNvRj9UTCz5gtdk9sDRsMvqu5B73LRlDA==\n";

/// Returns the fleet whose cache has that key.
pub(super) fn fleet() -> String {
    FLEET.replace(
        "public_key = \"p620-1:84lYE1B4WYBhgRnr4i3CGQuBrqMejfmimNytE5731+M=\"",
        &format!("public_key = \"{CACHE_KEY}\""),
    )
}

/// Deploys samsung through the builder's cache.
async fn through_cache(answers: Box<HostAnswers>) -> WaysStory {
    deploy("github:me/x", &fleet(), Strategy::ViaCache, None, answers).await
}

/// Answers as a cache that has the system.
pub(super) fn cache_serves(name: &str) -> Option<Result<Output, RemoteError>> {
    if name == "verify" {
        return prints(&format!("\n--- narinfo\n{NARINFO}\n--- status 200 \n"));
    }
    None
}

/// Answers as a cache that is down.
pub(super) fn cache_is_down(name: &str) -> Option<Result<Output, RemoteError>> {
    (name == "verify").then(|| {
        let stdout = "\n--- narinfo\ncurl: (7) Connection refused\n--- status 000 \n".to_owned();
        Ok(Output { stdout, stderr: "--- curl 7\n".to_owned(), ..Output::default() })
    })
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_is_down_is_replaced_by_a_copy_from_the_builder() {
    let down = |_: &str, name: &str, _: &Script| cache_is_down(name);
    let story = through_cache(Box::new(down)).await;
    assert_eq!(story.result.outcome, Outcome::Switched, "{:?}", story.result.error);
    let taken = story.result.taken.as_ref().unwrap();
    assert_eq!(taken.route, Route::Push { builder: "p620".to_owned() });
    assert_eq!(taken.given_up.len(), 1);
    assert_eq!(taken.given_up[0].route.tier(), Some("cache"));
    assert!(taken.given_up[0].why.contains("cannot reach tier cache"), "{taken:?}");
    assert!(story.log().contains("p620 copies it straight to samsung"), "{}", story.log());
    assert!(story.job("p620", "push").is_some() && story.job("samsung", "fetch").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_fails_after_a_cache_does_not_hide_what_went_wrong_first() {
    let unsigned =
        "error: cannot add path '/nix/store/x' because it lacks a signature by a trusted key";
    let both = move |host: &str, name: &str, script: &Script| {
        let of_copy = host == "p620" && script.args.first()?.starts_with("run-7-x-push-");
        match name {
            "follow" if of_copy && script.args[1] == "0" => {
                let line =
                    format!("@nix {{\"action\":\"msg\",\"level\":0,\"msg\":\"{unsigned}\"}}");
                prints(&format!("{line}\n\n{}\tover\t\t1\t\t\n", script.args[3]))
            }
            name => cache_is_down(name),
        }
    };
    let story = through_cache(Box::new(both)).await;
    assert_eq!(story.result.outcome, Outcome::Failed);
    assert_eq!(story.result.findings[0].code, Code::NotReached);
    let error = story.result.error.unwrap();
    let (first, second) = error.split_once("; after that, push from p620 failed too: ").unwrap();
    assert!(first.starts_with("samsung cannot reach tier cache"), "{error}");
    assert!(second.contains("lacks a signature by a trusted key"), "{error}");
}

/// Answers as a builder that can copy nothing to its target: the key of the target is another one than it
/// knows, and no agent is lent then.
fn cannot_push(name: &str) -> Option<Result<Output, RemoteError>> {
    if name == "push-way" {
        return prints("refused\t0\tHost key verification failed.\nchanged\t0\n");
    }
    None
}

/// Returns the caches that were waited for, in order; none where a wait ended.
fn waited_for(story: &WaysStory) -> Vec<Option<String>> {
    let waits = story.events.iter().filter_map(|event| match &event.what {
        RunWhat::Waiting { wait: Some(Wait::Cache { tier, .. }), .. } => Some(Some(tier.clone())),
        RunWhat::Waiting { wait: None, .. } => Some(None),
        _ => None,
    });
    waits.collect()
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_only_restarts_is_waited_for_where_no_other_way_works() {
    let asked = AtomicU32::new(0);
    let restarts = move |_: &str, name: &str, _: &Script| {
        let is_down = name == "verify" && asked.fetch_add(1, Ordering::AcqRel) < 8;
        if is_down { cache_is_down(name) } else { cannot_push(name).or_else(|| cache_serves(name)) }
    };
    let story = through_cache(Box::new(restarts)).await;
    assert_eq!(story.result.outcome, Outcome::Switched, "{:?}", story.result.error);
    assert_eq!(waited_for(&story), [Some("cache".to_owned()), None]);
    assert!(story.log().contains("tier cache answers again"), "{}", story.log());
    let taken = story.result.taken.as_ref();
    assert!(taken.is_none_or(|taken| taken.given_up.is_empty()), "{taken:?}");
}

#[tokio::test(start_paused = true)]
async fn a_fetch_from_a_cache_that_restarts_is_made_again_as_a_job_of_its_own() {
    const DOWN: &str = "@nix {\"action\":\"msg\",\"level\":0,\"msg\":\"error: unable to download \
        'http://p620:5000/x.narinfo': Could not connect to server (7)\"}";
    for (times, outcome) in [(1, Outcome::Switched), (4, Outcome::Failed)] {
        let failed = AtomicU32::new(0);
        let breaks = move |_: &str, name: &str, script: &Script| {
            let is_fetch = name == "follow" && script.args[0].contains("-fetch-");
            if is_fetch && failed.fetch_add(1, Ordering::AcqRel) < times {
                return prints(&format!("{DOWN}\n{}\tover\t\t1\t\t\n", script.args[3]));
            }
            cannot_push(name).or_else(|| cache_serves(name))
        };
        let story = through_cache(Box::new(breaks)).await;
        assert_eq!(story.result.outcome, outcome, "{:?}", story.result.error);
        assert!(story.job("samsung", "fetch-2").is_some(), "{}", story.log());
        // One that is gone again and again is given up.
        assert!(story.job("samsung", "fetch-5").is_none(), "{}", story.log());
    }
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_is_down_with_no_other_way_fails_with_the_choices() {
    let stuck = |_: &str, name: &str, _: &Script| cannot_push(name).or_else(|| cache_is_down(name));
    let story = through_cache(Box::new(stuck)).await;
    assert_eq!(story.result.outcome, Outcome::Failed);
    assert_eq!(story.result.findings[0].code, Code::NotReached);
    let error = story.result.error.unwrap();
    for part in [
        "cannot reach tier cache",
        "Host key verification failed",
        "Fix tier cache",
        "--strategy direct",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_the_host_would_refuse_is_no_other_way() {
    let fleet = fleet().replace("sign_key = \"/etc/nix/secret-key\"\n", "");
    for (times, outcome) in [(8, Outcome::Switched), (u32::MAX, Outcome::Failed)] {
        let asked = AtomicU32::new(0);
        let unsigned = move |_: &str, name: &str, _: &Script| match name {
            "push-way" => prints("reached\t0\n"),
            "verify" if asked.fetch_add(1, Ordering::AcqRel) >= times => cache_serves(name),
            name => cache_is_down(name),
        };
        let flake = "github:me/x";
        let story = deploy(flake, &fleet, Strategy::ViaCache, None, Box::new(unsigned)).await;
        assert_eq!(story.result.outcome, outcome, "{:?}", story.result.error);
        assert!(story.job("p620", "push").is_none(), "{}", story.log());
        let error = story.result.error.unwrap_or_default();
        assert_eq!(error.contains("would refuse a copy"), outcome == Outcome::Failed, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_hangs_makes_no_host_offline_and_holds_no_plan_up() {
    let late = || Some(Ok(Output { code: 124, ..Output::default() }));
    let two = format!(
        "{}[[tiers]]\nname = \"two\"\nkind = \"http\"\nurl = \"http://two.lan\"\n\
         public_key = \"{CACHE_KEY}\"\n",
        fleet()
    );
    let hangs = move |_: &str, name: &str, script: &Script| match name {
        "compare" | "holds" => late(),
        "verify" if script.args[0].contains("two.lan") => cache_serves(name),
        name => cache_is_down(name),
    };
    let story = deploy("github:me/x", &two, Strategy::ViaCache, None, Box::new(hangs)).await;
    assert_eq!(story.result.outcome, Outcome::Switched, "{:?}", story.result.error);
    let log = story.log();
    assert!(log.contains("did not find out within 1 min 30 s what must be built"), "{log}");
    assert!(story.job("p620", "push").is_some(), "{log}");
}
