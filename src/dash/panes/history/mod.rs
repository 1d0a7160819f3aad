//! The runs, and how the hosts of the selected one stand.

mod draw;

pub(super) use draw::draw;
