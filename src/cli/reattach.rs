//! `nixdash reattach`: goes on with a run whose nixdash ended, or follows one that goes on.
//!
//! docs/reattach.md says what is done with each phase that ran.

use crate::cli::carry_out::{CarriedOut, carry_out, exit_code};
use crate::cli::deploy::{FaceArgs, leave_terminal};
use crate::cli::follow_run::{FollowedProcess, follow};
use crate::cli::left::{self, Ends};
use crate::cli::show::Face;
use crate::cli::sudo;
use crate::cli::{CliError, EXIT_FAILED, trust};
use crate::deploy::{Control, JOURNAL_FORMAT, NotReplayable, Replayed, RunBegin, RunEntry, Untold};
use crate::fleet::{
    Fleet, Outcome, RolloutNews, RunEvent, RunId, RunOrder, RunWhat, SecretSource, SudoPassword,
};
use crate::record::{
    EndingLock, Journal, JournalError, JournalWriter, RunStands, Runs, Word, share_of_logs,
    state_home,
};
use crate::remote::{Remote, SecretError, resolve};
use clap::Args;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

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
            let (face, yes) = (args.face.face(), args.yes);
            follow(&runs, &fleet, &run, FollowedProcess { process, is_stopped }, face, yes).await
        }
        RunStands::Ended => {
            tell_aside!("nixdash: run {run} has ended; `nixdash history` shows how");
            Ok(ExitCode::SUCCESS)
        }
        RunStands::Left if args.end => {
            let is_open = left::end_runs_and_say(&Arc::new(fleet), &runs, Ends::Only(&run)).await;
            // On a full disk its end may not be written, and it stays open.
            Ok(if is_open || !runs.has_ended(&run) {
                ExitCode::from(EXIT_FAILED)
            } else {
                code_of_ended(&runs.outline(&run))
            })
        }
        RunStands::Left => go_on(fleet, runs, run, &args).await,
    }
}

