//! The units of a host: those that failed, then the services that run.
//!
//! ```text
//! ┌ Units of samsung: 1 failed, 34 services ───────────────────────────────┐
//! │   UNIT            STATE                    SINCE   MEMORY  DESCRIPTION   │
//! │ › backup.service  failed (exit code 3)    14 min        –  Nightly backup│
//! │   sshd.service    running                    2 d  5.24 MB  SSH Daemon    │
//! │                                                                          │
//! │ asked 3 s ago                                                            │
//! └──────────────────────────────────────────────────────────────────────────┘
//! ```

use crate::dash::command::Command;
use crate::dash::input::LineInput;
use crate::dash::layout::{layout, page};
use crate::dash::model::Model;
use crate::dash::moves::moved;
use crate::dash::msg::Effect;
use crate::dash::overlay::Overlay;
use crate::dash::overlays::difference::failure_lines;
use crate::dash::overlays::journal;
use crate::dash::theme::Role;
use crate::dash::units::UnitsPane;
use crate::dash::widgets::columns::{ListColumn, in_columns};
use crate::dash::widgets::graph::spinner;
use crate::dash::widgets::input::typed;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::places::ClickTarget;
use crate::dash::widgets::popup::Popup;
use crate::dash::widgets::table::Window;
use crate::dash::widgets::text::cut;
use crate::dash::world::age;
use crate::fleet::{HostUnit, HostUnits, UnitState, ago, bytes, number_of};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use std::time::Duration;

/// Columns of the widest pane.
const WIDTH: u16 = 130;

/// Draws the pane; it is as high as the view, so that it stands still while a filter is typed.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, pane: &UnitsPane) {
    let popup = Popup::new(area, WIDTH);
    let (mut lines, note) = match &pane.found {
        None => {
            let text = format!("{} waiting for {}", spinner(paint.now), pane.host);
            (vec![Line::from(paint.span(Role::Dim, text))], String::new())
        }
        Some(Err(error)) => (failure_lines(paint, &popup, error), String::new()),
        Some(Ok(list)) => rows(paint, &popup, area, pane, list),
    };
    lines.resize(lines.len().max(room(area) + 1), Line::default());
    let foot = if let Some(input) = &pane.typed {
        Line::from(typed(paint, "/", input.text()))
    } else if pane.filter.is_empty() {
        Line::from(paint.span(Role::Dim, note))
    } else {
        let text = format!("only those with {:?}   {note}", pane.filter.text());
        Line::from(paint.span(Role::Title, cut(&text, popup.room())))
    };
    let inside = popup.draw(paint, buffer, &title(pane), &lines, 0, &[foot]);
    if let Some(Ok(_)) = &pane.found {
        let count = pane.shown().len();
        let window = window(paint, area, pane, count);
        for (row, index) in (window.from..count).take(window.rows).enumerate() {
            inside.note(paint, row + 1, 1, ClickTarget::Row { index, from: window.from });
        }
    }
}

fn title(pane: &UnitsPane) -> String {
    let host = &pane.host;
    let Some(Ok(list)) = &pane.found else { return format!("Units of {host}") };
    let failed = list.failed();
    let services = list.units.len() - failed;
    let of = number_of(services, "service");
    match failed {
        0 => format!("Units of {host}: none failed, {of}"),
        failed => format!("Units of {host}: {failed} failed, {of}"),
    }
}

/// Returns how many units are seen at once, between the headings and what is told below them.
fn room(area: Rect) -> usize {
    Popup::new(area, WIDTH).rows().saturating_sub(2).max(1)
}

/// Returns which of so many units are seen.
fn window(paint: &Paint<'_>, area: Rect, pane: &UnitsPane, count: usize) -> Window {
    Window::new(count, pane.selected, room(area)).begin_at(paint.model.over_from)
}

