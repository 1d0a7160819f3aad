//! Joins the screen to the probes and to the runs.
//!
//! The screen gets events and returns effects as plain data; `effects` carries these out. A run is a
//! process of its own (`nixdash deploy`, detached), which writes its folder; this side reads that
//! folder, so runs that were begun elsewhere or before are shown the same way, and closing the
//! screen ends nothing.

use crate::cli::ancestry::{self, SeenRevisions};
use crate::cli::effects::Runtime;
use crate::cli::follow_logs::follow_logs;
use crate::cli::live::{HearsOfRuns, count_requests, watch_runs};
use crate::cli::logs::LogScreen;
use crate::cli::session::SessionKeeper;
use crate::cli::sudo::SudoPasswords;
use crate::cli::units::UnitReader;
use crate::cli::{
    CliError, earlier, figures, history, init, left, practice, silence, themes, trends,
};
use crate::dash::{
    Background, DashEnd, Keymap, LogsInView, Look, Model, Msg, ascii_from, depth_from, recall,
    run as show,
};
use crate::fleet::{Event, Fleet};
use crate::probe::{Poller, Record, next_second};
use crate::record::{KeptSilences, Recorder, RunNews, RunWatch, Runs, state_home};
use crate::remote::{Remote, ScriptRunner};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Messages that may wait for the screen.
const MESSAGE_QUEUE: usize = 4096;

/// How long the first of what was measured waits for more.
const GATHER: Duration = Duration::from_millis(100);

/// Opens the dashboard; with what was tried of the practice fleet, where it is of that and this file
/// keeps it. Returns how it ended.
pub(super) async fn run(fleet: Fleet, practice_file: Option<PathBuf>) -> Result<DashEnd, CliError> {
    start_own_log();
    let theme = themes::name(&fleet);
    let (look, other_theme) = look(&theme);
    let runs = Runs::open(&state_home())?;
    let fleet = Arc::new(fleet);
    // Before anything is asked: what was found before is on the first frame, with its age.
    let known_before = earlier::events(&fleet, &earlier::read(&fleet));
    let remote = Remote::new(Arc::clone(&fleet));
    let runner: Arc<dyn ScriptRunner> = Arc::new(remote.clone());
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
    let record = Record { recorder: recorder.clone(), runs: Some(runs.clone()) };
    let handle =
        Poller::spawn(Arc::clone(&fleet), Arc::clone(&runner), events, record, stop.clone());
    let seen = SeenRevisions::of(Arc::clone(&fleet));
    tokio::spawn(forward(measured, messages.clone(), recorder.clone(), seen.clone()));
    let told = figures::tell(Arc::clone(&fleet), messages.clone());
    tokio::spawn(stop.clone().run_until_cancelled_owned(told));
    tokio::spawn(trends::tell(Arc::clone(&fleet), messages.clone(), recorder.clone()));
    if let Some(recorder) = recorder.clone() {
        let counted = count_requests(Arc::clone(&fleet), handle.clone(), recorder);
        tokio::spawn(stop.clone().run_until_cancelled_owned(counted));
    }
    let (keymap, wrong_keys) = keys(&fleet);
    for text in other_theme.into_iter().chain(wrong_keys) {
        tracing::warn!("{text}");
        // The first of all messages: there is room for them, as for the next one.
        drop(messages.try_send(Msg::Said { text, bad: true }));
    }
    if let Some(why) = fleet.trust.doubt() {
        drop(messages.try_send(Msg::Notice(why.to_owned())));
    }
    let started = Arc::new(Notify::new());
    let news = RunWatch::new(runs.clone(), fleet.file.clone());
    let hearers = Watched {
        messages: messages.clone(),
        recorder: recorder.clone(),
        runs: runs.clone(),
        seen: seen.clone(),
        reattach: keymap.press("reattach"),
    };
    let watched = watch_runs(news, handle.clone(), hearers, Arc::clone(&started));
    tokio::spawn(stop.clone().run_until_cancelled_owned(watched));
    if !fleet.read_only {
        let ending =
            left::keep_ending(Arc::clone(&fleet), remote.clone(), runs.clone(), recorder.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(ending));
    }
    let kept = KeptSilences::of(&state_home(), fleet.file.as_deref());
    let hearer = messages.clone();
    let watched = silence::watch(kept, move |all| {
        let hearer = hearer.clone();
        async move { hearer.send(Msg::Silences(all)).await.is_ok() }
    });
    tokio::spawn(stop.clone().run_until_cancelled_owned(watched));
    let watched = ancestry::watch(fleet.flake.clone(), seen.clone(), messages.clone());
    tokio::spawn(stop.clone().run_until_cancelled_owned(watched));
    let (logs, wanted_logs) = watch::channel(LogsInView::default());
    tokio::spawn(follow_logs(runs.clone(), wanted_logs, messages.clone()));
    let log_screen = LogScreen::begin(runs.clone(), messages.clone());
    let is_first = fleet.file.is_none();
    if is_first {
        let around = init::around::tell(Arc::clone(&fleet), Arc::clone(&runner), messages.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(around));
    }
    let mut session = SessionKeeper::of(&fleet, practice_file.is_some());
    let units = UnitReader::new(Arc::clone(&runner), messages.clone());
    let practice = practice_file.as_deref().map(practice::read);
    let runtime = Runtime {
        fleet: Arc::clone(&fleet),
        runs,
        handle,
        messages,
        started,
        logs,
        log_screen,
        runner,
        remote: remote.clone(),
        units,
        session: session.clone(),
        silence_key: keymap.press("silence"),
        passwords: SudoPasswords::default(),
        practice_file,
    };
    let carried_out = tokio::spawn(runtime.carry_out(wanted));
    let home = std::env::var("HOME").unwrap_or_default();
    let mut model = model(fleet, keymap, theme).with_home(&home).with_practice(practice);
    if is_first {
        model = model.with_first_steps();
    }
    for event in known_before {
        seen.see(&event);
        recall(&mut model, event);
    }
    if let Some(session) = &session {
        session.restore(&mut model);
    }
    let shown = show(model, look, inbox, effects, next_second()).await;
    stop.cancel();
    // What the screen asked for last (stop these runs) must be said before the end.
    drop(tokio::time::timeout(Duration::from_secs(2), carried_out).await);
    remote.close().await;
    if let Some(recorder) = recorder {
        recorder.flush().await;
    }
    let ended = shown?;
    if let (Some(session), Some(text)) = (&mut session, &ended.session) {
        session.keep(text);
    }
    Ok(ended)
}

