//! `nixdash deploy` and `nixdash build`: the engine without a screen.
//!
//! The dashboard starts this same command, detached, and reads the run's folder like everybody
//! else; what is said to the run (the plan's answer, stop) comes through that folder too.

use crate::cli::{CliError, EXIT_FAILED, EXIT_INTERRUPTED, history, json, print};
use crate::deploy::{Control, Deploy, Kind, Request, setup};
use crate::fleet::{Action, Event, Fleet, Outcome, RunEvent, RunId, RunWhat, Strategy, select};
use crate::record::{RecordError, Recorder, RunWriter, Runs, Word, state_home};
use crate::remote::Remote;
use clap::{Args, ValueEnum};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::AsyncBufReadExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Events that may wait for the disk and the terminal.
const EVENT_QUEUE: usize = 4096;

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
    /// Names, globs, @tag, or all
    #[arg(required = true, value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// Where systems are built and how they travel [default: the host's, else the fleet's]
    #[arg(long, value_enum)]
    strategy: Option<StrategyArg>,
    /// What switch-to-configuration is asked to do
    #[arg(long, value_enum, default_value = "switch")]
    action: ActionArg,
    /// Deploys without asking
    #[arg(long, short)]
    yes: bool,
    /// Lets a protected host take part; may be given several times
    #[arg(long, value_name = "NAME")]
    allow_protected: Vec<String>,
    #[command(flatten)]
    face: FaceArgs,
}

/// Arguments of `nixdash build`.
#[derive(Debug, Args)]
pub(super) struct BuildArgs {
    /// Names, globs, @tag, or all
    #[arg(required = true, value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// Where systems are built [default: the host's, else the fleet's]
    #[arg(long, value_enum)]
    strategy: Option<StrategyArg>,
    #[command(flatten)]
    face: FaceArgs,
}

/// Arguments that say how a run shows itself.
#[derive(Debug, Args)]
struct FaceArgs {
    /// Prints one JSON object per line
    #[arg(long)]
    json: bool,
    /// Leaves out the logs; they are in the run's folder all the same
    #[arg(long, short, conflicts_with = "json")]
    quiet: bool,
    /// Prints nothing; the plan is answered through the run's folder
    #[arg(long, hide = true)]
    detached: bool,
}

/// How a run shows itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Face {
    Lines,
    Quiet,
    Json,
    Nothing,
}

impl From<StrategyArg> for Strategy {
    fn from(arg: StrategyArg) -> Self {
        match arg {
            StrategyArg::ViaCache => Self::ViaCache,
            StrategyArg::Direct => Self::Direct,
        }
    }
}

impl From<ActionArg> for Action {
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
    let asks = !args.yes && args.action.changes();
    if asks && !args.face.detached && !std::io::stdin().is_terminal() {
        return Err(CliError::NobodyToAsk);
    }
    let request = Request {
        kind: Kind::Deploy,
        hosts: select(&fleet, &args.selectors)?,
        action: args.action.into(),
        strategy: args.strategy.map(Into::into),
        allow_protected: args.allow_protected,
        asks,
    };
    run(fleet, &request, args.face.face()).await
}

pub(super) async fn build(fleet: Fleet, args: BuildArgs) -> Result<ExitCode, CliError> {
    let request = Request {
        kind: Kind::Build,
        hosts: select(&fleet, &args.selectors)?,
        action: Action::DryActivate,
        strategy: args.strategy.map(Into::into),
        allow_protected: Vec::new(),
        asks: false,
    };
    run(fleet, &request, args.face.face()).await
}

impl ActionArg {
    /// Returns whether the action changes anything that a person should confirm.
    fn changes(self) -> bool {
        !matches!(self, Self::DryActivate)
    }
}

impl FaceArgs {
    fn face(&self) -> Face {
        if self.detached {
            Face::Nothing
        } else if self.json {
            Face::Json
        } else if self.quiet {
            Face::Quiet
        } else {
            Face::Lines
        }
    }
}

/// Carries a request out, records it and shows it.
async fn run(fleet: Fleet, request: &Request, face: Face) -> Result<ExitCode, CliError> {
    let setup = setup(&fleet, request)?;
    let width = request.hosts.iter().map(String::len).max().unwrap_or(0);
    let runs = Runs::open(&state_home())?;
    let writer = runs.begin(fleet.file.as_deref())?;
    let fleet = Arc::new(fleet);
    let recorder = history::recorder(&fleet, |line| tell(&format!("nixdash: {line}\n")));
    let remote = Remote::new(Arc::clone(&fleet));
    let deploy =
        Deploy { hands: Arc::new(remote.clone()), fleet, run: writer.run().clone(), setup };
    let (events, received) = mpsc::channel(EVENT_QUEUE);
    let (control, said) = mpsc::channel(8);
    let stopped = Arc::new(AtomicBool::new(false));
    let ears = Ears { runs, run: writer.run().clone(), control: control.clone() };
    let listener = tokio::spawn(ears.listen(Arc::clone(&stopped)));
    let shown = tokio::spawn(show(
        (writer, recorder),
        received,
        Shown { face, width, kind: request.kind, control },
    ));
    let outcomes = deploy.run(said, events).await;
    listener.abort();
    remote.close().await;
    if let Ok(result) = shown.await {
        result?;
    }
    Ok(exit_code(&outcomes, stopped.load(Ordering::Acquire)))
}

