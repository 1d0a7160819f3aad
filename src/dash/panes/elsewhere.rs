//! Rows of a log in the person's own pager or editor.

use crate::dash::command::Command;
use crate::dash::msg::Effect;
use crate::dash::panes::logs::RowsOf;
use crate::fleet::RunId;

/// Asks for all lines of the log of a host in a run, from the newest on.
pub(super) fn whole_log(run: &RunId, host: &str, command: Command) -> Vec<Effect> {
    elsewhere(RowsOf::all(run, host), None, command)
}

/// Asks for rows to be shown in the pager, or opened in the editor, from one of them on.
pub(super) fn elsewhere(of: RowsOf, row: Option<u64>, command: Command) -> Vec<Effect> {
    let of = Box::new(of);
    vec![match command {
        Command::Pager => Effect::PageRows { of, row },
        _ => Effect::EditRows { of, row },
    }]
}
