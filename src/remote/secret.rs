//! Secrets: read as late as possible, and shown nowhere.

use crate::fleet::{Secret, SecretSource};
use crate::remote::{Keep, Program, ProgramError};
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// Longest secret that is taken, in bytes.
const LIMIT: usize = 64 * 1024;

/// Longest end of a line, in bytes.
const LINE_END: usize = "\r\n".len();

/// How long a program that prints a secret may take: somebody may have to touch a key.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// A secret could not be read. The text of the secret is in none of the messages.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set.
    #[error("the variable {0} is not set")]
    Env(String),
    /// The file could not be read.
    #[error("could not read the secret in {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The program could not be run.
    #[error("{}", not_run(.0))]
    Run(#[from] ProgramError),
    /// The program failed; what it said may hold the secret and is not repeated.
    #[error("{program} exited with {code} instead of printing a secret")]
    Command {
        /// Its name.
        program: String,
        /// Its exit code.
        code: i32,
    },
    /// There was nothing, or far too much.
    #[error(
        "{0} holds no usable secret (it is empty, longer than 64 KiB, or has a control character)"
    )]
    Odd(String),
}

/// Says that a program did not run, without the advice that [`SecretError::hint`] has.
fn not_run(error: &ProgramError) -> String {
    match error {
        ProgramError::Start { program, source } => {
            format!("could not run {program} to get a secret ({source})")
        }
        ProgramError::Slow { .. } => error.to_string(),
    }
}

impl SecretError {
    /// Returns what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Env(_) => "set it, or name another source in hosts.toml",
            Self::File { .. } => "is its name right, and may you read it?",
            Self::Run(ProgramError::Start { .. }) => {
                "is it installed and in PATH? Else name another source in hosts.toml"
            }
            Self::Run(ProgramError::Slow { .. }) | Self::Command { .. } => {
                "run it by hand to see what it wants"
            }
            Self::Odd(_) => "put the secret there, or name another source in hosts.toml",
        }
    }
}

/// Reads a whole secret; the end of the last line does not belong to it.
pub async fn resolve(source: &SecretSource) -> Result<Secret, SecretError> {
    let (name, text) = match source {
        SecretSource::Env(name) => {
            let text = std::env::var(name).map_err(|_| SecretError::Env(name.clone()))?;
            (format!("the variable {name}"), text)
        }
        SecretSource::File(path) => {
            let read = tokio::fs::read_to_string(path).await;
            let failed = |source| SecretError::File { path: path.clone(), source };
            (path.display().to_string(), read.map_err(failed)?)
        }
        SecretSource::Command { words, folder } => {
            let program = words.first().cloned().unwrap_or_default();
            let args = words.get(1..).unwrap_or_default();
            // One byte more than may be there shows that it is too long.
            let kept = Keep::First(LIMIT + LINE_END + 1);
            let mut command = Program::new(&program, args).limit(COMMAND_LIMIT).keep(kept);
            if !folder.as_os_str().is_empty() {
                command = command.in_dir(folder);
            }
            let output = command.run().await?;
            if !output.is_ok() {
                return Err(SecretError::Command { program, code: output.code });
            }
            (program, output.stdout)
        }
    };
    let text = Zeroizing::new(text);
    let text = text.trim_end_matches(['\r', '\n']);
    let odd = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.is_empty() || text.len() > LIMIT || text.contains(odd) {
        return Err(SecretError::Odd(name));
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_secret_comes_from_a_file_or_a_program_without_its_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "canary-secret\n").unwrap();
        let from_file = resolve(&SecretSource::File(path.clone())).await;
        assert!(from_file.is_ok_and(|secret| secret.expose() == "canary-secret"));
        let folder = dir.path().to_owned();
        let words = vec!["cat".to_owned(), "token".to_owned()];
        let from_program = resolve(&SecretSource::Command { words, folder }).await;
        assert!(from_program.is_ok_and(|secret| secret.expose() == "canary-secret"));
    }

    #[tokio::test]
    async fn a_secret_that_is_missing_has_one_advice() {
        let source = SecretSource::Env("NIXDASH_NO_SUCH_VARIABLE".to_owned());
        let Err(error) = resolve(&source).await else { unreachable!("nobody sets it") };
        assert_eq!(error.to_string(), "the variable NIXDASH_NO_SUCH_VARIABLE is not set");
        assert!(error.hint().contains("hosts.toml"));
    }

    #[tokio::test]
    async fn a_program_that_is_not_installed_is_named_without_advice() {
        let words = vec!["nixdash-no-such-program".to_owned()];
        let Err(error) = resolve(&SecretSource::Command { words, folder: PathBuf::new() }).await
        else {
            unreachable!("there is none")
        };
        let text = error.to_string();
        assert!(text.contains("could not run nixdash-no-such-program"), "{text}");
        assert!(!text.contains("PATH") && error.hint().contains("PATH"), "{text}");
    }

    #[tokio::test]
    async fn a_program_that_prints_more_than_a_secret_is_read_to_its_end_and_refused() {
        let words = ["sh", "-c", "yes secret | head -c 3000000"].map(str::to_owned).to_vec();
        let Err(error) = resolve(&SecretSource::Command { words, folder: PathBuf::new() }).await
        else {
            unreachable!("it is too long")
        };
        assert!(matches!(error, SecretError::Odd(_)), "{error}");
        let words =
            ["sh", "-c", "yes | tr -d '\\n' | head -c 65536; echo"].map(str::to_owned).to_vec();
        let longest = resolve(&SecretSource::Command { words, folder: PathBuf::new() }).await;
        assert!(longest.is_ok_and(|secret| secret.expose().len() == LIMIT));
    }

    #[tokio::test]
    async fn what_a_failing_program_said_is_not_repeated() {
        let words = ["sh", "-c", "echo canary-secret >&2; exit 3"].map(str::to_owned).to_vec();
        let Err(error) = resolve(&SecretSource::Command { words, folder: PathBuf::new() }).await
        else {
            unreachable!("it exits with 3")
        };
        assert_eq!(error.to_string(), "sh exited with 3 instead of printing a secret");
    }
}
