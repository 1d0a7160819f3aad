//! What is wrong in `hosts.toml`: where, what, and what to write instead.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing in `hosts.toml` that is wrong, or that has no effect yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it; empty when the message says it all.
    pub hint: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file.display(), self.line, self.column, self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "\n  hint: {}", self.hint) }
    }
}

impl std::error::Error for ConfigError {}

/// Everything that is wrong in `hosts.toml`, in the file's order; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Collects errors while the file is checked.
pub(super) struct MistakeReport<'a> {
    file: &'a Path,
    text: &'a str,
    errors: Vec<(usize, ConfigError)>,
}

impl<'a> MistakeReport<'a> {
    /// Makes an empty report on a file.
    pub(super) fn new(file: &'a Path, text: &'a str) -> Self {
        Self { file, text, errors: Vec::new() }
    }

    /// Keeps an error at a byte offset.
    pub(super) fn error(&mut self, at: usize, message: impl Into<String>, hint: impl Into<String>) {
        let error = self.place(at, message.into(), hint.into());
        self.errors.push((at, error));
    }

    /// Returns the line of a byte offset, from 1.
    pub(super) fn line_of(&self, at: usize) -> usize {
        self.text[..self.text.floor_char_boundary(at)].matches('\n').count() + 1
    }

    /// Returns the line and the column of a byte offset, from 1.
    pub(super) fn line_and_column(&self, at: usize) -> (usize, usize) {
        let place = self.place(at, String::new(), String::new());
        (place.line, place.column)
    }

    /// Returns how many errors there are so far.
    pub(super) fn count(&self) -> usize {
        self.errors.len()
    }

    /// Returns the errors when there are any, in the file's order.
    pub(super) fn end(mut self) -> Result<(), ConfigErrors> {
        self.errors.sort_by_key(|(at, _)| *at);
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(ConfigErrors(self.errors.into_iter().map(|(_, error)| error).collect()))
        }
    }

    /// Turns a byte offset into line and column.
    fn place(&self, at: usize, message: String, hint: String) -> ConfigError {
        let at = self.text.floor_char_boundary(at);
        let before = &self.text[..at];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        ConfigError {
            file: self.file.to_owned(),
            line: self.line_of(at),
            column: before[line_start..].chars().count() + 1,
            message,
            hint,
        }
    }
}
