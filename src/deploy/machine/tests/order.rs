//! Hosts that go after others which do not get their system.

use super::rollout::{Ride, passes, well};
use super::*;
use crate::fleet::{HostOrTag, OrderRule, RunOrder, Wait};

fn after(who: &str, other: &str) -> OrderRule {
    OrderRule {
        who: HostOrTag::Host(who.to_owned()),
        after: HostOrTag::Host(other.to_owned()),
        reason: "db first".to_owned(),
    }
}

/// A run of one wave in which razer goes after samsung and p510 after razer; heron goes by itself.
fn ordered() -> Ride {
    let order = vec![after("razer", "samsung"), after("p510", "razer")];
    let rollout = Rollout { order, canary: 0, canary_is_written: true, ..Rollout::default() };
    Ride::new(&["razer", "samsung", "p510", "heron"], rollout)
}

fn samsung_fails(host: &str, phase: Phase) -> Result<Report, Failure> {
    match (host, phase) {
        ("samsung", Phase::Build) => Err(Failure::failed(Code::BuildFailed, "no")),
        _ => well(host, phase),
    }
}

#[test]
fn a_host_is_not_deployed_when_the_one_before_it_fails_in_the_run() {
    let mut ride = ordered();
    ride.finish(&mut samsung_fails, &mut passes);
    assert_eq!(ride.outcome("samsung"), Outcome::Failed);
    for host in ["razer", "p510"] {
        assert_eq!(ride.outcome(host), Outcome::Skipped, "{host}");
        assert_eq!(ride.began(host, Phase::Fetch), None, "{host}");
    }
    let expected = "not begun: razer is to go after samsung (db first), which ended as failed [order-not-held]";
    assert_eq!(ride.error("razer"), expected);
    assert!(ride.error("p510").contains("after razer (db first), which ended as skipped"));
    assert_eq!(ride.outcome("heron"), Outcome::Switched, "it waits for nobody");
    assert!(ride.machine.is_finished());
}

#[test]
fn a_host_is_not_deployed_when_the_one_before_it_is_left_out() {
    let mut ride = ordered();
    ride.machine.hosts[1].setup.hooks = hooks_of([HookMoment::BeforeActivate]);
    ride.go(&mut well, &mut passes);
    assert_eq!(ride.prepares, ["samsung"]);
    ride.say(RunOrder::Skip { host: "samsung".to_owned() });
    ride.go(&mut well, &mut passes);
    let (host, phase) = ("samsung".to_owned(), Phase::Activate);
    ride.inputs.push_back(Input::Prepared { host, phase, result: Ok(()) });
    ride.finish(&mut well, &mut passes);
    assert_eq!(ride.outcome("samsung"), Outcome::Skipped);
    assert_eq!(ride.outcome("razer"), Outcome::Skipped);
    assert_eq!(ride.began("razer", Phase::Fetch), None);
}

#[test]
fn a_host_is_tried_again_only_behind_the_one_before_it() {
    let mut ride = ordered();
    // Heron's hooks keep the run open.
    ride.machine.hosts[3].setup.hooks = hooks_of([HookMoment::BeforeActivate]);
    ride.go(&mut samsung_fails, &mut passes);
    let retry = |host: &str| RunOrder::Retry { host: host.to_owned() };
    ride.say(retry("razer"));
    ride.go(&mut well, &mut passes);
    let refused = ride.refusals();
    let expected = "razer is to go after samsung (db first), which ended as failed; that one has to get its \
                    system first";
    assert_eq!(refused, [expected]);
    ride.say(retry("samsung"));
    ride.say(retry("razer"));
    ride.go(&mut well, &mut passes);
    assert_eq!(ride.outcome("samsung"), Outcome::Switched);
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
    assert_eq!(ride.outcome("p510"), Outcome::Skipped, "nobody tried it again");
}

#[test]
fn whoever_confirms_that_a_host_goes_without_another_one_lets_it_go() {
    let order = vec![after("razer", "samsung"), after("razer", "heron")];
    let rollout = Rollout { order, canary: 0, canary_is_written: true, ..Rollout::default() };
    let machine = machine(&["razer", "samsung", "heron"], Goal::Switch, true);
    let mut ride = Ride::of(machine, rollout);
    let mut react = |host: &str, phase| match (host, phase) {
        ("samsung" | "heron", Phase::Preflight) => Err(Failure::failed(Code::LoginRefused, "no")),
        _ => well(host, phase),
    };
    ride.go(&mut react, &mut passes);
    let plan = ride.told.iter().find_map(|what| match what {
        RunWhat::Plan { plan, .. } => Some(plan.hosts[0].told()),
        _ => None,
    });
    let plan = plan.unwrap().join("\n");
    assert!(plan.contains("after samsung") && plan.contains("after heron"), "every rule: {plan}");
    ride.inputs.push_back(Input::Answer(true));
    ride.finish(&mut react, &mut passes);
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
}

#[test]
fn a_host_that_may_go_without_one_that_wakes_does_not_wait_for_it() {
    let order = vec![after("razer", "samsung")];
    let rollout = Rollout {
        order,
        canary: 1,
        canary_is_written: true,
        soak: Duration::from_secs(60),
        ..Rollout::default()
    };
    let mut machine = machine(&["p510", "razer", "samsung"], Goal::Switch, true);
    machine.setup.options.wait_offline = true;
    let mut ride = Ride::of(machine, rollout);
    let mut tries = 0;
    let mut react = |host: &str, phase| {
        tries += usize::from((host, phase) == ("samsung", Phase::Preflight));
        match (host, phase) {
            ("samsung", Phase::Preflight) if tries < 2 => {
                let reason = Reason::new(Code::HostUnreachable, "no route");
                Err(Failure { outcome: Outcome::Offline, reason })
            }
            _ => well(host, phase),
        }
    };
    ride.go(&mut react, &mut passes);
    ride.inputs.push_back(Input::Answer(true));
    // Samsung wakes while the canary has to stay well, and comes after all waves: razer must not wait for it.
    ride.finish(&mut react, &mut passes);
    assert!(ride.machine.is_finished(), "{:?}", ride.machine.waits());
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
    assert_eq!(ride.outcome("samsung"), Outcome::Switched);
    let waited = ride.told.iter().any(|what| match what {
        RunWhat::Waiting { host, wait: Some(Wait::Order { .. }), .. } => host == "razer",
        _ => false,
    });
    assert!(!waited);
}

#[test]
fn a_read_only_host_is_told_on_the_plan_and_nobody_waits_for_it_or_fails_with_it() {
    let mut ride = ordered();
    let samsung = Failure::of_read_only("samsung");
    let mut setup = ride.machine.setup.clone();
    setup.hosts[1].set_aside = Some(samsung);
    ride.machine = Machine::new(setup, None, Timestamp::UNIX_EPOCH);
    ride.finish(&mut well, &mut passes);
    assert_eq!(ride.outcome("samsung"), Outcome::Skipped);
    let told =
        "samsung: hosts.toml says read_only = true, so nothing is changed there [host-read-only]";
    assert_eq!(ride.error("samsung"), told);
    assert_eq!(ride.machine.plan().set_aside["samsung"], told);
    for host in ["razer", "p510", "heron"] {
        assert_eq!(ride.outcome(host), Outcome::Switched, "{host}");
    }
    let counted: Vec<String> =
        ride.machine.outcomes_of_changeable().into_iter().map(|(host, _)| host).collect();
    assert_eq!(counted, ["razer", "p510", "heron"]);
}
