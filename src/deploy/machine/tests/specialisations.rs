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

/// Drives a deploy of a system without `gaming` to a host that runs that; returns it with what it told.
fn lacks_gaming(goal: Goal, asks: bool) -> (Machine, MachineStory) {
    let mut machine = machine(&["samsung"], goal, asks);
    let react = |_: &str, phase| match phase {
        Phase::Preflight => {
            let Report::Preflight(mut found) = runs_gaming(OLD) else { unreachable!() };
            found.notes.push(Reason::new(Code::SpecialisationKept, "it is kept"));
            Ok(Report::Preflight(found))
        }
        Phase::Compare => Ok(Report::Compared {
            to_build: Some(0),
            to_download: Some(0),
            changes: None,
            lacks_specialisation: Some("gaming".to_owned()),
            notes: Vec::new(),
        }),
        phase => Ok(good(phase, goal)),
    };
    let story = drive(&mut machine, react, |_| None);
    (machine, story)
}

#[test]
fn a_specialisation_that_the_new_system_lacks_is_asked_about_and_left_where_that_is_confirmed() {
    for goal in [Goal::Switch, Goal::Test] {
        let (machine, story) = lacks_gaming(goal, true);
        assert!(story.outcomes["samsung"].is_new_system(), "{goal}");
        let notes = &machine.hosts[0].known.preflight.notes;
        assert_eq!(notes.len(), 1, "it is not said that it is kept: {notes:?}");
        assert_eq!(notes[0].code, Code::SpecialisationMissing);
        assert!(notes[0].text.contains("the system itself is activated"), "{notes:?}");
        assert!(machine.hosts[0].known.leaves_specialisation);
    }
}

#[test]
fn where_nobody_is_asked_a_host_keeps_its_specialisation_and_fails_before_anything_is_done() {
    let (_, story) = lacks_gaming(Goal::Switch, false);
    assert_eq!(story.outcomes["samsung"], Outcome::Failed);
    let phases = phases_of(&story, "samsung");
    assert!(!phases.contains(&Phase::Build), "{phases:?}");
}
