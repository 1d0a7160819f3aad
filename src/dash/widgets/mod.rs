//! Pieces that several views are made of; none of them knows which view it is in.

pub(in crate::dash) mod columns;
pub(in crate::dash) mod curve;
pub(in crate::dash) mod facts;
pub(in crate::dash) mod filtered;
pub(in crate::dash) mod graph;
pub(in crate::dash) mod input;
pub(in crate::dash) mod paint;
pub(in crate::dash) mod places;
pub(in crate::dash) mod popup;
pub(in crate::dash) mod table;
pub(in crate::dash) mod text;
