//! One phase of one host, and what all phases of a run share.

use super::ahead::{Ahead, Beside};
use super::evaluate::{Arrived, Batch, Evaluating, FlakeCommit, NoCommit, Packed};
use super::journaling::{RunJournal, Survives};
use super::lost::lost;
use super::once::OnceEach;
use super::push::PushWay;
use super::resumed::{Resumed, goes_on};
use super::scripts::{DIFF, TIDY, WORD};
use super::stores::OnlyStores;
use super::supervised::Supervised;
use super::telling::TellingRunner;
use super::{
    Listener, Newest, acknowledge, activate, budget, build, check, evaluate, fetch, hooks, persist,
    preflight, reboot, room, settle, verify, wake,
};
use crate::deploy::{Failure, HostSetup, JobNote, Reason, Report, RunEntry, RunFacts, Setup};
use crate::fleet::{
    Code, FlakeSource, Fleet, Goal, Host, Phase, Progress, RunEvent, RunId, RunWhat, StorePath,
    Strategy, TakenRoute, Tier, printable_line,
};
use crate::record::KeptEvaluations;
use crate::remote::job::{Job, LineSink};
use crate::remote::{Output, RemoteError, Script, ScriptRunner, Trouble};
use futures_util::future::join_all;
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex, OnceCell};
use tokio::task::coop::consume_budget;
use tokio::time::Instant;

/// How long cleaning up on a host may take.
const CLEAN_UP_LIMIT: Duration = Duration::from_secs(5);

/// How often it is noted how far the log of a job was read. What was read is in the run's folder
/// after that time, unless the disk hangs.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// Tells everybody what happens in a run.
#[derive(Clone)]
pub(super) struct Teller {
    run: RunId,
    listener: Listener,
}

impl Teller {
    pub(super) fn new(run: RunId, listener: Listener) -> Self {
        Self { run, listener }
    }

    /// Tells something; never waits, whoever listens.
    pub(super) fn tell(&self, what: RunWhat) {
        self.tell_at(Timestamp::now(), what);
    }

    /// Tells something that happened at another time.
    pub(super) fn tell_at(&self, at: Timestamp, what: RunWhat) {
        (self.listener)(RunEvent { run: self.run.clone(), at, what });
    }
}

/// What all steps of a run share.
pub(super) struct RunContext {
    pub(super) fleet: Arc<Fleet>,
    pub(super) runner: Arc<dyn ScriptRunner>,
    pub(super) run: RunId,
    pub(super) teller: Teller,
    /// What evaluates on hosts, by host; on this machine by an empty name.
    pub(super) evaluating: OnceEach<String, Arc<Evaluating>>,
    /// The commit that each flake is, by flake.
    pub(super) commits: OnceEach<String, Result<Arc<FlakeCommit>, NoCommit>>,
    /// Whether the lock file of a flake names all of its inputs, by place and reference.
    pub(super) whole_locks: OnceEach<String, bool>,
    /// By which way hosts get their systems, where that is another one than planned, by host.
    pub(super) routes: std::sync::Mutex<HashMap<String, TakenRoute>>,
    /// For which systems builders build, by builder.
    pub(super) builders: OnceEach<String, Result<Vec<String>, String>>,
    /// How builders reach targets, by target.
    pub(super) pushes: OnceEach<String, Arc<PushWay>>,
    /// The stores that hosts take paths from where no cache is asked, by host.
    pub(super) stores: OnceEach<String, Arc<OnlyStores>>,
    /// Whether no cache is asked.
    pub(super) skips_caches: bool,
    /// Systems that are evaluated together, by host and flake.
    pub(super) batches: OnceEach<(String, String), Batch>,
    /// What was evaluated by earlier runs; none where nothing is kept.
    pub(super) kept: Option<KeptEvaluations>,
    /// The source of each flake, packed to be sent; nothing of one that hosts fetch by themselves.
    pub(super) packed: OnceEach<String, Option<Packed>>,
    /// The sources of flakes on hosts that evaluate, by host and flake.
    pub(super) sources: OnceEach<(String, String), Arrived>,
    /// Knows what was confirmed for a host in later runs.
    pub(super) newest: Newest,
    /// What tells this run's jobs from those of another operator's run of the same number.
    pub(super) tag: String,
    /// The hosts that have something of this run: jobs or roots.
    used: std::sync::Mutex<BTreeSet<String>>,
    /// What is deployed, where that is known here.
    pub(super) source: Option<FlakeSource>,
    /// Whether a host is refused that runs a revision which the new one does not contain: nobody is
    /// asked, and nobody said that it may be so.
    pub(super) refuses_older: bool,
    /// Whether a host that runs a specialisation gets the system itself.
    pub(super) without_specialisation: bool,
    /// What goes on beside the phases.
    pub(super) beside: Beside,
    /// Whether machines that slept are awake now, by host: each is woken once.
    pub(super) woken: Mutex<HashMap<String, Arc<OnceCell<bool>>>>,
    /// Whether somebody looks at the plan before it is carried out.
    pub(super) asks: bool,
    /// The supervisors, by host: their logs are followed through several phases.
    pub(super) supervisors: Mutex<HashMap<String, Supervised>>,
    /// Where everything is written from which the run can be gone on with.
    pub(super) journal: RunJournal,
    /// What an earlier process left, of a run that is gone on with.
    pub(super) resumed: Option<Resumed>,
    /// How far the logs of jobs were read, by the job's name.
    read: std::sync::Mutex<HashMap<String, ReadSoFar>>,
    /// Which attempt of a host goes on, where it is not the first: a job is never started twice, so
    /// each attempt has jobs of its own.
    attempts: std::sync::Mutex<HashMap<String, u32>>,
}

