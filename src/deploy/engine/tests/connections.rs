//! Connections that break, in every phase that talks with the host.

use super::target::{Target, assert_ends, deploy, deploy_and_say};
use crate::deploy::Control;
use crate::fleet::{Code, Goal, Outcome, Phase, RunWhat, Wait};
use crate::remote::{Trouble, Way};
use std::time::Duration;

/// Returns a target on which a script meets these troubles, one after the other.
fn troubled(script: &'static str, troubles: &[Option<Trouble>]) -> Target {
    Target { troubles: [(script, troubles.iter().cloned().collect())].into(), ..Target::default() }
}

/// Returns a target on which a script never gets an answer.
fn cut_off(scripts: &[&'static str]) -> Target {
    let always = scripts.iter().map(|script| (*script, Trouble::Unreachable)).collect();
    Target { always, ..Target::default() }
}

#[tokio::test(start_paused = true)]
async fn a_start_without_an_answer_is_asked_for_again_and_begins_once() {
    let lost = Target { answers_lost: vec!["start"], ..Target::default() };
    let story = assert_ends("", lost, Outcome::Switched).await;
    assert!(story.target.begun.values().all(|begun| *begun == 1), "{:?}", story.target.begun);
    let said = story.logged(Phase::Build).join("\n");
    assert!(said.contains("asking whether it began"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_cable_that_is_cut_when_the_activation_begins_tells_what_the_host_did() {
    // The first start (the build) is answered; the second (the activation) is not.
    let mut target = troubled(
        "start",
        &[None, Some(Trouble::Lost), Some(Trouble::Unreachable), Some(Trouble::Unreachable)],
    );
    target.decides = Some("rolled-back\tnetwork-lost\tnobody could reach it within 30 s");
    target.activated = "0 back";
    let story = assert_ends("", target, Outcome::RolledBack).await;
    assert!(story.error().contains("nobody could reach it"), "{}", story.error());
    assert_eq!(story.code(), Some(Code::NetworkLost));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_not_seen_after_the_start_is_unknown() {
    let mut target = troubled("start", &[None]);
    let lost = std::iter::repeat_n(Some(Trouble::Unreachable), 2000);
    target.troubles.entry("start").or_default().extend(lost);
    let story = assert_ends("", target, Outcome::Unknown).await;
    assert!(story.error().contains("If it began"), "{}", story.error());
    assert_eq!(story.code(), Some(Code::NotSeenSince));
}

#[tokio::test(start_paused = true)]
async fn a_log_is_read_on_where_it_broke_off() {
    let target = Target { answers_lost: vec!["follow"], ..Target::default() };
    let story = assert_ends("", target, Outcome::Switched).await;
    let lines = story.logged(Phase::Build);
    let activating = lines.iter().filter(|line| line.contains("activating")).count();
    assert_eq!(activating, 1, "{lines:#?}");
    assert!(story.scripts("follow").len() > 3);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_lost_in_the_activation_is_unknown_and_goes_back_by_itself() {
    let mut target = troubled("follow", &[None]);
    let lost = std::iter::repeat_n(Some(Trouble::Lost), 2000);
    target.troubles.entry("follow").or_default().extend(lost);
    let story = assert_ends("", target, Outcome::Unknown).await;
    assert!(
        story.error().contains("goes back to the previous system by itself"),
        "{}",
        story.error()
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_lost_after_the_word_is_told_to_keep_the_new_system() {
    // Build and activation are followed; what comes after the word is not.
    let mut target = troubled("follow", &[None, None]);
    let lost = std::iter::repeat_n(Some(Trouble::Unreachable), 2000);
    target.troubles.entry("follow").or_default().extend(lost);
    let story = assert_ends("", target, Outcome::Unknown).await;
    let error = story.error();
    assert!(error.contains("told to keep the new system at "), "{error}");
    assert!(error.contains("not seen since"), "{error}");
    assert!(!error.contains("by itself"), "{error}");
    assert_eq!(story.code(), Some(Code::NotSeenSince));
}

#[tokio::test(start_paused = true)]
async fn refused_logins_are_tried_three_times_and_slowly() {
    let mut target =
        Target { always: [("acknowledge", Trouble::Denied)].into(), ..Target::default() };
    target.decides = Some("rolled-back\tnetwork-lost\tnobody could reach it");
    let story = deploy("confirm_timeout = \"2m\"", target).await;
    assert_eq!(story.scripts("acknowledge").len(), 3);
    assert!(story.took >= Duration::from_secs(20), "{:?}", story.took);
    assert_eq!(story.result.outcome, Outcome::RolledBack);
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_that_comes_too_late_is_none() {
    let target = Target {
        decides: Some("rolled-back\tnetwork-lost\tnobody could reach it within 30 s"),
        ..Target::default()
    };
    let story = assert_ends("", target, Outcome::RolledBack).await;
    assert!(story.scripts("word").is_empty(), "nobody told it to keep the system");
}

#[tokio::test(start_paused = true)]
async fn the_word_travels_over_a_second_fresh_connection_after_the_time_to_settle() {
    let story = assert_ends("", Target::default(), Outcome::Switched).await;
    assert_eq!(story.scripts("acknowledge")[0].way, Way::Fresh);
    assert_eq!(story.scripts("word")[0].way, Way::Fresh);
    assert!(story.took >= Duration::from_secs(3), "{:?}", story.took);
    assert!(story.took < Duration::from_secs(5), "{:?}", story.took);
}

#[tokio::test(start_paused = true)]
async fn the_acknowledging_connection_begins_when_the_activation_has_ended_and_not_before() {
    let ended = "switch-to-configuration test ended with exit code 0 (step 1)\n";
    let again = "activating the previous system again, to see whether users fails there too\n";
    let failed = "switch-to-configuration test ended with exit code 2 (step 1)\n";
    for (log, activated, fresh) in [
        (ended.to_owned(), "0 ok", vec!["forget", "begin", "forget"]),
        (format!("{ended}{again}"), "0 ok", vec!["forget", "begin", "forget", "forget"]),
        (format!("{failed}{again}{ended}"), "0 ok", vec!["forget", "begin", "forget"]),
        (failed.to_owned(), "0 ok", vec!["forget", "forget"]),
        (ended.to_owned(), "0 back", vec!["forget", "begin", "forget", "forget"]),
    ] {
        let outcome = if activated == "0 ok" { Outcome::Switched } else { Outcome::RolledBack };
        let decides = (activated != "0 ok").then_some("rolled-back\tactivation-failed\tit failed");
        let target = Target { log: log.clone(), activated, decides, ..Target::default() };
        let story = assert_ends("", target, outcome).await;
        // The last one is at the end of the run.
        assert_eq!(story.fresh, fresh, "{log}");
    }
    let decides = Some("switched\t\t");
    let target = Target { log: ended.to_owned(), decides, ..Target::default() };
    let story = assert_ends("magic_rollback = false", target, Outcome::Switched).await;
    assert!(!story.fresh.contains(&"begin"), "{:?}", story.fresh);
}

#[tokio::test(start_paused = true)]
async fn without_a_time_to_settle_the_word_travels_over_the_acknowledging_connection() {
    let story = assert_ends("settle = \"0s\"", Target::default(), Outcome::Switched).await;
    assert_eq!(story.scripts("word")[0].args.len(), 5, "it goes on with the supervisor's log");
    assert_eq!(story.scripts("word")[0].way, Way::Beside);
    assert!(story.took < Duration::from_secs(1), "{:?}", story.took);
}

#[tokio::test(start_paused = true)]
async fn a_touched_network_settles_for_fifteen_seconds() {
    let target = || Target { activated: "0 ok network", ..Target::default() };
    let story = assert_ends("", target(), Outcome::Switched).await;
    assert!(story.took >= Duration::from_secs(15), "{:?}", story.took);
    let story = assert_ends("settle = \"1s\"", target(), Outcome::Switched).await;
    assert!(story.took < Duration::from_secs(2), "{:?}", story.took);
}

#[tokio::test(start_paused = true)]
async fn a_network_that_dies_while_it_settles_sends_the_host_back() {
    let mut target = cut_off(&["word"]);
    target.decides = None;
    let story = assert_ends("", target, Outcome::RolledBack).await;
    assert!(story.error().contains("nobody could reach it"), "{}", story.error());
    assert_eq!(story.target.word, None);
    let waits = story.events.iter().filter_map(|event| match &event.what {
        RunWhat::Waiting { wait: Some(wait @ Wait::Back { .. }), reason, .. } => {
            Some((wait.clone(), reason.clone()))
        }
        _ => None,
    });
    let waits: Vec<_> = waits.collect();
    let [(_, Some(reason))] = &waits[..] else { panic!("{waits:?}") };
    assert!(reason.contains("nixdash gives up in"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_word_whose_answer_is_lost_is_given_again() {
    let target = Target { answers_lost: vec!["word"], ..Target::default() };
    let story = assert_ends("", target, Outcome::Switched).await;
    assert_eq!(story.scripts("word").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_stopped_in_the_activation_tells_the_host_at_once() {
    let target = Target::default();
    let story =
        deploy_and_say("", target, Goal::Switch, Some(("acknowledge", Control::Cancel))).await;
    assert_eq!(
        story.target.word.as_deref(),
        Some("abort run-stopped the operator stopped the run")
    );
    assert_eq!(story.result.outcome, Outcome::RolledBack, "{}", story.error());
    assert_eq!(story.code(), Some(Code::RunStopped));
}

#[tokio::test(start_paused = true)]
async fn a_builder_that_is_lost_ends_the_build() {
    let story = deploy("", cut_off(&["follow"])).await;
    assert_eq!(story.result.outcome, Outcome::Offline, "{}", story.error());
    assert_eq!(story.code(), Some(Code::HostUnreachable));
    assert!(story.scripts("acknowledge").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_host_that_restarts_before_anything_was_changed_is_waited_for() {
    let away = vec![Some(Trouble::Unreachable); 60];
    let story = assert_ends("", troubled("compare", &away), Outcome::Switched).await;
    assert!(story.took >= Duration::from_secs(30), "{:?}", story.took);
    let slow = [Some(Trouble::Slow(Duration::from_secs(15)))];
    assert_ends("", troubled("compare", &slow), Outcome::Switched).await;
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_cut_off_is_waited_for_until_it_answers() {
    let away = vec![Some(Trouble::Unreachable); 9];
    for script in ["compare", "follow"] {
        let story = assert_ends("", troubled(script, &away), Outcome::Switched).await;
        let waits = story.events.iter().filter_map(|event| match &event.what {
            RunWhat::Waiting { wait, .. } => Some(wait.clone()),
            _ => None,
        });
        let waits: Vec<_> = waits.collect();
        let at = waits.iter().position(|wait| matches!(wait, Some(Wait::Answer { .. })));
        let at = at.unwrap_or_else(|| panic!("{script}: {waits:?}"));
        let Some(Wait::Answer { since, until: Some(until), .. }) = &waits[at] else {
            panic!("{waits:?}")
        };
        assert!(since < until, "{waits:?}");
        assert_eq!(waits.get(at + 1), Some(&None), "{script}: it answers again: {waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_stays_away_before_anything_was_changed_is_given_up() {
    let story = assert_ends("", cut_off(&["compare"]), Outcome::Offline).await;
    let took = story.took.as_secs();
    assert!((45..50).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn a_build_whose_host_restarted_is_begun_again() {
    let target = Target { restarts: 2, ..Target::default() };
    let story = assert_ends("", target, Outcome::Switched).await;
    let said = story.logged(Phase::Build).join("\n");
    assert!(said.contains("samsung was restarted meanwhile; building again"), "{said}");
    assert_eq!(story.scripts("start").len(), 4, "three builds and the activation");
}

#[tokio::test(start_paused = true)]
async fn a_build_of_which_nothing_is_ever_left_fails_in_the_end() {
    let target = Target { restarts: 1000, ..Target::default() };
    let story = assert_ends("", target, Outcome::Failed).await;
    assert_eq!(story.code(), Some(Code::JobEnded));
    assert!(story.scripts("start").len() < 30);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_off_is_set_aside() {
    let story = assert_ends("", cut_off(&["preflight"]), Outcome::Offline).await;
    assert_eq!(story.code(), Some(Code::HostUnreachable));
    assert!(story.scripts("evaluate").is_empty());
}
