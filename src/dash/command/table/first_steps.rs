//! The rows of the first minutes: of the first screen where there is no `hosts.toml`, and of the practice
//! fleet.

use crate::dash::command::{Command, CommandEntry, Context};
use crate::dash::key::Key;
use crossterm::event::KeyCode;

use super::{FLEET, VIEWS, entry};
use Context as C;
use Key::{Char, Code};

pub(super) const ROWS: &[CommandEntry] = &[
    entry(
        Command::MakeHostsFile,
        &[Char('i')],
        &[C::FirstSteps],
        Some("init"),
        "make-hosts-file",
        "make a hosts.toml from this: `nixdash init` shows it and asks before it writes",
    ),
    entry(
        Command::Practise,
        &[Char('l')],
        &[C::FirstSteps],
        Some("lab"),
        "practise",
        "practise first: `nixdash lab` sets up four small real hosts on this machine",
    ),
    entry(
        Command::Close,
        &[Code(KeyCode::Esc), Char('q')],
        &[C::FirstSteps],
        Some("close"),
        "see-this-machine",
        "look at this machine and cache.nixos.org",
    ),
    entry(
        Command::FirstSteps,
        &[Char('i')],
        &[FLEET],
        Some("first steps"),
        "first-steps",
        "say what was found here, and how to make a hosts.toml",
    ),
    entry(
        Command::HideNextTry,
        &[Char('H')],
        VIEWS,
        None,
        "hide-next-try",
        "hide what to try next of the practice fleet, for good",
    ),
];