/// Sends what nixdash logs of itself to its pane.
///
/// The newest messages wait in tui-logger's buffer until the pane is drawn, which takes them over;
/// tui-logger's own thread for that would wake a hundred times a second without end.
fn start_own_log() {
    let layer = tui_logger::TuiTracingSubscriberLayer;
    // A second call (in tests) finds the log started already.
    drop(tracing_subscriber::registry().with(layer).try_init());
}

/// Returns the screen of a fleet before anything is known: with the keys, the mouse and the theme that it
/// is to have.
pub(super) fn model(fleet: Arc<Fleet>, keymap: Keymap, theme: String) -> Model {
    let mouse = fleet.mouse;
    Model::new(fleet, Timestamp::now()).with_mouse(mouse).with_keys(keymap).with_theme(theme)
}

/// Returns the keys in force; and a sentence where `[keys]` has mistakes.
pub(super) fn keys(fleet: &Fleet) -> (Keymap, Option<String>) {
    let (keymap, wrong) = Keymap::of(fleet);
    let why = wrong.first().map(|first| {
        let more = match wrong.len() {
            1 => String::new(),
            number => format!(" and {} more", number - 1),
        };
        format!("line {}: {}{more}: nixdash config check", first.line, first.message)
    });
    (keymap, why)
}

/// Returns how the screen looks: that theme on this terminal; and a sentence where it is another than the
/// one that was named.
pub(super) fn look(theme: &str) -> (Look, Option<String>) {
    let var = |name: &str| std::env::var(name).ok();
    let (themes, why) = themes::of(theme);
    // What the terminal itself says of its background, when it is asked, counts more.
    let told = var("COLORFGBG").and_then(|text| Background::from_colorfgbg(&text));
    let look = Look::new(themes, depth_from(var), ascii_from(var), TimeZone::system());
    (look.on(told.unwrap_or_default()), why)
}

/// Passes measurements on to the screen and into the history, those together that come on one beat: each
/// by itself would wake both.
async fn forward(
    mut measured: mpsc::Receiver<Event>,
    messages: mpsc::Sender<Msg>,
    recorder: Option<Recorder>,
    seen: SeenRevisions,
) {
    let mut together = Vec::new();
    while let Some(first) = measured.recv().await {
        tokio::time::sleep(GATHER).await;
        together.push(first);
        while let Ok(next) = measured.try_recv() {
            together.push(next);
        }
        for event in together.drain(..) {
            seen.see(&event);
            if let Some(recorder) = &recorder {
                recorder.record(&event);
            }
            if messages.send(Msg::Event(event)).await.is_err() {
                return;
            }
        }
    }
}

/// Who hears of runs. A run writes into the history itself; what an earlier one could not write,
/// or what was lost with a corrupt file, is written here.
struct Watched {
    messages: mpsc::Sender<Msg>,
    recorder: Option<Recorder>,
    runs: Runs,
    seen: SeenRevisions,
    /// What to press to go on with a run.
    reattach: String,
}

impl HearsOfRuns for Watched {
    async fn hear(&self, news: RunNews) -> bool {
        let message = match news {
            RunNews::Event(event) => {
                let event = Event::Run(event);
                self.seen.see(&event);
                if let Some(recorder) = &self.recorder {
                    recorder.record(&event);
                }
                Msg::Event(event)
            }
            RunNews::Live(run, live) => Msg::Live { run, live },
            RunNews::Elsewhere(runs) => Msg::RunsElsewhere(runs),
            RunNews::Gone(run) => {
                let can_go_on = left::can_go_on(&self.runs, &run).is_some();
                let why = if can_go_on {
                    format!(
                        "its process ended before the run did; {} goes on with it",
                        self.reattach
                    )
                } else {
                    "its process ended before the run did; look at the hosts before you deploy again"
                        .to_owned()
                };
                Msg::RunGone { run, why, can_go_on }
            }
        };
        self.messages.send(message).await.is_ok()
    }
}
