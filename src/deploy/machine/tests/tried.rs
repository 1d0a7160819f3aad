//! Hosts that ran another system than they booted: somebody tried it with `test`, and a run that goes back gives each
//! to itself again.

use super::rollout::{Ride, passes, well};
use super::*;
use crate::deploy::{GateAnswer, WayBack};

/// The system that somebody tried.
pub(super) const TRIED: &str = "/nix/store/n0znnv1nxsr0ry7gmadkh49s1d0hycgd-tried";

/// Returns what preflight finds on a host.
fn is(running: &str, profile: &str) -> Report {
    Report::Preflight(Box::new(Preflight {
        running: Some(path(running)),
        profile: Some(path(profile)),
        ..Preflight::default()
    }))
}

/// All goes well, and this is what preflight finds on razer.
fn razer_is(found: Report) -> impl Fn(&str, Phase) -> Result<Report, Failure> {
    move |host, phase| match (host, phase) {
        ("razer", Phase::Preflight) => Ok(found.clone()),
        _ => well(host, phase),
    }
}

/// Returns a run that made its system permanent on razer, its canary, which ran this and booted the old one; the run is
/// rolled back.
fn permanent_on_razer(ran: &'static str) -> Ride {
    let rollout = Rollout { canary: 1, canary_is_written: true, ..Rollout::default() };
    let mut ride = Ride::new(&["razer", "samsung"], rollout);
    let mut gate = |_: &str| GateAnswer::NotMade("no route".to_owned());
    ride.go(&mut razer_is(is(ran, OLD)), &mut gate);
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
    ride.machine.hosts[0].setup.reboot = Some(Duration::from_secs(60));
    ride.runs.clear();
    ride.say(RunOrder::Rollback { scope: RollbackScope::Run });
    ride
}

#[test]
fn a_host_goes_back_to_what_it_ran_and_to_what_it_booted() {
    // It tried another system, or the very one of the run.
    for ran in [TRIED, NEW] {
        let mut ride = permanent_on_razer(ran);
        ride.go(&mut razer_is(is(NEW, NEW)), &mut passes);
        assert_eq!(ride.refusals(), Vec::<String>::new(), "{ran}");
        let (_, setup) = ride.runs.iter().find(|(phase, _)| *phase == Phase::Activate).unwrap();
        assert_eq!(setup.given.as_ref().unwrap().toplevel, path(ran));
        let withdraws = (ran != NEW).then(|| path(NEW));
        assert_eq!(setup.way_back, Some(WayBack { profile: Some(path(OLD)), withdraws }));
        assert_eq!(setup.permanent(&path(ran)), &path(OLD));
        let again: Vec<Phase> = ride.runs.iter().map(|(phase, _)| *phase).collect();
        assert!(!again.contains(&Phase::Reboot), "that would end what it ran: {again:?}");
        assert_eq!(ride.outcome("razer"), Outcome::RolledBack, "{}", ride.error("razer"));
    }
}

#[test]
fn what_somebody_else_set_to_be_booted_next_stays_when_a_host_goes_back() {
    const THEIRS: &str = "/nix/store/p0znnv1nxsr0ry7gmadkh49s1d0hycgd-theirs";
    for profile in [NEW, THEIRS] {
        let mut ride = permanent_on_razer(OLD);
        ride.go(&mut razer_is(is(NEW, profile)), &mut passes);
        let at_activate = ride.runs.iter().find(|(phase, _)| *phase == Phase::Activate);
        let (_, setup) = at_activate.unwrap();
        let stays = if profile == THEIRS { THEIRS } else { OLD };
        assert_eq!(setup.permanent(&path(OLD)), &path(stays));
        let notes = &ride.machine.hosts[0].known.preflight.notes;
        let is_said = notes.iter().any(|note| note.text.contains("somebody else set"));
        assert_eq!(is_said, profile == THEIRS, "{notes:?}");
        assert_eq!(ride.outcome("razer"), Outcome::RolledBack, "{}", ride.error("razer"));
    }
}

#[test]
fn a_host_is_back_only_where_it_boots_what_it_booted() {
    for (profile, activates) in [(OLD, false), (TRIED, true)] {
        let mut ride = permanent_on_razer(TRIED);
        ride.go(&mut razer_is(is(TRIED, profile)), &mut passes);
        let is_activated = ride.runs.iter().any(|(phase, _)| *phase == Phase::Activate);
        assert_eq!(is_activated, activates, "{profile}");
        assert_eq!(ride.outcome("razer"), Outcome::RolledBack);
    }
}

#[test]
fn a_host_that_only_tries_the_system_of_the_run_keeps_its_profile_and_goes_back_to_what_it_ran() {
    let rollout = Rollout { canary: 1, canary_is_written: true, ..Rollout::default() };
    let mut ride = Ride::of(machine(&["razer", "samsung"], Goal::Test, false), rollout);
    let mut tried = |host: &str, phase: Phase| match (host, phase) {
        ("razer", Phase::Preflight) => Ok(is(TRIED, OLD)),
        (_, Phase::Persist) => Ok(good(phase, Goal::Test)),
        _ => well(host, phase),
    };
    ride.go(&mut tried, &mut |_| GateAnswer::NotMade("no route".to_owned()));
    ride.runs.clear();
    ride.say(RunOrder::Rollback { scope: RollbackScope::Run });
    ride.go(&mut tried, &mut passes);
    let (_, setup) = &ride.runs[0];
    assert_eq!((setup.goal, setup.permanent(&path(TRIED))), (Goal::Test, &path(TRIED)));
}
