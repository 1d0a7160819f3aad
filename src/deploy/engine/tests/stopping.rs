//! A run that is stopped while something is about to be tried again: nothing else is begun, and nobody waits.

use super::failover::{cache_is_down, cache_serves, fleet as cached_fleet};
use super::ways::{FLEET, HostAnswers, WaysStory, deploy_hearing, prints, requested};
use crate::deploy::Control;
use crate::fleet::{Code, RunOptions, Strategy};
use crate::remote::Script;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Deploys samsung by a strategy, and stops the run when `stops` says so of a script. Returns how long the run took
/// from then on, too.
async fn stopped(
    hosts: &str,
    strategy: Strategy,
    answers: Box<HostAnswers>,
    stops: impl Fn(&str, &Script) -> bool + Send + Sync + 'static,
) -> (WaysStory, Duration) {
    let told_at = Arc::new(OnceLock::new());
    let tells = Arc::clone(&told_at);
    let (control, said) = mpsc::channel(4);
    let answers = move |host: &str, name: &str, script: &Script| {
        if stops(name, script) {
            control.try_send(Control::Cancel).unwrap();
            tells.set(Instant::now()).unwrap();
        }
        answers(host, name, script)
    };
    let options = RunOptions { strategy: Some(strategy), ..RunOptions::default() };
    let request = requested(&["samsung"], options);
    let story = deploy_hearing(&request, ("github:me/x", hosts), None, Box::new(answers), said);
    let story = story.await;
    (story, told_at.get().unwrap().elapsed())
}

/// Checks that a run ended at once, and began no job of this name.
fn assert_ended_before((story, took): &(WaysStory, Duration), host: &str, job: &str) {
    assert_eq!(story.result.findings[0].code, Code::RunStopped, "{:?}", story.result.error);
    assert!(story.job(host, job).is_none(), "{}", story.log());
    assert!(*took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_about_to_be_made_again_is_not_begun() {
    let cut = |host: &str, name: &str, script: &Script| {
        let of_copy = host == "p620" && script.args.first()?.starts_with("run-7-x-push-");
        if !of_copy || name != "follow" {
            return None;
        }
        let line =
            "@nix {\"action\":\"msg\",\"level\":0,\"msg\":\"error: unexpected end-of-file\"}";
        prints(&format!("{line}\n\n{}\tover\t\t1\t\t\n", script.args[3]))
    };
    let ends =
        |name: &str, script: &Script| name == "follow" && script.args[0] == "run-7-x-push-samsung";
    let story = stopped(FLEET, Strategy::Push, Box::new(cut), ends).await;
    assert!(story.0.job("p620", "push").is_some(), "{}", story.0.log());
    assert_ended_before(&story, "p620", "push-2");
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_waits_for_its_cache_to_come_back_is_not_begun_again() {
    let asked = Arc::new(AtomicU32::new(0));
    let times = Arc::clone(&asked);
    // It is down from the first try of the fetch on, and comes back a while after the run was stopped.
    let answers = move |host: &str, name: &str, script: &Script| match name {
        "push-way" => prints("refused\t0\tHost key verification failed.\nchanged\t0\n"),
        "follow" if host == "samsung" && script.args[0].contains("-fetch-") => {
            let line = "@nix {\"action\":\"msg\",\"level\":0,\"msg\":\"error: unable to download \
                        'http://p620.lan:5000/x.narinfo': Could not connect to server\"}";
            prints(&format!("{line}\n\n{}\tover\t\t1\t\t\n", script.args[3]))
        }
        "verify" if (1..=12).contains(&times.load(Ordering::Acquire)) => cache_is_down(name),
        name => cache_serves(name),
    };
    let counted = move |name: &str, script: &Script| {
        let is_fetched = name == "follow" && script.args[0].contains("-fetch-");
        let is_verified = name == "verify" && asked.load(Ordering::Acquire) > 0;
        if !is_fetched && !is_verified {
            return false;
        }
        // Some questions come before the cache is waited for.
        asked.fetch_add(1, Ordering::AcqRel) == 6
    };
    let story = stopped(&cached_fleet(), Strategy::ViaCache, Box::new(answers), counted).await;
    let log = story.0.log();
    assert!(log.contains("is asked again for up to"), "{log}");
    assert!(story.0.job("samsung", "fetch").is_some(), "{log}");
    assert_ended_before(&story, "samsung", "fetch-2");
}
