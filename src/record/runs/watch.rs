//! Watching runs: reads what was added since the last look.
//!
//! Only what tells how runs stand is read here, which is little: their events, and how far those are
//! that go on. Logs are read by whoever looks at one ([`Runs::read_log`]).

use crate::fleet::{LiveRun, RunEvent, RunId, RunWhat};
use crate::record::Runs;
use crate::record::runs::events::{EventLine, ReadExtent, read_events};
use crate::record::runs::{EVENTS, LIVE};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How many finished runs of the fleet are read when the watch begins.
const PAST: usize = 100;

/// The biggest file that says how far a run is, in bytes.
const BIGGEST_LIVE: u64 = 16 << 20;

/// Something new about a run.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly all news are events")]
pub enum RunNews {
    /// An event that tells how the run stands: no log line, and no progress.
    Event(RunEvent),
    /// How far the run is now.
    Live(RunId, LiveRun),
    /// The process that carried the run out is gone, and the run has no end.
    Gone(RunId),
    /// These runs of other files of this machine go on.
    Elsewhere(Vec<RunElsewhere>),
}

/// A run of another `hosts.toml`: only which hosts it is for is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunElsewhere {
    /// The run.
    pub run: RunId,
    /// Its hosts, as that file names them.
    pub hosts: Vec<String>,
}

/// Where the reading of one run stands.
#[derive(Default)]
struct ReadPosition {
    /// How far its events were read.
    offset: u64,
    /// What the file was that said how far the run is.
    live: Option<FileStamp>,
    /// How far a run of an older nixdash is, which writes that among its events.
    old: LiveRun,
    over: bool,
    /// Whether it was told that the process is gone; the run may be ended afterwards.
    gone: bool,
    /// Whether it is of another file and went on when it was looked at last; its hosts, once they are known.
    elsewhere: Option<Vec<String>>,
}

/// What changes when a file is replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FileStamp {
    changed_at: Option<SystemTime>,
    size: u64,
}

/// Reads the events of all runs, each once.
pub struct RunWatch {
    runs: Runs,
    fleet: Option<PathBuf>,
    places: HashMap<RunId, ReadPosition>,
    /// The runs there are, as long as the folder of runs is what it was then.
    listed: Option<(SystemTime, Vec<RunId>)>,
    /// The runs of other files that go on, as they were told last.
    elsewhere: Vec<RunElsewhere>,
}

impl RunWatch {
    /// Begins to watch the runs of the fleet in that file; the first look brings the last hundred too.
    pub fn new(runs: Runs, fleet: Option<PathBuf>) -> Self {
        Self { runs, fleet, places: HashMap::new(), listed: None, elsewhere: Vec::new() }
    }

    /// Returns what is new since the last look, oldest run first.
    pub fn look(&mut self) -> Vec<RunNews> {
        let (mut news, mut elsewhere) = (Vec::new(), Vec::new());
        let first = self.listed.is_none();
        let changed = self.runs.changed_at();
        let listed = self.listed.take().filter(|(at, _)| Some(*at) == changed);
        let all = match listed {
            Some((_, all)) => all,
            None => self.runs.list().unwrap_or_default(),
        };
        // Of the runs of this fleet: those of other files in between take none of their places.
        let skip = if first { self.first_of_the_past(&all) } else { 0 };
        for (index, run) in all.iter().enumerate() {
            // Whose it is, is noted before its process.
            if !self.places.contains_key(run) && self.runs.is_reserved(run) {
                continue;
            }
            let place = self.places.entry(run.clone()).or_insert_with(|| {
                let old = index < skip && !self.runs.is_alive(run);
                let foreign = !self.runs.belongs_to(run, self.fleet.as_deref());
                let elsewhere = foreign.then(Vec::new);
                ReadPosition { over: old || foreign, elsewhere, ..ReadPosition::default() }
            });
            if let Some(hosts) = &mut place.elsewhere {
                if !self.runs.is_alive(run) {
                    place.elsewhere = None;
                    continue;
                }
                if hosts.is_empty() {
                    *hosts = self.runs.begun_hosts(run).unwrap_or_default();
                }
                elsewhere.push(RunElsewhere { run: run.clone(), hosts: hosts.clone() });
            }
            if place.over {
                continue;
            }
            let alive = self.runs.is_alive(run);
            read(&self.runs, run, alive, place, &mut news);
            if !alive && !place.over && !place.gone {
                news.push(RunNews::Gone(run.clone()));
            }
            // It may be gone on with, and be left once more.
            place.gone = !alive;
        }
        if elsewhere != self.elsewhere {
            self.elsewhere.clone_from(&elsewhere);
            news.push(RunNews::Elsewhere(elsewhere));
        }
        self.listed = Some((changed.unwrap_or(SystemTime::UNIX_EPOCH), all));
        news
    }
}

