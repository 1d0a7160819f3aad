//! Sees, proves and deploys a fleet of NixOS machines and their binary caches, from one terminal screen.

pub mod cli;
pub mod lab;
