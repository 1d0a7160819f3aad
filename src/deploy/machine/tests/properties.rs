//! What holds in whatever order things happen: a made-up world answers the machine at random, and
//! people say anything at any time.
//!
//! `ORDERS=100000 cargo test --release machine::tests::properties` tries as many orders as that.

mod random;

use super::*;
use crate::deploy::{ClaimAnswer, FailedUnit, GateAnswer};
use crate::fleet::{
    Budget, Gate, GateQuestion, HostOrTag, OnFailure, OrderRule, Quota, RollbackScope, RolloutNews,
    RunOrder, WaveRule,
};
use random::{Dice, HostTruth, NAMES, before, random_machine, system};
use std::collections::{BTreeMap, BTreeSet};

/// How many orders are tried where nothing else is said.
const ORDERS: u64 = 3000;

/// The world around a machine, and what it has seen.
struct World {
    dice: Dice,
    machine: Machine,
    now: Timestamp,
    pending: Vec<Input>,
    wake: Option<Timestamp>,
    goal: Goal,
    asks: bool,
    /// Whether the plan was made, with its waves and its order.
    planned: bool,
    answered: Option<bool>,
    cancelled: bool,
    paused: bool,
    halted: bool,
    verified: BTreeMap<String, StorePath>,
    held: BTreeSet<String>,
    claimed: BTreeSet<String>,
    results: BTreeMap<String, usize>,
    truths: BTreeMap<String, HostTruth>,
    agains: BTreeMap<String, usize>,
    goes_back: BTreeSet<String>,
    last_phase: BTreeMap<String, Phase>,
    /// The hosts whose hooks ended well before they change.
    prepared: BTreeSet<String>,
    /// The hosts whose hooks before they change were begun, and none after.
    owes: BTreeSet<String>,
    /// The hosts that were stopped while their hooks ran.
    stopped: BTreeSet<String>,
    gates: BTreeMap<(usize, String), bool>,
    summaries: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let machine = random_machine(&mut dice);
        Self {
            goal: machine.setup.goal,
            asks: machine.setup.asks,
            dice,
            machine,
            now: Timestamp::UNIX_EPOCH,
            pending: vec![Input::Begin],
            wake: None,
            planned: false,
            answered: None,
            cancelled: false,
            paused: false,
            halted: false,
            verified: BTreeMap::new(),
            held: BTreeSet::new(),
            claimed: BTreeSet::new(),
            results: BTreeMap::new(),
            truths: BTreeMap::new(),
            agains: BTreeMap::new(),
            goes_back: BTreeSet::new(),
            last_phase: BTreeMap::new(),
            prepared: BTreeSet::new(),
            owes: BTreeSet::new(),
            stopped: BTreeSet::new(),
            gates: BTreeMap::new(),
            summaries: 0,
        }
    }

    /// Goes on to the end of the run.
    fn run(&mut self) {
        for turn in 0..20_000 {
            if self.machine.is_finished() {
                return self.look_at_the_end();
            }
            let input = self.next_input(turn);
            for command in self.machine.step(input, self.now) {
                self.take(command);
            }
        }
        panic!("the run does not end: {:?}", self.machine);
    }

    /// Returns what happens next: something that is due, somebody who speaks up, or time.
    fn next_input(&mut self, turn: usize) -> Input {
        // In the end nobody says anything new any more.
        let talks = turn < 400;
        if talks && turn > 0 && self.dice.one_in(25) {
            return self.something_said();
        }
        if !self.pending.is_empty() {
            let index = self.dice.below(self.pending.len());
            return self.pending.swap_remove(index);
        }
        if let Some(at) = self.wake.take() {
            self.now = self.now.max(at);
            return Input::Wake;
        }
        // Nothing goes on by itself: a person is asked, or paused the run.
        self.look_at_a_standstill();
        match self.dice.below(4) {
            _ if turn > 2000 => self.cancel(),
            0 => Input::Order(RunOrder::Accept),
            1 => self.cancel(),
            _ => Input::Order(RunOrder::Resume),
        }
    }

    fn cancel(&mut self) -> Input {
        self.cancelled = true;
        Input::Cancel
    }

    fn something_said(&mut self) -> Input {
        let host = NAMES[self.dice.below(NAMES.len())].to_owned();
        match self.dice.below(12) {
            0 if self.dice.one_in(3) => self.cancel(),
            0..=2 => Input::Order(RunOrder::Pause),
            3..=5 => Input::Order(RunOrder::Resume),
            6 => Input::Order(RunOrder::Skip { host }),
            7..=9 => Input::Order(RunOrder::Retry { host }),
            10 => Input::Order(RunOrder::Accept),
            _ if self.dice.one_in(3) => {
                let scopes = [RollbackScope::Wave, RollbackScope::Run];
                Input::Order(RunOrder::Rollback { scope: scopes[self.dice.below(2)] })
            }
            _ => Input::Wake,
        }
    }

    fn take(&mut self, command: MachineCommand) {
        match command {
            MachineCommand::Run { host, phase, known } => self.begin(&host, phase, &known),
            MachineCommand::Prepare { host, phase, known } => self.prepare(&host, phase, &known),
            MachineCommand::Conclude { host, .. } => self.conclude(host.name),
            MachineCommand::Stop { host, phase } => {
                // What is stopped ends in some way, or had ended.
                let result = Err(Failure::failed(Code::RunStopped, "stopped"));
                let running = self.pending.iter().position(|input| {
                    matches!(input, Input::Done { host: of, phase: at, .. } if *of == host && *at == phase)
                });
                if let Some(index) = running
                    && self.dice.one_in(2)
                {
                    self.pending[index] = Input::Done { host, phase, result };
                    return;
                }
                let prepares = self.pending.iter().position(
                    |input| matches!(input, Input::Prepared { host: of, .. } if *of == host),
                );
                if let Some(index) = prepares {
                    self.stopped.insert(host.clone());
                    if self.dice.one_in(2) {
                        let result = result.map(drop);
                        self.pending[index] = Input::Prepared { host, phase, result };
                    }
                }
            }
            MachineCommand::Ask { wave, gate, asking, .. } => {
                let answer = match self.dice.below(12) {
                    0 => GateAnswer::Failed("no".to_owned()),
                    1 => GateAnswer::NotMade("away".to_owned()),
                    _ => GateAnswer::Passed,
                };
                self.gates.insert((wave, gate.name.clone()), answer == GateAnswer::Passed);
                self.pending.push(Input::Gated { wave, gate: gate.name, asking, answer });
            }
            MachineCommand::Claim { host, budgets, claim, has_begun } => {
                assert!(!has_begun, "only whoever goes on with a run says so");
                assert!(self.claimed.insert(host.clone()), "{host} claims twice");
                assert!(!budgets.is_empty());
                let fails = self.dice.one_in(20);
                let failure = Failure::failed(Code::ConnectionLost, "away");
                let answer = if fails { ClaimAnswer::Failed(failure) } else { ClaimAnswer::Held };
                let (budget, taken_by) = (budgets[0].clone(), vec!["x".into()]);
                let silent = if self.dice.one_in(3) { taken_by.clone() } else { Vec::new() };
                let waits = ClaimAnswer::Waits { budget, taken_by, silent };
                if self.dice.one_in(2) {
                    self.pending.push(Input::Claimed { host: host.clone(), claim, answer: waits });
                }
                self.pending.push(Input::Claimed { host, claim, answer });
            }
            MachineCommand::Release { host } => {
                assert!(self.claimed.remove(&host), "{host} gives back what it has not");
                self.held.remove(&host);
                // What was on its way is not said any more.
                self.pending.retain(
                    |input| !matches!(input, Input::Claimed { host: of, .. } if *of == host),
                );
            }
            MachineCommand::WakeAt(at) => {
                assert!(at > self.now, "a time that has passed");
                self.wake = Some(at);
            }
            MachineCommand::Tell(what) => self.hear(what),
            MachineCommand::Abort { .. } | MachineCommand::Finish => {}
        }
    }

    /// Looks whether a phase may begin, and decides how it ends.
    fn begin(&mut self, host: &HostSetup, phase: Phase, known: &RunFacts) {
        self.look_at_places(&host.name, phase);
        let is_early = phase >= Phase::Fetch && self.goal.deploys() && !self.planned;
        assert!(!is_early, "{} begins {phase} before the plan is made", host.name);
        let name = host.name.clone();
        let back = self.goes_back.contains(&name);
        let begins = if host.goal == Goal::Boot { Phase::Persist } else { Phase::Activate };
        assert!(!self.paused || back || phase > begins, "{name} begins {phase} in a paused run");
        if !matches!(phase, Phase::Preflight | Phase::Evaluate) {
            assert!(
                self.last_phase.get(&name).is_none_or(|last| *last < phase),
                "{name} goes from {:?} to {phase}",
                self.last_phase.get(&name)
            );
        }
        self.last_phase.insert(name.clone(), phase);
        if phase == begins && host.goal.deploys() {
            self.look_before_change(host, back, known);
            assert!(!self.stopped.contains(&name), "{name} was stopped while its hooks ran");
            let due = HookMoment::before_activation(host.goal, back)
                .is_some_and(|moment| host.hooks.contains_key(&moment));
            assert_eq!(self.prepared.remove(&name), due, "{name}: its hooks run once, and before");
        }
        let result = self.ending(host, phase, back);
        if phase == Phase::Verify && result.is_ok() {
            self.verified.insert(name.clone(), known.toplevel.clone().unwrap());
        }
        if result.as_ref().is_ok_and(Report::is_end) {
            self.owes.remove(&name);
        }
        self.pending.push(Input::Done { host: name, phase, result });
    }

    /// Looks whether the hooks of a host may run, and decides how they end.
    fn prepare(&mut self, host: &HostSetup, phase: Phase, known: &RunFacts) {
        self.look_at_places(&host.name, phase);
        let (name, back) = (host.name.clone(), self.goes_back.contains(&host.name));
        assert!(!self.paused || back, "the hooks of {name} begin in a paused run");
        assert!(!self.prepared.contains(&name), "the hooks of {name} run twice");
        self.stopped.remove(&name);
        assert!(self.owes.insert(name.clone()), "hooks of {name} ran that none followed");
        self.look_before_change(host, back, known);
        let fails = self.dice.one_in(10);
        let result = if fails {
            Err(Failure::failed(Code::HookFailed, "its hook failed"))
        } else {
            self.prepared.insert(name.clone());
            Ok(())
        };
        self.pending.push(Input::Prepared { host: name, phase, result });
    }

    /// Looks whether the hooks after an attempt of a host may run, and decides how they end.
    fn conclude(&mut self, name: String) {
        assert!(self.owes.remove(&name), "the hooks of {name} run after none before");
        let failed = Reason::new(Code::HookFailed, "its hook failed");
        let result = if self.dice.one_in(10) { Err(failed) } else { Ok(()) };
        self.pending.push(Input::Concluded { host: name, result });
    }

    /// Looks whether a host may begin a phase beside those that are at one: no more than `parallel` are in fetch and what
    /// follows.
    fn look_at_places(&self, name: &str, phase: Phase) {
        let takes_one = |input: &&Input| match input {
            Input::Done { host, phase, .. } | Input::Prepared { host, phase, .. } => {
                host != name && *phase >= Phase::Fetch
            }
            _ => false,
        };
        let taken = self.pending.iter().filter(takes_one).count();
        let parallel = self.machine.setup.parallel;
        assert!(phase < Phase::Fetch || taken < parallel, "{name} begins {phase} beside {taken}");
    }

    /// Looks whether a host may begin to change.
    fn look_before_change(&mut self, host: &HostSetup, back: bool, known: &RunFacts) {
        let name = &host.name;
        let toplevel = known.toplevel.as_ref().unwrap();
        assert!(!self.cancelled, "{name} begins to change in a stopped run");
        if back {
            assert_eq!(toplevel, &before(name, host.goal), "{name} goes back to what ran before");
        } else {
            assert!(!self.halted, "{name} begins to change in a halted run");
            assert!(!self.asks || self.answered == Some(true), "nobody confirmed the plan");
            if host.route.tier().is_some() {
                assert_eq!(self.verified.get(name), Some(toplevel), "{name} was not verified");
            }
            self.look_at_waves(name);
        }
        let budgets = self.machine.setup.budgets.clone();
        for budget in budgets.iter().filter(|budget| host.tags.contains(&budget.tag)) {
            if !self.goal.changes() {
                continue;
            }
            assert!(self.claimed.contains(name), "{name} has no place in {}", budget.name);
            let hosts = self.machine.hosts.iter();
            let others = hosts.filter(|other| {
                other.setup.tags.contains(&budget.tag) && self.claimed.contains(&other.setup.name)
            });
            assert!(others.count() <= budget.in_flight, "too many in {}", budget.name);
        }
    }

    /// Looks whether all waves before a host's own are done, and all their gates passed.
    fn look_at_waves(&self, name: &str) {
        if !self.goal.changes() {
            return;
        }
        let index = self.machine.index_of(name).unwrap();
        let own = self.machine.hosts[index].wave.unwrap_or(self.machine.waves.len());
        for (number, wave) in self.machine.waves.iter().enumerate().take(own) {
            for host in &wave.hosts {
                let host = &self.machine.hosts[*host];
                assert!(host.is_over(), "{name} begins before {}", host.setup.name);
            }
            for ((of, gate), passed) in &self.gates {
                assert!(*of != number || *passed, "{name} begins though {gate} did not pass");
            }
        }
    }

    /// Looks, where nothing goes on by itself, whether somebody can let it go on.
    fn look_at_a_standstill(&self) {
        let asks = self.machine.waves.iter().any(|wave| wave.question().is_some());
        let waits = self.machine.waits();
        assert!(self.paused || asks, "everybody waits for others: {waits:?}");
    }

    /// Returns how a phase ends.
    fn ending(&mut self, host: &HostSetup, phase: Phase, back: bool) -> Result<Report, Failure> {
        let rare = self.dice.below(40);
        let target = if back { before(&host.name, host.goal) } else { system(&host.name) };
        let truths = self.truths.entry(host.name.clone());
        let truth = truths.or_insert_with(|| HostTruth::of(&host.name));
        match (phase, rare) {
            (Phase::Preflight, 0..=3) => {
                let reason = Reason::new(Code::HostUnreachable, "away");
                return Err(Failure { outcome: Outcome::Offline, reason });
            }
            (Phase::Activate, 0..=2) => {
                let mut outcome =
                    [Outcome::RolledBack, Outcome::Failed, Outcome::NeedsReboot][rare];
                if outcome == Outcome::NeedsReboot {
                    if host.goal.persists() {
                        truth.profile = host.permanent(&target).clone();
                    } else {
                        outcome = Outcome::RolledBack;
                    }
                }
                let reason = Some(Reason::new(Code::ActivationFailed, "it failed"));
                return Ok(Report::Activated(Activation::Decided(Ending { outcome, reason })));
            }
            (Phase::Check, 0) => {
                let name = "x.service".to_owned();
                let new_failed_units = vec![FailedUnit { name, said: String::new() }];
                return Ok(Report::Checked { new_failed_units, broken: Vec::new() });
            }
            (Phase::Reboot, 1..=9) => {
                let reason = Some(Reason::new(Code::NotRestarted, "it stays up"));
                return Ok(Report::Rebooted(Ending { outcome: Outcome::Degraded, reason }));
            }
            (Phase::Persist | Phase::Reboot, 0) => {
                let reason = Reason::new(Code::NotSeenSince, "not seen");
                return Err(Failure { outcome: Outcome::Unknown, reason });
            }
            (_, 0) => return Err(Failure::failed(Code::InternalError, "it failed")),
            _ => {}
        }
        Ok(match phase {
            Phase::Evaluate => {
                let toplevel = system(&host.name);
                Report::Evaluated { drv: format!("{NEW}.drv"), toplevel }
            }
            Phase::Preflight => {
                let is_still = host.degraded.is_some() && rare.is_multiple_of(2);
                let confirmed = if rare == 10 { vec![system(&host.name)] } else { Vec::new() };
                Report::Preflight(Box::new(Preflight {
                    running: Some(truth.running.clone()),
                    profile: Some(truth.profile.clone()),
                    booted: Some(truth.booted.clone()),
                    unwell: is_still.then(|| Reason::new(Code::UnitsFailed, "x.service failed")),
                    confirmed,
                    ..Preflight::default()
                }))
            }
            Phase::Persist => {
                // Whoever was told to go back does.
                let index = self.machine.index_of(&host.name).unwrap();
                if self.machine.hosts[index].known.abort.is_some() {
                    let reason = self.machine.hosts[index].known.abort.clone();
                    return Ok(Report::Persisted(Ending { outcome: Outcome::RolledBack, reason }));
                }
                truth.persist(host, target);
                good(phase, host.goal)
            }
            Phase::Reboot => {
                truth.restart();
                good(phase, host.goal)
            }
            phase => good(phase, host.goal),
        })
    }

    fn hear(&mut self, what: RunWhat) {
        self.planned |= matches!(what, RunWhat::Plan { .. });
        match what {
            RunWhat::Plan { waits: true, .. } => {
                let yes = !self.dice.one_in(8);
                self.answered = Some(yes);
                self.pending.push(Input::Answer(yes));
            }
            RunWhat::Result { host, .. } => {
                assert!(!self.owes.contains(&host), "no hooks of {host} followed those before");
                *self.results.entry(host.clone()).or_default() += 1;
                self.verified.remove(&host);
            }
            RunWhat::Summary { .. } => self.summaries += 1,
            RunWhat::Rollout(RolloutNews::Paused { paused }) => self.paused = paused,
            RunWhat::Rollout(RolloutNews::Halted { .. }) => self.halted = true,
            RunWhat::Rollout(RolloutNews::Order { order: RunOrder::Accept, refused: None }) => {
                // A person vouches for what could not be checked.
                for passed in self.gates.values_mut() {
                    *passed = true;
                }
            }
            RunWhat::Rollout(RolloutNews::Again { host, goes_back, .. }) => {
                assert_eq!(goes_back, self.machine_goes_back(&host), "{host}");
                if goes_back {
                    self.goes_back.insert(host.clone());
                }
                self.last_phase.remove(&host);
                self.verified.remove(&host);
                self.prepared.remove(&host);
                self.stopped.remove(&host);
                *self.agains.entry(host).or_default() += 1;
            }
            RunWhat::Begin { .. }
            | RunWhat::Phase { .. }
            | RunWhat::Progress { .. }
            | RunWhat::Log { .. }
            | RunWhat::Plan { .. }
            | RunWhat::Waiting { .. }
            | RunWhat::Rollout(_)
            | RunWhat::Reattached { .. }
            | RunWhat::Usual { .. }
            | RunWhat::Builds { .. }
            | RunWhat::Command { .. }
            | RunWhat::Dropped { .. } => {}
        }
    }

    fn machine_goes_back(&self, host: &str) -> bool {
        let index = self.machine.index_of(host).unwrap();
        self.machine.hosts[index].back.is_some()
    }

    /// Looks whether a host has nothing of the run, where its end says so.
    fn look_at_truth(&self, host: &HostProgress) {
        let name = &host.setup.name;
        let outcome = host.outcome().unwrap();
        let truth = self.truths.get(name).cloned().unwrap_or_else(|| HostTruth::of(name));
        let ran = before(name, Goal::Switch);
        let (runs_old, boots_old) = (truth.running == ran, truth.profile == path(OLD));
        let is_so = match outcome {
            Outcome::Failed | Outcome::Offline | Outcome::Skipped | Outcome::Interrupted => {
                runs_old && boots_old
            }
            // One that goes back may need a restart for that, too.
            Outcome::RolledBack => runs_old || boots_old,
            _ => true,
        };
        assert!(is_so, "{name} ends as {outcome}: {truth:?}");
    }

    /// Looks whether everything is as it should be when the run is over.
    fn look_at_the_end(&self) {
        assert_eq!(self.summaries, 1);
        assert!(self.claimed.is_empty(), "places are left: {:?}", self.claimed);
        for host in &self.machine.hosts {
            let name = &host.setup.name;
            self.look_at_truth(host);
            let began = 1 + self.agains.get(name).copied().unwrap_or(0);
            assert_eq!(self.results.get(name), Some(&began), "{name} ends as often as it begins");
        }
    }
}

#[test]
fn whatever_happens_in_whatever_order_it_ends_well() {
    let orders = std::env::var("ORDERS").ok().and_then(|text| text.parse().ok());
    for seed in 1..=orders.unwrap_or(ORDERS) {
        let ended = std::panic::catch_unwind(|| World::new(seed).run());
        assert!(ended.is_ok(), "seed {seed}");
    }
}

#[test]
fn the_same_inputs_at_the_same_times_lead_to_the_same_state() {
    for seed in 1..300 {
        let mut world = World::new(seed);
        let first = world.machine.clone();
        let mut journal = Vec::new();
        for turn in 0..20_000 {
            if world.machine.is_finished() {
                break;
            }
            let input = world.next_input(turn);
            journal.push((input.clone(), world.now));
            for command in world.machine.step(input, world.now) {
                world.take(command);
            }
        }
        let mut replayed = first;
        for (input, at) in journal {
            replayed.step(input, at);
        }
        assert_eq!(format!("{replayed:?}"), format!("{:?}", world.machine), "seed {seed}");
    }
}
