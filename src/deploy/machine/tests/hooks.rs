//! Hooks before a host begins to change: as long as they run, it can be left out as if nothing had begun.

use super::rollout::{Ride, passes, well};
use super::*;
use crate::fleet::{RunOrder, Wait};

/// A run over hosts of which some have a hook before their activation; it stands where those run.
fn prepared(names: &[&str], with_hooks: &[&str]) -> Ride {
    let rollout = Rollout { canary: 0, canary_is_written: true, ..Rollout::default() };
    let mut ride = Ride::new(names, rollout);
    for host in &mut ride.machine.hosts {
        if with_hooks.contains(&host.setup.name.as_str()) {
            host.setup.hooks = hooks_of([HookMoment::BeforeActivate]);
        }
    }
    ride.go(&mut well, &mut passes);
    assert_eq!(ride.prepares, with_hooks);
    ride
}

impl Ride {
    fn hooks_end(&mut self, host: &str, result: Result<(), Failure>) {
        let host = host.to_owned();
        self.inputs.push_back(Input::Prepared { host, phase: Phase::Activate, result });
        self.go(&mut well, &mut passes);
    }

    fn waits(&self, host: &str) -> Option<Wait> {
        self.machine.hosts[self.machine.index_of(host).unwrap()].waits_for.clone()
    }

    fn activates(&self, host: &str) -> bool {
        self.began.contains(&(host.to_owned(), Phase::Activate))
    }
}

fn failed() -> Result<(), Failure> {
    Err(Failure::failed(Code::HookFailed, "its hook failed"))
}

#[test]
fn a_host_is_activated_when_its_hooks_have_ended_and_they_run_once() {
    let mut ride = prepared(&["samsung"], &["samsung"]);
    let moment = HookMoment::BeforeActivate;
    let until = Timestamp::from_second(60).ok();
    assert_eq!(ride.waits("samsung"), Some(Wait::Hook { moment, until }), "they have a minute");
    assert!(!ride.activates("samsung"));
    ride.hooks_end("samsung", Ok(()));
    assert_eq!(ride.outcome("samsung"), Outcome::Switched);
    assert_eq!(ride.prepares.len(), 1);
}

#[test]
fn a_host_can_be_left_out_as_long_as_its_hooks_run() {
    for result in [Ok(()), failed()] {
        let mut ride = prepared(&["razer", "samsung"], &["samsung"]);
        ride.say(RunOrder::Skip { host: "samsung".to_owned() });
        ride.go(&mut well, &mut passes);
        assert_eq!(ride.refusals(), Vec::<String>::new());
        assert_eq!(ride.stopped, [("samsung".to_owned(), Phase::Activate)]);
        // However the hooks end: whoever stopped them came in time.
        ride.hooks_end("samsung", result);
        assert_eq!(ride.outcome("samsung"), Outcome::Skipped);
        assert!(!ride.activates("samsung"));
    }
}

#[test]
fn a_stopped_run_activates_no_host_whose_hooks_run() {
    let mut ride = prepared(&["samsung"], &["samsung"]);
    ride.inputs.push_back(Input::Cancel);
    ride.go(&mut well, &mut passes);
    ride.hooks_end("samsung", Ok(()));
    assert_eq!(ride.outcome("samsung"), Outcome::Interrupted);
    assert!(!ride.activates("samsung") && ride.machine.is_finished());
}

#[test]
fn a_wave_that_fails_leaves_hosts_out_whose_hooks_run() {
    let rollout = Rollout { canary: 0, canary_is_written: true, ..Rollout::default() };
    let mut ride = Ride::new(&["razer", "samsung"], rollout);
    ride.machine.hosts[1].setup.hooks = hooks_of([HookMoment::BeforeActivate]);
    let mut one_fails = |host: &str, phase: Phase| match (host, phase) {
        ("razer", Phase::Persist) => Err(Failure::failed(Code::InternalError, "it failed")),
        _ => well(host, phase),
    };
    ride.go(&mut one_fails, &mut passes);
    assert_eq!(ride.outcome("razer"), Outcome::Failed);
    assert_eq!(ride.stopped, [("samsung".to_owned(), Phase::Activate)]);
    ride.hooks_end("samsung", Ok(()));
    assert_eq!(ride.outcome("samsung"), Outcome::Skipped);
    assert!(!ride.activates("samsung"));
    // Its log says who stopped it: no operator did.
    let logged = ride.told.iter().filter_map(|what| match what {
        RunWhat::Log { host, line, .. } if host == "samsung" => Some(line.as_str()),
        _ => None,
    });
    let logged: Vec<&str> = logged.collect();
    let why = "not begun: razer failed in wave 1 (internal-error) [rollout-halted]";
    assert_eq!(logged, [why]);
}

#[test]
fn hooks_that_fail_do_not_stop_the_other_hosts_of_a_wave_that_has_begun() {
    let mut ride = prepared(&["razer", "samsung"], &["razer", "samsung"]);
    ride.hooks_end("samsung", failed());
    assert_eq!(ride.outcome("samsung"), Outcome::Failed);
    assert_eq!(ride.stopped, [], "nothing was changed on samsung");
    ride.hooks_end("razer", Ok(()));
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
}

#[test]
fn a_host_of_a_paused_run_waits_behind_its_hooks_and_keeps_its_place() {
    let mut ride = prepared(&["razer", "samsung"], &["samsung"]);
    ride.say(RunOrder::Pause);
    ride.hooks_end("samsung", Ok(()));
    assert_eq!(ride.waits("samsung"), Some(Wait::Paused));
    assert!(ride.machine.hosts[1].has_place);
    ride.say(RunOrder::Resume);
    ride.go(&mut well, &mut passes);
    assert_eq!(ride.outcome("samsung"), Outcome::Switched);
    assert_eq!(ride.prepares.len(), 1, "hooks run once in an attempt");
}

#[test]
fn the_time_of_hooks_counts_for_the_activation_and_a_pause_behind_them_does_not() {
    let mut ride = prepared(&["samsung"], &["samsung"]);
    ride.say(RunOrder::Pause);
    ride.now += Duration::from_secs(7);
    ride.hooks_end("samsung", Ok(()));
    ride.now += Duration::from_secs(100);
    ride.say(RunOrder::Resume);
    ride.go(&mut well, &mut passes);
    assert_eq!(ride.machine.hosts[0].took[&Phase::Activate], 7000);
}
