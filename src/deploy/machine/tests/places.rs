//! The places that hosts take: those of `rollout.parallel`, and those in budgets.

use super::rollout::{Ride, passes, step_once, well};
use super::*;
use crate::deploy::ClaimAnswer;
use crate::fleet::{Budget, Quota, RunOrder, Wait};

/// Returns a run of razer, which has a place in a budget only when a test says so, and samsung.
fn with_a_budget() -> Ride {
    let rollout = Rollout { canary: 0, canary_is_written: true, ..Rollout::default() };
    let mut ride = Ride::new(&["razer", "samsung"], rollout);
    let (name, tag) = ("etcd".to_owned(), "etcd".to_owned());
    ride.machine.setup.budgets = vec![Budget { name, tag: tag.clone(), in_flight: 1 }];
    ride.machine.hosts[0].setup.tags = vec![tag];
    ride
}

/// Goes on until razer claims its place in the budget, and takes the answer away.
fn until_it_claims(ride: &mut Ride) {
    let is_answer = |input: &Input| matches!(input, Input::Claimed { .. });
    while !ride.inputs.iter().any(is_answer) {
        step_once(ride, &mut well);
    }
    ride.inputs.retain(|input| !is_answer(input));
}

fn claimed_by_razer(claim: u64, answer: ClaimAnswer) -> Input {
    Input::Claimed { host: "razer".to_owned(), claim, answer }
}

fn claimed(ride: &Ride) -> Vec<bool> {
    ride.claims.iter().map(|(taken, _)| *taken).collect()
}

#[test]
fn a_host_whose_place_another_one_took_while_it_waited_waits_for_the_next() {
    let mut ride = with_a_budget();
    ride.machine.setup.parallel = 1;
    until_it_claims(&mut ride);
    while ride.began("samsung", Phase::Activate).is_none() {
        step_once(&mut ride, &mut well);
    }
    ride.inputs.push_front(claimed_by_razer(1, ClaimAnswer::Held));
    step_once(&mut ride, &mut well);
    let wait = Wait::Place { places: 1, hosts: vec!["samsung".to_owned()] };
    assert_eq!(ride.machine.hosts[0].waits_for, Some(wait));
    assert_eq!(ride.began("razer", Phase::Activate), None);
    ride.finish(&mut well, &mut passes);
    assert_eq!(
        (ride.outcome("razer"), ride.outcome("samsung")),
        (Outcome::Switched, Outcome::Switched)
    );
    assert!(ride.began("razer", Phase::Activate) > ride.began("samsung", Phase::Persist));
}

#[test]
fn hosts_that_a_wave_held_back_go_one_after_the_other_when_it_passes() {
    let rollout = Rollout {
        canary: 1,
        canary_is_written: true,
        max_failed: Quota::Count(1),
        ..Rollout::default()
    };
    let mut ride = Ride::new(&["razer", "samsung", "p510"], rollout);
    ride.machine.setup.parallel = 2;
    let mut no_fetch = |host: &str, phase: Phase| match (host, phase) {
        ("razer", Phase::Fetch) => Err(Failure::failed(Code::FetchFailed, "no")),
        _ => well(host, phase),
    };
    ride.go(&mut no_fetch, &mut passes);
    ride.say(RunOrder::Accept);
    while ride.began("p510", Phase::Fetch).is_none() {
        step_once(&mut ride, &mut no_fetch);
    }
    // Both have fetched their systems when the canary is tried again.
    ride.inputs.push_front(Input::Order(RunOrder::Retry { host: "razer".to_owned() }));
    ride.machine.setup.parallel = 1;
    ride.began.clear();
    ride.finish(&mut well, &mut passes);
    assert!(ride.machine.is_finished(), "{:?}", ride.machine.waits());
    let (samsung, p510) =
        (ride.began("samsung", Phase::Activate), ride.began("p510", Phase::Activate));
    let ends = (ride.began("samsung", Phase::Persist), ride.began("p510", Phase::Persist));
    assert!(samsung > ends.1 || p510 > ends.0, "{:?}", ride.began);
}

