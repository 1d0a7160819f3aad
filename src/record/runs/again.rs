//! Runs that are gone on with: how a run stands, and writing into its folder once more.

use super::claim::{open, process_line};
use super::events::{EventLine, ReadExtent, read_events};
use super::files::{DiskFiles, Files as _};
use super::writer::RunWriter;
use super::{EVENTS, PROCESS, Runs, doing};
use crate::fleet::{RunEvent, RunId};
use crate::record::{ProcessStat, RecordError};
use std::fs;
use std::path::Path;

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStands {
    /// A process carries it out.
    Alive {
        /// Its number.
        process: u32,
        /// Whether it was stopped (`kill -STOP`): it does nothing until it is continued.
        is_stopped: bool,
    },
    /// Its process is gone, and it has no end.
    Left,
    /// It has ended.
    Ended,
}

impl Runs {
    /// Returns how a run stands.
    pub fn stands(&self, run: &RunId) -> RunStands {
        let events = self.folder(run).join(EVENTS);
        if self.is_alive(run)
            && let Some(process) = self.process(run)
        {
            let is_stopped = ProcessStat::of(process).is_some_and(|stat| stat.is_stopped());
            return RunStands::Alive { process, is_stopped };
        }
        match super::super::left::has_an_end(&events) {
            Ok(false) => RunStands::Left,
            // A run whose folder cannot be read cannot be gone on with.
            Ok(true) | Err(_) => RunStands::Ended,
        }
    }

    /// Returns the number of the process that carries a run out, or did.
    pub fn process(&self, run: &RunId) -> Option<u32> {
        let text = fs::read_to_string(self.folder(run).join(PROCESS)).ok()?;
        text.split_whitespace().next()?.parse().ok()
    }

    /// Returns the events of a run that tell how it stands, oldest first: everything but log lines and
    /// progress.
    pub fn decided(&self, run: &RunId) -> Vec<RunEvent> {
        let mut events = Vec::new();
        read_events(&self.folder(run).join(EVENTS), 0, ReadExtent::Whole, |line| match line {
            EventLine::Few(event) => events.push(event),
            EventLine::Many(_) => {}
        });
        events
    }

    /// Opens the folder of a run that was left for writing, and notes this process as the one that
    /// carries it out. The caller holds the run's journal, so it is the only one.
    pub fn reopen(&self, run: &RunId) -> Result<RunWriter, RecordError> {
        let dir = self.folder(run);
        note_process(&dir)?;
        Ok(open(run, dir)?.after_earlier())
    }
}

/// Notes this process as the one that carries out the run of this folder, in the place of another.
fn note_process(dir: &Path) -> Result<(), RecordError> {
    let process = dir.join(PROCESS);
    // Whoever looks reads the old line or the new one, never half of one.
    let written = DiskFiles::default().replace(&process, process_line().as_bytes());
    written.map_err(doing("write", &process))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Phase, RunWhat};
    use jiff::Timestamp;
    use std::collections::BTreeMap;
    use std::fs::OpenOptions;
    use std::io::Write;

    fn event(run: &RunId, what: RunWhat) -> RunEvent {
        RunEvent { run: run.clone(), at: Timestamp::UNIX_EPOCH, what }
    }

    fn log(line: &str) -> RunWhat {
        RunWhat::log("a".to_owned(), Phase::Build, line.to_owned())
    }

    #[test]
    fn a_run_that_was_left_is_written_on_behind_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let mut writer = runs.begin(None).unwrap();
        let run = writer.run().clone();
        let process = std::process::id();
        assert_eq!(runs.stands(&run), RunStands::Alive { process, is_stopped: false });
        let begin = event(&run, RunWhat::begin(vec!["a".into()], "x".into()));
        writer.write(&begin);
        writer.write(&event(&run, log("one")));
        writer.flush().unwrap();
        drop(writer);
        let folder = runs.folder(&run);
        fs::write(folder.join(PROCESS), "1 1\n").unwrap();
        let mut file = OpenOptions::new().append(true).open(folder.join(EVENTS)).unwrap();
        file.write_all(b"{\"run\":\"1\",\"at\":").unwrap();
        assert_eq!(runs.stands(&run), RunStands::Left);
        let mut writer = runs.reopen(&run).unwrap();
        assert!(runs.is_alive(&run));
        let end = event(
            &run,
            RunWhat::Summary { outcomes: BTreeMap::new(), duration_ms: 1, findings: Vec::new() },
        );
        writer.write(&event(&run, log("two")));
        writer.write(&end);
        writer.finish();
        assert_eq!(runs.decided(&run), [begin, end]);
        let text = fs::read_to_string(&runs.logs(&run, "a")[0]).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        fs::write(folder.join(PROCESS), "1 1\n").unwrap();
        assert_eq!(runs.stands(&run), RunStands::Ended);
    }

    #[test]
    fn a_big_run_that_is_gone_on_with_keeps_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let mut writer = runs.begin(None).unwrap().with_limit(20_000);
        let run = writer.run().clone();
        let size = |runs: &Runs| -> u64 {
            runs.logs(&run, "a").iter().map(|file| fs::metadata(file).unwrap().len()).sum()
        };
        for number in 0..1000 {
            writer.write(&event(&run, log(&number.to_string())));
        }
        writer.flush().unwrap();
        drop(writer);
        let before = size(&runs);
        let mut writer = runs.reopen(&run).unwrap().with_limit(20_000);
        for number in 1000..2000 {
            writer.write(&event(&run, log(&number.to_string())));
        }
        writer.finish();
        assert!(size(&runs) < before * 2, "{before} bytes, then {}", size(&runs));
        let last = runs.logs(&run, "a").pop().unwrap();
        assert!(fs::read_to_string(last).unwrap().trim_end().ends_with("1999"));
    }
}
