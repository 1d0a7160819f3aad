//! The hosts: a table of all, and the details of the selected one.

mod columns;
mod draw;

pub(super) use draw::draw;
