//! Hosts that run a specialisation, which a run keeps or leaves, and their way back to it.

use super::rollout::{Ride, passes, well};
use super::*;
use crate::deploy::GateAnswer;
use crate::fleet::{RollbackScope, RunOrder};

/// The specialisation `gaming` of a system.
fn gaming(system: &str) -> StorePath {
    path(&format!("{system}-gaming"))
}

/// Returns what preflight finds on a host that runs `gaming` of a system.
fn runs_gaming(system: &str) -> Report {
    let mut found = Preflight {
        running: Some(gaming(system)),
        profile: Some(path(system)),
        ..Preflight::default()
    };
    let special = Specialisation { system: path(system), name: "gaming".to_owned() };
    found.deploys.specialisation = Some(special);
    Report::Preflight(Box::new(found))
}

#[test]
fn a_host_leaves_its_specialisation_where_that_is_asked_for_though_it_has_the_system() {
    for goal in [Goal::Switch, Goal::Test, Goal::Rollback] {
        for without in [true, false] {
            let mut machine = samsung_with(goal, |setup| {
                if goal == Goal::Rollback {
                    setup.given = given(GivenPlace::Kept);
                }
            });
            machine.setup.options.without_specialisation = without;
            let react = |_: &str, phase| match phase {
                Phase::Preflight => Ok(runs_gaming(NEW)),
                phase => Ok(good(phase, goal)),
            };
            let story = drive(&mut machine, react, |_| None);
            let is_activated = phases_of(&story, "samsung").contains(&Phase::Activate);
            assert_eq!(is_activated, without, "{goal}");
            let is_left_alone = story.outcomes["samsung"] == Outcome::Unchanged;
            assert_eq!(is_left_alone, !without, "{goal}");
        }
    }
}

/// Returns a run that took razer, its canary, from `gaming` of a system to the new system itself, and is rolled back.
fn left_gaming(old: &str, goal: Goal) -> Ride {
    let rollout = Rollout { canary: 1, canary_is_written: true, ..Rollout::default() };
    let mut ride = Ride::of(machine(&["razer", "samsung"], goal, false), rollout);
    ride.machine.setup.options.without_specialisation = true;
    let mut leaves = |host: &str, phase: Phase| match (host, phase) {
        ("razer", Phase::Preflight) => Ok(runs_gaming(old)),
        _ => well(host, phase),
    };
    ride.go(&mut leaves, &mut |_| GateAnswer::NotMade("no route".to_owned()));
    assert!(ride.outcome("razer").is_new_system());
    ride.runs.clear();
    ride.say(RunOrder::Rollback { scope: RollbackScope::Run });
    ride
}

/// All goes well, and this is what preflight finds on razer.
fn razer_is(found: Report) -> impl Fn(&str, Phase) -> Result<Report, Failure> {
    move |host, phase| match (host, phase) {
        ("razer", Phase::Preflight) => Ok(found.clone()),
        _ => well(host, phase),
    }
}

fn runs_itself(system: &str) -> Report {
    Report::Preflight(Box::new(Preflight {
        running: Some(path(system)),
        profile: Some(path(system)),
        ..Preflight::default()
    }))
}

#[test]
fn a_host_that_left_its_specialisation_goes_back_to_it() {
    // It got another system, or left the specialisation of the very same one.
    for old in [OLD, NEW] {
        let mut ride = left_gaming(old, Goal::Switch);
        ride.go(&mut razer_is(runs_itself(NEW)), &mut passes);
        let (_, setup) = ride.runs.iter().find(|(phase, _)| *phase == Phase::Activate).unwrap();
        let given = setup.given.clone().unwrap();
        assert_eq!(given.specialisation.as_deref(), Some("gaming"), "{old}");
        assert_eq!(given.toplevel, path(old));
        // What it leaves is remembered there; the system that it has is not withdrawn.
        let withdraws = setup.way_back.clone().unwrap().withdraws;
        assert_eq!(withdraws, (old != NEW).then(|| path(NEW)));
        assert_eq!(ride.outcome("razer"), Outcome::RolledBack);
    }
}

#[test]
fn a_host_that_runs_its_specialisation_again_is_back() {
    let mut ride = left_gaming(OLD, Goal::Switch);
    ride.go(&mut razer_is(runs_gaming(OLD)), &mut passes);
    assert_eq!(ride.outcome("razer"), Outcome::RolledBack, "{}", ride.error("razer"));
    assert!(!ride.runs.iter().any(|(phase, _)| *phase == Phase::Activate));
    // The system itself is not what it ran before.
    let mut ride = left_gaming(OLD, Goal::Switch);
    ride.go(&mut razer_is(runs_itself(OLD)), &mut passes);
    assert!(ride.runs.iter().any(|(phase, _)| *phase == Phase::Activate));
}

#[test]
fn a_system_that_somebody_else_let_it_boot_is_not_taken_back() {
    let mut ride = left_gaming(OLD, Goal::Boot);
    let other = NEW.replace("-new", "-other");
    let Report::Preflight(mut found) = runs_itself(NEW) else { unreachable!() };
    found.profile = Some(path(&other));
    ride.go(&mut razer_is(Report::Preflight(found)), &mut passes);
    assert_eq!(ride.outcome("razer"), Outcome::Superseded);
}
