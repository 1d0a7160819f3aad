//! A run as one file, which shows elsewhere what it shows here.
//!
//! Compressed JSON Lines (`zcat` shows them): a head, then every line of the run's events, journal, edges,
//! logs and streams with the name of its file, then the end. The secrets that are known are hidden on the way out;
//! what looks like one is hidden there too, and once more on the way in, where texts are also made printable: the file may come from anybody.
//!
//! Hiding makes lines of a stream longer or shorter, and its marks say when it was how long. So a mark stands
//! among the lines of its stream, as a time behind those that were there by then; who reads the file counts
//! their bytes again.

mod damage;
mod import;

pub use damage::ExportDamage;

use crate::fleet::{
    KnownSecrets, LogLine, RawLogLine, RunId, each_text, printable_json, printable_line, redact,
    redact_json,
};
use crate::record::Runs;
use crate::record::runs::events::{EventLine, ReadExtent, read_events};
use crate::record::runs::marks::read_marks;
use crate::record::runs::retention::REMOVED;
use crate::record::runs::stored::{StoredFile, plain_of};
use crate::record::runs::{EVENTS, LIVE, files_of, journal};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// The format of the file.
const FORMAT: u32 = 2;

/// How the names of the files of hosts end: what was said of them, which derivation needs which, what their
/// jobs printed, and when.
const LOG: &str = "log";
const EDGES: &str = "edges";
const STREAM: &str = "stream";
const MARKS: &str = "marks";

/// What a line of a stream begins with that Nix says as JSON.
const NIX_SAYS: &str = "@nix ";

/// The longest line that is read, in bytes.
const LONGEST: u64 = 16 << 20;

/// How much a file may hold, in bytes: four times what the logs of a run may take by default.
const BIGGEST: u64 = 4 << 30;

/// The same in words.
const BIGGEST_WORDS: &str = "4 GiB";

/// How much of that may be no logs, in bytes: it is held in memory by whoever looks.
const BIGGEST_DOCUMENTS: u64 = 256 << 20;

/// The same in words.
const BIGGEST_DOCUMENTS_WORDS: &str = "256 MiB";

/// How many files a run may have: of a host the parts of its log, what is needed, and two for each job.
const FILES: usize = 30_000;

/// The first line of an exported run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExportedRun {
    /// The format of the file.
    nixdash_run: u32,
    /// The run's number.
    pub run: RunId,
    /// When the file was written.
    pub exported_at: Timestamp,
    /// The version of nixdash that wrote it.
    pub version: String,
    /// The hosts and tiers that the run's screen names, as whoever exports it describes them.
    pub fleet: Value,
    /// What is damaged in the file that it was read from; empty where it is whole.
    #[serde(skip)]
    pub damage: Vec<ExportDamage>,
}

/// A line behind the first one.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum ExportedLine {
    /// A line of a file of the run.
    Line {
        /// The file, below the run's folder.
        file: String,
        /// The line.
        line: String,
    },
    /// The end: the file is whole.
    End {
        /// How many lines stand before.
        lines: u64,
    },
}

