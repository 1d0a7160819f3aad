//! Compressing what an ended run said: logs of hosts, and what its jobs printed.
//!
//! A file is compressed beside itself under another name, brought to the disk, given its name, and only
//! then the plain one is removed. Whenever that is interrupted, one of both is there and whole; where
//! both are, the plain one counts, and it is compressed once more.

use crate::fleet::RunId;
use crate::record::Runs;
use crate::record::runs::files::{DiskFiles, Files as _};
use crate::record::runs::frames::compress;
use crate::record::runs::index::{complete_index, index_of};
use crate::record::runs::stored::{StoredFile, packed_of};
use crate::record::runs::tidy::FirstError;
use crate::record::runs::{doing, files_of};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How the names of the files end that are compressed.
const LOG: &str = "log";
const STREAM: &str = "stream";

/// A smaller file, in bytes, stays as it is: little would be won, and bringing it to the disk takes time at
/// the end of every run.
const SMALLEST: u64 = 64 * 1024;

impl Runs {
    /// Compresses the logs and the streams of a run to which nobody writes any more; what cannot be compressed
    /// stays as it is. Returns how many bytes were compressed.
    pub(super) fn pack(&self, run: &RunId, failed: &mut FirstError) -> u64 {
        let mut size = 0;
        for path in plain_files(&self.folder(run)) {
            let packed = pack(&path).map_err(doing("compress", &path));
            failed.note(packed.map(|packed| size += packed));
        }
        size
    }
}

#[cfg(test)]
impl Runs {
    /// Does what [`Runs::pack`] does for a run of which every file can be compressed.
    pub(super) fn pack_whole(&self, run: &RunId) -> u64 {
        let mut failed = FirstError::default();
        let size = self.pack(run, &mut failed);
        failed.result().expect("a file of a test can be compressed");
        size
    }
}

/// Returns the files of a run that are to be compressed.
fn plain_files(dir: &Path) -> Vec<PathBuf> {
    files_of(dir)
        .filter(|path| path.extension().is_some_and(|end| end == LOG || end == STREAM))
        .filter(|path| fs::metadata(path).is_ok_and(|about| about.len() >= SMALLEST))
        .collect()
}

/// Compresses one file; returns how many bytes it had.
fn pack(path: &Path) -> io::Result<u64> {
    let is_log = path.extension().is_some_and(|end| end == LOG);
    if is_log {
        let (log, index) = (StoredFile::open(path)?, index_of(path));
        if let Some(entries) = complete_index(&log, &index)? {
            DiskFiles::default().replace(&index, &entries)?;
        }
    }
    let packed = packed_of(path);
    let fresh = packed.with_extension("zst-new");
    let written = write_packed(path, &fresh, is_log).and_then(|size| {
        fs::rename(&fresh, &packed)?;
        Ok(size)
    });
    if written.is_err() {
        // A half file takes the room that others need.
        drop(fs::remove_file(&fresh));
    }
    let size = written?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    fs::remove_file(path)?;
    Ok(size)
}

