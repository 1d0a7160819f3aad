//! The history: what was measured and what runs did, in one SQLite file.
//!
//! [`History`] is the file, read and written by whoever holds it; [`Recorder`] is a thread that
//! writes what it is told, so that nobody waits for a disk. Samples are thinned with age
//! (`thin.rs`), runs are kept. Text goes in through [`crate::fleet::printable_line`] only, so what
//! no screen may show is not in the file either. Several nixdash may have it open at once.

mod answers;
mod builds;
mod figures;
mod held;
mod hosts;
mod memory;
mod open;
mod origins;
mod over_time;
mod past;
mod phases;
mod recorder;
mod runs;
mod speeds;
mod systems;
mod thin;
mod troubles;
mod write;

#[cfg(test)]
mod tests;

pub use figures::{Asked, Growth};
pub use origins::share_served;
pub use recorder::Recorder;
pub use runs::RunRow;

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode};
use std::path::{Path, PathBuf};

/// The name of the file below the state folder.
const FILE: &str = "nixdash.db";

/// The history could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// SQLite could not do it.
    #[error(
        "could not {doing} the history {}: {source}; is the disk full, or does the file belong to \
         somebody else?",
        path.display()
    )]
    Database {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: rusqlite::Error,
    },
    /// The file or its folder could not be made or moved.
    #[error("could not {doing} {}: {source}; is the disk full, or does the folder belong to somebody else? \
         XDG_STATE_HOME may name another folder", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A newer nixdash has changed its shape.
    #[error(
        "the history {} was written by a newer nixdash (version {found}, this one knows {known}); \
         use that one, or move the file away",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version of its shape.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
}

impl HistoryError {
    /// Returns whether the file is not, or not any more, a whole database.
    pub fn is_corrupt(&self) -> bool {
        match self {
            Self::Database { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            ),
            Self::File { .. } | Self::Newer { .. } => false,
        }
    }
}

/// The history, open.
pub struct History {
    db: Connection,
    path: PathBuf,
    moved: Option<PathBuf>,
}

impl History {
    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns where a corrupt file was moved when this one was opened.
    pub fn moved_aside(&self) -> Option<&Path> {
        self.moved.as_deref()
    }

    /// Returns a function that names what was being done.
    fn failed(&self, doing: &'static str) -> impl Fn(rusqlite::Error) -> HistoryError + use<> {
        let path = self.path.clone();
        move |source| HistoryError::Database { doing, path: path.clone(), source }
    }
}

/// Returns a number as SQLite keeps it.
fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Returns a number that SQLite kept.
fn uint(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Returns a time that SQLite kept.
fn time(millisecond: i64) -> Timestamp {
    Timestamp::from_millisecond(millisecond).unwrap_or(Timestamp::UNIX_EPOCH)
}
