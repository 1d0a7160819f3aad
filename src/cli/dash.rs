//! Joins the screen to the probes and to the runs.
//!
//! The screen gets events and returns effects as plain data; here they are carried out. A run is a
//! process of its own (`nixdash deploy`, detached), which writes its folder; this side reads that
//! folder, so runs that were begun elsewhere or before are shown the same way, and closing the
//! screen ends nothing.

use crate::cli::{CliError, history};
use crate::dash::{
    Effect, Look, Model, Msg, RunKind, Theme, Trend, ascii_from, depth_from, run as show,
};
use crate::fleet::{Event, Fleet, RunId, RunWhat};
use crate::probe::{Handle, Poller, Target};
use crate::record::{
    Prometheus, Recorder, RunNews, RunWatch, Runs, Series, TrendError, Word, state_home,
};
use crate::remote::{Hands, Remote};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{Read, Seek};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Messages that may wait for the screen.
const MESSAGE_QUEUE: usize = 4096;

/// How often the folders of runs are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(120);

/// The theme when `[ui] theme` names none.
const DEFAULT_THEME: &str = "terminal";

/// Opens the dashboard.
pub(super) async fn run(fleet: Fleet) -> Result<ExitCode, CliError> {
    start_own_log();
    let look = look(&fleet)?;
    let runs = Runs::open(&state_home())?;
    let fleet = Arc::new(fleet);
    let hands: Arc<dyn Hands> = Arc::new(Remote::new(Arc::clone(&fleet)));
    let stop = CancellationToken::new();
    let (messages, inbox) = mpsc::channel(MESSAGE_QUEUE);
    let (effects, wanted) = mpsc::channel(64);
    let (events, measured) = mpsc::channel(1024);
    let said = messages.clone();
    let recorder = history::recorder(&fleet, move |line| {
        tracing::warn!("{line}");
        // A screen that has more to read than it can show does without; the log has the line.
        drop(said.try_send(Msg::Notice(line.to_owned())));
    });
    let handle = Poller::spawn(Arc::clone(&fleet), hands, events, stop.clone());
    tokio::spawn(forward(measured, messages.clone(), recorder.clone()));
    tokio::spawn(earlier(Arc::clone(&fleet), messages.clone(), recorder.clone()));
    let watched = Watched { messages: messages.clone(), recorder: recorder.clone() };
    tokio::spawn(watch(runs.clone(), handle.clone(), watched, stop.clone()));
    let runtime = Runtime { fleet: Arc::clone(&fleet), runs, handle, messages };
    let carried_out = tokio::spawn(runtime.carry_out(wanted));
    let shown = show(Model::new(fleet, Timestamp::now()), look, inbox, effects).await;
    stop.cancel();
    // What the screen asked for last (stop these runs) must be said before the end.
    drop(tokio::time::timeout(Duration::from_secs(2), carried_out).await);
    if let Some(recorder) = recorder {
        recorder.flush().await;
    }
    shown?;
    Ok(ExitCode::SUCCESS)
}

/// Sends what nixdash logs of itself to its pane.
fn start_own_log() {
    let layer = tui_logger::TuiTracingSubscriberLayer;
    // A second call (in tests) finds the log started already.
    drop(tracing_subscriber::registry().with(layer).try_init());
    drop(tui_logger::init_logger(tui_logger::LevelFilter::Info));
}

/// Returns how the screen looks: the configured theme on this terminal.
fn look(fleet: &Fleet) -> Result<Look, CliError> {
    let name = fleet.theme.as_deref().unwrap_or(DEFAULT_THEME);
    let theme = match Theme::named(name) {
        Some(theme) => theme,
        None => std::fs::read_to_string(name)
            .map_err(|source| CliError::ReadTheme { path: name.to_owned(), source })
            .and_then(|text| Ok(Theme::parse(&text)?))?,
    };
    let var = |name: &str| std::env::var(name).ok();
    Ok(Look::new(&theme, depth_from(var), ascii_from(var), TimeZone::system()))
}

/// Passes measurements on to the screen and into the history.
async fn forward(
    mut measured: mpsc::Receiver<Event>,
    messages: mpsc::Sender<Msg>,
    recorder: Option<Recorder>,
) {
    while let Some(event) = measured.recv().await {
        if let Some(recorder) = &recorder {
            recorder.record(&event);
        }
        if messages.send(Msg::Event(event)).await.is_err() {
            return;
        }
    }
}

