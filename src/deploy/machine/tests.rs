//! Drives the machine with made-up hosts and looks at what it does, in which order.

mod again;
mod again_degraded;
mod decisions;
mod hooks;
mod order;
mod places;
mod properties;
mod rollout;
mod sleepers;
mod specialisations;
mod stuck;
mod tried;

use super::*;
use crate::deploy::{Activation, Ending};
use crate::deploy::{FailedUnit, GivenPlace, GivenSystem, Preflight, Remarks};
use crate::deploy::{HostSetup, Report};
use crate::fleet::{
    HookMoment, RollbackScope, Rollout, Route, RunOrder, Specialisation, StorePath, Strategy,
    TakenRoute,
};
use proptest::prelude::*;
use std::time::Duration;

const OLD: &str = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-old";
const NEW: &str = "/nix/store/m0znnv1nxsr0ry7gmadkh49s1d0hycgd-new";

fn path(text: &str) -> StorePath {
    StorePath::parse(text).unwrap()
}

fn host(name: &str) -> HostSetup {
    let builder = name == "p620";
    HostSetup {
        name: name.to_owned(),
        goal: Goal::Switch,
        given: None,
        set_aside: None,
        degraded: None,
        way_back: None,
        tags: Vec::new(),
        flake: None,
        route: if builder {
            Route::Direct
        } else {
            Route::ViaCache { builder: "p620".to_owned(), tier: "p620".to_owned() }
        },
        asked: Strategy::ViaCache,
        last: builder,
        protected: false,
        confirm_timeout: Duration::from_secs(30),
        activation: crate::fleet::ActivationSettings::default(),
        first: false,
        reboot: None,
        hooks: BTreeMap::new(),
    }
}

/// Returns hooks of these moments, which may take a minute each.
fn hooks_of<const COUNT: usize>(moments: [HookMoment; COUNT]) -> BTreeMap<HookMoment, Duration> {
    moments.map(|moment| (moment, Duration::from_secs(60))).into()
}

fn machine(names: &[&str], goal: Goal, asks: bool) -> Machine {
    let setup = Setup {
        options: crate::fleet::RunOptions::default(),
        goal,
        strategy: Strategy::ViaCache,
        asks,
        parallel: 2,
        rollout: Rollout { canary: 0, canary_is_written: true, ..Rollout::default() },
        budgets: Vec::new(),
        hosts: names.iter().map(|name| HostSetup { goal, ..host(name) }).collect(),
    };
    Machine::new(setup, None, Timestamp::UNIX_EPOCH)
}

/// Returns what a phase finds when all goes well.
fn good(phase: Phase, goal: Goal) -> Report {
    match phase {
        Phase::Preflight => Report::Preflight(Box::new(Preflight {
            running: Some(path(OLD)),
            profile: Some(path(OLD)),
            ..Preflight::default()
        })),
        Phase::Evaluate => Report::Evaluated { drv: format!("{NEW}.drv"), toplevel: path(NEW) },
        Phase::Compare => Report::Compared {
            to_build: Some(3),
            to_download: Some(1),
            changes: None,
            lacks_specialisation: None,
            notes: Vec::new(),
        },
        Phase::Build => Report::Built { built: 3, substituted: BTreeMap::new() },
        Phase::Publish | Phase::Verify | Phase::Diff | Phase::Acknowledge | Phase::Settle => {
            Report::Done
        }
        Phase::Fetch => Report::Fetched {
            fetched: BTreeMap::new(),
            taken: TakenRoute { route: Route::Direct, given_up: Vec::new() },
        },
        Phase::Activate if goal == Goal::DryActivate => {
            let ending = Ending { outcome: Outcome::Dry, reason: None };
            Report::Activated(Activation::Decided(ending))
        }
        Phase::Activate => Report::Activated(Activation::Runs(Remarks::default())),
        Phase::Check => Report::Checked { new_failed_units: Vec::new(), broken: Vec::new() },
        Phase::Persist => {
            let outcome = match goal {
                Goal::Build => Outcome::Built,
                Goal::Switch | Goal::Rollback => Outcome::Switched,
                Goal::Boot => Outcome::Booted,
                Goal::Test | Goal::DryActivate => Outcome::Tested,
            };
            Report::Persisted(Ending { outcome, reason: None })
        }
        Phase::Reboot => Report::Rebooted(Ending { outcome: Outcome::Switched, reason: None }),
    }
}

/// What a driven machine did.
#[derive(Default)]
struct MachineStory {
    began: Vec<(String, Phase)>,
    aborted: Vec<String>,
    plans: usize,
    summaries: usize,
    outcomes: BTreeMap<String, Outcome>,
    errors: BTreeMap<String, String>,
    codes: BTreeMap<String, Vec<Code>>,
}

