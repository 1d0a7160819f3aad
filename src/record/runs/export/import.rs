//! Reading a run that was exported: the file may come from anybody.

use super::damage::{Damages, ExportDamage};
use super::{
    BIGGEST, BIGGEST_DOCUMENTS, BIGGEST_WORDS, EDGES, ExportError, ExportedLine, ExportedRun,
    FILES, FORMAT, LOG, MARKS, STREAM, ends, read_line, stream_line,
};
use crate::fleet::{LogLine, printable_json};
use crate::record::runs::retention::REMOVED;
use crate::record::runs::{EVENTS, FLEET, LIVE, PROCESS, doing, journal};
use crate::record::{RecordError, Runs};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

impl Runs {
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
        let no_room = |error| not_unpacked(path, error);
        let mut import = RunImport::begin(self.folder(&head.run)).map_err(no_room)?;
        let damage = read_lines(path, &mut reader, &mut import)?;
        import.end().map_err(no_room)?;
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
            return Err(too_big(path, BIGGEST_WORDS));
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
                    return Err(too_big(path, "30 000 files"));
                }
                if import.documents_left == 0 {
                    return Err(too_big(path, "256 MiB of events"));
                }
                let is_taken = import.take(&file, &line);
                if !is_taken.map_err(|error| not_unpacked(path, error))? {
                    found.add(ExportDamage::NoDocument { line: number, file });
                }
            }
        }
    }
    Ok(found.all())
}

/// Says that a file holds too much of something.
fn too_big(path: &Path, what: &'static str) -> ExportError {
    ExportError::TooBig { path: path.to_path_buf(), what }
}

/// Says that what a file holds could not be written.
fn not_unpacked(path: &Path, error: RecordError) -> ExportError {
    ExportError::Unpack { path: path.to_path_buf(), source: error.source }
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
    /// How long the files together may become that are no logs, in bytes.
    documents_left: u64,
}

impl RunImport {
    /// Makes the folder, which no process carries out and no fleet has.
    fn begin(dir: PathBuf) -> Result<Self, RecordError> {
        DirBuilder::new().mode(0o700).create(&dir).map_err(doing("make", &dir))?;
        for (name, text) in [(PROCESS, "0 0\n"), (FLEET, "")] {
            let file = dir.join(name);
            fs::write(&file, text).map_err(doing("write", &file))?;
        }
        let documents_left = BIGGEST_DOCUMENTS;
        let (begun, streams) = (BTreeSet::new(), BTreeMap::new());
        Ok(Self { dir, begun, file: None, streams, documents_left })
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
            let text = format!("{document}\n");
            self.documents_left = self.documents_left.saturating_sub(text.len() as u64);
            text
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

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    #[test]
    fn a_small_file_that_holds_too_much_is_not_taken_into_memory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.gz");
        let mut file = GzEncoder::new(File::create(&path).unwrap(), Compression::default());
        for _ in 0..100 {
            file.write_all(b"{\"file\":\"events.jsonl\",\"line\":\"{}\"}\n").unwrap();
        }
        file.finish().unwrap();
        let mut import = RunImport::begin(dir.path().join("7")).unwrap();
        import.documents_left = 100;
        let file = BufReader::new(File::open(&path).unwrap());
        let mut reader = BufReader::new(GzDecoder::new(file).take(BIGGEST));
        let error = read_lines(&path, &mut reader, &mut import).unwrap_err().to_string();
        assert!(error.contains("(256 MiB of events), so it is not opened"), "{error}");
        import.end().unwrap();
        assert!(fs::metadata(dir.path().join("7").join(EVENTS)).unwrap().len() <= 110);
    }
}
