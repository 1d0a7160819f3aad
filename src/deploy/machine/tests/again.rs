//! A host that is tried again in the same run: what is kept, and what is not believed any more.

use super::rollout::{Ride, step_once, well};
use super::*;
use crate::deploy::{ChosenRoute, GateAnswer};
use crate::fleet::{Budget, Gate, GateQuestion, Quota, RunOrder, Wait};
use std::collections::VecDeque;

/// Lets a run whose canary's way is chosen in preflight fail in the canary's fetch, tries it again, and
/// returns the phases of the second attempt and the run.
fn tried_again(ways: [Route; 2]) -> (Vec<Phase>, Ride) {
    let mut machine = machine(&["samsung", "razer"], Goal::Switch, false);
    machine.hosts[0].setup.asked = Strategy::Auto;
    // The second wave waits for a decision about the first, which keeps the run open.
    let rollout = Rollout {
        canary: 1,
        canary_is_written: true,
        max_failed: Quota::Count(1),
        ..Rollout::default()
    };
    let mut ride = Ride::of(machine, rollout);
    for (attempt, route) in ways.into_iter().enumerate() {
        let mut react = |_: &str, phase: Phase| match good(phase, Goal::Switch) {
            Report::Preflight(mut found) => {
                let why = "p620 does not answer".to_owned();
                found.chosen = Some(ChosenRoute { route: route.clone(), why });
                Ok(Report::Preflight(found))
            }
            Report::Fetched { .. } if attempt == 0 => Err(Failure::failed(Code::FetchFailed, "no")),
            report => Ok(report),
        };
        if attempt == 1 {
            ride.began.clear();
            ride.say(RunOrder::Retry { host: "samsung".to_owned() });
        }
        ride.go(&mut react, &mut |_| GateAnswer::Passed);
    }
    let own = ride.began.iter().filter(|(host, _)| host == "samsung");
    (own.map(|(_, phase)| *phase).collect(), ride)
}

#[test]
fn a_host_that_was_set_aside_is_not_tried_again_with_what_its_flake_says() {
    for (goal, what) in [(Goal::Rollback, "roll it back"), (Goal::Switch, "deploy it")] {
        let mut setup = machine(&["samsung", "razer"], goal, true).setup;
        setup.hosts[0].set_aside =
            Some(Failure::failed(Code::NoGeneration, "samsung: no generation is older"));
        setup.hosts[1].given = given(GivenPlace::Kept);
        let machine = Machine::new(setup, None, Timestamp::UNIX_EPOCH);
        let mut ride = Ride::of(machine, Rollout::default());
        let mut react = |_: &str, phase| Ok(good(phase, goal));
        // The plan waits for its answer, so the run goes on.
        ride.go(&mut react, &mut |_| GateAnswer::Passed);
        ride.say(RunOrder::Retry { host: "samsung".to_owned() });
        ride.go(&mut react, &mut |_| GateAnswer::Passed);
        let expected = format!(
            "samsung was set aside before the run began (no generation is older), so this run has \
             no system for it; {what} in a run of its own"
        );
        assert_eq!(ride.refusals(), [expected]);
        ride.inputs.push_back(Input::Answer(true));
        ride.finish(&mut react, &mut |_| GateAnswer::Passed);
        assert_eq!(ride.outcome("samsung"), Outcome::Failed);
        assert!(!ride.began.iter().any(|(host, _)| host == "samsung"), "{:?}", ride.began);
    }
}

/// Returns a run in which razer comes after samsung, the canary, which may fail.
fn after_a_canary() -> Ride {
    let rollout = Rollout {
        canary: 1,
        canary_is_written: true,
        max_failed: Quota::Count(1),
        ..Rollout::default()
    };
    Ride::new(&["samsung", "razer"], rollout)
}

fn samsung_fetches_nothing(host: &str, phase: Phase) -> Result<Report, Failure> {
    match (host, phase) {
        ("samsung", Phase::Fetch) => Err(Failure::failed(Code::FetchFailed, "no")),
        _ => well(host, phase),
    }
}

#[test]
fn a_host_that_is_tried_again_gets_the_place_in_a_budget_of_one_that_waits_for_its_wave() {
    let mut ride = after_a_canary();
    let (name, tag) = ("etcd".to_owned(), "etcd".to_owned());
    ride.machine.setup.budgets = vec![Budget { name, tag: tag.clone(), in_flight: 1 }];
    for host in &mut ride.machine.hosts {
        host.setup.tags = vec![tag.clone()];
    }
    ride.go(&mut samsung_fetches_nothing, &mut |_| GateAnswer::Passed);
    ride.say(RunOrder::Accept);
    while ride.claims.is_empty() {
        step_once(&mut ride, &mut samsung_fetches_nothing);
    }
    ride.inputs.push_front(Input::Order(RunOrder::Retry { host: "samsung".to_owned() }));
    ride.finish(&mut well, &mut |_| GateAnswer::Passed);
    assert!(ride.machine.is_finished(), "{:?}", ride.machine.waits());
    let order: Vec<(bool, &str)> =
        ride.claims.iter().map(|(taken, host)| (*taken, host.as_str())).collect();
    let one = |host| [(true, host), (false, host)];
    assert_eq!(order, [one("razer"), one("samsung"), one("razer")].concat());
}

