//! The views: a folder for each, with what changes it and what draws it.
//!
//! A view answers what [`Pane`] asks, in its `mod.rs`. Another view is another folder, another
//! [`Screen`] with its title, another line in [`pane`], and the rows of its keys in the table of commands.
//!
//! `host` and `cache` are the details of one host and of one tier, in the views of all of them. No
//! view uses another one.

mod cache;
pub(super) mod caches;
pub(super) mod deploy;
mod details;
mod elsewhere;
pub(super) mod fleet;
mod headings;
pub(super) mod history;
mod host;
mod log_tail;
pub(super) mod logs;
mod problems;
mod sorts;

pub use headings::sort_at;
pub(super) use sorts::SortChoice;

use crate::dash::command::Command;
use crate::dash::input::LineInput;
use crate::dash::layout::layout;
use crate::dash::model::{Model, Screen};
use crate::dash::msg::Effect;
use crate::dash::run_orders;
use crate::dash::widgets::paint::Paint;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// What a view answers.
pub(super) struct Pane {
    /// Draws it in the body of the screen.
    draw: fn(&Paint<'_>, &mut Buffer, Rect),
    /// Does a command that is the view's own, where it has this body.
    update: fn(&mut Model, Command, Rect, Timestamp) -> Vec<Effect>,
    /// Returns whether a command has something to act on.
    can: fn(&Model, Command) -> bool,
    /// Returns whether the details of what is selected have the whole body.
    shows_details: fn(&Model) -> bool,
    /// Returns the hosts that are deployed, built or measured from it; none means all that there are,
    /// where they are measured.
    targets: fn(&Model) -> Vec<String>,
    /// Sorts its list by the heading at a column of the terminal, where the list has this place; returns
    /// whether a heading is there.
    sort_at: fn(&mut Model, Rect, usize) -> bool,
    /// Goes back by one step inside of it; returns whether there was one.
    leave: fn(&mut Model) -> bool,
    /// The view to which its last step back leads.
    parent: Screen,
    /// What the arrows do, as the footer says it.
    pub(super) arrows: Option<&'static str>,
}

/// Returns a view.
pub(super) fn pane(screen: Screen) -> &'static Pane {
    match screen {
        Screen::Fleet => &fleet::PANE,
        Screen::Caches => &caches::PANE,
        Screen::Deploy => &deploy::PANE,
        Screen::Logs => &logs::PANE,
        Screen::History => &history::PANE,
    }
}

/// Draws the view that is shown.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    (pane(paint.model.screen).draw)(paint, buffer, area);
}

/// Does a command of the view that is shown.
pub(super) fn update(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let body = layout(model).body;
    (pane(model.screen).update)(model, command, body, now)
}

/// Returns whether a command has something to act on in the view that is shown; nothing is measured or
/// started from a record.
pub(super) fn can(model: &Model, command: Command) -> bool {
    match command {
        Command::Filter => model.row_count() > 0 && !shows_details(model),
        Command::HideNextTry => {
            model.practice.as_ref().is_some_and(|practice| practice.next().is_some())
        }
        Command::LongerList | Command::ShorterList => !model.zoom && model.row_count() > 0,
        Command::FirstSteps => model.world.found_here.is_some(),
        Command::LastTyped => {
            let prompt = model.prompt.as_ref().map(|prompt| &prompt.input);
            model.log.input().or(prompt).is_some_and(LineInput::has_last)
        }
        command if model.world.is_record && asks_hosts(command) => false,
        Command::Plan => run_orders::with_plan(model).is_some(),
        Command::Reattach => run_orders::to_go_on_with(model).is_some(),
        command => (pane(model.screen).can)(model, command),
    }
}

/// Returns the hosts that are deployed, built or measured from the view that is shown.
pub(super) fn targets(model: &Model) -> Vec<String> {
    (pane(model.screen).targets)(model)
}

/// Returns whether the details of what is selected have the whole body.
pub(super) fn shows_details(model: &Model) -> bool {
    (pane(model.screen).shows_details)(model)
}

/// Goes back by one step.
pub(super) fn back(model: &mut Model) {
    let pane = pane(model.screen);
    if !(pane.leave)(model) {
        model.show(pane.parent);
    }
}

/// Returns whether a command needs hosts or tiers that can be asked.
pub(super) fn asks_hosts(command: Command) -> bool {
    matches!(
        command,
        Command::Deploy
            | Command::Build
            | Command::Cancel
            | Command::Reattach
            | Command::Mark
            | Command::MarkAll
            | Command::Refresh
            | Command::RefreshAll
            | Command::LookClosely
            | Command::HostKey
            | Command::Verify
            | Command::Silence
            | Command::Generations
            | Command::OverTime
            | Command::Events
            | Command::Shell
            | Command::Units
            | Command::Retry
    )
}
