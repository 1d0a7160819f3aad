//! The details of the selected tier.

mod draw;
mod on_hosts;

pub(super) use draw::{draw, rows};
