//! The rows of keys that move sideways in lists.

use crate::dash::command::{Command, CommandEntry};
use crate::dash::key::Key;

use super::{CACHES, entry};
use Key::Char;

pub(super) const ROWS: &[CommandEntry] = &[
    entry(
        Command::ScrollRight,
        &[Char('>'), Char('l')],
        &[CACHES],
        None,
        "more-hosts",
        "show the hosts that have no column yet, the worst first",
    ),
    entry(
        Command::ScrollLeft,
        &[Char('<'), Char('h')],
        &[CACHES],
        None,
        "hosts-before",
        "show the hosts before those that have a column",
    ),
];
