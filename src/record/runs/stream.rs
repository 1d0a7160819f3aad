//! What jobs of a run print, byte for byte: files beside the logs of their hosts.
//!
//! `HOST.build.stream` is the beginning of what the job `build` of that host printed. Its length is the
//! offset from which the job's log is read on, whenever nixdash ended: nothing else is noted. A job that
//! had to be begun once more has a file of its own (`HOST.build.again-2.stream`).
//!
//! All streams of a run together take a quarter of what the run may take. One that has no room any more
//! stays the beginning that it is; what it lacks is still on the host.

use crate::fleet::{LogFrom, LogMark, RunId};
use crate::record::runs::marks::{StreamMarks, read_marks};
use crate::record::runs::places::LogPlaces;
use crate::record::runs::stored::{StoredFile, plain_of};
use crate::record::runs::{Runs, host_file};
use jiff::Timestamp;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How the files end.
const STREAM: &str = "stream";

/// Which part of what a run may take is for its streams.
const SHARE: u64 = 4;

/// How often a job is begun once more at most.
const MOST: u32 = 1000;

/// The streams of one run. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RunStreams {
    pub(super) runs: Runs,
    pub(super) run: RunId,
    /// How many bytes all of them may take, and take.
    pub(super) limit: u64,
    pub(super) used: Arc<AtomicU64>,
}

/// One stream, which is added to.
#[derive(Debug)]
pub struct StreamFile {
    file: File,
    path: PathBuf,
    name: String,
    length: u64,
    marks: StreamMarks,
    limit: u64,
    used: Arc<AtomicU64>,
}

/// Why nothing more is added to a stream.
#[derive(Debug, thiserror::Error)]
pub enum StreamEnd {
    /// The streams of the run take as much as they may.
    #[error("the streams of the run take a quarter of max_run_size in [retention]")]
    RunSize,
    /// The disk refused it.
    #[error("{0}")]
    Disk(#[from] io::Error),
}

/// Returns how much of what a run may take is for its logs, in bytes.
pub fn share_of_logs(max_run_size: u64) -> u64 {
    max_run_size - max_run_size / SHARE
}

impl Runs {
    /// Returns the streams of a run that may take this many bytes with everything.
    pub fn streams(&self, run: &RunId, max_run_size: u64) -> RunStreams {
        let entries = fs::read_dir(self.folder(run)).into_iter().flatten().filter_map(Result::ok);
        let streams = entries
            .filter(|entry| entry.path().extension().is_some_and(|extension| extension == STREAM));
        let used = streams.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum();
        let (runs, run, limit) = (self.clone(), run.clone(), max_run_size / SHARE);
        RunStreams { runs, run, limit, used: Arc::new(AtomicU64::new(used)) }
    }

    /// Returns when a stream of a host in a run was how long, as far as that is known, the oldest first.
    pub fn stream_marks(&self, run: &RunId, host: &str, stream: &str) -> Vec<LogMark> {
        let end = format!("{stream}.{STREAM}");
        read_marks(&host_file(&self.folder(run), host, &end))
    }

    /// Opens what is kept of the streams of a host in a run, whether it goes on or has ended, each with
    /// what it is called besides its host, such as `build`, by name.
    pub fn kept_streams(&self, run: &RunId, host: &str) -> Vec<(String, StoredFile)> {
        let entries = fs::read_dir(self.folder(run)).into_iter().flatten().filter_map(Result::ok);
        let mut paths: Vec<PathBuf> = entries.map(|entry| plain_of(&entry.path())).collect();
        paths.sort();
        paths.dedup();
        let name_of = |path: &PathBuf| {
            let name = path.file_name()?.to_str()?.strip_prefix(host)?.strip_prefix('.')?;
            name.strip_suffix(STREAM)?.strip_suffix('.').map(str::to_owned)
        };
        let named = paths.into_iter().filter_map(|path| Some((name_of(&path)?, path)));
        named.filter_map(|(name, path)| Some((name, StoredFile::open(&path).ok()?))).collect()
    }
}

impl RunStreams {
    /// Opens the newest stream of a job of a host, or makes its first one.
    pub fn open(&self, host: &str, job: &str) -> io::Result<StreamFile> {
        self.open_number(host, job, self.newest(host, job))
    }

