//! The engine: carries out the machine's commands and tells it how they ended.
//!
//! Every phase of every host is a task of its own; the engine's loop only passes messages, so a
//! host that hangs delays no other. One file per phase that does something: the script it runs,
//! and what its answer means.

mod account;
mod acknowledge;
mod activate;
mod activation_log;
mod ahead;
mod ancestry;
mod budget;
mod build;
mod build_log;
mod changes;
mod check;
mod context;
mod decision;
mod ear;
mod edges;
mod evaluate;
mod fetch;
mod flake;
mod gate;
mod given;
mod hooks;
mod journaling;
mod left;
mod lost;
mod marks;
mod once;
mod owner;
mod persist;
mod place;
mod preflight;
mod push;
mod push_way;
mod read_settings;
mod reboot;
mod resumed;
mod room;
mod routes;
mod script_names;
mod scripts;
mod settle;
mod silence;
mod step;
mod stores;
mod supervised;
mod systems;
mod takes;
mod telling;
mod touch;
mod unwell;
mod verify;
mod wake;
mod workers;

use crate::deploy::engine::context::RunContext;
use crate::deploy::engine::journaling::Survives;
use crate::deploy::engine::resumed::Resumed;
use crate::deploy::engine::step::Step;
use crate::deploy::engine::telling::Teller;
pub use ancestry::{flake_ancestry, flake_revision, flake_source};
pub use context::tidy;
pub use evaluate::tracks_flake_file;
pub use flake::{LocalFlake, NoFlake, locate};
pub use journaling::RunJournal;
pub use left::{LeftEnding, end_left};
pub use lost::lost;
pub use place::{PlaceError, place_again, place_of};
pub use script_names::scripts;
pub use systems::builds_for;

use crate::deploy::machine::{Input, Machine, MachineCommand};
use crate::deploy::words::STOPPED;
use crate::deploy::{
    Begun, Failure, HostSetup, NIXDASH_VERSION, NewestSystem, Replayed, Report, RunEntry, RunFacts,
    Setup, Untold,
};
use crate::fleet::words::deploys::of_source;
use crate::fleet::words::without_name;
use crate::fleet::{
    Code, Finding, Fleet, Outcome, Phase, RunEvent, RunId, RunOrder, RunWhat, StorePath,
    UsualBuilds,
};
use crate::record::{KeptEvaluations, RunStreams};
use crate::remote::ScriptRunner;
use crate::remote::job::Job;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use workers::Workers;

/// How long to wait before a job that is still there is stopped again.
const STOP_AGAIN: Duration = Duration::from_millis(500);

/// How often the journal is told that this process is still there, when nothing else happens.
const STILL_THERE_EVERY: Duration = Duration::from_secs(20);

/// How long a stopped phase may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// What somebody says to a running deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// The answer to the plan.
    Answer(bool),
    /// Nobody answered the plan within [`ANSWER_LIMIT`](crate::fleet::ANSWER_LIMIT).
    Unanswered,
    /// Stop the run; hosts that have begun to activate go back.
    Cancel,
    /// Something else that a person says while the run goes on.
    Order(RunOrder),
}

/// Hears of everything that happens in a run. It is called from within the engine and must return
/// at once: nobody who listens may hold a deploy up.
pub type Listener = Arc<dyn Fn(RunEvent) + Send + Sync>;

/// Returns the newest system that a person confirmed for a host in a later run; nothing where there is
/// none.
pub type Newest = Arc<dyn Fn(&str) -> Option<NewestSystem> + Send + Sync>;

/// Returns how long the packages usually take that a host builds. It may read a disk.
pub type PackageTimes = Arc<dyn Fn(&str) -> UsualBuilds + Send + Sync>;

/// How a run ended.
pub struct Ended {
    /// How each host ended.
    pub outcomes: Vec<(String, Outcome)>,
    /// What went wrong, the first first: of hosts, and of the run as a whole.
    pub findings: Vec<Finding>,
    /// Tidies up the hosts, when it is awaited. Returns those that keep something of the run (folders of jobs,
    /// roots), since they did not answer. Nothing is told meanwhile.
    pub tidying: BoxFuture<'static, Vec<String>>,
}

