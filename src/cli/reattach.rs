//! `nixdash reattach`: goes on with a run whose nixdash ended, or follows one that goes on.
//!
//! docs/reattach.md says what is done with each phase that ran.

use crate::cli::carry_out::{CarriedOut, carry_out, exit_code};
use crate::cli::deploy::{FaceArgs, leave_terminal};
use crate::cli::hearing::next;
use crate::cli::left::{self, Ends};
use crate::cli::show::{Display, Face, Notices, told};
use crate::cli::sudo;
use crate::cli::{CliError, EXIT_FAILED, EXIT_INTERRUPTED, trust};
use crate::deploy::{Control, JOURNAL_FORMAT, NotReplayable, Replayed, RunBegin, RunEntry, Untold};
use crate::fleet::{
    Finding, Fleet, Outcome, Phase, RunEvent, RunId, RunWhat, SecretSource, SudoPassword,
};
use crate::record::{
    EndingLock, EventSender, Journal, JournalError, JournalWriter, LogReader, RunNews, RunStands,
    RunWatch, Runs, Word, share_of_logs, state_home,
};
use crate::remote::{Remote, SecretError, resolve};
use clap::Args;
use jiff::Timestamp;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// How often a run that is followed is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How many earlier lines of each host are printed of a run that is followed.
const EARLIER: usize = 10_000;

/// Arguments of `nixdash reattach`.
#[derive(Debug, Args)]
pub(super) struct ReattachArgs {
    /// The run [default: the newest that is going on or was left]
    #[arg(value_name = "RUN")]
    run: Option<u64>,
    /// Ends the run instead: its hosts are asked what became of them
    #[arg(long)]
    end: bool,
    /// Says yes to a plan that waits for an answer
    #[arg(long, short, conflicts_with = "end")]
    yes: bool,
    #[command(flatten)]
    face: FaceArgs,
}

/// Why a run cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum ReattachError {
    /// No run of this fleet goes on or was left.
    #[error(
        "no run of this fleet is going on or was left; `nixdash history` lists the earlier runs"
    )]
    Nothing,
    /// There is no such run.
    #[error("there is no run {run} of this fleet; `nixdash history` lists the runs")]
    NoRun {
        /// The run.
        run: RunId,
    },
    /// Another process is at it.
    #[error(
        "process {process} goes on with run {run} already; `nixdash reattach {run}` follows it \
         when it has begun"
    )]
    ByAnother {
        /// The run.
        run: RunId,
        /// The process.
        process: u32,
    },
    /// Another process asks its hosts at this moment.
    #[error("another nixdash is working on run {run}; try again in a moment")]
    Busy {
        /// The run.
        run: RunId,
    },
    /// The run goes on, so it cannot be ended from here.
    #[error(
        "run {run} is carried out by process {process}, so there is nothing to end; stop it there with \
         ctrl-c, or end that process with `kill {process}`"
    )]
    Alive {
        /// The run.
        run: RunId,
        /// The process.
        process: u32,
    },
    /// Its journal could not be read or written.
    #[error(
        "run {run} cannot go on: {source}. `nixdash reattach {run} --end` asks its hosts what \
         became of them, and ends it"
    )]
    Journal {
        /// The run.
        run: RunId,
        /// Why.
        source: JournalError,
    },
    /// Its journal does not give its state.
    #[error(
        "run {run} cannot go on: {source}. `nixdash reattach {run} --end` asks its hosts what \
         became of them, and ends it"
    )]
    NotReplayable {
        /// The run.
        run: RunId,
        /// Why.
        source: NotReplayable,
    },
    /// A host of it is in the fleet no more.
    #[error(
        "run {run} cannot go on: hosts.toml does not have {host} any more. Put it back, or end \
         the run with `nixdash reattach {run} --end`"
    )]
    HostGone {
        /// The run.
        run: RunId,
        /// The host.
        host: String,
    },
    /// The password that sudo wants on a host of it cannot be read.
    #[error(
        "run {run} cannot go on: the password for sudo on {host} could not be read: {source}; {}. The run \
         stays as it is",
        source.hint()
    )]
    Password {
        /// The run.
        run: RunId,
        /// The host.
        host: String,
        /// Why.
        source: SecretError,
    },
    /// Its plan waits for an answer, and nobody can be asked.
    #[error(
        "the plan of run {run} waits for an answer, and there is no terminal to ask on; add --yes to go on \
         without asking"
    )]
    NobodyToAsk {
        /// The run.
        run: RunId,
    },
}

