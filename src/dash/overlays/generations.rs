//! The generations of a host, the newest first, and what differs between one of them and what runs.
//!
//! ```text
//! ┌ Generations of samsung ───────────────────────────────────────────────┐
//! │    77  2026-11-21 12:04  26.05.20261121  6.12.58  7.91 GB  running    │
//! │ ›  75  2026-11-18 09:12  26.05.20261118  6.12.57  7.90 GB  booted     │
//! │                                                                       │
//! │ the next boot is pinned: the entry old (bootctl set-default)          │
//! └───────────────────────────────────────────────────────────────────────┘
//! ```

use crate::dash::generations::{DiffPane, GenerationsPane};
use crate::dash::theme::Role;
use crate::dash::widgets::graph::spinner;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::popup::Popup;
use crate::dash::widgets::text::{cut, left, width, wrap};
use crate::fleet::words::changes;
use crate::fleet::{Generation, Generations, bytes};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws the pane.
pub(in crate::dash) fn draw(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    pane: &GenerationsPane,
) {
    let popup = Popup::new(area, 100);
    if let Some(diff) = &pane.diff {
        let title = format!("{}: what runs → generation {}", pane.host, diff.generation);
        let lines = difference(paint, &popup, diff);
        return popup.draw(paint, buffer, &title, &lines, diff.scroll, &[]);
    }
    let title = format!("Generations of {}", pane.host);
    let (lines, scroll) = match &pane.found {
        None => (vec![waiting(paint, &pane.host)], 0),
        Some(Err(error)) => (failure(paint, &popup, error), 0),
        Some(Ok(list)) => (listed(paint, &popup, list, pane.selected), first_shown(area, pane)),
    };
    popup.draw(paint, buffer, &title, &lines, scroll, &[]);
}

/// Returns the first line that is shown, so that the selected one is.
fn first_shown(area: Rect, pane: &GenerationsPane) -> u16 {
    let room = usize::from(area.height.saturating_sub(6)).max(1);
    u16::try_from((pane.selected + 1).saturating_sub(room)).unwrap_or(u16::MAX)
}

/// Columns of what a generation is used for.
const USES: usize = 26;

fn waiting(paint: &Paint<'_>, host: &str) -> Line<'static> {
    let text = format!("{} waiting for {host}", spinner(paint.now));
    Line::from(paint.span(Role::Dim, text))
}

fn failure(paint: &Paint<'_>, popup: &Popup, error: &str) -> Vec<Line<'static>> {
    let lines = wrap(error, popup.room()).into_iter();
    lines.map(|line| Line::from(paint.span(Role::Error, line))).collect()
}

/// Returns a line for each generation, the newest first, and what is worth knowing below them.
fn listed(
    paint: &Paint<'_>,
    popup: &Popup,
    list: &Generations,
    selected: usize,
) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if list.all.is_empty() {
        lines.push(Line::from(paint.span(Role::Dim, "the host has no system profile".to_owned())));
    }
    for (index, one) in list.all.iter().rev().enumerate() {
        let chosen = index == selected;
        let role = if chosen { Role::Accent } else { Role::Text };
        let mark = if chosen { '›' } else { ' ' };
        let text = format!("{mark} {}", row(paint, list, one, popup.room().saturating_sub(2)));
        lines.push(Line::from(paint.span(role, cut(&text, popup.room()))));
    }
    for note in changes::notes(list) {
        for line in wrap(&note, popup.room()) {
            lines.push(Line::from(paint.span(Role::Warn, line)));
        }
    }
    lines
}

/// Returns a generation as a row of whole columns: those that matter less are left out where they do
/// not fit.
fn row(paint: &Paint<'_>, list: &Generations, one: &Generation, room: usize) -> String {
    let unknown = || "–".to_owned();
    let versions = list.all.iter().filter_map(|one| one.nixos_version.as_deref()).map(width);
    let versions = versions.max().unwrap_or(1);
    let made = one.made_at.to_zoned(paint.look.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
    let uses = left(&changes::in_use(list, one.number), USES);
    let version = left(&one.nixos_version.clone().unwrap_or_else(unknown), versions);
    let size = format!("{:>8}", one.bytes.map_or_else(unknown, bytes));
    let kernel = one.kernel.clone().unwrap_or_else(unknown);
    let mut row = format!("{:>4}", one.number);
    for column in [version, uses, made, size, kernel] {
        if width(&row) + 2 + width(column.trim_end()) <= room {
            row.push_str("  ");
            row.push_str(&column);
        }
    }
    row
}

fn difference(paint: &Paint<'_>, popup: &Popup, diff: &DiffPane) -> Vec<Line<'static>> {
    match &diff.lines {
        None => vec![Line::from(paint.span(Role::Dim, "comparing …".to_owned()))],
        Some(Err(error)) => failure(paint, popup, error),
        Some(Ok(found)) => found
            .iter()
            .flat_map(|line| wrap(line, popup.room()))
            .map(|line| Line::from(paint.span(Role::Text, line)))
            .collect(),
    }
}
