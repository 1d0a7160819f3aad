//! Waves, soak, gates, order and budgets, and what people say to a run.

use super::*;
use crate::deploy::{ClaimAnswer, GateAnswer, GatedHost, LaterSystem, NewestSystem};
use crate::fleet::{
    Budget, DeployedFrom, Gate, GateQuestion, HostOrTag, OnFailure, OrderRule, Quota,
    RollbackScope, RolloutNews, RunOrder, Wait, WaveRule, WaveState,
};
use std::collections::VecDeque;

/// Drives a machine with time, and keeps all that it told.
pub(super) struct Ride {
    pub(super) machine: Machine,
    pub(super) now: Timestamp,
    pub(super) inputs: VecDeque<Input>,
    wake: Option<Timestamp>,
    pub(super) began: Vec<(String, Phase)>,
    /// The hosts whose phases began, as they were to be deployed then.
    pub(super) runs: Vec<(Phase, HostSetup)>,
    pub(super) told: Vec<RunWhat>,
    pub(super) claims: Vec<(bool, String)>,
    /// The hosts that gates were asked about, each with the gate.
    gated: Vec<(String, GatedHost)>,
    /// The hosts whose hooks run, and the phases that were stopped. Hooks end when a test says so.
    pub(super) prepares: Vec<String>,
    /// The hosts whose hooks after an attempt run, and how that ended.
    pub(super) concludes: Vec<(String, Outcome)>,
    pub(super) stopped: Vec<(String, Phase)>,
}

impl Ride {
    pub(super) fn new(names: &[&str], rollout: Rollout) -> Self {
        Self::of(machine(names, Goal::Switch, false), rollout)
    }

    pub(super) fn of(mut machine: Machine, rollout: Rollout) -> Self {
        machine.setup.parallel = 10;
        machine.setup.rollout = rollout;
        Self {
            machine,
            now: Timestamp::UNIX_EPOCH,
            inputs: VecDeque::from([Input::Begin]),
            wake: None,
            began: Vec::new(),
            runs: Vec::new(),
            told: Vec::new(),
            claims: Vec::new(),
            gated: Vec::new(),
            prepares: Vec::new(),
            concludes: Vec::new(),
            stopped: Vec::new(),
        }
    }

    /// Goes on until nothing happens any more but by time or by somebody; `react` says how a phase
    /// ends, `gate` what a gate says.
    pub(super) fn go(
        &mut self,
        react: &mut dyn FnMut(&str, Phase) -> Result<Report, Failure>,
        gate: &mut dyn FnMut(&str) -> GateAnswer,
    ) {
        while let Some(input) = self.inputs.pop_front() {
            for command in self.machine.step(input, self.now) {
                match command {
                    MachineCommand::Run { host, phase, .. } => {
                        self.began.push((host.name.clone(), phase));
                        self.runs.push((phase, host.clone()));
                        let result = react(&host.name, phase);
                        self.inputs.push_back(Input::Done { host: host.name, phase, result });
                    }
                    MachineCommand::Ask { wave, gate: asked, asking, hosts } => {
                        let hosts = hosts.into_iter();
                        self.gated.extend(hosts.map(|host| (asked.name.clone(), host)));
                        let answer = gate(&asked.name);
                        let gate = asked.name;
                        self.inputs.push_back(Input::Gated { wave, gate, asking, answer });
                    }
                    MachineCommand::Claim { host, claim, .. } => {
                        self.claims.push((true, host.clone()));
                        let answer = ClaimAnswer::Held;
                        self.inputs.push_back(Input::Claimed { host, claim, answer });
                    }
                    MachineCommand::Release { host } => self.claims.push((false, host)),
                    MachineCommand::WakeAt(at) => self.wake = Some(at),
                    MachineCommand::Tell(what) => self.told.push(what),
                    MachineCommand::Prepare { host, .. } => self.prepares.push(host.name),
                    MachineCommand::Conclude { host, outcome, .. } => {
                        self.concludes.push((host.name, outcome));
                    }
                    MachineCommand::Stop { host, phase } => self.stopped.push((host, phase)),
                    MachineCommand::Abort { .. } | MachineCommand::Finish => {}
                }
            }
        }
    }

    /// Goes on to the end, with time.
    pub(super) fn finish(
        &mut self,
        react: &mut dyn FnMut(&str, Phase) -> Result<Report, Failure>,
        gate: &mut dyn FnMut(&str) -> GateAnswer,
    ) {
        self.go(react, gate);
        for _ in 0..1000 {
            let Some(at) = self.wake.take() else { return };
            self.now = self.now.max(at);
            self.inputs.push_back(Input::Wake);
            self.go(react, gate);
        }
    }

    /// Goes on with time until somebody is asked to decide about a wave.
    pub(super) fn until_asked(
        &mut self,
        react: &mut dyn FnMut(&str, Phase) -> Result<Report, Failure>,
        gate: &mut dyn FnMut(&str) -> GateAnswer,
    ) {
        self.go(react, gate);
        while self.machine.standing().is_empty() {
            self.now = self.now.max(self.wake.take().expect("it waits for something"));
            self.inputs.push_back(Input::Wake);
            self.go(react, gate);
        }
    }

    pub(super) fn outcome(&self, host: &str) -> Outcome {
        self.machine.outcomes().into_iter().find(|(name, _)| name == host).unwrap().1
    }

    pub(super) fn began(&self, host: &str, phase: Phase) -> Option<usize> {
        self.began.iter().position(|it| *it == (host.to_owned(), phase))
    }

