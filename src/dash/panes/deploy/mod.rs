//! A run, host by host.

mod draw;
mod logs;
mod update;

pub(in crate::dash) use logs::logs_in_view;

use crate::dash::model::Screen;
use crate::dash::panes::Pane;

pub(super) const PANE: Pane = Pane {
    draw: draw::draw,
    update: update::update,
    can: update::can,
    targets: update::targets,
    leave: update::leave,
    parent: Screen::Fleet,
    arrows: None,
};
