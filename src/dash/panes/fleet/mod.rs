//! The hosts: a table of all, and the details of the selected one.

mod columns;
mod draw;
mod group_row;
pub(in crate::dash) mod groups;
mod sort;
mod state;
mod update;

pub(super) use columns::sorts;
pub use groups::Grouping;
pub use sort::HostSort;
pub use state::FleetPane;

use crate::dash::model::{Model, Screen};
use crate::dash::panes::Pane;

pub(super) const PANE: Pane = Pane {
    draw: draw::draw,
    update: update::update,
    can: update::can,
    shows_details: update::shows_details,
    targets: Model::chosen,
    sort_at: draw::sort_at,
    leave: update::leave,
    parent: Screen::Fleet,
    arrows: Some("select"),
};
