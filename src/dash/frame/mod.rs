//! What stands around every view: the title, the overview and the tabs above it, the footer below.

pub(in crate::dash) mod footer;
pub(in crate::dash) mod overview;
