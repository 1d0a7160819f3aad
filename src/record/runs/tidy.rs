//! What is done with the folders of runs that have ended: what they said is compressed, and of the oldest
//! removed when it is too old or too much (`[retention]`).
//!
//! A run does so when it has told everything, for itself and for runs whose nixdash was killed before it
//! could. A run that goes on, or can be gone on with, has no end and is left alone.

use crate::fleet::{Retention, RunId};
use crate::record::runs::doing;
use crate::record::runs::retention::{RemovedWhy, beyond};
use crate::record::{RecordError, Runs};
use jiff::Timestamp;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// How many bytes of other runs are compressed at once: whoever had many before has to wait for a second
/// only, and for the rest after later runs.
const OTHERS_AT_ONCE: u64 = 500_000_000;

/// What failed first while the rest was done.
#[derive(Debug, Default)]
pub(super) struct FirstError(Option<RecordError>);

impl FirstError {
    /// Notes how something ended.
    pub(super) fn note(&mut self, result: Result<(), RecordError>) {
        if let Err(error) = result {
            self.0.get_or_insert(error);
        }
    }

    /// Returns whether the disk has no room: what writes much fails for every file then.
    fn is_disk_full(&self) -> bool {
        let kind = self.0.as_ref().map(|error| error.source.kind());
        matches!(kind, Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
    }

    /// Returns what failed first.
    pub(super) fn result(self) -> Result<(), RecordError> {
        self.0.map_or(Ok(()), Err)
    }
}

/// The name of the file that is locked meanwhile.
const LOCK: &str = "tidying";

impl Runs {
    /// Compresses what runs that have ended said. `own` is the run of this process, which has written
    /// everything of it; other runs with a process are left alone. Of the runs of the fleet in that file
    /// the logs are removed that are beyond what is kept, except for those of `own`. Where another
    /// process is at it, nothing is done. What fails for one file holds up none of the others; what failed
    /// first is returned.
    pub fn tidy(
        &self,
        own: Option<&RunId>,
        fleet: Option<&Path>,
        retention: &Retention,
        now: Timestamp,
    ) -> Result<(), RecordError> {
        let Some(_lock) = self.lock_tidying()? else { return Ok(()) };
        let mut failed = FirstError::default();
        let (mut old, mut others, mut packed) = (Vec::new(), 0, 0);
        for run in self.list()? {
            let is_over = self.is_over(&run, own);
            let is_removed = is_over && self.removed_logs(&run).is_some();
            if own == Some(&run) && is_over {
                self.pack(&run, &mut failed);
            } else if is_over && !is_removed && packed < OTHERS_AT_ONCE && !failed.is_disk_full() {
                packed += self.pack(&run, &mut failed);
            }
            if !self.belongs_to(&run, fleet) {
                continue;
            }
            let logs = self.old_logs(&run);
            if is_removed && logs.bytes > 0 {
                // Whoever began to remove them was interrupted.
                self.remove_logs(&logs, RemovedWhy::Age, now, &mut failed);
            } else if is_over && own != Some(&run) {
                old.push(logs);
            } else {
                others += logs.bytes;
            }
        }
        for (logs, why) in beyond(&old, others, retention, now) {
            self.remove_logs(&logs, why, now, &mut failed);
        }
        failed.result()
    }

    /// Returns whether nobody will write into the folder of a run any more.
    fn is_over(&self, run: &RunId, own: Option<&RunId>) -> bool {
        let is_written = own == Some(run) || !self.is_alive(run);
        is_written && self.has_ended(run)
    }