pub(super) async fn run(fleet: Fleet, args: ReattachArgs) -> Result<ExitCode, CliError> {
    let runs = Runs::open(&state_home())?;
    let run = chosen(&runs, &fleet, args.run)?;
    match runs.stands(&run) {
        RunStands::Alive { process, .. } if args.end => {
            Err(ReattachError::Alive { run, process }.into())
        }
        RunStands::Alive { process, is_stopped } => {
            follow(&runs, &fleet, &run, (process, is_stopped), &args).await
        }
        RunStands::Ended => {
            eprintln!("nixdash: run {run} has ended; `nixdash history` shows how");
            Ok(ExitCode::SUCCESS)
        }
        RunStands::Left if args.end => {
            let is_open = left::end_runs_and_say(&Arc::new(fleet), &runs, Ends::Only(&run)).await;
            Ok(if is_open { ExitCode::from(EXIT_FAILED) } else { ExitCode::SUCCESS })
        }
        RunStands::Left => go_on(fleet, runs, run, &args).await,
    }
}

/// Returns the run that is meant.
fn chosen(runs: &Runs, fleet: &Fleet, number: Option<u64>) -> Result<RunId, ReattachError> {
    let ours = |run: &RunId| runs.belongs_to(run, fleet.file.as_deref());
    let all = runs.list().unwrap_or_default();
    if let Some(number) = number {
        let run = RunId(number.to_string());
        let is_there = all.contains(&run) && ours(&run);
        return if is_there { Ok(run) } else { Err(ReattachError::NoRun { run }) };
    }
    let open = |run: &RunId| ours(run) && runs.stands(run) != RunStands::Ended;
    all.into_iter().rev().find(open).ok_or(ReattachError::Nothing)
}

/// A run that was left, taken over by this process: nobody else goes on with it or ends it.
pub(super) struct TakenOver {
    /// Its state.
    pub(super) replayed: Box<Replayed>,
    /// What was decided and not told.
    pub(super) untold: Vec<Untold>,
    journal: JournalWriter,
    _lock: EndingLock,
}

/// Takes over a run that was left.
pub(super) fn take_over(runs: &Runs, run: &RunId) -> Result<TakenOver, ReattachError> {
    let by_another = || match runs.stands(run) {
        RunStands::Alive { process, .. } => ReattachError::ByAnother { run: run.clone(), process },
        RunStands::Left | RunStands::Ended => ReattachError::Busy { run: run.clone() },
    };
    let lock = runs.lock_ending(run).ok_or_else(by_another)?;
    let resumed = runs.resume_journal::<RunEntry>(run, JOURNAL_FORMAT);
    let (journal, Journal { entries, .. }) = resumed.map_err(|source| match source {
        JournalError::InUse { .. } => by_another(),
        source => ReattachError::Journal { run: run.clone(), source },
    })?;
    let not_replayable = |source| ReattachError::NotReplayable { run: run.clone(), source };
    let replayed = Box::new(Replayed::new(&entries).map_err(not_replayable)?);
    let untold = replayed.untold(&runs.decided(run)).map_err(not_replayable)?;
    Ok(TakenOver { replayed, untold, journal, _lock: lock })
}

/// Goes on with a run that was left.
async fn go_on(
    fleet: Fleet,
    runs: Runs,
    run: RunId,
    args: &ReattachArgs,
) -> Result<ExitCode, CliError> {
    let TakenOver { replayed, untold, journal, _lock } = take_over(&runs, &run)?;
    let setup = &replayed.begun.setup;
    if let Some(gone) = setup.hosts.iter().find(|host| fleet.host(&host.name).is_none()) {
        return Err(ReattachError::HostGone { run, host: gone.name.clone() }.into());
    }
    let face = args.face.face();
    let answer = replayed.waiting_plan.is_some().then_some(args.yes);
    if answer == Some(false) && face != Face::Nothing && !std::io::stdin().is_terminal() {
        return Err(ReattachError::NobodyToAsk { run }.into());
    }
    let passwords = sudo::passwords(&fleet, &setup.root_hosts(), &args.face.sudo)?;
    if let Some((host, source)) = unreadable_password(&fleet, &setup.root_hosts()).await {
        return Err(ReattachError::Password { run, host, source }.into());
    }
    if face == Face::Nothing {
        leave_terminal();
    }
    if replayed.begun.hosts_file != trust::hash_of(fleet.file.as_deref()) {
        eprintln!(
            "nixdash: {} was changed since run {run} began: the run uses its new addresses, checks \
             and caches; which hosts take part, and how, stays as it was",
            fleet.file.as_deref().unwrap_or_else(|| "hosts.toml".as_ref()).display()
        );
    }
    let mut says = Vec::new();
    if args.yes && replayed.waiting_plan.is_some() {
        says.push(Control::Answer(true));
    }
    // Somebody may have said it when nobody listened any more.
    if runs.said(&run).contains(&Word::Cancel) {
        says.push(Control::Cancel);
    }
    let writer = runs.reopen(&run)?.with_limit(share_of_logs(fleet.retention.max_run_size));
    let fleet = Arc::new(fleet);
    let remote = Remote::new(Arc::clone(&fleet));
    passwords.give_to(&remote);
    let carried = CarriedOut {
        remote,
        fleet,
        runs,
        writer,
        journal: Some(journal),
        goal: setup.goal,
        hosts: setup.hosts.iter().map(|host| host.name.clone()).collect(),
        begin: RunBegin::GoOn { replayed, untold },
        face,
        says,
    };
    carry_out(carried).await
}

