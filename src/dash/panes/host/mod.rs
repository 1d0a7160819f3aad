//! The details of the selected host.

mod draw;

pub(super) use draw::{draw, rows};
