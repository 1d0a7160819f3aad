//! One phase of one host.

use super::ahead::{Ahead, Part};
use super::context::RunContext;
use super::journaling::Survives;
use super::lost::{AWAY_LIMIT, lost};
use super::resumed::goes_on;
use super::silence::HostSilence;
use super::supervised::Supervised;
use super::telling::TellingRunner;
use super::{
    acknowledge, activate, ancestry, budget, build, changes, check, evaluate, fetch, hooks,
    persist, preflight, reboot, room, settle, stopped, verify, wake,
};
use crate::deploy::{Failure, HostSetup, JobNote, Reason, Report, RunEntry, RunFacts};
use crate::fleet::{
    Code, Host, LogFrom, Outcome, Phase, Progress, RunWhat, StorePath, Strategy, Tier,
    printable_coloured, printable_line,
};
use crate::nix::activity::LogItem;
use crate::remote::job::{Job, LineSink, Patience};
use crate::remote::words::{NO_SUCH_HOST, TASK_STOPPED, connection_lost};
use crate::remote::{Output, ReadLine, Script, ScriptRunner, Trouble};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::coop::consume_budget;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A limit that ends so much late was not watched: this process did not run.
const STOPPED: Duration = Duration::from_secs(2);

/// One phase of one host.
#[derive(Clone)]
pub(super) struct Step {
    pub(super) shared: Arc<RunContext>,
    pub(super) host: HostSetup,
    pub(super) phase: Phase,
    pub(super) known: RunFacts,
    /// Runs scripts, and tells which.
    pub(super) runner: Arc<dyn ScriptRunner>,
    /// Says that it is to stop: it begins no other job then, and waits for nothing.
    pub(super) stop: CancellationToken,
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
        let runner = TellingRunner::new(inner, teller, &host.name, phase);
        let runner = if phase == Phase::Preflight {
            // A host that is away is tried again and again, and what is run for that is told once.
            runner.noting(shared.told_of_preflight(&host.name, known.was_away))
        } else {
            runner
        };
        let runner = Arc::new(runner);
        Self { shared, host, phase, known, runner, stop: CancellationToken::new() }
    }

    /// Waits for a part of the phase that runs no job, unless the phase is told to stop: that part is given up then.
    pub(super) async fn unless_stopped<T>(
        &self,
        part: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            // A part of that part may hear of it too, and says what it leaves before it ends.
            biased;
            ended = part => ended,
            () = self.stop.cancelled() => Err(stopped()),
        }
    }

    /// Waits a while before something is tried again, unless the phase is told to stop.
    pub(super) async fn pause(&self, pause: Duration) -> Result<(), Failure> {
        let wait = async {
            tokio::time::sleep(pause).await;
            Ok(())
        };
        self.unless_stopped(wait).await
    }

    /// Carries the phase out, or waits for its end where it was begun ahead.
    pub(super) async fn carry_out(&self) -> Result<Report, Failure> {
        let beside = &self.shared.beside;
        if self.phase == Phase::Evaluate
            && let Some(ended) = self.begun_ahead(Part::Evaluation).await
        {
            return ended;
        }
        let evaluates = self.phase == Phase::Preflight && self.host.given.is_none();
        let ahead = if evaluates && self.host.asked != Strategy::Auto {
            beside.begin(self, Part::Evaluation)
        } else {
            None
        };
        let result = self.carry_out_itself().await;
        if result.is_ok() {
            ahead.into_iter().for_each(Ahead::keep);
        }
        result
    }

    /// Waits for the end of what was begun ahead; nothing where it was not.
    async fn begun_ahead(&self, part: Part) -> Option<Result<Report, Failure>> {
        let begun = self.shared.beside.take(self, part)?;
        Some(begun.await.unwrap_or_else(|_| Err(self.internal(TASK_STOPPED))))
    }

    /// Carries the phase out.
    pub(super) async fn carry_out_itself(&self) -> Result<Report, Failure> {
        // What an earlier process began goes on, whatever became of its places meanwhile.
        if goes_on(self) {
            budget::note_begun(self).await;
        } else {
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
            Phase::Compare => {
                let found = ancestry::of_uncommitted(self)?;
                let mut report = build::compare(self).await?;
                if let Report::Compared { notes, .. } = &mut report {
                    notes.extend(found);
                }
                Ok(report)
            }
            Phase::Build => build::build(self).await,
            Phase::Publish => self.publish().await,
            Phase::Verify => {
                let room = self.shared.beside.begin(self, Part::RoomForFetch);
                let report = verify::verify(self).await?;
                room.into_iter().for_each(Ahead::keep);
                Ok(report)
            }
            Phase::Fetch => {
                let room = async {
                    match self.begun_ahead(Part::RoomForFetch).await {
                        Some(ended) => ended.map(drop),
                        None => room::before_fetch(self).await,
                    }
                };
                self.unless_stopped(room).await?;
                fetch::fetch(self).await
            }
            Phase::Diff => {
                // What differs is told while it is activated.
                let step = self.clone();
                self.shared.beside.go_on(async move { changes::tell(&step).await });
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

    /// Returns the phase with which the host begins to change.
    pub(super) fn begins(&self) -> Phase {
        self.host.goal.changes_at(self.known.only_restarts)
    }

    /// Looks, before a host begins to change, whether its places in budgets are still its own. One that is only
    /// restarted begins with that.
    pub(super) async fn lost_its_place(&self) -> Option<Failure> {
        if !self.host.goal.changes() || self.phase < self.begins() {
            return None;
        }
        if self.phase > self.begins() {
            budget::note_begun(self).await;
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

    /// Logs a line of this phase; what came from a host is made printable.
    pub(super) async fn log(&self, line: &str) {
        self.log_at(line, None).await;
    }

    /// Logs a line of this phase that was written at a time; none for now.
    pub(super) async fn log_at(&self, line: &str, at: Option<Timestamp>) {
        let (line, colours) = printable_coloured(line);
        let host = self.host.name.clone();
        let (line, phase) = (line.into_owned(), self.phase);
        let what = RunWhat::Log { host, phase, line, build: None, colours, from: None };
        self.tell_line(what, at).await;
    }

    /// Logs a line of this phase that was made of something that a job printed.
    pub(super) async fn log_item(
        &self,
        item: &LogItem,
        from: Option<LogFrom>,
        at: Option<Timestamp>,
    ) {
        let line = printable_line(&item.line());
        let colours = item.colours().fitting(&line);
        let (host, phase, build) = (self.host.name.clone(), self.phase, item.build());
        self.tell_line(RunWhat::Log { host, phase, line, build, colours, from }, at).await;
    }

    /// Tells a line that was logged at a time, or now.
    async fn tell_line(&self, what: RunWhat, at: Option<Timestamp>) {
        self.shared.teller.tell_at(at.unwrap_or_else(Timestamp::now), what);
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
    /// All of these scripts may run twice: one whose connection broke is run once more. Before a host
    /// begins to change, one that answered in this run is asked for as long as [`AWAY_LIMIT`]: it may
    /// be restarted, or this machine may have slept.
    pub(super) async fn run(&self, host: &str, script: &Script) -> Result<Output, Failure> {
        let may_come_back = self.phase < Phase::Activate && self.shared.has_answered(host);
        let mut patience = Patience::new(if may_come_back { AWAY_LIMIT } else { Duration::ZERO });
        let mut broke = false;
        let mut silence = HostSilence::new(self);
        loop {
            let (asked, asked_at) = (Instant::now(), Timestamp::now());
            let error = match self.runner.run(host, script).await {
                Ok(output) => {
                    self.shared.note_answer(host);
                    silence.ends();
                    return Ok(output);
                }
                Err(error) => error,
            };
            let again = match error.trouble {
                Trouble::Lost if !broke => Some(Duration::ZERO),
                // Nobody looked at the clock in time: this process was stopped, not the host.
                Trouble::Slow(limit) if !broke && asked.elapsed() > limit + STOPPED => {
                    Some(Duration::ZERO)
                }
                Trouble::Slow(limit) if limit > AWAY_LIMIT => None,
                Trouble::Lost | Trouble::Unreachable | Trouble::Slow(_) if may_come_back => {
                    patience.again(&error)
                }
                _ => None,
            };
            let Some(pause) = again else {
                silence.ends();
                return Err(lost(&error));
            };
            if !broke {
                self.log(&connection_lost(&error.cause)).await;
                let until = may_come_back.then(|| patience.until(Timestamp::now()));
                silence.begins(host, asked_at, until);
            }
            broke = true;
            tokio::time::sleep(pause).await;
        }
    }

    /// Says that it is the builder which cannot be reached, and not the target.
    pub(super) fn about_builder(&self, failure: Failure) -> Failure {
        if self.host.build_on() == self.host.name {
            return failure;
        }
        let is_away = failure.outcome == Outcome::Offline && self.host.given.is_none();
        let Reason { code, text, .. } = failure.reason;
        let name = &self.host.name;
        let command = if self.host.goal.deploys() { "deploy" } else { "build" };
        let instead = format!(
            "; or let {name} build its own system with `nixdash {command} {name} --strategy direct`"
        );
        let instead = if is_away { instead.as_str() } else { "" };
        Failure::failed(code, format!("{name} cannot be built: {text}{instead}"))
    }

    /// Returns the failure of a step that lacks what an earlier one must have left.
    fn internal(&self, what: &str) -> Failure {
        Failure::failed(Code::InternalError, format!("{}: {what}", self.host.name))
    }

    /// Returns the host's configuration.
    pub(super) fn config(&self) -> Result<&Host, Failure> {
        let found = self.shared.fleet.host(&self.host.name);
        found.ok_or_else(|| self.internal(NO_SUCH_HOST))
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

    /// Names a job of this phase that is started next; that it may be there stands in the journal before. Fails
    /// when the phase is told to stop: nobody would stop that job.
    pub(super) async fn job_to_start(&self, host: &str, name: &str) -> Result<Job, Failure> {
        if self.stop.is_cancelled() {
            return Err(stopped());
        }
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
        Ok(job)
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
pub(super) struct PlainLog<'a> {
    step: &'a Step,
    /// When the next line was written; none for now.
    at: Option<Timestamp>,
    silence: HostSilence<'a>,
}

impl<'a> PlainLog<'a> {
    /// Logs lines of a phase.
    pub(super) fn new(step: &'a Step) -> Self {
        Self { step, at: None, silence: HostSilence::new(step) }
    }
}

impl LineSink for PlainLog<'_> {
    async fn take(&mut self, line: &ReadLine<'_>) {
        self.step.log_at(&line.text(), self.at).await;
    }

    async fn note(&mut self, text: &str) {
        self.step.log(text).await;
    }

    fn falls_silent(&mut self, host: &str, since: Timestamp, until: Timestamp) {
        self.silence.begins(host, since, Some(until));
    }

    fn silence_ends(&mut self) {
        self.silence.ends();
    }

    fn written_at(&mut self, at: Option<Timestamp>) {
        self.at = at;
    }

    fn read_to(&mut self, job: &str, offset: u64) {
        self.step.shared.note_read(job, offset);
    }
}