/// A run that can be carried out.
pub struct Deploy {
    /// The fleet.
    pub fleet: Arc<Fleet>,
    /// Runs scripts on the hosts.
    pub runner: Arc<dyn ScriptRunner>,
    /// The run's name.
    pub run: RunId,
    /// What its jobs and roots on hosts are called ([`crate::record::Runs::tag`]).
    pub tag: String,
    /// How it begins.
    pub begin: RunBegin,
    /// Where everything is written from which it can be gone on with.
    pub journal: RunJournal,
    /// Where what jobs of Nix print is kept; none where nobody goes on with the run.
    pub streams: Option<RunStreams>,
    /// What earlier runs evaluated; none where every system is evaluated again and nothing is kept.
    pub kept: Option<KeptEvaluations>,
    /// Knows what was confirmed for a host in later runs, for one that was away.
    pub newest: Newest,
    /// Knows how long packages usually take.
    pub package_times: PackageTimes,
}

/// How a run begins.
pub enum RunBegin {
    /// It is begun now.
    Fresh {
        /// What is to be done.
        setup: Box<Setup>,
        /// The hash of hosts.toml.
        hosts_file: Option<String>,
    },
    /// Another process carried it out and ended: it is gone on with.
    GoOn {
        /// Its state.
        replayed: Box<Replayed>,
        /// What was decided and not told.
        untold: Vec<Untold>,
    },
}

impl Deploy {
    /// Carries the run out to its end and returns how each host ended. What it left on hosts is still to be
    /// tidied up then.
    ///
    /// Events go to `listener`. `control` may end early.
    pub async fn run(self, mut control: mpsc::Receiver<Control>, listener: Listener) -> Ended {
        let Self { fleet, runner, run, tag, begin, journal, kept, newest, streams, package_times } =
            self;
        let teller = Teller::new(run.clone(), listener);
        let (mut machine, mut commands, resumed, begun) = match begin {
            RunBegin::Fresh { setup, hosts_file } => {
                let begun = begun(&run, *setup, hosts_file, fleet.flake.as_deref()).await;
                let (machine, commands) = begin_with(&begun, &journal).await;
                (machine, commands, None, begun)
            }
            RunBegin::GoOn { mut replayed, untold } => {
                let (begun, now) = (replayed.begun.clone(), Timestamp::now());
                let resumed = Resumed::new(&replayed, now);
                replayed.machine.gone_on_with(now);
                resumed.tell(&replayed, untold, &teller);
                let (machine, commands) = gone_on_with(*replayed, now, &journal).await;
                (machine, commands, Some(resumed), begun)
            }
        };
        let shared = RunContext::new(fleet, runner, run, tag, &begun.setup, teller.clone());
        let shared = shared.with_journal(journal.clone()).keeping(kept);
        let shared = shared.with_sources(begun.source, begun.own_sources);
        let shared = shared.knowing(newest).with_streams(streams).expecting(package_times);
        let (done, mut ended) = mpsc::channel(64);
        let shared = Arc::new(shared.with_resumed(resumed));
        let mut workers = Workers::new(Arc::clone(&shared), done);
        let mut wake: Option<Timestamp> = None;
        loop {
            let mut to_begin = Vec::new();
            for command in commands {
                match command {
                    MachineCommand::Tell(what) => teller.decided(what),
                    MachineCommand::WakeAt(at) => wake = Some(at),
                    command => to_begin.push(command),
                }
            }
            workers.begin_all(to_begin);
            if machine.is_finished() {
                break;
            }
            let input = loop {
                tokio::select! {
                    Some(input) = ended.recv() => break input,
                    Some(said) = control.recv() => break match said {
                        Control::Answer(yes) => Input::Answer(yes),
                        Control::Unanswered => Input::Unanswered,
                        Control::Cancel => Input::Cancel,
                        Control::Order(order) => Input::Order(order),
                    },
                    () = sleep_until(wake) => {
                        wake = None;
                        break Input::Wake;
                    }
                    () = tokio::time::sleep(STILL_THERE_EVERY) => journal.note(RunEntry::StillThere),
                }
            };
            commands = step_and_keep(&mut machine, input, &journal).await;
        }
        workers.end().await;
        shared.beside.until_all_is_told().await;
        let tidying = async move { shared.clean_up().await }.boxed();
        let (outcomes, findings) = (machine.outcomes_of_changeable(), machine.errors().to_vec());
        Ended { outcomes, findings, tidying }
    }
}

