//! The pane as one of the views: its own commands, and those that act on its run.

use crate::dash::command::Command;
use crate::dash::model::{Model, Screen};
use crate::dash::msg::Effect;
use crate::dash::panes::Pane;
use crate::dash::panes::elsewhere::elsewhere;
use crate::dash::panes::logs::draw::{draw, sight};
use crate::dash::panes::logs::state::LogFace;
use crate::dash::panes::logs::update::{command as own, leave};
use crate::dash::panes::logs::wanted::rows_of;
use crate::dash::run_orders::ask_to_stop;
use crate::record::output_of;
use jiff::Timestamp;
use ratatui::layout::Rect;

pub(in crate::dash::panes) const PANE: Pane = Pane {
    draw,
    update,
    can,
    shows_details: |_| false,
    targets: Model::chosen,
    sort_at: |_, _, _| false,
    leave,
    parent: Screen::Deploy,
    arrows: Some("scroll"),
};

/// Does a command of the view.
fn update(model: &mut Model, command: Command, body: Rect, now: Timestamp) -> Vec<Effect> {
    match command {
        Command::NextHost => model.turn_host(true),
        Command::PreviousHost => model.turn_host(false),
        Command::Cancel => ask_to_stop(model),
        Command::LogFile => return log_file(model),
        Command::Pager | Command::Editor => {
            return rows_of(model)
                .map_or_else(Vec::new, |of| elsewhere(of, model.log.cursor(), command));
        }
        _ => {
            let sight = sight(model, body);
            return own(model, command, sight, now);
        }
    }
    Vec::new()
}

/// Returns whether a command has something to act on.
fn can(model: &Model, command: Command) -> bool {
    match command {
        Command::Open => can_open_line(model),
        Command::NextHost | Command::PreviousHost => {
            !model.log.shows_all_hosts() && model.shown_run().is_some_and(|run| run.hosts.len() > 1)
        }
        Command::Cancel => model.shown_run().is_some_and(|run| run.is_active() && !run.stopping),
        Command::LogFile | Command::TurnFace => model.shown_host_run().is_some(),
        Command::Pager
        | Command::Editor
        | Command::Wrap
        | Command::Fold
        | Command::Levels
        | Command::Times
        | Command::ScrollLeft
        | Command::ScrollRight
        | Command::FindText
        | Command::NextMark => shows_lines(model),
        Command::Follow
        | Command::NextError
        | Command::PreviousError
        | Command::Select
        | Command::Copy
        | Command::CopyError
        | Command::SaveLog
        | Command::MarkLine => shows_lines(model) && model.log.rows() > 0,
        Command::NextMatch | Command::PreviousMatch | Command::OnlyMatching => {
            shows_lines(model) && !model.log.pattern.is_empty()
        }
        Command::Failure => {
            let result = model.shown_host_run().and_then(|host| host.result.as_ref());
            !model.log.all_hosts && result.is_some_and(|result| !result.outcome.is_good())
        }
        Command::CompareBuild => {
            model.shown_host_run().is_some() && model.log.face != LogFace::Compared
        }
        Command::AllHosts => {
            model.log.face == LogFace::Log
                && model.shown_run().is_some_and(|run| run.hosts.len() > 1)
        }
        _ => true,
    }
}

/// Returns whether the pane of logs shows lines.
fn shows_lines(model: &Model) -> bool {
    model.shown_host_run().is_some() && model.log.face == LogFace::Log
}

/// Returns whether the pane of logs has something of which there is a log alone: a derivation, or a line
/// that a build printed.
fn can_open_line(model: &Model) -> bool {
    let pane = &model.log;
    match pane.face {
        LogFace::Log => {
            let row = pane.at_cursor().filter(|_| pane.alone.is_none());
            row.is_some_and(|row| output_of(&row.text).is_some())
        }
        LogFace::Builds => {
            pane.activity.as_ref().is_some_and(|(_, _, shown)| !shown.builds.is_empty())
        }
        LogFace::Transfers | LogFace::Compared => false,
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
