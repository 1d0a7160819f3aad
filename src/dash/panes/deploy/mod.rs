//! A run, host by host.

mod beside;
mod draw;
mod logs;
mod stacked;
mod state;
mod update;
mod why;

pub(in crate::dash) use logs::{logs_in_view, stand_side_by_side};
pub use state::{DeployPane, RunLeft};

use crate::dash::model::Screen;
use crate::dash::panes::Pane;

pub(super) const PANE: Pane = Pane {
    draw: draw::draw,
    update: update::update,
    can: update::can,
    shows_details: |_| false,
    targets: update::targets,
    sort_at: |_, _, _| false,
    leave: update::leave,
    parent: Screen::Fleet,
    arrows: None,
};
