//! What commands do in the five views.

use crate::dash::command::{Command, selects_stores, targets};
use crate::dash::filter::Filter;
use crate::dash::input::LineInput;
use crate::dash::layout::layout;
use crate::dash::look::Look;
use crate::dash::model::{Model, Screen};
use crate::dash::moves::moved;
use crate::dash::msg::{Effect, Wish};
use crate::dash::overlay::{Overlay, Prompt, StartForm, StartFrom};
use crate::dash::panes;
use crate::dash::panes::logs as log_pane;
use crate::dash::update::verify::verify;
use crate::dash::update::{READ_ONLY, access, fold, generations, order, snap};
use crate::dash::widgets::paint::{Paint, below};
use crate::fleet::{Goal, Host, HostState, TierKind};
use jiff::Timestamp;

/// Does a command of a view.
pub(super) fn view(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    if model.world.fleet.read_only && command.changes_something() {
        fold::notice(model, READ_ONLY.to_owned(), now);
        return Vec::new();
    }
    match command {
        Command::Up
        | Command::Down
        | Command::PageUp
        | Command::PageDown
        | Command::Top
        | Command::Bottom
            if model.screen == Screen::Logs =>
        {
            return in_logs(model, command, now);
        }
        Command::Up
        | Command::Down
        | Command::PageUp
        | Command::PageDown
        | Command::Top
        | Command::Bottom => go(model, command, now),
        Command::NextHost => turn_host(model, true),
        Command::PreviousHost => turn_host(model, false),
        Command::NextDetails => turn_details(model, true),
        Command::PreviousDetails => turn_details(model, false),
        Command::Mark => mark(model),
        Command::MarkAll => mark_all(model),
        Command::Deploy => start(model, Goal::default()),
        Command::Build => start(model, Goal::Build),
        Command::Generations => return generations::open(model),
        Command::Retry => return generations::retry(model, now),
        Command::Open if model.screen == Screen::Logs => return in_logs(model, command, now),
        Command::Open => open(model),
        Command::Log => show_log(model, now),
        Command::Plan => plan(model),
        Command::Commands => commands(model),
        Command::Cancel => {
            if let Some(run) = model.shown_run().filter(|run| run.is_active()) {
                model.overlay = Some(Overlay::Cancel { run: run.id.clone(), yes: false });
            }
        }
        Command::Reattach => return reattach(model, now),
        Command::PauseRun
        | Command::AcceptCheck
        | Command::SkipHost
        | Command::TryHost
        | Command::TakeWaveBack
        | Command::TakeRunBack => return order::say(model, command, now),
        Command::TurnFace
        | Command::AllHosts
        | Command::Follow
        | Command::Wrap
        | Command::Fold
        | Command::Levels
        | Command::Times
        | Command::ScrollLeft
        | Command::ScrollRight
        | Command::FindText
        | Command::NextMatch
        | Command::PreviousMatch
        | Command::OnlyMatching
        | Command::NextError
        | Command::PreviousError
        | Command::Failure
        | Command::Select
        | Command::Copy
        | Command::CopyError
        | Command::SaveLog
        | Command::MarkLine
        | Command::NextMark => return in_logs(model, command, now),
        Command::LogFile => return log_file(model),
        Command::Filter => {
            let before = model.filter.clone();
            model.prompt = Some(Prompt { input: LineInput::with(before.text()), before });
        }
        Command::Zoom => {
            model.zoom = !model.zoom;
            model.details_scroll = 0;
        }
        Command::Show(screen) => show(model, screen),
        Command::PreviousView => turn_view(model, Screen::ALL.len() - 1),
        Command::NextView => turn_view(model, 1),
        Command::Refresh if model.screen == Screen::Caches => return probe(model, vec![], now),
        Command::Refresh => {
            let hosts = targets(model);
            return probe(model, hosts, now);
        }
        Command::LookClosely => look_closely(model, now),
        Command::Verify => return verify(model, now),
        Command::HostKey => return access::fetch_keys(model, now),
        Command::RefreshAll => return probe(model, vec![], now),
        Command::Palette => {
            model.overlay = Some(Overlay::Palette { input: LineInput::default(), selected: 0 });
        }
        Command::Help => model.overlay = Some(Overlay::Help { scroll: 0 }),
        Command::OwnLog => model.overlay = Some(Overlay::OwnLog),
        Command::Back => back(model),
        Command::Redraw => return vec![Effect::Terminal(Wish::Redraw)],
        Command::Suspend => return vec![Effect::Terminal(Wish::Suspend)],
        Command::Quit => return quit(model),
        Command::CycleAction
        | Command::CycleStrategy
        | Command::Accept
        | Command::Yes
        | Command::No
        | Command::OtherButton
        | Command::QuitAndCancel
        | Command::OtherPattern
        | Command::Compare
        | Command::RollBack
        | Command::Close => {}
    }
    Vec::new()
}

/// Does a command in the pane of logs.
fn in_logs(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let sight = log_pane::sight(model, layout(model).body);
    log_pane::command(model, command, sight, now)
}

