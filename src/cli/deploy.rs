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
    /// Prints one JSON object per line
    #[arg(long)]
    json: bool,
    /// Prints nothing; the plan is answered through the run's folder
    #[arg(long, hide = true)]
    detached: bool,
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
    /// Prints one JSON object per line
    #[arg(long)]
    json: bool,
    /// Prints nothing
    #[arg(long, hide = true)]
    detached: bool,
}

/// How a run shows itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Face {
    Lines,
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
    let asks = !args.yes && args.action.changes();
    if asks && !args.detached && !std::io::stdin().is_terminal() {
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
    run(fleet, &request, face(args.json, args.detached)).await
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
    run(fleet, &request, face(args.json, args.detached)).await
}

impl ActionArg {
    /// Returns whether the action changes anything that a person should confirm.
    fn changes(self) -> bool {
        !matches!(self, Self::DryActivate)
    }
}

fn face(json: bool, detached: bool) -> Face {
    match (detached, json) {
        (true, _) => Face::Nothing,
        (false, true) => Face::Json,
        (false, false) => Face::Lines,
    }
}

/// Carries a request out, records it and shows it.
async fn run(fleet: Fleet, request: &Request, face: Face) -> Result<ExitCode, CliError> {
    let setup = setup(&fleet, request)?;
    let width = request.hosts.iter().map(String::len).max().unwrap_or(0);
    let runs = Runs::open(&state_home())?;
    let writer = runs.begin()?;
    let fleet = Arc::new(fleet);
    let recorder = history::recorder(&fleet, |line| eprintln!("nixdash: {line}"));
    let deploy = Deploy {
        hands: Arc::new(Remote::new(Arc::clone(&fleet))),
        fleet,
        run: writer.run().clone(),
        setup,
    };
    let (events, received) = mpsc::channel(EVENT_QUEUE);
    let (control, said) = mpsc::channel(8);
    let listener = tokio::spawn(listen(runs, writer.run().clone(), control.clone()));
    let shown = tokio::spawn(show((writer, recorder), received, Shown { face, width, control }));
    let outcomes = deploy.run(said, events).await;
    listener.abort();
    if let Ok(result) = shown.await {
        result?;
    }
    Ok(exit_code(&outcomes))
}

/// Returns the exit code for how the hosts ended.
fn exit_code(outcomes: &[(String, Outcome)]) -> ExitCode {
    if outcomes.iter().any(|(_, outcome)| *outcome == Outcome::Interrupted) {
        return ExitCode::from(EXIT_INTERRUPTED);
    }
    if outcomes.iter().all(|(_, outcome)| outcome.is_good()) {
        return ExitCode::SUCCESS;
    }
    ExitCode::from(EXIT_FAILED)
}

/// How events are shown.
struct Shown {
    face: Face,
    width: usize,
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
            Face::Lines => print::event(event, self.width),
            Face::Json => json::run_event(event),
            Face::Nothing => None,
        };
        let mut out = std::io::stdout().lock();
        if line.is_some_and(|line| writeln!(out, "{line}").and_then(|()| out.flush()).is_err()) {
            self.face = Face::Nothing;
        }
        let waits = matches!(event.what, RunWhat::Plan { waits: true, .. });
        if waits && self.face != Face::Nothing {
            // Standard error, so that --json stays JSON Lines.
            eprint!("deploy this? [y/N] ");
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

/// Passes on what is said through the run's folder, and turns signals into a stop.
async fn listen(runs: Runs, run: RunId, control: mpsc::Sender<Control>) {
    let mut interrupt = signal(SignalKind::interrupt()).ok();
    let mut terminate = signal(SignalKind::terminate()).ok();
    let mut heard = 0;
    let mut tick = tokio::time::interval(WORDS_EVERY);
    let began = tokio::time::Instant::now();
    let mut answered = false;
    loop {
        let mut say = Vec::new();
        tokio::select! {
            () = next(&mut interrupt) => say.push(Control::Cancel),
            () = next(&mut terminate) => say.push(Control::Cancel),
            _ = tick.tick() => {
                let said = runs.said(&run);
                say.extend(said.iter().skip(heard).map(|word| match word {
                    Word::Yes => Control::Answer(true),
                    Word::No => Control::Answer(false),
                    Word::Cancel => Control::Cancel,
                }));
                heard = said.len();
                if !answered && began.elapsed() > ANSWER_LIMIT {
                    answered = true;
                    say.push(Control::Answer(false));
                }
            }
        }
        for word in say {
            if control.send(word).await.is_err() {
                return;
            }
        }
    }
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
