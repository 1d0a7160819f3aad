//! `nixdash deploy` and `nixdash build`: the engine without a screen.
//!
//! The dashboard starts this same command, detached, and reads the run's folder like everybody
//! else; what is said to the run (the plan's answer, stop) comes through that folder too.

use crate::cli::awake::AwakeRunner;
use crate::cli::carry_out::{CarriedOut, carry_out};
use crate::cli::given::GivenSystems;
use crate::cli::left::{self, Ends};
use crate::cli::show::Face;
use crate::cli::sudo::{self, SudoArgs};
use crate::cli::{CliError, complete, given, read_only, selectors, trust, wait};
use crate::deploy::{JOURNAL_FORMAT, Request, RunBegin, setup};
use crate::fleet::{Fleet, Goal, RunId, RunOptions, Strategy, select};
use crate::record::{JournalError, Runs, share_of_logs, state_home};
use crate::remote::Remote;
use clap::{Args, ValueEnum};
use rustix::process::{Pid, setpgid, setsid};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Strategies as they are typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum StrategyArg {
    /// Build on the builder, publish in its cache, let the target pull
    ViaCache,
    /// Build on the target
    Direct,
    /// Build on the builder, copy from there to the target over ssh
    Push,
    /// The best of these for each host now; the plan says which and why
    Auto,
}

/// Actions as they are typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ActionArg {
    /// Activate now and boot it from now on
    Switch,
    /// Boot it from now on, activate nothing now
    Boot,
    /// Activate now, the next boot starts the old system
    Test,
    /// Say what an activation would do
    DryActivate,
}

/// Arguments of `nixdash deploy`.
#[derive(Debug, Args)]
pub(super) struct DeployArgs {
    /// Names, globs, @tag, or all; - reads them from standard input
    #[arg(required = true, value_name = "SELECTOR", add = complete::selectors())]
    selectors: Vec<String>,
    /// Deploys this system instead of evaluating the flake; it is on the host, on the builder or in a tier
    #[arg(long, value_name = "PATH", conflicts_with_all = ["built", "first"])]
    to: Option<String>,
    /// Deploys the newest system that `nixdash build` built, if not deployed yet, without
    /// evaluating the flake
    #[arg(long, conflicts_with = "first")]
    built: bool,
    /// What switch-to-configuration is asked to do [default: the host's, else switch]
    #[arg(long, value_enum)]
    action: Option<ActionArg>,
    #[command(flatten)]
    consent: ConsentArgs,
    /// Lets hosts take part that do not run NixOS yet; they have no system to go back to
    #[arg(long)]
    first: bool,
    #[command(flatten)]
    options: OptionArgs,
    #[command(flatten)]
    reboot: RebootArgs,
    #[command(flatten)]
    face: FaceArgs,
}

/// Arguments that say yes before the question is asked.
#[derive(Debug, Default, Args)]
pub(super) struct ConsentArgs {
    /// Carries the plan out without asking
    #[arg(long, short)]
    pub(super) yes: bool,
    /// Lets a protected host take part; may be given several times
    #[arg(long, value_name = "NAME", add = complete::protected())]
    pub(super) allow_protected: Vec<String>,
}

/// Arguments that say how a deploy goes, and what it may do.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct OptionArgs {
    /// Where systems are built and how they travel [default: the host's, else the fleet's]
    #[arg(long, value_enum)]
    strategy: Option<StrategyArg>,
    /// Deploys, even with --yes, what does not contain the revision, or uncommitted changes, that a host runs
    #[arg(long)]
    allow_older: bool,
    /// Activates the system itself on hosts that run a specialisation
    #[arg(long)]
    without_specialisation: bool,
    /// With --strategy direct: asks no cache, takes what the builder and this machine have over ssh,
    /// and compiles the rest
    #[arg(long)]
    skip_caches: bool,
    /// Waits for hosts that are away and deploys them when they are back
    #[arg(long)]
    wait_offline: bool,
}

impl OptionArgs {
    /// Returns what they ask of a run.
    pub(super) fn options(self) -> RunOptions {
        RunOptions {
            strategy: self.strategy.map(Into::into),
            first: false,
            allow_older: self.allow_older,
            without_specialisation: self.without_specialisation,
            skip_caches: self.skip_caches,
            wait_offline: self.wait_offline,
            // It follows from how long hosts are given.
            reboot_limit_s: None,
        }
    }
}

/// Arguments that say whether hosts are restarted.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct RebootArgs {
    /// Restarts each host once its new system is permanent, and waits until the host runs it
    #[arg(long)]
    reboot: bool,
    /// How long a host may take to restart, unlocking its disk included [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = restart_limit)]
    reboot_limit: Option<Duration>,
}

/// How long a host may take to restart where nobody says it.
const USUAL_RESTART: Duration = Duration::from_secs(600);

/// A machine never restarts within less.
const SHORTEST_RESTART: Duration = Duration::from_secs(10);

/// Reads how long a host may take to restart.
fn restart_limit(text: &str) -> Result<Duration, String> {
    let limit = wait::limit(text)?;
    if limit < SHORTEST_RESTART {
        return Err("no machine restarts so fast; allow 10s or more".to_owned());
    }
    Ok(limit)
}