/// Returns a line for each unit that is seen, and what is told below them.
fn rows(
    paint: &Paint<'_>,
    popup: &Popup,
    area: Rect,
    pane: &UnitsPane,
    list: &HostUnits,
) -> (Vec<Line<'static>>, String) {
    let shown = pane.shown();
    let (heading, rows) = in_columns(&columns(paint, &shown, popup.room()), popup.room() - 2);
    let window = window(paint, area, pane, shown.len());
    let mut lines = Vec::new();
    if !shown.is_empty() {
        lines.push(Line::from(paint.span(Role::Dim, format!("  {heading}"))));
    }
    let seen = shown.iter().zip(rows).enumerate().skip(window.from).take(window.rows);
    for (index, (unit, row)) in seen {
        let chosen = index == pane.selected;
        let role = match unit.state {
            _ if chosen => Role::Accent,
            UnitState::Failed => Role::Error,
            UnitState::Activating | UnitState::Deactivating | UnitState::Reloading => Role::Warn,
            UnitState::Active | UnitState::Inactive => Role::Text,
        };
        let cursor = if chosen { "› " } else { "  " };
        lines.push(Line::from(paint.span(role, format!("{cursor}{row}"))));
    }
    if shown.is_empty() {
        let text = if list.units.is_empty() {
            "no unit failed, and no service runs"
        } else {
            "no unit fits"
        };
        lines.push(Line::from(paint.span(Role::Dim, text)));
    }
    let unseen = window.unseen();
    let gap = if unseen.is_empty() { "" } else { "   " };
    (lines, format!("asked {}{gap}{unseen}", told_ago(age(paint.now, list.measured_at))))
}

fn told_ago(age: Duration) -> String {
    if age.as_secs() == 0 { "just now".to_owned() } else { format!("{} ago", ago(age)) }
}

/// Returns what is told of units, what matters more first.
fn columns(paint: &Paint<'_>, units: &[&HostUnit], room: usize) -> [ListColumn; 5] {
    let unknown = || "–".to_owned();
    let all = |cell: &dyn Fn(&HostUnit) -> String| units.iter().map(|unit| cell(unit)).collect();
    let since =
        |unit: &HostUnit| unit.since.map_or_else(unknown, |since| ago(age(paint.now, since)));
    [
        ListColumn::words("UNIT", all(&|unit| cut(&unit.name, room * 2 / 5))),
        ListColumn::words("STATE", all(&HostUnit::state_words)),
        ListColumn::figures("SINCE", all(&since)),
        ListColumn::figures("MEMORY", all(&|unit| unit.memory.map_or_else(unknown, bytes))),
        ListColumn::words("DESCRIPTION", all(&|unit| unit.description.clone())).at_least(12),
    ]
}

/// Takes a host's units, where its pane is still open; the selected one stays selected.
pub(in crate::dash) fn listed(model: &mut Model, host: &str, found: Result<HostUnits, String>) {
    for overlay in &mut model.overlays {
        if let Overlay::Units(pane) = overlay
            && pane.host == host
        {
            let name = pane.chosen().map(|unit| unit.name.clone());
            pane.found = Some(found);
            let at = pane.shown().iter().position(|unit| Some(&unit.name) == name.as_ref());
            pane.selected = at.unwrap_or_default();
            return;
        }
    }
}

/// Does a command in the pane.
pub(super) fn update(model: &mut Model, command: Command) -> Vec<Effect> {
    let page = page(layout(model).body);
    let Some(Overlay::Units(pane)) = model.overlay_mut() else { return Vec::new() };
    match command {
        command if command.moves() => {
            let count = pane.shown().len();
            pane.selected = moved(pane.selected, count, command, page);
        }
        Command::Filter => {
            pane.typed = Some(LineInput::after(pane.filter.text().to_owned()));
            pane.set_filter("");
        }
        Command::LastTyped => {
            if let Some(input) = &mut pane.typed {
                input.take_last();
                let text = input.text().to_owned();
                pane.set_filter(&text);
            }
        }
        Command::Accept => pane.typed = None,
        Command::Refresh => return vec![Effect::ListUnits { host: pane.host.clone() }],
        Command::Open => {
            let unit = pane.chosen().map(|unit| (pane.host.clone(), unit.name.clone()));
            return unit.map_or_else(Vec::new, |(host, unit)| journal::open(model, host, unit));
        }
        Command::Close if pane.typed.take().is_some() || !pane.filter.is_empty() => {
            pane.set_filter("");
        }
        _ => model.close(),
    }
    Vec::new()
}
