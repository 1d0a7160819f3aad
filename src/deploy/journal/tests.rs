//! Random runs, cut at any entry: what is replayed is what was, and a run that is gone on with has one
//! account.

use super::*;
use crate::deploy::{
    Activation, Ending, FailedUnit, Failure, HostSetup, Machine, MachineCommand, Preflight, Reason,
    Remarks, Report,
};
use crate::fleet::{
    ActivationSettings, Code, Goal, HookMoment, Outcome, Rollout, Route, RunEvent, RunId, RunWhat,
    StorePath, Strategy, TakenRoute,
};
use crate::record::JournalEntry;
use jiff::Timestamp;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const OLD: &str = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-old";
const NEW: &str = "/nix/store/m0znnv1nxsr0ry7gmadkh49s1d0hycgd-new";

fn path(text: &str) -> StorePath {
    StorePath::parse(text).unwrap()
}

fn setup(hosts: usize, goal: Goal, asks: bool) -> Setup {
    let host = |number: usize| {
        let (builder, tier) = ("p620".to_owned(), "p620".to_owned());
        let is_builder = number == 0;
        HostSetup {
            name: if is_builder { builder.clone() } else { format!("host-{number}") },
            goal,
            given: None,
            set_aside: None,
            degraded: None,
            way_back: None,
            tags: Vec::new(),
            flake: None,
            route: if is_builder { Route::Direct } else { Route::ViaCache { builder, tier } },
            last: is_builder,
            protected: false,
            confirm_timeout: Duration::from_secs(30),
            activation: ActivationSettings::default(),
            asked: Strategy::ViaCache,
            first: false,
            reboot: None,
            hooks: if number % 2 == 1 {
                [HookMoment::BeforeActivate, HookMoment::AfterActivate]
                    .map(|moment| (moment, Duration::from_secs(60)))
                    .into()
            } else {
                BTreeMap::new()
            },
        }
    };
    let hosts = (0..hosts).map(host).collect();
    let rollout = Rollout { canary: 0, canary_is_written: true, ..Rollout::default() };
    Setup {
        goal,
        strategy: Strategy::ViaCache,
        asks,
        parallel: 2,
        options: crate::fleet::RunOptions::default(),
        rollout,
        budgets: Vec::new(),
        hosts,
    }
}

/// Returns what a phase finds; the byte chooses among what it may find.
fn found(phase: Phase, goal: Goal, byte: u8) -> Result<Report, Failure> {
    if byte.is_multiple_of(23) {
        let outcome = if byte.is_multiple_of(2) { Outcome::Offline } else { Outcome::Failed };
        return Err(Failure { outcome, reason: Reason::new(Code::HostUnreachable, "it broke") });
    }
    Ok(match phase {
        Phase::Preflight => Report::Preflight(Box::new(Preflight {
            running: Some(path(if byte.is_multiple_of(19) { NEW } else { OLD })),
            profile: Some(path(if byte.is_multiple_of(19) { NEW } else { OLD })),
            booted: None,
            boot_id: "1".to_owned(),
            answering: vec!["root@a".to_owned()],
            built_on: None,
            failed_units: ["old.service".to_owned()].into(),
            on_battery: Some(41),
            chosen: None,
            notes: vec![Reason::new(Code::DiskLow, "little room")],
            ..Preflight::default()
        })),
        Phase::Evaluate => Report::Evaluated { drv: format!("{NEW}.drv"), toplevel: path(NEW) },
        Phase::Compare => Report::Compared {
            to_build: Some(3),
            to_download: None,
            changes: None,
            lacks_specialisation: None,
            notes: Vec::new(),
        },
        Phase::Build => Report::Built { built: 3, substituted: BTreeMap::new() },
        Phase::Settle if byte.is_multiple_of(17) => {
            Report::AddressesLost(vec!["root@b".to_owned()])
        }
        Phase::Acknowledge => Report::Acknowledged { boot_id: Some("1".to_owned()) },
        Phase::Publish | Phase::Verify | Phase::Diff | Phase::Settle => Report::Done,
        Phase::Fetch => Report::Fetched {
            fetched: BTreeMap::new(),
            taken: TakenRoute { route: Route::Direct, given_up: Vec::new() },
        },
        Phase::Activate if goal == Goal::DryActivate || byte.is_multiple_of(13) => {
            let outcome =
                if goal == Goal::DryActivate { Outcome::Dry } else { Outcome::RolledBack };
            Report::Activated(Activation::Decided(Ending { outcome, reason: None }))
        }
        Phase::Activate => Report::Activated(Activation::Runs(Remarks {
            units_failed: byte.is_multiple_of(11),
            ..Remarks::default()
        })),
        Phase::Check => Report::Checked {
            new_failed_units: if byte.is_multiple_of(7) {
                vec![FailedUnit { name: "x.service".to_owned(), said: String::new() }]
            } else {
                vec![]
            },
            broken: if byte.is_multiple_of(5) { vec!["ping".to_owned()] } else { vec![] },
        },
        Phase::Persist => {
            let outcome = match goal {
                Goal::Switch | Goal::Rollback => Outcome::Switched,
                Goal::Boot => Outcome::Booted,
                Goal::Test => Outcome::Tested,
                Goal::Build | Goal::DryActivate => Outcome::Dry,
            };
            Report::Persisted(Ending { outcome, reason: None })
        }
        Phase::Reboot => Report::Rebooted(Ending { outcome: Outcome::Switched, reason: None }),
    })
}

