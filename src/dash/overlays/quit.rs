//! The question what becomes of runs when the dashboard ends.
//!
//! ```text
//! ┌ Quit ────────────────────────────────────┐
//! │ Run #41 goes on without the dashboard.   │
//! │                                          │
//! │ enter, q   quit, runs go on              │
//! └──────────────────────────────────────────┘
//! ```

use crate::dash::command::{Command, CommandEntry, Context, in_context};
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::theme::Role;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::places::ClickTarget;
use crate::dash::widgets::popup::Popup;
use crate::dash::widgets::text::{left, wrap};
use crate::fleet::RunId;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Draws the question what becomes of active runs.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
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
    let told = lines.len();
    for entry in answers() {
        let keys = paint.model.keymap.keys(entry).iter().take(2);
        let keys: Vec<String> = keys.map(ToString::to_string).collect();
        lines.push(Line::from(vec![
            paint.span(Role::Accent, left(&keys.join(", "), 10)),
            Span::raw(entry.label.unwrap_or(entry.about)),
        ]));
    }
    let inside = popup.draw(paint, buffer, "Quit", &lines, 0, &[]);
    for (row, entry) in answers().enumerate() {
        inside.note(paint, told + row, 1, ClickTarget::Command(entry.command));
    }
}

/// Returns what can be answered.
fn answers() -> impl Iterator<Item = &'static CommandEntry> {
    in_context(Context::Quit).filter(|entry| entry.label.is_some())
}

/// Ends the dashboard. A run that waits for an answer gets a no: nobody could give it any more.
pub(super) fn update(model: &mut Model, command: Command) -> Vec<Effect> {
    let active = |model: &Model| -> Vec<RunId> {
        model.world.active_runs().map(|run| run.id.clone()).collect()
    };
    match command {
        Command::Accept => {
            let waiting = model.world.active_runs().filter(|run| run.waits);
            let mut effects: Vec<Effect> =
                waiting.map(|run| Effect::Answer { run: run.id.clone(), yes: false }).collect();
            effects.push(Effect::Quit { cancel: Vec::new() });
            effects
        }
        Command::QuitAndCancel => vec![Effect::Quit { cancel: active(model) }],
        _ => {
            model.close();
            Vec::new()
        }
    }
}
