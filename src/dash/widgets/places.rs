//! What a click means at each place of the screen.
//!
//! Whoever draws a row, a tab, a button or a key says so here, with the place that it got. So a click is
//! looked up in the very layout that was drawn, and the two cannot differ.

use crate::dash::command::Command;
use crate::dash::split::BorderRows;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use std::cell::RefCell;

/// What is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dash) enum ClickTarget {
    /// A row of the list that takes the keys.
    Row {
        /// The number by which the list selects it.
        index: usize,
        /// Which row is the first one that is seen.
        from: usize,
    },
    /// A row of the logs.
    LogRow {
        /// Its number.
        index: u64,
        /// Which row is the first one that is seen.
        from: u64,
    },
    /// The logs, beside their rows.
    Logs,
    /// A text that scrolls.
    Text,
    /// The border between a list and what stands below it, which can be moved.
    Border(BorderRows),
    /// A tab, a button or a key, which gives this command where that can be given.
    Command(Command),
}

/// The places of a screen, as they are drawn.
#[derive(Debug, Default)]
pub(in crate::dash) struct ClickPlaces(RefCell<Vec<(Rect, ClickTarget)>>);

impl ClickPlaces {
    /// Notes what was drawn at a place; it lies over what was noted there before.
    pub(in crate::dash) fn add(&self, area: Rect, target: ClickTarget) {
        if !area.is_empty() {
            self.0.borrow_mut().push((area, target));
        }
    }

    /// Notes a row of a list.
    pub(in crate::dash) fn add_row(&self, list: Rect, row: u16, index: usize, from: usize) {
        if row < list.height {
            let area = Rect { y: list.y + row, height: 1, ..list };
            self.add(area, ClickTarget::Row { index, from });
        }
    }

    /// Notes the border that stands in a row of an area, between a list and what is below it.
    pub(in crate::dash) fn add_border(&self, area: Rect, row: u16) {
        let border = Rect { y: row, height: 1, ..area }.intersection(area);
        self.add(border, ClickTarget::Border(BorderRows { top: area.y, height: area.height }));
    }

    /// Forgets what was noted: something else lies over all of it.
    pub(in crate::dash) fn cover(&self, buffer: &Buffer, area: Rect) {
        let area = area.intersection(buffer.area);
        self.0.borrow_mut().retain(|(known, _)| !known.intersects(area));
    }

    /// Returns what is at a place.
    pub(in crate::dash) fn at(&self, column: u16, row: u16) -> Option<ClickTarget> {
        let place = Position::new(column, row);
        let known = self.0.borrow();
        known.iter().rev().find(|(area, _)| area.contains(place)).map(|(_, target)| *target)
    }

    /// Returns the row of the border that can be moved, and the rows in which it can.
    pub(in crate::dash) fn border(&self) -> Option<(u16, BorderRows)> {
        self.0.borrow().iter().find_map(|(area, target)| match target {
            ClickTarget::Border(rows) => Some((area.y, *rows)),
            ClickTarget::Row { .. }
            | ClickTarget::LogRow { .. }
            | ClickTarget::Logs
            | ClickTarget::Text
            | ClickTarget::Command(_) => None,
        })
    }

    /// Returns where that is at first, for tests.
    #[cfg(test)]
    pub(in crate::dash) fn of(&self, wanted: impl Fn(ClickTarget) -> bool) -> Option<Rect> {
        self.0.borrow().iter().find(|(_, target)| wanted(*target)).map(|(area, _)| *area)
    }
}