/// How far the log of a job was read at a time; noted a while later.
struct ReadSoFar {
    at: Instant,
    offset: u64,
}

impl RunContext {
    /// Forgets the way that another attempt of a host took.
    pub(super) fn forget_route(&self, host: &str) {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner).remove(host);
    }

    /// Notes that a host has something of this run, to be removed at the end.
    pub(super) fn note_use(&self, host: &str) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned());
    }

    /// Returns the name of a job of this run.
    pub(super) fn job_name(&self, job: &str, host: &str) -> String {
        let attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        match attempts.get(host) {
            Some(attempt) if *attempt > 1 => format!("{}-{job}-{host}-{attempt}", self.tag),
            Some(_) | None => format!("{}-{job}-{host}", self.tag),
        }
    }

    /// Notes which attempt of a host goes on now.
    pub(super) fn note_attempt(&self, host: &str, attempt: u32) {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.insert(host.to_owned(), attempt);
    }

    /// Tells the supervisor of a host to go back. One that has not begun yet is told by the phase
    /// that reads what it decided.
    pub(super) async fn abort(&self, host: &str, why: &Reason) -> Result<Output, RemoteError> {
        let job = self.job_name("activate", host);
        let script = Script::new(WORD).root().arg(job).arg(why.abort_word());
        self.runner.run(host, &script).await
    }

    /// Notes how far the log of a job was read, now and then and with some delay: whoever goes on with
    /// the run reads a few lines twice rather than none.
    pub(super) fn note_read(&self, job: &str, offset: u64) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(so_far) = read.get_mut(job) else {
            read.insert(job.to_owned(), ReadSoFar { at: Instant::now(), offset });
            return;
        };
        if so_far.at.elapsed() >= NOTE_EVERY {
            let offset = std::mem::replace(&mut so_far.offset, offset);
            so_far.at = Instant::now();
            self.journal.note(RunEntry::Read { job: job.to_owned(), offset });
        }
    }

    /// Makes what the steps of a run share.
    pub(super) fn new(
        fleet: Arc<Fleet>,
        runner: Arc<dyn ScriptRunner>,
        run: RunId,
        tag: String,
        setup: &Setup,
        teller: Teller,
    ) -> Self {
        let is_asked = setup.asks || !setup.goal.changes();
        Self {
            fleet,
            runner,
            tag,
            run,
            newest: Arc::new(|_| None),
            teller,
            evaluating: OnceEach::default(),
            commits: OnceEach::default(),
            whole_locks: OnceEach::default(),
            routes: std::sync::Mutex::default(),
            builders: OnceEach::default(),
            pushes: OnceEach::default(),
            batches: OnceEach::default(),
            stores: OnceEach::default(),
            skips_caches: setup.skip_caches,
            kept: None,
            packed: OnceEach::default(),
            sources: OnceEach::default(),
            used: std::sync::Mutex::default(),
            source: None,
            refuses_older: !is_asked && !setup.allowed.older,
            without_specialisation: setup.allowed.without_specialisation,
            woken: Mutex::default(),
            asks: setup.asks,
            supervisors: Mutex::default(),
            journal: RunJournal::none(),
            resumed: None,
            read: std::sync::Mutex::default(),
            beside: Beside::default(),
            attempts: std::sync::Mutex::default(),
        }
    }

    /// Knows what was confirmed for hosts in later runs.
    pub(super) fn knowing(self, newest: Newest) -> Self {
        Self { newest, ..self }
    }

    /// Uses what earlier runs evaluated, and keeps what this one evaluates.
    pub(super) fn keeping(self, kept: Option<KeptEvaluations>) -> Self {
        Self { kept, ..self }
    }

    /// Writes what happens into this journal.
    pub(super) fn with_journal(self, journal: RunJournal) -> Self {
        Self { journal, ..self }
    }

    /// Deploys this source.
    pub(super) fn with_source(self, source: Option<FlakeSource>) -> Self {
        Self { source, ..self }
    }

    /// Goes on with what an earlier process left.
    pub(super) fn with_resumed(self, resumed: Option<Resumed>) -> Self {
        for host in resumed.iter().flat_map(Resumed::used) {
            self.note_use(host);
        }
        Self { resumed, ..self }
    }

    /// Removes what the run left on hosts: the flake's source, the folders of ended jobs, and roots.
    /// Returns the hosts that keep something, since they did not answer.
    pub(super) async fn clean_up(&self) -> Vec<String> {
        let sources = self.sources.all();
        let arrived = |((host, _), cell): &((String, String), Arc<OnceCell<Arrived>>)| {
            Some((host.clone(), cell.get()?.clone()))
        };
        let discard = sources.iter().filter_map(arrived).collect::<Vec<_>>();
        let runner = self.runner.as_ref();
        let discard =
            discard.iter().map(|(host, source)| evaluate::discard(runner, host, &source.folder));
        self.beside.settle().await;
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let tidied = tidy(self.runner.as_ref(), &self.tag, used.into_iter().collect());
        tokio::join!(join_all(discard), tidied).1
    }
}

