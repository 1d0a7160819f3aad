//! The panes that lie over a view and take the keys: one file for each, with what draws it and
//! what keys do in it.
//!
//! What each of them knows is plain data ([`Overlay`]). They are a stack: the one on top takes the
//! keys and is drawn, and when it closes the one below it is there again.

mod cancel;
mod commands;
pub(super) mod difference;
mod first_steps;
pub(super) mod generations;
mod help;
pub(super) mod host_key;
pub(super) mod journal;
mod look;
mod order;
pub(super) mod over_time;
mod own_log;
pub(super) mod palette;
mod password;
pub(super) mod past;
mod plan;
mod quit;
mod reading;
mod shell;
mod silence;
mod start;
pub(super) mod themes;
mod type_name;
pub(super) mod units;

use crate::dash::command::Command;
use crate::dash::input::LineInput;
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::overlay::Overlay;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::places::ClickTarget;
use crate::fleet::SilenceOrigin;
use crossterm::event::KeyEvent;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Draws the overlay on top; two boxes over each other would be hard to read.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    let Some(overlay) = paint.model.overlay() else { return };
    paint.places.cover(buffer, buffer.area);
    paint.places.add(area, ClickTarget::Text);
    match overlay {
        Overlay::Help { scroll } => help::draw(paint, buffer, area, *scroll),
        Overlay::FirstSteps { scroll } => first_steps::draw(paint, buffer, area, *scroll),
        Overlay::Palette { input, selected } => {
            palette::draw(paint, buffer, area, input, *selected);
        }
        Overlay::Themes { names, selected } => {
            themes::draw(paint, buffer, area, names, *selected);
        }
        Overlay::Start(form) => start::draw(paint, buffer, area, form),
        Overlay::TypeName(form) => type_name::draw(paint, buffer, area, form),
        Overlay::Password(form) => password::draw(paint, buffer, area, form),
        Overlay::HostKey(form) => host_key::draw(paint, buffer, area, form),
        Overlay::Plan { run, yes, scroll } => plan::draw(paint, buffer, area, run, *yes, *scroll),
        Overlay::Commands { run, host, scroll } => {
            commands::draw(paint, buffer, area, run, host, *scroll);
        }
        Overlay::Cancel { run, yes } => cancel::draw(paint, buffer, area, run, *yes),
        Overlay::Order { run, order, yes } => order::draw(paint, buffer, area, run, order, *yes),
        Overlay::Look { hosts, yes } => look::draw(paint, buffer, area, hosts, *yes),
        Overlay::Silence(form) => silence::draw(paint, buffer, area, form),
        Overlay::Units(pane) => units::draw(paint, buffer, area, pane),
        Overlay::Journal(pane) => journal::draw(paint, buffer, area, pane),
        Overlay::Shell { host, yes } => shell::draw(paint, buffer, area, host, *yes),
        Overlay::Generations(pane) => generations::draw(paint, buffer, area, pane),
        Overlay::Difference(diff) => difference::draw(paint, buffer, area, diff),
        Overlay::OverTime(pane) => over_time::draw(paint, buffer, pane),
        Overlay::Past(pane) => past::draw(paint, buffer, pane),
        Overlay::Quit => quit::draw(paint, buffer, area),
        Overlay::OwnLog => own_log::draw(paint, buffer, area),
    }
}

/// Does a command in the overlay that takes the keys; what is chosen in the palette is done by whoever
/// calls [`palette::update`].
pub(super) fn update(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    match model.overlay() {
        Some(Overlay::Help { .. } | Overlay::Commands { .. } | Overlay::OwnLog) => {
            reading::update(model, command, now);
            Vec::new()
        }
        Some(Overlay::FirstSteps { .. }) => first_steps::update(model, command, now),
        Some(Overlay::Palette { .. }) | None => Vec::new(),
        Some(Overlay::Themes { .. }) => themes::update(model, command),
        Some(Overlay::Start(_)) => start::update(model, command, now),
        Some(Overlay::TypeName(_)) => type_name::update(model, command, now),
        Some(Overlay::Password(_)) => password::update(model, command, now),
        Some(Overlay::HostKey(_)) => host_key::update(model, command, now),
        Some(Overlay::Plan { .. }) => plan::update(model, command, now),
        Some(Overlay::Cancel { .. }) => cancel::update(model, command, now),
        Some(Overlay::Order { .. }) => order::update(model, command, now),
        Some(Overlay::Look { .. }) => look::update(model, command, now),
        Some(Overlay::Silence(_)) => silence::update(model, command, now),
        Some(Overlay::Units(_)) => units::update(model, command),
        Some(Overlay::Journal(_)) => journal::update(model, command, now),
        Some(Overlay::Shell { .. }) => shell::update(model, command, now),
        Some(Overlay::Generations(_)) => generations::update(model, command, now),
        Some(Overlay::Difference(_)) => difference::update(model, command, now),
        Some(Overlay::OverTime(_)) => over_time::update(model, command, now),
        Some(Overlay::Past(_)) => past::update(model, command, now),
        Some(Overlay::Quit) => quit::update(model, command),
    }
}

