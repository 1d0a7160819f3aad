//! What commands do in the panes that lie over a view.

use crate::dash::command::{Command, matches};
use crate::dash::layout::layout;
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::overlay::{Overlay, PasswordForm, StartForm, StartFrom};
use crate::dash::update::{access, act};
use crate::dash::world::Starting;
use crate::fleet::{Goal, RunId, Secret, Strategy};
use jiff::Timestamp;

/// Scrolls or closes what is only read.
pub(super) fn reading(model: &mut Model, command: Command) {
    let page = layout(model).page();
    match (&mut model.overlay, command) {
        (
            Some(
                Overlay::Help { scroll }
                | Overlay::Plan { scroll, .. }
                | Overlay::Commands { scroll, .. },
            ),
            command,
        ) => match command {
            Command::Up => *scroll = scroll.saturating_sub(1),
            Command::Down => *scroll = scroll.saturating_add(1).min(1000),
            Command::PageUp => *scroll = scroll.saturating_sub(page),
            Command::PageDown => *scroll = scroll.saturating_add(page).min(1000),
            Command::Top => *scroll = 0,
            Command::Bottom => *scroll = 1000,
            Command::Close => model.overlay = None,
            _ => {}
        },
        (_, Command::Close) => model.overlay = None,
        _ => {}
    }
}

/// Chooses a command.
pub(super) fn palette(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let Some(Overlay::Palette { input, selected }) = &model.overlay else { return Vec::new() };
    let (typed, at) = (input.text().to_owned(), *selected);
    let found = matches(model, &typed);
    match command {
        Command::Up => set_selected(model, at.saturating_sub(1)),
        Command::Down => set_selected(model, (at + 1).min(found.len().saturating_sub(1))),
        Command::Accept => {
            let Some(entry) = found.get(at) else { return Vec::new() };
            model.overlay = None;
            return act::view(model, entry.command, now);
        }
        _ => model.overlay = None,
    }
    Vec::new()
}

fn set_selected(model: &mut Model, to: usize) {
    if let Some(Overlay::Palette { selected, .. }) = &mut model.overlay {
        *selected = to;
    }
}

/// Chooses what to start, has protected names typed, and starts.
pub(super) fn start(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let (mut form, typing) = match model.overlay.take() {
        Some(Overlay::Start(form)) => (form, false),
        Some(Overlay::TypeName(form)) => (form, true),
        other => {
            model.overlay = other;
            return Vec::new();
        }
    };
    match command {
        Command::CycleAction if form.own_actions => form.own_actions = false,
        Command::CycleAction => form.goal = next_action(form.goal),
        Command::CycleStrategy => form.strategy = next_strategy(form.strategy),
        Command::Accept => {
            if typing {
                accept_name(model, &mut form, now);
            }
            return begin(model, form, now);
        }
        _ => return Vec::new(),
    }
    model.overlay = Some(Overlay::Start(form));
    Vec::new()
}

/// Starts, or has the name of a protected host typed first.
pub(super) fn begin(model: &mut Model, form: StartForm, now: Timestamp) -> Vec<Effect> {
    if !form.goal.deploys() || form.next_protected(&model.world).is_none() {
        return start_or_ask(model, form, now);
    }
    model.overlay = Some(Overlay::TypeName(form));
    Vec::new()
}

/// Starts a run, or asks first for a password that sudo wants on one of its hosts.
pub(super) fn start_or_ask(model: &mut Model, form: StartForm, now: Timestamp) -> Vec<Effect> {
    match access::next_question(model, &form) {
        Some(hosts) => {
            let asked = PasswordForm { form, hosts, typed: Secret::default() };
            model.overlay = Some(Overlay::Password(Box::new(asked)));
            Vec::new()
        }
        None => vec![started(model, form, now)],
    }
}

/// Takes the typed name when it is the one that is asked for.
fn accept_name(model: &mut Model, form: &mut StartForm, now: Timestamp) {
    let Some(wanted) = form.next_protected(&model.world) else { return };
    if form.input.text().trim() == wanted {
        form.typed.push(wanted);
    } else {
        model.say(format!("that is not {wanted:?}; esc cancels"), true, now);
    }
    form.input = crate::dash::LineInput::default();
}

