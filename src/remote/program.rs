//! Runs a program of this machine (git, tar, nix), as an argument list, never through a shell.

use crate::remote::Output;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// A program could not be run here.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It is not installed, or could not be started.
    #[error("could not run {program}: {source}; is it installed and in PATH?")]
    Start {
        /// Its name.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// It took too long.
    #[error("{program} did not end within {} and was stopped", crate::fleet::duration(*limit))]
    Slow {
        /// Its name.
        program: String,
        /// How long it was given.
        limit: Duration,
    },
}

/// A program of this machine with its arguments.
pub struct Program {
    command: tokio::process::Command,
    name: String,
    stdin: Vec<u8>,
    limit: Duration,
}

impl Program {
    /// Makes a program with arguments, limited to one minute.
    pub fn new(name: &str, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let mut command = tokio::process::Command::new(name);
        command.args(args);
        Self { command, name: name.to_owned(), stdin: Vec::new(), limit: Duration::from_secs(60) }
    }

    /// Makes it run in a folder.
    #[must_use]
    pub fn in_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Leaves a variable out of its environment.
    #[must_use]
    pub fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Gives it bytes to read.
    #[must_use]
    pub fn stdin(mut self, bytes: Vec<u8>) -> Self {
        self.stdin = bytes;
        self
    }

    /// Limits its time.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it to its end and returns what it printed, as text.
    ///
    /// Dropping the future ends the program.
    pub async fn run(self) -> Result<Output, ProgramError> {
        let (stdout, output) = self.run_for_bytes().await?;
        Ok(Output { stdout: String::from_utf8_lossy(&stdout).into_owned(), ..output })
    }

    /// Runs it to its end and returns its standard output as bytes; the text beside them is empty,
    /// since a packed repository may be gigabytes.
    ///
    /// Dropping the future ends the program.
    pub async fn run_for_bytes(mut self) -> Result<(Vec<u8>, Output), ProgramError> {
        let start = |source| ProgramError::Start { program: self.name.clone(), source };
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(start)?;
        let stdin = child.stdin.take();
        let bytes = self.stdin;
        let write = async move {
            if let Some(mut stdin) = stdin {
                // A program that does not read its input is judged by its exit code.
                drop(stdin.write_all(&bytes).await);
            }
        };
        let both = async { tokio::join!(write, child.wait_with_output()) };
        let (name, limit) = (self.name, self.limit);
        let ((), output) = tokio::time::timeout(limit, both)
            .await
            .map_err(|_| ProgramError::Slow { program: name.clone(), limit })?;
        let output = output.map_err(|source| ProgramError::Start { program: name, source })?;
        let rest = Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::new(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        Ok((output.stdout, rest))
    }
}