impl RebootArgs {
    /// Returns how long a restart may take; nothing where hosts are not restarted. Fails where a time is given and
    /// no host is restarted.
    pub(super) fn limit(self) -> Result<Option<Duration>, CliError> {
        self.limit_or(None)
    }

    /// Does what [`Self::limit`] does, where hosts may be restarted for another reason, within this time.
    pub(super) fn limit_or(self, before: Option<Duration>) -> Result<Option<Duration>, CliError> {
        match (self.reboot || before.is_some(), self.reboot_limit) {
            (true, limit) => Ok(limit.or(before).or(Some(USUAL_RESTART))),
            (false, None) => Ok(None),
            (false, Some(_)) => Err(CliError::LimitOfNoRestart),
        }
    }

    /// Returns how long a restart may take that was asked for before by a run that did not say it.
    pub(super) fn usual() -> Duration {
        USUAL_RESTART
    }
}

/// Arguments of `nixdash build`.
#[derive(Debug, Args)]
pub(super) struct BuildArgs {
    /// Names, globs, @tag, or all; - reads them from standard input
    #[arg(required = true, value_name = "SELECTOR", add = complete::selectors())]
    selectors: Vec<String>,
    /// Where systems are built [default: the host's, else the fleet's]
    #[arg(long, value_enum)]
    strategy: Option<StrategyArg>,
    #[command(flatten)]
    face: FaceArgs,
}

/// Arguments that say how a run shows itself, and how it becomes root.
#[derive(Debug, Args)]
pub(super) struct FaceArgs {
    /// Prints one JSON object per line
    #[arg(long)]
    json: bool,
    /// Leaves out the logs; the run's folder still has them
    #[arg(long, short, conflicts_with = "json")]
    quiet: bool,
    /// Prints each script that is run on a host, with its arguments
    #[arg(long, short, conflicts_with = "quiet")]
    verbose: bool,
    /// Prints nothing; the plan is answered through the run's folder
    #[arg(long, hide = true)]
    detached: bool,
    /// The number of the run, whose folder the dashboard made
    #[arg(id = "run_number", long = "run", hide = true, requires = "detached", value_name = "N")]
    run: Option<String>,
    #[command(flatten)]
    pub(super) sudo: SudoArgs,
}

impl From<StrategyArg> for Strategy {
    fn from(arg: StrategyArg) -> Self {
        match arg {
            StrategyArg::ViaCache => Self::ViaCache,
            StrategyArg::Direct => Self::Direct,
            StrategyArg::Push => Self::Push,
            StrategyArg::Auto => Self::Auto,
        }
    }
}

impl From<ActionArg> for Goal {
    fn from(arg: ActionArg) -> Self {
        match arg {
            ActionArg::Switch => Self::Switch,
            ActionArg::Boot => Self::Boot,
            ActionArg::Test => Self::Test,
            ActionArg::DryActivate => Self::DryActivate,
        }
    }
}

pub(super) async fn deploy(fleet: Fleet, args: DeployArgs) -> Result<ExitCode, CliError> {
    select(&fleet, &args.consent.allow_protected)?;
    let goal = args.action.map_or(Goal::Switch, Goal::from);
    let typed = selectors::read(&args.selectors)?;
    let hosts = select(&fleet, &typed)?;
    let left_alone = read_only::left_alone(&fleet, &hosts, &typed);
    let others = read_only::others(&hosts, &left_alone);
    let goals = if args.action.is_none() { own_actions(&fleet, &hosts) } else { BTreeMap::new() };
    let (fleet, asks) = (Arc::new(fleet), !args.consent.yes && goal.changes());
    let reboot = args.reboot.limit()?;
    let remote = Remote::new(Arc::clone(&fleet));
    let awake = AwakeRunner::new(&fleet, &remote, args.face.is_detached());
    let GivenSystems { given, mut set_aside } = match &args.to {
        Some(path) => {
            let looked = given::named(&fleet, &awake, &others, path);
            let given = wait::saying("looking where the system is …", looked).await?;
            GivenSystems { given, ..GivenSystems::default() }
        }
        None if args.built => {
            let looked = given::built(&fleet, &awake, &others);
            wait::saying("waiting for builders to list what they built …", looked).await?
        }
        None => GivenSystems::default(),
    };
    set_aside.extend(left_alone);
    let request = Request {
        set_aside,
        degraded: BTreeMap::new(),
        hosts,
        asks,
        given,
        reboot,
        goal,
        goals,
        options: RunOptions { first: args.first, ..args.options.options() },
        allow_protected: args.consent.allow_protected,
    };
    let code = run(fleet, remote, &request, &args.face).await;
    code.map_err(|error| selectors::after_reading(error, &args.selectors))
}

/// Returns the actions that hosts.toml gives hosts of their own.
fn own_actions(fleet: &Fleet, hosts: &[String]) -> BTreeMap<String, Goal> {
    let hosts = hosts.iter().filter_map(|name| fleet.host(name));
    hosts.filter_map(|host| Some((host.name.clone(), host.action?))).collect()
}

