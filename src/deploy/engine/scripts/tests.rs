//! The supervisor, run for real by `/bin/sh` on a host that is a folder: every exit code, limit and
//! word, a supervisor that is killed, and writes that fail. And what a build does when Nix stands still.

mod boots;
mod first;
mod going_back;
mod host;
mod judging;
mod keeping;
mod persisting;
mod restarting;
mod room;
mod roots;
mod specialisations;
mod starting;
mod stuck;
mod superseded;
mod units;
mod versions;
mod writes;