/// Tells the screen what was measured before it was opened: from the history, or from the
/// Prometheus server that `[history]` names.
async fn earlier(fleet: Arc<Fleet>, messages: mpsc::Sender<Msg>, recorder: Option<Recorder>) {
    let now = Timestamp::now();
    let trends = match (&fleet.prometheus, recorder) {
        (Some(url), _) => asked_trends(&fleet, url, now).await,
        (None, Some(recorder)) => Ok(kept_trends(&fleet, &recorder, now).await),
        (None, None) => return,
    };
    // A screen that is gone needs no telling.
    drop(
        messages
            .send(match trends {
                Ok(trends) => Msg::Trends(trends),
                Err(error) => Msg::Notice(error.to_string()),
            })
            .await,
    );
}

/// Values of a graph on the screen.
const TREND_VALUES: i32 = 40;

/// Returns every figure that the screen draws over time, with the time between two probes.
fn series(fleet: &Fleet) -> Vec<(Series, SignedDuration)> {
    let step =
        |time: Duration| SignedDuration::try_from(time).unwrap_or(SignedDuration::from_secs(60));
    let hosts = fleet
        .hosts
        .iter()
        .map(|host| (Series::HostLoad(host.name.clone()), step(Target::Host.interval())));
    let tiers = fleet.tiers.iter().map(|tier| {
        let every = tier.every.unwrap_or_else(|| Target::of_tier(tier).interval());
        (Series::TierLatency(tier.name.clone()), step(every))
    });
    hosts.chain(tiers).collect()
}

/// Makes a series what the screen takes.
fn trend(series: Series, values: Vec<f64>) -> Trend {
    match series {
        Series::HostLoad(host) => Trend::HostLoad(host, values),
        Series::TierLatency(tier) => Trend::TierLatency(tier, values),
    }
}

/// Reads trends from the history, without what this nixdash has measured meanwhile.
async fn kept_trends(fleet: &Fleet, recorder: &Recorder, now: Timestamp) -> Vec<Trend> {
    let mut trends = Vec::new();
    for (series, step) in series(fleet) {
        let since = now.checked_sub(step * TREND_VALUES).unwrap_or(now);
        let values = recorder.trend(series.clone(), since, step).await;
        let earlier =
            values.into_iter().filter(|(at, _)| at.checked_add(step).is_ok_and(|end| end <= now));
        trends.push(trend(series, earlier.map(|(_, value)| value).collect()));
    }
    trends
}

/// Asks a Prometheus server for trends; the first question that fails ends it.
async fn asked_trends(fleet: &Fleet, url: &str, now: Timestamp) -> Result<Vec<Trend>, TrendError> {
    let server = Prometheus::new(url)?;
    let mut trends = Vec::new();
    for (series, step) in series(fleet) {
        let since = now.checked_sub(step * TREND_VALUES).unwrap_or(now);
        let values = server.values(&series, since, now, step).await?;
        trends.push(trend(series, values));
    }
    Ok(trends)
}

/// Who hears of runs. A run writes into the history itself; what an earlier one could not write,
/// or what was lost with a corrupt file, is written here.
struct Watched {
    messages: mpsc::Sender<Msg>,
    recorder: Option<Recorder>,
}