#[test]
fn a_paused_run_gives_places_in_budgets_back_and_claims_them_again() {
    let mut ride = with_a_budget();
    until_it_claims(&mut ride);
    ride.say(RunOrder::Pause);
    ride.go(&mut well, &mut passes);
    assert_eq!(claimed(&ride), [true, false], "others may go on meanwhile");
    ride.say(RunOrder::Resume);
    ride.finish(&mut well, &mut passes);
    assert_eq!(claimed(&ride), [true, false, true, false]);
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
}

#[test]
fn a_host_that_is_paused_behind_its_hooks_gives_its_place_in_a_budget_back() {
    let mut ride = with_a_budget();
    ride.machine.hosts[0].setup.hooks = hooks_of([HookMoment::BeforeActivate]);
    ride.go(&mut well, &mut passes);
    assert_eq!(ride.prepares, ["razer"]);
    ride.say(RunOrder::Pause);
    ride.go(&mut well, &mut passes);
    assert_eq!(claimed(&ride), [true], "its hooks run");
    let (host, phase) = ("razer".to_owned(), Phase::Activate);
    ride.inputs.push_back(Input::Prepared { host, phase, result: Ok(()) });
    ride.go(&mut well, &mut passes);
    assert_eq!(claimed(&ride), [true, false]);
    ride.say(RunOrder::Resume);
    ride.finish(&mut well, &mut passes);
    assert_eq!(claimed(&ride), [true, false, true, false]);
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
    assert_eq!(ride.prepares, ["razer"], "hooks run once in an attempt");
}

#[test]
fn what_is_heard_of_a_claim_that_was_given_back_is_not_taken_for_the_next_one() {
    let mut ride = with_a_budget();
    until_it_claims(&mut ride);
    ride.say(RunOrder::Pause);
    step_once(&mut ride, &mut well);
    ride.say(RunOrder::Resume);
    until_it_claims(&mut ride);
    ride.inputs.push_back(claimed_by_razer(1, ClaimAnswer::Held));
    ride.go(&mut well, &mut passes);
    assert_eq!(ride.began("razer", Phase::Activate), None);
    ride.inputs.push_back(claimed_by_razer(2, ClaimAnswer::Held));
    ride.go(&mut well, &mut passes);
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
}

/// Returns a run that stands where razer, which has its place, has its hooks run, and that another process goes on
/// with.
fn gone_on_with_behind_hooks() -> Ride {
    let mut ride = with_a_budget();
    ride.machine.hosts[0].setup.hooks = hooks_of([HookMoment::BeforeActivate]);
    ride.go(&mut well, &mut passes);
    assert_eq!((claimed(&ride), &ride.prepares[..]), (vec![true], &["razer".to_owned()][..]));
    ride.machine.gone_on_with(ride.now);
    assert!(!ride.machine.has_begun_with_places("razer"));
    ride
}

fn hooks_end(ride: &mut Ride) {
    let (host, phase) = ("razer".to_owned(), Phase::Activate);
    ride.inputs.push_back(Input::Prepared { host, phase, result: Ok(()) });
    ride.go(&mut well, &mut passes);
}

#[test]
fn a_run_that_is_gone_on_with_asks_for_a_place_again_before_its_host_begins() {
    let mut ride = gone_on_with_behind_hooks();
    hooks_end(&mut ride);
    assert_eq!(ride.began("razer", Phase::Activate), None);
    let taken_by = vec!["p510 (you@desk, run 9)".to_owned()];
    let waits = ClaimAnswer::Waits {
        budget: "etcd".to_owned(),
        taken_by: taken_by.clone(),
        silent: Vec::new(),
    };
    ride.inputs.push_back(claimed_by_razer(1, waits));
    ride.go(&mut well, &mut passes);
    assert_eq!(ride.machine.hosts[0].waits_for, Some(Wait::place_in("etcd", taken_by)));
    ride.inputs.push_back(claimed_by_razer(1, ClaimAnswer::Held));
    ride.go(&mut well, &mut passes);
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
}

