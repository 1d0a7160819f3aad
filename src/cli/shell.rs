//! `nixdash shell`: a person's own shell on a host, and the one that the dashboard opens.

use crate::cli::generations::one_host;
use crate::cli::status::interrupted;
use crate::cli::{CliError, EXIT_FAILED, EXIT_INTERRUPTED, complete, wait};
use crate::dash::{FailureTeller, KeptFile, Msg, ProgramEnd, TerminalProgram};
use crate::fleet::Fleet;
use crate::remote::{Remote, RemoteError, RemoteShell};
use clap::Args;
use std::ffi::OsString;
use std::fs;
use std::io::{IsTerminal, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Arguments of `nixdash shell`.
#[derive(Debug, Args)]
pub(super) struct ShellArgs {
    /// The host
    #[arg(value_name = "HOST", add = complete::hosts())]
    host: String,
    /// A command and its arguments, instead of a shell
    #[arg(value_name = "COMMAND", last = true)]
    command: Vec<String>,
}

/// Opens a shell, or runs a command; returns the exit code of that.
pub(super) async fn run(fleet: Fleet, args: &ShellArgs) -> Result<ExitCode, CliError> {
    let host = one_host(&fleet, &args.host)?;
    let remote = Remote::new(Arc::new(fleet));
    let code = Box::pin(open_here(&remote, &host, &args.command)).await;
    remote.close().await;
    code
}

async fn open_here(remote: &Remote, host: &str, command: &[String]) -> Result<ExitCode, CliError> {
    let what = format!("connecting to {host} …");
    let connected = tokio::select! {
        connected = wait::saying(&what, remote.shell(host)) => connected,
        () = interrupted() => return Ok(ExitCode::from(EXIT_INTERRUPTED)),
    };
    let shell = match connected {
        Ok(shell) => shell,
        Err(error) => return Ok(failed(&error.to_string())),
    };
    let log = KeptFile::new(tempfile::NamedTempFile::new()?.into_temp_path());
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let program = program(host, &shell, command, terminal, log);
    let status = match run_in_terminal(&program.words).await {
        Ok(status) => status,
        Err(error) => return Ok(failed(&program.not_started(&error))),
    };
    Ok(match (program.ended(status), status.code()) {
        (Some(why), _) => failed(&why),
        (None, Some(code)) => ExitCode::from(u8::try_from(code).unwrap_or(EXIT_FAILED)),
        (None, None) => ExitCode::from(EXIT_FAILED),
    })
}

/// Says what went wrong; standard error may be gone, and the exit code says it too.
fn failed(why: &str) -> ExitCode {
    drop(writeln!(std::io::stderr(), "nixdash: {why}"));
    ExitCode::from(EXIT_FAILED)
}

/// Runs a program with our own standard input and outputs; ctrl-c is for it, not for us.
async fn run_in_terminal(words: &[OsString]) -> std::io::Result<ExitStatus> {
    let Some((program, args)) = words.split_first() else { return Ok(ExitStatus::from_raw(0)) };
    let _interrupts = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut child = tokio::process::Command::new(program).args(args).kill_on_drop(true).spawn()?;
    tokio::select! {
        ended = child.wait() => ended,
        _ = terminated.recv() => {
            child.kill().await?;
            child.wait().await
        }
    }
}

/// Makes the connection for a shell that the dashboard opens, beside everything else, and hands the
/// program over.
pub(super) fn open(remote: &Remote, host: String, messages: &mpsc::Sender<Msg>) {
    let (remote, messages) = (remote.clone(), messages.clone());
    tokio::spawn(async move {
        let message = match remote.shell(&host).await {
            Ok(shell) => match tempfile::NamedTempFile::new() {
                Ok(log) => {
                    let log = KeptFile::new(log.into_temp_path());
                    Msg::Program(Box::new(program(&host, &shell, &[], true, log)))
                }
                Err(error) => bad(format!("no temporary file can be made: {error}")),
            },
            Err(error) => bad(error.to_string()),
        };
        // A screen that is gone needs no shell.
        drop(messages.send(message).await);
    });
}

fn bad(text: String) -> Msg {
    Msg::Said { text, bad: true }
}

/// Returns what tells why ssh failed, by what it said in a file.
fn told_by_ssh(host: String, log: KeptFile) -> FailureTeller {
    FailureTeller::new(move || {
        let said = fs::read(log.path()).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        (!said.trim().is_empty()).then(|| RemoteError::from_ssh(&host, &said).to_string())
    })
}

/// Returns the program of a shell, or of a command.
fn program(
    host: &str,
    shell: &RemoteShell,
    command: &[String],
    terminal: bool,
    log: KeptFile,
) -> TerminalProgram {
    let words = shell.words(log.path(), command, terminal);
    let (hint, end) = match shell {
        RemoteShell::Here => ("set SHELL to a shell that is there", ProgramEnd::Shell),
        RemoteShell::Ssh { .. } => {
            ("is ssh installed and in PATH?", ProgramEnd::Ssh(told_by_ssh(host.to_owned(), log)))
        }
    };
    TerminalProgram {
        words,
        name: format!("the shell on {host}"),
        before: Some(format!(
            "nixdash: a shell on {host} ({}).\nIts end, by exit or ctrl-d, leads back to nixdash.",
            shell.place()
        )),
        hint: hint.to_owned(),
        end,
        then: Some(format!("the shell on {host} has ended")),
        file: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ssh_said_is_told_as_of_every_other_login() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_owned();
        let log = KeptFile::new(file.into_temp_path());
        let why = told_by_ssh("samsung".to_owned(), log);
        let mut program = TerminalProgram {
            words: vec!["ssh".into()],
            name: "the shell on samsung".to_owned(),
            before: None,
            hint: String::new(),
            end: ProgramEnd::Ssh(why),
            then: None,
            file: None,
        };
        let failed = ExitStatus::from_raw(255 << 8);
        assert_eq!(program.ended(failed), None, "a command may end with 255 too");
        fs::write(&path, "root@samsung: Permission denied (publickey).\r\n").unwrap();
        let said = program.ended(failed).unwrap();
        assert!(said.starts_with("samsung: root@samsung: Permission denied"), "{said}");
        program.end = ProgramEnd::Shell;
        assert!(!path.exists());
    }
}