/// Removes what a run left on hosts, by what its jobs and roots are called; returns the hosts that
/// keep it, since they did not answer.
pub async fn tidy(runner: &dyn ScriptRunner, tag: &str, hosts: Vec<String>) -> Vec<String> {
    let all = hosts.into_iter().map(|host| async move {
        let script = Script::new(TIDY).root().limit(CLEAN_UP_LIMIT).arg(tag);
        let done = runner.run(&host, &script).await.is_ok_and(|output| output.is_ok());
        (!done).then_some(host)
    });
    join_all(all).await.into_iter().flatten().collect()
}

/// One phase of one host.
#[derive(Clone)]
pub(super) struct Step {
    pub(super) shared: Arc<RunContext>,
    pub(super) host: HostSetup,
    pub(super) phase: Phase,
    pub(super) known: RunFacts,
    /// Runs scripts, and tells which.
    pub(super) runner: Arc<dyn ScriptRunner>,
}

impl Step {
    /// Makes a phase of a host.
    pub(super) fn new(
        shared: Arc<RunContext>,
        host: HostSetup,
        phase: Phase,
        known: RunFacts,
    ) -> Self {
        let (inner, teller) = (Arc::clone(&shared.runner), shared.teller.clone());
        let runner = Arc::new(TellingRunner::new(inner, teller, &host.name, phase));
        Self { shared, host, phase, known, runner }
    }

    /// Carries the phase out, or waits for its end where it was begun ahead.
    pub(super) async fn carry_out(&self) -> Result<Report, Failure> {
        let beside = &self.shared.beside;
        if let Some(begun) = beside.take(self) {
            return begun.await.unwrap_or_else(|_| Err(self.internal("its task was stopped")));
        }
        let evaluates = self.phase == Phase::Preflight && self.host.given.is_none();
        let ahead = if evaluates && self.host.asked != Strategy::Auto {
            beside.begin(self, Phase::Evaluate)
        } else {
            None
        };
        let result = self.carry_out_itself().await;
        if result.is_ok() {
            ahead.into_iter().for_each(Ahead::keep);
        }
        result
    }

    /// Carries the phase out.
    pub(super) async fn carry_out_itself(&self) -> Result<Report, Failure> {
        // What an earlier process began goes on, whatever became of its places meanwhile.
        if !goes_on(self) {
            if let Some(failure) = self.lost_its_place().await {
                return Err(failure);
            }
            hooks::before(self).await?;
        }
        let report = self.carry_out_phase().await?;
        hooks::after(self, report).await
    }

