//! The question whether to look closely at hosts' stores.

use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::popup::{Popup, buttons};
use crate::dash::widgets::text::wrap;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws the question whether to look closely at hosts' stores.
pub(in crate::dash) fn draw(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    hosts: &[String],
    yes: bool,
) {
    let popup = Popup::new(area, 64);
    let text = format!(
        "Measures what hard links save and what no root keeps alive, on {}. It takes the lock of \
         Nix's garbage collector there: builds wait until it ends, ten minutes at most. Nothing is \
         deleted.",
        hosts.join(", ")
    );
    let lines: Vec<Line<'static>> = wrap(&text, popup.room()).into_iter().map(Line::raw).collect();
    let foot = [Line::default(), buttons(paint, "No", "Yes, measure", yes)];
    popup.draw(paint, buffer, "Measure dead paths?", &lines, 0, &foot);
}