/// Returns a host whose password for sudo cannot be read, and why: whoever goes on without it loses sight of what
/// runs on that host. A program that prints it is not run for this, since somebody may have to touch a key.
async fn unreadable_password(fleet: &Fleet, hosts: &[String]) -> Option<(String, SecretError)> {
    for host in hosts.iter().filter_map(|name| fleet.host(name)) {
        let Some(SudoPassword::From(source)) = fleet.sudo_password_of(host) else { continue };
        if matches!(source, SecretSource::Command { .. }) {
            continue;
        }
        if let Err(error) = resolve(source).await {
            return Some((host.name.clone(), error));
        }
    }
    None
}

/// Shows the lines that were added to the hosts' logs.
fn show_lines(run: &RunId, logs: &mut [(String, LogReader)], display: &EventSender) {
    for (host, reader) in logs {
        for line in reader.look().map(|part| part.lines).unwrap_or_default() {
            // A mark where lines are missing has neither.
            let (Some(at), Some(phase)) = (line.at, line.phase) else { continue };
            let what = RunWhat::log(host.clone(), phase, line.text);
            display.send(RunEvent { run: run.clone(), at, what });
        }
    }
}

/// Whether the plan of a run that is followed waits for an answer, as its events tell.
#[derive(Debug, Default)]
struct FollowedPlan {
    waits: bool,
    /// Whether it was asked about since the plan waits.
    was_noted: bool,
}

impl FollowedPlan {
    /// Takes what the run told next.
    fn note(&mut self, what: &RunWhat) {
        match what {
            RunWhat::Plan { waits, .. } => (self.waits, self.was_noted) = (*waits, false),
            // Work after the plan: somebody answered it.
            RunWhat::Phase { phase, .. } => self.waits &= *phase <= Phase::Compare,
            RunWhat::Summary { .. } => self.waits = false,
            RunWhat::Begin { .. }
            | RunWhat::Progress { .. }
            | RunWhat::Log { .. }
            | RunWhat::Waiting { .. }
            | RunWhat::Rollout(_)
            | RunWhat::Dropped { .. }
            | RunWhat::Reattached { .. }
            | RunWhat::Usual { .. }
            | RunWhat::Builds { .. }
            | RunWhat::Command { .. }
            | RunWhat::Result { .. } => {}
        }
    }

    /// Returns whether the plan waits and that was not said yet; says it once.
    fn has_begun_to_wait(&mut self) -> bool {
        self.waits && !std::mem::replace(&mut self.was_noted, true)
    }
}

/// Says yes to the plan of a run that another process carries out, where that is wanted; returns the sentence
/// about it, or about how the plan is answered.
fn answered_or_waiting(runs: &Runs, run: &RunId, yes: bool) -> Result<String, CliError> {
    if yes {
        runs.say(run, &Word::Yes)?;
        return Ok(format!(
            "nixdash: the plan of run {run} waited for an answer: --yes said yes to it\n"
        ));
    }
    Ok(format!(
        "nixdash: the plan of run {run} waits for an answer: `nixdash say {run} yes` confirms it, and \
         `nixdash say {run} no` does not\n"
    ))
}