/// Drives a machine to its end; `react` says how a phase ends, `before` may speak up first.
fn drive(
    machine: &mut Machine,
    mut react: impl FnMut(&str, Phase) -> Result<Report, Failure>,
    mut before: impl FnMut(usize) -> Option<Input>,
) -> MachineStory {
    let mut story = MachineStory::default();
    let mut inputs = std::collections::VecDeque::from([Input::Begin]);
    for turn in 0..10_000 {
        if let Some(input) = before(turn) {
            inputs.push_front(input);
        }
        let Some(input) = inputs.pop_front() else { break };
        for command in machine.step(input, Timestamp::UNIX_EPOCH) {
            match command {
                MachineCommand::Run { host, phase, known } => {
                    story.began.push((host.name.clone(), phase));
                    if phase == Phase::Persist && known.abort.is_some() {
                        story.aborted.push(host.name.clone());
                    }
                    let result = react(&host.name, phase);
                    inputs.push_back(Input::Done { host: host.name, phase, result });
                }
                MachineCommand::Tell(RunWhat::Plan { waits, .. }) => {
                    story.plans += 1;
                    if waits {
                        inputs.push_back(Input::Answer(true));
                    }
                }
                MachineCommand::Tell(RunWhat::Result { host, result }) => {
                    let codes = result.findings.iter().map(|finding| finding.code).collect();
                    story.codes.insert(host.clone(), codes);
                    story.errors.extend(result.error.map(|error| (host.clone(), error)));
                    let twice = story.outcomes.insert(host, result.outcome);
                    assert_eq!(twice, None, "a host ends once");
                }
                MachineCommand::Tell(RunWhat::Summary { .. }) => story.summaries += 1,
                MachineCommand::Tell(_)
                | MachineCommand::Prepare { .. }
                | MachineCommand::Conclude { .. }
                | MachineCommand::Abort { .. }
                | MachineCommand::Stop { .. }
                | MachineCommand::Ask { .. }
                | MachineCommand::Claim { .. }
                | MachineCommand::Release { .. }
                | MachineCommand::WakeAt(_)
                | MachineCommand::Finish => {}
            }
        }
    }
    story
}

fn phases_of(story: &MachineStory, host: &str) -> Vec<Phase> {
    story.began.iter().filter(|(name, _)| name == host).map(|(_, phase)| *phase).collect()
}

#[test]
fn a_switch_goes_through_every_phase_and_asks_first() {
    let mut machine = machine(&["samsung"], Goal::Switch, true);
    let story = drive(&mut machine, |_, phase| Ok(good(phase, Goal::Switch)), |_| None);
    assert_eq!(phases_of(&story, "samsung"), Phase::ALL[..13]);
    assert_eq!((story.plans, story.summaries), (1, 1));
    assert_eq!(story.outcomes["samsung"], Outcome::Switched);
}

#[test]
fn the_builder_activates_when_everybody_else_is_done() {
    let mut machine = machine(&["p620", "razer", "samsung", "p510"], Goal::Switch, false);
    let story = drive(&mut machine, |_, phase| Ok(good(phase, Goal::Switch)), |_| None);
    let persists: Vec<&str> = story
        .began
        .iter()
        .filter(|(_, phase)| *phase == Phase::Persist)
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(persists.len(), 4);
    assert_eq!(persists[3], "p620");
    let begins = story.began.iter().position(|it| *it == ("p620".to_owned(), Phase::Activate));
    let last = story.began.iter().rposition(|(name, _)| name != "p620");
    assert!(begins > last, "p620 began to activate before the others were done");
    assert!(!phases_of(&story, "p620").contains(&Phase::Fetch), "its store is the cache");
}

#[test]
fn a_host_with_nothing_to_go_back_to_is_set_aside_and_the_others_go_back() {
    let new = GivenSystem::new(path(NEW), GivenPlace::Kept);
    let kept = GivenSystem { generation: Some(4), ..new };
    let mut machine = machine(&["razer", "samsung"], Goal::Rollback, true);
    machine.setup.hosts[1].given = Some(kept);
    machine.setup.hosts[0].set_aside = Some(Failure::failed(Code::NoGeneration, "none is older"));
    let mut machine = Machine::new(machine.setup, None, Timestamp::UNIX_EPOCH);
    let story = drive(&mut machine, |_, phase| Ok(good(phase, Goal::Rollback)), |_| None);
    assert_eq!(phases_of(&story, "razer"), [], "nothing of it is asked or evaluated");
    assert_eq!(story.outcomes["razer"], Outcome::Failed);
    assert_eq!(story.codes["razer"], [Code::NoGeneration]);
    assert_eq!(story.outcomes["samsung"], Outcome::Switched);
    assert_eq!((story.plans, story.summaries), (1, 1));
}