pub(super) async fn build(fleet: Fleet, args: BuildArgs) -> Result<ExitCode, CliError> {
    let request = Request {
        set_aside: BTreeMap::new(),
        degraded: BTreeMap::new(),
        hosts: select(&fleet, &selectors::read(&args.selectors)?)?,
        goal: Goal::Build,
        goals: BTreeMap::new(),
        options: RunOptions { strategy: args.strategy.map(Into::into), ..RunOptions::default() },
        allow_protected: Vec::new(),
        asks: false,
        given: BTreeMap::new(),
        reboot: None,
    };
    let fleet = Arc::new(fleet);
    let remote = Remote::new(Arc::clone(&fleet));
    run(fleet, remote, &request, &args.face).await
}

/// Leaves the terminal that this process was started from: its end ends no run, and no program that
/// the run starts can stop it by asking a question there.
pub(super) fn leave_terminal() {
    use std::os::unix::process::CommandExt;
    if setsid().is_ok() {
        return;
    }
    // The leader of a group cannot begin a session. So we go into the group of a child, which keeps its
    // number until it is collected; who started us may be gone, or outside of our namespace of processes.
    let mut helper = Command::new("/proc/self/exe");
    helper.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = helper.process_group(0).spawn() else { return };
    let _left_before = setpgid(None, Some(Pid::from_child(&child))).and_then(|()| setsid());
    drop(child.kill());
    drop(child.wait());
}

impl FaceArgs {
    /// Returns whether nobody reads what it prints.
    pub(super) fn is_detached(&self) -> bool {
        self.detached
    }

    /// Refuses what must be confirmed where nobody can be asked.
    pub(super) fn check(&self, asks: bool) -> Result<(), CliError> {
        if asks && !self.detached && !std::io::stdin().is_terminal() {
            return Err(CliError::NobodyToAsk);
        }
        Ok(())
    }

    /// Returns how the run shows itself.
    pub(super) fn face(&self) -> Face {
        if self.detached {
            Face::Nothing
        } else if self.json {
            Face::Json { verbose: self.verbose }
        } else if self.quiet {
            Face::Quiet
        } else if self.verbose {
            Face::Verbose
        } else {
            Face::Lines
        }
    }
}

/// Begins a run for a request, and carries it out.
pub(super) async fn run(
    fleet: Arc<Fleet>,
    remote: Remote,
    request: &Request,
    args: &FaceArgs,
) -> Result<ExitCode, CliError> {
    // What is wrong with the request is worth more than that nobody is there to confirm it.
    let setup = setup(&fleet, request)?;
    let goal = setup.goal;
    args.check(request.asks)?;
    if args.detached {
        leave_terminal();
    }
    sudo::passwords(&fleet, &setup.root_hosts(&fleet), &args.sudo)?.give_to(&remote);
    let runs = Runs::open(&state_home())?;
    let limit = share_of_logs(fleet.retention.max_run_size);
    left::end_runs_and_say(&fleet, &runs, Ends::Of(&request.hosts)).await;
    let file = fleet.file.as_deref();
    let writer = match &args.run {
        Some(number) => runs.take_over(&RunId(number.clone()), file)?,
        None => runs.begin(file)?,
    };
    let writer = writer.with_limit(limit);
    let hosts_file = trust::hash_of(fleet.file.as_deref());
    let journal = runs.begin_journal(writer.run(), JOURNAL_FORMAT);
    let carried = CarriedOut {
        fleet,
        remote,
        runs,
        writer,
        journal: journal.inspect_err(|error| tell_aside!("nixdash: {}", no_journal(error))).ok(),
        goal,
        hosts: request.hosts.clone(),
        begin: RunBegin::Fresh { setup: Box::new(setup), hosts_file },
        face: args.face(),
        says: Vec::new(),
        heard: 0,
    };
    carry_out(carried).await
}

/// Says what it means that a journal cannot be written.
fn no_journal(error: &JournalError) -> String {
    format!(
        "{error}. The run goes on, but if this nixdash ends first, `nixdash reattach` cannot go on \
         with the run"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_has_ten_seconds_or_more() {
        assert_eq!(restart_limit("10s"), Ok(SHORTEST_RESTART));
        assert_eq!(restart_limit("5m"), Ok(Duration::from_secs(300)));
        for text in ["0s", "9s", "soon"] {
            assert!(restart_limit(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_restart_that_is_tried_again_has_the_time_that_it_had() {
        let (half, whole) = (Duration::from_secs(1800), Duration::from_secs(3600));
        let args = |reboot, reboot_limit| RebootArgs { reboot, reboot_limit };
        for (args, before, limit) in [
            (args(false, None), Some(half), Some(half)),
            (args(true, None), Some(half), Some(half)),
            (args(false, Some(whole)), Some(half), Some(whole)),
            (args(true, None), None, Some(USUAL_RESTART)),
            (args(false, None), None, None),
        ] {
            assert_eq!(args.limit_or(before).unwrap(), limit, "{args:?}");
        }
        let refused = args(false, Some(whole)).limit();
        assert!(matches!(refused, Err(CliError::LimitOfNoRestart)));
    }
}
