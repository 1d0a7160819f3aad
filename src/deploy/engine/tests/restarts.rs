//! Hosts that are restarted when their new system is permanent, and what is measured of them afterwards.

use super::target::{NEW, OLD, Story, Target, carry_out, fleet, switch};
use crate::deploy::{GivenPlace, GivenSystem, Reason, RunBegin, RunJournal};
use crate::fleet::{Code, Goal, Outcome, Phase, StorePath};
use crate::remote::Trouble;
use std::time::Duration;

/// Returns a target that keeps its new system, by an action.
fn target(goal: Goal) -> Target {
    let decides = (goal == Goal::Boot).then_some("booted\t\t");
    Target { decides, ..Target::default() }
}

/// Returns what the host was told to remember of systems.
fn remembered(story: &Story) -> Vec<[&str; 2]> {
    let marks = story.scripts("mark").into_iter();
    marks.map(|script| [script.args[0].as_str(), script.args[1].as_str()]).collect()
}

/// Deploys samsung with a check, and restarts it.
async fn restart(goal: Goal, target: Target) -> Story {
    let fleet = fleet("check = [\"true\"]");
    let mut setup = switch(&fleet, goal);
    setup.hosts[0].reboot = Some(Duration::from_secs(600));
    let begin = RunBegin::Fresh { setup: Box::new(setup), hosts_file: None };
    carry_out(fleet, target, begin, RunJournal::none(), None).await
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_followed_by_the_checks_and_a_second_fresh_connection() {
    for (goal, checks) in [(Goal::Switch, 2), (Goal::Boot, 1)] {
        let story = restart(goal, target(goal)).await;
        assert_eq!(story.result.outcome, Outcome::Switched, "{goal}: {}", story.error());
        assert_eq!(story.scripts("check").len(), checks, "{goal}");
        assert_eq!(story.scripts("presence").len(), 2, "{goal}");
        assert_eq!(remembered(&story), [[NEW, "well"]], "{goal}");
        let said = story.logged(Phase::Reboot).join("\n");
        assert!(said.contains("must stay reachable for 15 s more"), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_was_restarted_before_its_activation_is_restarted_after_it() {
    for goal in [Goal::Switch, Goal::Boot] {
        let target = Target { boot_before: Some("long-ago"), ..target(goal) };
        let story = restart(goal, target).await;
        assert_eq!(story.result.outcome, Outcome::Switched, "{goal}: {}", story.error());
        let asked: Vec<_> = story.scripts("reboot").iter().map(|script| &script.args[..]).collect();
        let look = ["look", "run-7-x-activate-samsung", "long-ago"];
        assert_eq!(asked, [look, ["order", NEW, "1"]], "{goal}");
    }
}

/// Deploys samsung again, which an earlier run left degraded on the new system.
async fn again(why: Reason, reboot: bool) -> Story {
    let fleet = fleet("");
    let mut setup = switch(&fleet, Goal::Switch);
    setup.hosts[0].degraded = Some(why.into());
    let system = StorePath::parse(NEW).unwrap();
    setup.hosts[0].given = Some(GivenSystem::new(system, GivenPlace::Host));
    setup.hosts[0].reboot = reboot.then_some(Duration::from_secs(600));
    let begin = RunBegin::Fresh { setup: Box::new(setup), hosts_file: None };
    // It was started with the system before.
    let preflight = format!("running\t{NEW}\nprofile\t{NEW}\nbooted\t{OLD}\n");
    let target = Target { preflight: preflight.leak(), built: true, ..Target::default() };
    carry_out(fleet, target, begin, RunJournal::none(), None).await
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_found_well_again_remembers_that_and_what_no_look_shows_stays() {
    let units = Reason::new(Code::UnitsFailed, "web.service failed");
    let story = again(units, false).await;
    assert_eq!(story.result.outcome, Outcome::Unchanged, "{}", story.error());
    assert_eq!(remembered(&story), [[NEW, "well"]], "a rollback may go to it again");
    for reboot in [false, true] {
        let of_users = Reason::new(Code::UserUnitsFailed, "units of me failed");
        let story = again(of_users, reboot).await;
        assert_eq!(story.result.outcome, Outcome::Degraded, "{reboot}: {}", story.error());
        assert_eq!(remembered(&story), [[""; 2]; 0], "{reboot}: it stays as it was marked");
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_that_fails_after_the_restart_leaves_the_host_degraded() {
    let target = Target { check: "broken\t0\texit code 1\tno route\n", ..target(Goal::Boot) };
    let story = restart(Goal::Boot, target).await;
    assert_eq!(story.result.outcome, Outcome::Degraded);
    assert_eq!(story.code(), Some(Code::CheckFailed));
    assert_eq!(remembered(&story), [[NEW, "failed"]], "a rollback passes it over");
    assert!(story.error().contains("true (exit code 1: no route)"), "{}", story.error());
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_still_starting_or_whose_answer_broke_off_is_no_success() {
    for (started, outcome, code, says) in [
        (
            "state\tstarting\nend\tok\n",
            Outcome::Degraded,
            Code::SystemDegraded,
            "its start has not ended within 2 min",
        ),
        ("state\trunning\n", Outcome::Unknown, Code::NotSeenSince, "its answer broke off"),
    ] {
        let story = restart(Goal::Boot, Target { started, ..target(Goal::Boot) }).await;
        assert_eq!(story.result.outcome, outcome, "{}", story.error());
        assert_eq!(story.code(), Some(code));
        assert!(story.error().contains(says), "{}", story.error());
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_cut_off_after_its_restart_is_unknown_since_then() {
    // The first look finds the new start of the machine; what comes later finds nothing.
    for lost in ["presence", "restarted"] {
        let mut target = target(Goal::Boot);
        let mut troubles = vec![None; usize::from(lost == "presence")];
        troubles.extend(std::iter::repeat_n(Some(Trouble::Unreachable), 5000));
        target.troubles = [(lost, troubles.into())].into();
        let story = restart(Goal::Boot, target).await;
        assert_eq!(story.result.outcome, Outcome::Unknown, "{lost}: {}", story.error());
        assert_eq!(story.code(), Some(Code::NotSeenSince));
        assert!(story.error().contains("was last seen at"), "{}", story.error());
        assert_eq!(story.result.toplevel.as_ref().map(crate::fleet::StorePath::as_str), Some(NEW));
    }
}