#[test]
fn a_laptop_that_is_asleep_does_not_fail_the_others() {
    let mut machine = machine(&["razer", "samsung"], Goal::Switch, true);
    let react = |name: &str, phase| {
        if name == "samsung" && phase == Phase::Preflight {
            return Err(Failure {
                outcome: Outcome::Offline,
                reason: Reason::new(Code::HostUnreachable, "samsung: no route to host"),
            });
        }
        Ok(good(phase, Goal::Switch))
    };
    let story = drive(&mut machine, react, |_| None);
    assert_eq!(story.outcomes["samsung"], Outcome::Offline);
    assert_eq!(story.codes["samsung"], [Code::HostUnreachable]);
    assert_eq!(story.codes["razer"], []);
    assert_eq!(story.outcomes["razer"], Outcome::Switched);
}

#[test]
fn the_same_system_is_left_alone_without_asking() {
    let mut machine = machine(&["samsung"], Goal::Switch, true);
    let react = |_: &str, phase| match phase {
        Phase::Evaluate => Ok(Report::Evaluated { drv: format!("{OLD}.drv"), toplevel: path(OLD) }),
        phase => Ok(good(phase, Goal::Switch)),
    };
    let story = drive(&mut machine, react, |_| None);
    assert_eq!(story.outcomes["samsung"], Outcome::Unchanged);
    assert_eq!(phases_of(&story, "samsung"), Phase::ALL[..3]);
}

#[test]
fn the_plan_says_what_preflight_noted_as_findings() {
    let mut machine = machine(&["samsung"], Goal::Switch, true);
    let note = Reason::new(Code::OnBattery, "on battery, 12 %");
    let mut inputs = vec![Input::Begin];
    let mut found = None;
    while let Some(input) = inputs.pop() {
        for command in machine.step(input, Timestamp::UNIX_EPOCH) {
            match command {
                MachineCommand::Run { host, phase, .. } => {
                    let report = match phase {
                        Phase::Preflight => Report::Preflight(Box::new(Preflight {
                            notes: vec![note.clone()],
                            ..Preflight::default()
                        })),
                        phase => good(phase, Goal::Switch),
                    };
                    inputs.push(Input::Done { host: host.name, phase, result: Ok(report) });
                }
                MachineCommand::Tell(RunWhat::Plan { plan, .. }) => found = Some(plan),
                MachineCommand::Tell(_)
                | MachineCommand::Prepare { .. }
                | MachineCommand::Conclude { .. }
                | MachineCommand::Abort { .. }
                | MachineCommand::Stop { .. }
                | MachineCommand::Ask { .. }
                | MachineCommand::Claim { .. }
                | MachineCommand::Release { .. }
                | MachineCommand::WakeAt(_)
                | MachineCommand::Finish => {}
            }
        }
    }
    let plan = &found.unwrap().hosts[0];
    assert_eq!(plan.findings, [note.finding("samsung")]);
    assert_eq!(plan.told(), ["on battery, 12 % [on-battery]"]);
}

#[test]
fn a_running_system_that_would_not_boot_is_not_unchanged() {
    let mut machine = machine(&["samsung"], Goal::Switch, false);
    let react = |_: &str, phase| match phase {
        Phase::Preflight => Ok(Report::Preflight(Box::new(Preflight {
            running: Some(path(NEW)),
            profile: Some(path(OLD)),
            ..Preflight::default()
        }))),
        phase => Ok(good(phase, Goal::Switch)),
    };
    let story = drive(&mut machine, react, |_| None);
    assert_eq!(story.outcomes["samsung"], Outcome::Switched);
}

#[test]
fn a_broken_check_makes_the_supervisor_go_back() {
    let mut machine = machine(&["samsung"], Goal::Switch, false);
    let react = |_: &str, phase| match phase {
        Phase::Check => {
            Ok(Report::Checked { new_failed_units: Vec::new(), broken: vec!["curl".into()] })
        }
        Phase::Persist => Ok(Report::Persisted(Ending {
            outcome: Outcome::RolledBack,
            reason: Some(Reason::new(Code::CheckFailed, "a check failed: curl")),
        })),
        phase => Ok(good(phase, Goal::Switch)),
    };
    let story = drive(&mut machine, react, |_| None);
    assert_eq!(story.aborted, ["samsung"]);
    assert_eq!(story.codes["samsung"], [Code::CheckFailed]);
    assert_eq!(story.outcomes["samsung"], Outcome::RolledBack);
}

#[test]
fn a_lost_address_lets_the_supervisor_go_back_and_names_its_code() {
    let mut machine = machine(&["samsung"], Goal::Switch, false);
    let mut input = Input::Begin;
    let mut said = None;
    while let Some(MachineCommand::Run { phase, known, .. }) = machine
        .step(input, Timestamp::UNIX_EPOCH)
        .into_iter()
        .find(|command| matches!(command, MachineCommand::Run { .. }))
    {
        said = known.abort.or(said);
        let report = match phase {
            Phase::Settle => Report::AddressesLost(vec!["10.0.0.7".to_owned()]),
            phase => good(phase, Goal::Switch),
        };
        input = Input::Done { host: "samsung".to_owned(), phase, result: Ok(report) };
    }
    let word = said.unwrap().abort_word();
    assert!(word.starts_with("abort address-lost 10.0.0.7 answered before"), "{word}");
}

