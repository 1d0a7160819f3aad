//! The journal of a run: what its state is made of, in the order in which it happened.
//!
//! `journal.jsonl` begins with a line that names its format; each further line is one entry with the
//! time when it was written. What an entry is, is not known here: any type that can be serialised.
//! Whoever replays the entries gets the run's state; logs and what is shown stand in other files.
//!
//! One process at a time writes a journal: it holds a lock on the file, which ends with the process.
//! Reading takes no lock.
//!
//! [`JournalWriter::append`] returns when the kernel has the entry: it survives the end of this process,
//! however it ends. [`JournalWriter::sync`] returns when the disk has it: it survives a power cut of this
//! machine. So append before a command is carried out, and sync before one that changes a host.
//! Room for what comes next is reserved on the disk, so a disk that others fill takes the next entries
//! all the same.

use crate::fleet::RunId;
use crate::record::{RecordError, Runs};
use jiff::Timestamp;
use rustix::fs::{FallocateFlags, fallocate};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The name of the file with a run's journal.
pub(super) const JOURNAL: &str = "journal.jsonl";

/// How many bytes are reserved on the disk beyond the end of a journal.
const RESERVE: u64 = 256 * 1024;

/// The longest line that is read, in bytes. The longest entry (the plan of some hundred hosts) is far
/// shorter.
const LONGEST_LINE: u64 = 16 << 20;

/// What ends a part of an entry that could not be cut off: JSON has no such byte (CAN, "cancel").
const CANCELLED: u8 = 0x18;

/// A journal could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// There is none: the run is of a nixdash that kept none, or ended before it had begun.
    #[error("there is no journal at {}", path.display())]
    Missing {
        /// Where it would be.
        path: PathBuf,
    },
    /// It is of a nixdash whose entries mean something else. It must not be replayed: ask the hosts
    /// what became of them instead.
    #[error(
        "the journal {} has format {found}, and this nixdash reads format {ours}; it was written by \
         {} nixdash", path.display(), if found > ours { "a newer" } else { "an older" }
    )]
    OtherFormat {
        /// The journal.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The format that was asked for.
        ours: u32,
    },
    /// A line before the last one cannot be read, so what it said is lost.
    #[error("line {line} of the journal {} cannot be read: {why}", path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// The number of the line; the first is 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// Another process writes it.
    #[error(
        "another nixdash writes the journal {} at this moment; wait until it ends", path.display()
    )]
    InUse {
        /// The journal.
        path: PathBuf,
    },
    /// The file could not be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// The first line of a journal.
#[derive(Serialize, Deserialize)]
struct JournalHead {
    /// The format of all entries.
    journal_format: u32,
}

/// An entry of a journal with its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry<T> {
    /// When it was written.
    pub at: Timestamp,
    /// What happened.
    pub entry: T,
}

/// A journal that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal<T> {
    /// All whole entries, oldest first.
    pub entries: Vec<JournalEntry<T>>,
    /// Whether a part of one more entry stands at the end: its writer was ended while it wrote. What
    /// the entry stands for was not begun.
    pub torn: bool,
}

/// Writes the journal of one run; while it lives, no other process can.
#[derive(Debug)]
pub struct JournalWriter {
    path: PathBuf,
    file: File,
    /// How long the journal is, without what failed.
    length: u64,
    /// Up to which byte the disk has room for it.
    reserved: u64,
    /// Whether a part of an entry may stand at the end, since it could not be cut off either.
    torn: bool,
}

impl Runs {
    /// Begins the journal of a run, whose entries have this format. Fails where there is one.
    pub fn begin_journal(&self, run: &RunId, format: u32) -> Result<JournalWriter, JournalError> {
        let path = self.folder(run).join(JOURNAL);
        let mut writer = JournalWriter::open(path, true)?;
        writer.line(&JournalHead { journal_format: format })?;
        writer.sync()?;
        Ok(writer)
    }