/// Reads the folders of runs, and measures the hosts of a run anew when it ends.
async fn watch(runs: Runs, handle: Handle, watched: Watched, stop: CancellationToken) {
    let mut watch = RunWatch::new(runs);
    let mut hosts: HashMap<RunId, Vec<String>> = HashMap::new();
    while !stop.is_cancelled() {
        let looked = tokio::task::spawn_blocking(move || {
            let news = watch.look();
            (watch, news)
        });
        let Ok((back, news)) = looked.await else { return };
        watch = back;
        for news in news {
            let message = match news {
                RunNews::Event(event) => {
                    match &event.what {
                        RunWhat::Begin { hosts: taking_part, .. } => {
                            hosts.insert(event.run.clone(), taking_part.clone());
                        }
                        RunWhat::Result { host, .. } => handle.after_run(host),
                        RunWhat::Phase { .. }
                        | RunWhat::Progress { .. }
                        | RunWhat::Log { .. }
                        | RunWhat::Plan { .. }
                        | RunWhat::Waiting { .. }
                        | RunWhat::Summary { .. } => {}
                    }
                    let event = Event::Run(event);
                    if let Some(recorder) = &watched.recorder {
                        recorder.record(&event);
                    }
                    Msg::Event(event)
                }
                RunNews::Gone(run) => {
                    let why = "its process is gone without an end; look at the hosts before \
                               you deploy again"
                        .to_owned();
                    for host in hosts.remove(&run).unwrap_or_default() {
                        handle.after_run(&host);
                    }
                    Msg::RunGone { run, why }
                }
            };
            if watched.messages.send(message).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Carries out what the screen asks for.
struct Runtime {
    fleet: Arc<Fleet>,
    runs: Runs,
    handle: Handle,
    messages: mpsc::Sender<Msg>,
}

impl Runtime {
    async fn carry_out(self, mut wanted: mpsc::Receiver<Effect>) {
        while let Some(effect) = wanted.recv().await {
            match effect {
                Effect::StartRun { kind, hosts, action, strategy, allow_protected } => {
                    let mut args: Vec<String> = vec![kind.word().to_owned()];
                    if let Some(strategy) = strategy {
                        args.extend(["--strategy".to_owned(), strategy.word().to_owned()]);
                    }
                    if kind == RunKind::Deploy {
                        args.extend(["--action".to_owned(), action.word().to_owned()]);
                        for host in allow_protected {
                            args.extend(["--allow-protected".to_owned(), host]);
                        }
                    }
                    args.extend(["--detached".to_owned(), "--".to_owned()]);
                    args.extend(hosts);
                    self.start(args).await;
                }
                Effect::Answer { run, yes } => {
                    self.say(&run, if yes { Word::Yes } else { Word::No }).await;
                }
                Effect::CancelRun { run } => self.say(&run, Word::Cancel).await,
                Effect::Probe { hosts } => self.probe(&hosts),
                Effect::OpenLog { run, host } => {
                    let path = self.runs.log(&run, &host);
                    self.notice(format!("the whole log is {}", path.display())).await;
                }
                Effect::Quit { cancel } => {
                    for run in cancel {
                        self.say(&run, Word::Cancel).await;
                    }
                    return;
                }
                // Carried out by the terminal itself.
                Effect::Terminal(_) => {}
            }
        }
    }

    /// Starts a run as a process that outlives this one.
    async fn start(&self, args: Vec<String>) {
        let Ok(program) = std::env::current_exe() else {
            self.notice("nixdash's own program file was not found".to_owned()).await;
            return;
        };
        let mut all: Vec<OsString> = vec![program.into_os_string()];
        if let Some(file) = &self.fleet.file {
            let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
            all.extend(["--hosts".into(), file.into_os_string()]);
        }
        all.extend(args.into_iter().map(OsString::from));
        let Ok(said) = tempfile::tempfile() else {
            self.notice("no temporary file can be made; is the disk full?".to_owned()).await;
            return;
        };
        let messages = self.messages.clone();
        let spawned = said.try_clone().and_then(|stderr| {
            // A session of its own: closing the terminal does not end the run.
            tokio::process::Command::new("setsid")
                .args(all)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(stderr)
                .spawn()
        });
        match spawned {
            Ok(child) => {
                tokio::spawn(report_end(child, said, messages));
            }
            Err(error) => self.notice(format!("the run could not be started: {error}")).await,
        }
    }

    /// Says something to a run.
    async fn say(&self, run: &RunId, word: Word) {
        if let Err(error) = self.runs.say(run, word) {
            self.notice(error.to_string()).await;
        }
    }

    /// Measures now.
    fn probe(&self, hosts: &[String]) {
        if hosts.is_empty() {
            self.handle.ask_all();
        }
        for host in hosts {
            self.handle.ask(host);
        }
    }

    /// Tells the person something; a screen that is gone needs no telling.
    async fn notice(&self, text: String) {
        drop(self.messages.send(Msg::Notice(text)).await);
    }
}

/// Tells why a run could not even begin.
async fn report_end(
    mut child: tokio::process::Child,
    mut said: std::fs::File,
    messages: mpsc::Sender<Msg>,
) {
    let Ok(status) = child.wait().await else { return };
    let mut text = String::new();
    // What cannot be read is not shown; the exit code still is.
    drop(said.rewind().and_then(|()| said.read_to_string(&mut text)));
    let text = text.trim();
    if status.code() == Some(i32::from(crate::cli::EXIT_USAGE)) || !text.is_empty() {
        let text = text.strip_prefix("nixdash: ").unwrap_or(text);
        let text = if text.is_empty() { "the run could not begin" } else { text };
        drop(messages.send(Msg::Notice(crate::fleet::printable_line(text))).await);
    }
}
