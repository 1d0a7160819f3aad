//! What becomes of a run on small disks.

use super::*;
use crate::fleet::{Outcome, Phase, PhaseState};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

type FolderContents = HashMap<PathBuf, Vec<u8>>;

/// A disk in memory with room for so many bytes.
#[derive(Clone, Default)]
struct SmallDisk(Arc<Mutex<(usize, FolderContents)>>);

impl SmallDisk {
    fn with_room(bytes: usize) -> Self {
        let disk = Self::default();
        disk.set_room(bytes);
        disk
    }

    fn set_room(&self, bytes: usize) {
        self.0.lock().unwrap().0 = bytes;
    }

    fn used(&self) -> usize {
        self.0.lock().unwrap().1.values().map(Vec::len).sum()
    }

    fn lines(&self, file: &str) -> Vec<String> {
        let disk = self.0.lock().unwrap();
        let bytes = disk.1.get(Path::new(file)).cloned().unwrap_or_default();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }

    fn events(&self, file: &str) -> Vec<RunEvent> {
        let lines = self.lines(file);
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Returns when the lines of a log were, without its marks.
    fn seconds(&self, file: &str) -> Vec<i64> {
        let lines = self.lines(file).into_iter().map(|line| LogLine::read(line.as_bytes()));
        let lines = lines.filter(|line| line.phase.is_some());
        lines.map(|line| line.at.unwrap().as_second()).collect()
    }

    fn files(&self) -> Vec<String> {
        let disk = self.0.lock().unwrap();
        let mut files: Vec<String> = disk.1.keys().map(|file| file.display().to_string()).collect();
        files.sort();
        files
    }
}

impl Files for SmallDisk {
    fn append(&mut self, path: &Path, bytes: &[u8]) -> io::Result<u64> {
        if self.used() + bytes.len() > self.0.lock().unwrap().0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut disk = self.0.lock().unwrap();
        let file = disk.1.entry(path.to_path_buf()).or_default();
        let offset = file.len() as u64;
        file.extend_from_slice(bytes);
        Ok(offset)
    }

    fn length(&mut self, path: &Path) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().1.get(path).map_or(0, |bytes| bytes.len() as u64))
    }

    fn replace(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if self.used() + bytes.len() > self.0.lock().unwrap().0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.lock().unwrap().1.insert(path.to_path_buf(), bytes.to_vec());
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.0.lock().unwrap().1.retain(|file, _| !file.starts_with(path));
        Ok(())
    }
}

fn writer(disk: &SmallDisk, limit: u64) -> RunWriter {
    RunWriter::new(RunId("7".to_owned()), "run".into(), Box::new(disk.clone()), limit)
}

fn event(second: i64, what: RunWhat) -> RunEvent {
    let at = Timestamp::from_second(second).unwrap();
    RunEvent { run: RunId("7".to_owned()), at, what }
}

fn line(second: i64) -> RunEvent {
    let (host, line) = ("samsung".to_owned(), format!("line {second}"));
    event(second, RunWhat::log(host, Phase::Build, line))
}

fn phase(second: i64, phase: Phase) -> RunEvent {
    let (host, state) = ("samsung".to_owned(), PhaseState::Finished);
    event(second, RunWhat::Phase { host, phase, state })
}

fn summary(second: i64) -> RunEvent {
    let outcomes = BTreeMap::from([(Outcome::Switched, 1)]);
    event(second, RunWhat::Summary { outcomes, duration_ms: 1, findings: Vec::new() })
}

/// Returns lines and other events that marks say are missing.
fn missing(marks: &[RunEvent], reason: DropReason) -> (u64, u64) {
    marks.iter().fold((0, 0), |sum, mark| match &mark.what {
        RunWhat::Dropped { lines, events, why, .. } if *why == reason => {
            (sum.0 + lines, sum.1 + events)
        }
        _ => sum,
    })
}

#[test]
fn logs_without_end_keep_their_beginning_and_their_newest_lines() {
    let (limit, count) = (400_000, 10_000);
    let disk = SmallDisk::with_room(1 << 30);
    let mut writer = writer(&disk, limit);
    for second in 0..count {
        writer.write(&line(second));
        if second % 100 == 0 {
            writer.write(&phase(second, Phase::Build));
        }
        if second % 7 == 0 {
            writer.flush().unwrap();
            let logs = disk.used() - RESERVE;
            // Phases and marks come on top: they are always kept.
            assert!(logs as u64 <= limit + limit / 2, "{logs} bytes at {second}");
        }
    }
    writer.write(&summary(count));
    let marks = writer.finish();
    let files = disk.files();
    assert_eq!(files.iter().filter(|file| file.ends_with("samsung.log")).count(), 1 + TAILS);
    assert!(!files.iter().any(|file| file.ends_with(RESERVED)), "{files:?}");
    let found = disk.events("run/events.jsonl");
    let logs = files.iter().filter(|file| file.ends_with("samsung.log"));
    let lines: Vec<i64> = logs.flat_map(|file| disk.seconds(file)).collect();
    assert!(lines.contains(&0) && lines.contains(&(count - 1)));
    let (gone, events) = missing(&marks, DropReason::RunSize);
    assert_eq!((lines.len() as u64 + gone, events), (count as u64, 0));
    assert_eq!(missing(&found, DropReason::RunSize), (gone, 0), "the marks are in the file");
    let phases = found.iter().filter(|event| matches!(event.what, RunWhat::Phase { .. }));
    assert_eq!(i64::try_from(phases.count()).unwrap(), count / 100);
    assert!(matches!(
        found.iter().find(|event| event.at.as_second() == count).unwrap().what,
        RunWhat::Summary { .. }
    ));
    let said = disk.lines("run/samsung.log");
    assert!(said.last().unwrap().contains("bigger than max_run_size"), "{said:?}");
}

