//! The rows of keys that move sideways in lists, put rows in groups, and silence what is wrong with them.

use crate::dash::command::{Command, CommandEntry, Context as C};
use crate::dash::key::Key;
use crossterm::event::KeyCode;

use super::{CACHES, FLEET, entry};
use Key::{Char, Code, Ctrl};

pub(super) const ROWS: &[CommandEntry] = &[
    entry(
        Command::Silence,
        &[Char('M')],
        &[FLEET, CACHES],
        None,
        "silence",
        "silence a finding of the selected host or tier, with a reason and an end, or make it an alarm again",
    ),
    entry(
        Command::Up,
        &[Code(KeyCode::Up), Ctrl('p')],
        &[C::Silence],
        None,
        "finding-above",
        "select the finding above",
    ),
    entry(
        Command::Down,
        &[Code(KeyCode::Down), Ctrl('n')],
        &[C::Silence],
        Some("finding"),
        "finding-below",
        "select the finding below",
    ),
    entry(
        Command::NextTime,
        &[Code(KeyCode::Tab)],
        &[C::Silence],
        Some("how long"),
        "next-time",
        "choose the next time: 1 h, 8 h, 1 d, 7 d, until it changes",
    ),
    entry(
        Command::Accept,
        &[Code(KeyCode::Enter)],
        &[C::Silence],
        Some("silence it"),
        "silence-it",
        "silence the selected finding, or make it an alarm again",
    ),
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
        &[Char('>')],
        &[CACHES],
        None,
        "more-hosts",
        "show the hosts that have no column yet, the worst first",
    ),
    entry(
        Command::ScrollLeft,
        &[Char('<')],
        &[CACHES],
        None,
        "hosts-before",
        "show the hosts before those that have a column",
    ),
];
