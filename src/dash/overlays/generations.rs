//! The generations of a host, the newest first.
//!
//! ```text
//! ┌ Generations of samsung ───────────────────────────────────────────────┐
//! │   GEN  IN USE   MADE              NIXOS           KERNEL   SIZE       │
//! │    77  running  2026-11-21 12:04  26.05.20261121  6.12.58  7.91 GB    │
//! │ ›  75  booted   2026-11-18 09:12  26.05.20261118  6.12.57  7.90 GB    │
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
use crate::dash::widgets::columns::{ListColumn, in_columns};
use crate::dash::widgets::graph::spinner;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::places::ClickTarget;
use crate::dash::widgets::popup::Popup;
use crate::dash::widgets::table::Window;
use crate::dash::widgets::text::wrap;
use crate::fleet::words::changes;
use crate::fleet::{Generation, Generations, bytes};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Columns of the widest pane.
const WIDTH: u16 = 100;

/// Draws the pane.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, pane: &GenerationsPane) {
    let popup = Popup::new(area, WIDTH);
    let title = format!("Generations of {}", pane.host);
    let (window, foot) = window(paint, &popup, pane);
    let lines = match &pane.found {
        None => vec![waiting(paint, &pane.host)],
        Some(Err(error)) => failure_lines(paint, &popup, error),
        Some(Ok(list)) => list_lines(paint, &popup, list, (window, pane.selected)),
    };
    let inside = popup.draw(paint, buffer, &title, &lines, 0, &foot);
    let count = pane.list().map_or(0, |list| list.all.len());
    for (row, index) in (window.from..count).take(window.rows).enumerate() {
        inside.note(paint, row + 1, 1, ClickTarget::Row { index, from: window.from });
    }
}

/// Returns which generations are seen, so that the selected one is, and what stands below them: what is worth
/// knowing of them, and how many are not seen.
fn window(
    paint: &Paint<'_>,
    popup: &Popup,
    pane: &GenerationsPane,
) -> (Window, Vec<Line<'static>>) {
    let Some(list) = pane.list() else { return (Window::new(0, 0, 1), Vec::new()) };
    let notes = changes::notes(list);
    let notes = notes.iter().flat_map(|note| wrap(note, popup.room())).take(popup.rows() / 2);
    let notes = notes.map(|line| Line::from(paint.span(Role::Warn, line)));
    let mut foot: Vec<Line<'static>> = notes.collect();
    let room = popup.rows().saturating_sub(1 + foot.len());
    let window = Window::with_note(list.all.len(), pane.selected, room);
    let window = window.begin_at(paint.model.over_from);
    if !window.unseen().is_empty() {
        foot.push(Line::from(paint.span(Role::Dim, window.unseen())));
    }
    (window, foot)
}

fn waiting(paint: &Paint<'_>, host: &str) -> Line<'static> {
    let text = format!("{} asking {host} for its generations", spinner(paint.now));
    Line::from(paint.span(Role::Dim, text))
}

/// Returns the headings and a line for each generation that is seen, the newest first.
fn list_lines(
    paint: &Paint<'_>,
    popup: &Popup,
    list: &Generations,
    (window, selected): (Window, usize),
) -> Vec<Line<'static>> {
    if list.all.is_empty() {
        return vec![Line::from(paint.span(Role::Dim, "the host has no system profile"))];
    }
    let (heading, rows) = in_columns(&columns(paint, list), popup.room().saturating_sub(2));
    let mut lines = vec![Line::from(paint.span(Role::Dim, format!("  {heading}")))];
    for (index, row) in rows.into_iter().enumerate().skip(window.from).take(window.rows) {
        let (mark, role) =
            if index == selected { ('›', Role::Accent) } else { (' ', Role::Text) };
        lines.push(Line::from(paint.span(role, format!("{mark} {row}"))));
    }
    lines
}

/// Returns what is told of generations, the newest first, and what matters more first.
fn columns(paint: &Paint<'_>, list: &Generations) -> [ListColumn; 6] {
    let all = |cell: &dyn Fn(&Generation) -> String| list.all.iter().rev().map(cell).collect();
    let known = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    [
        ListColumn::figures("GEN", all(&|one| one.number.to_string())),
        ListColumn::words("IN USE", all(&|one| changes::in_use(list, one.number))),
        ListColumn::words("MADE", all(&|one| paint.date(one.made_at))),
        ListColumn::words("NIXOS", all(&|one| known(one.nixos_version.clone()))),
        ListColumn::words("KERNEL", all(&|one| known(one.kernel.clone()))),
        ListColumn::figures("SIZE", all(&|one| known(one.bytes.map(bytes)))),
    ]
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
                roll_back(model, host, number, now);
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