/// Returns the exit code for how the hosts ended, and whether somebody stopped the run.
fn exit_code(outcomes: &[(String, Outcome)], stopped: bool) -> ExitCode {
    if outcomes.iter().all(|(_, outcome)| outcome.is_good()) {
        return ExitCode::SUCCESS;
    }
    let interrupted = outcomes.iter().any(|(_, outcome)| *outcome == Outcome::Interrupted);
    ExitCode::from(if stopped || interrupted { EXIT_INTERRUPTED } else { EXIT_FAILED })
}

/// How events are shown.
struct Shown {
    face: Face,
    width: usize,
    kind: Kind,
    control: mpsc::Sender<Control>,
}

/// Records and shows every event; a terminal that went away does not stop the run.
async fn show(
    (mut writer, recorder): (RunWriter, Option<Recorder>),
    mut events: mpsc::Receiver<RunEvent>,
    mut shown: Shown,
) -> Result<(), RecordError> {
    let mut trouble = None;
    let mut batch = Vec::new();
    while events.recv_many(&mut batch, 256).await > 0 {
        for event in &batch {
            if trouble.is_none() {
                trouble = writer.write(event).err();
            }
        }
        if trouble.is_none() {
            trouble = writer.flush().err();
        }
        for event in batch.drain(..) {
            shown.show(&event);
            if let Some(recorder) = &recorder {
                recorder.record(&Event::Run(event));
            }
        }
    }
    if let Some(recorder) = recorder {
        recorder.flush().await;
    }
    trouble.map_or(Ok(()), Err)
}

impl Shown {
    fn show(&mut self, event: &RunEvent) {
        let line = match self.face {
            Face::Quiet if matches!(event.what, RunWhat::Log { .. }) => None,
            Face::Lines | Face::Quiet => print::event(event, self.width, self.kind),
            Face::Json => json::run_event(event),
            Face::Nothing => None,
        };
        let mut out = std::io::stdout().lock();
        if line.is_some_and(|line| writeln!(out, "{line}").and_then(|()| out.flush()).is_err()) {
            self.face = Face::Nothing;
        }
        let waits = matches!(event.what, RunWhat::Plan { waits: true, .. });
        if waits && self.face != Face::Nothing {
            tell("deploy this? [y/N] ");
            tokio::spawn(answer(self.control.clone()));
        }
    }
}

/// Reads the answer from the terminal; anything but yes is no.
async fn answer(control: mpsc::Sender<Control>) {
    let mut line = String::new();
    let mut stdin = tokio::io::BufReader::new(tokio::io::stdin());
    // An error reads as an empty line, which is no.
    drop(stdin.read_line(&mut line).await);
    let yes = matches!(line.trim().to_lowercase().as_str(), "y" | "yes");
    // The run may be over already.
    let _over = control.send(Control::Answer(yes)).await;
}

/// Hears what is said to a run: through its folder, and by signals.
struct Ears {
    runs: Runs,
    run: RunId,
    control: mpsc::Sender<Control>,
}

impl Ears {
    /// Passes on what is said, and notes in `stopped` whether somebody stopped the run.
    async fn listen(self, stopped: Arc<AtomicBool>) {
        let mut interrupt = signal(SignalKind::interrupt()).ok();
        let mut terminate = signal(SignalKind::terminate()).ok();
        // Heard and passed over: a run goes on when its terminal is closed.
        let mut hangup = signal(SignalKind::hangup()).ok();
        let mut heard = 0;
        let mut tick = tokio::time::interval(WORDS_EVERY);
        let began = tokio::time::Instant::now();
        let mut given_up = false;
        loop {
            let mut say = Vec::new();
            tokio::select! {
                () = next(&mut interrupt) => {
                    if stopped.load(Ordering::Acquire) {
                        // What runs on hosts is safe without us: supervisors go back.
                        std::process::exit(i32::from(EXIT_INTERRUPTED));
                    }
                    tell("stopping; hosts that began to activate go back (ctrl-c again: leave)\n");
                    say.push(Control::Cancel);
                }
                () = next(&mut terminate) => say.push(Control::Cancel),
                () = next(&mut hangup) => {}
                _ = tick.tick() => {
                    let said = self.runs.said(&self.run);
                    say.extend(said.iter().skip(heard).map(|word| match word {
                        Word::Yes => Control::Answer(true),
                        Word::No => Control::Answer(false),
                        Word::Cancel => Control::Cancel,
                    }));
                    heard = said.len();
                    if !given_up && began.elapsed() > ANSWER_LIMIT {
                        given_up = true;
                        say.push(Control::Answer(false));
                    }
                }
            }
            for word in say {
                if word == Control::Cancel {
                    stopped.store(true, Ordering::Release);
                }
                if self.control.send(word).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Writes to standard error, so that `--json` stays JSON Lines; it may be closed.
fn tell(text: &str) {
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}

/// Waits for a signal; for ever, where signals cannot be heard.
async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
