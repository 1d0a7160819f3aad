//! A run, host by host.

mod draw;
mod logs;

pub(super) use draw::draw;
pub(in crate::dash) use logs::logs_in_view;
