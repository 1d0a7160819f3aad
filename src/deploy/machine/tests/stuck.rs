//! A host to which no way is left: somebody is asked, or it ends.

use super::rollout::{Ride, passes, well};
use super::*;
use crate::fleet::{Quota, RolloutNews, RunOrder, Wait};

/// Lets a run of razer and samsung, whose caches are down for samsung, get as far as it does.
fn stuck(phase: Phase, asks: bool) -> Ride {
    let rollout = Rollout {
        canary: 0,
        canary_is_written: true,
        max_failed: Quota::Count(1),
        ..Rollout::default()
    };
    let mut ride = Ride::of(machine(&["razer", "samsung"], Goal::Switch, asks), rollout);
    let mut down = |host: &str, at: Phase| match (host, at == phase) {
        ("samsung", true) => Err(Failure::failed(Code::NotReached, "every cache is down")),
        _ => well(host, at),
    };
    ride.go(&mut down, &mut passes);
    if asks {
        ride.inputs.push_back(Input::Answer(true));
        ride.go(&mut down, &mut passes);
    }
    ride
}

#[test]
fn a_host_to_which_no_way_is_left_waits_for_somebody_to_decide() {
    for phase in [Phase::Verify, Phase::Fetch] {
        let mut ride = stuck(phase, true);
        assert_eq!(ride.outcome("razer"), Outcome::Switched, "it holds nobody up");
        let until: Timestamp = "1970-01-01T00:15:00Z".parse().unwrap();
        let expected = Wait::Way { why: "every cache is down".to_owned(), until: Some(until) };
        assert_eq!(ride.machine.hosts[1].waits_for.as_ref(), Some(&expected));
        let sentence = expected.sentence(Timestamp::UNIX_EPOCH);
        for part in ["a decision", "every cache is down", "fails in 15 min"] {
            assert!(sentence.contains(part), "{sentence}");
        }
        ride.say(RunOrder::Accept);
        ride.go(&mut well, &mut passes);
        assert!(ride.refusals()[0].contains("try samsung again, or leave it out"));
        let again = if phase == Phase::Fetch {
            RunOrder::Resume
        } else {
            RunOrder::Retry { host: "samsung".to_owned() }
        };
        ride.began.clear();
        ride.say(again);
        ride.finish(&mut well, &mut passes);
        assert_eq!(ride.outcome("samsung"), Outcome::Switched);
        assert!(ride.began.contains(&("samsung".to_owned(), Phase::Preflight)), "every way anew");
        assert!(!ride.began.contains(&("samsung".to_owned(), Phase::Build)), "nothing twice");
        assert!(ride.machine.is_finished());
        let attempts = ride
            .told
            .iter()
            .any(|what| matches!(what, RunWhat::Rollout(RolloutNews::Again { attempt: 2, .. })));
        assert!(attempts);
    }
}

#[test]
fn a_host_about_which_nobody_decides_ends_with_the_reason() {
    let mut ride = stuck(Phase::Fetch, true);
    ride.finish(&mut well, &mut passes);
    assert_eq!(ride.outcome("samsung"), Outcome::Failed);
    assert!(ride.error("samsung").contains("every cache is down"));
    assert!(ride.machine.is_finished());
}

#[test]
fn a_canary_about_which_nobody_decides_keeps_no_run_open() {
    let rollout = Rollout { canary: 1, canary_is_written: true, ..Rollout::default() };
    let mut ride = Ride::of(machine(&["samsung", "razer"], Goal::Switch, true), rollout);
    let mut down = |host: &str, phase: Phase| match (host, phase) {
        ("samsung", Phase::Fetch) => Err(Failure::failed(Code::NotReached, "every cache is down")),
        _ => well(host, phase),
    };
    ride.go(&mut down, &mut passes);
    ride.inputs.push_back(Input::Answer(true));
    ride.finish(&mut down, &mut passes);
    assert!(ride.machine.is_finished(), "{:?}", ride.machine.waits());
    assert_eq!(ride.outcome("samsung"), Outcome::Failed);
    assert_eq!(ride.outcome("razer"), Outcome::Skipped);
}

#[test]
fn a_paused_run_leaves_a_host_to_which_no_way_is_left_until_it_is_resumed() {
    let mut ride = stuck(Phase::Fetch, true);
    ride.say(RunOrder::Pause);
    ride.go(&mut well, &mut passes);
    let why = "every cache is down".to_owned();
    assert_eq!(ride.machine.hosts[1].waits_for, Some(Wait::Way { why, until: None }));
    ride.now += Duration::from_secs(24 * 3600);
    ride.inputs.push_back(Input::Wake);
    ride.finish(&mut well, &mut passes);
    assert!(!ride.machine.is_finished());
    ride.say(RunOrder::Resume);
    ride.finish(&mut well, &mut passes);
    assert_eq!(ride.outcome("samsung"), Outcome::Switched);
}

#[test]
fn a_host_that_is_stuck_can_be_left_out_and_stopped() {
    let mut ride = stuck(Phase::Fetch, true);
    ride.say(RunOrder::Skip { host: "samsung".to_owned() });
    ride.go(&mut well, &mut passes);
    assert_eq!(ride.outcome("samsung"), Outcome::Skipped);
    let mut ride = stuck(Phase::Verify, true);
    ride.inputs.push_back(Input::Cancel);
    ride.go(&mut well, &mut passes);
    assert_eq!(ride.outcome("samsung"), Outcome::Interrupted);
}

#[test]
fn a_run_that_asked_nobody_ends_the_host_at_once() {
    let ride = stuck(Phase::Fetch, false);
    assert_eq!(ride.outcome("samsung"), Outcome::Failed);
    assert!(ride.machine.is_finished());
}
