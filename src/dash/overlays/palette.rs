//! Commands by name.
//!
//! ```text
//! ┌ Command ───────────────────────────────────────┐
//! │ : dep▏                                         │
//! │ › deploy      d    deploy the marked hosts, …  │
//! └────────────────────────────────────────────────┘
//! ```

use crate::dash::command::{COMMANDS, Command, CommandEntry, Context};
use crate::dash::input::LineInput;
use crate::dash::model::Model;
use crate::dash::overlay::Overlay;
use crate::dash::panes;
use crate::dash::theme::Role;
use crate::dash::widgets::input::typed;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::places::Target;
use crate::dash::widgets::popup::Popup;
use crate::dash::widgets::table::Window;
use crate::dash::widgets::text::{cut, left};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Rows of matches that are shown at once.
const ROWS: usize = 12;

/// Draws what was typed and the commands that fit.
pub(super) fn draw(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    input: &LineInput,
    selected: usize,
) {
    let popup = Popup::new(area, 84);
    let found = matches(paint.model, input.text());
    let mut lines = vec![Line::from(typed(paint, ": ", input.text()))];
    let rows = ROWS.min(usize::from(area.height).saturating_sub(4)).max(1);
    let window = Window::new(found.len(), selected, rows).begin_at(paint.model.over_from);
    for (index, entry) in found.iter().enumerate().skip(window.from).take(window.rows) {
        let cursor = if index == selected { "› " } else { "  " };
        let key =
            paint.model.keymap.keys(entry).first().map(ToString::to_string).unwrap_or_default();
        let room = popup.room().saturating_sub(2 + 16 + 7);
        let name = if index == selected { Role::Title } else { Role::Text };
        lines.push(Line::from(vec![
            paint.span(Role::Accent, cursor),
            paint.span(name, left(entry.name, 16)),
            paint.span(Role::Accent, left(&key, 7)),
            paint.span(Role::Dim, cut(entry.about, room)),
        ]));
    }
    if found.is_empty() {
        lines.push(Line::from(paint.span(Role::Dim, "no command fits")));
    }
    lines.resize(lines.len().max(rows + 1), Line::default());
    let inside = popup.draw(paint, buffer, "Command", &lines, 0, &[]);
    for (row, index) in (window.from..found.len()).take(window.rows).enumerate() {
        inside.note(paint, row + 1, 1, Target::Row { index, from: window.from });
    }
}

/// Types, selects or chooses; returns the command that was chosen.
pub(in crate::dash) fn update(model: &mut Model, command: Command) -> Option<Command> {
    let Some(Overlay::Palette { input, selected }) = model.overlay() else { return None };
    let (typed, at) = (input.text().to_owned(), *selected);
    let found = matches(model, &typed);
    match command {
        Command::Up => set_selected(model, at.saturating_sub(1)),
        Command::Down => set_selected(model, (at + 1).min(found.len().saturating_sub(1))),
        Command::Accept => {
            let entry = found.get(at)?;
            model.close();
            return Some(entry.command);
        }
        _ => model.close(),
    }
    None
}

fn set_selected(model: &mut Model, to: usize) {
    if let Some(Overlay::Palette { selected, .. }) = model.overlay_mut() {
        *selected = to;
    }
}

/// Returns the commands of the view that fit a typed text, the best first.
fn matches(model: &Model, typed: &str) -> Vec<&'static CommandEntry> {
    let context = Context::View(model.screen);
    let typed = typed.trim().to_lowercase();
    let mut found: Vec<(u8, &'static CommandEntry)> = COMMANDS
        .iter()
        .filter(|entry| entry.contexts.contains(&context) && panes::can(model, entry.command))
        .filter(|entry| entry.command != Command::Palette)
        .filter_map(|entry| Some((rank(entry, &typed)?, entry)))
        .collect();
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, entry)| entry).collect()
}

/// Returns how well a command fits a typed text; 0 is best.
fn rank(entry: &CommandEntry, typed: &str) -> Option<u8> {
    let mut letters = entry.name.chars();
    if entry.name.starts_with(typed) {
        Some(0)
    } else if entry.name.contains(typed) {
        Some(1)
    } else if typed.chars().all(|c| letters.any(|have| have == c)) {
        Some(2)
    } else {
        entry.about.to_lowercase().contains(typed).then_some(3)
    }
}
