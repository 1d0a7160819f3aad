//! How a host's run ends: every word of the supervisor, exit codes, lost jobs, restarts.

use super::target::{NEW, OLD, Target, assert_ends, deploy, deploy_and_say};
use crate::deploy::engine::scripts::HOOK;
use crate::fleet::{Code, Goal, Outcome, Phase, PhaseState};
use crate::remote::Trouble;

#[tokio::test(start_paused = true)]
async fn every_word_of_the_supervisor_has_its_outcome() {
    for (said, outcome, code) in [
        ("switched\t\t", Outcome::Switched, None),
        (
            "degraded\tboot-default-pinned\tthe next boot starts another one",
            Outcome::Degraded,
            Some(Code::BootDefaultPinned),
        ),
        ("stuck\tsystem-unexpected\tit runs x", Outcome::Degraded, Some(Code::SystemUnexpected)),
        ("rolled-back\tsnippet-failed\twhy", Outcome::RolledBack, Some(Code::SnippetFailed)),
        ("rolled-back\t\twhy", Outcome::RolledBack, Some(Code::RolledBack)),
        ("failed\tpre-switch-failed\twhy", Outcome::Failed, Some(Code::PreSwitchFailed)),
        ("superseded\tsuperseded\twhy", Outcome::Superseded, Some(Code::Superseded)),
        ("dance\t\twhy", Outcome::Unknown, Some(Code::InternalError)),
        // An older nixdash left no code.
        ("rolled-back\twhy", Outcome::RolledBack, Some(Code::RolledBack)),
        ("failed\twhy", Outcome::Failed, Some(Code::ActivationFailed)),
    ] {
        let target = Target { outcome: said, ..Target::default() };
        let story = assert_ends("", target, outcome).await;
        assert_eq!(story.code(), code, "{said}");
        if outcome != Outcome::Switched {
            assert!(!story.error().is_empty(), "{said}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_supervisor_decided_before_it_waited_is_told() {
    for (activated, decides, outcome, code) in [
        (
            "100 untouched",
            "needs-reboot\tswitch-inhibited\tit starts at the next reboot",
            Outcome::NeedsReboot,
            Code::SwitchInhibited,
        ),
        (
            "1 untouched",
            "failed\tpre-switch-failed\tits pre-switch check 'x' failed",
            Outcome::Failed,
            Code::PreSwitchFailed,
        ),
        (
            "2 back",
            "rolled-back\tactivation-failed\tits activation script failed",
            Outcome::RolledBack,
            Code::ActivationFailed,
        ),
        ("", "locked\tlock-held\twho=me@desk run=41", Outcome::Failed, Code::LockHeld),
    ] {
        let target = Target { activated, decides: Some(decides), ..Target::default() };
        let story = assert_ends("", target, outcome).await;
        assert_eq!(story.code(), Some(code), "{activated}");
        assert!(story.scripts("acknowledge").is_empty(), "{activated}");
        assert!(!story.error().is_empty());
        let keeps = usize::from(outcome == Outcome::NeedsReboot);
        assert_eq!(story.scripts("keep").len(), keeps, "{activated}");
    }
}

#[tokio::test(start_paused = true)]
async fn actions_do_what_they_say() {
    let tested = Target { outcome: "tested\t\t", ..Target::default() };
    let story = deploy_and_say("", tested, Goal::Test, None).await;
    assert_eq!(story.result.outcome, Outcome::Tested);
    let booted = Target { decides: Some("booted\t\t"), ..Target::default() };
    let story = deploy_and_say("", booted, Goal::Boot, None).await;
    assert_eq!(story.result.outcome, Outcome::Booted);
    assert!(story.scripts("acknowledge").is_empty());
    let dry = Target { activated: "0 dry", decides: Some("dry\t\t"), ..Target::default() };
    let story = deploy_and_say("", dry, Goal::DryActivate, None).await;
    assert_eq!(story.result.outcome, Outcome::Dry);
}

#[tokio::test(start_paused = true)]
async fn a_system_that_is_built_already_is_rooted_and_no_job_begins() {
    // Compare roots it; where it could not, build does it.
    for cannot_root in [false, true] {
        let target = Target { built: true, cannot_root, ..Target::default() };
        let story = assert_ends("", target, Outcome::Switched).await;
        assert_eq!(story.scripts("root").len(), usize::from(cannot_root));
        assert_eq!(story.scripts("compare")[0].args[1], NEW);
        let said = "the derivation is not rooted: ln: the disk is full";
        assert_eq!(story.logged(Phase::Compare).contains(&said), cannot_root);
        assert!(
            !story.target.begun.keys().any(|job| job.contains("-build-")),
            "{:?}",
            story.target.begun
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_away_stops_the_evaluation_that_was_begun_beside() {
    let mut target = Target::default();
    target.always.insert("preflight", Trouble::Unreachable);
    let story = assert_ends("", target, Outcome::Offline).await;
    assert!(story.scripts("compare").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_build_that_fails_activates_nothing() {
    let target = Target { exit: 1, ..Target::default() };
    let story = assert_ends("", target, Outcome::Failed).await;
    assert!(story.error().contains("could not be built"), "{}", story.error());
    assert_eq!(story.code(), Some(Code::BuildFailed));
    assert_eq!(story.scripts("start").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_does_not_hold_sends_the_host_back() {
    let target = Target { check: "broken\t0\texit code 3\t\n", ..Target::default() };
    let check = "check = [\"systemctl is-active sshd\"]";
    let story = assert_ends(check, target, Outcome::RolledBack).await;
    assert!(story.error().contains("systemctl is-active sshd (exit code 3)"), "{}", story.error());
    let ends = [PhaseState::Failed, PhaseState::Skipped, PhaseState::Failed];
    assert_eq!([Phase::Check, Phase::Settle, Phase::Persist].map(|of| story.ended(of)), ends);
    let word = story.target.word.as_deref().unwrap();
    assert!(word.starts_with("abort check-failed a check failed"), "{word}");
    assert_eq!(story.code(), Some(Code::CheckFailed));
    assert!(story.logged(Phase::Settle).is_empty(), "what goes back need not settle");
}

#[tokio::test(start_paused = true)]
async fn a_failed_unit_is_named_with_its_own_last_line() {
    let target = Target {
        check: "failed\tbluetooth.service\tno adapter found\nfailed\told.service\t\n",
        preflight: "failed\told.service\n",
        ..Target::default()
    };
    let story = assert_ends("", target, Outcome::Degraded).await;
    assert!(
        story.error().starts_with("bluetooth.service (no adapter found) failed"),
        "{}",
        story.error()
    );
    assert!(!story.error().contains("old.service"));
    let fix = "read its journal there with `journalctl --unit bluetooth.service`";
    assert_eq!(story.result.findings[0].fix, fix);
    // It stays, and nothing says that all was well.
    let ends = [PhaseState::Failed, PhaseState::Finished, PhaseState::Finished];
    assert_eq!([Phase::Check, Phase::Settle, Phase::Persist].map(|of| story.ended(of)), ends);
    assert_eq!(story.code(), Some(Code::UnitsFailed));
    assert_eq!(story.scripts("word")[0].args[1], "commit degraded", "the host marks the system");
}

#[tokio::test(start_paused = true)]
async fn a_host_whose_failed_units_could_not_be_looked_at_goes_back() {
    let story =
        assert_ends("", Target { units: "", ..Target::default() }, Outcome::RolledBack).await;
    let word = story.target.word.as_deref().unwrap();
    let why = "abort check-failed a check failed: systemd did not say which units failed";
    assert_eq!(word, why);
    assert_eq!(story.code(), Some(Code::CheckFailed));
}

#[tokio::test(start_paused = true)]
async fn units_of_a_user_are_told_by_their_user() {
    let target = Target { activated: "4 ok user=me", ..Target::default() };
    let story = assert_ends("", target, Outcome::Degraded).await;
    assert!(story.error().starts_with("units of me failed"), "{}", story.error());
    assert_eq!(story.code(), Some(Code::UserUnitsFailed));
    assert_eq!(story.scripts("word")[0].args[1], "commit degraded");
}

#[tokio::test(start_paused = true)]
async fn a_snippet_that_failed_before_too_is_named_and_no_fault() {
    let target = Target { activated: "0 ok snippet=setupSecrets", ..Target::default() };
    let story = assert_ends("", target, Outcome::Switched).await;
    assert!(story.error().contains("setupSecrets"), "{}", story.error());
    assert_eq!(story.code(), Some(Code::SnippetFailedBefore));
    assert_eq!(story.scripts("word")[0].args[1], "commit");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_was_restarted_is_judged_by_what_it_runs() {
    for (running, profile, outcome) in [
        (OLD, OLD, Outcome::RolledBack),
        (OLD, NEW, Outcome::Degraded),
        (NEW, OLD, Outcome::Degraded),
    ] {
        let account = format!("running\t{running}\nprofile\t{profile}\n");
        let target = Target {
            dead: true,
            // The job is gone when the activation is followed.
            account,
            ..Target::default()
        };
        let story = assert_ends("", target, outcome).await;
        assert!(story.error().contains("should have taken it back"), "{}", story.error());
        let is_back = outcome == Outcome::RolledBack;
        let code = if is_back { Code::JobEnded } else { Code::SystemUnexpected };
        assert_eq!(story.code(), Some(code));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_power_cut_left_is_put_right_before_it_is_judged() {
    let target = Target {
        dead: true,
        account: format!("running\t{OLD}\nprofile\t{OLD}\nintent\tset\n"),
        ..Target::default()
    };
    let story = assert_ends("", target, Outcome::RolledBack).await;
    assert_eq!(story.scripts("recover").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_held_lock_names_its_owner_and_stops_the_host() {
    let target = Target {
        preflight: "locked\twho=you@desk run=3 since=10 until=70 now=20 heard=19\n",
        ..Target::default()
    };
    let story = deploy("", target).await;
    assert_eq!((story.result.outcome, story.code()), (Outcome::Failed, Some(Code::LockHeld)));
    assert!(
        story.error().contains("you@desk has been deploying to it with run 3"),
        "{}",
        story.error()
    );
    assert!(story.scripts("start").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_deploy_keeps_its_own_root_and_frees_that_of_another_builder() {
    let target = Target { preflight: "built_on\tsamsung\n", ..Target::default() };
    let story = assert_ends("", target, Outcome::Switched).await;
    assert_eq!(story.scripts("keep").len(), 1);
    assert!(story.scripts("unroot").is_empty(), "it is built where it was built before");
    let root = &story.scripts("compare")[0].args[2];
    assert!(root.contains("samsung.run-7-"), "a root belongs to its run: {root}");
}

#[tokio::test(start_paused = true)]
async fn hooks_after_an_activation_follow_those_before_it_however_it_ends() {
    let after = "after_activate = [{ run = [\"resume\"], on = \"host\" }]\nafter_rollback = [{ run = [\"undo\"], on = \"host\" }]";
    let before = "before_activate = [{ run = [\"drain\"], on = \"host\" }]";
    let ran = async |hooks: &str, target, outcome: Outcome| {
        let story = assert_ends(&format!("[hosts.samsung.hooks]\n{hooks}"), target, outcome).await;
        let hooks = story.asked.iter().filter(|(_, script)| script.body == HOOK);
        let facts = hooks.map(|(_, script)| {
            let fact = |name: &str| {
                let begins = format!("{name}=");
                script.args.iter().find_map(|arg| arg.strip_prefix(&begins)).unwrap_or_default()
            };
            format!("{} {}", fact("NIXDASH_HOOK"), fact("NIXDASH_OUTCOME"))
        });
        facts.collect::<Vec<_>>()
    };
    let ends = |outcome| Target { outcome, ..Target::default() };
    for (said, outcome, follows) in [
        ("switched\t\t", Outcome::Switched, "after_activate switched"),
        ("failed\tpre-switch-failed\twhy", Outcome::Failed, "after_activate failed"),
        ("superseded\tsuperseded\twhy", Outcome::Superseded, "after_activate superseded"),
        ("rolled-back\tsnippet-failed\twhy", Outcome::RolledBack, "after_rollback rolled-back"),
    ] {
        let hooks = ran(&format!("{before}\n{after}"), ends(said), outcome).await;
        assert_eq!(hooks, ["before_activate ", follows], "{said}");
    }
    // Where none ran before, none follows a system that was not kept.
    let none: [String; 0] = [];
    assert_eq!(ran(after, ends("failed\tpre-switch-failed\twhy"), Outcome::Failed).await, none);
}
