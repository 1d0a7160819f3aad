//! The engine on hosts that are made up: every phase, broken connections, lost jobs, restarts.
//!
//! Time is paused, so waiting costs nothing and can be measured.

mod asking;
mod builds;
mod connections;
mod copies;
mod endings;
mod failover;
mod given;
mod restarts;
mod resumed;
mod sleepers;
mod specialisations;
mod stopping;
mod streams;
mod target;
mod ways;
