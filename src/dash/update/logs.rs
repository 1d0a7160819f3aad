//! Which logs are in view, and the newest lines of those that are shown beside other things.

use crate::dash::layout::layout;
use crate::dash::model::Model;
use crate::dash::msg::{Effect, LogOf};
use crate::dash::panes::deploy::logs_in_view;
use crate::dash::panes::logs::{sight, wanted};
use crate::dash::world::LogRing;
use crate::fleet::LogLine;

/// Returns what asks for what is in view of logs, where that is something else than before; the lines
/// of logs that are not in view any more are forgotten.
pub fn view_logs(model: &mut Model) -> Vec<Effect> {
    let body = layout(model).body;
    let pane = wanted(model, sight(model, body).height);
    let mut effects = Vec::new();
    if pane != model.log.asked {
        model.log.asked.clone_from(&pane);
        effects.push(Effect::ShowLogs(pane));
    }
    let now = logs_in_view(model, body);
    if now == model.logs_asked {
        return effects;
    }
    for old in std::mem::replace(&mut model.logs_asked, now.clone()).logs {
        let run = model.world.runs.iter_mut().find(|run| run.id == old.run);
        let host = run.and_then(|run| run.hosts.iter_mut().find(|host| host.host == old.host));
        if let Some(host) = host.filter(|_| !now.logs.contains(&old)) {
            host.log = LogRing::default();
        }
    }
    effects.push(Effect::ViewLogs(now));
    effects
}

/// Takes lines of a log.
pub(super) fn add(model: &mut Model, of: &LogOf, earlier: Option<u64>, lines: Vec<LogLine>) {
    let seen = logs_in_view(model, layout(model).body).logs.contains(of);
    if let Some(run) = model.world.runs.iter_mut().find(|run| run.id == of.run) {
        run.log(&of.host, earlier, lines);
        model.dirty |= seen;
    }
}
