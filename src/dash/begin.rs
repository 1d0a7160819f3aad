//! Begins a run that was chosen: first the names that must be typed, then the passwords, then the run.

use crate::dash::model::{Model, Screen};
use crate::dash::msg::Effect;
use crate::dash::overlay::{Overlay, PasswordForm, StartForm, StartFrom};
use crate::dash::world::Starting;
use crate::fleet::{Fleet, Goal, RootHosts, RunId, Secret, SudoQuestion};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Asks what to start on hosts. Those that are read-only are left out of a deploy; where no other is left, it is said why
/// there is nothing to start.
pub(in crate::dash) fn ask(model: &mut Model, hosts: Vec<String>, goal: Goal, now: Timestamp) {
    let Some((hosts, read_only)) = changeable(model, hosts, goal, now) else { return };
    let has_action =
        |name: &String| model.world.fleet.host(name).is_some_and(|host| host.action.is_some());
    let own_actions = goal.deploys() && hosts.iter().any(has_action);
    let specialisations = specialisations(model, &hosts);
    let form = StartForm::new(hosts, goal, StartFrom::Flake);
    model.open(Overlay::Start(StartForm { read_only, own_actions, specialisations, ..form }));
}

/// Returns the specialisations that hosts are known to run.
fn specialisations(model: &Model, hosts: &[String]) -> BTreeMap<String, String> {
    let runs = |name: &String| Some((name.clone(), model.world.specialisation(name)?.to_owned()));
    hosts.iter().filter_map(runs).collect()
}

/// Returns the hosts on which something may be started, and those that are read-only and left out; nothing where none
/// is left, which is said.
fn changeable(
    model: &mut Model,
    hosts: Vec<String>,
    goal: Goal,
    now: Timestamp,
) -> Option<(Vec<String>, Vec<String>)> {
    let is_left = |name: &String| goal.deploys() && model.world.is_read_only(name);
    let (left, others): (Vec<String>, Vec<String>) = hosts.into_iter().partition(is_left);
    if others.is_empty() {
        if !left.is_empty() {
            let hosts = match &left[..] {
                [host] => host.clone(),
                all => format!("all {} chosen hosts", all.len()),
            };
            let text = format!(
                "nothing was done: hosts.toml says read_only = true for {hosts}, so nothing is changed there"
            );
            model.say(text, false, now);
        }
        return None;
    }
    Some((others, left))
}

/// Starts, or has the name of a protected host typed first.
pub(in crate::dash) fn begin(model: &mut Model, form: StartForm, now: Timestamp) -> Vec<Effect> {
    if !form.goal.deploys() || form.next_protected(&model.world).is_none() {
        return start_or_ask(model, form, now);
    }
    model.open(Overlay::TypeName(form));
    Vec::new()
}

/// Asks how a host is to be rolled back to a generation, over the list of its generations.
pub(in crate::dash) fn roll_back(model: &mut Model, host: String, generation: u64, now: Timestamp) {
    let Some((hosts, _)) = changeable(model, vec![host], Goal::Rollback, now) else { return };
    let specialisations = specialisations(model, &hosts);
    let form = StartForm::new(hosts, Goal::Rollback, StartFrom::Generation(generation));
    model.open(Overlay::Start(StartForm { specialisations, ..form }));
}

/// Tries the hosts of the shown run again that did not end well.
pub(in crate::dash) fn retry(model: &mut Model, now: Timestamp) -> Vec<Effect> {
    let Some(run) = model.shown_run().filter(|run| run.can_be_tried_again()) else {
        return Vec::new();
    };
    let goal = run.plan.as_ref().map_or(Goal::Build, |plan| plan.goal);
    let (hosts, from) = (run.not_well(), StartFrom::Run(run.id.clone()));
    let Some((hosts, read_only)) = changeable(model, hosts, goal, now) else { return Vec::new() };
    begin(model, StartForm { read_only, ..StartForm::new(hosts, goal, from) }, now)
}

/// Goes on with a run that was left, or asks first for a password that sudo wants on one of its hosts.
pub(in crate::dash) fn reattach(model: &mut Model, run: &RunId, now: Timestamp) -> Vec<Effect> {
    let Some(view) = model.world.run_by_id(run) else { return Vec::new() };
    // Those too that are done: they may be taken back, or tried again.
    let hosts = view.hosts.iter().map(|host| host.host.clone()).collect();
    // What is done to them is known where its plan was made.
    let goal = view.plan.as_ref().map_or(Goal::Switch, |plan| plan.goal);
    start_or_ask(model, StartForm::new(hosts, goal, StartFrom::Left(run.clone())), now)
}

