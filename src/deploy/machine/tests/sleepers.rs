//! Hosts that are away when the plan is made, and wake while their run waits for them.

use super::rollout::{Ride, passes, rolls_back, well};
use super::*;
use crate::deploy::NewestSystem;
use crate::fleet::{Quota, RolloutNews, Route, RunOrder, Wait, WaveState};

/// A run that waits for hosts which are away, and how often each was tried.
struct Sleepers {
    ride: Ride,
    tries: BTreeMap<String, usize>,
}

impl Sleepers {
    fn new(names: &[&str], rollout: Rollout) -> Self {
        let mut ride = Ride::new(names, rollout);
        ride.machine.setup.options.wait_offline = true;
        Self { ride, tries: BTreeMap::new() }
    }

    /// Drives the run to its end. `wakes` says after how many tries a host answers; none: it always does.
    fn finish(
        &mut self,
        wakes: fn(&str) -> Option<usize>,
        react: fn(&str, Phase) -> Result<Report, Failure>,
    ) {
        let tries = &mut self.tries;
        let mut answers = |host: &str, phase| {
            if phase != Phase::Preflight {
                return react(host, phase);
            }
            let tried = tries.entry(host.to_owned()).or_insert(0);
            *tried += 1;
            if wakes(host).is_none_or(|after| *tried > after) {
                return react(host, phase);
            }
            let reason = Reason::new(Code::HostUnreachable, "no route");
            Err(Failure { outcome: Outcome::Offline, reason })
        };
        self.ride.finish(&mut answers, &mut passes);
    }
}

fn one_after_the_other(host: &str) -> Option<usize> {
    ["laptop1", "laptop2", "laptop3"].iter().position(|name| *name == host).map(|at| at + 1)
}

fn laptop1_goes_back(host: &str, phase: Phase) -> Result<Report, Failure> {
    if host == "laptop1" { rolls_back(phase) } else { well(host, phase) }
}

const LAPTOPS: [&str; 4] = ["razer", "laptop1", "laptop2", "laptop3"];

#[test]
fn no_other_host_that_wakes_begins_when_the_first_one_went_back() {
    let mut run = Sleepers::new(&LAPTOPS, Rollout::default());
    run.finish(one_after_the_other, laptop1_goes_back);
    let ride = run.ride;
    assert!(ride.machine.is_finished());
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
    assert_eq!(ride.outcome("laptop1"), Outcome::RolledBack);
    for host in ["laptop2", "laptop3"] {
        assert_eq!(ride.outcome(host), Outcome::Skipped);
        assert_eq!(ride.began(host, Phase::Fetch), None);
        let error = ride.error(host);
        assert!(error.contains("laptop1 failed in wave 2 (activation-failed)"), "{error}");
    }
    let is_told = |state| {
        ride.told.iter().any(|what| match what {
            RunWhat::Rollout(RolloutNews::Wave { wave: 2, state: told, .. }) => *told == state,
            _ => false,
        })
    };
    assert!(is_told(WaveState::Began) && is_told(WaveState::Failed));
}

#[test]
fn a_plan_says_which_of_the_hosts_that_are_away_are_waited_for() {
    let mut run = Sleepers::new(&LAPTOPS, Rollout::default());
    // Nobody else evaluates for them, so the plan has no system for those that are away.
    for host in &mut run.ride.machine.hosts {
        host.setup.route = Route::Direct;
    }
    run.finish(one_after_the_other, well);
    let plan = run.ride.told.iter().find_map(|what| match what {
        RunWhat::Plan { plan, .. } => Some(plan),
        _ => None,
    });
    let plan = plan.unwrap();
    assert_eq!(plan.waited_for, LAPTOPS[1..]);
    assert!(plan.waited_for.iter().all(|host| plan.set_aside.contains_key(host)));
}

#[test]
fn as_many_hosts_that_wake_may_fail_as_of_any_wave() {
    let rollout = Rollout { max_failed: Quota::Count(1), ..Rollout::default() };
    let mut run = Sleepers::new(&LAPTOPS, rollout);
    run.finish(one_after_the_other, laptop1_goes_back);
    assert_eq!(run.ride.outcome("laptop1"), Outcome::RolledBack);
    assert_eq!(run.ride.outcome("laptop3"), Outcome::Switched);
}

#[test]
fn the_plan_names_the_wave_of_hosts_that_are_away() {
    let mut run = Sleepers::new(&["razer", "laptop1"], Rollout::default());
    run.finish(one_after_the_other, well);
    let plan = run.ride.told.iter().find_map(|what| match what {
        RunWhat::Plan { plan, .. } => Some(plan.hosts.iter().map(|host| host.wave)),
        _ => None,
    });
    assert_eq!(plan.unwrap().collect::<Vec<_>>(), [Some(1), Some(2)]);
}

#[test]
fn a_host_that_serves_the_others_does_not_wait_for_one_that_woke_and_waits_for_it() {
    let rollout = Rollout {
        canary: 1,
        canary_is_written: true,
        soak: Duration::from_secs(60),
        ..Rollout::default()
    };
    // The laptop wakes while the canary has to stay well, before p620 has begun.
    let mut run = Sleepers::new(&["p620", "razer", "laptop1"], rollout);
    run.finish(one_after_the_other, well);
    let ride = run.ride;
    assert!(ride.machine.is_finished(), "{:?}", ride.machine.waits());
    let began = |host| ride.began(host, Phase::Activate).unwrap();
    assert!(began("razer") < began("p620") && began("p620") < began("laptop1"));
}

