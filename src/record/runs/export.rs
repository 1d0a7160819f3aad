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

pub use damage::ExportDamage;

use crate::fleet::{
    KnownSecrets, LogLine, RawLogLine, RunId, each_text, printable_json, printable_line, redact,
    redact_json,
};
use crate::record::runs::events::{EventLine, ReadExtent, read_events};
use crate::record::runs::marks::read_marks;
use crate::record::runs::retention::REMOVED;
use crate::record::runs::stored::{StoredFile, plain_of};
use crate::record::runs::{EVENTS, LIVE, doing, files_of, journal};
use crate::record::{RecordError, Runs};
use damage::Damages;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
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
    #[error("{} holds more than 4 GB or 30 000 files, which no run does", path.display())]
    TooBig {
        /// The file.
        path: PathBuf,
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
    /// Something could not be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
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
        self.check_exportable(run)?;
        let not_written = |source| ExportError::Write { run: run.clone(), source };
        let mut out = RunExport {
            out: GzEncoder::new(BufWriter::new(out), Compression::default()),
            lines: 0,
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
        let unread = self.export_files(run, &mut out).map_err(not_written)?;
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
        let documents = [dir.join(journal::JOURNAL), dir.join(LIVE), dir.join(REMOVED)];
        for path in documents.into_iter().chain(self.files_ending(run, EDGES)) {
            let name = name_of(&path);
            unread.extend(each_line(&path, |line, _| match serde_json::from_slice(line) {
                Ok(document) => out.document(&name, document),
                // Torn.
                Err(_) => Ok(()),
            })?);
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

    /// Reads a run that was exported into this folder of runs; returns its head. Of a damaged file all that can
    /// be read is taken, and the head says what is missing.
    pub fn import(&self, path: &Path) -> Result<ExportedRun, ExportError> {
        let file = File::open(path)
            .map_err(|source| ExportError::Open { path: path.to_path_buf(), source })?;
        let mut reader = BufReader::new(GzDecoder::new(BufReader::new(file)).take(BIGGEST));
        let mut line = Vec::new();
        let no_export = |why: String| ExportError::NoExport { path: path.to_path_buf(), why };
        read_line(&mut reader, &mut line).map_err(|error| no_export(not_read(&error)))?;
        let mut head: Value = serde_json::from_slice(&line)
            .map_err(|_| no_export("its first line is not that of an exported run".to_owned()))?;
        printable_json(&mut head);
        if head["nixdash_run"].as_u64().is_some_and(|format| format > u64::from(FORMAT)) {
            let version = head["version"].as_str().unwrap_or_default().to_owned();
            return Err(ExportError::Newer { path: path.to_path_buf(), version });
        }
        let head: ExportedRun =
            serde_json::from_value(head).map_err(|error| no_export(error.to_string()))?;
        if head.run.0.is_empty() || !head.run.0.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(no_export("its run has no number".to_owned()));
        }
        let mut import = RunImport::begin(self.folder(&head.run))?;
        let damage = read_lines(path, &mut reader, &mut import)?;
        import.end()?;
        if !damage.is_empty() && !import.begun.contains(EVENTS) {
            return Err(if matches!(damage[..], [ExportDamage::Cut { .. }]) {
                ExportError::Cut { path: path.to_path_buf() }
            } else {
                no_export(format!("nothing of the run can be read: {}", damage[0]))
            });
        }
        Ok(ExportedRun { damage, ..head })
    }
}

/// Reads the lines behind the first one, and returns what is damaged. What cannot be read is left out, except
/// what no nixdash writes.
fn read_lines(
    path: &Path,
    reader: &mut BufReader<io::Take<GzDecoder<BufReader<File>>>>,
    import: &mut RunImport,
) -> Result<Vec<ExportDamage>, ExportError> {
    let mut found = Damages::default();
    let mut text = Vec::new();
    // The first line is read already.
    let mut number = 1;
    loop {
        text.clear();
        let read = read_line(reader, &mut text);
        if reader.get_ref().limit() == 0 {
            return Err(ExportError::TooBig { path: path.to_path_buf() });
        }
        match read {
            Ok(0) => {
                found.add(ExportDamage::Cut { after: number });
                break;
            }
            Ok(_) => number += 1,
            Err(error) => {
                found.add(match error.kind() {
                    io::ErrorKind::UnexpectedEof => ExportDamage::Cut { after: number },
                    _ => ExportDamage::Corrupt { after: number },
                });
                break;
            }
        }
        match serde_json::from_slice(&text) {
            // A line of which the end is missing.
            Err(_) if !text.ends_with(b"\n") => number -= 1,
            Err(_) => found.add(ExportDamage::NoLine { line: number }),
            Ok(ExportedLine::End { lines: written }) => {
                let read = number - 2;
                if written != read {
                    found.add(ExportDamage::Counted { written, read });
                }
                if io::copy(reader, &mut io::sink()).is_err() {
                    found.add(ExportDamage::Changed);
                }
                break;
            }
            Ok(ExportedLine::Line { file, line }) => {
                if !is_of_a_run(&file) {
                    let why = format!("no run has a file {file:?}");
                    return Err(ExportError::NoExport { path: path.to_path_buf(), why });
                }
                if import.begun.len() >= FILES {
                    return Err(ExportError::TooBig { path: path.to_path_buf() });
                }
                if !import.take(&file, &line)? {
                    found.add(ExportDamage::NoDocument { line: number, file });
                }
            }
        }
    }
    Ok(found.all())
}

/// Writes the lines of an exported run.
struct RunExport<'a, W: Write> {
    out: GzEncoder<BufWriter<W>>,
    lines: u64,
    secrets: &'a KnownSecrets,
}

