//! What keys do among the runs.

use crate::dash::begin;
use crate::dash::command::Command;
use crate::dash::layout::page;
use crate::dash::model::{Model, Screen};
use crate::dash::moves::move_selection;
use crate::dash::msg::Effect;
use crate::dash::panes::history::draw::sorts;
use crate::dash::world::RunView;
use crate::fleet::Goal;
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
        command if command.moves() => move_selection(model, command, page(body)),
        Command::Sort => {
            let all = sorts(body);
            model.history.sorting.choose(model.history.sorting.next(&all));
            model.say(model.history.sorting.sentence("runs"), false, now);
        }
        Command::TurnSort => {
            model.history.sorting.turn();
            model.say(model.history.sorting.sentence("runs"), false, now);
        }
        Command::Open => open(model, Screen::Deploy),
        Command::Zoom => model.toggle_zoom(),
        Command::Log => open(model, Screen::Logs),
        Command::Deploy => begin::ask(model, targets(model), Goal::default(), now),
        Command::Retry => return begin::retry(model, now),
        _ => {}
    }
    Vec::new()
}

/// Shows the selected run, or its log; the way back leads here.
fn open(model: &mut Model, screen: Screen) {
    model.deploy.from_history = true;
    model.show(screen);
}

/// Returns whether a command has something to act on.
pub(super) fn can(model: &Model, command: Command) -> bool {
    let run = model.shown_run().filter(|_| model.shows_selected());
    match command {
        Command::Sort | Command::TurnSort => model.row_count() > 1,
        Command::Deploy => !targets(model).is_empty(),
        Command::Open | Command::Zoom => run.is_some(),
        Command::Log => run.is_some() && model.shown_host_run().is_some(),
        Command::Retry => run.is_some_and(RunView::can_be_tried_again),
        _ => true,
    }
}

/// Closes the hosts that have the whole view, else takes the filter away.
pub(super) fn leave(model: &mut Model) -> bool {
    std::mem::take(&mut model.zoom) || model.clear_filter()
}

/// Returns the hosts of the selected run.
pub(super) fn targets(model: &Model) -> Vec<String> {
    let run = model.shown_run().filter(|_| model.shows_selected());
    let hosts = run.into_iter().flat_map(|run| &run.hosts);
    hosts.map(|host| host.host.clone()).collect()
}
