//! The row above a list that tells of its filter: `3 of 150 hosts match “/offline”; esc shows all`.

use crate::dash::model::{Model, Screen};
use crate::dash::theme::Role;
use crate::dash::widgets::paint::{Paint, below, put};
use crate::dash::widgets::text::cut;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Returns what the list has of an area: all of it without a filter.
pub(in crate::dash) fn rest(model: &Model, area: Rect) -> Rect {
    below(area, u16::from(model.is_filtered()))
}

/// Draws how many rows the filter of the view lets through, where it has one, and returns what the list
/// has of the area. `one` and `many` say what the rows are.
pub(in crate::dash) fn note(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    (one, many): (&str, &str),
) -> Rect {
    let model = paint.model;
    if let Some(filter) = model.filter().filter(|filter| !filter.is_empty()) {
        let (shown, all) = (model.match_count(), model.row_count());
        let what = if all == 1 { one } else { many };
        let verb = if shown == 1 { "matches" } else { "match" };
        // While it is typed, esc goes back to the filter before; the footer says so.
        let out = if model.prompt.is_some() {
            String::new()
        } else {
            format!("; {} shows all", model.keymap.press("back"))
        };
        let marks = if model.screen == Screen::Fleet { model.hidden_marks() } else { 0 };
        let hidden = match marks {
            0 => String::new(),
            1 => "; 1 marked host is hidden and left out".to_owned(),
            count => format!("; {count} marked hosts are hidden and left out"),
        };
        let text = format!("   {shown} of {all} {what} {verb} “/{}”{hidden}{out}", filter.text());
        let text = cut(&text, usize::from(area.width));
        put(buffer, area, 0, &Line::from(paint.span(Role::Warn, text)));
    }
    rest(model, area)
}