impl RunWatch {
    /// Returns the index of the oldest run that is read when the watch begins.
    fn first_of_the_past(&self, all: &[RunId]) -> usize {
        let is_own = |(_, run): &(usize, &RunId)| self.runs.belongs_to(run, self.fleet.as_deref());
        let own = all.iter().enumerate().rev().filter(is_own);
        own.take(PAST).last().map_or(all.len(), |(index, _)| index)
    }
}

/// Reads what was added to a run's events, and how far it is.
fn read(runs: &Runs, run: &RunId, alive: bool, place: &mut ReadPosition, news: &mut Vec<RunNews>) {
    let dir = runs.folder(run);
    let extent = if alive { ReadExtent::Whole } else { ReadExtent::Ends };
    let (old, over) = (&mut place.old, &mut place.over);
    let mut old_changed = false;
    place.offset = read_events(&dir.join(EVENTS), place.offset, extent, |line| match line {
        EventLine::Few(event) => {
            *over |= matches!(event.what, RunWhat::Summary { .. });
            news.push(RunNews::Event(event));
        }
        EventLine::Many(line) if alive => {
            let event = serde_json::from_slice(&line).ok();
            old_changed |= event.is_some_and(|event| old.take(&event));
        }
        EventLine::Many(_) => {}
    });
    if old_changed {
        news.push(RunNews::Live(run.clone(), place.old.clone()));
    }
    // After the events: what is written last before the end of a run is read, too.
    let live = dir.join(LIVE);
    let stamp = stamp(&live);
    if stamp != place.live {
        place.live = stamp;
        let text = stamp.and_then(|_| fs::read(&live).ok()).unwrap_or_default();
        // What cannot be read (of a newer nixdash) is not shown.
        if let Ok(live) = serde_json::from_slice(&text) {
            news.push(RunNews::Live(run.clone(), live));
        }
    }
}