/// Says what a run is, before it begins.
async fn begun(
    run: &RunId,
    setup: Setup,
    hosts_file: Option<String>,
    flake: Option<&str>,
) -> Begun {
    let evaluated: Vec<_> = setup.hosts.iter().filter(|host| host.is_evaluated()).collect();
    // What hosts are given was not built from what the flake says now.
    let is_used = evaluated.iter().any(|host| host.flake.is_none());
    let source = match flake.filter(|_| is_used) {
        Some(flake) => flake_source(flake).await,
        None => None,
    };
    let own: BTreeSet<&String> = evaluated.iter().filter_map(|host| host.flake.as_ref()).collect();
    let mut own_sources = BTreeMap::new();
    for flake in own {
        own_sources.extend(flake_source(flake).await.map(|source| (flake.clone(), source)));
    }
    let findings = source.as_ref().map(|source| of_source(&run.0, source, Timestamp::now()));
    let (nixdash, findings) = (NIXDASH_VERSION.to_owned(), findings.unwrap_or_default());
    Begun { run: run.clone(), nixdash, setup, source, own_sources, findings, hosts_file }
}

/// Begins a run; returns its machine and the first commands.
async fn begin_with(begun: &Begun, journal: &RunJournal) -> (Machine, Vec<MachineCommand>) {
    let now = Timestamp::now();
    let mut machine = begun.machine(now);
    journal.keep(now, RunEntry::Begun(Box::new(begun.clone())), Survives::Kill).await;
    let commands = step_and_keep(&mut machine, Input::Begin, journal).await;
    (machine, commands)
}

/// Goes on with a run, of which its machine knows; returns that and the commands that were not carried out to
/// their end.
async fn gone_on_with(
    replayed: Replayed,
    now: Timestamp,
    journal: &RunJournal,
) -> (Machine, Vec<MachineCommand>) {
    let entry = RunEntry::GoneOnWith { process: std::process::id() };
    journal.keep(now, entry, Survives::Kill).await;
    let is_started = replayed.is_started;
    let mut commands = replayed.open_commands();
    let mut machine = replayed.machine;
    if !is_started {
        commands.extend(step_and_keep(&mut machine, Input::Begin, journal).await);
    }
    (machine, commands)
}

/// Tells the machine something, and writes it into the journal before what follows from it is
/// carried out.
async fn step_and_keep(
    machine: &mut Machine,
    input: Input,
    journal: &RunJournal,
) -> Vec<MachineCommand> {
    let now = Timestamp::now();
    let entry = RunEntry::Input(input.clone());
    let commands = machine.step(input, now);
    let changes_a_host = commands.iter().any(|command| match command {
        MachineCommand::Run { phase, .. } => *phase >= Phase::Activate,
        MachineCommand::Abort { .. } => true,
        MachineCommand::Prepare { .. }
        | MachineCommand::Conclude { .. }
        | MachineCommand::Stop { .. }
        | MachineCommand::Ask { .. }
        | MachineCommand::Claim { .. }
        | MachineCommand::Release { .. }
        | MachineCommand::WakeAt(_)
        | MachineCommand::Tell(_)
        | MachineCommand::Finish => false,
    });
    let survives = if changes_a_host { Survives::PowerCut } else { Survives::Kill };
    journal.keep(now, entry, survives).await;
    commands
}

/// Sleeps until a time; without end where there is none.
async fn sleep_until(at: Option<Timestamp>) {
    match at {
        Some(at) => {
            let left = at.duration_since(Timestamp::now()).try_into().unwrap_or_default();
            tokio::time::sleep(left).await;
        }
        None => std::future::pending().await,
    }
}

/// A host's system as its flake says now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluated {
    /// The host.
    pub host: String,
    /// The host that builds it; the derivation is valid there.
    pub build_on: String,
    /// The derivation.
    pub drv: StorePath,
    /// The system.
    pub toplevel: StorePath,
}

/// Evaluates systems as a run does, and does nothing else; one answer per host of the setup.
///
/// Takes seconds to minutes. What is evaluated here is copied to where it is built.
pub async fn evaluate_only(
    fleet: Arc<Fleet>,
    runner: Arc<dyn ScriptRunner>,
    setup: &Setup,
    kept: Option<KeptEvaluations>,
) -> Vec<(String, Result<Evaluated, Failure>)> {
    // Nobody hears what is logged: what goes wrong is in the answer.
    let run = RunId("evaluation".to_owned());
    let tag = format!("run-evaluation-{}", std::process::id());
    let teller = Teller::new(run.clone(), Arc::new(drop));
    let newest: Newest = Arc::new(|_| None);
    let shared = RunContext::new(fleet, runner, run, tag, setup, teller).knowing(newest);
    let shared = Arc::new(shared.keeping(kept));
    let all = setup.hosts.iter().map(|host| {
        let (shared, host, known) = (Arc::clone(&shared), host.clone(), RunFacts::default());
        let step = Step::new(shared, host, Phase::Evaluate, known);
        async move {
            let result = step.carry_out().await.and_then(|report| evaluated(&step.host, report));
            (step.host.name, result)
        }
    });
    let found = join_all(all).await;
    shared.clean_up().await;
    found
}

