//! Whose logs the view shows the ends of.

use crate::dash::model::{Model, Screen};
use crate::dash::msg::{LogOf, LogsInView};
use crate::dash::panes::deploy::draw::stand_beside;
use crate::dash::widgets::filtered;
use crate::dash::widgets::paint::below;
use crate::dash::world::HostRun;
use ratatui::layout::Rect;

/// How many lines of a log are wanted where its end is shown beside other things: more than any screen
/// has rows.
const END_OF_LOG: usize = 300;

/// Returns whether so many hosts of a run stand side by side where the view has this body.
pub(in crate::dash) fn stand_side_by_side(model: &Model, body: Rect, count: usize) -> bool {
    stand_beside(count, filtered::rest(model, below(body, 1)))
}

/// Returns the logs whose ends are drawn now, where the view has this body.
pub(in crate::dash) fn logs_in_view(model: &Model, body: Rect) -> LogsInView {
    if model.screen != Screen::Deploy || model.world.starting.is_some() {
        return LogsInView::default();
    }
    let Some(run) = model.shown_run() else { return LogsInView::default() };
    let visible = model.visible_host_runs();
    let hosts: Vec<&HostRun> = if !model.zoom && stand_side_by_side(model, body, visible.len()) {
        visible.iter().filter_map(|index| run.hosts.get(*index)).collect()
    } else {
        model.shown_host_run().into_iter().collect()
    };
    let of = |host: &HostRun| LogOf { run: run.id.clone(), host: host.host.clone() };
    LogsInView { logs: hosts.into_iter().map(of).collect(), lines: END_OF_LOG }
}
