//! What keys do among the hosts.

use crate::dash::begin;
use crate::dash::command::Command;
use crate::dash::generations::GenerationsPane;
use crate::dash::look_back;
use crate::dash::model::{Model, Screen};
use crate::dash::moves::move_selection;
use crate::dash::msg::Effect;
use crate::dash::overlay::Overlay;
use crate::dash::panes::fleet::columns::sorts;
use crate::dash::panes::{details, host, problems};
use crate::dash::shell;
use crate::dash::silencing::SilenceForm;
use crate::dash::units::UnitsPane;
use crate::dash::world::Urgency;
use crate::fleet::{Goal, OverTimeOf};
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
        command if command.moves() => details::go(model, command, body, host::rows, now),
        Command::NextDetails => details::turn(model, true),
        Command::PreviousDetails => details::turn(model, false),
        Command::NextProblem => problems::next(model, is_problem, now),
        Command::CopyFix => {
            let findings = model.selected().map(|(_, view)| view.facts.findings.clone());
            return problems::copy_fix(&findings.unwrap_or_default());
        }
        Command::Sort => {
            let all = sorts(model, body.width);
            model.fleet.sorting.choose(model.fleet.sorting.next(&all));
            sorted(model, now);
        }
        Command::TurnSort => {
            model.fleet.sorting.turn();
            sorted(model, now);
        }
        Command::Silence => {
            let found = model
                .selected()
                .map(|(host, view)| (host.name.clone(), view.facts.findings.clone()));
            let (name, findings) = found.unwrap_or_default();
            problems::silence(model, &name, &findings);
        }
        Command::Mark => mark(model),
        Command::MarkAll => mark_all(model),
        Command::Deploy => begin::ask(model, model.chosen(), Goal::default(), now),
        Command::Build => begin::ask(model, model.chosen(), Goal::Build, now),
        Command::Open if model.selected_group().is_some() => model.fold_group(),
        Command::Open | Command::Zoom => model.toggle_zoom(),
        Command::GroupByTag => model.turn_groups(),
        Command::Generations => return generations(model),
        Command::OverTime => {
            let host = model.selected().map(|(host, _)| host.name.clone());
            return look_back::over_time(model, host.map(OverTimeOf::Host), now);
        }
        Command::Events => {
            let host = model.selected().map(|(host, _)| host.name.clone());
            let of = host.filter(|_| shows_details(model)).map(OverTimeOf::Host);
            return look_back::past(model, of, now);
        }
        Command::EditHostsFile => return vec![Effect::EditHostsFile],
        Command::Units => {
            let host = model.selected().map(|(host, _)| host.name.clone());
            return host.map_or_else(Vec::new, |host| list_units(model, host));
        }
        Command::Shell => {
            let host = model.selected().map(|(host, _)| host.name.clone());
            return host.map_or_else(Vec::new, |host| shell::open(model, host, now));
        }
        Command::Log => show_log(model, now),
        Command::HostKey => return fetch_keys(model, now),
        _ => {}
    }
    Vec::new()
}

/// Returns whether the details of what is selected have the whole body.
pub(super) fn shows_details(model: &Model) -> bool {
    model.zoom && model.selected().is_some()
}

/// Returns whether a command has something to act on.
pub(super) fn can(model: &Model, command: Command) -> bool {
    match command {
        Command::Deploy | Command::Build => !model.chosen().is_empty(),
        Command::Open if model.selected_group().is_some() => !model.is_filtered(),
        Command::Open => !shows_details(model) && model.selected().is_some(),
        Command::Mark => model.selected().is_some() || model.selected_group().is_some(),
        Command::GroupByTag => {
            let has_tags = model.world.fleet.hosts.iter().any(|host| !host.tags.is_empty());
            has_tags && !shows_details(model)
        }
        Command::Zoom
        | Command::Generations
        | Command::OverTime
        | Command::Shell
        | Command::Units
        | Command::Log => model.selected().is_some(),
        Command::EditHostsFile => model.world.fleet.file.is_some(),
        Command::NextProblem => problems::any(model, is_problem),
        Command::CopyFix => model
            .selected()
            .is_some_and(|(_, view)| problems::worst_with_fix(&view.facts.findings).is_some()),
        Command::Silence => model.selected().is_some_and(|(host, view)| {
            SilenceForm::of(&host.name, &view.facts.findings).is_some()
        }),
        Command::Sort | Command::TurnSort => !shows_details(model) && model.row_count() > 1,
        Command::HostKey => model.selected().is_some_and(|(host, _)| !host.is_local()),
        Command::NextDetails | Command::PreviousDetails => {
            shows_details(model) && model.visible_hosts().len() > 1
        }
        Command::Back => model.zoom || model.is_filtered() || !model.fleet.marked.is_empty(),
        _ => true,
    }
}

