//! The runs, and how the hosts of the selected one stand.

mod draw;
mod hosts;
mod sort;
mod state;
mod update;

pub(super) use draw::sorts;
pub use sort::RunSort;
pub use state::HistoryPane;

use crate::dash::model::Screen;
use crate::dash::panes::Pane;

pub(super) const PANE: Pane = Pane {
    draw: draw::draw,
    update: update::update,
    can: update::can,
    shows_details: |_| false,
    targets: update::targets,
    sort_at: draw::sort_at,
    leave: update::leave,
    parent: Screen::Fleet,
    arrows: Some("select"),
};
