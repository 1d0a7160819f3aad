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

use crate::dash::begin::begin;
use crate::dash::command::Command;
use crate::dash::generations::{DiffPane, GenerationsPane};
use crate::dash::layout::{layout, page};
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::overlay::{Overlay, StartForm, StartFrom};
use crate::dash::theme::Role;
use crate::dash::widgets::graph::spinner;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::popup::Popup;
use crate::dash::widgets::text::{cut, left, width, wrap};
use crate::fleet::words::changes;
use crate::fleet::{Generation, Generations, Goal, bytes};
use jiff::Timestamp;
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
        Some(Ok(list)) => (list_lines(paint, &popup, list, pane.selected), first_shown(area, pane)),
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
fn list_lines(
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

/// Takes a host's list, where its pane is still open.
pub(in crate::dash) fn listed(model: &mut Model, host: &str, found: Result<Generations, String>) {
    if let Some(Overlay::Generations(pane)) = &mut model.overlay
        && pane.host == host
    {
        // What runs is what a person wants to compare with.
        if let Ok(list) = &found
            && let Some(running) = list.running_number()
        {
            let at = list.all.iter().rev().position(|one| one.number == running);
            pane.selected = at.unwrap_or_default();
        }
        pane.found = Some(found);
    }
}

/// Takes what differs between two systems, where that is still wanted.
pub(in crate::dash) fn compared(
    model: &mut Model,
    host: &str,
    generation: u64,
    lines: Result<Vec<String>, String>,
) {
    if let Some(Overlay::Generations(pane)) = &mut model.overlay
        && pane.host == host
        && let Some(diff) = pane.diff.as_mut().filter(|diff| diff.generation == generation)
    {
        diff.lines = Some(lines);
    }
}

/// Does a command in the pane.
pub(super) fn update(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let page = page(layout(model).body);
    let Some(Overlay::Generations(pane)) = &mut model.overlay else { return Vec::new() };
    if let Some(diff) = &mut pane.diff {
        match command {
            Command::Up => diff.scroll = diff.scroll.saturating_sub(1),
            Command::Down => diff.scroll = diff.scroll.saturating_add(1).min(1000),
            Command::PageUp => diff.scroll = diff.scroll.saturating_sub(page),
            Command::PageDown => diff.scroll = diff.scroll.saturating_add(page).min(1000),
            Command::Top => diff.scroll = 0,
            Command::Bottom => diff.scroll = 1000,
            Command::Close => pane.diff = None,
            Command::RollBack => return roll_back(model, now),
            _ => {}
        }
        return Vec::new();
    }
    let count = pane.list().map_or(0, |list| list.all.len());
    let last = count.saturating_sub(1);
    match command {
        Command::Up => pane.selected = pane.selected.saturating_sub(1),
        Command::Down => pane.selected = (pane.selected + 1).min(last),
        Command::PageUp => pane.selected = pane.selected.saturating_sub(usize::from(page)),
        Command::PageDown => pane.selected = (pane.selected + usize::from(page)).min(last),
        Command::Top => pane.selected = 0,
        Command::Bottom => pane.selected = last,
        Command::Compare => return compare(pane),
        Command::RollBack => return roll_back(model, now),
        Command::Close => model.overlay = None,
        _ => {}
    }
    Vec::new()
}

/// Asks what differs between what runs and the selected generation.
fn compare(pane: &mut GenerationsPane) -> Vec<Effect> {
    let running = pane.list().and_then(|list| list.running.clone());
    let (Some(old), Some(chosen)) = (running, pane.chosen()) else { return Vec::new() };
    let (generation, new) = (chosen.number, chosen.system.clone());
    pane.diff = Some(DiffPane { generation, lines: None, scroll: 0 });
    vec![Effect::CompareGenerations { host: pane.host.clone(), generation, old, new }]
}

/// Begins a rollback to the selected generation; its plan asks before anything changes.
fn roll_back(model: &mut Model, now: Timestamp) -> Vec<Effect> {
    let Some(Overlay::Generations(pane)) = &model.overlay else { return Vec::new() };
    let Some(chosen) = pane.chosen() else { return Vec::new() };
    let from = StartFrom::Generation(chosen.number);
    let form = StartForm::new(vec![pane.host.clone()], Goal::Rollback, from);
    model.overlay = None;
    begin(model, form, now)
}