/// Returns the exit code of a run that was ended, as of one that was gone on with. Hosts on which nothing was activated
/// are what was asked for, and so are those that are read-only.
fn code_of_ended(events: &[RunEvent]) -> ExitCode {
    // Of a host that ended more than once the last end counts.
    let mut outcomes = BTreeMap::new();
    for event in events {
        if let RunWhat::Result { host, result } = &event.what
            && !result.is_of_read_only()
        {
            outcomes.insert(host.clone(), result.outcome);
        }
    }
    outcomes.retain(|_, outcome| *outcome != Outcome::Interrupted);
    exit_code(&outcomes.into_iter().collect::<Vec<_>>(), &[], false)
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
    if face == Face::Nothing {
        // Before a password is asked for: whoever starts it so in the background has the terminal.
        leave_terminal();
    }
    let root = setup.root_hosts(&fleet);
    let passwords = sudo::passwords(&fleet, &root, &args.face.sudo)?;
    let mut not_typed = [root.deployed, root.builders].concat();
    not_typed.retain(|host| !passwords.are_for(host));
    if let Some((host, source)) = unreadable_password(&fleet, &not_typed).await {
        return Err(ReattachError::Password { run, host, source }.into());
    }
    if replayed.begun.hosts_file != trust::hash_of(fleet.file.as_deref()) {
        tell_aside!(
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
    let said = runs.said(&run)?;
    if said.contains(&Word::Cancel) {
        says.push(Control::Cancel);
    }
    says.extend(unheard(&said, &replayed.told).into_iter().map(Control::Order));
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
        heard: said.len(),
    };
    carry_out(carried).await
}

/// Returns the orders among the words that were said to a run which no process of it took: of one that is taken the run
/// tells, also where it is refused.
fn unheard(said: &[Word], told: &[Untold]) -> Vec<RunOrder> {
    let mut taken = told.iter().filter_map(|told| match &told.what {
        RunWhat::Rollout(RolloutNews::Order { order, .. }) => Some(order),
        _ => None,
    });
    let orders = said.iter().filter_map(|word| match word {
        Word::Order(order) => Some(order),
        Word::Yes | Word::No | Word::Cancel => None,
    });
    // By a key of the screen more may have been taken than was written down.
    orders.filter(|order| !taken.by_ref().any(|taken| taken == *order)).cloned().collect()
}

/// Returns a host whose password for sudo cannot be read, and why: whoever goes on without it loses sight of what
/// runs on that host. A program that prints it is not run for this, since somebody may have to touch a key.
async fn unreadable_password(fleet: &Fleet, hosts: &[String]) -> Option<(String, SecretError)> {
    let hosts = hosts.iter().filter_map(|name| fleet.host(name));
    for host in hosts.filter(|host| fleet.may_want_sudo_password(host)) {
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
    use crate::fleet::{HostResult, RollbackScope};

    #[test]
    fn an_order_that_no_process_took_is_given_to_the_one_that_goes_on() {
        let skip = |host: &str| RunOrder::Skip { host: host.to_owned() };
        let back = RunOrder::Rollback { scope: RollbackScope::Run };
        let told = |order: &RunOrder| Untold {
            at: Timestamp::UNIX_EPOCH,
            what: RunWhat::Rollout(RolloutNews::Order { order: order.clone(), refused: None }),
        };
        let said = [RunOrder::Pause, RunOrder::Resume, RunOrder::Pause, back.clone()];
        let said = [&[Word::Yes][..], &said.map(Word::Order), &[Word::Cancel]].concat();
        let unheard =
            |taken: &[RunOrder]| unheard(&said, &taken.iter().map(told).collect::<Vec<_>>());
        assert_eq!(unheard(&[RunOrder::Pause, RunOrder::Resume]), [RunOrder::Pause, back.clone()]);
        // A key of the screen said more than stands in the words.
        let taken = [RunOrder::Pause, skip("samsung"), RunOrder::Resume, RunOrder::Pause];
        assert_eq!(unheard(&taken), [back]);
        assert_eq!(unheard(&[]).len(), 4);
    }

    #[tokio::test]
    async fn a_password_that_cannot_be_read_matters_only_where_sudo_may_want_it() {
        let text = "[fleet]\nsudo_password = { env = \"NIXDASH_TEST_IS_NOT_SET\" }\n\
                    [hosts.samsung]\naddresses = [\"root@samsung.lan\"]\n\
                    [hosts.razer]\naddresses = [\"me@razer.lan\"]\n";
        let fleet = crate::config::parse(text, std::path::Path::new("hosts.toml"), None).unwrap();
        let unreadable = async |host: &str| unreadable_password(&fleet, &[host.to_owned()]).await;
        assert!(unreadable("samsung").await.is_none(), "its login is root's");
        let (host, error) = unreadable("razer").await.unwrap();
        assert_eq!(host, "razer");
        assert!(error.to_string().contains("NIXDASH_TEST_IS_NOT_SET is not set"), "{error}");
    }

    #[test]
    fn a_run_that_was_ended_has_the_exit_code_of_how_its_hosts_ended() {
        let code = |ends: &[(&str, Outcome)]| {
            let events: Vec<RunEvent> = ends
                .iter()
                .map(|(host, outcome)| {
                    let result = HostResult::ended(*outcome);
                    let what = RunWhat::Result { host: (*host).to_owned(), result };
                    RunEvent { run: RunId("8".to_owned()), at: Timestamp::UNIX_EPOCH, what }
                })
                .collect();
            code_of_ended(&events)
        };
        let (switched, back) = (Outcome::Switched, Outcome::RolledBack);
        let stopped = ("samsung", Outcome::Interrupted);
        assert_eq!(code(&[("p620", switched), stopped]), ExitCode::SUCCESS);
        assert_eq!(code(&[("razer", back), stopped]), ExitCode::from(EXIT_FAILED));
        assert_eq!(code(&[("p620", switched)]), ExitCode::SUCCESS);
        assert_eq!(code(&[("p620", switched), ("razer", back)]), ExitCode::from(EXIT_FAILED));
        assert_eq!(code(&[("razer", back), ("razer", switched)]), ExitCode::SUCCESS);
    }
}
