//! What a key says to a run: pause and resume at once, whatever changes hosts after a question.

use crate::dash::command::{Command, order};
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::overlay::Overlay;
use crate::fleet::{RunId, RunOrder};
use jiff::Timestamp;

/// Says something to the shown run, or asks first.
pub(super) fn say(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let Some(order) = order(model, command) else { return Vec::new() };
    let Some(run) = model.shown_run().map(|run| run.id.clone()) else { return Vec::new() };
    if order.is_destructive() {
        model.overlay = Some(Overlay::Order { run, order, yes: false });
        return Vec::new();
    }
    said(model, run, order, now)
}

/// Answers the question whether to say it.
pub(super) fn answer(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let Some(Overlay::Order { run, order, yes }) = &mut model.overlay else { return Vec::new() };
    let (run, order) = (run.clone(), order.clone());
    match command {
        Command::OtherButton => *yes = !*yes,
        Command::Accept if !*yes => model.overlay = None,
        Command::Accept | Command::Yes => {
            model.overlay = None;
            return said(model, run, order, now);
        }
        _ => model.overlay = None,
    }
    Vec::new()
}

/// Asks the runtime to say it.
fn said(model: &mut Model, run: RunId, order: RunOrder, now: Timestamp) -> Vec<Effect> {
    model.say(format!("run #{run} is told: {order}"), false, now);
    vec![Effect::Order { run, order }]
}
