//! A box over the view; in a small terminal it is the whole pane.
//!
//! ```text
//! ┌ Stop run #41? ────────────┐
//! │ samsung is in fetch.      │
//! │                           │
//! │ [ No ]    Yes, stop it    │
//! └───────────────────────────┘
//! ```

use crate::dash::command::Command;
use crate::dash::theme::Role;
use crate::dash::widgets::paint::{Paint, below, put, put_all};
use crate::dash::widgets::places::ClickTarget;
use crate::dash::widgets::text::{cut, width};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Where the lines of a box were drawn.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::dash) struct Inside {
    lines: Rect,
    first: u16,
    count: u16,
    foot: Rect,
    foot_lines: u16,
}

impl Inside {
    /// Notes what lines are, from one on.
    pub(in crate::dash) fn note(
        &self,
        paint: &Paint<'_>,
        from: usize,
        count: usize,
        target: ClickTarget,
    ) {
        for line in (from..from + count).filter(|line| *line < usize::from(self.count)) {
            let row = (line as u16).checked_sub(self.first).filter(|row| *row < self.lines.height);
            if let Some(row) = row {
                paint.places.add(Rect { y: self.lines.y + row, height: 1, ..self.lines }, target);
            }
        }
    }

    /// Notes where the [`buttons`] with these words are: in the last fixed line.
    pub(in crate::dash) fn note_buttons(&self, paint: &Paint<'_>, no: &str, yes: &str) {
        if self.foot_lines == 0 || self.foot.height < self.foot_lines {
            return;
        }
        let row = Rect { y: self.foot.y + self.foot_lines - 1, height: 1, ..self.foot };
        let mut skip = 0;
        for (text, command) in [(no, Command::No), (yes, Command::Yes)] {
            let columns = width(text) as u16 + BRACKETS;
            let button = Rect { x: row.x + skip, width: columns, ..row };
            paint.places.add(button.intersection(row), ClickTarget::Command(command));
            skip += columns + GAP;
        }
    }
}

/// Columns of what stands around the words of a button.
const BRACKETS: u16 = 4;

/// From how many columns on a box says which of its lines are seen, and not only up to which.
const WITH_WORD: u16 = 60;

/// Columns between two buttons.
const GAP: u16 = 2;

/// Where a box may lie and how wide it is.
pub(in crate::dash) struct Popup {
    area: Rect,
    width: u16,
    whole: bool,
}

impl Popup {
    /// Returns a box of that many columns inside an area.
    pub(in crate::dash) fn new(area: Rect, columns: u16) -> Self {
        let whole = area.width < 60 || area.height < 14;
        let width = if whole { area.width } else { columns.min(area.width - 4) };
        Self { area, width, whole }
    }

    /// Returns whether the box has the whole of a small pane.
    pub(in crate::dash) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Returns the columns that a line of text has.
    pub(in crate::dash) fn room(&self) -> usize {
        usize::from(self.width).saturating_sub(4).max(8)
    }

    /// Returns how many lines of text are seen at most, those at its bottom among them.
    pub(in crate::dash) fn rows(&self) -> usize {
        usize::from(self.area.height.saturating_sub(if self.whole { 1 } else { 4 })).max(1)
    }

    /// Draws the box with its lines, from a first line on, and fixed lines at its bottom; returns where
    /// they are.
    pub(in crate::dash) fn draw(
        &self,
        paint: &Paint<'_>,
        buffer: &mut Buffer,
        title: &str,
        lines: &[Line<'static>],
        scroll: u16,
        foot: &[Line<'static>],
    ) -> Inside {
        let wanted = (lines.len() + foot.len() + 2).min(usize::from(u16::MAX)) as u16;
        let area = if self.whole {
            self.area
        } else {
            let height = wanted.min(self.area.height.saturating_sub(2));
            Rect {
                x: self.area.x + (self.area.width - self.width) / 2,
                y: self.area.y + (self.area.height - height) / 2,
                width: self.width,
                height,
            }
        };
        let area = area.intersection(buffer.area);
        if area.height < 2 || area.width < 4 {
            return Inside::default();
        }
        // What would be seen of the view beside a box this wide is of no use to anybody.
        let beside = area.x - self.area.x;
        let margin = if beside <= 3 { beside } else { 0 };
        let around = Rect { x: area.x - margin, width: area.width + 2 * margin, ..area };
        clear(paint, buffer, around.intersection(buffer.area));
        self.border(paint, buffer, area, title);
        let inside = Rect {
            x: area.x + 2,
            y: area.y + 1,
            width: area.width.saturating_sub(4),
            height: area.height.saturating_sub(if self.whole { 1 } else { 2 }),
        };
        let body = inside.height.saturating_sub(foot.len() as u16);
        let most = (lines.len() as u16).saturating_sub(body);
        let scroll = scroll.min(most);
        paint.scroll_end.set(most);
        put_all(buffer, Rect { height: body, ..inside }, lines, scroll);
        put_all(buffer, below(inside, body), foot, 0);
        if most > 0 {
            let text = if area.width >= WITH_WORD {
                format!(" lines {}–{} of {} ", scroll + 1, scroll + body, lines.len())
            } else {
                format!(" {} of {} ", scroll + body, lines.len())
            };
            let skip = area.width.saturating_sub(width(&text) as u16 + 2);
            let at = Rect { x: area.x + skip, width: area.width - skip, height: 1, ..area };
            put(buffer, at, 0, &Line::from(paint.span(Role::Dim, text)));
        }
        Inside {
            lines: Rect { height: body, ..inside },
            first: scroll,
            count: lines.len() as u16,
            foot: below(inside, body),
            foot_lines: foot.len() as u16,
        }
    }

    fn border(&self, paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, title: &str) {
        let border = paint.style(Role::Border);
        let inner = usize::from(area.width) - 2;
        let (corner, end) = if self.whole { ("─", "─") } else { ("┌", "┐") };
        put(buffer, area, 0, &Line::styled(format!("{corner}{}{end}", "─".repeat(inner)), border));
        let title = paint.span(Role::Title, format!(" {} ", cut(title, inner.saturating_sub(4))));
        let at = Rect { x: area.x + 1, width: area.width - 1, ..area };
        put(buffer, at, 0, &Line::from(title));
        if self.whole {
            return;
        }
        for row in 1..area.height - 1 {
            put(buffer, area, row, &Line::styled("│", border));
            let right = Rect { x: area.right() - 1, width: 1, ..area };
            put(buffer, right, row, &Line::styled("│", border));
        }
        let last = area.height - 1;
        put(buffer, area, last, &Line::styled(format!("└{}┘", "─".repeat(inner)), border));
    }
}

/// Empties an area.
pub(in crate::dash) fn clear(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            if let Some(cell) = buffer.cell_mut((x, y)) {
                cell.reset();
                cell.set_style(paint.style(Role::Text));
            }
        }
    }
}

/// Returns two buttons, the selected one in brackets; `no` comes first.
pub(in crate::dash) fn buttons(
    paint: &Paint<'_>,
    no: &str,
    yes: &str,
    yes_selected: bool,
) -> Line<'static> {
    let button = |text: &str, selected: bool| {
        if selected {
            paint.span(Role::Title, format!("[ {text} ]"))
        } else {
            Span::raw(format!("  {text}  "))
        }
    };
    Line::from(vec![button(no, !yes_selected), Span::raw("  "), button(yes, yes_selected)])
}
