//! From a place above a list to what the list is sorted by there.

use crate::dash::layout::layout;
use crate::dash::model::Model;
use crate::dash::panes::{pane, shows_details};
use crate::dash::sorting::{SortBy, Sorting};
use crate::dash::widgets::filtered;
use crate::dash::widgets::table::Heading;
use jiff::Timestamp;

/// Sorts the list that is shown by the column whose heading is at a place of the terminal; where it is
/// sorted so already, turns it around. Returns whether a heading is there.
pub fn sort_at(model: &mut Model, column: u16, row: u16, now: Timestamp) -> bool {
    let list = filtered::rest(model, layout(model).body);
    if row != list.y || model.overlay().is_some() || shows_details(model) {
        return false;
    }
    let found = (pane(model.screen).sort_at)(model, list, usize::from(column));
    if found {
        model.dirty = true;
        model.sort_rows(now);
    }
    found
}

/// Returns what rows are sorted by for the heading at a column of a table that begins behind so many
/// blanks; none beside all headings, and at one by which nothing is sorted.
pub(super) fn at<S: SortBy>(headings: &[Heading<S>], blanks: usize, column: usize) -> Option<S> {
    let inside = column.checked_sub(blanks)?;
    let there = headings.iter().find(|it| (it.at..it.at + it.columns).contains(&inside));
    there.and_then(|heading| heading.by)
}

/// Sorts by this, or turns the order around where it is that already; returns whether there is something
/// to sort by.
pub(super) fn sort<S: SortBy>(sorting: &mut Sorting<S>, by: Option<S>) -> bool {
    match by {
        Some(by) if by == sorting.by() => sorting.turn(),
        Some(by) => sorting.choose(by),
        None => return false,
    }
    true
}
