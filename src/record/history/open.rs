//! Opening the file: made when it is not there, brought to today's shape, moved aside when it is
//! no database any more.
//!
//! Opening happens under a lock of its own, so that two nixdash neither bring it to today's shape
//! at the same time nor move each other's fresh file aside.

use super::{FILE, History, HistoryError};
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The shapes of the file, oldest first; each step is carried out once.
pub(super) const SHAPES: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
    include_str!("schema/6.sql"),
    include_str!("schema/7.sql"),
    include_str!("schema/8.sql"),
    include_str!("schema/9.sql"),
    include_str!("schema/10.sql"),
    include_str!("schema/11.sql"),
    include_str!("schema/12.sql"),
];

/// How long one nixdash waits for another's write.
const BUSY: Duration = Duration::from_secs(5);

impl History {
    /// Opens the history below a state folder, making both when they are not there.
    ///
    /// A file that is no database is moved aside ([`History::moved_aside`]) and a fresh one begun.
    pub fn open(state: &Path) -> Result<Self, HistoryError> {
        Self::open_as(state, false)
    }

    /// Opens the history after it turned out to be corrupt: every page is looked at first, and the
    /// file moved aside when one is bad. Another nixdash may have done so meanwhile.
    pub fn open_repaired(state: &Path) -> Result<Self, HistoryError> {
        Self::open_as(state, true)
    }

    fn open_as(state: &Path, doubt: bool) -> Result<Self, HistoryError> {
        let path = state.join(FILE);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(state)
            .map_err(io_failed("make", state))?;
        let _lock = lock(state)?;
        match connect(&path, doubt) {
            Err(error) if error.is_corrupt() => {
                let moved = move_aside(&path, Timestamp::now())?;
                Ok(Self { db: connect(&path, false)?, path, moved: Some(moved) })
            }
            Err(error) => Err(error),
            Ok(db) => Ok(Self { db, path, moved: None }),
        }
    }
}

/// Names what was being done to a file.
fn io_failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> HistoryError {
    let path = path.to_path_buf();
    move |source| HistoryError::File { doing, path, source }
}

/// Takes the lock that guards opening; it is let go when the file is dropped.
fn lock(state: &Path) -> Result<File, HistoryError> {
    let path = state.join(format!("{FILE}.lock"));
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .map_err(io_failed("open", &path))?;
    let began = Instant::now();
    while let Err(error) = file.try_lock() {
        if began.elapsed() > BUSY {
            return Err(io_failed("lock", &path)(error.into()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(file)
}

/// Opens the file and brings it to today's shape.
fn connect(path: &Path, doubt: bool) -> Result<Connection, HistoryError> {
    protect(path)?;
    let failed =
        |source| HistoryError::Database { doing: "open", path: path.to_path_buf(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags).map_err(failed)?;
    db.busy_timeout(BUSY).map_err(failed)?;
    // Whoever is killed loses nothing; a power cut may lose the last writes, never the file.
    db.pragma_update(None, "journal_mode", "wal").map_err(failed)?;
    db.pragma_update(None, "synchronous", "normal").map_err(failed)?;
    db.pragma_update(None, "foreign_keys", true).map_err(failed)?;
    if doubt {
        let found: String =
            db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
        if found != "ok" {
            return Err(failed(corrupt(found)));
        }
    }
    migrate(&mut db, path, SHAPES)?;
    Ok(db)
}

/// Makes the file when it is not there, and nobody else's: SQLite makes its further files with the
/// mode of this one.
///
/// One that is there is never opened here: closing it would let go of every lock that this process
/// has on it through SQLite. The next program that closes the file (an older `sqlite3`, say) would
/// take itself for the last one and remove the log that this process goes on writing to.
fn protect(path: &Path) -> Result<(), HistoryError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(io_failed("open", path)(error));
        }
        Ok(_) | Err(_) => {}
    }
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(io_failed("protect", path))
}

/// Returns the error of a database that is corrupt.
fn corrupt(why: String) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    rusqlite::Error::SqliteFailure(code, Some(why))
}

/// Brings the file to the last of the shapes; each step happens wholly or not at all.
pub(super) fn migrate(
    db: &mut Connection,
    path: &Path,
    shapes: &[&str],
) -> Result<(), HistoryError> {
    let failed = |source| HistoryError::Database {
        doing: "update the tables of",
        path: path.to_path_buf(),
        source,
    };
    let version = |db: &Connection| {
        db.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).map_err(failed)
    };
    let known = i64::try_from(shapes.len()).unwrap_or(i64::MAX);
    let found = version(db)?;
    if found > known {
        return Err(HistoryError::Newer { path: path.to_path_buf(), found, known });
    }
    for (to, shape) in (1..).zip(shapes) {
        if version(db)? >= to {
            continue;
        }
        let step = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        step.execute_batch(shape).map_err(failed)?;
        step.pragma_update(None, "user_version", to).map_err(failed)?;
        step.commit().map_err(failed)?;
    }
    Ok(())
}

/// Moves the file and what SQLite keeps beside it out of the way; returns where it is now.
fn move_aside(path: &Path, now: Timestamp) -> Result<PathBuf, HistoryError> {
    let date = now.strftime("%Y-%m-%dT%H%M%SZ");
    let mut aside = path.with_file_name(format!("{FILE}.corrupt-{date}"));
    let mut count = 1;
    while aside.exists() {
        count += 1;
        aside = path.with_file_name(format!("{FILE}.corrupt-{date}-{count}"));
    }
    fs::rename(path, &aside).map_err(io_failed("move aside", path))?;
    for ending in ["-wal", "-shm"] {
        let beside = path.with_file_name(format!("{FILE}{ending}"));
        if beside.exists() {
            let mut to = aside.clone().into_os_string();
            to.push(ending);
            fs::rename(&beside, to).map_err(io_failed("move aside", &beside))?;
        }
    }
    Ok(aside)
}
