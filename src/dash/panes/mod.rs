//! The panes: a folder for each view, with its state, what changes it, and what draws it.

pub(super) mod log_tail;
pub(super) mod logs;
