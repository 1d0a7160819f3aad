//! Watching runs: reads what was added since the last look.

use crate::fleet::{RunEvent, RunId, RunWhat};
use crate::record::Runs;
use crate::record::runs::EVENTS;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::SystemTime;

/// How many finished runs are read when the watch begins.
const PAST: usize = 20;

/// Something new about a run.
#[derive(Clone, Debug, PartialEq)]
pub enum RunNews {
    /// An event.
    Event(RunEvent),
    /// The process that carried the run out is gone, and the run has no end.
    Gone(RunId),
}

/// Where the reading of one run stands.
struct Place {
    offset: u64,
    over: bool,
}

/// Reads the events of all runs, each once.
pub struct RunWatch {
    runs: Runs,
    fleet: Option<PathBuf>,
    places: HashMap<RunId, Place>,
    /// The runs there are, as long as the folder of runs is what it was then.
    listed: Option<(SystemTime, Vec<RunId>)>,
}

impl RunWatch {
    /// Begins to watch the runs of the fleet in that file; the first look brings the last twenty
    /// too.
    pub fn new(runs: Runs, fleet: Option<PathBuf>) -> Self {
        Self { runs, fleet, places: HashMap::new(), listed: None }
    }

    /// Returns what is new since the last look, oldest run first.
    ///
    /// A line that cannot be read (a run of a newer nixdash, a full disk) is passed over.
    pub fn look(&mut self) -> Vec<RunNews> {
        let mut news = Vec::new();
        let first = self.listed.is_none();
        let changed = self.runs.changed_at();
        let listed = self.listed.take().filter(|(at, _)| Some(*at) == changed);
        let all = match listed {
            Some((_, all)) => all,
            None => self.runs.list().unwrap_or_default(),
        };
        let skip = if first { all.len().saturating_sub(PAST) } else { 0 };
        for (index, run) in all.iter().enumerate() {
            let place = self.places.entry(run.clone()).or_insert_with(|| {
                let old = index < skip && !self.runs.is_alive(run);
                let foreign = !self.runs.belongs_to(run, self.fleet.as_deref());
                Place { offset: 0, over: old || foreign }
            });
            if place.over {
                continue;
            }
            let alive = self.runs.is_alive(run);
            read(&self.runs, run, place, &mut news);
            if !alive && !place.over {
                place.over = true;
                news.push(RunNews::Gone(run.clone()));
            }
        }
        self.listed = Some((changed.unwrap_or(SystemTime::UNIX_EPOCH), all));
        news
    }
}

/// Reads the whole lines that were added to a run's events.
fn read(runs: &Runs, run: &RunId, place: &mut Place, news: &mut Vec<RunNews>) {
    let Ok(mut file) = File::open(runs.folder(run).join(EVENTS)) else { return };
    if file.metadata().is_ok_and(|data| data.len() <= place.offset)
        || file.seek(SeekFrom::Start(place.offset)).is_err()
    {
        return;
    }
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        if line.last() != Some(&b'\n') {
            return;
        }
        place.offset += line.len() as u64;
        if let Ok(event) = serde_json::from_slice::<RunEvent>(&line) {
            place.over |= matches!(event.what, RunWhat::Summary { .. });
            news.push(RunNews::Event(event));
        }
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use std::collections::BTreeMap;

    fn event(run: &RunId, what: RunWhat) -> RunEvent {
        RunEvent { run: run.clone(), at: Timestamp::UNIX_EPOCH, what }
    }

    #[test]
    fn each_event_is_seen_once_and_a_run_ends_with_its_summary() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let mut writer = runs.begin(None).unwrap();
        let run = writer.run().clone();
        let mut watch = RunWatch::new(runs, None);
        assert_eq!(watch.look(), []);
        let begin = event(&run, RunWhat::Begin { hosts: vec!["a".into()], title: "x".into() });
        writer.write(&begin).unwrap();
        writer.flush().unwrap();
        assert_eq!(watch.look(), [RunNews::Event(begin)]);
        let end = event(&run, RunWhat::Summary { outcomes: BTreeMap::new(), duration_ms: 1 });
        writer.write(&end).unwrap();
        writer.flush().unwrap();
        assert_eq!(watch.look(), [RunNews::Event(end)]);
        assert_eq!(watch.look(), []);
    }

    #[test]
    fn a_run_whose_process_died_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let run = runs.begin(None).unwrap().run().clone();
        std::fs::write(runs.folder(&run).join("process"), "1 12345\n").unwrap();
        let mut watch = RunWatch::new(runs, None);
        assert_eq!(watch.look(), [RunNews::Gone(run)]);
        assert_eq!(watch.look(), []);
    }
}
