//! A host that a run left degraded and that is tried again in it: it has the new system from this run all the while.

use super::rollout::{Ride, passes, rolls_back, well};
use super::*;
use crate::fleet::{Fetched, HostResult, Quota, RollbackScope, RolloutNews, RunOrder};

/// Returns a run that left razer with a unit that failed, and in which the hooks of samsung run.
fn left_degraded() -> Ride {
    let rollout = Rollout {
        canary: 0,
        canary_is_written: true,
        max_failed: Quota::Count(1),
        ..Rollout::default()
    };
    let mut ride = Ride::new(&["razer", "samsung"], rollout);
    ride.machine.hosts[1].setup.hooks = hooks_of([HookMoment::BeforeActivate]);
    let mut unit_fails = |host: &str, phase: Phase| match (host, phase) {
        ("razer", Phase::Check) => {
            let unit = FailedUnit { name: "web.service".to_owned(), said: String::new() };
            Ok(Report::Checked { new_failed_units: vec![unit], broken: Vec::new() })
        }
        _ => well(host, phase),
    };
    ride.go(&mut unit_fails, &mut passes);
    assert_eq!(ride.outcome("razer"), Outcome::Degraded);
    ride.runs.clear();
    ride.say(RunOrder::Retry { host: "razer".to_owned() });
    ride
}

/// Returns what preflight finds on a host that has a system, where the unit has failed.
fn has(system: &str, unwell: Option<Reason>) -> Report {
    Report::Preflight(Box::new(Preflight {
        running: Some(path(system)),
        profile: Some(path(system)),
        failed_units: ["web.service".to_owned()].into(),
        unwell,
        ..Preflight::default()
    }))
}

/// All goes well, and razer has a system already.
fn razer_has(system: &'static str) -> impl Fn(&str, Phase) -> Result<Report, Failure> {
    move |host, phase| match (host, phase) {
        ("razer", Phase::Preflight) => Ok(has(system, None)),
        _ => well(host, phase),
    }
}

fn last_result(ride: &Ride) -> HostResult {
    let results = ride.told.iter().rev().find_map(|what| match what {
        RunWhat::Result { host, result } if host == "razer" => Some(result.clone()),
        _ => None,
    });
    results.unwrap()
}

/// Takes the run back, and returns to which system razer goes.
fn taken_back(ride: &mut Ride) -> Option<StorePath> {
    ride.runs.clear();
    ride.say(RunOrder::Rollback { scope: RollbackScope::Run });
    ride.go(&mut razer_has(NEW), &mut passes);
    let goes = ride.told.iter().any(|what| {
        matches!(what, RunWhat::Rollout(RolloutNews::Again { host, goal: Goal::Rollback, .. }) if host == "razer")
    });
    let given = ride.runs.first().and_then(|(_, host)| host.given.clone());
    given.filter(|_| goes).map(|given| given.toplevel)
}

#[test]
fn a_degraded_host_is_looked_at_again_and_can_still_be_taken_back() {
    let mut ride = left_degraded();
    ride.go(&mut razer_has(NEW), &mut passes);
    let (phase, setup) = &ride.runs[0];
    assert_eq!(*phase, Phase::Preflight);
    let looked_for = &setup.degraded.as_ref().unwrap().why;
    assert_eq!(looked_for.code, Code::UnitsFailed);
    assert!(looked_for.text.starts_with("web.service failed"), "{looked_for}");
    // The run brought it the system, and it is well now.
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
    assert_eq!(last_result(&ride).previous, Some(path(OLD)));
    let failed_before = &ride.machine.hosts[0].known.preflight.failed_units;
    assert!(failed_before.is_empty(), "the unit had not failed before the run: {failed_before:?}");
    assert_eq!(taken_back(&mut ride), Some(path(OLD)));
    assert_eq!(ride.outcome("razer"), Outcome::RolledBack);
}

#[test]
fn a_host_that_is_still_degraded_can_be_tried_again_and_taken_back() {
    let mut ride = left_degraded();
    let mut still = |host: &str, phase: Phase| match (host, phase) {
        ("razer", Phase::Preflight) => {
            let why = Reason::new(Code::UnitsFailed, "web.service still failed");
            Ok(has(NEW, Some(why)))
        }
        _ => well(host, phase),
    };
    for _ in 0..2 {
        ride.go(&mut still, &mut passes);
        assert_eq!(ride.outcome("razer"), Outcome::Degraded);
        ride.say(RunOrder::Retry { host: "razer".to_owned() });
    }
    ride.go(&mut still, &mut passes);
    assert_eq!(ride.refusals(), Vec::<String>::new());
    assert_eq!(taken_back(&mut ride), Some(path(OLD)));
}

