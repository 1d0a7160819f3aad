//! Where the pieces of the pane are, and which rows are in sight.

use crate::dash::panes::logs::asked::PaneRow;
use crate::dash::panes::logs::state::{LogPane, PanePlace};
use crate::dash::words::runs::PhaseNames;
use std::ops::Range;
use unicode_width::UnicodeWidthChar;

/// From this width on a line begins with a time.
const WITH_TIME: u16 = 60;

/// Columns of a time.
pub(super) const TIME: usize = 8;

/// Most columns of a host's name.
const NAME: usize = 12;

/// Which columns stand before the text of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PrefixColumns {
    /// Whether there is a time.
    pub(super) has_time: bool,
    /// Columns of the host's name; none where one host is shown.
    pub(super) name: Option<usize>,
    /// How phases are named.
    pub(super) phases: PhaseNames,
}

impl PrefixColumns {
    /// Returns the columns before a text where the pane has so many, and hosts with these names.
    pub(super) fn of(columns: u16, hosts: &[String]) -> Self {
        let longest = hosts.iter().map(String::len).max().unwrap_or_default();
        let name =
            (hosts.len() > 1).then(|| longest.min(if columns < WITH_TIME { 8 } else { NAME }));
        Self { has_time: columns >= WITH_TIME, name, phases: PhaseNames::on(columns) }
    }

    /// Returns how many columns they are together.
    pub(super) fn width(self) -> usize {
        let time = if self.has_time { TIME + 2 } else { 0 };
        let gap = if self.has_time { 2 } else { 1 };
        1 + time + self.name.map_or(0, |name| name + gap) + self.phases.columns() + gap
    }
}

/// Returns the columns that a text has.
pub(super) fn text_room(columns: u16, hosts: &[String]) -> usize {
    usize::from(columns).saturating_sub(PrefixColumns::of(columns, hosts).width()).max(8)
}

/// Returns the parts of a text that stand below each other: all of it when it is wrapped, else the
/// part that is seen when so many columns are left out. What is hidden takes no columns.
pub(super) fn text_parts(
    text: &str,
    hidden: &[Range<usize>],
    pane: &LogPane,
    room: usize,
) -> Vec<Range<usize>> {
    if !pane.wrap {
        let begin = after_columns(text, hidden, 0, pane.sideways);
        let part = begin..after_columns(text, hidden, begin, room);
        return std::iter::once(part).collect();
    }
    let (mut parts, mut begin) = (Vec::new(), 0);
    loop {
        let end = after_columns(text, hidden, begin, room);
        // A character that is wider than the room stands there all the same.
        let end = if end == begin { next_char(text, begin) } else { end };
        parts.push(begin..end);
        if end >= text.len() {
            return parts;
        }
        begin = end;
    }
}

/// Returns where so many columns behind a place of a text end.
fn after_columns(text: &str, hidden: &[Range<usize>], begin: usize, columns: usize) -> usize {
    let mut used = 0;
    for (at, c) in text[begin..].char_indices() {
        if hidden.iter().any(|hidden| hidden.contains(&(begin + at))) {
            continue;
        }
        used += c.width().unwrap_or(0);
        if used > columns {
            return begin + at;
        }
    }
    text.len()
}

fn next_char(text: &str, begin: usize) -> usize {
    text[begin..].chars().next().map_or(text.len(), |c| begin + c.len_utf8())
}

/// How many rows fit, and how high each is.
#[derive(Clone, Copy, Debug)]
pub(in crate::dash) struct Sight {
    /// Rows of the screen.
    pub(in crate::dash) height: u16,
    /// Columns of a text.
    pub(in crate::dash) room: usize,
}

impl Sight {
    /// Returns how many rows of the screen a row takes.
    fn height_of(self, row: Option<&PaneRow>, pane: &LogPane) -> usize {
        let Some(row) = row.filter(|_| pane.wrap) else { return 1 };
        text_parts(&row.text, &[], pane, self.room).len().min(usize::from(self.height).max(1))
    }

    /// Returns the first row in sight, and the row at the cursor when there is one.
    pub(super) fn place(self, pane: &LogPane) -> (u64, Option<u64>) {
        match pane.place {
            PanePlace::Follow => (self.tail(pane), None),
            // Until its row is known, what is in sight already stays there.
            PanePlace::Seek(line) => {
                let shown = pane.shown.as_ref();
                let index = shown.and_then(|it| it.shown.iter().position(|row| row.place == line));
                let row = shown.zip(index).map(|(shown, index)| shown.first + index as u64);
                (row.map_or(self.tail(pane), |row| self.above(row)), row)
            }
            PanePlace::At { top, cursor } => {
                let cursor = cursor.min(pane.rows().saturating_sub(1));
                (self.with_cursor(pane, top, cursor), Some(cursor))
            }
        }
    }

    /// Returns the first row in sight that leaves something above a row.
    pub(super) fn above(self, row: u64) -> u64 {
        row.saturating_sub(u64::from(self.height / 3))
    }

    /// Returns the first row of the last page.
    pub(super) fn tail(self, pane: &LogPane) -> u64 {
        let last = pane.rows().saturating_sub(1);
        self.with_cursor(pane, 0, last)
    }

    /// Returns the first row in sight, as near to `top` as leaves the cursor in sight.
    pub(super) fn with_cursor(self, pane: &LogPane, top: u64, cursor: u64) -> u64 {
        let (mut first, mut left) = (cursor, usize::from(self.height));
        left = left.saturating_sub(self.height_of(pane.row(cursor), pane));
        // Up from the cursor, as far as there is room.
        while first > top {
            let needed = self.height_of(pane.row(first - 1), pane);
            if needed > left {
                break;
            }
            (first, left) = (first - 1, left - needed);
        }
        first
    }
}