    /// Carries the phase out, without hooks.
    async fn carry_out_phase(&self) -> Result<Report, Failure> {
        match self.phase {
            Phase::Preflight => tokio::join!(preflight::preflight(self), wake::builder(self)).0,
            Phase::Evaluate => {
                wake::builder(self).await;
                evaluate::evaluate(self).await
            }
            Phase::Compare => build::compare(self).await,
            Phase::Build => build::build(self).await,
            Phase::Publish => self.publish().await,
            Phase::Verify => verify::verify(self).await,
            Phase::Fetch => {
                room::before_fetch(self).await?;
                fetch::fetch(self).await
            }
            Phase::Diff => {
                // What differs is told while it is activated.
                let step = self.clone();
                self.shared.beside.go_on(async move { drop(step.diff().await) });
                room::before_activation(self).await?;
                Ok(Report::Done)
            }
            Phase::Activate => activate::activate(self).await,
            Phase::Acknowledge => acknowledge::acknowledge(self).await,
            Phase::Check => check::check(self).await,
            Phase::Settle => settle::settle(self).await,
            Phase::Persist => persist::persist(self).await,
            Phase::Reboot => reboot::reboot(self).await,
        }
    }

    /// Looks, before a host begins to change, whether its places in budgets are still its own.
    async fn lost_its_place(&self) -> Option<Failure> {
        let begins = match self.host.goal {
            Goal::Boot => Phase::Persist,
            Goal::Build | Goal::Switch | Goal::Test | Goal::DryActivate | Goal::Rollback => {
                Phase::Activate
            }
        };
        if self.phase != begins || !self.host.goal.changes() {
            return None;
        }
        let budgets = self.shared.fleet.budgets.iter();
        let budgets = budgets.filter(|budget| self.host.tags.contains(&budget.tag));
        let names: Vec<String> = budgets.map(|budget| budget.name.clone()).collect();
        if names.is_empty() { None } else { budget::is_lost(self, &names).await }
    }

    /// Returns the job that the phase runs; only phases before activate are ever stopped.
    pub(super) fn running_job(&self) -> Option<Job> {
        match self.phase {
            Phase::Build => Some(build::job(self)),
            Phase::Fetch => Some(fetch::job(self)),
            Phase::Preflight
            | Phase::Evaluate
            | Phase::Compare
            | Phase::Publish
            | Phase::Verify
            | Phase::Diff
            | Phase::Activate
            | Phase::Acknowledge
            | Phase::Check
            | Phase::Settle
            | Phase::Persist
            | Phase::Reboot => None,
        }
    }

    /// Publishes the system; a server that serves the builder's store has it already.
    async fn publish(&self) -> Result<Report, Failure> {
        let tier = self.tier()?;
        self.log(&format!(
            "{} serves the store of {}: nothing to upload",
            tier.name,
            self.host.build_on()
        ))
        .await;
        Ok(Report::Done)
    }

    /// Shows what differs from the running system. A target that cannot say is no failure.
    async fn diff(&self) -> Result<Report, Failure> {
        let (Some(running), toplevel) = (&self.known.preflight.running, self.toplevel()?) else {
            return Ok(Report::Done);
        };
        if running == toplevel {
            self.log("the running system is the same").await;
            return Ok(Report::Done);
        }
        let script = Script::new(DIFF).arg(running.as_str()).arg(toplevel.as_str());
        let output = self.run(&self.host.name, &script).await?;
        if !output.is_ok() {
            self.log(&format!("no closure diff: {}", output.complaint())).await;
            return Ok(Report::Done);
        }
        for line in output.stdout.lines() {
            self.log(line).await;
        }
        Ok(Report::Done)
    }

    /// Logs a line of this phase; what came from a host is made printable.
    pub(super) async fn log(&self, line: &str) {
        let line = printable_line(line);
        let host = self.host.name.clone();
        self.shared.teller.tell(RunWhat::Log { host, phase: self.phase, line });
        // A phase that logs without end lets the others have their turn.
        consume_budget().await;
    }

    /// Tells how far the phase is.
    pub(super) async fn progress(&self, progress: Progress) {
        let host = self.host.name.clone();
        self.shared.teller.tell(RunWhat::Progress { host, phase: self.phase, progress });
        consume_budget().await;
    }

    /// Runs a script on a host of the fleet.
    ///
    /// All of these scripts may run twice: one whose connection broke is run once more.
    pub(super) async fn run(&self, host: &str, script: &Script) -> Result<Output, Failure> {
        let mut result = self.runner.run(host, script).await;
        if let Err(error) = &result
            && error.trouble == Trouble::Lost
        {
            self.log(&format!("connection lost, trying again: {}", error.cause)).await;
            result = self.runner.run(host, script).await;
        }
        result.map_err(|error| lost(&error))
    }

