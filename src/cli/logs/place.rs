//! Where the log of a host is, for a person who wants to open it.

use crate::fleet::RunId;
use crate::record::Runs;

/// Says which files the log of a host is in.
pub(in crate::cli) fn where_log_is(runs: &Runs, run: &RunId, host: &str) -> String {
    match &runs.logs(run, host)[..] {
        [] => match runs.removed_logs(run) {
            Some(removed) => removed.sentence(run),
            None => "there is no log yet".to_owned(),
        },
        [file] => format!("the whole log is {}", file.display()),
        [first, .., last] => format!(
            "the log begins in {} and ends in {}; the middle is missing where the first file says so",
            first.display(),
            last.display()
        ),
    }
}