/// Prints what a run that goes on tells, from its beginning to its end.
async fn follow(
    runs: &Runs,
    fleet: &Fleet,
    run: &RunId,
    (process, is_stopped): (u32, bool),
    args: &ReattachArgs,
) -> Result<ExitCode, CliError> {
    let face = args.face.face();
    let notices = Notices::start();
    let stopped = if is_stopped {
        format!(", which is stopped: `kill -CONT {process}` lets it go on")
    } else {
        String::new()
    };
    notices.say(&format!(
        "nixdash: process {process} carries run {run} out{stopped}; this only follows it, and the run goes \
         on when you quit here\n"
    ));
    let (control, _nobody) = mpsc::channel(1);
    let mut watch = RunWatch::new(runs.clone(), fleet.file.clone());
    let mut interrupt = signal(SignalKind::interrupt()).ok();
    let width = fleet.hosts.iter().map(|host| host.name.len()).max().unwrap_or(0);
    let shown = Display { face, width, goal: crate::fleet::Goal::Switch, control }.start();
    let mut outcomes: Vec<(String, Outcome)> = Vec::new();
    let mut findings: Vec<Finding> = Vec::new();
    let mut logs: Vec<(String, LogReader)> = Vec::new();
    let mut plan = FollowedPlan::default();
    let code = loop {
        let mut is_over = false;
        let mut is_gone = false;
        for news in watch.look() {
            match news {
                RunNews::Event(event) if event.run == *run => {
                    let mut event = event;
                    plan.note(&event.what);
                    match &mut event.what {
                        RunWhat::Result { host, result } => {
                            outcomes.push((host.clone(), result.outcome));
                        }
                        RunWhat::Summary { findings: found, .. } => {
                            findings.clone_from(found);
                            is_over = true;
                        }
                        // It is answered where the run is, not here.
                        RunWhat::Plan { waits, .. } => *waits = false,
                        RunWhat::Begin { hosts, .. } => {
                            let reader = |host: &String| runs.read_log(run, host, EARLIER);
                            logs = hosts.iter().map(|host| (host.clone(), reader(host))).collect();
                        }
                        RunWhat::Phase { .. }
                        | RunWhat::Progress { .. }
                        | RunWhat::Log { .. }
                        | RunWhat::Waiting { .. }
                        | RunWhat::Rollout(_)
                        | RunWhat::Dropped { .. }
                        | RunWhat::Reattached { .. }
                        | RunWhat::Usual { .. }
                        | RunWhat::Builds { .. }
                        | RunWhat::Command { .. } => {}
                    }
                    if let Some(display) = &shown.events {
                        display.send(event);
                    }
                }
                RunNews::Gone(gone) => is_gone |= gone == *run,
                RunNews::Event(_) | RunNews::Live(..) => {}
            }
        }
        if let Some(display) = &shown.events {
            show_lines(run, &mut logs, display);
        }
        if is_over {
            break exit_code(&outcomes, &findings, false);
        }
        if plan.has_begun_to_wait() {
            notices.say(&answered_or_waiting(runs, run, args.yes)?);
        }
        if is_gone {
            notices.say(&format!(
                "nixdash: process {process} ended before run {run} did; `nixdash reattach {run}` goes \
                 on with it\n"
            ));
            break ExitCode::from(EXIT_FAILED);
        }
        tokio::select! {
            () = next(&mut interrupt) => {
                notices.say(&format!(
                    "nixdash: run {run} goes on (process {process}); `nixdash reattach {run}` follows it again\n"
                ));
                break ExitCode::from(EXIT_INTERRUPTED);
            }
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    };
    let unwritten = shown.end().await;
    let code = told(unwritten, run, code, &notices);
    notices.written().await;
    Ok(code)
}

/// Returns the sentence about a run that was left and can be gone on with.
pub(super) fn left_sentence(run: &RunId, left_at: Timestamp, now: Timestamp) -> String {
    let ago = crate::fleet::duration(now.duration_since(left_at).unsigned_abs());
    format!(
        "run {run} was left {ago} ago, when its nixdash ended: `nixdash reattach {run}` goes on with it, \
         `nixdash reattach {run} --end` ends it now"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Goal, PhaseState, Plan, Strategy};

    fn plan(waits: bool) -> RunWhat {
        let plan = Plan {
            goal: Goal::Switch,
            strategy: Strategy::Direct,
            revision: None,
            source: None,
            findings: Vec::new(),
            hosts: Vec::new(),
            set_aside: std::collections::BTreeMap::new(),
        };
        RunWhat::Plan { plan, waits }
    }

    #[test]
    fn a_plan_that_waits_is_told_once_until_it_is_answered() {
        let phase =
            |phase| RunWhat::Phase { host: "a".to_owned(), phase, state: PhaseState::Started };
        let mut followed = FollowedPlan::default();
        followed.note(&plan(false));
        assert!(!followed.has_begun_to_wait(), "a run that nobody is asked about");
        followed.note(&plan(true));
        followed.note(&phase(Phase::Compare));
        assert!(followed.has_begun_to_wait() && !followed.has_begun_to_wait());
        followed.note(&plan(true));
        followed.note(&phase(Phase::Build));
        assert!(!followed.has_begun_to_wait(), "somebody answered it");
    }

    #[test]
    fn yes_is_given_to_the_run_and_without_it_the_answer_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let run = runs.begin(None).unwrap().run().clone();
        let told = answered_or_waiting(&runs, &run, false).unwrap();
        assert!(told.contains("`nixdash say 1 yes` confirms it"), "{told}");
        assert!(runs.said(&run).is_empty());
        let told = answered_or_waiting(&runs, &run, true).unwrap();
        assert!(told.contains("--yes said yes"), "{told}");
        assert_eq!(runs.said(&run), [Word::Yes]);
    }
}