/// Returns what tells whether a file is another one than before; none for one that is not there, or that
/// is too big to be what it should be.
fn stamp(path: &Path) -> Option<FileStamp> {
    let data = fs::metadata(path).ok().filter(|data| data.len() <= BIGGEST_LIVE)?;
    Some(FileStamp { changed_at: data.modified().ok(), size: data.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Phase, Progress};
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
        let begin = event(&run, RunWhat::begin(vec!["a".into()], "x".into()));
        writer.write(&begin);
        writer.flush().unwrap();
        assert_eq!(watch.look(), [RunNews::Event(begin)]);
        let end = event(
            &run,
            RunWhat::Summary { outcomes: BTreeMap::new(), duration_ms: 1, findings: Vec::new() },
        );
        writer.write(&end);
        writer.flush().unwrap();
        assert_eq!(watch.look(), [RunNews::Event(end)]);
        assert_eq!(watch.look(), []);
    }

    #[test]
    fn runs_of_other_fleets_take_no_place_of_what_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let ended = |fleet: Option<&Path>| {
            let mut writer = runs.begin(fleet).unwrap();
            let run = writer.run().clone();
            writer.write(&event(&run, RunWhat::begin(vec!["a".into()], "x".into())));
            writer.finish();
            fs::write(runs.folder(&run).join("process"), "1 12345\n").unwrap();
            run
        };
        let (oldest, own) = (ended(None), ended(None));
        let practice = Path::new("/lab/hosts.toml");
        (0..PAST).for_each(|_| drop(ended(Some(practice))));
        let told = |fleet: Option<&Path>| {
            let news = RunWatch::new(runs.clone(), fleet.map(Path::to_owned)).look();
            news.into_iter().filter_map(|news| match news {
                RunNews::Event(event) => Some(event.run),
                RunNews::Live(..) | RunNews::Gone(_) | RunNews::Elsewhere(_) => None,
            })
        };
        assert_eq!(told(None).collect::<Vec<_>>(), [oldest.clone(), own]);
        assert_eq!(told(Some(practice)).count(), PAST);
        (0..PAST - 1).for_each(|_| drop(ended(None)));
        assert!(!told(None).any(|run| run == oldest));
        assert_eq!(told(None).count(), PAST);
    }

    #[test]
    fn a_run_of_another_file_is_told_as_long_as_it_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let mut watch = RunWatch::new(runs.clone(), None);
        let mut writer = runs.begin(Some(Path::new("/other/hosts.toml"))).unwrap();
        let run = writer.run().clone();
        writer.write(&event(&run, RunWhat::begin(vec!["a".into()], "x".into())));
        writer.flush().unwrap();
        let told = RunElsewhere { run: run.clone(), hosts: vec!["a".to_owned()] };
        assert_eq!(watch.look(), [RunNews::Elsewhere(vec![told])]);
        assert_eq!(watch.look(), []);
        fs::write(runs.folder(&run).join("process"), "1 12345\n").unwrap();
        assert_eq!(watch.look(), [RunNews::Elsewhere(Vec::new())]);
        assert_eq!(watch.look(), []);
    }

    #[test]
    fn of_log_lines_and_progress_only_the_newest_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let mut writer = runs.begin(None).unwrap();
        let run = writer.run().clone();
        let mut watch = RunWatch::new(runs.clone(), None);
        let (host, phase) = ("a".to_owned(), Phase::Build);
        for number in 0..1000 {
            let (host, line) = (host.clone(), number.to_string());
            writer.write(&event(&run, RunWhat::log(host.clone(), phase, line)));
            let progress = Progress { done: number, ..Progress::default() };
            writer.write(&event(&run, RunWhat::Progress { host, phase, progress }));
        }
        let what =
            RunWhat::Summary { outcomes: BTreeMap::new(), duration_ms: 1, findings: Vec::new() };
        writer.write(&event(&run, what));
        writer.finish();
        let news = watch.look();
        assert_eq!(news.len(), 2, "{news:?}");
        let RunNews::Live(_, live) = &news[1] else { panic!("{news:?}") };
        let found = &live.hosts["a"];
        assert_eq!((found.lines, found.last.as_ref().unwrap().text.as_str()), (1000, "999"));
        assert_eq!(found.progress.as_ref().unwrap().progress.done, 999);
        assert_eq!(watch.look(), []);
    }

    #[test]
    fn a_run_that_an_older_nixdash_carries_out_is_followed_by_its_events() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let run = runs.begin(None).unwrap().run().clone();
        let (host, line) = ("a".to_owned(), "hello".to_owned());
        let line = event(&run, RunWhat::log(host, Phase::Build, line));
        let json = format!("{}\n", serde_json::to_string(&line).unwrap());
        fs::write(runs.folder(&run).join(EVENTS), json).unwrap();
        let news = RunWatch::new(runs, None).look();
        let [RunNews::Live(_, live)] = &news[..] else { panic!("{news:?}") };
        assert_eq!(live.hosts["a"].last.as_ref().unwrap().text, "hello");
    }

    #[test]
    fn a_run_whose_process_died_is_gone_and_one_that_has_not_begun_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let run = runs.begin(None).unwrap().run().clone();
        fs::write(runs.folder(&run).join("process"), "1 12345\n").unwrap();
        runs.reserve(None).unwrap();
        let mut watch = RunWatch::new(runs, None);
        assert_eq!(watch.look(), [RunNews::Gone(run)]);
        assert_eq!(watch.look(), []);
    }
}