/// Starts a run, or asks first for a password that sudo wants on one of its hosts.
pub(in crate::dash) fn start_or_ask(
    model: &mut Model,
    form: StartForm,
    now: Timestamp,
) -> Vec<Effect> {
    match next_question(model, &form) {
        Some(SudoQuestion { hosts, is_needed }) => {
            let asked = PasswordForm { form, hosts, is_needed, typed: Secret::default() };
            model.open(Overlay::Password(Box::new(asked)));
            Vec::new()
        }
        None => vec![started(model, form, now)],
    }
}

/// Returns the hosts whose password is asked for next before a run starts; none when every password
/// that is to be typed was typed since the dashboard was opened.
fn next_question(model: &Model, form: &StartForm) -> Option<SudoQuestion> {
    let fleet = &model.world.fleet;
    let changes = form.goal.changes();
    let root = RootHosts {
        deployed: form.hosts.clone(),
        builders: builders(fleet, form),
        asked: if changes { fleet.asked_for_budgets(&form.hosts) } else { Vec::new() },
    };
    let questions = fleet.sudo_questions(&root, false).into_iter();
    let mut open = questions.map(|question| {
        let hosts = question.hosts.into_iter();
        let hosts = hosts.filter(|host| !model.passwords_given.contains(host)).collect();
        SudoQuestion { hosts, ..question }
    });
    open.find(|question| !question.hosts.is_empty())
}

/// Returns the hosts that build for what is started: by the strategy that was chosen, else by each host's own. Of an
/// earlier run it is not known here by which strategy it went, so that the fleet's builder may be one of them.
fn builders(fleet: &Fleet, form: &StartForm) -> Vec<String> {
    let hosts = form.hosts.iter().filter_map(|name| fleet.host(name));
    let builders = hosts.filter_map(|host| {
        let strategy = form.strategy.unwrap_or_else(|| fleet.strategy_of(host));
        fleet.build_on_by(host, strategy).map(str::to_owned)
    });
    match form.from {
        StartFrom::Flake => builders.collect(),
        // What a generation keeps is built by nobody.
        StartFrom::Generation(_) => Vec::new(),
        StartFrom::Run(_) | StartFrom::Left(_) => builders.chain(fleet.builder.clone()).collect(),
    }
}

/// Notes that a run was asked for, shows where it will appear, and asks for it.
fn started(model: &mut Model, form: StartForm, now: Timestamp) -> Effect {
    if let StartFrom::Left(run) = form.from {
        return gone_on_with(model, run, now);
    }
    model.toast = None;
    // The generations that a host was chosen from to go back to.
    model.overlays.clear();
    model.fleet.marked.clear();
    model.zoom = false;
    model.deploy.from_history = false;
    model.screen = Screen::Deploy;
    let choices = form.choices();
    let StartForm { hosts, goal, own_actions, strategy, typed, from, .. } = form;
    model.world.starting =
        Some(Starting { goal, hosts: hosts.clone(), at: now, run: None, failed: None });
    let first = typed.iter().any(|name| model.world.has_no_system(name));
    match from {
        StartFrom::Flake => {
            let allow_protected = typed;
            Effect::StartRun { hosts, goal, own_actions, strategy, choices, allow_protected, first }
        }
        StartFrom::Generation(generation) => {
            let host = hosts.into_iter().next().unwrap_or_default();
            Effect::RollBack { host, generation, choices, allow_protected: typed }
        }
        StartFrom::Run(run) => Effect::Retry { run, allow_protected: typed },
        StartFrom::Left(run) => Effect::Reattach { run },
    }
}

/// Notes that a run is gone on with, so that nobody asks for it twice, and asks for that.
fn gone_on_with(model: &mut Model, run: RunId, now: Timestamp) -> Effect {
    if let Some(view) = model.world.runs.iter_mut().find(|view| view.id == run) {
        view.can_go_on = false;
    }
    model.say(format!("going on with run #{run}"), false, now);
    Effect::Reattach { run }
}