/// A run that is carried out by chance.
struct Carried {
    machine: Machine,
    goal: Goal,
    /// The phases that run.
    running: Vec<(String, Phase)>,
    /// The hosts whose hooks run, and before which phase.
    preparing: Vec<(String, Phase)>,
    /// The hosts whose hooks after an attempt run, and in which phase that ended.
    concluding: Vec<(String, Phase)>,
    entries: Vec<JournalEntry<RunEntry>>,
    /// The machine after each entry.
    states: Vec<Machine>,
    /// What was told, and after how many entries.
    told: Vec<(usize, RunWhat)>,
    now: Timestamp,
}

impl Carried {
    fn begin(setup: Setup) -> Self {
        let now = Timestamp::UNIX_EPOCH;
        let goal = setup.goal;
        let run = RunId("7".to_owned());
        let machine = Machine::new(setup.clone(), None, now).of_run(&run);
        let begun = Begun {
            run,
            nixdash: NIXDASH_VERSION.to_owned(),
            setup,
            source: None,
            own_sources: BTreeMap::new(),
            findings: Vec::new(),
            hosts_file: Some("hash".to_owned()),
        };
        let first = JournalEntry { at: now, entry: RunEntry::Begun(Box::new(begun)) };
        let states = vec![machine.clone()];
        let (running, preparing, told) = (Vec::new(), Vec::new(), Vec::new());
        let (concluding, entries) = (Vec::new(), vec![first]);
        let mut carried =
            Self { machine, goal, running, preparing, concluding, entries, states, told, now };
        carried.input(Input::Begin);
        carried
    }

    /// Goes on with a run that was cut.
    fn again(replayed: &Replayed, entries: &[JournalEntry<RunEntry>]) -> Self {
        let [preparing, concluding, running] = open(replayed);
        Self {
            machine: replayed.machine.clone(),
            goal: replayed.begun.setup.goal,
            running,
            preparing,
            concluding,
            entries: entries.to_vec(),
            states: Vec::new(),
            told: Vec::new(),
            now: replayed.last_at,
        }
    }

    fn input(&mut self, input: Input) {
        self.entries.push(JournalEntry { at: self.now, entry: RunEntry::Input(input.clone()) });
        for command in self.machine.step(input, self.now) {
            match command {
                MachineCommand::Run { host, phase, .. } => self.running.push((host.name, phase)),
                MachineCommand::Prepare { host, phase, .. } => {
                    self.preparing.push((host.name, phase));
                }
                MachineCommand::Conclude { host, phase, .. } => {
                    self.concluding.push((host.name, phase));
                }
                MachineCommand::Tell(what) => self.told.push((self.entries.len(), what)),
                MachineCommand::Stop { .. }
                | MachineCommand::Abort { .. }
                | MachineCommand::Ask { .. }
                | MachineCommand::Claim { .. }
                | MachineCommand::Release { .. }
                | MachineCommand::WakeAt(_)
                | MachineCommand::Finish => {}
            }
        }
        self.states.push(self.machine.clone());
    }

    /// Lets something happen that two bytes choose; returns whether the run goes on.
    fn turn(&mut self, what: u8, which: u8) -> bool {
        if self.machine.is_finished() {
            return false;
        }
        self.now += jiff::SignedDuration::from_millis(i64::from(which) * 7);
        match what {
            0..8 => self.input(Input::Answer(!which.is_multiple_of(16))),
            8..10 => self.input(Input::Cancel),
            // Nobody asked for this.
            10..14 => {
                let phase = Phase::ALL[usize::from(which) % Phase::ALL.len()];
                let result = found(phase, self.goal, which);
                self.running.retain(|running| *running != ("host-1".to_owned(), phase));
                self.input(Input::Done { host: "host-1".to_owned(), phase, result });
            }
            14..60 if self.has_hooks() => self.hooks_end(which),
            _ if self.running.is_empty() && self.has_hooks() => self.hooks_end(which),
            _ if self.running.is_empty() => self.input(Input::Answer(true)),
            _ => {
                let (host, phase) = self.running.remove(usize::from(what) % self.running.len());
                let result = found(phase, self.goal, which);
                self.input(Input::Done { host, phase, result });
            }
        }
        true
    }