#[test]
fn an_attempt_that_ends_before_it_changed_anything_leaves_a_host_degraded() {
    let mut left_out = left_degraded();
    left_out.say(RunOrder::Skip { host: "razer".to_owned() });
    left_out.go(&mut razer_has(NEW), &mut passes);
    let mut away = left_degraded();
    let mut silent = |host: &str, phase: Phase| match (host, phase) {
        ("razer", Phase::Preflight) => {
            let reason = Reason::new(Code::HostUnreachable, "no route");
            Err(Failure { outcome: Outcome::Offline, reason })
        }
        _ => well(host, phase),
    };
    away.machine.setup.options.wait_offline = true;
    away.go(&mut silent, &mut passes);
    // It runs the new system, and its profile is another one.
    let mut goes_back = left_degraded();
    let mut fails = |host: &str, phase: Phase| match (host, phase) {
        ("razer", Phase::Preflight) => {
            let Report::Preflight(mut found) = has(NEW, None) else { unreachable!() };
            found.profile = Some(path(OLD));
            Ok(Report::Preflight(found))
        }
        ("razer", phase) => rolls_back(phase),
        _ => well(host, phase),
    };
    goes_back.go(&mut fails, &mut passes);
    for (mut ride, why) in [
        (left_out, "the operator left it out"),
        (away, "no route"),
        (goes_back, "its activation exited with 1"),
    ] {
        assert_eq!(ride.outcome("razer"), Outcome::Degraded, "{why}");
        let (error, result) = (ride.error("razer"), last_result(&ride));
        let expected = format!("Then, tried again: {why}");
        assert!(error.starts_with("web.service failed") && error.contains(&expected), "{error}");
        let codes: Vec<Code> = result.findings.iter().map(|finding| finding.code).collect();
        assert_eq!((codes.len(), codes[0]), (2, Code::UnitsFailed));
        assert_eq!(result.previous, Some(path(OLD)));
        assert_eq!(taken_back(&mut ride), Some(path(OLD)), "{why}");
    }
}

#[test]
fn a_host_that_is_tried_again_while_the_run_is_taken_back_goes_back() {
    let mut ride = left_degraded();
    ride.say(RunOrder::Skip { host: "samsung".to_owned() });
    ride.say(RunOrder::Rollback { scope: RollbackScope::Wave });
    ride.go(&mut razer_has(NEW), &mut passes);
    assert_eq!(ride.refusals(), Vec::<String>::new());
    assert_eq!(ride.outcome("razer"), Outcome::RolledBack);
}

#[test]
fn a_host_that_has_another_system_meanwhile_begins_anew() {
    let mut ride = left_degraded();
    let was_put_back = razer_has(OLD);
    let mut fails = |host: &str, phase: Phase| match (host, phase) {
        ("razer", Phase::Verify) => Err(Failure::failed(Code::InternalError, "no")),
        _ => was_put_back(host, phase),
    };
    ride.go(&mut fails, &mut passes);
    assert_eq!(ride.outcome("razer"), Outcome::Failed, "it does not run the new system");
    assert!(!ride.machine.can_go_back(0));
}

#[test]
fn a_host_that_was_not_restarted_and_then_is_can_be_taken_back() {
    let mut ride = Ride::new(&["razer", "samsung"], left_degraded().machine.setup.rollout);
    ride.machine.hosts[1].setup.hooks = hooks_of([HookMoment::BeforeActivate]);
    ride.machine.hosts[0].setup.reboot = Some(Duration::from_secs(60));
    let mut stays_up = |host: &str, phase: Phase| match phase {
        Phase::Reboot => Ok(Report::Rebooted(Ending {
            outcome: Outcome::Degraded,
            reason: Some(Reason::new(Code::NotRestarted, "it could not be restarted")),
        })),
        _ => well(host, phase),
    };
    ride.go(&mut stays_up, &mut passes);
    assert_eq!(ride.outcome("razer"), Outcome::Degraded);
    ride.say(RunOrder::Retry { host: "razer".to_owned() });
    ride.began.clear();
    let mut waits = |host: &str, phase: Phase| match (host, phase) {
        ("razer", Phase::Preflight) => Ok(waiting_for_restart(NEW)),
        _ => well(host, phase),
    };
    ride.go(&mut waits, &mut passes);
    let again: Vec<Phase> = ride.began.iter().map(|(_, phase)| *phase).collect();
    assert_eq!(again, [Phase::Preflight, Phase::Compare, Phase::Reboot]);
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
    assert_eq!(taken_back(&mut ride), Some(path(OLD)));
}