#[test]
fn a_host_whose_check_failed_goes_back_from_then_on() {
    let mut machine = machine(&["samsung"], Goal::Switch, false);
    let (mut input, mut told) = (Some(Input::Begin), Vec::new());
    while let Some(next) = input.take() {
        for command in machine.step(next, Timestamp::UNIX_EPOCH) {
            match command {
                MachineCommand::Tell(RunWhat::Waiting { wait, .. }) => told.push(wait),
                MachineCommand::Run { phase, .. } => {
                    let report = match phase {
                        Phase::Check => Report::Checked {
                            new_failed_units: Vec::new(),
                            broken: vec!["curl".into()],
                        },
                        Phase::Persist => Report::Persisted(Ending {
                            outcome: Outcome::RolledBack,
                            reason: Some(Reason::new(Code::CheckFailed, "a check failed: curl")),
                        }),
                        phase => good(phase, Goal::Switch),
                    };
                    let result = Ok(report);
                    input = Some(Input::Done { host: "samsung".to_owned(), phase, result });
                }
                _ => {}
            }
        }
    }
    assert_eq!(told, [Some(Wait::WayBack)], "it is told once, and nothing takes it back");
}

#[test]
fn stopped_and_unconfirmed_runs_have_codes_of_their_own() {
    let mut stopped = machine(&["samsung"], Goal::Switch, false);
    let react = |_: &str, phase| Ok(good(phase, Goal::Switch));
    let story = drive(&mut stopped, react, |turn| (turn == 0).then_some(Input::Cancel));
    assert_eq!(story.codes["samsung"], [Code::RunStopped]);
    let mut refused = machine(&["samsung"], Goal::Switch, true);
    let story = drive(&mut refused, react, |turn| (turn == 4).then_some(Input::Answer(false)));
    assert_eq!(story.codes["samsung"], [Code::PlanNotConfirmed]);
    let mut unanswered = machine(&["samsung"], Goal::Switch, true);
    let story = drive(&mut unanswered, react, |turn| (turn == 4).then_some(Input::Unanswered));
    assert_eq!(story.codes["samsung"], [Code::PlanNotConfirmed]);
}

#[test]
fn nobody_can_answer_a_plan_that_was_not_shown_yet() {
    for early in [true, false] {
        let mut machine = machine(&["samsung"], Goal::Switch, true);
        machine.step(Input::Begin, Timestamp::UNIX_EPOCH);
        machine.step(Input::Answer(early), Timestamp::UNIX_EPOCH);
        let mut asks = false;
        for phase in [Phase::Preflight, Phase::Evaluate, Phase::Compare] {
            let result = Ok(good(phase, Goal::Switch));
            let done = Input::Done { host: "samsung".to_owned(), phase, result };
            for command in machine.step(done, Timestamp::UNIX_EPOCH) {
                asks |= matches!(command, MachineCommand::Tell(RunWhat::Plan { waits: true, .. }));
            }
        }
        assert!(asks, "the plan is shown and waits, though somebody said {early} before");
        assert!(machine.outcomes().is_empty());
    }
}

#[test]
fn a_unit_that_failed_since_makes_the_host_degraded() {
    let mut machine = machine(&["samsung"], Goal::Switch, false);
    let react = |_: &str, phase| match phase {
        Phase::Check => {
            let said = "no table".to_owned();
            let new_failed_units = vec![FailedUnit { name: "demo.service".to_owned(), said }];
            Ok(Report::Checked { new_failed_units, broken: Vec::new() })
        }
        phase => Ok(good(phase, Goal::Switch)),
    };
    let story = drive(&mut machine, react, |_| None);
    assert_eq!(story.outcomes["samsung"], Outcome::Degraded);
    assert!(story.errors["samsung"].contains("demo.service"));
    assert_eq!(story.codes["samsung"], [Code::UnitsFailed]);
}

#[test]
fn boot_persists_without_activating_and_dry_activate_persists_nothing() {
    let mut boots = machine(&["samsung"], Goal::Boot, false);
    let story = drive(&mut boots, |_, phase| Ok(good(phase, Goal::Boot)), |_| None);
    assert_eq!(story.outcomes["samsung"], Outcome::Booted);
    assert!(!phases_of(&story, "samsung").contains(&Phase::Activate));
    let mut dry = machine(&["samsung"], Goal::DryActivate, false);
    let story = drive(&mut dry, |_, phase| Ok(good(phase, Goal::DryActivate)), |_| None);
    assert_eq!(story.outcomes["samsung"], Outcome::Dry);
    assert!(!phases_of(&story, "samsung").contains(&Phase::Persist));
}