#[test]
fn a_place_that_cannot_be_claimed_again_ends_a_host_whose_hooks_run_when_those_have_ended() {
    let mut ride = gone_on_with_behind_hooks();
    let failure = Failure::failed(Code::ConnectionLost, "away");
    ride.inputs.push_back(claimed_by_razer(1, ClaimAnswer::Failed(failure)));
    ride.go(&mut well, &mut passes);
    assert_eq!(ride.stopped, [("razer".to_owned(), Phase::Activate)]);
    hooks_end(&mut ride);
    assert_eq!(ride.outcome("razer"), Outcome::Failed);
    assert_eq!(ride.began("razer", Phase::Activate), None);
}

#[test]
fn a_run_that_is_gone_on_with_asks_nobody_for_the_place_of_a_host_that_has_begun() {
    let mut ride = with_a_budget();
    while ride.began("razer", Phase::Activate).is_none() {
        step_once(&mut ride, &mut well);
    }
    ride.machine.gone_on_with(ride.now);
    assert!(ride.machine.has_begun_with_places("razer"));
    ride.go(&mut well, &mut passes);
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
    assert_eq!(claimed(&ride), [true, false]);
}

/// Says that hosts have razer's place, of which these do not answer.
fn taken_by(silent: &[&str]) -> Input {
    let silent = silent.iter().map(|host| (*host).to_owned()).collect();
    let taken_by = vec!["p510 (cannot be reached: no route)".to_owned()];
    claimed_by_razer(1, ClaimAnswer::Waits { budget: "etcd".to_owned(), taken_by, silent })
}

/// Lets razer hear that, and returns until when it waits.
fn hears(ride: &mut Ride, silent: &[&str]) -> Option<Timestamp> {
    ride.inputs.push_back(taken_by(silent));
    ride.go(&mut well, &mut passes);
    match ride.machine.hosts[0].waits_for.clone() {
        Some(Wait::Budget { until, .. }) => until,
        other => panic!("it waits for {other:?}"),
    }
}

#[test]
fn a_place_that_only_hosts_take_that_do_not_answer_is_waited_for_15_minutes() {
    let mut ride = with_a_budget();
    ride.machine.hosts[1].setup.tags = vec!["etcd".to_owned()];
    until_it_claims(&mut ride);
    assert_eq!(hears(&mut ride, &[]), None, "who answers is done some time");
    let until = hears(&mut ride, &["p510"]);
    assert_eq!(until, Timestamp::from_second(15 * 60).ok());
    ride.now += Duration::from_secs(60);
    assert_eq!(hears(&mut ride, &["p510"]), until, "nothing has changed");
    assert_eq!(hears(&mut ride, &[]), None, "it answers again");
    assert_eq!(hears(&mut ride, &["p510"]), Timestamp::from_second(16 * 60).ok());
    ride.finish(&mut well, &mut passes);
    // Samsung waits for the same place, and not as long again.
    for host in ["razer", "samsung"] {
        assert_eq!(ride.outcome(host), Outcome::Failed, "{host}");
        let error = ride.error(host);
        for part in ["every place in the budget etcd", "(p510)", "Wake them", "[budget-lost]"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
    assert_eq!(ride.now, Timestamp::from_second(16 * 60).unwrap());
}

#[test]
fn a_run_that_is_gone_on_with_waits_as_long_again_for_hosts_that_do_not_answer() {
    let mut ride = with_a_budget();
    until_it_claims(&mut ride);
    hears(&mut ride, &["p510"]);
    ride.now += Duration::from_secs(3600);
    ride.machine.gone_on_with(ride.now);
    assert_eq!(hears(&mut ride, &["p510"]), Timestamp::from_second(3600 + 15 * 60).ok());
    ride.inputs.push_back(claimed_by_razer(1, ClaimAnswer::Held));
    ride.finish(&mut well, &mut passes);
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
}
