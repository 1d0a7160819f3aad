//! `nixdash deploy` and `nixdash build`: the engine without a screen.
//!
//! The dashboard starts this same command, detached, and reads the run's folder like everybody
//! else; what is said to the run (the plan's answer, stop) comes through that folder too.

use crate::cli::left::{self, Ends};
use crate::cli::newest::newest_confirmed;
use crate::cli::show::{Display, Face, Notices, RunDisplay};
use crate::cli::sudo::{self, SudoArgs};
use crate::cli::{
    CliError, EXIT_FAILED, EXIT_INTERRUPTED, complete, given, history, selectors, trust, wait,
};
use crate::deploy::{
    Allowed, Control, Deploy, Ended, JOURNAL_FORMAT, Listener, Request, RunBegin, RunJournal, setup,
};
use crate::fleet::{
    DropReason, Event, Fleet, Goal, Outcome, RunEvent, RunId, RunWhat, Strategy, select,
};
use crate::record::{
    History, JournalError, JournalWriter, KeptEvaluations, Recorder, RunRecord, RunRecorder,
    RunWriter, Runs, Word, state_home,
};
use crate::remote::Remote;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use rustix::process::{getpgid, getppid, setpgid, setsid};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc};

/// How often the run's folder is asked for words.
const WORDS_EVERY: Duration = Duration::from_millis(200);

/// How long a detached run waits for the plan's answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(15 * 60);

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
    /// Activate now, boot the old one
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
    /// Where systems are built and how they travel [default: the host's, else the fleet's]
    #[arg(long, value_enum)]
    strategy: Option<StrategyArg>,
    /// Deploys this system instead of evaluating the flake; it is on the host, on the builder or in a tier
    #[arg(long, value_name = "PATH", conflicts_with_all = ["built", "first"])]
    to: Option<String>,
    /// Deploys what `nixdash build` built last and was not deployed yet, without evaluating the flake
    #[arg(long, conflicts_with = "first")]
    built: bool,
    /// What switch-to-configuration is asked to do
    #[arg(long, value_enum, default_value = "switch")]
    action: ActionArg,
    /// Deploys without asking
    #[arg(long, short)]
    yes: bool,
    /// Lets a protected host take part; may be given several times
    #[arg(long, value_name = "NAME", add = complete::protected())]
    allow_protected: Vec<String>,
    /// Lets hosts take part that run no system of NixOS yet: nothing can go back there
    #[arg(long)]
    first: bool,
    /// Deploys, with --yes too, what does not contain the revision that a host runs
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
    #[command(flatten)]
    reboot: RebootArgs,
    #[command(flatten)]
    face: FaceArgs,
}

/// Arguments that say whether hosts are restarted.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct RebootArgs {
    /// Restarts each host when its new system is permanent, and waits until it runs that
    #[arg(long)]
    reboot: bool,
    /// How long a host may take to restart, unlocking its disk included
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = wait::limit, requires = "reboot")]
    reboot_limit: Duration,
}

impl RebootArgs {
    /// Returns how long a restart may take; nothing where hosts are not restarted.
    pub(super) fn limit(self) -> Option<Duration> {
        self.limit_or(false)
    }