#[test]
fn a_plan_that_is_not_confirmed_changes_nothing() {
    let mut machine = machine(&["razer", "samsung"], Goal::Switch, true);
    let mut story = Vec::new();
    let mut inputs = vec![Input::Begin];
    while let Some(input) = inputs.pop() {
        for command in machine.step(input, Timestamp::UNIX_EPOCH) {
            match command {
                MachineCommand::Run { host, phase, .. } => {
                    story.push(phase);
                    let result = Ok(good(phase, Goal::Switch));
                    inputs.push(Input::Done { host: host.name, phase, result });
                }
                MachineCommand::Tell(RunWhat::Plan { .. }) => {
                    inputs.insert(0, Input::Answer(false));
                }
                MachineCommand::Tell(_)
                | MachineCommand::Prepare { .. }
                | MachineCommand::Conclude { .. }
                | MachineCommand::Abort { .. }
                | MachineCommand::Stop { .. }
                | MachineCommand::Ask { .. }
                | MachineCommand::Claim { .. }
                | MachineCommand::Release { .. }
                | MachineCommand::WakeAt(_)
                | MachineCommand::Finish => {}
            }
        }
    }
    assert!(story.iter().all(|phase| *phase <= Phase::Compare));
    assert!(machine.outcomes().iter().all(|(_, outcome)| *outcome == Outcome::Skipped));
}

proptest! {
    #[test]
    fn every_host_ends_whatever_happens(
        failures in prop::collection::vec((0_usize..4, 0_usize..13), 0..5),
        cancel in prop::option::of(0_usize..60),
        parallel in 1_usize..4,
        goal in prop::sample::select(vec![
            Goal::Switch, Goal::Boot, Goal::Test, Goal::DryActivate,
        ]),
    ) {
        let names = ["p620", "razer", "samsung", "p510"];
        let mut machine = machine(&names, goal, false);
        machine.setup.parallel = parallel;
        let fails = |name: &str, phase: Phase| {
            failures.iter().any(|(host, at)| names[*host] == name && Phase::ALL[*at] == phase)
        };
        let react = |name: &str, phase| {
            if fails(name, phase) {
                return Err(Failure::failed(Code::InternalError, "made to fail"));
            }
            Ok(good(phase, goal))
        };
        let story = drive(&mut machine, react, |turn| {
            (Some(turn) == cancel).then_some(Input::Cancel)
        });
        prop_assert_eq!(story.outcomes.len(), 4);
        prop_assert_eq!(story.summaries, 1);
        prop_assert!(machine.is_finished());
        for name in names {
            let phases = phases_of(&story, name);
            prop_assert!(phases.is_sorted(), "phases never go backwards");
            if let Some(failed) = phases.iter().position(|phase| fails(name, *phase)) {
                // A check that is stopped with the run is followed by what the host decided.
                let is_stopped_check = cancel.is_some() && phases[failed] == Phase::Check;
                let follows = &phases[failed + 1..];
                prop_assert!(
                    follows.is_empty() || is_stopped_check && *follows == [Phase::Persist],
                    "nothing follows a failed phase"
                );
            }
        }
    }
}

#[test]
fn a_build_ends_as_built() {
    let mut machine = machine(&["samsung"], Goal::Switch, false);
    machine.setup.goal = Goal::Build;
    machine.hosts[0].setup.goal = Goal::Build;
    machine.hosts[0].stage = Stage::Running(Phase::Build);
    let result = Ok(good(Phase::Build, Goal::Switch));
    let done = Input::Done { host: "samsung".to_owned(), phase: Phase::Build, result };
    machine.step(done, Timestamp::UNIX_EPOCH);
    assert_eq!(machine.outcomes(), [("samsung".to_owned(), Outcome::Built)]);
}

#[test]
fn a_build_begins_with_the_choice_of_who_builds_where_that_is_asked_for() {
    for (asked, first) in [(Strategy::Auto, Phase::Preflight), (Strategy::Push, Phase::Evaluate)] {
        let mut setup = machine(&["samsung"], Goal::Build, false).setup;
        setup.hosts[0].asked = asked;
        let mut machine = Machine::new(setup, None, Timestamp::UNIX_EPOCH);
        let begun = machine.step(Input::Begin, Timestamp::UNIX_EPOCH).into_iter();
        let phases: Vec<Phase> = begun
            .filter_map(|command| match command {
                MachineCommand::Run { phase, .. } => Some(phase),
                _ => None,
            })
            .collect();
        assert_eq!(phases, [first], "{asked}");
    }
}

