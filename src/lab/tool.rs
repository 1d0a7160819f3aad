//! Runs the programs that the lab is made with (ip, mount, mmdebstrap, git …) and turns their failures into sentences.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::process::{Command, Stdio};

use super::error::LabError;

/// How much of a failed program's standard error is worth showing, in lines.
const SHOWN_LINES: usize = 20;

/// One program with its arguments, and what it is for.
pub(crate) struct Tool {
    doing: String,
    argv: Vec<OsString>,
    stdin: Vec<u8>,
}

impl Tool {
    /// Starts the description of a call; `doing` begins the sentence of an error, as in "making the bridge".
    pub(crate) fn new(doing: impl Into<String>, program: &str) -> Self {
        Self { doing: doing.into(), argv: vec![program.into()], stdin: Vec::new() }
    }

    /// Adds one argument.
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.argv.push(argument.as_ref().to_owned());
        self
    }

    /// Adds several arguments.
    pub(crate) fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.argv.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Gives the program something to read.
    pub(crate) fn input(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = text.into();
        self
    }

    /// The program as a command that has not been started.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.argv[0]);
        command.args(&self.argv[1..]);
        // The tools of the system are not in every root's PATH.
        command.env("PATH", search_path());
        command
    }

    /// Runs the program to its end and returns what it printed on standard output.
    pub(crate) fn run(self) -> Result<String, LabError> {
        let mut command = self.command();
        command.stdin(if self.stdin.is_empty() { Stdio::null() } else { Stdio::piped() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|source| self.not_started(source))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that ends without reading says why on its own standard error.
            let _ = stdin.write_all(&self.stdin);
        }
        let output = child.wait_with_output().map_err(|source| self.not_started(source))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(self.failed(&output.status.to_string(), &String::from_utf8_lossy(&output.stderr)))
        }
    }

    /// Runs the program and forgets whether it succeeded: for taking away what may not be there.
    pub(crate) fn try_run(self) {
        let _ = self.run();
    }

    fn not_started(&self, source: std::io::Error) -> LabError {
        LabError::Start { doing: self.doing.clone(), program: self.program(), source }
    }

    fn failed(&self, status: &str, stderr: &str) -> LabError {
        LabError::Failed {
            doing: self.doing.clone(),
            program: self.program(),
            status: status.to_owned(),
            said_text: last_lines(stderr, SHOWN_LINES),
        }
    }

    fn program(&self) -> String {
        self.argv[0].to_string_lossy().into_owned()
    }
}

/// The caller's PATH with the system's own directories behind it.
pub(crate) fn search_path() -> String {
    let own = std::env::var("PATH").unwrap_or_default();
    format!("{own}:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin")
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_program_is_quoted() {
        let error =
            Tool::new("trying", "sh").args(["-c", "echo no >&2; exit 3"]).run().unwrap_err();
        assert_eq!(error.to_string(), "trying: sh ended with exit status: 3:\nno");
    }

    #[test]
    fn a_program_reads_its_input() {
        assert_eq!(Tool::new("trying", "cat").input("hello").run().unwrap(), "hello");
    }
}
