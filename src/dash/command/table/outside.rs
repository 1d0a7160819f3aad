//! The rows of what leads out of the dashboard for a while.

use crate::dash::command::{Command, CommandEntry};
use crate::dash::key::Key;

use super::{DEPLOY, FLEET, LOGS, entry};
use Key::{Char, Ctrl};

/// Of the selected host.
pub(super) const HOST_ROWS: &[CommandEntry] = &[
    entry(
        Command::Units,
        &[Char('u')],
        &[FLEET],
        Some("units"),
        "units",
        "list the units of the selected host: those that failed, then its services, with their journals",
    ),
    entry(
        Command::Shell,
        &[Char('!')],
        &[FLEET],
        Some("shell"),
        "shell",
        "open a shell on the selected host, over the connection that nixdash has; its end leads back here",
    ),
    entry(
        Command::EditHostsFile,
        &[Ctrl('e')],
        &[FLEET],
        None,
        "edit-hosts",
        "open hosts.toml in $VISUAL or $EDITOR; nixdash reads it when it is started again",
    ),
];

/// Of the selected host of a run.
pub(super) const RUN_ROWS: &[CommandEntry] = &[
    entry(
        Command::Shell,
        &[Char('!')],
        &[DEPLOY],
        Some("shell"),
        "shell-in-run",
        "open a shell on the selected host of the run; its end leads back here",
    ),
    entry(
        Command::Units,
        &[Char('u')],
        &[DEPLOY],
        Some("units"),
        "units-in-run",
        "list the units of the selected host, where some failed in the run, with their journals",
    ),
    entry(
        Command::Pager,
        &[Char('|')],
        &[DEPLOY, LOGS],
        Some("pager"),
        "pager",
        "show the log in $PAGER, or less, at the line in view; its end leads back here",
    ),
    entry(
        Command::Editor,
        &[Ctrl('e')],
        &[DEPLOY, LOGS],
        None,
        "editor",
        "open a copy of the log in $VISUAL or $EDITOR, at the line in view; its end leads back here",
    ),
];
