//! Begins a run that was chosen: first the names that must be typed, then the passwords, then the run.

use crate::dash::model::{Model, Screen};
use crate::dash::msg::Effect;
use crate::dash::overlay::{Overlay, PasswordForm, StartForm, StartFrom};
use crate::dash::world::Starting;
use crate::fleet::{Goal, Secret};
use jiff::Timestamp;

/// Asks what to start on hosts.
pub(in crate::dash) fn ask(model: &mut Model, hosts: Vec<String>, goal: Goal) {
    let has_action =
        |name: &String| model.world.fleet.host(name).is_some_and(|host| host.action.is_some());
    let own_actions = goal.deploys() && hosts.iter().any(has_action);
    if !hosts.is_empty() {
        let form = StartForm { own_actions, ..StartForm::new(hosts, goal, StartFrom::Flake) };
        model.open(Overlay::Start(form));
    }
}

/// Starts, or has the name of a protected host typed first.
pub(in crate::dash) fn begin(model: &mut Model, form: StartForm, now: Timestamp) -> Vec<Effect> {
    if !form.goal.deploys() || form.next_protected(&model.world).is_none() {
        return start_or_ask(model, form, now);
    }
    model.open(Overlay::TypeName(form));
    Vec::new()
}

/// Begins a rollback of a host to a generation; its plan asks before anything changes.
pub(in crate::dash) fn roll_back(
    model: &mut Model,
    host: String,
    generation: u64,
    now: Timestamp,
) -> Vec<Effect> {
    model.overlays.clear();
    let from = StartFrom::Generation(generation);
    begin(model, StartForm::new(vec![host], Goal::Rollback, from), now)
}

/// Tries the hosts of the shown run again that did not end well.
pub(in crate::dash) fn retry(model: &mut Model, now: Timestamp) -> Vec<Effect> {
    let Some(run) = model.shown_run().filter(|run| run.can_be_tried_again()) else {
        return Vec::new();
    };
    let goal = run.plan.as_ref().map_or(Goal::Build, |plan| plan.goal);
    let form = StartForm::new(run.not_well(), goal, StartFrom::Run(run.id.clone()));
    begin(model, form, now)
}

/// Starts a run, or asks first for a password that sudo wants on one of its hosts.
pub(in crate::dash) fn start_or_ask(
    model: &mut Model,
    form: StartForm,
    now: Timestamp,
) -> Vec<Effect> {
    match next_question(model, &form) {
        Some(hosts) => {
            let asked = PasswordForm { form, hosts, typed: Secret::default() };
            model.open(Overlay::Password(Box::new(asked)));
            Vec::new()
        }
        None => vec![started(model, form, now)],
    }
}

/// Returns the hosts whose password is asked for next before a run starts; none when every password
/// that is to be typed was typed since the dashboard was opened.
fn next_question(model: &Model, form: &StartForm) -> Option<Vec<String>> {
    let fleet = &model.world.fleet;
    let mut names = form.hosts.clone();
    let chosen = form.hosts.iter().filter_map(|name| fleet.host(name));
    names.extend(chosen.filter_map(|host| fleet.build_on(host)).map(str::to_owned));
    names.extend(fleet.builder.clone());
    if form.goal.changes() {
        names.extend(fleet.asked_for_budgets(&form.hosts));
    }
    names.sort_unstable();
    names.dedup();
    let questions = fleet.sudo_questions(&names, false).into_iter();
    let mut open = questions.map(|hosts| {
        hosts.into_iter().filter(|host| !model.passwords_given.contains(host)).collect::<Vec<_>>()
    });
    open.find(|hosts| !hosts.is_empty())
}

/// Notes that a run was asked for, shows where it will appear, and asks for it.
fn started(model: &mut Model, form: StartForm, now: Timestamp) -> Effect {
    model.toast = None;
    model.fleet.marked.clear();
    model.zoom = false;
    model.deploy.from_history = false;
    model.screen = Screen::Deploy;
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