#[test]
fn the_time_that_the_plan_waits_for_an_answer_is_nobodys() {
    let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
    let mut machine = machine(&["samsung"], Goal::Switch, true);
    machine.step(Input::Begin, at(0));
    for phase in [Phase::Preflight, Phase::Evaluate, Phase::Compare] {
        let result = Ok(good(phase, Goal::Switch));
        machine.step(Input::Done { host: "samsung".to_owned(), phase, result }, at(3));
    }
    // Somebody goes for lunch.
    machine.step(Input::Answer(true), at(3603));
    let failure = Failure::failed(Code::BuildFailed, "it failed");
    let phase = Phase::Build;
    let done = Input::Done { host: "samsung".to_owned(), phase, result: Err(failure) };
    let told: Vec<u64> = machine
        .step(done, at(3620))
        .into_iter()
        .filter_map(|command| match command {
            MachineCommand::Tell(RunWhat::Result { result, .. }) => Some(result.duration_ms),
            MachineCommand::Tell(RunWhat::Summary { duration_ms, .. }) => Some(duration_ms),
            _ => None,
        })
        .collect();
    assert_eq!(told, [20_000, 20_000]);
}

/// A machine of samsung alone, with another setup.
fn samsung_with(goal: Goal, change: impl Fn(&mut HostSetup)) -> Machine {
    let mut setup = machine(&["samsung"], goal, false).setup;
    change(&mut setup.hosts[0]);
    Machine::new(setup, None, Timestamp::UNIX_EPOCH)
}

#[expect(clippy::unnecessary_wraps, reason = "as a setup holds it")]
fn given(place: GivenPlace) -> Option<GivenSystem> {
    Some(GivenSystem::new(path(NEW), place))
}

#[test]
fn a_rollback_goes_through_everything_that_watches_and_nothing_that_builds() {
    use Phase::{Acknowledge, Activate, Check, Compare, Diff, Persist, Preflight, Settle};
    let mut machine = samsung_with(Goal::Rollback, |setup| setup.given = given(GivenPlace::Kept));
    let story = drive(&mut machine, |_, phase| Ok(good(phase, Goal::Rollback)), |_| None);
    assert_eq!(
        phases_of(&story, "samsung"),
        [Preflight, Compare, Diff, Activate, Acknowledge, Check, Settle, Persist]
    );
    assert_eq!(story.outcomes["samsung"], Outcome::Switched);
}

#[test]
fn the_plan_of_a_system_that_is_there_already_names_no_revision_of_the_flake() {
    let planned = |given: Option<GivenSystem>| {
        let mut setup = samsung_with(Goal::Switch, |_| {}).setup;
        setup.hosts[0].given = given;
        let mut machine = Machine::new(setup, Some("0123abcd".to_owned()), Timestamp::UNIX_EPOCH);
        drive(&mut machine, |_, phase| Ok(good(phase, Goal::Switch)), |_| None);
        machine.plan().revision
    };
    assert_eq!(planned(None).as_deref(), Some("0123abcd"));
    assert_eq!(planned(given(GivenPlace::Host)), None);
}

#[test]
fn a_given_system_is_neither_evaluated_nor_built_and_travels_as_its_place_says() {
    for (place, expected) in [
        (GivenPlace::Host, vec![Phase::Fetch]),
        (GivenPlace::Builder, vec![Phase::Publish, Phase::Verify, Phase::Fetch]),
        (GivenPlace::Tier("weed".to_owned()), vec![Phase::Publish, Phase::Verify, Phase::Fetch]),
        (
            GivenPlace::Derivation(format!("{NEW}.drv")),
            vec![Phase::Build, Phase::Publish, Phase::Verify, Phase::Fetch],
        ),
    ] {
        let mut machine = samsung_with(Goal::Switch, |setup| setup.given = given(place.clone()));
        let story = drive(&mut machine, |_, phase| Ok(good(phase, Goal::Switch)), |_| None);
        let phases = phases_of(&story, "samsung");
        let between: Vec<Phase> = phases
            .iter()
            .copied()
            .filter(|phase| *phase > Phase::Compare && *phase < Phase::Diff)
            .collect();
        assert_eq!(between, expected, "{place:?}");
        assert!(!phases.contains(&Phase::Evaluate), "{place:?}");
    }
}

#[test]
fn a_host_is_restarted_only_when_its_new_system_is_permanent() {
    let reboot = Some(Duration::from_secs(60));
    for goal in [Goal::Switch, Goal::Boot, Goal::Rollback] {
        let mut machine = samsung_with(goal, |setup| setup.reboot = reboot);
        let story = drive(&mut machine, |_, phase| Ok(good(phase, goal)), |_| None);
        assert_eq!(phases_of(&story, "samsung").last(), Some(&Phase::Reboot), "{goal}");
        assert_eq!(story.outcomes["samsung"], Outcome::Switched);
    }
    let mut machine = samsung_with(Goal::Switch, |setup| setup.reboot = reboot);
    let back = Ending { outcome: Outcome::RolledBack, reason: None };
    let story = drive(
        &mut machine,
        |_, phase| match phase {
            Phase::Persist => Ok(Report::Persisted(back.clone())),
            _ => Ok(good(phase, Goal::Switch)),
        },
        |_| None,
    );
    assert!(!phases_of(&story, "samsung").contains(&Phase::Reboot));
    assert_eq!(story.outcomes["samsung"], Outcome::RolledBack);
    // What only a restart brings to life is brought to life.
    let mut machine = samsung_with(Goal::Switch, |setup| setup.reboot = reboot);
    let needs = Ending { outcome: Outcome::NeedsReboot, reason: None };
    let story = drive(
        &mut machine,
        |_, phase| match phase {
            Phase::Activate => Ok(Report::Activated(Activation::Decided(needs.clone()))),
            _ => Ok(good(phase, Goal::Switch)),
        },
        |_| None,
    );
    assert_eq!(phases_of(&story, "samsung").last(), Some(&Phase::Reboot));
}

