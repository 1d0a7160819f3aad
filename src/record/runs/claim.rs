//! Whose a run's folder is: made by one process for another, taken by it, or by a later one.
//!
//! The number of a run is a folder that was made, so two processes never get the same. Who carries the run
//! out stands in the file `process`, which is put there as a whole and by one process only. A folder
//! without it was made for a process that has not begun.

use crate::fleet::{Retention, RunId};
use crate::record::runs::files::{DiskFiles, Files as _};
use crate::record::runs::{EVENTS, FLEET, PROCESS, TAG, doing, fleet_name};
use crate::record::{ProcessStat, RecordError, RunWriter, Runs};
use rustix::process::geteuid;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A run's folder cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// There is no such folder.
    #[error("there is no run {run} to carry out: {} is not there", path.display())]
    Missing {
        /// The run.
        run: RunId,
        /// Its folder.
        path: PathBuf,
    },
    /// The folder is not a folder that this user made for itself.
    #[error(
        "the folder of run {run}, {}, is not a folder of this user alone; begin the run without a \
         number of your own", path.display()
    )]
    Foreign {
        /// The run.
        run: RunId,
        /// Its folder.
        path: PathBuf,
    },
    /// Another process carries the run out, or did.
    #[error("run {run} was begun already; begin the run without a number of your own")]
    Begun {
        /// The run.
        run: RunId,
    },
    /// The folder was made for another fleet.
    #[error(
        "run {run} was made for another hosts.toml; begin the run without a number of your own"
    )]
    OtherFleet {
        /// The run.
        run: RunId,
    },
    /// Something could not be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl Runs {
    /// Makes the folder of a run of the fleet in that file, for a process that begins it later
    /// ([`Runs::take_over`]), and returns its number. Two processes never get the same number.
    pub fn reserve(&self, fleet: Option<&Path>) -> Result<RunId, RecordError> {
        let last = self.list()?.last().and_then(|run| run.0.parse::<u64>().ok()).unwrap_or(0);
        let mut number = last;
        loop {
            number += 1;
            let dir = self.dir.join(number.to_string());
            match fs::DirBuilder::new().mode(0o700).create(&dir) {
                Ok(()) => {
                    let name = dir.join(FLEET);
                    fs::write(&name, fleet_name(fleet)).map_err(doing("write", &name))?;
                    return Ok(RunId(number.to_string()));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(doing("make", &dir)(error)),
            }
        }
    }

    /// Removes the folder of a run that no process has begun; one that was begun stays.
    pub fn give_back(&self, run: &RunId) {
        if !self.is_reserved(run) {
            return;
        }
        let dir = self.folder(run);
        // A folder that a process begins at this moment is not empty, and so is not removed.
        drop(fs::remove_file(dir.join(FLEET)));
        drop(fs::remove_dir(dir));
    }

    /// Returns whether a run's folder waits for the process that begins it.
    pub fn is_reserved(&self, run: &RunId) -> bool {
        !self.folder(run).join(PROCESS).exists()
    }

    /// Begins a run whose folder was made for it: notes this process as the one that carries it out. Of
    /// two processes that try, one gets it.
    pub fn take_over(&self, run: &RunId, fleet: Option<&Path>) -> Result<RunWriter, ClaimError> {
        let path = self.folder(run);
        let is_number = run.0.bytes().all(|byte| byte.is_ascii_digit()) && !run.0.is_empty();
        let found = fs::symlink_metadata(&path);
        let Some(data) = found.ok().filter(|_| is_number) else {
            return Err(ClaimError::Missing { run: run.clone(), path });
        };
        if !data.is_dir() || data.uid() != geteuid().as_raw() || data.mode() & 0o022 != 0 {
            return Err(ClaimError::Foreign { run: run.clone(), path });
        }
        if path.join(EVENTS).exists() || !self.is_reserved(run) {
            return Err(ClaimError::Begun { run: run.clone() });
        }
        if !self.belongs_to(run, fleet) {
            return Err(ClaimError::OtherFleet { run: run.clone() });
        }
        if !note_process(&path)? {
            return Err(ClaimError::Begun { run: run.clone() });
        }
        let tag = path.join(TAG);
        fs::write(&tag, fresh_tag(run)).map_err(doing("write", &tag))?;
        Ok(open(run, path)?)
    }

    /// Begins a run of the fleet in that file under the next free number.
    pub fn begin(&self, fleet: Option<&Path>) -> Result<RunWriter, ClaimError> {
        self.take_over(&self.reserve(fleet)?, fleet)
    }
}

/// Opens a run's folder to write it.
pub(super) fn open(run: &RunId, dir: PathBuf) -> Result<RunWriter, RecordError> {
    let events = dir.join(EVENTS);
    let mut files = DiskFiles::default();
    files.append(&events, b"").map_err(doing("open", &events))?;
    Ok(RunWriter::new(run.clone(), dir, Box::new(files), Retention::default().max_run_size))
}

/// Notes this process as the one that carries a run out; returns whether no other was noted before.
fn note_process(dir: &Path) -> Result<bool, RecordError> {
    let process = dir.join(PROCESS);
    // Whoever reads the file finds all of it, and it is there once.
    let fresh = dir.join(format!("{PROCESS}.{}", std::process::id()));
    fs::write(&fresh, process_line()).map_err(doing("write", &fresh))?;
    let noted = match fs::hard_link(&fresh, &process) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            // A file system without links: for a moment the file is empty.
            let fresh = File::options().write(true).create_new(true).open(&process);
            fresh.and_then(|mut file| file.write_all(process_line().as_bytes()))
        }
        linked => linked,
    };
    drop(fs::remove_file(&fresh));
    match noted {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(doing("write", &process)(error)),
    }
}

