//! The history under rough treatment: killed writers, full disks.

use jiff::Timestamp;
use nixdash::config;
use nixdash::fleet::{
    DropReason, Event, HostFacts, HostResult, HostState, Outcome, Phase, RunEvent, RunWhat,
};
use nixdash::record::{History, Recorder, RunNews, RunRecord, RunRecorder, RunWatch, Runs};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The variable that tells the child which folder to write into.
const FOLDER: &str = "NIXDASH_TEST_HISTORY";

fn facts(at: Timestamp) -> HostFacts {
    HostFacts {
        state: HostState::Up,
        load1: Some(1.0),
        measured_at: Some(at),
        asked_at: Some(at),
        ..HostFacts::default()
    }
}

/// Waits for a condition.
fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(30), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
#[ignore = "the writing child of a_writer_that_is_killed_leaves_a_whole_file, for ever"]
fn writes_for_ever() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let mut history = History::open(Path::new(&folder)).unwrap();
    assert_eq!(history.moved_aside(), None);
    for millisecond in 0.. {
        let at = Timestamp::from_millisecond(1_795_000_000_000 + millisecond).unwrap();
        history.write_host("p620", &facts(at)).unwrap();
        // Read by the parent: so much is written and must not be lost.
        println!("wrote {}", millisecond + 1);
    }
}

#[test]
fn a_writer_that_is_killed_leaves_a_whole_file() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let said = dir.path().join(format!("said-{round}"));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "history::writes_for_ever"])
            .env(FOLDER, dir.path())
            .stdout(std::fs::File::create(&said).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let written = || {
            let text = std::fs::read_to_string(&said).unwrap();
            text.lines().filter(|line| line.contains("wrote ")).count()
        };
        wait_for("the child to write", || written() > 50 * (round + 1));
        child.kill().unwrap();
        child.wait().unwrap();
        let history = History::open_repaired(dir.path()).unwrap();
        assert_eq!(history.moved_aside(), None, "round {round}");
        let kept = history.host_samples("p620", Timestamp::UNIX_EPOCH).unwrap();
        assert!(kept.probes >= written() as u64, "round {round}: {kept:?} of {}", written());
    }
}

/// Returns whether this process has a lock on a file, as the kernel tells it. One look may miss a lock while
/// other processes take and release theirs.
fn is_locked_by_us(file: &Path) -> bool {
    (0..20).any(|_| is_seen_locked_by_us(file))
}

fn is_seen_locked_by_us(file: &Path) -> bool {
    let inode = format!(":{}", std::fs::metadata(file).unwrap().ino());
    let own = std::process::id().to_string();
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).any(|words| {
        words.get(1) == Some(&"POSIX")
            && words.get(4) == Some(&own.as_str())
            && words.get(5).is_some_and(|place| place.ends_with(&inode))
    })
}

#[test]
fn a_second_look_into_the_file_keeps_the_locks_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    history.write_host("p620", &facts(Timestamp::UNIX_EPOCH)).unwrap();
    assert!(is_locked_by_us(history.path()));
    // As the screen and the exporter read trends beside the one who records. Without the lock any
    // other program that closes the file takes itself for the last one, and removes the log that
    // is written here: an `sqlite3` that somebody looked with did.
    drop(History::open(dir.path()).unwrap());
    assert!(is_locked_by_us(history.path()));
}

/// A small file system in memory, unmounted in the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(size: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(dir.path())
            .status();
        assert!(status.unwrap().success(), "a tmpfs could not be mounted");
        Self(dir)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(self.0.path()).status());
    }
}