/// Returns whether a command has something to act on in an overlay.
pub(super) fn can(overlay: &Overlay, command: Command) -> bool {
    match (command, overlay) {
        // While nothing is shown, they say what is awaited.
        (Command::Compare | Command::RollBack, Overlay::Generations(pane)) => {
            pane.found.is_none() || pane.chosen().is_some()
        }
        (Command::Open, Overlay::Units(pane)) => pane.chosen().is_some(),
        (Command::LastTyped, Overlay::Units(pane)) => {
            pane.typed.as_ref().is_some_and(LineInput::has_last)
        }
        (Command::Copy, Overlay::Journal(pane)) => !pane.lines.is_empty(),
        (Command::CycleAction | Command::WaitOffline, Overlay::Start(form)) => form.can_wait(),
        (Command::CycleStrategy, Overlay::Start(form)) => form.is_of_flake(),
        (Command::LeaveSpecialisation, Overlay::Start(form)) => form.can_leave_specialisation(),
        (Command::SkipCaches, Overlay::Start(form)) => form.can_skip_caches(),
        (Command::RestartHosts, Overlay::Start(form)) => form.can_restart(),
        (Command::NextTime, Overlay::Silence(form)) => form.silenced_by().is_none(),
        (Command::Accept, Overlay::Silence(form)) => {
            form.silenced_by() != Some(SilenceOrigin::HostsToml)
        }
        (Command::Up | Command::Down, Overlay::Silence(form)) => form.findings.len() > 1,
        (command, Overlay::OverTime(pane)) => over_time::can(pane, command),
        (command, Overlay::Past(pane)) => past::can(pane, command),
        _ => true,
    }
}

/// Selects a row of the list that takes the keys: that of the overlay on top, else that of the view. It
/// begins from now on at its row `from`, so that none moves below a click.
pub(super) fn select_row(model: &mut Model, index: usize, from: usize) {
    match model.overlay_mut() {
        None => model.list_from = from,
        Some(_) => model.over_from = from,
    }
    match model.overlay_mut() {
        Some(Overlay::Palette { selected, .. }) => *selected = index,
        Some(Overlay::Generations(pane)) => pane.selected = index,
        Some(Overlay::Units(pane)) => pane.selected = index,
        Some(Overlay::Silence(form)) => form.selected = index,
        Some(_) | None => model.select_row(index),
    }
}

/// Returns whether an overlay has a list of which a row is selected.
pub(super) fn is_list(overlay: &Overlay) -> bool {
    matches!(
        overlay,
        Overlay::Palette { .. }
            | Overlay::Generations(_)
            | Overlay::Units(_)
            | Overlay::Silence(_)
            | Overlay::Past(_)
    )
}

/// Types a key into the overlay, where something is typed there.
pub(super) fn type_key(overlay: &mut Overlay, event: KeyEvent) {
    match overlay {
        Overlay::Palette { input, selected } => {
            input.edit(event);
            *selected = 0;
        }
        Overlay::TypeName(form) => {
            form.input.edit(event);
        }
        Overlay::HostKey(form) => {
            form.input.edit(event);
        }
        Overlay::Silence(form) => {
            form.reason.edit(event);
        }
        Overlay::Units(pane) => {
            if let Some(input) = &mut pane.typed {
                input.edit(event);
                let text = input.text().to_owned();
                pane.set_filter(&text);
            }
        }
        Overlay::Password(form) => password::type_password(&mut form.typed, event),
        Overlay::Help { .. }
        | Overlay::FirstSteps { .. }
        | Overlay::Themes { .. }
        | Overlay::Start(_)
        | Overlay::Plan { .. }
        | Overlay::Commands { .. }
        | Overlay::Cancel { .. }
        | Overlay::Order { .. }
        | Overlay::Look { .. }
        | Overlay::Shell { .. }
        | Overlay::Journal(_)
        | Overlay::Generations(_)
        | Overlay::Difference(_)
        | Overlay::OverTime(_)
        | Overlay::Past(_)
        | Overlay::Quit
        | Overlay::OwnLog => {}
    }
}

/// Types what was pasted; returns whether something is typed there. The name of a host that is to be
/// confirmed is typed by hand.
pub(super) fn paste(overlay: &mut Overlay, text: &str) -> bool {
    match overlay {
        Overlay::Palette { input, selected } => {
            input.paste(text);
            *selected = 0;
        }
        Overlay::Silence(form) => form.reason.paste(text),
        Overlay::Units(pane) => {
            let Some(input) = &mut pane.typed else { return false };
            input.paste(text);
            let text = input.text().to_owned();
            pane.set_filter(&text);
        }
        Overlay::Password(form) => {
            let line = text.lines().next().unwrap_or_default();
            line.chars().filter(|c| !c.is_control()).for_each(|c| form.typed.push(c));
        }
        Overlay::TypeName(_)
        | Overlay::HostKey(_)
        | Overlay::Help { .. }
        | Overlay::FirstSteps { .. }
        | Overlay::Themes { .. }
        | Overlay::Start(_)
        | Overlay::Plan { .. }
        | Overlay::Commands { .. }
        | Overlay::Cancel { .. }
        | Overlay::Order { .. }
        | Overlay::Look { .. }
        | Overlay::Shell { .. }
        | Overlay::Journal(_)
        | Overlay::Generations(_)
        | Overlay::Difference(_)
        | Overlay::OverTime(_)
        | Overlay::Past(_)
        | Overlay::Quit
        | Overlay::OwnLog => return false,
    }
    true
}
