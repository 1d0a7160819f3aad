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

/// A run over samsung, which has hooks before and after its activation; it stands where the first ones run.
fn paired() -> Ride {
    let rollout = Rollout { canary: 0, canary_is_written: true, ..Rollout::default() };
    let mut ride = Ride::new(&["samsung"], rollout);
    ride.machine.hosts[0].setup.hooks =
        hooks_of([HookMoment::BeforeActivate, HookMoment::AfterActivate]);
    ride.go(&mut well, &mut passes);
    ride
}

impl Ride {
    fn concluded(&mut self, result: Result<(), Reason>) {
        self.inputs.push_back(Input::Concluded { host: "samsung".to_owned(), result });
        self.go(&mut well, &mut passes);
    }

    fn has_ended(&self) -> bool {
        self.machine.hosts[0].is_over()
    }
}

#[test]
fn hooks_follow_an_activation_that_could_not_begin_or_be_followed_and_the_host_ends_then() {
    for (phase, outcome) in
        [(Phase::Activate, Outcome::Failed), (Phase::Acknowledge, Outcome::Unknown)]
    {
        let mut ride = paired();
        let (host, result) = ("samsung".to_owned(), Ok(()));
        ride.inputs.push_back(Input::Prepared { host, phase: Phase::Activate, result });
        let reason = Reason::new(Code::ConnectionLost, "it was lost");
        let mut fails = |host: &str, at: Phase| {
            let failure = Failure { outcome, reason: reason.clone() };
            if at == phase { Err(failure) } else { well(host, at) }
        };
        ride.go(&mut fails, &mut passes);
        assert_eq!(ride.concludes, [("samsung".to_owned(), outcome)]);
        assert!(!ride.has_ended() && !ride.machine.is_finished());
        let moment = HookMoment::AfterActivate;
        assert!(
            matches!(ride.waits("samsung"), Some(Wait::Hook { moment: at, .. }) if at == moment)
        );
        ride.concluded(Err(Reason::new(Code::HookFailed, "its hook failed")));
        assert_eq!(ride.outcome("samsung"), outcome);
        assert_eq!(ride.error("samsung"), "it was lost; its hook failed [connection-lost]");
        assert_eq!(ride.concludes.len(), 1);
    }
}

#[test]
fn hooks_follow_those_before_of_a_host_that_is_left_out_or_whose_own_hooks_fail() {
    let mut ride = paired();
    ride.say(RunOrder::Skip { host: "samsung".to_owned() });
    ride.hooks_end("samsung", Ok(()));
    assert_eq!(ride.concludes, [("samsung".to_owned(), Outcome::Skipped)]);
    // Nobody leaves it out twice.
    ride.say(RunOrder::Skip { host: "samsung".to_owned() });
    ride.go(&mut well, &mut passes);
    assert_eq!(ride.refusals(), ["samsung is done but for the hooks after its activation"]);
    ride.concluded(Ok(()));
    assert_eq!(ride.outcome("samsung"), Outcome::Skipped);

    let mut ride = paired();
    ride.say(RunOrder::Pause);
    ride.hooks_end("samsung", Ok(()));
    ride.inputs.push_back(Input::Cancel);
    ride.go(&mut well, &mut passes);
    assert_eq!(ride.concludes, [("samsung".to_owned(), Outcome::Interrupted)]);
    ride.concluded(Ok(()));
    assert!(ride.machine.is_finished());

    let mut ride = paired();
    ride.hooks_end("samsung", failed());
    assert_eq!(ride.concludes, [("samsung".to_owned(), Outcome::Failed)]);
    ride.concluded(Ok(()));
    assert_eq!(ride.outcome("samsung"), Outcome::Failed);
}

#[test]
fn hooks_that_the_end_of_an_activation_brought_do_not_run_again() {
    let mut ride = paired();
    ride.hooks_end("samsung", Ok(()));
    assert_eq!(ride.outcome("samsung"), Outcome::Switched);
    assert_eq!(ride.concludes, []);
}