    /// Begins another stream of a job: its log was begun once more. One of which nothing is known yet
    /// is used.
    pub fn begin_anew(&self, host: &str, job: &str) -> io::Result<StreamFile> {
        let newest = self.newest(host, job);
        let stream = self.open_number(host, job, newest)?;
        if stream.length == 0 && self.logged(host, &stream.name).is_none() {
            return Ok(stream);
        }
        self.open_number(host, job, newest + 1)
    }

    /// Returns up to where the log of a host has what was read from this stream; nothing where it has
    /// nothing of it.
    pub fn logged(&self, host: &str, stream: &str) -> Option<LogFrom> {
        let logs = self.runs.log_parts(&self.run, host).into_iter().rev();
        let places = logs.filter_map(|(_, log)| LogPlaces::read(&log).whole());
        { places }.find(|from| &*from.stream == stream)
    }

    /// Returns the number of the newest stream of a job; the first is 1.
    fn newest(&self, host: &str, job: &str) -> u32 {
        let folder = self.runs.folder(&self.run);
        let is_known = |number: &u32| {
            let name = name_of(job, *number);
            host_file(&folder, host, &format!("{name}.{STREAM}")).exists()
                || self.logged(host, &name).is_some()
        };
        (2..=MOST).take_while(is_known).last().unwrap_or(1)
    }

    /// Opens a stream to add to it, for its owner alone.
    fn open_number(&self, host: &str, job: &str, number: u32) -> io::Result<StreamFile> {
        let name = name_of(job, number);
        let folder = self.runs.folder(&self.run);
        let path = host_file(&folder, host, &format!("{name}.{STREAM}"));
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).mode(0o600).open(&path)?;
        let length = file.metadata()?.len();
        let used = Arc::clone(&self.used);
        let marks = StreamMarks::open(&path);
        Ok(StreamFile { file, path, name, length, marks, limit: self.limit, used })
    }
}

/// Returns what a stream is called besides its host.
fn name_of(job: &str, number: u32) -> String {
    if number > 1 { format!("{job}.again-{number}") } else { job.to_owned() }
}

