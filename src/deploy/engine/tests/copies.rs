//! Copies from the builder that do not arrive at once: what becomes of the host, and what they brought.

use super::failover::{cache_serves, fleet as cached_fleet};
use super::target::{Target, assert_ends};
use super::ways::{FLEET, HostAnswers, deploy, prints};
use crate::fleet::{Code, Fetched, Outcome, Strategy};
use crate::remote::{RemoteError, Script, Trouble};
use std::collections::BTreeMap;

/// What Nix says where the connection of a copy is cut.
const CUT: &str =
    "@nix {\"action\":\"msg\",\"level\":0,\"msg\":\"error: unexpected end-of-file\"}\n";

/// What Nix says where its only cache is down.
const DOWN: &str = "@nix {\"action\":\"msg\",\"level\":0,\"msg\":\"error: unable to download \
    'http://p620.lan:5000/x.narinfo': Could not connect to server\"}\n";

/// Returns what Nix says of two paths that arrive.
fn two_paths(names: [&str; 2], from: &str) -> String {
    let line = |(id, name): (usize, &str)| {
        format!(
            "@nix {{\"action\":\"start\",\"id\":{id},\"type\":100,\"level\":3,\"fields\":[\
             \"/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-{name}\",\"{from}\",\"daemon\"]}}\n\
             @nix {{\"action\":\"stop\",\"id\":{id}}}\n"
        )
    };
    (1..).zip(names).map(line).collect()
}

/// Answers as hosts whose jobs of the system's way print these logs and end with these codes, by the job's name.
fn jobs<const N: usize>(ends: [(&'static str, String, i32); N]) -> Box<HostAnswers> {
    Box::new(move |_, name, script: &Script| {
        let job = script.args.first().filter(|_| name == "follow")?;
        let job = job.strip_prefix("run-7-x-")?.strip_suffix("-samsung")?;
        let (_, log, exit) = ends.iter().find(|(name, ..)| *name == job)?;
        prints(&format!("{log}\n{}\tover\t\t{exit}\t\t\n", script.args[3]))
    })
}

/// Returns how many paths came from where.
fn paths(fetched: &BTreeMap<String, Fetched>) -> Vec<(&str, u64)> {
    fetched.iter().map(|(from, got)| (from.as_str(), got.paths)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_target_that_goes_away_during_its_copy_is_offline() {
    let cut = jobs([("push", CUT.to_owned(), 1)]);
    let answers: Box<HostAnswers> = Box::new(move |host, name, script| {
        if host == "samsung" && script.body == ":" {
            let gone = RemoteError::new(host, Trouble::Unreachable, "No route to host");
            return Some(Err(gone));
        }
        cut(host, name, script)
    });
    let story = deploy("github:me/x", FLEET, Strategy::Push, None, answers).await;
    assert_eq!(story.result.outcome, Outcome::Offline, "{:?}", story.result.error);
    let error = story.result.error.unwrap();
    assert!(
        error.starts_with("the copy from p620 broke off: samsung: No route to host"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_job_that_somebody_stops_was_ended_on_purpose_and_is_not_made_again() {
    let stopped = jobs([("push", CUT.to_owned(), 143)]);
    let story = deploy("github:me/x", FLEET, Strategy::Push, None, stopped).await;
    assert_eq!(story.result.findings[0].code, Code::JobEnded, "{:?}", story.result.error);
    assert!(story.job("p620", "push-2").is_none(), "{}", story.log());
    // Killed for another reason: nobody knows whether that was on purpose.
    let killed = jobs([("push", CUT.to_owned(), 137)]);
    let story = deploy("github:me/x", FLEET, Strategy::Push, None, killed).await;
    assert_eq!(story.result.findings[0].code, Code::FetchFailed, "{:?}", story.result.error);
    assert!(story.job("p620", "push-2").is_none(), "{}", story.log());
    // A build is stopped in the same way.
    let story = assert_ends("", Target { exit: 143, ..Target::default() }, Outcome::Failed).await;
    assert_eq!(story.code(), Some(Code::JobEnded), "{}", story.error());
}

#[tokio::test(start_paused = true)]
async fn what_copies_brought_that_broke_off_is_counted() {
    let (first, second) = (two_paths(["a", "b"], "daemon"), two_paths(["c", "d"], "daemon"));
    let twice = jobs([("push", first + CUT, 1), ("push-2", second, 0)]);
    let story = deploy("github:me/x", FLEET, Strategy::Push, None, twice).await;
    assert_eq!(story.result.outcome, Outcome::Switched, "{:?}", story.result.error);
    assert_eq!(paths(&story.result.fetched), [("ssh-ng://p620", 4)]);
}

#[tokio::test(start_paused = true)]
async fn what_a_cache_brought_before_it_failed_is_counted_too() {
    let first = two_paths(["a", "b"], "http://p620.lan:5000") + DOWN;
    let second = two_paths(["c", "d"], "daemon");
    let ends = jobs([("fetch", first, 1), ("push", second, 0)]);
    let answers: Box<HostAnswers> =
        Box::new(move |host, name, script| ends(host, name, script).or_else(|| cache_serves(name)));
    let fleet = cached_fleet();
    let story = deploy("github:me/x", &fleet, Strategy::ViaCache, None, answers).await;
    assert_eq!(story.result.outcome, Outcome::Switched, "{:?}", story.result.error);
    assert_eq!(paths(&story.result.fetched), [("cache", 2), ("ssh-ng://p620", 2)]);
}