impl<W: Write> RunExport<'_, W> {
    /// Writes a line of JSON.
    fn json(&mut self, line: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, line)?;
        self.out.write_all(b"\n")
    }

    /// Writes a document that is a line of a file, without secrets.
    fn document(&mut self, file: &str, mut document: Value) -> io::Result<()> {
        self.secrets.hide_json(&mut document);
        redact_json(&mut document);
        self.line(file, document.to_string())
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

/// Writes the files of a run that is read from one file.
struct RunImport {
    dir: PathBuf,
    /// The files that were begun.
    begun: BTreeSet<String>,
    /// The one that is written now.
    file: Option<(String, BufWriter<File>)>,
    /// How long the streams are, in bytes.
    streams: BTreeMap<PathBuf, u64>,
}

impl RunImport {
    /// Makes the folder, which no process carries out and no fleet has.
    fn begin(dir: PathBuf) -> Result<Self, RecordError> {
        DirBuilder::new().mode(0o700).create(&dir).map_err(doing("make", &dir))?;
        for (name, text) in [(super::PROCESS, "0 0\n"), (super::FLEET, "")] {
            let file = dir.join(name);
            fs::write(&file, text).map_err(doing("write", &file))?;
        }
        Ok(Self { dir, begun: BTreeSet::new(), file: None, streams: BTreeMap::new() })
    }

    /// Takes a line of a file; returns whether it can be read there.
    fn take(&mut self, name: &str, line: &str) -> Result<bool, RecordError> {
        let file = Path::new(name);
        let text = if ends(file, LOG) {
            LogLine::read(line.as_bytes()).written()
        } else if ends(file, STREAM) {
            let text = stream_line(line.as_bytes(), str::to_owned) + "\n";
            *self.streams.entry(file.to_path_buf()).or_default() += text.len() as u64;
            text
        } else if ends(file, MARKS) {
            let Ok(at) = line.parse::<i64>() else { return Ok(false) };
            let length = self.streams.get(&file.with_extension(STREAM)).copied();
            format!("{} {at}\n", length.unwrap_or_default())
        } else {
            // What is no JSON would not be read from the folder either.
            let Ok(mut document) = serde_json::from_str::<Value>(line) else { return Ok(false) };
            printable_json(&mut document);
            format!("{document}\n")
        };
        let path = self.dir.join(name);
        if self.file.as_ref().is_none_or(|(open, _)| open != name) {
            self.end()?;
            let file = append(&path).map_err(doing("make", &path))?;
            self.begun.insert(name.to_owned());
            self.file = Some((name.to_owned(), BufWriter::new(file)));
        }
        let Some((_, file)) = &mut self.file else { return Ok(false) };
        file.write_all(text.as_bytes()).map_err(doing("write", &path))?;
        Ok(true)
    }

    /// Writes what was not written yet.
    fn end(&mut self) -> Result<(), RecordError> {
        let Some((name, mut file)) = self.file.take() else { return Ok(()) };
        file.flush().map_err(doing("write", &self.dir.join(name)))
    }
}

/// Opens a file to append to it, and makes it with its folder where it is missing.
fn append(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Returns whether a file is one of a run's folder that is exported: nothing else is written.
fn is_of_a_run(name: &str) -> bool {
    let file = match name.split_once('/') {
        Some((folder, log)) => {
            let number = folder.strip_prefix("tail-").unwrap_or_default();
            let counted = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            (counted && ends(Path::new(log), LOG)).then_some(log)
        }
        None => Some(name),
    };
    let Some(file) = file else { return false };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_name = file.len() <= 128 && !file.starts_with('.') && file.chars().all(plain);
    let is_of_a_host = [LOG, EDGES, STREAM, MARKS].iter().any(|end| ends(Path::new(file), end));
    is_name && (is_of_a_host || [EVENTS, journal::JOURNAL, LIVE, REMOVED].contains(&name))
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

/// Says why the first line of a file could not be read.
fn not_read(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::InvalidInput => {
            "it is not compressed, and the file of a run is; name the file as it was written"
                .to_owned()
        }
        _ => error.to_string(),
    }
}

/// Reads a line with its end; of one that is too long a part.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    reader.take(LONGEST).read_until(b'\n', line)
}

#[cfg(test)]
mod tests;
