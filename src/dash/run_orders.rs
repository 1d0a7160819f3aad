//! What is said to the run that is shown, from whichever view.

use crate::dash::begin;
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::overlay::Overlay;
use crate::fleet::{RunId, RunOrder};
use jiff::Timestamp;

/// Asks whether to stop the run.
pub(in crate::dash) fn ask_to_stop(model: &mut Model) {
    if let Some(run) = model.shown_run().filter(|run| run.is_active()) {
        model.open(Overlay::Cancel { run: run.id.clone(), yes: false });
    }
}

/// Goes on with the run that is shown, once.
pub(in crate::dash) fn reattach(model: &mut Model, now: Timestamp) -> Vec<Effect> {
    let Some(run) = model.shown_run().map(|run| run.id.clone()) else { return Vec::new() };
    begin::reattach(model, &run, now)
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