/// Returns what names this process for good.
pub(super) fn process_line() -> String {
    let pid = std::process::id();
    let started = ProcessStat::of_living(pid).map(|stat| stat.started.to_string());
    format!("{pid} {}\n", started.unwrap_or_default())
}

/// Returns the run's number with something that no other machine's run has.
fn fresh_tag(run: &RunId) -> String {
    let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), &run.0);
    format!("run-{run}-{:08x}", random >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Phase, RunEvent, RunWhat};
    use jiff::Timestamp;
    use std::os::unix::fs::PermissionsExt;

    fn runs() -> (tempfile::TempDir, Runs) {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        (dir, runs)
    }

    #[test]
    fn a_folder_is_made_by_one_process_and_begun_by_another_once() {
        let (_dir, runs) = runs();
        let run = runs.reserve(None).unwrap();
        assert!(runs.is_reserved(&run) && !runs.is_alive(&run));
        // Others get other numbers meanwhile.
        assert_ne!(runs.begin(None).unwrap().run(), &run);
        let writer = runs.take_over(&run, None).unwrap();
        assert_eq!(writer.run(), &run);
        assert!(runs.is_alive(&run) && !runs.is_reserved(&run));
        let again = runs.take_over(&run, None).err();
        assert!(matches!(again, Some(ClaimError::Begun { .. })), "{again:?}");
        runs.give_back(&run);
        assert!(runs.is_alive(&run));
    }

    #[test]
    fn of_many_that_begin_the_same_run_one_gets_it() {
        let (_dir, runs) = runs();
        let run = runs.reserve(None).unwrap();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (runs, run) = (runs.clone(), run.clone());
                std::thread::spawn(move || runs.take_over(&run, None).is_ok())
            })
            .collect();
        let got = threads.into_iter().filter_map(|thread| thread.join().ok()).filter(|got| *got);
        assert_eq!(got.count(), 1);
    }

    #[test]
    fn a_folder_that_nobody_began_is_given_back() {
        let (_dir, runs) = runs();
        let run = runs.reserve(None).unwrap();
        runs.give_back(&run);
        assert_eq!(runs.list().unwrap(), []);
    }

    #[test]
    fn a_folder_that_is_not_what_it_should_be_is_not_taken() {
        let (dir, runs) = runs();
        let name = |name: &str| RunId(name.to_owned());
        for odd in ["", "7", "../runs", "1/../1", "seven"] {
            let error = runs.take_over(&name(odd), None).err();
            assert!(matches!(error, Some(ClaimError::Missing { .. })), "{odd}: {error:?}");
        }
        let run = runs.reserve(Some(Path::new("/a/hosts.toml"))).unwrap();
        let error = runs.take_over(&run, Some(Path::new("/b/hosts.toml"))).err();
        assert!(matches!(error, Some(ClaimError::OtherFleet { .. })), "{error:?}");
        let folder = runs.folder(&run);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        let error = runs.take_over(&run, Some(Path::new("/a/hosts.toml"))).err();
        assert!(matches!(error, Some(ClaimError::Foreign { .. })), "{error:?}");
        let elsewhere = dir.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, runs.folder(&name("9"))).unwrap();
        let error = runs.take_over(&name("9"), None).err();
        assert!(matches!(error, Some(ClaimError::Foreign { .. })), "{error:?}");
    }

    #[test]
    fn a_run_is_gone_on_with_behind_what_is_there() {
        let (_dir, runs) = runs();
        let mut writer = runs.begin(None).unwrap().with_limit(20_000);
        let run = writer.run().clone();
        let log = |writer: &mut RunWriter, number: i64| {
            let (host, line) = ("a".to_owned(), number.to_string());
            let at = Timestamp::from_second(number).unwrap();
            let what = RunWhat::log(host, Phase::Build, line);
            writer.write(&RunEvent { run: run.clone(), at, what });
        };
        for number in 0..500 {
            log(&mut writer, number);
        }
        writer.flush().unwrap();
        drop(writer);
        // What a process leaves that is killed.
        let parts = runs.logs(&run, "a");
        let torn = parts.last().unwrap();
        let mut text = fs::read(torn).unwrap();
        text.extend(b"1970-01-01T00:08:20Z build       ha");
        fs::write(torn, text).unwrap();
        fs::write(runs.folder(&run).join(PROCESS), "1 1\n").unwrap();
        assert!(!runs.is_alive(&run));
        let mut writer = runs.reopen(&run).unwrap().with_limit(20_000);
        assert!(runs.is_alive(&run));
        for number in 500..510 {
            log(&mut writer, number);
        }
        writer.flush().unwrap();
        let part = runs.read_log(&run, "a", 5000).look().unwrap();
        let numbers: Vec<i64> =
            part.lines.iter().filter_map(|line| line.text.parse().ok()).collect();
        assert_eq!(numbers, (0..510).collect::<Vec<i64>>());
        assert_eq!(part.lines.iter().filter(|line| line.text == "ha").count(), 1);
        // More lines remove the oldest part, and the count of its lines is right.
        for number in 510..2000 {
            log(&mut writer, number);
        }
        let marks = writer.finish();
        let gone = marks.iter().filter_map(|mark| match &mark.what {
            RunWhat::Dropped { lines, .. } => Some(*lines),
            _ => None,
        });
        let part = runs.read_log(&run, "a", 5000).look().unwrap();
        let kept = part.lines.iter().filter(|line| line.text.parse::<i64>().is_ok()).count() as u64;
        assert_eq!(kept + gone.sum::<u64>(), 2000);
    }
}