    /// Does what [`Self::limit`] does, where hosts may be restarted for another reason.
    pub(super) fn limit_or(self, reboots: bool) -> Option<Duration> {
        (self.reboot || reboots).then_some(self.reboot_limit)
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
    /// Leaves out the logs; they are in the run's folder all the same
    #[arg(long, short, conflicts_with = "json")]
    quiet: bool,
    /// Prints each script that is run on a host, with its arguments
    #[arg(long, short, conflicts_with_all = ["json", "quiet"])]
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
    select(&fleet, &args.allow_protected)?;
    let goal = Goal::from(args.action);
    let hosts = select(&fleet, &selectors::read(&args.selectors)?)?;
    let (fleet, asks) = (Arc::new(fleet), !args.yes && goal.changes());
    let remote = Remote::new(Arc::clone(&fleet));
    let given = match &args.to {
        Some(path) => given::named(&fleet, &remote, &hosts, path).await?,
        None if args.built => given::built(&fleet, &remote, &hosts).await?,
        None => BTreeMap::new(),
    };
    let request = Request {
        hosts,
        asks,
        given,
        reboot: args.reboot.limit().filter(|_| goal.persists()),
        goal,
        strategy: args.strategy.map(Into::into),
        allow_protected: args.allow_protected,
        first: args.first,
        allowed: Allowed {
            older: args.allow_older,
            without_specialisation: args.without_specialisation,
        },
        skip_caches: args.skip_caches,
        wait_offline: args.wait_offline,
    };
    run(fleet, remote, &request, &args.face).await
}

pub(super) async fn build(fleet: Fleet, args: BuildArgs) -> Result<ExitCode, CliError> {
    let request = Request {
        hosts: select(&fleet, &selectors::read(&args.selectors)?)?,
        goal: Goal::Build,
        strategy: args.strategy.map(Into::into),
        allow_protected: Vec::new(),
        first: false,
        allowed: Allowed::default(),
        skip_caches: false,
        wait_offline: false,
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
    // The leader of a group cannot begin a session, so we go back into the group of who started us.
    // Where that is gone, or has no terminal, there is nothing to leave.
    if let Some(group) = getppid().and_then(|parent| getpgid(Some(parent)).ok()) {
        let _gone = setpgid(None, Some(group));
    }
    let _left_before = setsid();
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
            Face::Json
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
    args.check(request.asks)?;
    if args.detached {
        leave_terminal();
    }
    sudo::passwords(&fleet, &setup.root_hosts(), &args.sudo)?.give_to(&remote);
    let runs = Runs::open(&state_home())?;
    let limit = fleet.retention.max_run_size;
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
        journal: journal.inspect_err(|error| eprintln!("nixdash: {}", no_journal(error))).ok(),
        goal: request.goal,
        hosts: request.hosts.clone(),
        begin: RunBegin::Fresh { setup, hosts_file },
        face: args.face(),
        says: Vec::new(),
    };
    carry_out(carried).await
}

/// Says what it means that a journal cannot be written.
fn no_journal(error: &JournalError) -> String {
    format!(
        "{error}. The run goes on, but `nixdash reattach` cannot go on with it when it is ended"
    )
}

/// A run that this process carries out.
pub(super) struct CarriedOut {
    pub(super) fleet: Arc<Fleet>,
    pub(super) remote: Remote,
    pub(super) runs: Runs,
    pub(super) writer: RunWriter,
    pub(super) journal: Option<JournalWriter>,
    /// What it is for.
    pub(super) goal: Goal,
    /// Its hosts.
    pub(super) hosts: Vec<String>,
    pub(super) begin: RunBegin,
    pub(super) face: Face,
    /// What is said to it at once.
    pub(super) says: Vec<Control>,
}

/// Carries a run out, records it and shows it.
///
/// Two threads listen, each behind a queue of its own: one writes the run's folder, one the
/// output. The engine waits for neither.
pub(super) async fn carry_out(carried: CarriedOut) -> Result<ExitCode, CliError> {
    let CarriedOut { fleet, remote, runs, writer, journal, goal, hosts, begin, face, says } =
        carried;
    let width = hosts.iter().map(String::len).max().unwrap_or(0);
    let run = writer.run().clone();
    let tag = runs.tag(&run).unwrap_or_default();
    let notices = Notices::start();
    let say = notices.clone();
    let say = move |line: &str| say.say(&format!("nixdash: {line}\n"));
    let recorder = history::recorder(&fleet, say.clone());
    let journal = match journal {
        Some(writer) => RunJournal::start(writer, say)?,
        None => RunJournal::none(),
    };
    let newest = {
        let (runs, own, file) = (runs.clone(), run.clone(), fleet.file.clone());
        Arc::new(move |host: &str| newest_confirmed(&runs, &own, file.as_deref(), host))
    };
    let (control, said) = mpsc::channel(8);
    let stopped = Arc::new(AtomicBool::new(false));
    // What was said to an earlier process was heard by that one.
    let heard = runs.said(&run).len();
    let asked = Arc::new(Notify::new());
    let ears = Ears {
        words: words(runs.clone(), run.clone(), heard),
        control: control.clone(),
        notices: notices.clone(),
        asked: Arc::clone(&asked),
    };
    let ears = tokio::spawn(ears.listen(Arc::clone(&stopped)));
    for word in says {
        // There is room: nothing was said yet.
        let _full = control.try_send(word);
    }
    let written = RunRecorder::start(writer, recorder.clone())?;
    let shown = Display { face, width, goal, control }.start();
    show_again(&run, &begin, &runs, &shown, recorder.as_ref());
    let runner = Arc::new(remote.clone());
    let hears = listener(&written, &shown, recorder.clone(), asked);
    tell_usual_times(run.clone(), hosts, Arc::clone(&hears));
    let kept = Some(KeptEvaluations::below(&state_home()));
    let deploy = Deploy { runner, fleet, run: run.clone(), tag, begin, journal, kept, newest };
    let Ended { outcomes, untidy } = deploy.run(said, hears).await;
    runs.note_untidy(&run, &untidy);
    ears.abort();
    remote.close().await;
    tell_gaps(&written.end().await, &notices);
    shown.end().await;
    if let Some(recorder) = recorder {
        recorder.flush().await;
    }
    notices.written().await;
    Ok(exit_code(&outcomes, stopped.load(Ordering::Acquire)))
}

/// Tells what phases usually take on the hosts, as soon as the history has said it; nothing where it
/// cannot be read, or knows nothing.
fn tell_usual_times(run: RunId, hosts: Vec<String>, hears: Listener) {
    drop(tokio::task::spawn_blocking(move || {
        let Ok(history) = History::open(&state_home()) else { return };
        let usual = |host: String| Some((host.clone(), history.usual_times(&host).ok()?));
        let hosts: BTreeMap<_, _> =
            hosts.into_iter().filter_map(usual).filter(|(_, times)| !times.is_empty()).collect();
        if !hosts.is_empty() {
            hears(RunEvent { run, at: Timestamp::now(), what: RunWhat::Usual { hosts } });
        }
    }));
}

/// Of a run that is gone on with, tells the history what stands in its folder, and shows the plan
/// that waits for an answer once more.
fn show_again(
    run: &RunId,
    begin: &RunBegin,
    runs: &Runs,
    shown: &RunDisplay,
    recorder: Option<&Recorder>,
) {
    let RunBegin::GoOn { replayed, .. } = begin else { return };
    if let Some(recorder) = recorder {
        for event in runs.decided(run) {
            recorder.record(&Event::Run(event));
        }
    }
    if let (Some(plan), Some(display)) = (&replayed.waiting_plan, &shown.events) {
        let what = RunWhat::Plan { plan: plan.clone(), waits: true };
        display.send(RunEvent { run: run.clone(), at: Timestamp::now(), what });
    }
}

/// Says what is missing in the run's folder; that does not change how the hosts ended.
fn tell_gaps(record: &RunRecord, notices: &Notices) {
    let marks = match record {
        RunRecord::Written(marks) => marks,
        RunRecord::GivenUp => {
            notices.say(
                "nixdash: the disk with the run's folder did not take anything for 30 s; the end of \
                 the run is not recorded there\n",
            );
            return;
        }
    };
    let mut gaps: BTreeMap<DropReason, (u64, u64)> = BTreeMap::new();
    for mark in marks {
        if let RunWhat::Dropped { lines, events, why, .. } = &mark.what {
            let gap = gaps.entry(*why).or_default();
            *gap = (gap.0.saturating_add(*lines), gap.1.saturating_add(*events));
        }
    }
    for (why, (lines, events)) in gaps {
        notices.say(&format!("nixdash: {}\n", why.sentence(lines, events)));
    }
}

/// Returns who hears of everything that happens: disk, display and history, none of which is
/// waited for.
fn listener(
    written: &RunRecorder,
    shown: &RunDisplay,
    recorder: Option<Recorder>,
    asked: Arc<Notify>,
) -> Listener {
    let (disk, display) = (written.events.clone(), shown.events.clone());
    Arc::new(move |event| {
        if matches!(event.what, RunWhat::Plan { waits: true, .. }) {
            asked.notify_one();
        }
        if let Some(recorder) = &recorder {
            recorder.record(&Event::Run(event.clone()));
        }
        if let Some(display) = &display {
            display.send(event.clone());
        }
        disk.send(event);
    })
}

/// Returns the exit code for how the hosts ended, and whether somebody stopped the run.
pub(super) fn exit_code(outcomes: &[(String, Outcome)], stopped: bool) -> ExitCode {
    if outcomes.iter().all(|(_, outcome)| outcome.is_good()) {
        return ExitCode::SUCCESS;
    }
    let interrupted = outcomes.iter().any(|(_, outcome)| *outcome == Outcome::Interrupted);
    ExitCode::from(if stopped || interrupted { EXIT_INTERRUPTED } else { EXIT_FAILED })
}

/// Reads what is said to a run through its folder, on a thread of its own: where the disk hangs,
/// signals are heard all the same. So many words were heard before.
fn words(runs: Runs, run: RunId, mut heard: usize) -> mpsc::Receiver<Word> {
    let (sender, words) = mpsc::channel(8);
    let read = move || {
        while !sender.is_closed() {
            let said = runs.said(&run);
            for word in said.iter().skip(heard) {
                // Nobody listens any more: the run is over.
                let _over = sender.blocking_send(word.clone());
            }
            heard = said.len();
            std::thread::sleep(WORDS_EVERY);
        }
    };
    // Without a thread only signals and the terminal are heard.
    drop(std::thread::Builder::new().name("words".to_owned()).spawn(read));
    words
}

/// Hears what is said to a run: through its folder, and by signals.
struct Ears {
    words: mpsc::Receiver<Word>,
    control: mpsc::Sender<Control>,
    notices: Notices,
    /// Hears that the plan was shown and waits for an answer.
    asked: Arc<Notify>,
}

impl Ears {
    /// Passes on what is said, and notes in `stopped` whether somebody stopped the run.
    async fn listen(mut self, stopped: Arc<AtomicBool>) {
        let mut interrupt = signal(SignalKind::interrupt()).ok();
        let mut terminate = signal(SignalKind::terminate()).ok();
        // Heard and passed over: a run goes on when its terminal is closed.
        let mut hangup = signal(SignalKind::hangup()).ok();
        let given_up = tokio::time::sleep(ANSWER_LIMIT);
        tokio::pin!(given_up);
        let mut waits = false;
        loop {
            let said = tokio::select! {
                () = next(&mut interrupt) => {
                    if stopped.load(Ordering::Acquire) {
                        // What runs on hosts is safe without us: supervisors go back.
                        std::process::exit(i32::from(EXIT_INTERRUPTED));
                    }
                    self.notices.say(
                        "stopping; hosts that began to activate go back (ctrl-c again: leave)\n",
                    );
                    Control::Cancel
                }
                () = next(&mut terminate) => Control::Cancel,
                () = next(&mut hangup) => continue,
                Some(word) = self.words.recv() => match word {
                    Word::Yes => Control::Answer(true),
                    Word::No => Control::Answer(false),
                    Word::Cancel => Control::Cancel,
                    Word::Order(order) => Control::Order(order),
                },
                () = self.asked.notified(), if !waits => {
                    waits = true;
                    given_up.as_mut().reset(tokio::time::Instant::now() + ANSWER_LIMIT);
                    continue;
                }
                () = &mut given_up, if waits => {
                    waits = false;
                    Control::Answer(false)
                }
            };
            if said == Control::Cancel {
                stopped.store(true, Ordering::Release);
            }
            if self.control.send(said).await.is_err() {
                return;
            }
        }
    }
}

/// Waits for a signal; for ever, where signals cannot be heard.
pub(super) async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
