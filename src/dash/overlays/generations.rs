//! The generations of a host, the newest first.
//!
//! ```text
//! ┌ Generations of samsung ───────────────────────────────────────────────┐
//! │    77  2026-11-21 12:04  26.05.20261121  6.12.58  7.91 GB  running    │
//! │ ›  75  2026-11-18 09:12  26.05.20261118  6.12.57  7.90 GB  booted     │
//! │                                                                       │
//! │ the next boot is pinned: the entry old (bootctl set-default)          │
//! └───────────────────────────────────────────────────────────────────────┘
//! ```

use crate::dash::begin::roll_back;
use crate::dash::command::Command;
use crate::dash::generations::{DiffPane, GenerationsPane};
use crate::dash::layout::{layout, page};
use crate::dash::model::Model;
use crate::dash::moves::moved;
use crate::dash::msg::Effect;
use crate::dash::overlay::Overlay;
use crate::dash::overlays::difference::failure_lines;
use crate::dash::theme::Role;
use crate::dash::widgets::graph::spinner;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::places::ClickTarget;
use crate::dash::widgets::popup::Popup;
use crate::dash::widgets::table::Window;
use crate::dash::widgets::text::{cut, left, width, wrap};
use crate::fleet::words::changes;
use crate::fleet::{Generation, Generations, bytes};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws the pane.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, pane: &GenerationsPane) {
    let popup = Popup::new(area, 100);
    let title = format!("Generations of {}", pane.host);
    let (lines, scroll) = match &pane.found {
        None => (vec![waiting(paint, &pane.host)], 0),
        Some(Err(error)) => (failure_lines(paint, &popup, error), 0),
        Some(Ok(list)) => {
            (list_lines(paint, &popup, list, pane.selected), first_shown(paint, area, pane))
        }
    };
    let inside = popup.draw(paint, buffer, &title, &lines, scroll, &[]);
    for index in 0..pane.list().map_or(0, |list| list.all.len()) {
        inside.note(paint, index, 1, ClickTarget::Row { index, from: usize::from(scroll) });
    }
}

/// Returns the first line that is shown, so that the selected one is.
fn first_shown(paint: &Paint<'_>, area: Rect, pane: &GenerationsPane) -> u16 {
    let count = pane.list().map_or(0, |list| list.all.len());
    let window = Window::new(count, pane.selected, usize::from(area.height.saturating_sub(6)));
    u16::try_from(window.begin_at(paint.model.over_from).from).unwrap_or(u16::MAX)
}

/// Columns of what a generation is used for.
const USES: usize = 26;

fn waiting(paint: &Paint<'_>, host: &str) -> Line<'static> {
    let text = format!("{} asking {host} for its generations", spinner(paint.now));
    Line::from(paint.span(Role::Dim, text))
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

/// Takes a host's list, where its pane is still open.
pub(in crate::dash) fn listed(model: &mut Model, host: &str, found: Result<Generations, String>) {
    for overlay in &mut model.overlays {
        if let Overlay::Generations(pane) = overlay
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
            return;
        }
    }
}

/// Returns whether the pane that takes the keys still waits for its rows.
pub(in crate::dash) fn is_awaited(model: &Model) -> bool {
    matches!(model.overlay(), Some(Overlay::Generations(pane)) if pane.found.is_none())
}

/// Does a command in the pane.
pub(super) fn update(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let page = page(layout(model).body);
    let is_awaited = is_awaited(model);
    let Some(Overlay::Generations(pane)) = model.overlay_mut() else { return Vec::new() };
    match command {
        // Nothing is acted upon that is not shown.
        Command::Compare | Command::RollBack if is_awaited => {
            let text =
                format!("nothing was done: waiting for {} to list its generations", pane.host);
            model.say(text, false, now);
        }
        command if command.moves() => {
            let count = pane.list().map_or(0, |list| list.all.len());
            pane.selected = moved(pane.selected, count, command, page);
        }
        Command::Compare => return compare(model, now),
        Command::RollBack => {
            let host = pane.host.clone();
            if let Some(number) = pane.chosen().map(|chosen| chosen.number) {
                return roll_back(model, host, number, now);
            }
        }
        Command::Close => model.close(),
        _ => {}
    }
    Vec::new()
}

/// Asks what differs between what runs and the selected generation.
fn compare(model: &mut Model, now: Timestamp) -> Vec<Effect> {
    let Some(Overlay::Generations(pane)) = model.overlay() else { return Vec::new() };
    let Some(chosen) = pane.chosen() else { return Vec::new() };
    let Some(old) = pane.list().and_then(|list| list.running.clone()) else {
        let text = format!("nothing to compare with: what runs on {} is not known", pane.host);
        model.say(text, false, now);
        return Vec::new();
    };
    let (host, generation, new) = (pane.host.clone(), chosen.number, chosen.system.clone());
    let diff = DiffPane { host: host.clone(), generation, lines: None, scroll: 0 };
    model.open(Overlay::Difference(diff));
    vec![Effect::CompareGenerations { host, generation, old, new }]
}
