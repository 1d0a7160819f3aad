//! Why a command cannot be given now.

use crate::dash::command::{Command, CommandEntry, Context};
use crate::dash::model::{Model, Screen};
use crate::dash::panes;
use crate::dash::world::RunView;

/// Returns why a command cannot be given in the view that is shown; nothing where it can.
pub(super) fn obstacle(model: &Model, entry: &CommandEntry) -> Option<String> {
    let is_in = |screen: &Screen| entry.contexts.contains(&Context::View(*screen));
    if !is_in(&model.screen) {
        let views: Vec<&str> = Screen::ALL
            .iter()
            .filter(|screen| is_in(screen))
            .map(|screen| screen.title())
            .collect();
        let words = match views.as_slice() {
            [before @ .., last] if !before.is_empty() => {
                format!("{} and {last}", before.join(", "))
            }
            views => views.join(", "),
        };
        return Some(format!("only in {words}"));
    }
    if model.world.fleet.read_only && entry.command.changes_something() {
        return Some("nixdash was started with --read-only".to_owned());
    }
    if panes::can(model, entry.command) {
        return None;
    }
    let of_run = of_run(model, entry.command);
    Some(of_run.unwrap_or_else(|| reason(model, entry.command).to_owned()))
}

/// Returns why something cannot be said to the run that is shown, where that is for how the run stands: it has ended
/// while another one goes on, or it hears nothing at the moment.
fn of_run(model: &Model, command: Command) -> Option<String> {
    let to_run_that_goes_on = [
        Command::Cancel,
        Command::PauseRun,
        Command::AcceptCheck,
        Command::SkipHost,
        Command::TryHost,
        Command::TakeWaveBack,
        Command::TakeRunBack,
    ];
    let tries_again = [Command::Retry, Command::TryHost].contains(&command);
    let run = model.shown_run()?;
    let press = |name: &str| model.keymap.press(name);
    let is_record = model.world.is_record;
    if is_record || !tries_again && !to_run_that_goes_on.contains(&command) {
        None
    } else if run.is_active() {
        // No one says it of a run that asks for nothing.
        let has_question = command == Command::AcceptCheck || tries_again;
        if run.stopping && !has_question {
            Some("the run is being stopped".to_owned())
        } else if run.waits && !has_question {
            Some(format!("the plan waits for an answer: {} shows it", press("plan")))
        } else {
            None
        }
    } else if command == Command::TryHost && run.can_be_tried_again() {
        Some(format!("run #{} has ended; {} tries its hosts again", run.id, press("retry")))
    } else if command != Command::Retry {
        let going_on = model.world.active_runs().next_back()?;
        let (shown, other) = (&run.id, &going_on.id);
        let key = press("run");
        Some(format!(
            "run #{shown}, which is shown, has ended; {key} shows run #{other}, which goes on"
        ))
    } else {
        None
    }
}

/// Returns what a command lacks that cannot be given in its own view.
fn reason(model: &Model, command: Command) -> &'static str {
    let is_active = model.shown_run().is_some_and(RunView::is_active);
    match command {
        _ if model.world.is_record && panes::asks_hosts(command) => "this is the record of a run",
        Command::NextProblem => "nothing is wrong",
        Command::CopyFix | Command::Silence => "nothing is wrong with what is selected",
        Command::NextDetails | Command::PreviousDetails => {
            "only in the details of one of several hosts or tiers"
        }
        Command::Retry | Command::TryHost if is_active => "the host did not fail",
        Command::Retry | Command::TryHost => "no host of the run failed",
        Command::Plan if model.screen == Screen::Deploy => "no plan is known",
        Command::Plan => "no run waits for an answer to its plan",
        Command::Reattach => "no run was left unfinished",
        Command::AcceptCheck => "no check waits for an answer",
        Command::Cancel
        | Command::PauseRun
        | Command::SkipHost
        | Command::TakeWaveBack
        | Command::TakeRunBack
            if !is_active =>
        {
            "no run is going on"
        }
        Command::TakeWaveBack | Command::TakeRunBack => "no host has its new system yet",
        Command::Back => "there is nothing to go back from",
        Command::EditHostsFile => "there is no hosts.toml",
        Command::GroupByTag => "no host has a tag, or the details of a host are shown",
        Command::Filter | Command::Sort | Command::TurnSort if panes::shows_details(model) => {
            "the details are shown, not the list"
        }
        Command::ScrollLeft | Command::ScrollRight => "nothing more is on that side",
        _ if model.screen != Screen::Logs && model.row_count() == 0 => "nothing is here yet",
        _ if !model.shows_selected() => "nothing is selected",
        _ => "there is nothing it could act on",
    }
}
