//! Draws the model: the frame around every view, then the view, then what lies over it.
//!
//! A small terminal loses the title, the tabs and the rules first, then the footer
//! ([`layout`](crate::dash::layout)); below 20 columns or 4 rows only the one line that
//! `nixdash status --line` prints is left, or the key that closes what cannot be seen.

use crate::dash::frame::{footer, overview};
use crate::dash::layout::{ScreenLayout, is_one_line};
use crate::dash::look::Look;
use crate::dash::model::Model;
use crate::dash::theme::Role;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::places::ClickPlaces;
use crate::dash::{overlays, panes, practice};
use jiff::Timestamp;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Draws the model.
pub fn view(model: &Model, look: &Look, frame: &mut Frame<'_>, now: Timestamp) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    let model = model.still.as_deref().unwrap_or(model);
    let now = model.frozen_since.unwrap_or(now);
    let paint = Paint::new(model, look, now);
    buffer.set_style(area, look.style(Role::Text));
    draw(&paint, buffer, area);
    look.finish(buffer);
}

/// Returns what a click means at each place of what [`view`] draws.
pub(super) fn places(model: &Model, now: Timestamp) -> ClickPlaces {
    let model = model.still.as_deref().unwrap_or(model);
    let now = model.frozen_since.unwrap_or(now);
    let look = Look::plain();
    let paint = Paint::new(model, &look, now);
    let area = Rect::new(0, 0, model.size.0, model.size.1);
    draw(&paint, &mut Buffer::empty(area), area);
    paint.places
}

fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    if is_one_line(area.width, area.height) {
        if !overview::unseen(paint, buffer, area) {
            overview::one_line(paint, buffer, area);
        }
        return;
    }
    let parts = ScreenLayout::of(area).for_model(paint.model);
    if let Some(row) = parts.title {
        overview::title(paint, buffer, row);
    }
    overview::overview(paint, buffer, parts.overview);
    if let Some(row) = parts.tabs {
        overview::tabs(paint, buffer, row);
    }
    for row in parts.top_rule.into_iter().chain(parts.bottom_rule) {
        paint.rule(buffer, row, "", "");
    }
    if let Some(row) = parts.next_try {
        practice::draw(paint, buffer, row);
    }
    panes::draw(paint, buffer, parts.body);
    overlays::draw(paint, buffer, parts.over);
    if let Some(row) = parts.footer {
        footer::draw(paint, buffer, row);
    }
    footer::toast(paint, buffer, &parts);
}
