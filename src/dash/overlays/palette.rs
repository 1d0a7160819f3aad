//! Commands by name.
//!
//! ```text
//! ┌ Command ───────────────────────────────────────┐
//! │ : dep▏                                         │
//! │ › deploy      d    deploy the marked hosts, …  │
//! └────────────────────────────────────────────────┘
//! ```

use crate::dash::command::matches;
use crate::dash::input::LineInput;
use crate::dash::theme::Role;
use crate::dash::widgets::input::typed;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::popup::Popup;
use crate::dash::widgets::table::Window;
use crate::dash::widgets::text::{cut, left};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Rows of matches that are shown at once.
const ROWS: usize = 12;

/// Draws what was typed and the commands that fit.
pub(in crate::dash) fn draw(
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
    let window = Window::new(found.len(), selected, rows);
    for (index, entry) in found.iter().enumerate().skip(window.from).take(window.rows) {
        let cursor = if index == selected { "› " } else { "  " };
        let key = entry.keys.first().map(ToString::to_string).unwrap_or_default();
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
    popup.draw(paint, buffer, "Command", &lines, 0, &[]);
}