/// Writes what a file holds compressed into a fresh one, and brings that to the disk; returns how many bytes
/// the file has.
fn write_packed(path: &Path, fresh: &Path, is_log: bool) -> io::Result<u64> {
    let mut source = File::open(path)?;
    let size = source.metadata()?.len();
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(fresh)?;
    let mut out = BufWriter::new(file);
    let length = compress(&mut source, &mut out, is_log)?;
    out.flush()?;
    out.get_ref().sync_all()?;
    if length != size || source.metadata()?.len() != size {
        return Err(io::Error::other("it was written to meanwhile"));
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{KnownSecrets, Phase, RunEvent, RunWhat};
    use crate::record::{LogPattern, SearchDirection, SearchNews};
    use jiff::Timestamp;
    use std::ops::ControlFlow;

    const STREAM_LINE: &[u8] = b"@nix {}\n";

    /// Returns a run with a log in several parts, a stream, and one that is small.
    fn a_run() -> (tempfile::TempDir, Runs, RunId) {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let mut writer = runs.begin(None).unwrap().with_limit(2_000_000);
        let run = writer.run().clone();
        for number in 0..60_000 {
            let at = Timestamp::from_second(number).unwrap();
            let what = RunWhat::log("a".to_owned(), Phase::Build, format!("a> line {number}"));
            writer.write(&RunEvent { run: run.clone(), at, what });
            if number % 1000 == 0 {
                writer.flush().unwrap();
            }
        }
        writer.finish();
        let mut stream = runs.streams(&run, 1 << 30).open("a", "build").unwrap();
        stream.append(&STREAM_LINE.repeat(10_000)).unwrap();
        let mut small = runs.streams(&run, 1 << 30).open("a", "fetch").unwrap();
        small.append(STREAM_LINE).unwrap();
        (dir, runs, run)
    }

    /// Returns what every reader says of a run's log.
    fn read(runs: &Runs, run: &RunId) -> (Vec<Vec<u8>>, Vec<String>, u64, Vec<u64>) {
        let mut lines = runs.log_lines(run, "a");
        let mut all = Vec::new();
        while lines.advance().unwrap() {
            all.push(lines.line().to_vec());
        }
        let newest = runs.read_log(run, "a", 50).look().unwrap();
        let mut numbered = runs.numbered_log(run, "a");
        numbered.look().unwrap();
        let mut hits = Vec::new();
        for word in ["99", "line 5999", "Line", "A> LINE 4242", "a> line 4242"] {
            let pattern = LogPattern::substring(word).unwrap();
            let searched = numbered.search(&pattern, 0, SearchDirection::Forward, &mut |news| {
                if let SearchNews::Hit(number) = news {
                    hits.push(number);
                }
                ControlFlow::Continue(())
            });
            assert!(searched.unwrap().is_continue());
        }
        let texts = newest.lines.into_iter().map(|line| line.text).collect();
        (all, texts, numbered.count(), hits)
    }

    #[test]
    fn a_compressed_run_reads_as_it_did_and_takes_less_room() {
        let (_dir, runs, run) = a_run();
        assert!(runs.logs(&run, "a").len() > 2);
        let size = |runs: &Runs| {
            let logs = runs.logs(&run, "a");
            logs.iter().map(|log| fs::metadata(log).unwrap().len()).sum::<u64>()
        };
        let (before, plain, sizes) = (read(&runs, &run), size(&runs), runs.log_sizes(&run));
        let mut exported = Vec::new();
        runs.export(&run, serde_json::Value::Null, &KnownSecrets::default(), &mut exported)
            .unwrap();
        let mut following = runs.read_log(&run, "a", 50);
        following.look().unwrap();
        let large = |path: &PathBuf| fs::metadata(path).unwrap().len() >= SMALLEST;
        let logs: Vec<PathBuf> = runs.logs(&run, "a").into_iter().filter(large).collect();
        assert!(logs.len() > 1);
        let bytes: u64 = logs.iter().map(|path| fs::metadata(path).unwrap().len()).sum();
        assert_eq!(runs.pack_whole(&run), bytes + 80_000);
        assert!(plain_files(&runs.folder(&run)).is_empty());
        assert_eq!(read(&runs, &run), before);
        assert_eq!(runs.log_sizes(&run), sizes);
        assert!(size(&runs) * 5 < plain);
        // Whoever had the plain file open reads on in it.
        assert_eq!(following.look(), None);
        let mut again = Vec::new();
        runs.export(&run, serde_json::Value::Null, &KnownSecrets::default(), &mut again).unwrap();
        let lines = |bytes: &[u8]| {
            let text = io::read_to_string(flate2::read::GzDecoder::new(bytes)).unwrap();
            text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(lines(&exported), lines(&again));
        let streams = runs.kept_streams(&run, "a");
        let texts: Vec<(&str, usize)> = streams
            .iter()
            .map(|(name, stream)| {
                let text = io::read_to_string(stream.reader()).unwrap();
                (name.as_str(), text.matches("@nix {}\n").count())
            })
            .collect();
        assert_eq!(texts, [("build", 10_000), ("fetch", 1)]);
        assert!(runs.folder(&run).join("a.fetch.stream").exists(), "a small one stays as it is");
        assert_eq!(runs.pack_whole(&run), 0);
    }

    #[test]
    fn wherever_compressing_is_killed_the_log_is_there() {
        let (_dir, runs, run) = a_run();
        let before = read(&runs, &run);
        let log = runs.folder(&run).join("a.log");
        let plain = fs::read(&log).unwrap();
        // While it was written.
        fs::write(packed_of(&log).with_extension("zst-new"), b"half").unwrap();
        assert_eq!(read(&runs, &run), before);
        runs.pack_whole(&run);
        // Before the plain one was removed: also where the other one is of something else.
        fs::write(&log, plain).unwrap();
        fs::write(packed_of(&log), b"what is this").unwrap();
        assert_eq!(read(&runs, &run), before);
        runs.pack_whole(&run);
        assert_eq!(read(&runs, &run), before);
    }

    #[test]
    fn of_a_file_that_cannot_be_compressed_nothing_is_left_behind_and_the_others_are_compressed() {
        let (_dir, runs, run) = a_run();
        let before = read(&runs, &run);
        let (log, folder) = (runs.folder(&run).join("a.log"), runs.folder(&run));
        fs::create_dir(packed_of(&log)).unwrap();
        let mut failed = FirstError::default();
        assert!(runs.pack(&run, &mut failed) > 80_000);
        assert_eq!(failed.result().unwrap_err().path, log);
        assert!(
            !folder.join("a.log.zst-new").exists() && folder.join("a.build.stream.zst").exists()
        );
        assert_eq!(read(&runs, &run), before);
    }
}
