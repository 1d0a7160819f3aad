//! Decisions about waves that somebody has to make, and what becomes of a run in which nobody does.

use super::rollout::{Ride, gated, passes, well};
use super::*;
use crate::deploy::GateAnswer;
use crate::fleet::{OnFailure, Quota, WaveState};

const FOUR: [&str; 4] = ["razer", "samsung", "p510", "heron"];

fn no_route(_: &str) -> GateAnswer {
    GateAnswer::NotMade("no route".to_owned())
}

#[test]
fn a_run_in_which_nobody_decides_about_a_check_ends_and_takes_back_what_is_to_be_taken_back() {
    for (on_failure, ends) in
        [(OnFailure::Halt, Outcome::Switched), (OnFailure::Rollback, Outcome::RolledBack)]
    {
        let mut ride = Ride::new(&FOUR, gated(on_failure));
        ride.until_asked(&mut well, &mut no_route);
        let asked_at = ride.now;
        ride.finish(&mut well, &mut no_route);
        assert!(ride.machine.is_finished());
        assert_eq!(ride.now.duration_since(asked_at).as_secs(), 15 * 60);
        assert_eq!(ride.outcome("razer"), ends);
        assert_eq!(ride.outcome("samsung"), Outcome::Skipped, "it never passes");
        assert_eq!(ride.machine.errors()[0].code, Code::GateFailed);
        let error = ride.error("samsung");
        let why = "a check after wave 1 could not be made (site: no route), and nobody decided about that \
                   within 15 min";
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_run_whose_canary_is_away_ends_though_nobody_decides() {
    let rollout = Rollout { max_failed: Quota::Count(1), ..Rollout::default() };
    let mut ride = Ride::new(&FOUR, rollout);
    let mut away = |host: &str, phase| match (host, phase) {
        ("razer", Phase::Fetch) => {
            let reason = Reason::new(Code::HostUnreachable, "no route");
            Err(Failure { outcome: Outcome::Offline, reason })
        }
        _ => well(host, phase),
    };
    ride.until_asked(&mut away, &mut passes);
    ride.finish(&mut away, &mut passes);
    assert!(ride.machine.is_finished());
    assert_eq!(ride.outcome("samsung"), Outcome::Skipped);
}

#[test]
fn a_paused_run_waits_for_a_decision_without_end_and_one_that_is_resumed_as_long_as_ever() {
    let rollout = Rollout { max_failed: Quota::Count(1), ..Rollout::default() };
    let mut ride = Ride::new(&FOUR, rollout);
    let mut fails = |host: &str, phase| match (host, phase) {
        ("razer", Phase::Build) => Err(Failure::failed(Code::BuildFailed, "no")),
        _ => well(host, phase),
    };
    ride.until_asked(&mut fails, &mut passes);
    ride.say(RunOrder::Pause);
    ride.finish(&mut fails, &mut passes);
    assert!(!ride.machine.is_finished());
    let standing = ride.machine.standing();
    let asks = |what: &RunWhat| {
        let RunWhat::Rollout(RolloutNews::Wave { state, until, .. }) = what else { return false };
        *state == WaveState::Asks && until.is_none()
    };
    assert!(standing.iter().any(asks), "{standing:?}");
    ride.now += Duration::from_secs(24 * 3600);
    ride.say(RunOrder::Resume);
    ride.go(&mut fails, &mut passes);
    assert!(!ride.machine.is_finished());
    ride.say(RunOrder::Accept);
    ride.finish(&mut fails, &mut passes);
    assert_eq!(ride.outcome("samsung"), Outcome::Switched);
}

#[test]
fn whoever_goes_on_with_a_run_has_time_to_decide() {
    let mut ride = Ride::new(&FOUR, gated(OnFailure::Halt));
    ride.until_asked(&mut well, &mut no_route);
    ride.now += Duration::from_secs(3600);
    ride.machine.gone_on_with(ride.now);
    let until = ride.now.checked_add(Duration::from_secs(900)).ok();
    let why = "site: no route".to_owned();
    let told = ride.machine.waits();
    assert!(told.contains(&("heron".to_owned(), Some(Wait::Decision { wave: 1, why, until }))));
    ride.inputs.push_back(Input::Wake);
    ride.go(&mut well, &mut no_route);
    assert!(!ride.machine.is_finished());
    ride.say(RunOrder::Accept);
    ride.finish(&mut well, &mut passes);
    assert_eq!(ride.outcome("heron"), Outcome::Switched);
}

#[test]
fn a_plan_says_until_when_it_waits_also_to_whoever_goes_on_with_it() {
    let mut machine = machine(&["samsung"], Goal::Switch, true);
    machine.setup.parallel = 1;
    let mut ride = Ride::of(machine, Rollout::default());
    ride.go(&mut well, &mut passes);
    let until = |seconds| Some(Wait::Confirmation { until: Timestamp::from_second(seconds).ok() });
    assert_eq!(ride.machine.hosts[0].waits_for, until(900));
    ride.machine.gone_on_with(Timestamp::from_second(5000).unwrap());
    assert_eq!(ride.machine.hosts[0].waits_for, until(5900));
}

#[test]
fn a_run_over_many_hosts_does_not_tell_each_of_them_of_each_that_is_done() {
    let names: Vec<String> = (0..60).map(|number| format!("h{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let waves = vec![crate::fleet::WaveRule::Some(Quota::Percent(50))];
    let rollout = Rollout { waves, canary: 0, canary_is_written: true, ..Rollout::default() };
    let mut ride = Ride::new(&names, rollout);
    ride.finish(&mut well, &mut passes);
    assert!(ride.machine.is_finished());
    let told = ride.told.iter().filter(|what| {
        matches!(what, RunWhat::Waiting { host, wait: Some(Wait::Wave { .. }), .. } if host == "h59")
    });
    let told = told.count();
    assert!((1..=8).contains(&told), "{told} times");
}
