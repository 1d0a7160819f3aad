//! What is done with the folders of runs that have ended: what they said is compressed.
//!
//! A run does so when it has told everything, for itself and for runs whose nixdash was killed before it
//! could. A run that goes on, or can be gone on with, has no end and is left alone.

use crate::fleet::RunId;
use crate::record::runs::doing;
use crate::record::{RecordError, Runs};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;

/// The name of the file that is locked meanwhile.
const LOCK: &str = "tidying";

impl Runs {
    /// Compresses what runs that have ended said. `own` is the run of this process, which has written
    /// everything of it; other runs with a process are left alone. Where another process is at it,
    /// nothing is done.
    pub fn tidy(&self, own: Option<&RunId>) -> Result<(), RecordError> {
        let Some(_lock) = self.lock_tidying()? else { return Ok(()) };
        for run in self.list()? {
            if self.is_over(&run, own) {
                self.pack(&run)?;
            }
        }
        Ok(())
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
    use jiff::Timestamp;
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
        write(&mut writer, RunWhat::log("a".to_owned(), Phase::Build, "hello".to_owned()));
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

    #[test]
    fn only_runs_to_which_nobody_writes_are_compressed() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let ended = a_run(&runs, true, false);
        let (left, goes_on) = (a_run(&runs, false, false), a_run(&runs, false, true));
        let (other, own) = (a_run(&runs, true, true), a_run(&runs, true, true));
        let is_packed = |run: &RunId| runs.folder(run).join("a.log.zst").exists();
        let lock = runs.lock_tidying().unwrap();
        runs.tidy(Some(&own)).unwrap();
        assert!(!is_packed(&ended), "another process is at it");
        drop(lock);
        runs.tidy(Some(&own)).unwrap();
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