    /// Says that it is the builder which cannot be reached, and not the target.
    pub(super) fn about_builder(&self, failure: Failure) -> Failure {
        if self.host.build_on() == self.host.name {
            return failure;
        }
        let Reason { code, text } = failure.reason;
        Failure::failed(code, format!("{} cannot be built: {text}", self.host.name))
    }

    /// Returns the failure of a step that lacks what an earlier one must have left.
    fn internal(&self, what: &str) -> Failure {
        Failure::failed(Code::InternalError, format!("{}: {what}", self.host.name))
    }

    /// Returns the host's configuration.
    pub(super) fn config(&self) -> Result<&Host, Failure> {
        let found = self.shared.fleet.host(&self.host.name);
        found.ok_or_else(|| self.internal("no such host in the fleet"))
    }

    /// Returns the flake that the host's configuration is in.
    pub(super) fn flake(&self) -> &str {
        let fleet = &self.shared.fleet;
        let own = fleet.host(&self.host.name).and_then(|host| fleet.flake_of(host));
        own.unwrap_or_default()
    }

    /// Returns the tier that the host pulls from.
    pub(super) fn tier(&self) -> Result<&Tier, Failure> {
        let taken = self.taken();
        let tier = taken.route.tier().and_then(|name| self.shared.fleet.tier(name));
        tier.ok_or_else(|| self.internal("no tier to pull from"))
    }

    /// Returns the system to come.
    pub(super) fn toplevel(&self) -> Result<&StorePath, Failure> {
        self.known.toplevel.as_ref().ok_or_else(|| self.internal("nothing was evaluated"))
    }

    /// Returns the derivation of the system to come.
    pub(super) fn drv(&self) -> Result<&str, Failure> {
        self.known.drv.as_deref().ok_or_else(|| self.internal("nothing was evaluated"))
    }

    /// Names a job of this phase.
    pub(super) fn job(&self, host: &str, name: &str) -> Job {
        let runner = Arc::clone(&self.runner);
        let job = Job::new(runner, host, &self.shared.job_name(name, &self.host.name));
        self.shared.note_use(host);
        job
    }

    /// Names a job of this phase that is started next; that it may be there stands in the journal before.
    pub(super) async fn job_to_start(&self, host: &str, name: &str) -> Job {
        let job = self.job(host, name);
        let note = JobNote {
            name: job.name().to_owned(),
            host: self.host.name.clone(),
            phase: self.phase,
            on: host.to_owned(),
            folder: job.dir(),
            unit: job.unit(),
        };
        let entry = RunEntry::Job(note);
        self.shared.journal.keep(Timestamp::now(), entry, Survives::Kill).await;
        job
    }

    /// Returns up to which byte the log of a job that was there before stands in the run's folder.
    pub(super) fn read_before(&self, job: &Job) -> u64 {
        let resumed = self.shared.resumed.as_ref().filter(|_| job.was_there());
        resumed.map_or(0, |resumed| resumed.read(job.name()))
    }

    /// Returns the root of this run's build of the host, where it is built.
    pub(super) fn build_root(&self) -> String {
        format!("/nix/var/nix/gcroots/nixdash/{}.{}", self.host.name, self.shared.tag)
    }

    /// Returns the root of what this run fetches, on the target.
    pub(super) fn fetch_root(&self) -> String {
        format!("/nix/var/nix/gcroots/nixdash/fetched.{}", self.shared.tag)
    }

    /// Takes the host's supervisor, which another phase kept.
    pub(super) async fn take_supervised(&self) -> Result<Supervised, Failure> {
        let name = &self.host.name;
        let kept = self.shared.supervisors.lock().await.remove(name);
        let kept = kept.or_else(|| self.shared.resumed.as_ref()?.supervised(self));
        kept.ok_or_else(|| self.internal("its supervisor was not started"))
    }

    /// Keeps the host's supervisor for the next phase.
    pub(super) async fn keep_supervised(&self, supervised: Supervised) {
        let name = self.host.name.clone();
        self.shared.supervisors.lock().await.insert(name, supervised);
    }
}

/// Logs every line as it is.
pub(super) struct PlainLog<'a>(pub(super) &'a Step);

impl LineSink for PlainLog<'_> {
    async fn take(&mut self, line: &str) {
        self.0.log(line).await;
    }

    fn read_to(&mut self, job: &str, offset: u64) {
        self.0.shared.note_read(job, offset);
    }
}
