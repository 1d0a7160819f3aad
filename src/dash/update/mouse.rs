//! What the mouse does: a click gives the command of what is there or selects a row, a second one opens it,
//! the wheel scrolls what is below the pointer, and a border that is dragged moves.
//!
//! What is where, the view says itself ([`places`]): a click lands on what was drawn.

use crate::dash::able::available;
use crate::dash::command::{Command, Context};
use crate::dash::layout::layout;
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::overlay::Overlay;
use crate::dash::overlays;
use crate::dash::panes;
use crate::dash::panes::logs as log_pane;
use crate::dash::update::{borders, run};
use crate::dash::view::places;
use crate::dash::widgets::places::ClickTarget;
use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use jiff::{SignedDuration, Timestamp};

/// Two clicks on a row within this time open it.
const DOUBLE_CLICK: SignedDuration = SignedDuration::from_millis(400);

/// What was clicked where a border was.
const BORDER: u64 = u64::MAX;

/// Lines by which the wheel scrolls a text.
const STEP: usize = 3;

/// Does what the mouse means here.
pub(super) fn mouse(model: &mut Model, event: MouseEvent, now: Timestamp) -> Vec<Effect> {
    match event.kind {
        MouseEventKind::Down(MouseButton::Left) => click(model, event, now),
        MouseEventKind::ScrollUp => wheel(model, event, true, now),
        MouseEventKind::ScrollDown => wheel(model, event, false, now),
        MouseEventKind::Drag(MouseButton::Left) => {
            borders::drag(model, event.row);
            Vec::new()
        }
        MouseEventKind::Up(MouseButton::Left) => {
            model.dragged = None;
            Vec::new()
        }
        MouseEventKind::Down(MouseButton::Right | MouseButton::Middle)
        | MouseEventKind::Up(MouseButton::Right | MouseButton::Middle)
        | MouseEventKind::Drag(MouseButton::Right | MouseButton::Middle)
        | MouseEventKind::Moved
        | MouseEventKind::ScrollLeft
        | MouseEventKind::ScrollRight => Vec::new(),
    }
}

fn click(model: &mut Model, event: MouseEvent, now: Timestamp) -> Vec<Effect> {
    let target = places(model, now).at(event.column, event.row);
    let before = model.last_click.take();
    model.last_key = Some(now);
    model.dirty = true;
    model.dragged = None;
    let index = match target {
        Some(ClickTarget::Command(command)) => return give(model, command, now),
        _ if Context::of(model) == Context::Frozen => return Vec::new(),
        Some(ClickTarget::Border(rows)) => {
            model.dragged = Some(rows);
            BORDER
        }
        Some(ClickTarget::Row { index, from }) => {
            overlays::select_row(model, index, from);
            index as u64
        }
        Some(ClickTarget::LogRow { index, from }) => {
            log_pane::select(model, index, from);
            index
        }
        Some(ClickTarget::Logs | ClickTarget::Text) => return Vec::new(),
        None => {
            panes::sort_at(model, event.column, event.row, now);
            return Vec::new();
        }
    };
    let is_second =
        before.is_some_and(|(row, then)| row == index && now.duration_since(then) <= DOUBLE_CLICK);
    if is_second && index == BORDER {
        borders::let_fit(model);
        return Vec::new();
    }
    if is_second {
        // Of a finding, enter would end its silence.
        let chosen = match model.overlay() {
            Some(Overlay::Palette { .. }) => Command::Accept,
            Some(Overlay::Generations(_)) => Command::Compare,
            Some(_) | None => Command::Open,
        };
        return give(model, chosen, now);
    }
    model.last_click = Some((index, now));
    Vec::new()
}

fn wheel(model: &mut Model, event: MouseEvent, is_up: bool, now: Timestamp) -> Vec<Effect> {
    if Context::of(model) == Context::Frozen {
        return Vec::new();
    }
    let command = if is_up { Command::Up } else { Command::Down };
    let steps = match places(model, now).at(event.column, event.row) {
        Some(ClickTarget::LogRow { .. } | ClickTarget::Logs) => {
            model.dirty = true;
            model.last_key = Some(now);
            log_pane::wheel(model, is_up, layout(model).body);
            return Vec::new();
        }
        Some(ClickTarget::Row { .. }) => 1,
        Some(ClickTarget::Text) if model.overlay().is_some_and(overlays::is_list) => 1,
        Some(ClickTarget::Text) => STEP,
        Some(ClickTarget::Command(_) | ClickTarget::Border(_)) | None => return Vec::new(),
    };
    (0..steps).flat_map(|_| give(model, command, now)).collect()
}

/// Gives a command where that can be given now.
fn give(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    if !available(model).any(|entry| entry.command == command) {
        return Vec::new();
    }
    model.last_key = Some(now);
    model.dirty = true;
    run(model, Context::of(model), command, now)
}
