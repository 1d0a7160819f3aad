//! The tiers by hosts: a matrix, and the details of the selected tier.

mod columns;
mod draw;

pub(super) use draw::draw;