    pub(super) fn error(&self, host: &str) -> String {
        let results = self.told.iter().rev().filter_map(|what| match what {
            RunWhat::Result { host: of, result } if of == host => result.told(),
            _ => None,
        });
        results.into_iter().next().unwrap_or_default()
    }

    pub(super) fn say(&mut self, order: RunOrder) {
        self.inputs.push_back(Input::Order(order));
    }

    pub(super) fn refusals(&self) -> Vec<String> {
        let refused = self.told.iter().filter_map(|what| match what {
            RunWhat::Rollout(RolloutNews::Order { refused, .. }) => refused.clone(),
            _ => None,
        });
        refused.collect()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as a phase answers")]
pub(super) fn well(_: &str, phase: Phase) -> Result<Report, Failure> {
    Ok(good(phase, Goal::Switch))
}

pub(super) fn passes(_: &str) -> GateAnswer {
    GateAnswer::Passed
}

/// The host goes back since its activation failed.
#[expect(clippy::unnecessary_wraps, reason = "as a phase answers")]
pub(super) fn rolls_back(phase: Phase) -> Result<Report, Failure> {
    match phase {
        Phase::Activate => Ok(Report::Activated(Activation::Decided(Ending {
            outcome: Outcome::RolledBack,
            reason: Some(Reason::new(Code::ActivationFailed, "its activation exited with 1")),
        }))),
        phase => Ok(good(phase, Goal::Switch)),
    }
}

const FOUR: [&str; 4] = ["razer", "samsung", "p510", "heron"];

#[test]
fn no_host_is_begun_before_all_were_looked_at_though_nobody_is_asked() {
    let rollout = Rollout { canary: 1, canary_is_written: true, ..Rollout::default() };
    let mut ride = Ride::new(&["samsung", "razer"], rollout);
    // The first one waits for an answer that comes late.
    let mut late = None;
    while let Some(input) = ride.inputs.pop_front() {
        for command in ride.machine.step(input, ride.now) {
            match command {
                MachineCommand::Run { host, phase, .. } => {
                    ride.began.push((host.name.clone(), phase));
                    let result = well(&host.name, phase);
                    let done = Input::Done { host: host.name.clone(), phase, result };
                    if host.name == "samsung" {
                        late = Some(done);
                    } else {
                        ride.inputs.push_back(done);
                    }
                }
                MachineCommand::Tell(what) => ride.told.push(what),
                _ => {}
            }
        }
    }
    assert_eq!(ride.began("razer", Phase::Fetch), None);
    let waits = ride.told.iter().rev().find_map(|what| match what {
        RunWhat::Waiting { host, wait: Some(wait), .. } if host == "razer" => Some(wait.clone()),
        _ => None,
    });
    assert_eq!(waits, Some(Wait::Plan { hosts: vec!["samsung".to_owned()] }));
    ride.inputs.extend(late);
    ride.finish(&mut well, &mut passes);
    assert!(
        ride.began("samsung", Phase::Persist) < ride.began("razer", Phase::Fetch),
        "the canary"
    );
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
}

#[test]
fn a_canary_goes_alone_and_has_to_stay_well_before_the_others_begin() {
    let mut ride =
        Ride::new(&FOUR, Rollout { soak: Duration::from_secs(60), ..Rollout::default() });
    ride.go(&mut well, &mut passes);
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
    assert_eq!(ride.began("samsung", Phase::Fetch), None);
    let waits = &ride.machine.hosts[1].waits_for;
    let until = Timestamp::from_second(60).unwrap();
    assert_eq!(*waits, Some(Wait::Soak { wave: 1, until }));
    assert_eq!(ride.wake, Some(until));
    ride.finish(&mut well, &mut passes);
    assert!(ride.machine.outcomes().iter().all(|(_, outcome)| *outcome == Outcome::Switched));
    assert_eq!(ride.now, until, "the last wave does not soak");
}

#[test]
fn only_a_canary_that_starts_its_system_later_may_run_the_old_one_at_the_end_of_the_soak() {
    let reboot = Some(Duration::from_secs(60));
    for (goal, reboot, ends, may_run_before, boot_id) in [
        // It was restarted between preflight and its activation.
        (Goal::Switch, None, Outcome::Switched, false, Some("2")),
        (Goal::Test, None, Outcome::Tested, false, Some("2")),
        // Nobody saw in which start of the machine it got its system.
        (Goal::Boot, None, Outcome::Booted, true, None),
        (Goal::Switch, None, Outcome::NeedsReboot, true, None),
        // In which start of the machine its restart ended is not known.
        (Goal::Boot, reboot, Outcome::Switched, false, None),
        (Goal::Boot, None, Outcome::Unchanged, true, None),
    ] {
        let mut machine = machine(&["razer", "samsung"], goal, false);
        machine.hosts[0].setup.reboot = reboot;
        let rollout = Rollout { canary: 1, canary_is_written: true, ..Rollout::default() };
        let mut ride = Ride::of(machine, rollout);
        let mut react = |_: &str, phase| match good(phase, goal) {
            _ if phase == Phase::Acknowledge => {
                Ok(Report::Acknowledged { boot_id: Some("2".to_owned()) })
            }
            Report::Preflight(mut found) => {
                found.boot_id = "1".to_owned();
                Ok(Report::Preflight(found))
            }
            Report::Activated(_) if ends == Outcome::NeedsReboot => {
                let ending = Ending { outcome: ends, reason: None };
                Ok(Report::Activated(Activation::Decided(ending)))
            }
            Report::Persisted(_) if ends == Outcome::Unchanged => {
                Ok(Report::Persisted(Ending { outcome: ends, reason: None }))
            }
            report => Ok(report),
        };
        ride.finish(&mut react, &mut passes);
        assert_eq!(ride.outcome("razer"), ends);
        let [(gate, host)] = &ride.gated[..] else { panic!("{:?}", ride.gated) };
        assert_eq!((gate.as_str(), host.name.as_str()), (Gate::SOAK, "razer"));
        assert_eq!((host.may_run_before, host.boot_id.as_deref()), (may_run_before, boot_id));
        // Else a start after its end tells it, where this run brought it the system.
        let judged = boot_id.is_none() && ends != Outcome::Unchanged;
        assert_eq!(host.ended_at.is_some(), judged, "{ends}");
    }
}

#[test]
fn a_canary_that_was_only_restarted_is_not_asked_whether_it_was_restarted() {
    let mut machine = machine(&["razer", "samsung"], Goal::Switch, false);
    machine.hosts[0].setup.reboot = Some(Duration::from_secs(60));
    let rollout = Rollout { canary: 1, canary_is_written: true, ..Rollout::default() };
    let mut ride = Ride::of(machine, rollout);
    let mut react = |host: &str, phase| match (host, phase) {
        ("razer", Phase::Preflight) => {
            let Report::Preflight(mut found) = waiting_for_restart(NEW) else { unreachable!() };
            found.boot_id = "1".to_owned();
            Ok(Report::Preflight(found))
        }
        _ => well(host, phase),
    };
    ride.finish(&mut react, &mut passes);
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
    let [(_, host)] = &ride.gated[..] else { panic!("{:?}", ride.gated) };
    assert_eq!((host.may_run_before, host.boot_id.as_deref()), (false, None));
}

#[test]
fn a_canary_that_fails_leaves_the_rest_untouched_and_says_why() {
    let mut ride = Ride::new(&FOUR, Rollout::default());
    let mut react = |host: &str, phase| {
        if host == "razer" { rolls_back(phase) } else { well(host, phase) }
    };
    ride.finish(&mut react, &mut passes);
    assert_eq!(ride.outcome("razer"), Outcome::RolledBack);
    for host in &FOUR[1..] {
        assert_eq!(ride.outcome(host), Outcome::Skipped);
        assert_eq!(ride.began(host, Phase::Fetch), None);
        let error = ride.error(host);
        assert!(error.contains("razer failed in wave 1 (activation-failed)"), "{error}");
        assert!(error.ends_with("[rollout-halted]"), "{error}");
    }
    let headline = ride.told.iter().find_map(|what| match what {
        RunWhat::Summary { findings, .. } => Some(findings.clone()),
        _ => None,
    });
    assert_eq!(headline.unwrap()[0].code, Code::ActivationFailed);
}

#[test]
fn a_build_that_fails_holds_no_host_of_its_own_wave_up() {
    let mut ride = Ride::new(&["razer", "samsung"], Rollout::default());
    let mut react = |host: &str, phase| match (host, phase) {
        ("razer", Phase::Build) => Err(Failure::failed(Code::BuildFailed, "no")),
        _ => well(host, phase),
    };
    ride.finish(&mut react, &mut passes);
    assert_eq!(ride.outcome("razer"), Outcome::Failed);
    assert_eq!(ride.outcome("samsung"), Outcome::Switched);
}

fn news(ride: &Ride) -> Vec<&RolloutNews> {
    let news = ride.told.iter().filter_map(|what| match what {
        RunWhat::Rollout(news) => Some(news),
        _ => None,
    });
    news.collect()
}

#[test]
fn a_wave_of_which_too_many_failed_before_it_began_does_not_begin() {
    let mut ride = Ride::new(&FOUR, Rollout::default());
    // It fails while the canary has to stay well.
    let mut react = |host: &str, phase| match (host, phase) {
        ("heron", Phase::Build) => Err(Failure::failed(Code::BuildFailed, "no")),
        _ => well(host, phase),
    };
    ride.finish(&mut react, &mut passes);
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
    for host in ["samsung", "p510"] {
        assert_eq!(ride.outcome(host), Outcome::Skipped);
        assert_eq!(ride.began(host, Phase::Fetch), None);
    }
    let began = |news: &&&RolloutNews| {
        matches!(news, RolloutNews::Wave { wave: 2, state: WaveState::Began, .. })
    };
    assert_eq!(news(&ride).iter().filter(began).count(), 0);
}

#[test]
fn nobody_is_told_that_no_other_host_begins_where_none_is_left() {
    let mut ride = Ride::new(&["razer", "samsung"], Rollout::default());
    let mut react = |host: &str, phase| {
        if host == "samsung" { rolls_back(phase) } else { well(host, phase) }
    };
    ride.finish(&mut react, &mut passes);
    assert_eq!(ride.outcome("samsung"), Outcome::RolledBack);
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
    let halted = |news: &&&RolloutNews| matches!(news, RolloutNews::Halted { .. });
    assert_eq!(news(&ride).iter().filter(halted).count(), 0);
}

#[test]
fn a_canary_that_is_still_degraded_keeps_the_others_from_beginning() {
    let still = |unwell: Option<Reason>| {
        let rollout = Rollout { on_failure: OnFailure::Rollback, ..Rollout::default() };
        let mut ride = Ride::new(&FOUR, rollout);
        let mut react = |host: &str, phase| match (host, phase) {
            ("razer", Phase::Preflight) => Ok(Report::Preflight(Box::new(Preflight {
                running: Some(path(NEW)),
                profile: Some(path(NEW)),
                unwell: unwell.clone(),
                ..Preflight::default()
            }))),
            _ => well(host, phase),
        };
        ride.finish(&mut react, &mut passes);
        (ride.outcome("razer"), ride.outcome("heron"))
    };
    // It had this system before the run, so there is nothing to take back, whatever is asked for.
    let units = Reason::new(Code::UnitsFailed, "fleet-migrate.service still failed");
    assert_eq!(still(Some(units)), (Outcome::Degraded, Outcome::Skipped));
    assert_eq!(still(None), (Outcome::Unchanged, Outcome::Switched));
}

#[test]
fn max_failed_is_judged_on_the_wave_as_it_began() {
    let names: Vec<String> = (0..10).map(|number| format!("h{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rollout = Rollout {
        canary: 0,
        canary_is_written: true,
        max_failed: Quota::Percent(20),
        ..Rollout::default()
    };
    let mut ride = Ride::new(&names, rollout);
    ride.machine.setup.parallel = 1;
    // The first two fail: of eight that are left, that would be more than a fifth.
    let mut react = |host: &str, phase| {
        if ["h0", "h1"].contains(&host) { rolls_back(phase) } else { well(host, phase) }
    };
    ride.finish(&mut react, &mut passes);
    assert_eq!(ride.outcome("h9"), Outcome::Switched);
    let mut third = Ride::new(&names, ride.machine.setup.rollout.clone());
    third.machine.setup.parallel = 1;
    let mut react = |host: &str, phase| {
        if ["h0", "h1", "h2"].contains(&host) { rolls_back(phase) } else { well(host, phase) }
    };
    third.finish(&mut react, &mut passes);
    assert_eq!(third.outcome("h3"), Outcome::Skipped);
    assert!(
        third.error("h3").contains("more than max_failed = 20% allows"),
        "{}",
        third.error("h3")
    );
}

#[test]
fn what_was_confirmed_before_skips_canary_and_soak() {
    let mut ride = Ride::new(&FOUR, Rollout::default());
    let mut react = |_: &str, phase| match phase {
        Phase::Preflight => Ok(Report::Preflight(Box::new(Preflight {
            running: Some(path(OLD)),
            profile: Some(path(OLD)),
            confirmed: vec![path(OLD), path(NEW)],
            ..Preflight::default()
        }))),
        phase => well("", phase),
    };
    ride.finish(&mut react, &mut passes);
    assert_eq!(ride.now, Timestamp::UNIX_EPOCH);
    assert!(ride.machine.outcomes().iter().all(|(_, outcome)| *outcome == Outcome::Switched));
    assert!(ride.began("heron", Phase::Acknowledge).is_some(), "contact is proven all the same");
}

#[test]
fn an_order_lets_a_host_wait_and_says_why() {
    let order = vec![OrderRule {
        who: HostOrTag::Host("razer".to_owned()),
        after: HostOrTag::Host("samsung".to_owned()),
        reason: "samsung has the database".to_owned(),
    }];
    let mut ride = Ride::new(&["razer", "samsung"], Rollout { order, ..Rollout::default() });
    ride.finish(&mut well, &mut passes);
    let begins = ride.began("razer", Phase::Fetch).unwrap();
    assert!(begins > ride.began("samsung", Phase::Persist).unwrap());
    let said = ride.told.iter().find_map(|what| match what {
        RunWhat::Waiting { host, reason: Some(reason), .. } if host == "razer" => Some(reason),
        _ => None,
    });
    assert_eq!(said.unwrap(), "samsung to be done: samsung has the database");
}

#[test]
fn a_host_that_goes_after_one_that_is_away_is_asked_about_and_never_deployed_unasked() {
    let after = |who: &str, after: &str| OrderRule {
        who: HostOrTag::Host(who.to_owned()),
        after: HostOrTag::Host(after.to_owned()),
        reason: "db first".to_owned(),
    };
    let order = vec![after("razer", "samsung"), after("p510", "razer")];
    let rollout = Rollout { order, canary: 0, canary_is_written: true, ..Rollout::default() };
    let names = ["razer", "samsung", "p510", "heron"];
    let mut react = |host: &str, phase| match (host, phase) {
        ("samsung", Phase::Preflight) => Err(Failure {
            outcome: Outcome::Offline,
            reason: Reason::new(Code::HostUnreachable, "samsung: no route to host"),
        }),
        _ => well(host, phase),
    };
    let mut ride = Ride::new(&names, rollout.clone());
    ride.finish(&mut react, &mut passes);
    for host in ["razer", "p510"] {
        assert_eq!(ride.outcome(host), Outcome::Failed, "{host}");
        assert_eq!(ride.began(host, Phase::Fetch), None);
    }
    let error = ride.error("razer");
    assert!(error.starts_with("razer is to go after samsung (db first), which is not"), "{error}");
    assert_eq!(ride.outcome("heron"), Outcome::Switched, "the others go on");
    // Whoever is asked sees it, and may say yes.
    let mut asked = Ride::of(machine(&names, Goal::Switch, true), rollout);
    asked.go(&mut react, &mut passes);
    let notes = asked.told.iter().find_map(|what| match what {
        RunWhat::Plan { plan, .. } => Some(plan.hosts[0].told()),
        _ => None,
    });
    assert!(notes.unwrap()[0].ends_with("[order-not-held]"));
    asked.inputs.push_back(Input::Answer(true));
    asked.finish(&mut react, &mut passes);
    assert_eq!(asked.outcome("razer"), Outcome::Switched);
}

fn gate(name: &str) -> Gate {
    Gate {
        name: name.to_owned(),
        asks: GateQuestion::Url("http://x".to_owned()),
        delay: Duration::ZERO,
        interval: Duration::from_secs(10),
        successes_in_a_row: 1,
        failures: 0,
        limit: Duration::from_secs(5),
    }
}

pub(super) fn gated(on_failure: OnFailure) -> Rollout {
    let (gates, soak) = (vec![gate("site")], Duration::ZERO);
    Rollout { soak, gates, on_failure, ..Rollout::default() }
}

#[test]
fn a_gate_that_could_not_be_asked_pauses_and_asks_and_never_passes() {
    let mut ride = Ride::new(&FOUR, gated(OnFailure::Halt));
    let mut away = |_: &str| GateAnswer::NotMade("no route".to_owned());
    ride.until_asked(&mut well, &mut away);
    assert!(!ride.machine.is_finished());
    assert_eq!(ride.began("samsung", Phase::Fetch), None);
    let until = ride.now.checked_add(Duration::from_secs(900)).ok();
    let expected = Wait::Decision { wave: 1, why: "site: no route".to_owned(), until };
    assert_eq!(ride.machine.hosts[1].waits_for, Some(expected));
    // Whoever goes on with the run hears of it once more.
    let standing = ride.machine.standing();
    let question = RolloutNews::Wave {
        wave: 1,
        of: 2,
        state: WaveState::Asks,
        reason: Some("site: no route".to_owned()),
        until,
    };
    assert_eq!(standing, [RunWhat::Rollout(question)]);
    let waits = ride.machine.waits();
    assert_eq!(waits.iter().filter(|(_, wait)| wait.is_some()).count(), 3, "{waits:?}");
    // Asked again, it still cannot be made.
    ride.say(RunOrder::Resume);
    ride.until_asked(&mut well, &mut away);
    assert!(!ride.machine.is_finished());
    ride.say(RunOrder::Accept);
    ride.finish(&mut well, &mut passes);
    assert!(ride.machine.is_finished());
    assert_eq!(ride.outcome("heron"), Outcome::Switched);
    let asked = ride.told.iter().any(|what| {
        matches!(what, RunWhat::Rollout(RolloutNews::Wave { state: WaveState::Asks, .. }))
    });
    assert!(asked);
}

#[test]
fn a_check_that_again_cannot_be_made_asks_once_more_in_the_same_words() {
    let mut ride = Ride::new(&FOUR, gated(OnFailure::Halt));
    let mut away = |_: &str| GateAnswer::NotMade("no route".to_owned());
    let asked = |ride: &Ride| {
        let asks =
            |news: &&&RolloutNews| matches!(news, RolloutNews::Wave { state: WaveState::Asks, .. });
        news(ride).iter().filter(asks).count()
    };
    ride.until_asked(&mut well, &mut away);
    assert_eq!(asked(&ride), 1);
    ride.say(RunOrder::Resume);
    ride.go(&mut well, &mut away);
    assert_eq!(asked(&ride), 2);
    // A run that is paused and resumed meanwhile asks what nobody has decided.
    let mut ride = Ride::new(&FOUR, Rollout { max_failed: Quota::Count(1), ..Rollout::default() });
    let mut fails = |host: &str, phase| match (host, phase) {
        ("razer", Phase::Build) => Err(Failure::failed(Code::BuildFailed, "no")),
        _ => well(host, phase),
    };
    ride.until_asked(&mut fails, &mut passes);
    assert_eq!(asked(&ride), 1, "no host of the first wave got its system");
    ride.say(RunOrder::Pause);
    ride.say(RunOrder::Resume);
    ride.go(&mut fails, &mut passes);
    assert_eq!(asked(&ride), 2);
}

#[test]
fn a_run_that_is_stopped_while_a_gate_is_open_says_that_it_has_not_passed() {
    let mut ride = Ride::new(&["razer"], gated(OnFailure::Halt));
    let mut away = |_: &str| GateAnswer::NotMade("no route".to_owned());
    ride.until_asked(&mut well, &mut away);
    ride.inputs.push_back(Input::Cancel);
    ride.finish(&mut well, &mut away);
    assert!(ride.machine.is_finished());
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
    let errors = ride.machine.errors();
    let of_run: Vec<&str> = errors.iter().map(|found| found.cause.as_str()).collect();
    assert_eq!(errors[0].code, Code::RunStopped);
    let expected = "the operator stopped the run while wave 1 was watched: its gates have not passed \
                    (site: no route)";
    assert_eq!(of_run, [expected]);
}

#[test]
fn a_gate_that_fails_takes_the_run_back_where_that_is_wanted() {
    let mut ride = Ride::new(&FOUR, gated(OnFailure::Rollback));
    let mut fails = |_: &str| GateAnswer::Failed("status 503".to_owned());
    let mut react = |host: &str, phase| match phase {
        // By then it runs the new system.
        Phase::Preflight if host == "razer" => Ok(Report::Preflight(Box::new(Preflight {
            running: Some(path(if phase == Phase::Preflight { OLD } else { NEW })),
            profile: Some(path(OLD)),
            ..Preflight::default()
        }))),
        phase => well(host, phase),
    };
    ride.finish(&mut react, &mut fails);
    assert_eq!(ride.outcome("razer"), Outcome::RolledBack);
    assert_eq!(ride.outcome("samsung"), Outcome::Skipped);
    let error = ride.error("razer");
    assert!(error.contains("gate site failed after wave 1: status 503"), "{error}");
}

#[test]
fn a_host_goes_back_by_a_deploy_of_its_own_and_its_first_error_stays_first() {
    let mut ride = Ride::new(&["razer", "samsung"], Rollout::default());
    // Samsung waits in its fetch until razer is done and the run is rolled back.
    let mut hold = |host: &str, phase| {
        if (host, phase) == ("razer", Phase::Preflight) {
            return Ok(Report::Preflight(Box::new(Preflight {
                running: Some(path(OLD)),
                profile: Some(path(OLD)),
                ..Preflight::default()
            })));
        }
        well(host, phase)
    };
    ride.machine.setup.parallel = 1;
    while ride.machine.outcomes().is_empty() {
        let Some(input) = ride.inputs.pop_front() else { break };
        ride.inputs.push_front(input);
        step_once(&mut ride, &mut hold);
    }
    ride.say(RunOrder::Rollback { scope: RollbackScope::Run });
    let mut back = |host: &str, phase| match phase {
        Phase::Preflight => Ok(Report::Preflight(Box::new(Preflight {
            running: Some(path(NEW)),
            profile: Some(path(NEW)),
            ..Preflight::default()
        }))),
        Phase::Activate if host == "razer" => rolls_back(phase),
        phase => well(host, phase),
    };
    ride.finish(&mut back, &mut passes);
    let phases: Vec<Phase> =
        ride.began.iter().filter(|(name, _)| name == "razer").map(|(_, phase)| *phase).collect();
    let again = phases.iter().rposition(|phase| *phase == Phase::Preflight).unwrap();
    let expected = [Phase::Preflight, Phase::Compare, Phase::Diff, Phase::Activate];
    assert_eq!(phases[again..], expected);
    assert_eq!(ride.outcome("razer"), Outcome::Degraded, "it still has the new system");
    let error = ride.error("razer");
    let (first, second) = (error.find("rolled it back"), error.find("exited with 1"));
    assert!(first.is_some() && first < second, "{error}");
    assert!(error.contains("and keeps the system that this run brought"), "{error}");
}

#[test]
fn the_wave_before_the_one_that_goes_back_stays() {
    let one = || WaveRule::Some(Quota::Count(1));
    let waves = vec![one(), one(), WaveRule::Rest];
    let mut ride = Ride::new(&FOUR, Rollout { waves, ..gated(OnFailure::Halt) });
    let mut asked = 0;
    let mut gate = |_: &str| {
        asked += 1;
        if asked == 1 { GateAnswer::Passed } else { GateAnswer::NotMade("no route".to_owned()) }
    };
    ride.go(&mut well, &mut gate);
    assert_eq!(
        (ride.outcome("razer"), ride.outcome("samsung")),
        (Outcome::Switched, Outcome::Switched)
    );
    ride.say(RunOrder::Rollback { scope: RollbackScope::Wave });
    ride.finish(&mut well, &mut gate);
    assert!(ride.machine.is_finished());
    assert_eq!(ride.outcome("samsung"), Outcome::RolledBack);
    assert_eq!(ride.outcome("razer"), Outcome::Switched, "its wave was not meant");
    assert_eq!(ride.outcome("heron"), Outcome::Skipped);
}

#[test]
fn a_wave_that_is_under_way_is_the_one_that_goes_back() {
    let rollout =
        Rollout { canary: 1, canary_is_written: true, soak: Duration::ZERO, ..Rollout::default() };
    let mut ride = Ride::new(&["razer", "samsung", "p510"], rollout);
    // Of the second wave nobody is done: samsung is checked, and p510 is made permanent.
    let held = [("samsung", Phase::Check), ("p510", Phase::Persist)];
    let mut aside = Vec::new();
    while let Some(input) = ride.inputs.pop_front() {
        match &input {
            Input::Done { host, phase, .. } if held.contains(&(host.as_str(), *phase)) => {
                aside.push(input);
            }
            _ => {
                ride.inputs.push_front(input);
                step_once(&mut ride, &mut well);
            }
        }
    }
    assert_eq!((aside.len(), ride.outcome("razer")), (2, Outcome::Switched));
    ride.say(RunOrder::Rollback { scope: RollbackScope::Wave });
    step_once(&mut ride, &mut well);
    let is_told = |index: usize| ride.machine.hosts[index].known.abort.is_some();
    assert_eq!([is_told(1), is_told(2)], [true, false], "what is made permanent is not stopped");
    ride.inputs.extend(aside);
    let mut back = |host: &str, phase| match (host, phase) {
        ("samsung", Phase::Persist) => {
            Ok(Report::Persisted(Ending { outcome: Outcome::RolledBack, reason: None }))
        }
        _ => well(host, phase),
    };
    ride.finish(&mut back, &mut passes);
    assert!(ride.machine.is_finished());
    assert_eq!(ride.outcome("samsung"), Outcome::RolledBack);
    assert_eq!(ride.outcome("p510"), Outcome::RolledBack, "it goes back when it is done");
    assert_eq!(ride.outcome("razer"), Outcome::Switched, "its wave was not meant");
}

/// Takes one input.
pub(super) fn step_once(
    ride: &mut Ride,
    react: &mut dyn FnMut(&str, Phase) -> Result<Report, Failure>,
) {
    let rest = ride.inputs.split_off(1.min(ride.inputs.len()));
    let before = std::mem::take(&mut ride.inputs);
    for input in before {
        for command in ride.machine.step(input, ride.now) {
            match command {
                MachineCommand::Run { host, phase, .. } => {
                    ride.began.push((host.name.clone(), phase));
                    let result = react(&host.name, phase);
                    ride.inputs.push_back(Input::Done { host: host.name, phase, result });
                }
                MachineCommand::Tell(what) => ride.told.push(what),
                MachineCommand::Claim { host, claim, .. } => {
                    ride.claims.push((true, host.clone()));
                    let answer = ClaimAnswer::Held;
                    ride.inputs.push_back(Input::Claimed { host, claim, answer });
                }
                MachineCommand::Release { host } => ride.claims.push((false, host)),
                _ => {}
            }
        }
    }
    let new = std::mem::replace(&mut ride.inputs, rest);
    ride.inputs.extend(new);
}

#[test]
fn a_paused_run_begins_nothing_and_says_so() {
    let mut ride = Ride::new(&["razer"], Rollout::default());
    ride.say(RunOrder::Pause);
    ride.finish(&mut well, &mut passes);
    assert_eq!(phases(&ride, "razer"), [Phase::Preflight], "what runs goes on");
    assert_eq!(ride.machine.hosts[0].waits_for, Some(Wait::Paused));
    ride.say(RunOrder::Resume);
    ride.finish(&mut well, &mut passes);
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
}

#[test]
fn a_plan_names_the_revision_of_every_host_that_gets_another_one() {
    let planned = |own_flake: [bool; 2], revisions: [Option<&str>; 2]| {
        let mut setup = machine(&["razer", "samsung"], Goal::Switch, false).setup;
        for (host, is_own) in setup.hosts.iter_mut().zip(own_flake) {
            host.flake = is_own.then(|| "/home/me/laptop".to_owned());
        }
        let machine = Machine::new(setup, Some("0123abcd".to_owned()), Timestamp::UNIX_EPOCH);
        let mut react = |name: &str, phase| {
            let report = good(phase, Goal::Switch);
            let Report::Preflight(found) = report else { return Ok(report) };
            let revision = revisions[usize::from(name == "samsung")];
            let source = revision.and_then(crate::fleet::DeployedFrom::parse);
            Ok(Report::Preflight(Box::new(Preflight { source, ..*found })))
        };
        let mut ride = Ride::of(machine, Rollout::default());
        ride.finish(&mut react, &mut passes);
        let mut told = ride.told.iter();
        let plan = told.find_map(|what| match what {
            RunWhat::Plan { plan, .. } => Some(plan),
            _ => None,
        });
        let plan = plan.unwrap();
        let others = plan.hosts.iter().map(|host| plan.other_revision(host).map(str::to_owned));
        (plan.revision.clone(), others.collect::<Vec<_>>())
    };
    let fleet = "0123abcd0123abcd";
    let own = "4567cdef4567cdef";
    let (revision, others) = planned([false, true], [Some(fleet), Some(own)]);
    assert_eq!((revision.as_deref(), others), (Some("0123abcd"), vec![None, Some(own.to_owned())]));
    let (revision, others) = planned([true, true], [Some(own), Some(own)]);
    assert_eq!((revision.as_deref(), others), (Some("4567cdef4"), vec![None, None]));
    // Nobody knows what samsung gets: the plan does not claim it for samsung.
    let (revision, others) = planned([false, true], [Some(fleet), None]);
    assert_eq!((revision.as_deref(), others), (None, vec![Some(fleet.to_owned()), None]));
}

#[test]
fn that_a_run_was_stopped_is_told_once() {
    let mut ride = Ride::new(&["razer"], Rollout::default());
    while ride.began("razer", Phase::Activate).is_none() {
        step_once(&mut ride, &mut well);
    }
    ride.inputs.push_front(Input::Cancel);
    ride.inputs.push_front(Input::Cancel);
    ride.finish(&mut well, &mut passes);
    let told = news(&ride);
    assert_eq!(told.iter().filter(|news| matches!(news, RolloutNews::Cancelled { .. })).count(), 1);
}

#[test]
fn the_ends_of_a_host_that_is_taken_back_say_which_attempt_they_end() {
    let rollout = Rollout { canary: 1, ..Rollout::default() };
    let mut ride = Ride::new(&["razer", "samsung"], rollout);
    while !ride.machine.outcomes().iter().any(|(name, _)| name == "razer") {
        step_once(&mut ride, &mut well);
    }
    ride.inputs.push_front(Input::Order(RunOrder::Rollback { scope: RollbackScope::Run }));
    ride.finish(&mut well, &mut passes);
    let results = ride.told.iter().filter_map(|what| match what {
        RunWhat::Result { host, result } if host == "razer" => {
            Some((result.attempt, result.outcome))
        }
        _ => None,
    });
    let results: Vec<_> = results.collect();
    assert_eq!(results, [(Some(1), Outcome::Switched), (Some(2), Outcome::RolledBack)]);
}

#[test]
fn a_wave_does_not_begin_while_the_run_is_paused() {
    let rollout = Rollout { canary: 1, canary_is_written: true, ..Rollout::default() };
    let mut ride = Ride::new(&["razer", "samsung"], rollout);
    // Somebody pauses the run while the first wave is at it, which goes on to its end.
    while ride.began("razer", Phase::Persist).is_none() {
        step_once(&mut ride, &mut well);
    }
    ride.inputs.push_front(Input::Order(RunOrder::Pause));
    ride.finish(&mut well, &mut passes);
    let begun = |ride: &Ride| {
        let told = ride.told.iter().filter_map(|what| match what {
            RunWhat::Rollout(RolloutNews::Wave { wave, state: WaveState::Began, .. }) => {
                Some(*wave)
            }
            _ => None,
        });
        told.collect::<Vec<_>>()
    };
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
    assert_eq!(begun(&ride), [1]);
    ride.say(RunOrder::Resume);
    ride.finish(&mut well, &mut passes);
    assert_eq!(begun(&ride), [1, 2]);
    assert_eq!(ride.outcome("samsung"), Outcome::Switched);
}

fn phases(ride: &Ride, host: &str) -> Vec<Phase> {
    ride.began.iter().filter(|(name, _)| name == host).map(|(_, phase)| *phase).collect()
}

#[test]
fn a_host_is_left_out_and_tried_again_without_building_twice() {
    let mut ride = Ride::new(&["razer", "samsung"], Rollout::default());
    let mut fails = |host: &str, phase| match (host, phase) {
        ("razer", Phase::Verify) => Err(Failure::failed(Code::InternalError, "the cache is down")),
        _ => well(host, phase),
    };
    // Samsung is held so that the run goes on.
    let mut held = false;
    while !held {
        step_once(&mut ride, &mut fails);
        held = !ride.machine.outcomes().is_empty();
    }
    assert_eq!(ride.outcome("razer"), Outcome::Failed);
    ride.say(RunOrder::Retry { host: "razer".to_owned() });
    ride.say(RunOrder::Skip { host: "heron".to_owned() });
    ride.finish(&mut well, &mut passes);
    assert_eq!(ride.outcome("razer"), Outcome::Switched);
    let built = phases(&ride, "razer").into_iter().filter(|phase| *phase == Phase::Build).count();
    let looked = phases(&ride, "razer").into_iter().filter(|phase| *phase == Phase::Preflight);
    assert_eq!((built, looked.count()), (1, 2));
    assert_eq!(ride.refusals(), ["the run has no host heron"]);
}

#[test]
fn a_budget_lets_one_host_of_a_tag_be_in_flight_and_is_given_back() {
    let mut ride = Ride::new(&["razer", "samsung", "p510"], Rollout::default());
    ride.machine.setup.budgets =
        vec![Budget { name: "etcd".to_owned(), tag: "etcd".to_owned(), in_flight: 1 }];
    for host in &mut ride.machine.hosts[..2] {
        host.setup.tags = vec!["etcd".to_owned()];
    }
    ride.finish(&mut well, &mut passes);
    let order: Vec<(bool, &str)> =
        ride.claims.iter().map(|(taken, host)| (*taken, host.as_str())).collect();
    assert_eq!(order, [(true, "razer"), (false, "razer"), (true, "samsung"), (false, "samsung")]);
}

#[test]
fn a_host_that_is_away_is_deployed_when_it_wakes_with_what_was_confirmed() {
    let mut ride = Ride::new(&["razer", "samsung"], Rollout::default());
    ride.machine.setup.options.wait_offline = true;
    let away = || {
        let reason = Reason::new(Code::HostUnreachable, "no route");
        Err(Failure { outcome: Outcome::Offline, reason })
    };
    let mut tries = 0;
    let mut react = |host: &str, phase| match (host, phase) {
        ("samsung", Phase::Preflight) if tries < 2 => {
            tries += 1;
            away()
        }
        _ => well(host, phase),
    };
    ride.finish(&mut react, &mut passes);
    assert_eq!(ride.outcome("samsung"), Outcome::Switched);
    let evaluated =
        phases(&ride, "samsung").into_iter().filter(|it| *it == Phase::Evaluate).count();
    assert_eq!(evaluated, 1, "its system is the one that this run decided");
    let decided = ride.told.iter().any(|what| {
        matches!(
            what,
            RunWhat::Rollout(RolloutNews::Decided { later_run: None, toplevel: Some(_), .. })
        )
    });
    assert!(decided);
}

#[test]
fn a_host_that_wakes_to_a_later_runs_system_is_not_said_to_be_built_from_this_runs_flake() {
    let mut ride = Ride::new(&["samsung"], Rollout::default());
    ride.machine.setup.options.wait_offline = true;
    let mut tries = 0;
    let mut react = |host: &str, phase| {
        tries += usize::from(phase == Phase::Preflight);
        match (phase, well(host, phase)) {
            (Phase::Preflight, _) if tries == 1 => {
                let reason = Reason::new(Code::HostUnreachable, "no route");
                Err(Failure { outcome: Outcome::Offline, reason })
            }
            (Phase::Preflight, Ok(Report::Preflight(mut found))) => {
                found.source = DeployedFrom::parse("3f2c1ab09d8e");
                if tries == 2 {
                    found.newest = Some(NewestSystem {
                        run: RunId("9".to_owned()),
                        drv: format!("{NEW}.drv"),
                        toplevel: StorePath::parse(NEW).unwrap(),
                        built_from: None,
                    });
                }
                Ok(Report::Preflight(found))
            }
            (_, found) => found,
        }
    };
    ride.finish(&mut react, &mut passes);
    let expected = LaterSystem { run: RunId("9".to_owned()), built_from: None };
    assert_eq!(ride.machine.hosts[0].known.later.as_ref(), Some(&expected));
    ride.machine.retry(0, &mut Vec::new());
    assert_eq!(ride.machine.hosts[0].known.later, Some(expected), "it keeps that system");
}

#[test]
fn a_canary_that_somebody_else_brought_its_system_lets_the_next_wave_begin_and_is_not_taken_back() {
    let rollout = Rollout { canary: 1, canary_is_written: true, ..Rollout::default() };
    let mut ride = Ride::new(&["razer", "samsung"], rollout);
    let mut react = |name: &str, phase: Phase| match phase {
        Phase::Activate if name == "razer" => {
            let ending = Ending { outcome: Outcome::Unchanged, reason: None };
            Ok(Report::Activated(Activation::Decided(ending)))
        }
        phase => Ok(good(phase, Goal::Switch)),
    };
    ride.finish(&mut react, &mut passes);
    assert_eq!(ride.outcome("razer"), Outcome::Unchanged);
    assert_eq!(ride.outcome("samsung"), Outcome::Switched, "{}", ride.error("samsung"));
    assert!(ride.machine.is_finished());
    let brought = |index: usize| ride.machine.hosts[index].was_brought_its_system();
    assert!(!brought(0) && brought(1));
}
