//! The runs, and how the hosts of the selected one stand.

mod draw;
mod update;

use crate::dash::model::Screen;
use crate::dash::panes::Pane;

pub(super) const PANE: Pane = Pane {
    draw: draw::draw,
    update: update::update,
    can: update::can,
    shows_details: |_| false,
    targets: update::targets,
    leave: |_| false,
    parent: Screen::Fleet,
    arrows: Some("select"),
};