/// Reads the report of an evaluation.
fn evaluated(host: &HostSetup, report: Report) -> Result<Evaluated, Failure> {
    let text = format!("{}: nothing was evaluated", host.name);
    let odd = || Failure::failed(Code::InternalError, text.clone());
    let Report::Evaluated { drv, toplevel } = report else { return Err(odd()) };
    let drv = StorePath::parse(&drv).map_err(|_| odd())?;
    let (host, build_on) = (host.name.clone(), host.build_on().to_owned());
    Ok(Evaluated { host, build_on, drv, toplevel })
}

/// Carries out one phase of one host, unless it is stopped.
async fn carry_out(step: Step, done: mpsc::Sender<Input>) {
    let (host, phase) = (step.host.name.clone(), step.phase);
    let result = if step.stop.is_cancelled() {
        stop_left(&step).await
    } else {
        let work = step.carry_out();
        tokio::pin!(work);
        tokio::select! {
            // What ends because of it has nothing of its own to say.
            biased;
            () = step.stop.cancelled() => stop(&step, work).await,
            result = &mut work => {
                log_failure(&step, result.as_ref().err());
                result
            }
        }
    };
    // The engine's loop outlives every step.
    drop(done.send(Input::Done { host, phase, result }).await);
}

/// Runs the hooks before a host begins to change, unless they are stopped.
async fn prepare(step: Step, done: mpsc::Sender<Input>) {
    let (host, phase) = (step.host.name.clone(), step.phase);
    let result = tokio::select! {
        // Of one that was told to stop before it began no hook runs.
        biased;
        () = step.stop.cancelled() => Err(stopped()),
        result = hooks::prepare(&step) => {
            log_failure(&step, result.as_ref().err());
            result
        }
    };
    // The engine's loop outlives every step.
    drop(done.send(Input::Prepared { host, phase, result }).await);
}

/// Runs the hooks after an attempt of a host ended so.
async fn conclude(step: Step, outcome: Outcome, done: mpsc::Sender<Input>) {
    let host = step.host.name.clone();
    let result = hooks::conclude(&step, outcome).await;
    let failure = result.as_ref().err().map(|reason| Failure { outcome, reason: reason.clone() });
    log_failure(&step, failure.as_ref());
    // The engine's loop outlives every step.
    drop(done.send(Input::Concluded { host, result }).await);
}

/// Logs why a host's phase, or what comes before it, failed. Why one was stopped is said by who stopped it.
fn log_failure(step: &Step, failure: Option<&Failure>) {
    let Some(failure) = failure else { return };
    // That a host which is tried again is away stands in its log already.
    let is_tried_again = step.phase == Phase::Preflight && step.known.was_away;
    if is_tried_again && failure.outcome == Outcome::Offline {
        return;
    }
    let line = without_name(&step.host.name, &failure.reason.to_string()).to_owned();
    step.shared.teller.tell(RunWhat::log(step.host.name.clone(), step.phase, line));
}

/// Stops a phase that was told to stop before it began here: an earlier process may have started its jobs.
async fn stop_left(step: &Step) -> Result<Report, Failure> {
    let jobs = step.shared.resumed.iter().flat_map(|resumed| resumed.jobs_of(step));
    let jobs: Vec<Job> = jobs.collect();
    // A host that does not answer ends its job by itself.
    drop(tokio::time::timeout(STOP_LIMIT, join_all(jobs.iter().map(Job::stop))).await);
    Err(stopped())
}

/// Stops a phase. A job that is just being started is stopped as soon as it is there, so the work
/// goes on until it has seen the job's end.
async fn stop(
    step: &Step,
    mut work: Pin<&mut impl Future<Output = Result<Report, Failure>>>,
) -> Result<Report, Failure> {
    if step.running_job().is_none() {
        return Err(stopped());
    }
    let stopping = async {
        // It may be another one than a moment ago: one that was about to begin when this was told.
        while let Some(job) = step.running_job() {
            job.stop().await;
            tokio::time::sleep(STOP_AGAIN).await;
        }
    };
    let own = async {
        tokio::select! {
            _ = &mut work => {}
            () = stopping => {}
            () = tokio::time::sleep(STOP_LIMIT) => {}
        }
    };
    tokio::join!(own, stop_left(step)).1
}

/// Returns the failure of a phase that was told to stop.
fn stopped() -> Failure {
    Failure::failed(Code::RunStopped, STOPPED)
}

#[cfg(test)]
mod tests;
