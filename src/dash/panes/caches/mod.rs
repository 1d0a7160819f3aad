//! The tiers by hosts: a matrix, and the details of the selected tier.

mod columns;
mod draw;
mod hosts;
mod sort;
mod state;
mod update;

pub(super) use columns::sorts;
pub use sort::TierSort;
pub use state::CachesPane;

use crate::dash::model::Screen;
use crate::dash::panes::Pane;

pub(super) const PANE: Pane = Pane {
    draw: draw::draw,
    update: update::update,
    can: update::can,
    shows_details: update::shows_details,
    targets: |_| Vec::new(),
    sort_at: draw::sort_at,
    leave: update::leave,
    parent: Screen::Fleet,
    arrows: Some("select"),
};
