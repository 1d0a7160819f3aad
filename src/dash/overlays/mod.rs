//! The panes that lie over a view and take the keys: one file for each, with what draws it.
//!
//! What each of them knows is plain data ([`Overlay`]).

mod cancel;
mod commands;
mod generations;
mod help;
mod host_key;
mod look;
mod order;
mod own_log;
mod palette;
mod password;
mod plan;
mod quit;
mod start;
mod type_name;

use crate::dash::overlay::Overlay;
use crate::dash::widgets::paint::Paint;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Draws an overlay.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, overlay: &Overlay) {
    match overlay {
        Overlay::Help { scroll } => help::draw(paint, buffer, area, *scroll),
        Overlay::Palette { input, selected } => {
            palette::draw(paint, buffer, area, input, *selected);
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
        Overlay::Generations(pane) => generations::draw(paint, buffer, area, pane),
        Overlay::Quit => quit::draw(paint, buffer, area),
        Overlay::OwnLog => own_log::draw(paint, buffer, area),
    }
}
