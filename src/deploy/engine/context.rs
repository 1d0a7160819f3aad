//! What all phases of a run share, and what is removed from hosts at its end.

use super::ahead::Beside;
use super::edges::Edges;
use super::evaluate::{
    self, Arrived, Batch, DerivationTurns, Evaluating, FlakeCommit, NoCommit, Packed,
};
use super::journaling::RunJournal;
use super::once::{ByKey, OnceEach, SharedAnswer};
use super::push_way::PushWay;
use super::read_settings::ReadSettings;
use super::resumed::Resumed;
use super::routes::WayNow;
use super::scripts::{TIDY, WORD};
use super::step::Step;
use super::stores::OnlyStores;
use super::supervised::Supervised;
use super::systems::UnknownSystems;
use super::telling::{Teller, TellingRunner, ToldScripts};
use super::wake::LastWake;
use super::{Newest, PackageTimes};
use crate::deploy::{HostSetup, Reason, RunEntry, Setup};
use crate::fleet::{DeployedFrom, FlakeSource, Fleet, Phase, RunId, StorePath, UsualBuilds};
use crate::record::{KeptEvaluations, RunStreams};
use crate::remote::{Output, RemoteError, Script, ScriptRunner};
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;

/// How long cleaning up on a host may take.
const CLEAN_UP_LIMIT: Duration = Duration::from_secs(5);