/// Closes the details, else takes the filter away, else the marks.
pub(super) fn leave(model: &mut Model) -> bool {
    if model.zoom {
        model.zoom = false;
    } else if !model.clear_filter() {
        model.fleet.marked.clear();
    }
    true
}

/// Returns whether something is known to be wrong with a host.
fn is_problem(model: &Model, index: usize) -> bool {
    model.world.hosts.get(index).is_some_and(|view| Urgency::of(&view.facts).is_problem())
}

/// Puts the hosts in the order that was chosen, and says which it is.
fn sorted(model: &mut Model, now: Timestamp) {
    model.sort_rows(now);
    model.say(model.fleet.sorting.sentence("hosts"), false, now);
}

/// Marks the selected host, or all hosts of the selected group; where they are marked, their marks go.
fn mark(model: &mut Model) {
    let rows = match model.selected_group() {
        Some(group) => group.hosts,
        None => model.selected().map(|_| model.fleet.selected).into_iter().collect(),
    };
    turn_marks(model, &rows);
    if !shows_details(model) {
        move_selection(model, Command::Down, 1);
    }
}

/// Marks every host that the filter lets through, or none.
fn mark_all(model: &mut Model) {
    let rows = model.visible_hosts();
    if !turn_marks(model, &rows) {
        model.fleet.marked.clear();
    }
}

/// Marks these hosts, or takes their marks away where all of them have one; returns whether they are
/// marked now.
fn turn_marks(model: &mut Model, rows: &[usize]) -> bool {
    let hosts = rows.iter().filter_map(|index| model.world.fleet.hosts.get(*index));
    let names: Vec<String> = hosts.map(|host| host.name.clone()).collect();
    let marked = &mut model.fleet.marked;
    let all = names.iter().all(|name| marked.contains(name));
    for name in names {
        if all {
            marked.remove(&name);
        } else {
            marked.insert(name);
        }
    }
    !all
}

/// Shows the log of the newest run of the selected host.
fn show_log(model: &mut Model, now: Timestamp) {
    let Some((host, _)) = model.selected() else { return };
    let name = host.name.clone();
    let found = model.world.runs.iter().enumerate().rev().find_map(|(index, run)| {
        Some((index, run.hosts.iter().position(|host| host.host == name)?))
    });
    let Some((run, host)) = found else {
        let (deploy, build) = (model.keymap.press("deploy"), model.keymap.press("build"));
        let text = format!("no log of {name} yet: no run had it; {deploy} deploys, {build} builds");
        model.say(text, false, now);
        return;
    };
    model.select_run(run, Some(host));
    model.show(Screen::Logs);
}

/// Opens the pane of the selected host and asks the host.
fn generations(model: &mut Model) -> Vec<Effect> {
    let Some(host) = model.selected().map(|(host, _)| host.name.clone()) else { return Vec::new() };
    model.open(Overlay::Generations(GenerationsPane::new(host.clone())));
    vec![Effect::ListGenerations { host }]
}

/// Opens the pane of a host's units and asks the host.
fn list_units(model: &mut Model, host: String) -> Vec<Effect> {
    model.open(Overlay::Units(UnitsPane::new(host.clone())));
    vec![Effect::ListUnits { host }]
}

/// Asks for the keys that the selected host shows.
fn fetch_keys(model: &mut Model, now: Timestamp) -> Vec<Effect> {
    let Some((host, _)) = model.selected() else { return Vec::new() };
    let host = host.name.clone();
    model.say(format!("asking {host} for its ssh key, without a login"), false, now);
    vec![Effect::FetchHostKeys { host }]
}