#[test]
fn a_disk_that_fills_up_loses_lines_with_a_count_and_no_phase() {
    let disk = SmallDisk::with_room(RESERVE + 3_000);
    let mut writer = writer(&disk, 1 << 30);
    for second in 0..500 {
        writer.write(&line(second));
        writer.flush().ok();
        if second % 100 == 0 {
            writer.write(&phase(second, Phase::Build));
        }
        if second == 250 {
            // Somebody else takes what was kept free, and everything else.
            disk.set_room(0);
        }
    }
    assert!(writer.flush().is_err());
    disk.set_room(1 << 30);
    writer.write(&line(500));
    writer.write(&summary(501));
    let marks = writer.finish();
    let events = disk.events("run/events.jsonl");
    let count =
        |what: fn(&RunWhat) -> bool| events.iter().filter(|event| what(&event.what)).count() as u64;
    assert_eq!(count(|what| matches!(what, RunWhat::Phase { .. })), 5);
    assert_eq!(count(|what| matches!(what, RunWhat::Summary { .. })), 1);
    let kept = disk.seconds("run/samsung.log").len() as u64;
    let (gone, lost) = missing(&events, DropReason::DiskFull);
    assert!(gone > 0 && kept > 0);
    assert_eq!((kept + gone, lost), (501, 0), "{kept} kept");
    assert_eq!(missing(&marks, DropReason::DiskFull), (gone, 0));
}

#[test]
fn lines_do_not_take_the_room_that_the_end_of_a_run_needs() {
    let disk = SmallDisk::with_room(2 * RESERVE);
    let mut writer = writer(&disk, 1 << 30);
    for second in 0..10_000 {
        writer.write(&line(second));
        if second % 50 == 0 {
            writer.flush().ok();
        }
        if second == 8_000 {
            // Now an event needs what was kept free.
            writer.write(&phase(second, Phase::Build));
        }
    }
    let used = disk.used();
    assert!(used > RESERVE && used < 2 * RESERVE - RESERVE / 2, "{used} bytes");
    assert!(!disk.files().contains(&"run/reserve".to_owned()), "{:?}", disk.files());
    writer.write(&summary(10_000));
    let marks = writer.finish();
    // The history has room for the run's end and for what is missing.
    assert!(disk.used() < 2 * RESERVE - RESERVE / 2, "{} bytes", disk.used());
    let kept = disk.seconds("run/samsung.log").len() as u64;
    assert_eq!(missing(&marks, DropReason::DiskFull), (10_000 - kept, 0));
    let found = disk.events("run/events.jsonl");
    assert_eq!(missing(&found, DropReason::DiskFull), (10_000 - kept, 0));
    assert!(found.iter().any(|event| matches!(event.what, RunWhat::Summary { .. })));
}

#[test]
fn what_a_full_disk_never_took_is_told_at_the_end() {
    let disk = SmallDisk::with_room(0);
    let mut writer = writer(&disk, 1 << 30);
    writer.write(&line(1));
    writer.write(&phase(2, Phase::Build));
    writer.write(&summary(3));
    let marks = writer.finish();
    assert_eq!(disk.files(), [""; 0]);
    assert_eq!(missing(&marks, DropReason::DiskFull), (1, 2));
    let RunWhat::Dropped { lines, events, why, .. } = &marks[0].what else { unreachable!() };
    assert_eq!(
        why.sentence(*lines, *events),
        "1 log line and 2 other events were not recorded, because the disk was full or could \
         not be written"
    );
}

#[test]
fn how_far_a_run_is_is_written_seldom_and_before_what_happens_next() {
    let disk = SmallDisk::with_room(1 << 30);
    let mut writer = writer(&disk, 1 << 30);
    let began = Instant::now();
    let progress = |writer: &mut RunWriter, done: u64| {
        let progress = crate::fleet::Progress { done, ..crate::fleet::Progress::default() };
        let host = "samsung".to_owned();
        writer.write(&event(1, RunWhat::Progress { host, phase: Phase::Fetch, progress }));
        writer.flush().unwrap();
    };
    let shown = |disk: &SmallDisk| {
        let live: LiveRun = serde_json::from_str(&disk.lines("run/live.json")[0]).unwrap();
        live.hosts["samsung"].progress.as_ref().unwrap().progress.done
    };
    progress(&mut writer, 1);
    assert_eq!(shown(&disk), 1);
    progress(&mut writer, 2);
    if began.elapsed() < LIVE_EVERY {
        assert_eq!((shown(&disk), writer.has_news()), (1, true));
    }
    writer.write(&phase(2, Phase::Fetch));
    writer.flush().unwrap();
    assert_eq!((shown(&disk), writer.has_news()), (2, false));
    progress(&mut writer, 3);
    writer.finish();
    assert_eq!(shown(&disk), 3);
}
