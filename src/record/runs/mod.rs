//! The folder of runs, and what is in the folder of one.

mod again;
mod blocks;
mod claim;
mod edges;
mod events;
mod export;
mod files;
mod frames;
mod index;
mod journal;
mod last_good;
mod level;
mod lines;
mod log;
mod marks;
mod numbered;
mod pack;
mod pattern;
mod places;
mod queue;
mod recorder;
mod retention;
mod stored;
mod stream;
mod tidy;
mod trigrams;
mod watch;
mod writer;

pub use again::RunStands;
pub use blocks::LogBlock;
pub use claim::ClaimError;
pub use edges::KnownDerivation;
pub use export::{ExportDamage, ExportError, ExportedRun, UnreadFile, WrittenExport};
pub use journal::{Journal, JournalEntry, JournalError, JournalWriter};
pub use last_good::{BuildOutput, GoodBuild};
pub use level::{LevelCounts, LineLevel, output_of};
pub use lines::LogLines;
pub use log::{LogPart, LogReader};
pub use numbered::{NumberedLog, SearchDirection, SearchNews};
pub use pattern::LogPattern;
pub use queue::{EventReceiver, EventSender, event_queue};
pub use recorder::{RunRecord, RunRecorder};
pub use retention::{RemovedLogs, RemovedWhy};
pub use stored::{StoredFile, StoredReader};
pub use stream::{RunStreams, StreamEnd, StreamFile, share_of_logs};
pub use watch::{RunElsewhere, RunNews, RunWatch};
pub use writer::RunWriter;

use crate::fleet::{RunId, RunOrder};
use crate::record::ProcessStat;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The name of the file with a run's events.
pub(super) const EVENTS: &str = "events.jsonl";

/// The name of the file that says how far a run is.
pub(super) const LIVE: &str = "live.json";

/// The name of the file with the process that carries a run out.
const PROCESS: &str = "process";

/// The name of the file with what a run's jobs and roots on hosts are called.
const TAG: &str = "tag";

/// The name of the file that names the fleet a run belongs to.
const FLEET: &str = "fleet";

/// The name of the file with what is said to a run.
const WORDS: &str = "words";

/// Something about the record could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("could not {doing} {}: {source}; is the disk full, or does the folder belong to somebody else? \
     XDG_STATE_HOME may name another folder", path.display())]
pub struct RecordError {
    /// What was being done.
    pub doing: &'static str,
    /// To which file or folder.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

/// Returns a function that names what was being done to a path.
pub(super) fn doing(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RecordError {
    let path = path.to_path_buf();
    move |source| RecordError { doing: what, path, source }
}

/// What somebody says to a run that another process carries out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// The plan is confirmed.
    Yes,
    /// The plan is not confirmed.
    No,
    /// The run shall stop.
    Cancel,
    /// Something else that is said while it goes on.
    Order(RunOrder),
}

impl Word {
    /// Returns the word as it stands in the file.
    fn text(&self) -> String {
        match self {
            Self::Yes => "yes".to_owned(),
            Self::No => "no".to_owned(),
            Self::Cancel => "cancel".to_owned(),
            Self::Order(order) => order.to_string(),
        }
    }
}

/// The folder of runs.
#[derive(Clone, Debug)]
pub struct Runs {
    dir: PathBuf,
}

impl Runs {
    /// Opens the folder of runs below a state folder, making it when it is not there.
    pub fn open(state: &Path) -> Result<Self, RecordError> {
        let dir = state.join("runs");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(doing("make", &dir))?;
        Ok(Self { dir })
    }

    /// Returns the folder of a run.
    pub fn folder(&self, run: &RunId) -> PathBuf {
        self.dir.join(&run.0)
    }

    /// Returns the files that are the log of a host in a run, oldest lines first: one, and where
    /// that grew beyond what a run may take, the parts of its end.
    pub fn logs(&self, run: &RunId, host: &str) -> Vec<PathBuf> {
        self.log_parts(run, host).into_iter().filter_map(|(_, file)| stored::find(&file)).collect()
    }

    /// Returns all runs, oldest first.
    pub fn list(&self) -> Result<Vec<RunId>, RecordError> {
        let entries = fs::read_dir(&self.dir).map_err(doing("read", &self.dir))?;
        let mut numbers: Vec<u64> = entries
            .filter_map(Result::ok)
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        numbers.sort_unstable();
        Ok(numbers.into_iter().map(|number| RunId(number.to_string())).collect())
    }

    /// Returns when a run was last added or removed.
    pub(super) fn changed_at(&self) -> Option<SystemTime> {
        fs::metadata(&self.dir).and_then(|data| data.modified()).ok()
    }

    /// Returns whether a run belongs to the fleet of that file (none: of no file).
    pub fn belongs_to(&self, run: &RunId, fleet: Option<&Path>) -> bool {
        let noted = fs::read_to_string(self.folder(run).join(FLEET)).unwrap_or_default();
        noted == fleet_name(fleet)
    }

    /// Returns the file of the fleet that a run belongs to; none of a run without one.
    pub fn fleet_file(&self, run: &RunId) -> Option<PathBuf> {
        let noted = fs::read_to_string(self.folder(run).join(FLEET)).unwrap_or_default();
        (!noted.is_empty()).then(|| PathBuf::from(noted))
    }

    /// Returns what a run's jobs and roots on hosts are called: no other run, of whichever machine,
    /// has the same. Nothing for runs of a nixdash that knew no such name.
    pub fn tag(&self, run: &RunId) -> Option<String> {
        let tag = fs::read_to_string(self.folder(run).join(TAG)).ok()?;
        let tag = tag.trim();
        let fits = tag.starts_with("run-")
            && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        fits.then(|| tag.to_owned())
    }

