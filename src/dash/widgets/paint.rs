//! What every view draws with: styles by role, lines that stay inside their area, and rules.

use crate::dash::look::Look;
use crate::dash::model::Model;
use crate::dash::theme::Role;
use crate::dash::widgets::places::ClickPlaces;
use crate::dash::widgets::text::{cut, line_width, width, wrap};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use std::cell::Cell;

/// What every view draws from.
pub(in crate::dash) struct Paint<'a> {
    /// The model.
    pub(in crate::dash) model: &'a Model,
    /// How the screen is to look.
    pub(in crate::dash) look: &'a Look,
    /// The present.
    pub(in crate::dash) now: Timestamp,
    /// What a click means where, noted as it is drawn.
    pub(in crate::dash) places: ClickPlaces,
    /// The last line of the box on top that can be its first one, noted as it is drawn.
    pub(in crate::dash) scroll_end: Cell<u16>,
}

impl<'a> Paint<'a> {
    /// Returns what views draw from.
    pub(in crate::dash) fn new(model: &'a Model, look: &'a Look, now: Timestamp) -> Self {
        Self { model, look, now, places: ClickPlaces::default(), scroll_end: Cell::new(0) }
    }

    /// Returns how a role looks.
    pub(in crate::dash) fn style(&self, role: Role) -> Style {
        self.look.style(role)
    }

    /// Returns text in a role.
    pub(in crate::dash) fn span(&self, role: Role, text: impl Into<String>) -> Span<'static> {
        if role == Role::Text {
            return Span::raw(text.into());
        }
        Span::styled(text.into(), self.style(role))
    }

    /// Draws a line across, with a title at its left and a note at its right.
    pub(in crate::dash) fn rule(&self, buffer: &mut Buffer, row: Rect, title: &str, note: &str) {
        let all = usize::from(row.width);
        let border = self.style(Role::Border);
        put(buffer, row, 0, &Line::styled("─".repeat(all), border));
        let mut line = Vec::new();
        if !title.is_empty() {
            line.push(self.span(Role::Title, format!(" {} ", cut(title, all.saturating_sub(4)))));
        }
        put(buffer, row, 0, &Line::from(line));
        let room = all.saturating_sub(width(title) + 6);
        if !note.is_empty() && room > 4 {
            let note = format!(" {} ", cut(note, room));
            let skip = row.width.saturating_sub(width(&note) as u16);
            let at = Rect { x: row.x + skip, width: row.width - skip, ..row };
            put(buffer, at, 0, &Line::from(self.span(Role::Dim, note)));
        }
    }

    /// Returns the day and the time of day in the person's zone: `2026-11-20 14:02`.
    pub(in crate::dash) fn date(&self, at: Timestamp) -> String {
        at.to_zoned(self.look.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
    }

    /// Returns the time of day in the person's zone.
    pub(in crate::dash) fn clock(&self, at: Timestamp, seconds: bool) -> String {
        let zoned = at.to_zoned(self.look.zone.clone());
        zoned.strftime(if seconds { "%H:%M:%S" } else { "%H:%M" }).to_string()
    }
}

/// Draws a line in a row of an area; what lies outside is not drawn.
pub(in crate::dash) fn put(buffer: &mut Buffer, area: Rect, row: u16, line: &Line<'_>) {
    let area = area.intersection(buffer.area);
    if row < area.height && area.width > 0 {
        buffer.set_line(area.x, area.y + row, line, area.width);
    }
}

/// Draws lines from the top of an area, from a first line on.
pub(in crate::dash) fn put_all(buffer: &mut Buffer, area: Rect, lines: &[Line<'_>], from: u16) {
    for (row, line) in lines.iter().skip(usize::from(from)).enumerate() {
        put(buffer, area, row.min(usize::from(u16::MAX)) as u16, line);
    }
}

/// Draws a text over as many rows of an area as it takes, behind a margin of one column.
pub(in crate::dash) fn put_wrapped(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    role: Role,
    text: &str,
) {
    let lines = wrap(text, usize::from(area.width.saturating_sub(2)).max(8)).into_iter();
    let lines: Vec<Line<'_>> =
        lines.map(|line| Line::from(paint.span(role, format!(" {line}")))).collect();
    put_all(buffer, area, &lines, 0);
}

/// Draws one line at the left and one at the right of a row; the right one yields.
pub(in crate::dash) fn put_spread(
    buffer: &mut Buffer,
    row: Rect,
    left: Vec<Span<'static>>,
    right: Vec<Span<'static>>,
) {
    let (used, wanted) = (line_width(&left), line_width(&right));
    put(buffer, row, 0, &Line::from(left));
    let all = usize::from(row.width);
    if wanted > 0 && used + wanted < all {
        let skip = (all - wanted) as u16;
        let at = Rect { x: row.x + skip, width: row.width - skip, ..row };
        put(buffer, at, 0, &Line::from(right));
    }
}

/// Returns the part of an area from a row on.
pub(in crate::dash) fn below(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect { y: area.y + rows, height: area.height - rows, ..area }
}

/// Returns the first rows of an area.
pub(in crate::dash) fn top(area: Rect, rows: u16) -> Rect {
    Rect { height: rows.min(area.height), ..area }
}