/// A run could not be exported, or read from a file.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The run has no folder.
    #[error("there is no record of run {run} here: {} is not there; `nixdash runs` lists the runs", path.display())]
    NoRun {
        /// The run.
        run: RunId,
        /// Where its folder would be.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("could not open {}: {source}; name a file that `nixdash runs export N` wrote", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is something else.
    #[error("{} is not a run that nixdash exported: {why}; `nixdash runs export N` writes one", path.display())]
    NoExport {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The file is of a newer nixdash.
    #[error("{} was written by nixdash {version} in a format that this nixdash does not know; \
         open it with that version", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Which wrote it.
        version: String,
    },
    /// The file ends before anything of the run.
    #[error("{} is cut short, and nothing of the run can be read; copy it once more", path.display())]
    Cut {
        /// The file.
        path: PathBuf,
    },
    /// The file holds too much.
    #[error(
        "{} holds more than nixdash writes into the file of a run ({what}), so it is not opened: it would fill \
         memory or disk; ask whoever sent it for another one",
        path.display()
    )]
    TooBig {
        /// The file.
        path: PathBuf,
        /// What it holds too much of.
        what: &'static str,
    },
    /// The run holds more than is read from a file.
    #[error(
        "run {run} is too large for one file: it holds more than {BIGGEST_WORDS}; `nixdash logs {run}` shows it here, \
         and max_run_size in [retention] keeps the logs of later runs smaller"
    )]
    RunTooBig {
        /// The run.
        run: RunId,
    },
    /// The run holds more beside its logs than is read from a file.
    #[error(
        "run {run} is too large for one file: what is recorded of it beside its logs (events, journal, which \
         derivation needs which) takes more than {BIGGEST_DOCUMENTS_WORDS}, and all of that is always kept; \
         `nixdash logs {run}` shows the run here"
    )]
    DocumentsTooBig {
        /// The run.
        run: RunId,
    },
    /// The file could not be written.
    #[error(
        "could not write the file of run {run}: {source}; is the disk full? `-o FILE` names another file"
    )]
    Write {
        /// The run.
        run: RunId,
        /// Why.
        source: io::Error,
    },
    /// What a file holds could not be written where it is read from.
    #[error(
        "could not unpack {}: {source}; its folder needs room for the whole run, and TMPDIR may name another one",
        path.display()
    )]
    Unpack {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What was written of a run that was exported.
#[derive(Debug)]
pub struct WrittenExport {
    /// How many lines of the run's files.
    pub lines: u64,
    /// The files of the run that cannot be read to their ends; empty where all can.
    pub unread: Vec<UnreadFile>,
}

/// A file of a run that cannot be read to its end.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read behind line {line} ({source}), so what came there is missing", path.display())]
pub struct UnreadFile {
    /// The file, by the name that it has when it is plain.
    pub path: PathBuf,
    /// The last line that could be read; 0 where none could.
    pub line: u64,
    /// Why.
    pub source: io::Error,
}

impl Runs {
    /// Writes a run with all that is recorded of it as one file; `fleet` describes the hosts and tiers
    /// that its screen names, and `secrets` are those that are hidden wherever they stand. Of a file of the run
    /// that is damaged everything is written that can be read; a log says in its place what is missing.
    pub fn export(
        &self,
        run: &RunId,
        fleet: Value,
        secrets: &KnownSecrets,
        out: impl Write,
    ) -> Result<WrittenExport, ExportError> {
        self.export_within((BIGGEST, BIGGEST_DOCUMENTS), run, fleet, secrets, out)
    }

    /// The same, of a run that takes so many bytes at most before they are compressed, and so many of them beside its
    /// logs.
    fn export_within(
        &self,
        (room, documents_room): (u64, u64),
        run: &RunId,
        fleet: Value,
        secrets: &KnownSecrets,
        out: impl Write,
    ) -> Result<WrittenExport, ExportError> {
        self.check_exportable(run)?;
        let not_written = |source| ExportError::Write { run: run.clone(), source };
        let mut out = RunExport {
            out: GzEncoder::new(BufWriter::new(out), Compression::default()),
            lines: 0,
            room,
            documents_room,
            secrets,
        };
        let mut head = ExportedRun {
            nixdash_run: FORMAT,
            run: run.clone(),
            exported_at: Timestamp::now(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            fleet,
            damage: Vec::new(),
        };
        secrets.hide_json(&mut head.fleet);
        redact_json(&mut head.fleet);
        out.json(&head).map_err(not_written)?;
        let unread = match self.export_files(run, &mut out) {
            Ok(unread) => unread,
            Err(_) if out.documents_room == 0 => {
                return Err(ExportError::DocumentsTooBig { run: run.clone() });
            }
            Err(_) if out.room == 0 => return Err(ExportError::RunTooBig { run: run.clone() }),
            Err(error) => return Err(not_written(error)),
        };
        let lines = out.lines;
        out.json(&ExportedLine::End { lines }).map_err(not_written)?;
        out.out.finish().and_then(|mut out| out.flush()).map_err(not_written)?;
        Ok(WrittenExport { lines, unread })
    }

    /// Fails for a run of which there is no record.
    pub fn check_exportable(&self, run: &RunId) -> Result<(), ExportError> {
        let path = self.folder(run);
        let is_there = path.join(EVENTS).is_file();
        if is_there { Ok(()) } else { Err(ExportError::NoRun { run: run.clone(), path }) }
    }

    /// Writes every file of a run; fails where it cannot be written, and returns what cannot be read.
    fn export_files(
        &self,
        run: &RunId,
        out: &mut RunExport<'_, impl Write>,
    ) -> io::Result<Vec<UnreadFile>> {
        let dir = self.folder(run);
        let mut failed = None;
        // Log lines that an older nixdash put among the events stand in the logs, too.
        read_events(&dir.join(EVENTS), 0, ReadExtent::Whole, |line| {
            if let EventLine::Few(event) = line
                && let Ok(event) = serde_json::to_value(&event)
            {
                failed = out.document(EVENTS, event).err().or(failed.take());
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        let name_of =
            |path: &Path| path.strip_prefix(&dir).unwrap_or(path).to_string_lossy().into_owned();
        let mut unread = Vec::new();
        let documents = [dir.join(journal::JOURNAL), dir.join(LIVE)];
        for path in documents.into_iter().chain(self.files_ending(run, EDGES)) {
            unread.extend(out.documents(&path, &name_of(&path))?);
        }
        for log in self.files_ending(run, LOG) {
            let name = name_of(&log);
            let mut newest = None;
            let missing = each_line(&log, |line, _| {
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                newest = RawLogLine::read(line).at.or(newest);
                let text = out.secrets.hide(&String::from_utf8_lossy(line));
                out.line(&name, redact(&text).into_owned())
            })?;
            if let Some(missing) = missing {
                let mark = LogLine::plain(newest, None, printable_line(&missing.to_string()));
                out.line(&name, mark.written().trim_end_matches('\n').to_owned())?;
                unread.push(missing);
            }
        }
        for stream in self.files_ending(run, STREAM) {
            unread.extend(out.stream(&stream, &name_of(&stream))?);
        }
        // Logs may be removed while they are read. That is noted before, so it is known now.
        unread.extend(out.documents(&dir.join(REMOVED), REMOVED)?);
        Ok(unread)
    }

    /// Returns every file of a run whose name ends so, by their plain names; of a log all parts, oldest
    /// lines first.
    fn files_ending(&self, run: &RunId, end: &str) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = files_of(&self.folder(run))
            .map(|path| plain_of(&path))
            .filter(|path| ends(path, end))
            .collect();
        files.sort();
        files.dedup();
        files
    }
}

/// Writes the lines of an exported run.
struct RunExport<'a, W: Write> {
    out: GzEncoder<BufWriter<W>>,
    lines: u64,
    /// How many bytes may be written still, counted before they are compressed.
    room: u64,
    /// How many of them may be no logs.
    documents_room: u64,
    secrets: &'a KnownSecrets,
}

impl<W: Write> RunExport<'_, W> {
    /// Writes a line of JSON.
    fn json(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.room = self.room.saturating_sub(bytes.len() as u64);
        if self.room == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.out.write_all(&bytes)
    }

    /// Writes a file with a document in each line. Returns what cannot be read.
    fn documents(&mut self, path: &Path, name: &str) -> io::Result<Option<UnreadFile>> {
        each_line(path, |line, _| match serde_json::from_slice(line) {
            Ok(document) => self.document(name, document),
            // Torn.
            Err(_) => Ok(()),
        })
    }

    /// Writes a document that is a line of a file, without secrets.
    fn document(&mut self, file: &str, mut document: Value) -> io::Result<()> {
        self.secrets.hide_json(&mut document);
        redact_json(&mut document);
        let line = document.to_string();
        self.documents_room = self.documents_room.saturating_sub(line.len() as u64 + 1);
        if self.documents_room == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.line(file, line)
    }

    /// Writes what a job printed, and between its lines when they were there. Returns what cannot be read.
    fn stream(&mut self, stream: &Path, name: &str) -> io::Result<Option<UnreadFile>> {
        let marks_name = Path::new(name).with_extension(MARKS).to_string_lossy().into_owned();
        let mut marks = read_marks(stream).into_iter().peekable();
        let missing = each_line(stream, |line, end| {
            while let Some(mark) = marks.next_if(|mark| mark.offset < end) {
                self.line(&marks_name, mark.at.as_millisecond().to_string())?;
            }
            let Some(line) = line.strip_suffix(b"\n") else { return Ok(()) };
            let secrets = self.secrets;
            self.line(name, stream_line(line, |text| secrets.hide(text)))
        })?;
        for mark in marks {
            self.line(&marks_name, mark.at.as_millisecond().to_string())?;
        }
        Ok(missing)
    }

    /// Writes a line of a file.
    fn line(&mut self, file: &str, line: String) -> io::Result<()> {
        self.lines += 1;
        self.json(&ExportedLine::Line { file: file.to_owned(), line })
    }
}

/// Returns whether the name of a file ends so, behind a dot.
fn ends(path: &Path, end: &str) -> bool {
    path.extension().is_some_and(|extension| extension == end)
}

/// Returns a line of a stream as it is exported: printable, and without what `hide` and its looks say to be a
/// secret.
fn stream_line(line: &[u8], mut hide: impl FnMut(&str) -> String) -> String {
    let line = String::from_utf8_lossy(line);
    let said = line.strip_prefix(NIX_SAYS).and_then(|said| serde_json::from_str(said).ok());
    let Some(mut said) = said else { return redact(&hide(&printable_line(&line))).into_owned() };
    printable_json(&mut said);
    each_text(&mut said, &mut hide);
    redact_json(&mut said);
    format!("{NIX_SAYS}{said}")
}

/// Gives every line of a file to `take`, whose error ends it: with its end, and with the offset behind it. A file
/// that is not there has none. Returns what cannot be read, where something cannot.
fn each_line(
    path: &Path,
    mut take: impl FnMut(&[u8], u64) -> io::Result<()>,
) -> io::Result<Option<UnreadFile>> {
    let unread = |line, source| Ok(Some(UnreadFile { path: path.to_path_buf(), line, source }));
    let file = match StoredFile::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return unread(0, error),
    };
    let mut reader = BufReader::new(file.reader());
    let (mut line, mut number, mut end) = (Vec::new(), 0, 0);
    loop {
        line.clear();
        match read_line(&mut reader, &mut line) {
            Ok(0) => return Ok(None),
            Ok(read) => {
                end += read as u64;
                take(&line, end)?;
            }
            Err(error) => return unread(number, error),
        }
        number += 1;
    }
}

/// Reads a line with its end; of one that is too long a part.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    reader.take(LONGEST).read_until(b'\n', line)
}

#[cfg(test)]
mod tests;
