//! The persistent shell of a host.