    /// Takes the right to tidy; none while another process has it.
    fn lock_tidying(&self) -> Result<Option<File>, RecordError> {
        let path = self.dir.join(LOCK);
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).mode(0o600).open(&path);
        let file = file.map_err(doing("open", &path))?;
        Ok(file.try_lock().is_ok().then_some(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Phase, RunEvent, RunWhat};
    use crate::record::RunWriter;
    use std::collections::BTreeMap;
    use std::fs;

    fn write(writer: &mut RunWriter, what: RunWhat) {
        let run = writer.run().clone();
        writer.write(&RunEvent { run, at: Timestamp::UNIX_EPOCH, what });
    }

    /// Writes a run; returns its number.
    fn a_run(runs: &Runs, has_ended: bool, is_alive: bool) -> RunId {
        let mut writer = runs.begin(None).unwrap();
        let run = writer.run().clone();
        write(&mut writer, RunWhat::begin(vec!["a".to_owned()], "switch".to_owned()));
        // Enough that it is worth compressing.
        for _ in 0..3000 {
            write(&mut writer, RunWhat::log("a".to_owned(), Phase::Build, "hello".to_owned()));
        }
        if has_ended {
            let (outcomes, findings) = (BTreeMap::new(), Vec::new());
            write(&mut writer, RunWhat::Summary { outcomes, duration_ms: 1, findings });
        }
        writer.finish();
        if !is_alive {
            fs::write(runs.folder(&run).join("process"), "1 12345\n").unwrap();
        }
        run
    }

    fn tidy(runs: &Runs, own: Option<&RunId>, retention: &Retention) {
        runs.tidy(own, None, retention, Timestamp::now()).unwrap();
    }

    #[test]
    fn logs_beyond_what_is_kept_are_removed_and_the_run_stays() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let (first, left, last) =
            (a_run(&runs, true, false), a_run(&runs, false, false), a_run(&runs, true, false));
        tidy(&runs, None, &Retention::default());
        assert_eq!(runs.removed_logs(&first), None);
        let edges = runs.folder(&first).join("a.edges");
        fs::write(&edges, "{\"edges\":1}\n").unwrap();
        let keeps_one = runs.old_logs(&left).bytes + runs.old_logs(&last).bytes;
        tidy(&runs, None, &Retention { max_logs_size: keeps_one, ..Retention::default() });
        let removed = runs.removed_logs(&first).unwrap();
        assert_eq!((removed.why, runs.removed_logs(&last)), (RemovedWhy::Size, None));
        assert!(runs.logs(&first, "a").is_empty() && removed.bytes > 0 && !edges.exists());
        assert_eq!(runs.decided(&first).len(), 2);
        // A run that can be gone on with keeps what it has, and what was removed stays noted as it was.
        fs::write(runs.folder(&first).join("a.log"), "rest").unwrap();
        tidy(&runs, None, &Retention { max_logs_size: 0, ..Retention::default() });
        assert!(runs.logs(&first, "a").is_empty() && runs.logs(&last, "a").is_empty());
        assert_eq!(runs.removed_logs(&first), Some(removed));
        assert_eq!(runs.logs(&left, "a").len(), 1);
        assert_eq!(runs.list().unwrap(), [first, left, last]);
    }

    #[test]
    fn what_cannot_be_compressed_or_removed_holds_up_none_of_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let [odd, old, own] = [(); 3].map(|()| a_run(&runs, true, false));
        let file = |run: &RunId, name: &str| runs.folder(run).join(name);
        // Neither a fresh file nor the note of what is removed can be written there.
        for name in ["a.log.zst-new", "logs-removed.new"] {
            fs::create_dir(file(&odd, name)).unwrap();
        }
        let none = Retention { max_logs_size: 0, ..Retention::default() };
        let error = runs.tidy(Some(&own), None, &none, Timestamp::now()).unwrap_err();
        assert_eq!((error.doing, error.path), ("compress", file(&odd, "a.log")));
        assert!(runs.logs(&odd, "a").is_empty() && runs.logs(&old, "a").is_empty());
        assert_eq!(runs.removed_logs(&old).unwrap().why, RemovedWhy::Size);
        assert!(file(&own, "a.log.zst").exists());
    }

    #[test]
    fn only_runs_to_which_nobody_writes_are_compressed() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let ended = a_run(&runs, true, false);
        let (left, goes_on) = (a_run(&runs, false, false), a_run(&runs, false, true));
        let (other, own) = (a_run(&runs, true, true), a_run(&runs, true, true));
        let is_packed = |run: &RunId| runs.folder(run).join("a.log.zst").exists();
        let lock = runs.lock_tidying().unwrap();
        tidy(&runs, Some(&own), &Retention::default());
        assert!(!is_packed(&ended), "another process is at it");
        drop(lock);
        tidy(&runs, Some(&own), &Retention::default());
        assert_eq!(
            [&ended, &left, &goes_on, &other, &own].map(is_packed),
            [true, false, false, false, true]
        );
        let mut log = runs.numbered_log(&ended, "a");
        log.look().unwrap();
        assert_eq!(log.lines(0..9).unwrap()[0].text, "hello");
        assert_eq!(runs.list().unwrap().len(), 5);
    }
}