    /// Returns whether hooks of a host run.
    fn has_hooks(&self) -> bool {
        !self.preparing.is_empty() || !self.concluding.is_empty()
    }

    /// Lets the hooks of a host end.
    fn hooks_end(&mut self, which: u8) {
        if let Some((host, _)) = self.concluding.pop() {
            let failed = Reason::new(Code::HookFailed, "its hook failed");
            let result = if which.is_multiple_of(9) { Err(failed) } else { Ok(()) };
            return self.input(Input::Concluded { host, result });
        }
        let at = usize::from(which) % self.preparing.len();
        let (host, phase) = self.preparing.remove(at);
        let failed = Failure::failed(Code::HookFailed, "its hook failed");
        let result = if which.is_multiple_of(9) { Err(failed) } else { Ok(()) };
        self.input(Input::Prepared { host, phase, result });
    }

    /// Carries it out to its end.
    fn finish(&mut self) {
        for turn in 0..2000_u32 {
            if !self.turn(200, (turn % 250) as u8) {
                return;
            }
        }
        panic!("it does not end");
    }
}

/// Hosts, each with a phase.
type HostPhases = Vec<(String, Phase)>;

/// Returns the hosts whose hooks run, before they change and after an attempt, and the phases that run, as a journal
/// tells.
fn open(replayed: &Replayed) -> [HostPhases; 3] {
    let parts: [fn(&&OpenPhase) -> bool; 3] =
        [|open| open.prepares, |open| open.concludes.is_some(), |open| open.is_phase()];
    parts.map(|is_part| {
        let open = replayed.open.values().filter(is_part);
        open.map(|open| (open.host.name.clone(), open.phase)).collect()
    })
}

fn event(what: &RunWhat) -> RunEvent {
    RunEvent { run: RunId("7".to_owned()), at: Timestamp::UNIX_EPOCH, what: what.clone() }
}

fn goals() -> impl Strategy2<Value = Goal> {
    prop_oneof![
        5 => Just(Goal::Switch),
        1 => Just(Goal::Boot),
        1 => Just(Goal::Test),
        1 => Just(Goal::DryActivate),
        1 => Just(Goal::Build),
    ]
}

use proptest::strategy::Strategy as Strategy2;

prop_compose! {
    fn runs()(
        hosts in 1_usize..5,
        goal in goals(),
        asks in any::<bool>(),
        turns in prop::collection::vec(any::<(u8, u8)>(), 0..60),
    ) -> Carried {
        let mut carried = Carried::begin(setup(hosts, goal, asks));
        for (what, which) in turns {
            if !carried.turn(what, which) {
                break;
            }
        }
        carried
    }
}