    /// Goes on with the journal of a run whose process is gone, and returns what is in it. A part of an
    /// entry at its end is cut off.
    pub fn resume_journal<T: DeserializeOwned>(
        &self,
        run: &RunId,
        format: u32,
    ) -> Result<(JournalWriter, Journal<T>), JournalError> {
        let path = self.folder(run).join(JOURNAL);
        let mut writer = JournalWriter::open(path.clone(), false)?;
        // Read under the lock: nobody adds anything now.
        let (journal, length) = read(&path, format)?;
        writer.file.set_len(length).map_err(super::doing("cut", &path))?;
        writer.length = length;
        Ok((writer, journal))
    }

    /// Reads the journal of a run, also while it is written.
    pub fn read_journal<T: DeserializeOwned>(
        &self,
        run: &RunId,
        format: u32,
    ) -> Result<Journal<T>, JournalError> {
        read(&self.folder(run).join(JOURNAL), format).map(|(journal, _)| journal)
    }
}

impl JournalWriter {
    /// Opens a file and takes its lock.
    fn open(path: PathBuf, fresh: bool) -> Result<Self, JournalError> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create_new(fresh).mode(0o600);
        let file = match options.open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !fresh => {
                return Err(JournalError::Missing { path });
            }
            Err(error) => return Err(super::doing("open", &path)(error).into()),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::InUse { path }),
            Err(TryLockError::Error(error)) => {
                return Err(super::doing("lock", &path)(error).into());
            }
        }
        Ok(Self { path, file, length: 0, reserved: 0, torn: false })
    }

    /// Adds an entry. When this returns, the entry survives the end of this process; see
    /// [`JournalWriter::sync`]. After an error the journal is as it was.
    pub fn append<T: Serialize>(&mut self, at: Timestamp, entry: &T) -> Result<(), JournalError> {
        self.line(&JournalEntry { at, entry })
    }

    /// Waits until the disk has every entry: they survive a power cut of this machine. It takes as long
    /// as the disk takes, some milliseconds mostly.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        self.file.sync_data().map_err(|error| super::doing("sync", &self.path)(error).into())
    }

    /// Adds a line.
    fn line<T: Serialize>(&mut self, line: &T) -> Result<(), JournalError> {
        let mut bytes = if self.torn { vec![CANCELLED, b'\n'] } else { Vec::new() };
        let written = serde_json::to_writer(&mut bytes, line).map_err(io::Error::from);
        bytes.push(b'\n');
        self.reserve(bytes.len() as u64);
        let written = written.and_then(|()| self.file.write_all(&bytes));
        if let Err(error) = written {
            self.torn = self.file.set_len(self.length).is_err();
            return Err(super::doing("write", &self.path)(error).into());
        }
        self.length += bytes.len() as u64;
        self.torn = false;
        Ok(())
    }

    /// Reserves room on the disk when little is left. Where that is not possible (a full disk, a file
    /// system that cannot), entries are written as long as they find room.
    fn reserve(&mut self, size: u64) {
        if self.length + size + RESERVE / 2 > self.reserved {
            let until = self.length + size + RESERVE;
            if fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, until).is_ok() {
                self.reserved = until;
            }
        }
    }
}

impl Drop for JournalWriter {
    /// Gives back the room that was reserved.
    fn drop(&mut self) {
        if self.reserved > 0 && !self.torn {
            // What is not given back now is with the run's folder.
            drop(self.file.set_len(self.length));
        }
    }
}