/// Goes on with the run that is shown, once.
fn reattach(model: &mut Model, now: Timestamp) -> Vec<Effect> {
    let Some(run) = model.shown_run().map(|run| run.id.clone()) else { return Vec::new() };
    if let Some(view) = model.world.runs.iter_mut().find(|view| view.id == run) {
        view.can_go_on = false;
    }
    model.say(format!("going on with run #{run}"), false, now);
    vec![Effect::Reattach { run }]
}

/// Moves the selection, or scrolls.
fn go(model: &mut Model, command: Command, now: Timestamp) {
    match model.screen {
        _ if model.shows_details() => scroll_details(model, command, now),
        Screen::Fleet => select_host(model, command),
        Screen::Caches => {
            model.tier = moved(model.tier, model.world.tiers.len(), command, layout(model).page());
        }
        Screen::Deploy => {
            let count = model.shown_run().map_or(0, |run| run.hosts.len());
            model.run_host = moved(model.run_host, count, command, layout(model).page());
            model.log.leave_host();
        }
        Screen::Logs => {}
        Screen::History => {
            let count = model.world.runs.len();
            let from_newest = count.saturating_sub(1).saturating_sub(model.run);
            let at = moved(from_newest, count, command, layout(model).page());
            select_run(model, count.saturating_sub(1).saturating_sub(at), 0);
        }
    }
}

/// Selects another of the hosts that the filter lets through.
fn select_host(model: &mut Model, command: Command) {
    let visible = model.visible_hosts();
    let at = visible.iter().position(|index| *index == model.host).unwrap_or_default();
    if let Some(index) = visible.get(moved(at, visible.len(), command, layout(model).page())) {
        model.host = *index;
    }
}

/// Scrolls the open details, to their last line at most.
fn scroll_details(model: &mut Model, command: Command, now: Timestamp) {
    let end = usize::from(details_end(model, now));
    let at = usize::from(model.details_scroll).min(end);
    let to = moved(at, end + 1, command, layout(model).page());
    model.details_scroll = to.min(usize::from(u16::MAX)) as u16;
}

/// Returns how far the open details can be scrolled: to where their last line is seen.
fn details_end(model: &Model, now: Timestamp) -> u16 {
    let look = Look::plain();
    let paint = Paint { model, look: &look, now };
    let area = below(layout(model).body, 1);
    panes::details_rows(&paint, area.width).saturating_sub(area.height)
}

/// Opens the details of the host or tier below or above, around the end.
fn turn_details(model: &mut Model, forward: bool) {
    let turned = |at: usize, count: usize| (at + if forward { 1 } else { count - 1 }) % count;
    let visible = model.visible_hosts();
    if model.screen == Screen::Caches {
        model.tier = turned(model.tier, model.world.tiers.len().max(1));
    } else if let Some(at) = visible.iter().position(|index| *index == model.host) {
        model.host = visible[turned(at, visible.len())];
    }
    model.details_scroll = 0;
}

/// Shows another run and one of its hosts.
fn select_run(model: &mut Model, run: usize, host: usize) {
    model.run = run;
    model.run_host = host;
    model.log.leave_host();
}

/// Selects another host of the shown run, around the end.
fn turn_host(model: &mut Model, forward: bool) {
    let count = model.shown_run().map_or(0, |run| run.hosts.len());
    if count > 0 {
        let by = if forward { 1 } else { count - 1 };
        model.run_host = (model.run_host + by) % count;
        if model.log.all_hosts {
            return;
        }
        model.log.leave_host();
    }
}

fn mark(model: &mut Model) {
    let Some(name) = model.selected().map(|(host, _)| host.name.clone()) else { return };
    if !model.marked.remove(&name) {
        model.marked.insert(name);
    }
    if !model.shows_details() {
        select_host(model, Command::Down);
    }
}

fn mark_all(model: &mut Model) {
    let shown: Vec<String> = model
        .visible_hosts()
        .into_iter()
        .filter_map(|index| model.world.fleet.hosts.get(index))
        .map(|host| host.name.clone())
        .collect();
    if shown.iter().all(|name| model.marked.contains(name)) {
        model.marked.clear();
    } else {
        model.marked.extend(shown);
    }
}

/// Asks what to start.
fn start(model: &mut Model, goal: Goal) {
    let hosts = targets(model);
    let has_action =
        |name: &String| model.world.fleet.host(name).is_some_and(|host| host.action.is_some());
    let own_actions = goal.deploys() && hosts.iter().any(has_action);
    if !hosts.is_empty() {
        model.overlay = Some(Overlay::Start(StartForm {
            hosts,
            goal,
            own_actions,
            strategy: None,
            typed: Vec::new(),
            input: LineInput::default(),
            from: StartFrom::Flake,
        }));
    }
}

fn open(model: &mut Model) {
    match model.screen {
        Screen::Fleet | Screen::Caches => {
            model.zoom = !model.zoom;
            model.details_scroll = 0;
        }
        Screen::Deploy => show(model, Screen::Logs),
        Screen::History => show(model, Screen::Deploy),
        Screen::Logs => {}
    }
}

