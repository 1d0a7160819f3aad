//! The dashboard on a run that was exported: nothing is asked, and nothing can be started.

use crate::cli::dash::{keys, look, model};
use crate::cli::follow_logs::follow_logs;
use crate::cli::logs::{LogScreen, where_log_is};
use crate::cli::{CliError, themes};
use crate::dash::{Effect, LogsInView, Model, Msg, Screen, run as show};
use crate::fleet::{Event, Fleet};
use crate::probe::next_second;
use crate::record::{ExportDamage, ExportedRun, RunNews, RunWatch, Runs, state_home};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// Messages that may wait for the screen.
const MESSAGE_QUEUE: usize = 4096;

/// Shows an exported run until the person quits.
pub(super) async fn show_run(
    fleet: Fleet,
    runs: Runs,
    exported: ExportedRun,
) -> Result<ExitCode, CliError> {
    let theme = themes::name(&fleet);
    let (look, other_theme) = look(&theme);
    let (keymap, wrong_keys) = keys(&fleet);
    let (messages, inbox) = mpsc::channel(MESSAGE_QUEUE);
    let (effects, mut wanted) = mpsc::channel(64);
    let (logs, wanted_logs) = watch::channel(LogsInView::default());
    tokio::spawn(follow_logs(runs.clone(), wanted_logs, messages.clone()));
    let log_screen = LogScreen::begin(runs.clone(), messages.clone());
    let mut told = news(&runs, &exported);
    let wrong = other_theme.into_iter().chain(wrong_keys);
    let damaged = damaged(&exported.damage);
    told.extend(wrong.chain(damaged).map(|text| Msg::Said { text, bad: true }));
    let tell = messages.clone();
    tokio::spawn(async move {
        for message in told {
            if tell.send(message).await.is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        while let Some(effect) = wanted.recv().await {
            let Some(effect) = log_screen.carry_out(effect) else { continue };
            match effect {
                Effect::ViewLogs(asked) => drop(logs.send_replace(asked)),
                Effect::KeepTheme { theme } => {
                    drop(messages.send(themes::keep(&state_home(), &theme)).await);
                }
                Effect::OpenLog { run, host } => {
                    let text = where_log_is(&runs, &run, &host);
                    drop(messages.send(Msg::Notice(text)).await);
                }
                Effect::Quit { .. } => return,
                // These are carried out already, or cannot be asked for: the screen is one of a record.
                Effect::ShowLogs(_)
                | Effect::Copy { .. }
                | Effect::CopyRows { .. }
                | Effect::SaveRows { .. }
                | Effect::PageRows { .. }
                | Effect::EditRows { .. }
                | Effect::EditHostsFile
                | Effect::StartRun { .. }
                | Effect::RollBack { .. }
                | Effect::Retry { .. }
                | Effect::ListGenerations { .. }
                | Effect::ListUnits { .. }
                | Effect::ReadJournal(_)
                | Effect::CompareGenerations { .. }
                | Effect::ReadOverTime { .. }
                | Effect::ReadPast { .. }
                | Effect::KeepPassword { .. }
                | Effect::FetchHostKeys { .. }
                | Effect::AcceptHostKey { .. }
                | Effect::Answer { .. }
                | Effect::Reattach { .. }
                | Effect::Order { .. }
                | Effect::CancelRun { .. }
                | Effect::Probe { .. }
                | Effect::LookClosely { .. }
                | Effect::Verify { .. }
                | Effect::Silence(_)
                | Effect::EndSilence(_)
                | Effect::ForgetSilence(_)
                | Effect::OpenShell { .. }
                | Effect::KeepSession(_)
                | Effect::KeepPractice(_)
                | Effect::Terminal(_) => {}
            }
        }
    });
    let screen = of_record(model(Arc::new(fleet), keymap, theme));
    show(screen, look, inbox, effects, next_second()).await?;
    Ok(ExitCode::SUCCESS)
}

/// Says that the file is damaged; all of it stands on standard error, which the screen hides.
fn damaged(damage: &[ExportDamage]) -> Option<String> {
    let (first, others) = damage.split_first()?;
    let more = match others.len() {
        0 => String::new(),
        more => format!(" ({more} more: quit to read them)"),
    };
    Some(format!("the file is damaged: {first}{more}"))
}

/// Returns a screen that shows a record.
pub(super) fn of_record(model: Model) -> Model {
    let mut model = model.of_a_record();
    model.screen = Screen::Deploy;
    model
}

/// Returns what the screen is told of the run.
pub(super) fn news(runs: &Runs, exported: &ExportedRun) -> Vec<Msg> {
    let message = |news| match news {
        RunNews::Event(event) => Msg::Event(Event::Run(event)),
        RunNews::Live(run, live) => Msg::Live { run, live },
        RunNews::Elsewhere(runs) => Msg::RunsElsewhere(runs),
        RunNews::Gone(run) => {
            let at = exported.exported_at.strftime("%Y-%m-%d %H:%M UTC");
            let why = format!("the run had not ended when it was exported, {at}");
            Msg::RunGone { run, why, can_go_on: false }
        }
    };
    RunWatch::new(runs.clone(), None).look().into_iter().map(message).collect()
}
