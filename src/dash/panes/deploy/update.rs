//! What keys do in a run.

use crate::dash::begin;
use crate::dash::command::{Command, order};
use crate::dash::generations::GenerationsPane;
use crate::dash::layout::page;
use crate::dash::model::{Model, Screen};
use crate::dash::moves::move_selection;
use crate::dash::msg::Effect;
use crate::dash::overlay::Overlay;
use crate::dash::panes::elsewhere::whole_log;
use crate::dash::run_orders::{ask_to_stop, said};
use crate::dash::shell;
use crate::dash::units::UnitsPane;
use crate::dash::world::RunView;
use crate::fleet::{Code, Goal};
use jiff::Timestamp;
use ratatui::layout::Rect;

/// Does a command of the view.
pub(super) fn update(
    model: &mut Model,
    command: Command,
    body: Rect,
    now: Timestamp,
) -> Vec<Effect> {
    match command {
        command if command.moves() => move_selection(model, command, page(body)),
        Command::NextHost => model.turn_host(true),
        Command::PreviousHost => model.turn_host(false),
        Command::Open => {
            model.deploy.is_host_chosen = true;
            model.show(Screen::Logs);
        }
        Command::Zoom => {
            model.deploy.is_host_chosen = true;
            model.toggle_zoom();
        }
        Command::Commands => commands(model),
        Command::Pager | Command::Editor => {
            let shown = model.shown_run().zip(model.shown_host_run());
            return shown
                .map_or_else(Vec::new, |(run, host)| whole_log(&run.id, &host.host, command));
        }
        Command::Shell => {
            let host = model.shown_host_run().map(|host| host.host.clone());
            return host.map_or_else(Vec::new, |host| shell::open(model, host, now));
        }
        Command::Units => return list_units(model),
        Command::Cancel => ask_to_stop(model),
        Command::Retry => return begin::retry(model, now),
        Command::Deploy => begin::ask(model, targets(model), Goal::default(), now),
        Command::Generations => return generations(model),
        Command::CopyReason => return copy_reason(model),
        Command::PauseRun
        | Command::AcceptCheck
        | Command::SkipHost
        | Command::TryHost
        | Command::TakeWaveBack
        | Command::TakeRunBack => return say(model, command, now),
        _ => {}
    }
    Vec::new()
}

/// Returns whether a command has something to act on.
pub(super) fn can(model: &Model, command: Command) -> bool {
    match command {
        Command::Open
        | Command::Commands
        | Command::SkipHost
        | Command::TryHost
        | Command::Deploy
        | Command::Generations
        | Command::CopyReason
        | Command::Shell
        | Command::Units
        | Command::Pager
        | Command::Editor
            if !model.shows_selected() =>
        {
            false
        }
        Command::Open | Command::Pager | Command::Editor => model.shown_host_run().is_some(),
        Command::Shell => is_in_fleet(model),
        Command::Units => has_failed_units(model) && is_in_fleet(model),
        Command::Zoom => model.shown_run().is_some(),
        Command::NextHost | Command::PreviousHost => model.visible_host_runs().len() > 1,
        Command::Retry => model.shown_run().is_some_and(RunView::can_be_tried_again),
        Command::Commands => model.shown_host_run().is_some_and(|host| !host.commands.is_empty()),
        Command::Cancel => model.shown_run().is_some_and(|run| run.is_active() && !run.stopping),
        Command::Deploy => {
            model.shown_run().is_some_and(|run| !run.is_active()) && !targets(model).is_empty()
        }
        Command::Generations => has_something_to_leave(model),
        Command::CopyReason => told(model).is_some(),
        Command::PauseRun
        | Command::AcceptCheck
        | Command::SkipHost
        | Command::TryHost
        | Command::TakeWaveBack
        | Command::TakeRunBack => order(model, command).is_some(),
        _ => true,
    }
}

/// Returns whether the selected host of the run is one of the fleet's, still.
fn is_in_fleet(model: &Model) -> bool {
    model.shown_host_run().is_some_and(|host| model.world.fleet.host(&host.host).is_some())
}

/// Returns whether units of the selected host failed in the run.
fn has_failed_units(model: &Model) -> bool {
    let result = model.shown_host_run().and_then(|host| host.result.as_ref());
    let findings = result.map(|result| &result.findings[..]).unwrap_or_default();
    findings.iter().any(|finding| finding.code == Code::UnitsFailed)
}

/// Returns the selected host.
pub(super) fn targets(model: &Model) -> Vec<String> {
    model.shown_host_run().map(|host| host.host.clone()).into_iter().collect()
}

/// Closes the log that has the whole view, else takes the filter away, else goes back to the runs where the
/// run was opened there; a run that could not start is forgotten.
pub(super) fn leave(model: &mut Model) -> bool {
    model.world.starting.take_if(|starting| starting.failed.is_some());
    if std::mem::take(&mut model.zoom) || model.clear_filter() {
        return true;
    }
    let back = std::mem::take(&mut model.deploy.from_history);
    if back {
        model.show(Screen::History);
    }
    back
}

/// Shows what was run on hosts for the selected host of the run.
fn commands(model: &mut Model) {
    if let (Some(run), Some(host)) = (model.shown_run(), model.shown_host_run()) {
        let (run, host) = (run.id.clone(), host.host.clone());
        model.open(Overlay::Commands { run, host, scroll: 0 });
    }
}

/// Returns whether the selected host runs or boots a system that a run left there, be it a bad one.
fn has_something_to_leave(model: &Model) -> bool {
    let is_over = model.shown_run().is_some_and(|run| !run.is_active());
    let result = model.shown_host_run().and_then(|host| host.result.as_ref());
    is_over && result.is_some_and(|result| result.outcome.is_new_system())
}

/// Lists the generations of the selected host, to go back to one.
fn generations(model: &mut Model) -> Vec<Effect> {
    let Some(host) = model.shown_host_run().map(|host| host.host.clone()) else {
        return Vec::new();
    };
    model.open(Overlay::Generations(GenerationsPane::new(host.clone())));
    vec![Effect::ListGenerations { host }]
}

/// Opens the pane of the units of the selected host and asks the host.
fn list_units(model: &mut Model) -> Vec<Effect> {
    let Some(host) = model.shown_host_run().map(|host| host.host.clone()) else {
        return Vec::new();
    };
    model.open(Overlay::Units(UnitsPane::new(host.clone())));
    vec![Effect::ListUnits { host }]
}

/// Returns why the selected host failed, with all that belongs to it.
fn told(model: &Model) -> Option<String> {
    model.shown_host_run()?.result.as_ref()?.told()
}

/// Copies why the selected host failed.
fn copy_reason(model: &Model) -> Vec<Effect> {
    let Some(text) = told(model) else { return Vec::new() };
    let what = targets(model).first().map(|host| format!("why {host} failed")).unwrap_or_default();
    vec![Effect::Copy { text, what }]
}

/// Says something to the shown run, or asks first.
fn say(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let Some(order) = order(model, command) else { return Vec::new() };
    let Some(run) = model.shown_run().map(|run| run.id.clone()) else { return Vec::new() };
    if order.is_destructive() {
        model.open(Overlay::Order { run, order, yes: false });
        return Vec::new();
    }
    said(model, run, order, now)
}