/// How often it is noted how far the log of a job was read. What was read is in the run's folder
/// after that time, unless the disk hangs.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// What all steps of a run share.
pub(super) struct RunContext {
    pub(super) fleet: Arc<Fleet>,
    pub(super) runner: Arc<dyn ScriptRunner>,
    pub(super) run: RunId,
    pub(super) teller: Teller,
    /// Which scripts were told that run beside the phases of hosts: of gates, budgets, and orders to go back.
    told_beside: Arc<ToldScripts>,
    /// What evaluates on hosts, by host; on this machine by an empty name.
    pub(super) evaluating: OnceEach<String, Arc<Evaluating>>,
    /// The commit that each flake is, by flake.
    pub(super) commits: OnceEach<String, Result<Arc<FlakeCommit>, NoCommit>>,
    /// Whether the lock file of a flake names all of its inputs, by place and reference.
    pub(super) whole_locks: OnceEach<String, bool>,
    /// By which way hosts get their systems, where that is another one than planned, by host.
    pub(super) ways: std::sync::Mutex<HashMap<String, WayNow>>,
    /// For which systems builders build, by builder.
    pub(super) builders: ByKey<String, SharedAnswer<Vec<String>, UnknownSystems>>,
    /// The turns of copies of derivations, by the host that they are copied to.
    pub(super) derivation_turns: ByKey<String, DerivationTurns>,
    /// How many copies from the builder broke off in this attempt, by target.
    pub(super) broken_copies: ByKey<String, AtomicUsize>,
    /// How builders reach targets, by target.
    pub(super) pushes: OnceEach<String, Arc<PushWay>>,
    /// The stores that hosts take paths from where no cache is asked, by host.
    pub(super) stores: OnceEach<String, Arc<OnlyStores>>,
    /// Whether no cache is asked.
    pub(super) skips_caches: bool,
    /// Systems that are evaluated together, by host and flake.
    pub(super) batches: OnceEach<(String, String), Batch>,
    /// Which derivation needs which, of those that are built, by host and attempt.
    pub(super) edges: OnceEach<(String, u32), Edges>,
    /// Knows how long packages usually take; asked once for each host that builds.
    package_times: PackageTimes,
    /// What it said, by host.
    usual_builds: OnceEach<String, Arc<UsualBuilds>>,
    /// What was evaluated by earlier runs; none where nothing is kept.
    pub(super) kept: Option<KeptEvaluations>,
    /// The source of each flake, packed to be sent; nothing for one that hosts fetch by themselves.
    pub(super) packed: OnceEach<String, Option<Packed>>,
    /// The sources of flakes on hosts that evaluate, by host and flake.
    pub(super) sources: OnceEach<(String, String), Arrived>,
    /// Knows what was confirmed for a host in later runs.
    pub(super) newest: Newest,
    /// What tells this run's jobs from those of another operator's run of the same number.
    pub(super) tag: String,
    /// What systems were built from that hosts are given, as builders remember it, by builder and system.
    pub(super) built_from: OnceEach<(String, StorePath), Option<DeployedFrom>>,
    /// The settings of Nix on targets, as preflight read them.
    pub(super) settings: ReadSettings,
    /// The hosts that have something of this run: jobs or roots.
    used: std::sync::Mutex<BTreeSet<String>>,
    /// The hosts on which roots of this run become lasting ones behind the phases.
    keeping: std::sync::Mutex<BTreeSet<String>>,
    /// The hosts that answered in this run.
    answered: std::sync::Mutex<BTreeSet<String>>,
    /// The hosts whose systems compare found built and rooted, with the attempt.
    rooted: std::sync::Mutex<BTreeSet<(String, u32)>>,
    /// What is deployed, where that is known here.
    source: Option<FlakeSource>,
    /// The same of the flakes that hosts have of their own; by flake.
    own_sources: BTreeMap<String, FlakeSource>,
    /// Whether a host is refused that runs a revision which the new one does not contain: nobody is
    /// asked, and nobody said that it may be so.
    pub(super) refuses_older: bool,
    /// Whether a host that runs a specialisation gets the system itself.
    pub(super) without_specialisation: bool,
    /// Whether hosts have begun to change with their places in budgets, by host; locked while somebody looks at
    /// those places.
    pub(super) begun: ByKey<String, Mutex<bool>>,
    /// What was told to be run for the preflight of hosts, by host.
    preflight_scripts: ByKey<String, ToldScripts>,
    /// What goes on beside the phases.
    pub(super) beside: Beside,
    /// When machines that slept were woken last, by host.
    pub(super) woken: ByKey<String, LastWake>,
    /// Whether somebody looks at the plan before it is carried out.
    pub(super) asks: bool,
    /// The supervisors, by host: their logs are followed through several phases.
    pub(super) supervisors: Mutex<HashMap<String, Supervised>>,
    /// Where everything is written from which the run can be gone on with.
    pub(super) journal: RunJournal,
    /// What an earlier process left, of a run that is gone on with.
    pub(super) resumed: Option<Resumed>,
    /// Where what jobs of Nix print is kept.
    pub(super) streams: Option<RunStreams>,
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
        self.ways.lock().unwrap_or_else(PoisonError::into_inner).remove(host);
    }

    /// Returns what was told to be run for the preflight of a host: nothing, unless it is tried again since it is away.
    pub(super) fn told_of_preflight(&self, host: &str, was_away: bool) -> Arc<ToldScripts> {
        let told = self.preflight_scripts.cell(host);
        if !was_away {
            told.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        told
    }

    /// Notes that a host has something of this run, to be removed at the end.
    pub(super) fn note_use(&self, host: &str) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned());
    }

    /// Notes that roots of this run become lasting ones on a host, which is tidied up when that is done.
    pub(super) fn note_keeping(&self, host: &str) {
        self.keeping.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned());
    }

    /// Notes that a host answered.
    pub(super) fn note_answer(&self, host: &str) {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        if !answered.contains(host) {
            answered.insert(host.to_owned());
        }
    }

    /// Returns whether a host answered in this run.
    pub(super) fn has_answered(&self, host: &str) -> bool {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner).contains(host)
    }

    /// Notes that the system of a host is built and rooted where it is built.
    pub(super) fn note_rooted(&self, host: &str, attempt: u32) {
        let mut rooted = self.rooted.lock().unwrap_or_else(PoisonError::into_inner);
        rooted.insert((host.to_owned(), attempt));
    }

    /// Returns whether that was noted in this attempt of the host.
    pub(super) fn is_rooted(&self, host: &str, attempt: u32) -> bool {
        let rooted = self.rooted.lock().unwrap_or_else(PoisonError::into_inner);
        rooted.contains(&(host.to_owned(), attempt))
    }

    /// Returns the name of a job of this run.
    pub(super) fn job_name(&self, job: &str, host: &str) -> String {
        let attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        job_name(&self.tag, job, host, attempts.get(host).copied().unwrap_or(1))
    }

    /// Returns what the stream of a job is called besides its host.
    pub(super) fn stream_name(&self, job: &str, step: &Step) -> String {
        let attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        match attempts.get(&step.host.name) {
            Some(attempt) if *attempt > 1 => format!("{job}.attempt-{attempt}"),
            Some(_) | None => job.to_owned(),
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
        self.beside(host, Phase::Persist).run(host, &script).await
    }

    /// Returns what runs scripts on a host beside its phases, and tells each of them once. They are shown with the
    /// phase that they belong to.
    pub(super) fn beside(&self, host: &str, phase: Phase) -> TellingRunner {
        let runner = TellingRunner::new(Arc::clone(&self.runner), self.teller.clone(), host, phase);
        runner.noting(Arc::clone(&self.told_beside))
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
            told_beside: Arc::default(),
            evaluating: OnceEach::default(),
            commits: OnceEach::default(),
            whole_locks: OnceEach::default(),
            ways: std::sync::Mutex::default(),
            builders: ByKey::default(),
            derivation_turns: ByKey::default(),
            broken_copies: ByKey::default(),
            pushes: OnceEach::default(),
            batches: OnceEach::default(),
            stores: OnceEach::default(),
            edges: OnceEach::default(),
            package_times: Arc::new(|_| UsualBuilds::new()),
            usual_builds: OnceEach::default(),
            skips_caches: setup.options.skip_caches,
            kept: None,
            packed: OnceEach::default(),
            sources: OnceEach::default(),
            built_from: OnceEach::default(),
            settings: ReadSettings::default(),
            used: std::sync::Mutex::default(),
            keeping: std::sync::Mutex::default(),
            answered: std::sync::Mutex::default(),
            rooted: std::sync::Mutex::default(),
            source: None,
            own_sources: BTreeMap::new(),
            refuses_older: !is_asked && !setup.options.allow_older,
            without_specialisation: setup.options.without_specialisation,
            woken: ByKey::default(),
            asks: setup.asks,
            supervisors: Mutex::default(),
            journal: RunJournal::none(),
            resumed: None,
            streams: None,
            read: std::sync::Mutex::default(),
            begun: ByKey::default(),
            preflight_scripts: ByKey::default(),
            beside: Beside::default(),
            attempts: std::sync::Mutex::default(),
        }
    }

    /// Knows what was confirmed for hosts in later runs.
    pub(super) fn knowing(self, newest: Newest) -> Self {
        Self { newest, ..self }
    }

    /// Tells what is left of builds from these times.
    pub(super) fn expecting(self, package_times: PackageTimes) -> Self {
        Self { package_times, ..self }
    }

    /// Returns how long the packages usually take that a host builds.
    pub(super) async fn usual_builds(&self, build_on: &str) -> Arc<UsualBuilds> {
        let (times, host) = (Arc::clone(&self.package_times), build_on.to_owned());
        let read = async {
            let read = tokio::task::spawn_blocking(move || times(&host)).await;
            Arc::new(read.unwrap_or_default())
        };
        Arc::clone(self.usual_builds.cell(build_on).get_or_init(|| read).await)
    }

    /// Uses what earlier runs evaluated, and keeps what this one evaluates.
    pub(super) fn keeping(self, kept: Option<KeptEvaluations>) -> Self {
        Self { kept, ..self }
    }

    /// Keeps there what jobs of Nix print.
    pub(super) fn with_streams(self, streams: Option<RunStreams>) -> Self {
        Self { streams, ..self }
    }

    /// Writes what happens into this journal.
    pub(super) fn with_journal(self, journal: RunJournal) -> Self {
        Self { journal, ..self }
    }

    /// Deploys the fleet's flake, and flakes that hosts have of their own, at these.
    pub(super) fn with_sources(
        self,
        source: Option<FlakeSource>,
        own_sources: BTreeMap<String, FlakeSource>,
    ) -> Self {
        Self { source, own_sources, ..self }
    }

    /// Returns what the flake is at that a host's configuration is in.
    pub(super) fn source_for(&self, host: &HostSetup) -> Option<&FlakeSource> {
        match &host.flake {
            Some(flake) => self.own_sources.get(flake),
            None => self.source.as_ref(),
        }
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
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // One that was stopped in between has not taken it.
        for host in &used {
            runner.forget_fresh(host);
        }
        let keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (later, now) = used.into_iter().partition(|host| keeping.contains(host));
        let after_what_goes_on = async {
            self.beside.until_silent_work_is_done().await;
            tidy(runner, &self.tag, later).await
        };
        let tidied =
            tokio::join!(join_all(discard), tidy(runner, &self.tag, now), after_what_goes_on);
        tidied.1.into_iter().chain(tidied.2).collect()
    }
}

/// Names a job of a run: each attempt of a host has its own, since a job is begun once.
pub(super) fn job_name(tag: &str, job: &str, host: &str, attempt: u32) -> String {
    if attempt > 1 {
        format!("{tag}-{job}-{host}-{attempt}")
    } else {
        format!("{tag}-{job}-{host}")
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