#[test]
fn a_host_whose_run_is_stopped_while_it_gets_its_system_is_not_restarted() {
    for (stopped_in, outcome) in
        [(Phase::Persist, Outcome::Switched), (Phase::Activate, Outcome::NeedsReboot)]
    {
        let mut machine =
            samsung_with(Goal::Switch, |setup| setup.reboot = Some(Duration::from_secs(60)));
        let (mut input, mut phases) = (Some(Input::Begin), Vec::new());
        while let Some(next) = input.take() {
            for command in machine.step(next, Timestamp::UNIX_EPOCH) {
                let MachineCommand::Run { phase, .. } = command else { continue };
                phases.push(phase);
                let report = match phase {
                    Phase::Activate if outcome == Outcome::NeedsReboot => {
                        let ending = Ending { outcome, reason: None };
                        Report::Activated(Activation::Decided(ending))
                    }
                    phase => good(phase, Goal::Switch),
                };
                let result = Ok(report);
                input = Some(Input::Done { host: "samsung".to_owned(), phase, result });
            }
            if phases.last() == Some(&stopped_in) && !machine.cancelled {
                machine.step(Input::Cancel, Timestamp::UNIX_EPOCH);
            }
        }
        assert_eq!(phases.last(), Some(&stopped_in), "no restart follows");
        assert_eq!(machine.outcomes(), [("samsung".to_owned(), outcome)]);
    }
}

#[test]
fn a_host_that_is_to_go_back_is_not_restarted_before() {
    let mut machine =
        samsung_with(Goal::Switch, |setup| setup.reboot = Some(Duration::from_secs(60)));
    let (mut input, mut phases) = (Some(Input::Begin), Vec::new());
    let mut told = false;
    while let Some(next) = input.take() {
        for command in machine.step(next, Timestamp::UNIX_EPOCH) {
            let MachineCommand::Run { phase, .. } = command else { continue };
            phases.push(phase);
            let result = Ok(good(phase, Goal::Switch));
            input = Some(Input::Done { host: "samsung".to_owned(), phase, result });
        }
        if phases.last() == Some(&Phase::Persist) && !told {
            told = true;
            let scope = RollbackScope::Run;
            machine.step(Input::Order(RunOrder::Rollback { scope }), Timestamp::UNIX_EPOCH);
        }
    }
    let behind = phases.iter().skip_while(|phase| **phase != Phase::Persist).nth(1);
    assert_eq!(behind, Some(&Phase::Preflight), "{phases:?}");
}

/// What preflight finds on a host that waits for its restart into the new system.
fn waiting_for_restart(running: &str) -> Report {
    Report::Preflight(Box::new(Preflight {
        running: Some(path(running)),
        booted: Some(path(OLD)),
        profile: Some(path(NEW)),
        ..Preflight::default()
    }))
}

#[test]
fn a_host_that_waits_for_its_restart_is_restarted_where_that_is_asked_for() {
    for (goal, running) in [(Goal::Boot, OLD), (Goal::Switch, NEW)] {
        for reboot in [Some(Duration::from_secs(60)), None] {
            let mut machine = samsung_with(goal, |setup| setup.reboot = reboot);
            let react = |_: &str, phase| match phase {
                Phase::Preflight => Ok(waiting_for_restart(running)),
                phase => Ok(good(phase, goal)),
            };
            let story = drive(&mut machine, react, |_| None);
            let (last, outcome) = match reboot {
                Some(_) => (&[Phase::Compare, Phase::Reboot][..], Outcome::Switched),
                None => (&[Phase::Compare][..], Outcome::Unchanged),
            };
            assert!(phases_of(&story, "samsung").ends_with(last), "{goal} {:?}", story.began);
            assert_eq!(story.outcomes["samsung"], outcome, "{goal}");
        }
    }
}