#[tokio::test]
#[ignore = "needs root, to mount a small file system; tests/run.sh runs it"]
async fn a_full_disk_drops_writes_says_so_once_and_recovers() {
    let disk = SmallDisk::new("600k");
    let folder = disk.0.path();
    let said = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&said);
    let say = move |line: &str| kept.lock().unwrap().push(line.to_owned());
    let recorder = Recorder::start(folder, Arc::new(config::fallback()), say).unwrap();
    let write = |millisecond: i64| {
        let at = Timestamp::from_millisecond(1_795_000_000_000 + millisecond).unwrap();
        let facts = Box::new(facts(at));
        recorder.record(&Event::Host { host: "p620".to_owned(), facts });
    };
    write(0);
    recorder.flush().await;
    let ballast = folder.join("ballast");
    drop(std::fs::write(&ballast, vec![0; 1 << 20]));
    for millisecond in 1..20_000 {
        write(millisecond);
        if millisecond % 500 == 0 {
            recorder.flush().await;
        }
    }
    recorder.flush().await;
    {
        let said = said.lock().unwrap();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("are not recorded for now"), "{said:?}");
        assert!(said[0].contains("disk is full") || said[0].contains("is full"), "{said:?}");
    }
    std::fs::remove_file(&ballast).unwrap();
    write(30_000);
    recorder.flush().await;
    assert_eq!(said.lock().unwrap().last().unwrap(), "measurements are recorded again");
    let history = History::open_repaired(folder).unwrap();
    assert_eq!(history.moved_aside(), None);
    let kept = history.host_samples("p620", Timestamp::UNIX_EPOCH).unwrap();
    assert!(kept.probes > 1, "{kept:?}");
}

#[tokio::test]
#[ignore = "needs root, to mount a small file system; tests/run.sh runs it"]
async fn a_full_disk_ends_a_run_with_a_true_word_in_the_history() {
    let disk = SmallDisk::new("2M");
    let folder = disk.0.path();
    let fleet = Arc::new(config::fallback());
    let recorder = Recorder::start(folder, fleet, |_| {}).unwrap();
    let runs = Runs::open(folder).unwrap();
    let writer = runs.begin(None).unwrap();
    let run = writer.run().clone();
    let written = RunRecorder::start(writer, Some(recorder.clone())).unwrap();
    let tell = |what: RunWhat| {
        let event = RunEvent { run: run.clone(), at: Timestamp::now(), what };
        recorder.record(&Event::Run(event.clone()));
        written.events.send(event);
    };
    let host = "p620".to_owned();
    tell(RunWhat::begin(vec![host.clone()], "switch".to_owned()));
    recorder.flush().await;
    // A build that prints until the disk is full, and goes on.
    for number in 0..20_000 {
        let line = format!("{number} {}", "x".repeat(200));
        tell(RunWhat::log(host.clone(), Phase::Build, line));
    }
    let result = HostResult { duration_ms: 1000, built: 1, ..HostResult::ended(Outcome::Switched) };
    tell(RunWhat::Result { host: host.clone(), result });
    let outcomes = BTreeMap::from([(Outcome::Switched, 1)]);
    tell(RunWhat::Summary { outcomes, duration_ms: 1000, findings: Vec::new() });
    let RunRecord::Written(marks) = written.end().await else { panic!("the disk did not hang") };
    recorder.flush().await;
    assert!(!marks.is_empty());
    let row = &History::open(folder).unwrap().runs(&[], Timestamp::UNIX_EPOCH, 1).unwrap()[0];
    let (name, result) = &row.hosts[0];
    assert_eq!(name, &host);
    assert_eq!(result.as_ref().map(|result| result.outcome), Some(Outcome::Switched));
    assert!(row.ended_at.is_some());
    let (why, lines, events) = row.gaps[0];
    assert_eq!((why, events), (DropReason::DiskFull, 0));
    assert!((1_000..20_000).contains(&lines), "{lines}");
    // Whoever reads the folder sees the end of the run, and what is missing before it.
    let news = RunWatch::new(runs, None).look();
    let has = |what: fn(&RunWhat) -> bool| {
        news.iter().any(|news| matches!(news, RunNews::Event(event) if what(&event.what)))
    };
    assert!(has(|what| matches!(what, RunWhat::Summary { .. })));
    assert!(has(|what| matches!(what, RunWhat::Dropped { why: DropReason::DiskFull, .. })));
}
