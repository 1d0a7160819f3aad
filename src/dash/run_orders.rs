//! What is said to a run, from whichever view: to the one that is shown, or to the one that waits for it.

use crate::dash::begin;
use crate::dash::model::{Model, Screen};
use crate::dash::msg::Effect;
use crate::dash::overlay::Overlay;
use crate::dash::world::RunView;
use crate::fleet::{RunId, RunOrder};
use jiff::Timestamp;

/// Asks whether to stop the run.
pub(in crate::dash) fn ask_to_stop(model: &mut Model) {
    if let Some(run) = model.shown_run().filter(|run| run.is_active()) {
        model.open(Overlay::Cancel { run: run.id.clone(), yes: false });
    }
}

/// Returns the run whose plan is shown from the view that is shown: the one that waits for an answer, the run in
/// sight first; else in the view of a run that one.
pub(in crate::dash) fn with_plan(model: &Model) -> Option<usize> {
    let waits = |run: &RunView| run.waits && run.is_active();
    let shown =
        model.shown_run().filter(|run| run.plan.is_some() && model.screen == Screen::Deploy);
    let shown = shown.map(|_| model.deploy.run);
    in_sight_or_newest(model, waits).or(shown)
}

/// Shows that plan, over its run.
pub(in crate::dash) fn show_plan(model: &mut Model) {
    let Some(index) = with_plan(model) else { return };
    show(model, index);
    if let Some(run) = model.shown_run().filter(|run| run.plan.is_some()) {
        model.open(Overlay::Plan { run: run.id.clone(), yes: false, scroll: 0 });
    }
}

/// Returns the run that can be gone on with from the view that is shown: the run in sight, else the newest that
/// was left.
pub(in crate::dash) fn to_go_on_with(model: &Model) -> Option<usize> {
    in_sight_or_newest(model, RunView::is_left)
}

/// Goes on with that run, once; it is shown where another one was.
pub(in crate::dash) fn reattach(model: &mut Model, now: Timestamp) -> Vec<Effect> {
    let Some(index) = to_go_on_with(model) else { return Vec::new() };
    if model.deploy.run != index || !shows_runs(model.screen) {
        show(model, index);
    }
    let Some(run) = model.shown_run().map(|run| run.id.clone()) else { return Vec::new() };
    begin::reattach(model, &run, now)
}

/// Returns the run that a view shows where it is such a one, else the newest that is.
fn in_sight_or_newest(model: &Model, is_it: impl Fn(&RunView) -> bool) -> Option<usize> {
    let in_sight = model.shown_run().filter(|run| shows_runs(model.screen) && is_it(run));
    let newest = || model.world.runs.iter().rposition(&is_it);
    in_sight.map(|_| model.deploy.run).or_else(newest)
}

/// Returns whether a view shows the run that is meant.
fn shows_runs(screen: Screen) -> bool {
    match screen {
        Screen::Deploy | Screen::Logs | Screen::History => true,
        Screen::Fleet | Screen::Caches => false,
    }
}

/// Shows a run, host by host.
fn show(model: &mut Model, index: usize) {
    if model.deploy.run != index {
        model.deploy.from_history = false;
        model.select_run(index, None);
    }
    model.show(Screen::Deploy);
}

/// Asks the runtime to say it.
pub(in crate::dash) fn said(
    model: &mut Model,
    run: RunId,
    order: RunOrder,
    now: Timestamp,
) -> Vec<Effect> {
    model.say(format!("told run #{run}: {order}"), false, now);
    vec![Effect::Order { run, order }]
}
