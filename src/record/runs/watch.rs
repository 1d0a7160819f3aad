//! Watching runs: reads what was added since the last look.

use crate::fleet::{RunEvent, RunId, RunWhat};
use crate::record::Runs;
use crate::record::runs::{EVENTS, tail_folder, tails};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How many finished runs are read when the watch begins.
const PAST: usize = 20;

/// How many bytes at the end of a run are read whole; of what stands before, log lines are passed
/// over.
const NEWEST: u64 = 32 << 20;

/// Something new about a run.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly all news are events")]
pub enum RunNews {
    /// An event.
    Event(RunEvent),
    /// The process that carried the run out is gone, and the run has no end.
    Gone(RunId),
}

/// Where the reading of one run stands.
#[derive(Default)]
struct ReadPosition {
    /// How far its events were read.
    offset: u64,
    /// Which part of the end of its logs is read, and how far.
    tail: u64,
    tail_offset: u64,
    over: bool,
    /// Whether it was told that the process is gone; the run may be ended afterwards.
    gone: bool,
}

/// Reads the events of all runs, each once.
pub struct RunWatch {
    runs: Runs,
    fleet: Option<PathBuf>,
    places: HashMap<RunId, ReadPosition>,
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
                ReadPosition { over: old || foreign, ..ReadPosition::default() }
            });
            if place.over {
                continue;
            }
            let alive = self.runs.is_alive(run);
            read(&self.runs, run, place, &mut news);
            if !alive && !place.over && !place.gone {
                news.push(RunNews::Gone(run.clone()));
            }
            // It may be gone on with, and be left once more.
            place.gone = !alive;
        }
        self.listed = Some((changed.unwrap_or(SystemTime::UNIX_EPOCH), all));
        news
    }
}

/// Reads the whole lines that were added to a run's events, and to the parts of the end of its logs.
///
/// Of very much only the newest log lines are taken: nobody keeps more of them.
fn read(runs: &Runs, run: &RunId, place: &mut ReadPosition, news: &mut Vec<RunNews>) {
    let dir = runs.folder(run);
    let head = dir.join(EVENTS);
    let size = |file: &Path| std::fs::metadata(file).map_or(0, |data| data.len());
    let parts: Vec<(u64, PathBuf)> = tails(&dir)
        .into_iter()
        .filter(|number| *number >= place.tail)
        .map(|number| (number, tail_folder(&dir, number).join(EVENTS)))
        .collect();
    let later: u64 = parts.iter().map(|(_, file)| size(file)).sum();
    let before = news.len();
    let mut take = |event: RunEvent| {
        place.over |= matches!(event.what, RunWhat::Summary { .. });
        news.push(RunNews::Event(event));
    };
    place.offset = read_file(&head, place.offset, later, &mut take);
    for (number, file) in &parts {
        let offset = if *number == place.tail { place.tail_offset } else { 0 };
        place.tail = *number;
        place.tail_offset = read_file(file, offset, 0, &mut take);
    }
    if !parts.is_empty() {
        // Lines of the end stand in other files than the phases they belong to.
        news[before..].sort_by_key(|news| match news {
            RunNews::Event(event) => Some(event.at),
            RunNews::Gone(_) => None,
        });
    }
}

/// Reads the whole lines of a file from an offset on; returns how far it was read. `later` is how
/// many bytes there are to be read after it.
fn read_file(file: &Path, from: u64, later: u64, take: &mut impl FnMut(RunEvent)) -> u64 {
    let mut offset = from;
    let Ok(mut file) = File::open(file) else { return offset };
    let Ok(size) = file.metadata().map(|data| data.len()) else { return offset };
    if size <= offset || file.seek(SeekFrom::Start(offset)).is_err() {
        return offset;
    }
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        if line.last() != Some(&b'\n') {
            return offset;
        }
        offset += line.len() as u64;
        let much = size.saturating_sub(offset).saturating_add(later) > NEWEST;
        if !(much && is_many(&line))
            && let Ok(event) = serde_json::from_slice::<RunEvent>(&line)
        {
            take(event);
        }
        line.clear();
    }
    offset
}

/// Returns whether an event, as it is written, is of a kind of which there are many.
pub(super) fn is_many(line: &[u8]) -> bool {
    let has = |sign: &[u8]| line.windows(sign.len()).take(160).any(|window| window == sign);
    has(b"\"event\":\"log\"") || has(b"\"event\":\"progress\"")
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
        writer.write(&begin);
        writer.flush().unwrap();
        assert_eq!(watch.look(), [RunNews::Event(begin)]);
        let end = event(&run, RunWhat::Summary { outcomes: BTreeMap::new(), duration_ms: 1 });
        writer.write(&end);
        writer.flush().unwrap();
        assert_eq!(watch.look(), [RunNews::Event(end)]);
        assert_eq!(watch.look(), []);
    }

    #[test]
    fn a_run_whose_middle_is_gone_is_read_in_order_and_each_event_once() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let mut writer = runs.begin(None).unwrap().with_limit(20_000);
        let run = writer.run().clone();
        let mut live = RunWatch::new(runs.clone(), None);
        let mut seen = live.look();
        let at = |second| Timestamp::from_second(second).unwrap();
        for second in 0..1000 {
            let what = RunWhat::Log {
                host: "a".to_owned(),
                phase: crate::fleet::Phase::Build,
                line: second.to_string(),
            };
            writer.write(&RunEvent { run: run.clone(), at: at(second), what });
            if second % 10 == 0 {
                writer.flush().unwrap();
                seen.extend(live.look());
            }
        }
        let what = RunWhat::Summary { outcomes: BTreeMap::new(), duration_ms: 1 };
        writer.write(&RunEvent { run: run.clone(), at: at(1000), what });
        writer.finish();
        seen.extend(live.look());
        let lines = |news: &[RunNews]| {
            let events = news.iter().filter_map(|news| match news {
                RunNews::Event(RunEvent { what: RunWhat::Log { line, .. }, .. }) => {
                    line.parse::<u64>().ok()
                }
                RunNews::Event(_) | RunNews::Gone(_) => None,
            });
            events.collect::<Vec<u64>>()
        };
        // Whoever watches sees every line once; whoever comes later its beginning and its end, in
        // order, with the marks between.
        let mut all = lines(&seen);
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<u64>>());
        let late = RunWatch::new(runs.clone(), None).look();
        let found = lines(&late);
        assert!(found.is_sorted() && found.first() == Some(&0) && found.last() == Some(&999));
        let marks = late.iter().filter_map(|news| match news {
            RunNews::Event(RunEvent { what: RunWhat::Dropped { lines, .. }, .. }) => Some(*lines),
            RunNews::Event(_) | RunNews::Gone(_) => None,
        });
        assert_eq!(found.len() as u64 + marks.sum::<u64>(), 1000);
        assert!(runs.logs(&run, "a").len() > 2);
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