#[test]
fn a_host_that_is_taken_back_keeps_what_was_wrong_there_and_what_it_built_and_fetched() {
    let mut ride = left_degraded();
    let got = |paths| Fetched { paths, bytes: 1000 * paths, timed: None };
    let brings = |paths| Report::Fetched {
        fetched: [("p620".to_owned(), got(paths))].into(),
        taken: TakenRoute { route: Route::Direct, given_up: Vec::new() },
    };
    ride.machine.hosts[0].known.fetched = [("p620".to_owned(), got(12))].into();
    // The second attempt runs through, and fetches what is missing.
    let mut unit_fails = |host: &str, phase: Phase| match (host, phase) {
        ("razer", Phase::Preflight) => Ok(has(OLD, None)),
        ("razer", Phase::Fetch) => Ok(brings(1)),
        ("razer", Phase::Check) => {
            let unit = FailedUnit { name: "db.service".to_owned(), said: String::new() };
            Ok(Report::Checked { new_failed_units: vec![unit], broken: Vec::new() })
        }
        _ => well(host, phase),
    };
    ride.go(&mut unit_fails, &mut passes);
    assert_eq!(ride.outcome("razer"), Outcome::Degraded);
    taken_back(&mut ride);
    let result = last_result(&ride);
    assert_eq!((result.outcome, result.built), (Outcome::RolledBack, 3));
    assert_eq!(result.fetched, [("p620".to_owned(), got(13))].into());
    let error = result.error.unwrap();
    assert!(error.contains("what was wrong there: db.service failed"), "{error}");
}

#[test]
fn what_its_checks_found_is_known_of_a_host_whose_attempt_goes_on() {
    let mut machine = machine(&["razer"], Goal::Switch, false);
    let mut known = Vec::new();
    let mut inputs = vec![Input::Begin];
    while let Some(input) = inputs.pop() {
        for command in machine.step(input, Timestamp::UNIX_EPOCH) {
            let MachineCommand::Run { host, phase, .. } = command else { continue };
            let at = machine.left_at(&host.name).unwrap();
            known.push((phase, at.wrong.map(|why| why.code), at.before.running.clone()));
            let result = match phase {
                Phase::Check => {
                    let unit = FailedUnit { name: "web.service".to_owned(), said: String::new() };
                    Ok(Report::Checked { new_failed_units: vec![unit], broken: Vec::new() })
                }
                phase => well("razer", phase),
            };
            inputs.push(Input::Done { host: host.name, phase, result });
        }
    }
    let at = |wanted| known.iter().find(|(phase, ..)| *phase == wanted).unwrap();
    assert_eq!(at(Phase::Check), &(Phase::Check, None, Some(path(OLD))));
    assert_eq!(at(Phase::Persist), &(Phase::Persist, Some(Code::UnitsFailed), Some(path(OLD))));
    assert!(machine.left_at("razer").is_none(), "it has ended");
}

#[test]
fn preflight_is_told_what_was_wrong_and_what_had_failed_before() {
    let mut ride = left_degraded();
    let found = &mut ride.machine.hosts[0].known.preflight;
    found.failed_units.insert("old.service".to_owned());
    // Twice: what had failed before the run is what the first attempt found.
    for _ in 0..2 {
        ride.runs.clear();
        let mut still = |host: &str, phase: Phase| match (host, phase) {
            ("razer", Phase::Preflight) => {
                let why = Reason::new(Code::BootDefaultPinned, "the next boot starts another");
                Ok(has(NEW, Some(why)))
            }
            _ => well(host, phase),
        };
        ride.go(&mut still, &mut passes);
        assert_eq!(ride.outcome("razer"), Outcome::Degraded, "preflight says so");
        let left = ride.runs[0].1.degraded.clone().unwrap();
        assert_eq!(left.failed_before, Some(["old.service".to_owned()].into()));
        ride.say(RunOrder::Retry { host: "razer".to_owned() });
    }
    ride.go(&mut razer_has(NEW), &mut passes);
    let left = ride.runs.last().unwrap().1.degraded.clone().unwrap();
    assert_eq!(left.why.code, Code::BootDefaultPinned);
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
}

#[test]
fn a_gate_knows_what_had_failed_before_though_the_last_attempt_did_not_look() {
    let mut ride = left_degraded();
    let found = &mut ride.machine.hosts[0].known.preflight;
    found.failed_units.insert("old.service".to_owned());
    ride.say(RunOrder::Skip { host: "razer".to_owned() });
    ride.go(&mut razer_has(NEW), &mut passes);
    let gated = ride.machine.hosts[0].gated();
    assert!(gated.known.preflight.failed_units.contains("old.service"), "{gated:?}");
}
