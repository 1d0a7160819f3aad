//! What nixdash itself logs, over the whole pane.

use crate::dash::theme::Role;
use crate::dash::widgets::paint::{Paint, below, put};
use crate::dash::widgets::popup::clear;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Widget;
use tui_logger::{TuiLoggerLevelOutput, TuiLoggerWidget};

/// Draws the newest messages.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    clear(paint, buffer, area);
    paint.rule(buffer, area, "nixdash's own log", "");
    let area = below(area, 1);
    if area.height == 0 {
        return;
    }
    tui_logger::move_events();
    TuiLoggerWidget::default()
        .style(paint.style(Role::Text))
        .style_error(paint.style(Role::Error))
        .style_warn(paint.style(Role::Warn))
        .style_debug(paint.style(Role::Dim))
        .style_trace(paint.style(Role::Dim))
        .output_file(false)
        .output_line(false)
        .output_level(Some(TuiLoggerLevelOutput::Long))
        .render(area, buffer);
    let is_blank = |x| buffer.cell((x, area.y)).is_none_or(|cell| cell.symbol() == " ");
    if (area.left()..area.right()).all(is_blank) {
        put(buffer, area, 0, &Line::from(paint.span(Role::Dim, " nothing logged yet")));
    }
}