#[test]
fn a_host_that_is_tried_again_takes_the_place_of_one_that_waits_for_its_wave() {
    let mut ride = after_a_canary();
    ride.machine.setup.parallel = 1;
    ride.go(&mut samsung_fetches_nothing, &mut |_| GateAnswer::Passed);
    ride.say(RunOrder::Accept);
    while ride.began("razer", Phase::Fetch).is_none() {
        step_once(&mut ride, &mut samsung_fetches_nothing);
    }
    ride.inputs.push_front(Input::Order(RunOrder::Retry { host: "samsung".to_owned() }));
    ride.began.clear();
    while ride.began("samsung", Phase::Verify).is_none() {
        step_once(&mut ride, &mut well);
    }
    // Both stand still: samsung before its fetch, razer behind its own.
    ride.inputs.push_front(Input::Order(RunOrder::Pause));
    ride.go(&mut well, &mut |_| GateAnswer::Passed);
    let waits = |index: usize| ride.machine.hosts[index].waits_for.clone();
    assert_eq!([waits(0), waits(1)], [Some(Wait::Paused), Some(Wait::Paused)]);
    ride.say(RunOrder::Resume);
    ride.finish(&mut well, &mut |_| GateAnswer::Passed);
    assert!(ride.machine.is_finished(), "{:?}", ride.machine.waits());
    assert_eq!(ride.outcome("samsung"), Outcome::Switched);
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
}

fn via(builder: &str, tier: &str) -> Route {
    Route::ViaCache { builder: builder.to_owned(), tier: tier.to_owned() }
}

#[test]
fn what_another_builder_built_is_built_again_and_that_is_said() {
    let (phases, ride) = tried_again([via("p620", "p620"), Route::Direct]);
    assert!(phases.contains(&Phase::Build), "{phases:?}");
    assert!(
        !phases.contains(&Phase::Evaluate),
        "the derivation is looked for by compare: {phases:?}"
    );
    let said = ride.told.iter().any(|what| match what {
        RunWhat::Log { line, .. } => {
            line.contains("built again on samsung") && line.contains("p620 does not answer")
        }
        _ => false,
    });
    assert!(said, "{:?}", ride.told);
    assert_eq!(ride.outcome("samsung"), Outcome::Switched);
}

#[test]
fn the_same_way_keeps_what_was_built_and_another_tier_is_published_to_anew() {
    let (phases, _) = tried_again([via("p620", "p620"), via("p620", "p620")]);
    assert!(!phases.contains(&Phase::Build) && !phases.contains(&Phase::Publish), "{phases:?}");
    let (phases, _) = tried_again([via("p620", "p620"), via("p620", "weed")]);
    assert!(!phases.contains(&Phase::Build) && phases.contains(&Phase::Publish), "{phases:?}");
}

/// Steps a machine with an input and all that follows from it; samsung fails its fetch where that is
/// wanted. Returns the questions that gates were asked, which nobody answers.
fn stepped(machine: &mut Machine, input: Input, samsung_fails: bool) -> Vec<(usize, u64)> {
    let (mut inputs, mut asked) = (VecDeque::from([input]), Vec::new());
    while let Some(input) = inputs.pop_front() {
        for command in machine.step(input, Timestamp::UNIX_EPOCH) {
            match command {
                MachineCommand::Run { host, phase, .. } => {
                    let fails = samsung_fails && host.name == "samsung" && phase == Phase::Fetch;
                    let result = if fails {
                        Err(Failure::failed(Code::FetchFailed, "no"))
                    } else {
                        well(&host.name, phase)
                    };
                    inputs.push_back(Input::Done { host: host.name, phase, result });
                }
                MachineCommand::Ask { wave, asking, .. } => asked.push((wave, asking)),
                _ => {}
            }
        }
    }
    asked
}

#[test]
fn an_answer_from_before_a_host_was_tried_again_does_not_count() {
    let site = Gate {
        name: "site".to_owned(),
        asks: GateQuestion::Url("http://x".to_owned()),
        delay: Duration::ZERO,
        interval: Duration::from_secs(10),
        successes_in_a_row: 1,
        failures: 0,
        limit: Duration::from_secs(5),
    };
    let rollout = Rollout { gates: vec![site], max_failed: Quota::Count(1), ..Rollout::default() };
    let mut machine = Ride::new(&["razer", "samsung"], rollout).machine;
    let first = stepped(&mut machine, Input::Begin, true);
    let retry = Input::Order(RunOrder::Retry { host: "samsung".to_owned() });
    let second = stepped(&mut machine, retry, false);
    let ([(wave, before)], [(_, now)]) = (&first[..], &second[..]) else {
        panic!("{first:?} {second:?}")
    };
    let answer = |asking, answer| Input::Gated { wave: *wave, gate: "site".into(), asking, answer };
    let stale = GateAnswer::Failed("samsung was not done".to_owned());
    stepped(&mut machine, answer(*before, stale), false);
    assert!(!machine.is_finished() && machine.halted.is_none(), "it waits for the newer answer");
    stepped(&mut machine, answer(*now, GateAnswer::Passed), false);
    assert!(machine.is_finished() && machine.halted.is_none());
}
