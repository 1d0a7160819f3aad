//! What a person without a `hosts.toml` does first: the dashboard has ended for it, and nixdash goes on
//! with it as if it had been typed.
//!
//! `nixdash init` is a process of its own, and so is the nixdash that opens the dashboard again: what was
//! set up for the screen (signals, tasks) is gone there, and Ctrl-C means at a question what it always does.

use crate::cli::{CliError, EXIT_INTERRUPTED, status};
use crate::dash::FirstStep;
use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Does it. `named` is the file that `--hosts` names.
pub(super) async fn carry_out(step: FirstStep, named: Option<&Path>) -> Result<ExitCode, CliError> {
    let program = std::env::current_exe()?;
    let hosts = named.map(Path::as_os_str);
    if step == FirstStep::Lab {
        return Err(Command::new(program).arg("lab").exec().into());
    }
    let mut init = tokio::process::Command::new(&program);
    init.args(words(hosts, &["init", "--write"])).kill_on_drop(true);
    // What went wrong stands on the terminal already.
    let _ended = init.status().await?;
    writeln!(io::stdout(), "\nPress Enter to open the dashboard, or Ctrl-C to stop here.")?;
    let enter = tokio::task::spawn_blocking(|| io::stdin().read_line(&mut String::new()));
    tokio::select! {
        // At the end of the input nobody is there to look at a dashboard.
        read = enter => if !matches!(read, Ok(Ok(1..))) { return Ok(ExitCode::SUCCESS) },
        () = status::interrupted() => return Ok(ExitCode::from(EXIT_INTERRUPTED)),
    }
    Err(Command::new(program).args(words(hosts, &[])).exec().into())
}

/// Returns the arguments of nixdash, with the file where one was named.
fn words<'a>(hosts: Option<&'a OsStr>, rest: &'a [&'a str]) -> Vec<&'a OsStr> {
    let named = hosts.into_iter().flat_map(|file| [OsStr::new("--hosts"), file]);
    named.chain(rest.iter().map(OsStr::new)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_named_is_named_again() {
        assert_eq!(words(None, &["init", "--write"]), ["init", "--write"]);
        assert_eq!(words(Some(OsStr::new("a b")), &[]), ["--hosts", "a b"]);
    }
}
