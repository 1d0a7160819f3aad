//! The integration tests: one binary.
//!
//! Tests that need the practice fleet are ignored by plain `cargo test`, with the reason; they are
//! run by `tests/run.sh`, which brings the fleet up and takes it down.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod command_line;
mod connections;
mod eyes;
mod first_minutes;
mod history;
mod lab;
mod layers;
mod logs;
mod manual;
mod messages;
mod moto;
mod narinfo_truth;
mod nom;
mod pages;
mod programs;
mod prometheus;
mod recorded;
mod relative_paths;
mod runs;
mod scripts;
mod secrets;
mod service;
mod static_http2;
mod terminal;
mod trust;