/// Reads a journal; returns it with the length of its whole lines, in bytes.
fn read<T: DeserializeOwned>(path: &Path, ours: u32) -> Result<(Journal<T>, u64), JournalError> {
    let mut lines = JournalLines::open(path)?;
    let missing = || JournalError::Missing { path: path.to_path_buf() };
    let head = lines.next()?.ok_or_else(missing)?;
    let head: JournalHead =
        serde_json::from_slice(&head).map_err(|error| lines.damaged(&error.to_string()))?;
    if head.journal_format != ours {
        let (path, found) = (path.to_path_buf(), head.journal_format);
        return Err(JournalError::OtherFormat { path, found, ours });
    }
    let mut entries = Vec::new();
    while let Some(line) = lines.next()? {
        if line.last() == Some(&CANCELLED) {
            continue;
        }
        let entry =
            serde_json::from_slice(&line).map_err(|error| lines.damaged(&error.to_string()))?;
        entries.push(entry);
    }
    Ok((Journal { entries, torn: lines.torn }, lines.length))
}

/// The whole lines of a journal, one after the other.
struct JournalLines<'a> {
    path: &'a Path,
    reader: BufReader<File>,
    /// How many were read, and how long they are together, in bytes.
    count: u64,
    length: u64,
    /// Whether something without an end stands behind them.
    torn: bool,
}

