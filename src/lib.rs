//! nixdash: sees, proves and deploys a fleet of NixOS machines and their binary caches.
//!
//! The rooms, in the order of the floors; a room may use those above it, never those below:
//!
//! | room | job |
//! |---|---|
//! | [`fleet`] | the nouns: hosts, tiers, closures, facts, events, selectors; no I/O, no clock |
//! | [`nix`] | Nix's language, pure: narinfo, signatures, internal-json, command lines |
//! | [`config`] | `hosts.toml`: raw → checked, errors with file, line, column and a hint |
//! | [`remote`] | runs a script on a host, over ssh or here |
//! | [`record`] | memory: runs, their events and complete logs on disk |
//! | [`probe`] | eyes: hosts, tiers, coverage, and the schedule of asking |
//! | [`deploy`] | work: plan, a pure machine, the engine that carries out its commands |
//! | [`lab`] | a practice fleet of four small real hosts on this machine |
//! | [`dash`] | the screen: model, update, keys, views |
//! | [`cli`] | the other face: one file per subcommand, and the joints between the rooms |

// They panic where nobody reads any more.
#![deny(clippy::print_stdout, clippy::print_stderr)]

/// Tells a person something beside the output, a line on standard error. That may be gone, and whoever closed it wants to
/// hear nothing: the exit code says it too.
macro_rules! tell_aside {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        drop(writeln!(std::io::stderr(), $($text)*));
    }};
}

pub mod cli;
pub mod config;
pub mod dash;
pub mod deploy;
pub mod fleet;
pub mod lab;
pub mod nix;
pub mod probe;
pub mod record;
pub mod remote;
