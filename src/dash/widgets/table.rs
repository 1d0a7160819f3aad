//! Rows of a table: which of them are seen, and which is selected; and the headings above them.

use crate::dash::sorting::{SortBy, Sorting};
use crate::dash::theme::Role;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::text::{left, right, width};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// The rows of a list that are seen where it has less room than rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dash) struct Window {
    /// The first row that is seen.
    pub(in crate::dash) from: usize,
    /// How many rows there is room for, at least one.
    pub(in crate::dash) rows: usize,
    /// How many rows the list has.
    all: usize,
    /// Which of them is selected.
    selected: usize,
}

impl Window {
    /// Returns the rows that are seen of so many in a place of that many rows, so that the selected
    /// one is among them.
    pub(in crate::dash) fn new(all: usize, selected: usize, room: usize) -> Self {
        let rows = room.max(1);
        Self { from: selected.saturating_sub(rows - 1), rows, all, selected }
    }

    /// Begins at that row, or as near to it as the selected one is seen: what was clicked stays where it
    /// is.
    pub(in crate::dash) fn begin_at(self, from: usize) -> Self {
        let last = self.selected.min(self.all.saturating_sub(self.rows)).max(self.from);
        Self { from: from.clamp(self.from, last), ..self }
    }

    /// Returns the rows that are seen where the last one says how many are not, unless all are.
    pub(in crate::dash) fn with_note(all: usize, selected: usize, room: usize) -> Self {
        let room = room.max(1);
        Self::new(all, selected, if room < all { room - 1 } else { room })
    }

    /// Returns how many rows are not seen, above and below those that are: `▼ 9 more`,
    /// `3 above ▼ 9 more`; nothing when all are.
    pub(in crate::dash) fn unseen(self) -> String {
        let below = self.all.saturating_sub(self.from + self.rows);
        let words =
            [(self.from, format!("{} above", self.from)), (below, format!("▼ {below} more"))];
        let words: Vec<String> =
            words.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text).collect();
        words.join(" ")
    }
}

/// Marks a row of an area as the selected one.
pub(in crate::dash) fn select(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, row: u16) {
    let row = Rect { y: area.y + row, height: 1, ..area };
    buffer.set_style(row.intersection(buffer.area), paint.style(Role::Selection));
}

/// The heading of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dash) struct Heading<S> {
    /// What it says.
    pub(in crate::dash) title: String,
    /// Where the column begins in its table.
    pub(in crate::dash) at: usize,
    /// The columns of the terminal that it has.
    pub(in crate::dash) columns: usize,
    /// Whether its cells end at its right.
    pub(in crate::dash) at_right: bool,
    /// By what rows are sorted for it.
    pub(in crate::dash) by: Option<S>,
}

/// Returns the headings as one line, behind so many blanks. The sign of what the rows are sorted by
/// stands before a title at the right and behind any other; it never moves one: where the column has no
/// room for it, it stands in the gap.
pub(in crate::dash) fn headings<S: SortBy>(
    all: &[Heading<S>],
    blanks: usize,
    sorting: &Sorting<S>,
) -> String {
    let mut line = String::new();
    let mut sign_at = None;
    for heading in all {
        line = left(&line, blanks + heading.at);
        let title = if heading.at_right { right } else { left }(&heading.title, heading.columns);
        if let Some(sign) = sorting.sign(heading.by) {
            let start = width(&line);
            let shown = width(heading.title.as_str()).min(heading.columns);
            let at = if heading.at_right {
                (start + heading.columns - shown).saturating_sub(1)
            } else {
                start + shown
            };
            sign_at = Some((at, sign));
        }
        line.push_str(&title);
    }
    match sign_at {
        Some((at, sign)) => with_sign(&line, at, sign),
        None => line,
    }
}

/// Returns a line with a sign in one of its columns, where a blank stands.
fn with_sign(line: &str, at: usize, sign: char) -> String {
    let mut out = String::new();
    for c in left(line, width(line).max(at + 1)).chars() {
        out.push(if width(&out) == at { sign } else { c });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selected_row_is_seen_and_what_is_not_is_counted() {
        let all_fit = Window::with_note(4, 3, 4);
        assert_eq!((all_fit.from, all_fit.rows, all_fit.unseen().as_str()), (0, 4, ""));
        let top = Window::with_note(9, 0, 4);
        assert_eq!((top.from, top.rows, top.unseen().as_str()), (0, 3, "▼ 6 more"));
        let middle = Window::with_note(9, 5, 4);
        assert_eq!((middle.from, middle.unseen().as_str()), (3, "3 above ▼ 3 more"));
        let end = Window::new(9, 8, 4);
        assert_eq!((end.from, end.unseen().as_str()), (5, "5 above"));
        assert_eq!(Window::with_note(9, 2, 0), Window::new(9, 2, 1), "one row is always seen");
    }

    #[test]
    fn a_list_begins_where_it_did_as_long_as_the_selected_row_is_seen() {
        let from = |selected, from| Window::new(20, selected, 5).begin_at(from).from;
        assert_eq!([from(7, 6), from(6, 6), from(10, 6)], [6, 6, 6]);
        assert_eq!([from(5, 6), from(11, 6)], [5, 7], "else as near as it can");
        assert_eq!([from(19, 30), from(0, 30)], [15, 0]);
    }
}