impl std::fmt::Debug for Carried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.entries.iter().map(|entry| &entry.entry)).finish()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// Cut after any entry, written and read, the journal gives the state that the run had, the
    /// phases that ran, and what was told.
    #[test]
    fn a_journal_that_is_cut_anywhere_gives_the_state_that_was(run in runs(), at in any::<u16>()) {
        let cut = 1 + usize::from(at) % run.entries.len();
        let text = serde_json::to_string(&run.entries[..cut]).unwrap();
        let entries: Vec<JournalEntry<RunEntry>> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&entries, &run.entries[..cut]);
        let replayed = Replayed::new(&entries).unwrap();
        prop_assert_eq!(&replayed.machine, &run.states[cut - 1]);
        let told: Vec<&RunWhat> =
            run.told.iter().filter(|(after, _)| *after <= cut).map(|(_, what)| what).collect();
        prop_assert_eq!(replayed.told.iter().map(|told| &told.what).collect::<Vec<_>>(), told);
        if cut == run.entries.len() && !run.machine.is_finished() {
            let over: Vec<String> = run.machine.outcomes().into_iter().map(|(host, _)| host).collect();
            let not_over = |of: &HostPhases| {
                let mut left: Vec<_> = of.iter().filter(|(host, _)| !over.contains(host)).cloned().collect();
                left.sort();
                left
            };
            let [preparing, concluding, running] = open(&replayed);
            prop_assert_eq!(not_over(&concluding), not_over(&run.concluding));
            prop_assert_eq!(not_over(&preparing), not_over(&run.preparing));
            prop_assert_eq!(not_over(&running), not_over(&run.running));
        }
        // The same again, from the same entries.
        prop_assert_eq!(Replayed::new(&entries).unwrap(), replayed);
    }

    /// A run that is cut anywhere, whose events were written as far as any, and that is gone on with,
    /// has one result per host and one summary.
    #[test]
    fn a_run_that_is_gone_on_with_has_one_account(
        run in runs(),
        cuts in prop::collection::vec(any::<(u16, u16)>(), 1..4),
    ) {
        let hosts = run.machine_hosts();
        let (at, written) = cuts[0];
        let cut = 1 + usize::from(at) % run.entries.len();
        let mut entries = run.entries[..cut].to_vec();
        let told: Vec<RunWhat> =
            run.told.iter().filter(|(after, _)| *after <= cut).map(|(_, what)| what.clone()).collect();
        let mut events: Vec<RunEvent> =
            told.iter().take(usize::from(written) % (told.len() + 1)).map(event).collect();
        for (turns, _) in &cuts {
            let replayed = Replayed::new(&entries).unwrap();
            let untold = replayed.untold(&events).unwrap();
            events.extend(untold.iter().map(|untold| event(&untold.what)));
            let mut again = Carried::again(&replayed, &entries);
            if !replayed.is_started {
                again.input(Input::Begin);
            }
            for turn in 0..turns % 20 {
                again.turn(99, turn as u8);
            }
            // Killed again: everything was journaled, nothing of it was told.
            entries = again.entries;
        }
        let replayed = Replayed::new(&entries).unwrap();
        events.extend(replayed.untold(&events).unwrap().iter().map(|untold| event(&untold.what)));
        let mut last = Carried::again(&replayed, &entries);
        last.finish();
        events.extend(last.told.iter().map(|(_, what)| event(what)));
        for host in &hosts {
            let results = events.iter().filter(
                |event| matches!(&event.what, RunWhat::Result { host: of, .. } if of == host),
            );
            prop_assert_eq!(results.count(), 1, "{}", host);
        }
        let count = |is: fn(&RunWhat) -> bool| events.iter().filter(|event| is(&event.what)).count();
        prop_assert_eq!(count(|what| matches!(what, RunWhat::Summary { .. })), 1);
        prop_assert_eq!(count(|what| matches!(what, RunWhat::Begin { .. })), 1);
        let plans = count(|what| matches!(what, RunWhat::Plan { .. }));
        prop_assert!(plans <= 1, "{plans} plans");
        prop_assert!(Replayed::new(&last.entries).unwrap().untold(&events).unwrap().is_empty());
    }
}

impl Carried {
    fn machine_hosts(&self) -> Vec<String> {
        let RunEntry::Begun(begun) = &self.entries[0].entry else { return Vec::new() };
        begun.setup.hosts.iter().map(|host| host.name.clone()).collect()
    }
}

#[test]
fn a_journal_of_another_nixdash_or_without_a_beginning_is_not_replayed() {
    let mut entries = Carried::begin(setup(1, Goal::Switch, false)).entries;
    assert_eq!(Replayed::new(&[]).unwrap_err(), NotReplayable::NothingBegun);
    assert_eq!(Replayed::new(&entries[1..]).unwrap_err(), NotReplayable::NothingBegun);
    let RunEntry::Begun(begun) = &mut entries[0].entry else { panic!("it begins otherwise") };
    begun.nixdash = "9.9.9".to_owned();
    let error = Replayed::new(&entries).unwrap_err();
    assert!(error.to_string().contains("nixdash 9.9.9 began it"), "{error}");
}

#[test]
fn events_that_the_machine_did_not_decide_are_not_gone_on_with() {
    let run = Carried::begin(setup(1, Goal::Switch, false));
    let replayed = Replayed::new(&run.entries).unwrap();
    let foreign =
        RunWhat::Summary { outcomes: BTreeMap::new(), duration_ms: 1, findings: Vec::new() };
    let error = replayed.untold(&[event(&foreign)]).unwrap_err();
    assert!(matches!(error, NotReplayable::Diverged { .. }), "{error}");
}

#[test]
fn a_stop_and_a_word_to_go_back_stay_open_until_the_host_has_ended() {
    let mut run = Carried::begin(setup(2, Goal::Switch, false));
    while !run.running.contains(&("host-1".to_owned(), Phase::Check)) {
        if run.has_hooks() {
            run.hooks_end(1);
            continue;
        }
        let at = run.running.iter().position(|(host, _)| host == "host-1").unwrap_or(0);
        let (host, phase) = run.running.remove(at);
        let result = found(phase, Goal::Switch, 1);
        run.input(Input::Done { host, phase, result });
    }
    let before = Replayed::new(&run.entries).unwrap();
    assert!(before.supervised.contains_key("host-1"));
    run.input(Input::Cancel);
    let replayed = Replayed::new(&run.entries).unwrap();
    assert!(replayed.open["host-1"].stop, "the check was told to stop");
    assert_eq!(replayed.aborts["host-1"].code, Code::RunStopped);
    run.finish();
    let ended = Replayed::new(&run.entries).unwrap();
    assert!(ended.aborts.is_empty() && ended.open.is_empty() && ended.supervised.is_empty());
}