    /// Returns whether the process that carries a run out is alive.
    pub fn is_alive(&self, run: &RunId) -> bool {
        let Ok(text) = fs::read_to_string(self.folder(run).join(PROCESS)) else { return false };
        let mut words = text.split_whitespace();
        let (Some(pid), started) = (words.next().and_then(|word| word.parse().ok()), words.next())
        else {
            return false;
        };
        ProcessStat::of_living(pid)
            .is_some_and(|stat| started == Some(stat.started.to_string().as_str()))
    }

    /// Returns the newest run that a living process carries out, of whichever fleet.
    pub fn active(&self) -> Option<RunId> {
        let runs = self.list().unwrap_or_default();
        runs.into_iter().rev().find(|run| self.is_alive(run))
    }

    /// Says something to a run; the process that carries it out reads it within a moment.
    pub fn say(&self, run: &RunId, word: &Word) -> Result<(), RecordError> {
        let path = self.folder(run).join(WORDS);
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(doing("open", &path))?;
        writeln!(file, "{}", word.text()).map_err(doing("write", &path))
    }

    /// Returns what was said to a run so far; fails where that cannot be read, which is not the same as nothing.
    pub fn said(&self, run: &RunId) -> Result<Vec<Word>, RecordError> {
        let path = self.folder(run).join(WORDS);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(doing("read", &path)(error)),
        };
        let words = text
            .lines()
            .filter_map(|line| match line.trim() {
                "yes" => Some(Word::Yes),
                "no" => Some(Word::No),
                "cancel" => Some(Word::Cancel),
                text => RunOrder::parse(text).map(Word::Order),
            })
            .collect();
        Ok(words)
    }
}

/// How the folders of the end of a big run's logs begin; a number follows that grows.
const TAIL: &str = "tail-";

/// Returns the folder of a part of the end of a run's logs.
pub(super) fn tail_folder(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{TAIL}{number}"))
}

/// Returns the numbers of the parts of the end of a run's logs that are there, oldest first.
pub(super) fn tails(dir: &Path) -> Vec<u64> {
    let entries = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let number = |name: &str| name.strip_prefix(TAIL)?.parse().ok();
    let mut numbers: Vec<u64> =
        entries.filter_map(|entry| number(entry.file_name().to_str()?)).collect();
    numbers.sort_unstable();
    numbers
}

/// Returns the files of a run's folder, and those of the parts of the end of its logs.
fn files_of(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let ends = tails(dir).into_iter().map(|number| tail_folder(dir, number));
    std::iter::once(dir.to_path_buf())
        .chain(ends.collect::<Vec<_>>())
        .flat_map(|folder| fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok))
        .map(|entry| entry.path())
}

/// Returns the file of a host in the folder of a run. Names of hosts in a run that was exported may come from
/// anybody, and none names a file elsewhere.
fn host_file(folder: &Path, host: &str, end: &str) -> PathBuf {
    folder.join(format!("{}.{end}", host.replace('/', "_")))
}

/// Returns what a fleet is called in the record: the whole path of its file.
fn fleet_name(fleet: Option<&Path>) -> String {
    let path = fleet.map(|path| fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf()));
    path.map(|path| path.display().to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Phase, RunEvent, RunWhat};
    use jiff::Timestamp;

    #[test]
    fn every_run_gets_a_number_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let first = runs.begin(None).unwrap();
        let second = runs.begin(None).unwrap();
        assert_eq!((first.run().0.as_str(), second.run().0.as_str()), ("1", "2"));
        assert!(runs.belongs_to(first.run(), None));
        assert!(!runs.belongs_to(first.run(), Some(Path::new("/other/hosts.toml"))));
        assert_eq!(runs.list().unwrap().len(), 2);
        assert!(runs.is_alive(first.run()));
        assert!(!runs.is_alive(&RunId("99".to_owned())));
        assert_eq!(runs.active().as_ref(), Some(second.run()));
    }

    #[test]
    fn a_line_stands_in_the_log_of_its_host_and_events_in_their_file() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let mut writer = runs.begin(None).unwrap();
        let run = writer.run().clone();
        let what = RunWhat::log("samsung".to_owned(), Phase::Build, "hello".to_owned());
        writer.write(&RunEvent { run: run.clone(), at: Timestamp::UNIX_EPOCH, what });
        let what = RunWhat::begin(vec!["samsung".to_owned()], "switch".to_owned());
        let event = RunEvent { run: run.clone(), at: Timestamp::UNIX_EPOCH, what };
        writer.write(&event);
        writer.flush().unwrap();
        let log = fs::read_to_string(&runs.logs(&run, "samsung")[0]).unwrap();
        assert_eq!(log, "1970-01-01T00:00:00Z build       hello\n");
        let text = fs::read_to_string(runs.folder(&run).join(EVENTS)).unwrap();
        assert_eq!(serde_json::from_str::<RunEvent>(text.trim()).unwrap(), event);
        assert_eq!(runs.decided(&run), [event]);
    }

    #[test]
    fn words_are_heard_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let run = runs.begin(None).unwrap().run().clone();
        assert_eq!(runs.said(&run).unwrap(), []);
        let skip = Word::Order(RunOrder::Skip { host: "razer".to_owned() });
        for word in [Word::Yes, skip.clone(), Word::Cancel] {
            runs.say(&run, &word).unwrap();
        }
        assert_eq!(runs.said(&run).unwrap(), [Word::Yes, skip, Word::Cancel]);
        // Whoever cannot read them must not take it for a run to which nothing was said.
        fs::remove_file(runs.folder(&run).join(WORDS)).unwrap();
        fs::create_dir(runs.folder(&run).join(WORDS)).unwrap();
        assert!(runs.said(&run).unwrap_err().to_string().contains("could not read"));
    }
}
