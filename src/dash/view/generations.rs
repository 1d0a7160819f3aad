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
use crate::dash::view::paint::{Paint, cut, spinner, wrap};
use crate::dash::view::popup::Popup;
use crate::fleet::words::changes;
use crate::fleet::{Generation, Generations, bytes};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws the pane.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, pane: &GenerationsPane) {
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
        let text = format!("{mark} {}", row(paint, list, one, popup.is_whole()));
        lines.push(Line::from(paint.span(role, cut(&text, popup.room()))));
    }
    for note in changes::notes(list) {
        for line in wrap(&note, popup.room()) {
            lines.push(Line::from(paint.span(Role::Warn, line)));
        }
    }
    lines
}

/// Returns a generation as a row; in a small pane without what a person can do without.
fn row(paint: &Paint<'_>, list: &Generations, one: &Generation, small: bool) -> String {
    let uses = changes::in_use(list, one.number);
    let unknown = || "–".to_owned();
    let version = one.nixos_version.clone().unwrap_or_else(unknown);
    if small {
        return format!("{:>4}  {uses:<18}  {version}", one.number);
    }
    let made = one.made_at.to_zoned(paint.look.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
    let kernel = one.kernel.clone().unwrap_or_else(unknown);
    let size = one.bytes.map_or_else(unknown, bytes);
    format!("{:>4}  {made}  {version:<24}  {kernel:<10}  {size:>8}  {uses}", one.number)
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