#[test]
fn a_host_that_is_only_restarted_is_not_well_where_a_restart_does_not_show_what_was_wrong() {
    for (code, magic_rollback, outcome) in [
        (Code::UnitsFailed, true, Outcome::Switched),
        (Code::UnitsFailed, false, Outcome::Switched),
        (Code::CheckFailed, true, Outcome::Switched),
        (Code::CheckFailed, false, Outcome::Degraded),
        (Code::UserUnitsFailed, true, Outcome::Degraded),
        (Code::AddressLost, true, Outcome::Degraded),
    ] {
        let mut machine = samsung_with(Goal::Switch, |setup| {
            setup.reboot = Some(Duration::from_secs(60));
            setup.activation.magic_rollback = Some(magic_rollback);
        });
        let react = |_: &str, phase| match phase {
            Phase::Preflight => {
                let Report::Preflight(mut found) = waiting_for_restart(NEW) else { unreachable!() };
                found.unwell = Some(Reason::new(code, "it was not well"));
                Ok(Report::Preflight(found))
            }
            phase => Ok(good(phase, Goal::Switch)),
        };
        let story = drive(&mut machine, react, |_| None);
        assert_eq!(phases_of(&story, "samsung").last(), Some(&Phase::Reboot));
        assert_eq!(story.outcomes["samsung"], outcome, "{code} {magic_rollback}");
    }
}

#[test]
fn a_host_that_is_only_restarted_waits_for_the_answer_to_the_plan() {
    let restarting = || {
        let mut machine = machine(&["samsung"], Goal::Boot, true);
        machine.hosts[0].setup.reboot = Some(Duration::from_secs(60));
        machine
    };
    let react = |_: &str, phase| match phase {
        Phase::Preflight => Ok(waiting_for_restart(OLD)),
        phase => Ok(good(phase, Goal::Boot)),
    };
    let mut asked = restarting();
    let mut said = None;
    let mut inputs = vec![Input::Begin];
    while let Some(input) = inputs.pop() {
        for command in asked.step(input, Timestamp::UNIX_EPOCH) {
            match command {
                MachineCommand::Run { host, phase, .. } => {
                    assert!(phase <= Phase::Compare, "nobody answered yet");
                    inputs.push(Input::Done { host: host.name, phase, result: react("", phase) });
                }
                MachineCommand::Tell(RunWhat::Plan { plan, waits }) => said = Some((plan, waits)),
                _ => {}
            }
        }
    }
    let (plan, waits) = said.unwrap();
    let host = &plan.hosts[0];
    assert!(waits && host.reboots && !host.unchanged, "{host:?}");
    assert_eq!(host.findings[0].code, Code::NeedsReboot);
    let mut stopped = asked.clone();
    stopped.step(Input::Cancel, Timestamp::UNIX_EPOCH);
    assert_eq!(stopped.outcomes()[0].1, Outcome::Interrupted);
    asked.step(Input::Answer(false), Timestamp::UNIX_EPOCH);
    assert_eq!(asked.outcomes()[0].1, Outcome::Skipped);
    let story = drive(&mut restarting(), react, |_| None);
    assert_eq!(phases_of(&story, "samsung").last(), Some(&Phase::Reboot));
}

#[test]
fn a_host_that_was_started_with_the_system_or_its_specialisation_is_not_restarted() {
    let special = NEW.replace("-new", "-gaming");
    for (booted, running, of) in [(NEW, NEW, None), (&*special, &*special, Some(NEW))] {
        let mut machine =
            samsung_with(Goal::Switch, |setup| setup.reboot = Some(Duration::from_secs(60)));
        let mut found = Preflight {
            running: Some(path(running)),
            booted: Some(path(booted)),
            profile: Some(path(NEW)),
            ..Preflight::default()
        };
        found.deploys.specialisation =
            of.map(|system| Specialisation { system: path(system), name: "gaming".to_owned() });
        let react = |_: &str, phase| match phase {
            Phase::Preflight => Ok(Report::Preflight(Box::new(found.clone()))),
            phase => Ok(good(phase, Goal::Switch)),
        };
        let story = drive(&mut machine, react, |_| None);
        assert_eq!(story.outcomes["samsung"], Outcome::Unchanged);
    }
}

#[test]
fn what_somebody_else_brought_meanwhile_is_restarted_into() {
    let mut machine =
        samsung_with(Goal::Switch, |setup| setup.reboot = Some(Duration::from_secs(60)));
    let react = |_: &str, phase| match phase {
        Phase::Preflight => Ok(Report::Preflight(Box::new(Preflight {
            running: Some(path(OLD)),
            booted: Some(path(OLD)),
            profile: Some(path(OLD)),
            ..Preflight::default()
        }))),
        Phase::Activate => {
            let ending = Ending { outcome: Outcome::Unchanged, reason: None };
            Ok(Report::Activated(Activation::Decided(ending)))
        }
        phase => Ok(good(phase, Goal::Switch)),
    };
    let story = drive(&mut machine, react, |_| None);
    assert!(phases_of(&story, "samsung").ends_with(&[Phase::Activate, Phase::Reboot]));
}