/// Shows the log of the newest run of the selected host.
fn show_log(model: &mut Model, now: Timestamp) {
    if model.screen == Screen::Fleet {
        let Some((host, _)) = model.selected() else { return };
        let name = host.name.clone();
        let found = model.world.runs.iter().enumerate().rev().find_map(|(index, run)| {
            Some((index, run.hosts.iter().position(|host| host.host == name)?))
        });
        let Some((run, host)) = found else {
            let text = format!("no log of {name} yet: no run had it; d deploys, b builds");
            model.say(text, false, now);
            return;
        };
        select_run(model, run, host);
    }
    show(model, Screen::Logs);
}

/// Shows the plan of the run; from the fleet, of the run that waits.
fn plan(model: &mut Model) {
    if model.screen == Screen::Fleet {
        let waiting = model.world.runs.iter().rposition(|run| run.waits && run.is_active());
        let Some(index) = waiting else { return };
        select_run(model, index, 0);
        show(model, Screen::Deploy);
    }
    if let Some(run) = model.shown_run().filter(|run| run.plan.is_some()) {
        model.overlay = Some(Overlay::Plan { run: run.id.clone(), yes: false, scroll: 0 });
    }
}

/// Shows what was run on hosts for the selected host of the run.
fn commands(model: &mut Model) {
    if let (Some(run), Some(host)) = (model.shown_run(), model.shown_host_run()) {
        let (run, host) = (run.id.clone(), host.host.clone());
        model.overlay = Some(Overlay::Commands { run, host, scroll: 0 });
    }
}

fn log_file(model: &Model) -> Vec<Effect> {
    match (model.shown_run(), model.shown_host_run()) {
        (Some(run), Some(host)) => {
            vec![Effect::OpenLog { run: run.id.clone(), host: host.host.clone() }]
        }
        (None, _) | (_, None) => Vec::new(),
    }
}

/// Shows a view.
fn show(model: &mut Model, screen: Screen) {
    if model.screen != screen {
        model.screen = screen;
        model.zoom = false;
        model.details_scroll = 0;
    }
}

fn turn_view(model: &mut Model, by: usize) {
    let at = Screen::ALL.iter().position(|screen| *screen == model.screen).unwrap_or_default();
    show(model, Screen::ALL[(at + by) % Screen::ALL.len()]);
}

fn probe(model: &mut Model, hosts: Vec<String>, now: Timestamp) -> Vec<Effect> {
    let what = if hosts.is_empty() { "every host and tier".to_owned() } else { hosts.join(", ") };
    model.say(format!("measuring {what}"), false, now);
    vec![Effect::Probe { hosts }]
}

/// Asks whether to look closely at the stores of the marked hosts, or of all that answer.
fn look_closely(model: &mut Model, now: Timestamp) {
    if !selects_stores(model) {
        let known = model.world.fleet.tiers.iter().any(|tier| tier.kind == TierKind::Local);
        let next = if known {
            "select a tier of kind local"
        } else {
            "add a tier of kind local to hosts.toml first"
        };
        return model.say(format!("m looks closely at hosts' stores: {next}"), false, now);
    }
    if let Some(why) = run_in_the_way(model) {
        return model.say(why, true, now);
    }
    let answers = |host: &&Host| {
        let view = model.world.fleet.hosts.iter().position(|known| known.name == host.name);
        let state =
            view.and_then(|index| model.world.hosts.get(index)).map(|view| view.facts.state);
        let chosen = model.marked.is_empty() || model.marked.contains(&host.name);
        chosen && matches!(state, Some(HostState::Up | HostState::Degraded))
    };
    let hosts: Vec<String> =
        model.world.fleet.hosts.iter().filter(answers).map(|host| host.name.clone()).collect();
    if hosts.is_empty() {
        return model.say("no host that could be asked answers", true, now);
    }
    model.overlay = Some(Overlay::Look { hosts, yes: false });
}

/// Says why no store is looked at now, when a run is at work: its builds would wait.
pub(super) fn run_in_the_way(model: &Model) -> Option<String> {
    let run = model.world.active_runs().next()?;
    Some(format!("run #{} is at work, and its builds would wait: look when it has ended", run.id))
}

/// Goes back by one step.
fn back(model: &mut Model) {
    if model.screen == Screen::Deploy
        && model.world.starting.as_ref().is_some_and(|starting| starting.failed.is_some())
    {
        model.world.starting = None;
    }
    match model.screen {
        _ if model.zoom => model.zoom = false,
        Screen::Logs => {
            if !log_pane::leave(model) {
                show(model, Screen::Deploy);
            }
        }
        Screen::Deploy | Screen::Caches | Screen::History => show(model, Screen::Fleet),
        Screen::Fleet if !model.filter.is_empty() => {
            model.filter = Filter::default();
            snap(model);
        }
        Screen::Fleet => model.marked.clear(),
    }
}

/// Ends the dashboard, or asks what becomes of the runs.
fn quit(model: &mut Model) -> Vec<Effect> {
    if model.world.active_runs().next().is_some() {
        model.overlay = Some(Overlay::Quit);
        return Vec::new();
    }
    vec![Effect::Quit { cancel: Vec::new() }]
}