/// Notes that a run was asked for, shows where it will appear, and asks for it.
fn started(model: &mut Model, form: StartForm, now: Timestamp) -> Effect {
    model.toast = None;
    model.marked.clear();
    model.zoom = false;
    model.screen = crate::dash::Screen::Deploy;
    let StartForm { hosts, goal, own_actions, strategy, typed, from, .. } = form;
    model.world.starting =
        Some(Starting { goal, hosts: hosts.clone(), at: now, run: None, failed: None });
    let first = typed.iter().any(|name| model.world.has_no_system(name));
    match from {
        StartFrom::Flake => {
            let allow_protected = typed;
            Effect::StartRun { hosts, goal, own_actions, strategy, allow_protected, first }
        }
        StartFrom::Generation(generation) => {
            let host = hosts.into_iter().next().unwrap_or_default();
            Effect::RollBack { host, generation, allow_protected: typed }
        }
        StartFrom::Run(run) => Effect::Retry { run, allow_protected: typed },
    }
}

fn next_action(goal: Goal) -> Goal {
    match goal {
        Goal::Switch => Goal::Boot,
        Goal::Boot => Goal::Test,
        Goal::Test => Goal::DryActivate,
        Goal::DryActivate => Goal::Switch,
        // Not chosen in this form.
        Goal::Build | Goal::Rollback => goal,
    }
}

fn next_strategy(strategy: Option<Strategy>) -> Option<Strategy> {
    match strategy {
        None => Some(Strategy::ViaCache),
        Some(Strategy::ViaCache) => Some(Strategy::Direct),
        Some(Strategy::Direct) => Some(Strategy::Push),
        Some(Strategy::Push) => Some(Strategy::Auto),
        Some(Strategy::Auto) => None,
    }
}

/// Answers a plan, or reads it.
pub(super) fn plan(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let Some(Overlay::Plan { run, yes, .. }) = &mut model.overlay else { return Vec::new() };
    let run = run.clone();
    match command {
        Command::OtherButton => *yes = !*yes,
        Command::Accept => {
            let yes = *yes;
            return answer(model, run, yes, now);
        }
        Command::Yes => return answer(model, run, true, now),
        Command::No => return answer(model, run, false, now),
        _ => reading(model, command),
    }
    Vec::new()
}

fn answer(model: &mut Model, run: RunId, yes: bool, now: Timestamp) -> Vec<Effect> {
    model.overlay = None;
    if let Some(view) = model.world.runs.iter_mut().find(|view| view.id == run) {
        view.waits = false;
    }
    if !yes {
        model.say(format!("run #{run}: the plan was not carried out"), false, now);
    }
    vec![Effect::Answer { run, yes }]
}

/// Stops a run, or lets it go on.
pub(super) fn cancel(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let Some(Overlay::Cancel { run, yes }) = &mut model.overlay else { return Vec::new() };
    let run = run.clone();
    match command {
        Command::OtherButton => *yes = !*yes,
        Command::Accept if !*yes => model.overlay = None,
        Command::Accept | Command::Yes => {
            model.overlay = None;
            if let Some(view) = model.world.runs.iter_mut().find(|view| view.id == run) {
                view.stopping = true;
            }
            model.say(format!("run #{run} is asked to stop"), false, now);
            return vec![Effect::CancelRun { run }];
        }
        _ => model.overlay = None,
    }
    Vec::new()
}

/// Looks closely at stores, or leaves them alone.
pub(super) fn look(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let Some(Overlay::Look { hosts, yes }) = &mut model.overlay else { return Vec::new() };
    match command {
        Command::OtherButton => *yes = !*yes,
        Command::Accept if !*yes => model.overlay = None,
        Command::Accept | Command::Yes => {
            let hosts = std::mem::take(hosts);
            model.overlay = None;
            // One may have begun while the question stood there.
            if let Some(why) = act::run_in_the_way(model) {
                model.say(why, true, now);
                return Vec::new();
            }
            model.say(format!("looking at the stores of {}", hosts.join(", ")), false, now);
            return vec![Effect::LookClosely { hosts }];
        }
        _ => model.overlay = None,
    }
    Vec::new()
}

/// Ends the dashboard. A run that waits for an answer gets a no: nobody could give it any more.
pub(super) fn quit(model: &mut Model, command: Command) -> Vec<Effect> {
    let active = |model: &Model| -> Vec<RunId> {
        model.world.active_runs().map(|run| run.id.clone()).collect()
    };
    match command {
        Command::Accept => {
            let waiting = model.world.active_runs().filter(|run| run.waits);
            let mut effects: Vec<Effect> =
                waiting.map(|run| Effect::Answer { run: run.id.clone(), yes: false }).collect();
            effects.push(Effect::Quit { cancel: Vec::new() });
            effects
        }
        Command::QuitAndCancel => vec![Effect::Quit { cancel: active(model) }],
        _ => {
            model.overlay = None;
            Vec::new()
        }
    }
}
