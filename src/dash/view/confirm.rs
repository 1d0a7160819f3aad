//! The short questions: stop a run, look closely at stores, and what becomes of runs when the dashboard ends.
//!
//! ```text
//! ┌ Stop run #41? ──────────────────┐   ┌ Quit ────────────────────────────────────┐
//! │ switch via-cache                │   │ Run #41 goes on without the dashboard.   │
//! │ samsung  fetch                  │   │                                          │
//! │ [ No ]    Yes, stop it          │   │ enter, q   quit, runs go on              │
//! └─────────────────────────────────┘   └──────────────────────────────────────────┘
//! ```

use crate::dash::command::{Context, in_context, taken_back};
use crate::dash::theme::Role;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::popup::{Popup, buttons};
use crate::dash::widgets::text::{left, wrap};
use crate::fleet::{RollbackScope, RunId, RunOrder};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Draws the question whether to stop a run.
pub(super) fn cancel(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, run: &RunId, yes: bool) {
    let Some(run) = paint.model.world.run_by_id(run) else { return };
    let popup = Popup::new(area, 56);
    let mut lines = vec![Line::raw(run.title.clone())];
    for host in run.hosts.iter().filter(|host| host.result.is_none()) {
        let phase = host.current().map_or("not begun", |(phase, _)| phase.word());
        lines.push(Line::raw(format!("{}  {phase}", left(&host.host, 12))));
    }
    let foot = [Line::default(), buttons(paint, "No", "Yes, stop it", yes)];
    popup.draw(paint, buffer, &format!("Stop run #{}?", run.id), &lines, 0, &foot);
}

/// Draws the question whether to say something to a run that changes hosts; it names them.
pub(super) fn order(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    run: &RunId,
    order: &RunOrder,
    yes: bool,
) {
    let Some(run) = paint.model.world.run_by_id(run) else { return };
    let (title, text, button) = match order {
        RunOrder::Rollback { scope } => {
            let hosts = taken_back(run, *scope);
            let who = if hosts.is_empty() {
                "Hosts that are being activated go back.".to_owned()
            } else {
                format!("{} go back to what they ran before this run.", hosts.join(", "))
            };
            let title = match scope {
                RollbackScope::Wave => format!("Roll the newest wave of run #{} back?", run.id),
                RollbackScope::Run => format!("Roll run #{} back?", run.id),
            };
            (title, format!("{who} No other host begins to activate."), "Yes, roll back")
        }
        RunOrder::Skip { host } => {
            let text = format!("{host} keeps the system that it runs. The other hosts go on.");
            (format!("Leave {host} out of run #{}?", run.id), text, "Yes, leave it out")
        }
        RunOrder::Accept | RunOrder::Pause | RunOrder::Resume | RunOrder::Retry { .. } => {
            let question = run.question.clone().unwrap_or_default();
            let text = format!(
                "It could not be checked: {question}. If you looked yourself and all is \
                 well, the next wave begins."
            );
            (format!("Go on with run #{}?", run.id), text, "Yes, all is well")
        }
    };
    let popup = Popup::new(area, 64);
    let lines: Vec<Line<'static>> = wrap(&text, popup.room()).into_iter().map(Line::raw).collect();
    let foot = [Line::default(), buttons(paint, "No", button, yes)];
    popup.draw(paint, buffer, &title, &lines, 0, &foot);
}

/// Draws the question whether to look closely at hosts' stores.
pub(super) fn look(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    hosts: &[String],
    yes: bool,
) {
    let popup = Popup::new(area, 64);
    let text = format!(
        "Measures what hard links save and what no root keeps alive, on {}. It takes the lock of \
         Nix's garbage collector there: builds wait until it ends, ten minutes at most. Nothing is \
         deleted.",
        hosts.join(", ")
    );
    let lines: Vec<Line<'static>> = wrap(&text, popup.room()).into_iter().map(Line::raw).collect();
    let foot = [Line::default(), buttons(paint, "No", "Yes, measure", yes)];
    popup.draw(paint, buffer, "Measure dead paths?", &lines, 0, &foot);
}

/// Draws the question what becomes of active runs.
pub(super) fn quit(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    let popup = Popup::new(area, 60);
    let mut lines = Vec::new();
    for run in paint.model.world.active_runs() {
        let text = if run.waits {
            format!("Run #{} waits for your answer; quitting answers no.", run.id)
        } else {
            format!("Run #{} goes on without the dashboard.", run.id)
        };
        lines.extend(wrap(&text, popup.room()).into_iter().map(Line::raw));
    }
    if lines.is_empty() {
        lines.push(Line::raw("The run has ended meanwhile."));
    }
    lines.push(Line::default());
    for entry in in_context(Context::Quit) {
        let keys: Vec<String> = entry.keys.iter().take(2).map(ToString::to_string).collect();
        lines.push(Line::from(vec![
            paint.span(Role::Accent, left(&keys.join(", "), 10)),
            Span::raw(entry.label.unwrap_or(entry.about)),
        ]));
    }
    popup.draw(paint, buffer, "Quit", &lines, 0, &[]);
}