impl StreamFile {
    /// Returns what it is called besides its host, such as `build`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its file.
    pub fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Returns how many bytes it has: so many of the job's log.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Adds the next bytes of the job's log. When this fails it has the beginning of them, or nothing:
    /// nothing more may be added then.
    pub fn append(&mut self, mut bytes: &[u8]) -> Result<(), StreamEnd> {
        let count = bytes.len() as u64;
        if self.used.fetch_add(count, Ordering::Relaxed) + count > self.limit {
            self.used.fetch_sub(count, Ordering::Relaxed);
            return Err(StreamEnd::RunSize);
        }
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Ok(written) => {
                    self.length += written as u64;
                    bytes = &bytes[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Returns when it was how long, as far as that is known, the oldest first.
    pub fn marks(&self) -> Vec<LogMark> {
        read_marks(&self.path)
    }

    /// Notes that all it has was written by now.
    pub fn note_time(&mut self, now: Timestamp) {
        self.marks.note(LogMark { offset: self.length, at: now });
    }

    /// Notes what the job's host says of when its log was how long, the oldest first; it may be longer
    /// than this is.
    pub fn learn_times(&mut self, marks: &[LogMark]) {
        self.marks.add(marks);
    }

    /// Reads some of its bytes from an offset on; none at its end.
    pub fn read(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; most];
        let read = self.file.read_at(&mut bytes, offset)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{LineColours, LogLine, Phase, RunEvent, RunWhat};
    use crate::record::RunWriter;
    use proptest::prelude::*;
    use std::os::unix::fs::MetadataExt;

    /// Logs lines of the stream `build`, from a line of it on: each is made of one line of ten bytes.
    fn log(writer: &mut RunWriter, lines: std::ops::Range<u64>, batch: u64) {
        for number in lines {
            let from = LogFrom { stream: "build".into(), offset: number * 10, lines: 1 };
            let (host, line) = ("a".to_owned(), format!("line {number}"));
            let (phase, build, from) = (Phase::Build, None, Some(from));
            let colours = LineColours::default();
            let what = RunWhat::Log { host, phase, line, build, colours, from };
            let at = Timestamp::UNIX_EPOCH;
            writer.write(&RunEvent { run: writer.run().clone(), at, what });
            if number % batch == 0 {
                writer.flush().unwrap();
            }
        }
    }

    fn lines(runs: &Runs, run: &RunId) -> Vec<String> {
        let logs = runs.logs(run, "a").into_iter().map(|log| fs::read(log).unwrap());
        let bytes = logs.flatten().collect::<Vec<u8>>();
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        lines.map(|line| LogLine::read(line.trim_ascii_end()).text).collect()
    }

    proptest! {
        #[test]
        fn wherever_the_process_was_killed_every_line_is_logged_once(
            batch in 1_u64..30,
            count in 1_u64..100,
            torn in 0_usize..200,
            is_announced in any::<bool>(),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let runs = Runs::open(dir.path()).unwrap();
            let mut writer = runs.begin(None).unwrap();
            let run = writer.run().clone();
            log(&mut writer, 0..count, batch);
            writer.flush().unwrap();
            // The last lines were announced, and written in part.
            if is_announced {
                let path = runs.folder(&run).join("a.log");
                let length = fs::metadata(&path).unwrap().len();
                log(&mut writer, count..count + 10, 1000);
                writer.flush().unwrap();
                let file = OpenOptions::new().write(true).open(&path).unwrap();
                let whole = file.metadata().unwrap().len();
                file.set_len(whole - (torn as u64).min(whole - length)).unwrap();
            }
            drop(writer);
            let mut writer = runs.reopen(&run).unwrap();
            let streams = runs.streams(&run, 1 << 30);
            let from = streams.logged("a", "build").map_or(0, |from| from.offset / 10 + 1);
            log(&mut writer, from..200, batch);
            writer.finish();
            let wanted: Vec<String> = (0..200).map(|number| format!("line {number}")).collect();
            prop_assert_eq!(lines(&runs, &run), wanted);
        }
    }

    #[test]
    fn a_stream_is_for_its_owner_alone_and_goes_on_where_it_ended() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let run = runs.begin(None).unwrap().run().clone();
        let streams = runs.streams(&run, 400);
        let mut stream = streams.open("a", "build").unwrap();
        stream.append(b"one\n\xff\0").unwrap();
        assert_eq!(stream.path().metadata().unwrap().mode() & 0o777, 0o600);
        let stream = streams.open("a", "build").unwrap();
        assert_eq!((stream.length(), stream.read(4, 100).unwrap()), (6, b"\xff\0".to_vec()));
        // A job that was begun once more has another one, unless nothing is in it.
        let again = streams.begin_anew("a", "build").unwrap();
        assert_eq!((again.name(), again.length()), ("build.again-2", 0));
        assert_eq!(streams.begin_anew("a", "build").unwrap().name(), "build.again-2");
        assert_eq!(streams.open("a", "build").unwrap().name(), "build.again-2");
    }

    #[test]
    fn all_streams_together_take_a_quarter_of_what_the_run_may_take() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let run = runs.begin(None).unwrap().run().clone();
        let streams = runs.streams(&run, 400);
        streams.open("a", "build").unwrap().append(&[b'x'; 60]).unwrap();
        // Also what an earlier process kept.
        let mut other = runs.streams(&run, 400).open("b", "build").unwrap();
        other.append(&[b'x'; 40]).unwrap();
        assert!(matches!(other.append(b"x"), Err(StreamEnd::RunSize)));
        assert_eq!((other.length(), share_of_logs(400)), (40, 300));
    }
}
