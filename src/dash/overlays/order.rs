//! The question whether to say something to a run that changes hosts.

use crate::dash::command::{Command, taken_back};
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::overlay::Overlay;
use crate::dash::run_orders::said;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::popup::{Popup, buttons};
use crate::dash::widgets::text::wrap;
use crate::dash::words::{first_of, naming_within};
use crate::fleet::{RollbackScope, RunId, RunOrder, back_to_before};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws the question whether to say something to a run that changes hosts; it names them.
pub(super) fn draw(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    run: &RunId,
    order: &RunOrder,
    yes: bool,
) {
    let Some(run) = paint.model.world.run_by_id(run) else { return };
    let popup = Popup::new(area, 64);
    let mut back = Vec::new();
    let (title, text, button) = match order {
        RunOrder::Rollback { scope } => {
            back = taken_back(run, *scope);
            let who =
                if back.is_empty() { "No host has its new system or is getting it. " } else { "" };
            let title = match scope {
                RollbackScope::Wave => format!("Roll the newest wave of run #{} back?", run.id),
                RollbackScope::Run => format!("Roll run #{} back?", run.id),
            };
            (title, format!("{who}No other host begins to activate."), "Yes, roll back")
        }
        RunOrder::Skip { host } => {
            let text = format!("{host} keeps the system that it runs. The other hosts go on.");
            (format!("Leave {host} out of run #{}?", run.id), text, "Yes, leave it out")
        }
        RunOrder::Accept | RunOrder::Pause | RunOrder::Resume | RunOrder::Retry { .. } => {
            let text = run.question.as_ref().map_or_else(
                || "No check waits for a decision any more.".to_owned(),
                |open| {
                    format!(
                        "It could not be checked: {}. If you looked yourself and all is well, {}.",
                        open.why,
                        open.if_accepted()
                    )
                },
            );
            (format!("Accept the check of run #{}?", run.id), text, "Yes, all is well")
        }
    };
    let foot = [Line::default(), buttons(paint, "No", button, yes)];
    // What happens stands there in whole, and of the names as many as have room.
    let lines = naming_within(popup.rows().saturating_sub(foot.len()), |shown| {
        let text = match back.len() {
            0 => text.clone(),
            hosts => format!("{} {}. {text}", first_of(&back, shown), back_to_before(hosts)),
        };
        wrap(&text, popup.room())
    });
    let lines: Vec<Line<'static>> = lines.into_iter().map(Line::raw).collect();
    let inside = popup.draw(paint, buffer, &title, &lines, 0, &foot);
    inside.note_buttons(paint, "No", button);
}

/// Answers the question whether to say it.
pub(super) fn update(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let Some(Overlay::Order { run, order, yes }) = model.overlay_mut() else { return Vec::new() };
    let (run, order) = (run.clone(), order.clone());
    match command {
        Command::OtherButton => *yes = !*yes,
        Command::Accept if !*yes => model.close(),
        Command::Accept | Command::Yes => {
            model.close();
            return said(model, run, order, now);
        }
        _ => model.close(),
    }
    Vec::new()
}