impl<'a> JournalLines<'a> {
    fn open(path: &'a Path) -> Result<Self, JournalError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(JournalError::Missing { path: path.to_path_buf() });
            }
            Err(error) => return Err(super::doing("open", path)(error).into()),
        };
        Ok(Self { path, reader: BufReader::new(file), count: 0, length: 0, torn: false })
    }

    /// Returns the next whole line without its end; nothing at the end.
    fn next(&mut self) -> Result<Option<Vec<u8>>, JournalError> {
        let mut line = Vec::new();
        let read = (&mut self.reader).take(LONGEST_LINE).read_until(b'\n', &mut line);
        let read = read.map_err(super::doing("read", self.path))? as u64;
        if line.pop_if(|last| *last == b'\n').is_none() {
            self.torn = read > 0;
            if read == LONGEST_LINE {
                self.count += 1;
                return Err(self.damaged(&format!("it is longer than {LONGEST_LINE} bytes")));
            }
            return Ok(None);
        }
        self.count += 1;
        self.length += read;
        Ok(Some(line))
    }

    /// Says that the line that was read last is not what it should be.
    fn damaged(&self, why: &str) -> JournalError {
        let (path, why) = (self.path.to_path_buf(), why.to_owned());
        JournalError::Damaged { path, line: self.count, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// What is written in these tests.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Noted {
        Began { host: String },
        Cancelled,
        Ended(u64),
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Returns a state folder, its runs, and a run.
    fn a_run() -> (tempfile::TempDir, Runs, RunId) {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let run = runs.begin(None).unwrap().run().clone();
        (dir, runs, run)
    }

    fn all() -> [Noted; 3] {
        [Noted::Began { host: "samsung".to_owned() }, Noted::Cancelled, Noted::Ended(3)]
    }

    fn written(runs: &Runs, run: &RunId) -> JournalWriter {
        let mut writer = runs.begin_journal(run, 1).unwrap();
        for (second, entry) in (0..).zip(all()) {
            writer.append(at(second), &entry).unwrap();
        }
        writer
    }

    #[test]
    fn what_is_written_is_read_in_order_with_its_times() {
        let (_dir, runs, run) = a_run();
        let mut writer = written(&runs, &run);
        writer.sync().unwrap();
        // While it is written, too.
        let journal: Journal<Noted> = runs.read_journal(&run, 1).unwrap();
        assert!(!journal.torn);
        let entries =
            (0..).zip(all()).map(|(second, entry)| JournalEntry { at: at(second), entry });
        assert_eq!(journal.entries, entries.collect::<Vec<_>>());
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_cut_off_by_whoever_goes_on() {
        let (_dir, runs, run) = a_run();
        drop(written(&runs, &run));
        let path = runs.folder(&run).join(JOURNAL);
        let whole = fs::read(&path).unwrap();
        for cut in 1..20 {
            fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            let journal: Journal<Noted> = runs.read_journal(&run, 1).unwrap();
            assert_eq!((journal.entries.len(), journal.torn), (2, true), "cut by {cut}");
        }
        let (mut writer, found) = runs.resume_journal::<Noted>(&run, 1).unwrap();
        assert_eq!(found.entries.len(), 2);
        writer.append(at(9), &Noted::Ended(9)).unwrap();
        let journal: Journal<Noted> = runs.read_journal(&run, 1).unwrap();
        assert_eq!(journal.entries.last().unwrap().entry, Noted::Ended(9));
        assert_eq!((journal.entries.len(), journal.torn), (3, false));
    }

    #[test]
    fn a_journal_of_another_format_is_not_read() {
        let (_dir, runs, run) = a_run();
        drop(written(&runs, &run));
        for ours in [0, 2] {
            let error = runs.read_journal::<Noted>(&run, ours).unwrap_err();
            assert!(matches!(error, JournalError::OtherFormat { found: 1, .. }), "{error}");
            assert!(runs.resume_journal::<Noted>(&run, ours).is_err());
        }
        let text = runs.read_journal::<Noted>(&run, 2).unwrap_err().to_string();
        assert!(text.contains("format 1") && text.contains("an older nixdash"), "{text}");
    }

    #[test]
    fn a_run_without_a_journal_or_killed_before_its_first_line_has_none() {
        let (_dir, runs, run) = a_run();
        let missing = |runs: &Runs| {
            let read = runs.read_journal::<Noted>(&run, 1);
            let resumed = runs.resume_journal::<Noted>(&run, 1);
            matches!(read, Err(JournalError::Missing { .. }))
                && matches!(resumed, Err(JournalError::Missing { .. }))
        };
        assert!(missing(&runs));
        let path = runs.folder(&run).join(JOURNAL);
        for text in ["", "{\"journal_fo"] {
            fs::write(&path, text).unwrap();
            assert!(missing(&runs), "{text}");
        }
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_named() {
        let (_dir, runs, run) = a_run();
        drop(written(&runs, &run));
        let path = runs.folder(&run).join(JOURNAL);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("\"cancelled\"", "\"dancelled\"")).unwrap();
        let error = runs.read_journal::<Noted>(&run, 1).unwrap_err();
        assert!(matches!(error, JournalError::Damaged { line: 3, .. }), "{error}");
    }

    #[test]
    fn one_alone_writes_a_journal_at_a_time() {
        let (_dir, runs, run) = a_run();
        let writer = written(&runs, &run);
        let second = runs.resume_journal::<Noted>(&run, 1);
        assert!(matches!(second, Err(JournalError::InUse { .. })));
        assert!(runs.begin_journal(&run, 1).is_err());
        drop(writer);
        assert!(runs.resume_journal::<Noted>(&run, 1).is_ok());
    }

    #[test]
    fn room_that_was_reserved_is_given_back_and_never_read() {
        use std::os::unix::fs::MetadataExt;
        let (_dir, runs, run) = a_run();
        let path = runs.folder(&run).join(JOURNAL);
        let writer = written(&runs, &run);
        assert!(fs::metadata(&path).unwrap().len() < 1000);
        drop(writer);
        let data = fs::metadata(&path).unwrap();
        assert!(data.len() < 1000 && data.blocks() * 512 < RESERVE / 2, "{}", data.blocks());
    }

    #[test]
    fn a_part_of_an_entry_that_could_not_be_cut_off_is_passed_over() {
        let (_dir, runs, run) = a_run();
        let mut writer = written(&runs, &run);
        // What a write leaves that failed in its middle, and could not be cut off.
        writer.file.write_all(b"{\"at\":\"1970-").unwrap();
        writer.torn = true;
        writer.append(at(9), &Noted::Ended(9)).unwrap();
        let journal: Journal<Noted> = runs.read_journal(&run, 1).unwrap();
        assert_eq!((journal.entries.len(), journal.torn), (4, false));
    }
}
