//! The rows of keys that move sideways in lists, and that put rows in groups.

use crate::dash::command::{Command, CommandEntry};
use crate::dash::key::Key;

use super::{CACHES, FLEET, entry};
use Key::Char;

pub(super) const ROWS: &[CommandEntry] = &[
    entry(
        Command::GroupByTag,
        &[Char('#')],
        &[FLEET],
        None,
        "group-by-tag",
        "put hosts in groups by their tags, each with how its hosts are, or back into one list; there enter \
         opens or folds the selected group, space marks its hosts",
    ),
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