#[test]
fn a_host_that_failed_before_the_plan_and_is_tried_again_counts_in_the_last_wave() {
    let mut ride = Ride::new(&["razer", "samsung", "p510"], Rollout::default());
    // Razer's hooks keep the run open.
    ride.machine.hosts[0].setup.hooks = hooks_of([HookMoment::BeforeActivate]);
    let mut away = |host: &str, phase| match (host, phase) {
        ("samsung", Phase::Preflight) => Err(Failure::failed(Code::LoginRefused, "no")),
        _ => well(host, phase),
    };
    ride.go(&mut away, &mut passes);
    ride.say(RunOrder::Retry { host: "samsung".to_owned() });
    let mut back = |host: &str, phase| {
        if host == "samsung" { rolls_back(phase) } else { well(host, phase) }
    };
    ride.go(&mut back, &mut passes);
    assert_eq!(ride.outcome("samsung"), Outcome::RolledBack);
    let halted = ride.machine.halted.as_ref().unwrap();
    assert_eq!(halted.code, Code::WaveFailed);
}

#[test]
fn a_host_that_is_away_when_it_is_tried_again_holds_no_later_wave_up() {
    let rollout = Rollout {
        canary: 1,
        canary_is_written: true,
        max_failed: Quota::Count(1),
        ..Rollout::default()
    };
    let mut ride = Ride::new(&["razer", "samsung"], rollout);
    ride.machine.setup.options.wait_offline = true;
    let mut no_fetch = |host: &str, phase: Phase| match (host, phase) {
        ("razer", Phase::Fetch) => Err(Failure::failed(Code::FetchFailed, "no")),
        _ => well(host, phase),
    };
    ride.until_asked(&mut no_fetch, &mut passes);
    let mut is_away = |host: &str, phase: Phase| match (host, phase) {
        ("razer", Phase::Preflight) => {
            let reason = Reason::new(Code::HostUnreachable, "no route");
            Err(Failure { outcome: Outcome::Offline, reason })
        }
        _ => well(host, phase),
    };
    let retry = || RunOrder::Retry { host: "razer".to_owned() };
    ride.say(retry());
    ride.until_asked(&mut is_away, &mut passes);
    assert_eq!(ride.outcome("razer"), Outcome::Offline);
    ride.say(retry());
    ride.finish(&mut well, &mut passes);
    assert_eq!(ride.refusals(), Vec::<String>::new());
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
    assert_eq!(ride.outcome("samsung"), Outcome::Switched);
}

#[test]
fn a_host_that_wakes_to_another_system_than_an_earlier_attempt_built_has_that_built() {
    for (newest, is_built) in [(NEW.replace("-new", "-newer"), true), (NEW.to_owned(), false)] {
        let mut ride = Ride::new(&["razer", "samsung"], Rollout::default());
        // Razer's hooks keep the run open.
        ride.machine.hosts[0].setup.hooks = hooks_of([HookMoment::BeforeActivate]);
        ride.machine.setup.options.wait_offline = true;
        let mut no_fetch = |host: &str, phase: Phase| match (host, phase) {
            ("samsung", Phase::Fetch) => Err(Failure::failed(Code::FetchFailed, "no")),
            _ => well(host, phase),
        };
        ride.go(&mut no_fetch, &mut passes);
        assert_eq!(ride.outcome("samsung"), Outcome::Failed);
        assert_eq!(ride.machine.hosts[1].known.built, 3);
        ride.say(RunOrder::Retry { host: "samsung".to_owned() });
        ride.began.clear();
        let mut is_away = true;
        let mut wakes = |host: &str, phase: Phase| match (phase, well(host, phase)) {
            (Phase::Preflight, Ok(Report::Preflight(mut found))) => {
                if std::mem::take(&mut is_away) {
                    let reason = Reason::new(Code::HostUnreachable, "no route");
                    return Err(Failure { outcome: Outcome::Offline, reason });
                }
                found.newest = Some(NewestSystem {
                    run: RunId("9".to_owned()),
                    drv: format!("{newest}.drv"),
                    toplevel: path(&newest),
                    built_from: None,
                });
                Ok(Report::Preflight(found))
            }
            (_, found) => found,
        };
        ride.finish(&mut wakes, &mut passes);
        assert_eq!(ride.outcome("samsung"), Outcome::Switched, "{}", ride.error("samsung"));
        for phase in [Phase::Build, Phase::Publish] {
            assert_eq!(ride.began("samsung", phase).is_some(), is_built, "{newest}: {phase}");
        }
    }
}

#[test]
fn a_host_that_stays_away_is_told_once_and_when_it_answers() {
    let mut run = Sleepers::new(&["razer", "laptop3"], Rollout::default());
    run.finish(|host| (host == "laptop3").then_some(100), well);
    let ride = run.ride;
    assert_eq!((run.tries["laptop3"], ride.outcome("laptop3")), (101, Outcome::Switched));
    let phases = ride.told.iter().filter_map(|what| match what {
        RunWhat::Phase { host, phase: Phase::Preflight, state } if host == "laptop3" => {
            Some(*state)
        }
        _ => None,
    });
    // The first try, and the last one.
    let (started, failed) = (PhaseState::Started, PhaseState::Failed);
    assert_eq!(phases.collect::<Vec<_>>(), [started, failed, started, PhaseState::Finished]);
    let waits = ride.told.iter().filter_map(|what| match what {
        RunWhat::Waiting { host, wait, .. } if host == "laptop3" => Some(wait.clone()),
        _ => None,
    });
    let waits: Vec<_> = waits.collect();
    let since = Timestamp::UNIX_EPOCH;
    let away = Some(Wait::Offline { since, every_s: Some(30) });
    let first = waits.iter().position(|wait| *wait == away).unwrap();
    assert_eq!(waits[first + 1], None, "{waits:?}");
    assert_eq!(waits.iter().filter(|wait| **wait == away).count(), 1, "{waits:?}");
}
