use super::*;
use crate::remote::{Answer, LINE_LIMIT, Output, ReadLine};
use proptest::prelude::*;
use std::sync::Mutex;
use tokio::sync::mpsc;

/// A host with a job whose log is followed over connections that break.
struct BreakingHost {
    log: Mutex<Vec<u8>>,
    /// After how many bytes each connection breaks; the last one does not.
    breaks: Mutex<Vec<usize>>,
    /// How many bytes arrive at once.
    size: usize,
    /// What it noted of when the log was written.
    marks: &'static str,
    /// How many bytes of the log's end it does not come to print, the first time.
    unprinted: Mutex<usize>,
}

impl ScriptRunner for BreakingHost {
    fn run<'a>(&'a self, _: &'a str, _: &'a Script) -> Answer<'a, Output> {
        Box::pin(async { Ok(Output::default()) })
    }

    fn follow<'a>(
        &'a self,
        host: &'a str,
        script: &'a Script,
        pieces: mpsc::Sender<Vec<u8>>,
    ) -> Answer<'a, Output> {
        Box::pin(async move {
            let (offset, mark) = (script.args[1].parse::<usize>().unwrap(), &script.args[3]);
            let log = self.log.lock().unwrap().clone();
            let (marks, length) = (self.marks, log.len());
            let now = Timestamp::now().as_second();
            let head = format!("{mark}\tmarks\t{now}\t{length}\t{marks}\n");
            let unprinted = std::mem::take(&mut *self.unprinted.lock().unwrap());
            let mut printed = match log.get(offset..) {
                Some(rest) => {
                    let rest = &rest[..rest.len().saturating_sub(unprinted)];
                    let end = format!("\n{mark}\tover\t{length}\t0\t\t\n");
                    [head.as_bytes(), rest, end.as_bytes()].concat()
                }
                None => format!("\n{mark}\tshorter\n").into_bytes(),
            };
            let breaks = self.breaks.lock().unwrap().pop();
            printed.truncate(breaks.unwrap_or(usize::MAX));
            for piece in printed.chunks(self.size) {
                pieces.send(piece.to_vec()).await.unwrap();
            }
            match breaks {
                Some(_) => Err(RemoteError::new(host, Trouble::Lost, "it broke")),
                None => Ok(Output::default()),
            }
        })
    }

    fn address(&self, _: &str) -> Option<String> {
        None
    }
}

/// Keeps what it hears.
#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    lines: Vec<(u64, Vec<u8>)>,
    /// When the next line was written, and when the lines were.
    at: Option<Timestamp>,
    times: Vec<Option<i64>>,
    is_late: bool,
    began_anew: u32,
    read_to: u64,
    /// For how many seconds it was told that the log did not grow.
    stood_still: Vec<u64>,
}

impl LineSink for Heard {
    async fn take(&mut self, line: &ReadLine<'_>) {
        self.lines.push((line.length, line.bytes.to_vec()));
        self.times.push(self.at.map(Timestamp::as_second));
    }

    async fn note(&mut self, _: &str) {}

    async fn came(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
    }

    async fn begins_anew(&mut self) {
        *self = Self { began_anew: self.began_anew + 1, ..Self::default() };
    }

    fn lines_are_late(&mut self) {
        self.is_late = true;
    }

    async fn stands_still(&mut self, since: Duration) {
        self.stood_still.push(since.as_secs());
    }

    fn written_at(&mut self, at: Option<Timestamp>) {
        self.at = at;
    }

    fn read_to(&mut self, _: &str, offset: u64) {
        self.read_to = offset;
    }
}

/// Follows the job of a host to its end, after `before` was heard by another process.
fn follow(host: BreakingHost, before: &[u8]) -> Heard {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (mut job, mut heard) =
            (Job::new(Arc::new(host), "p620", "run-7-build"), Heard::default());
        for piece in before.chunks(1000) {
            job.heard_before(piece, &mut heard).await;
            heard.bytes.extend_from_slice(piece);
        }
        job.follow("exit", Duration::from_secs(600), &mut heard).await.unwrap();
        heard
    })
}

/// Checks that every byte and every line of a log was heard once.
fn assert_whole(heard: &Heard, log: &[u8]) {
    assert_eq!(heard.bytes.len(), log.len());
    assert!(heard.bytes == log, "other bytes than in the log");
    let lines: Vec<&[u8]> = log.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!(heard.lines.len(), lines.len());
    for ((length, bytes), line) in heard.lines.iter().zip(lines) {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        assert_eq!(*length, line.len() as u64);
        assert!(*bytes == text[..text.len().min(LINE_LIMIT)], "another line");
    }
    assert_eq!(heard.read_to, log.len() as u64);
}

/// Makes a log of lines, some of several MiB, with any bytes, whose last line may have no end.
fn log() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![
        20 => 0_usize..200,
        1 => LINE_LIMIT - 2..LINE_LIMIT + 3,
        1 => Just(3 * LINE_LIMIT + 17),
    ];
    let line = (length, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]);
    (prop::collection::vec(line, 0..30), any::<bool>()).prop_map(|(lines, ends)| {
        let mut log = lines.join(&b'\n');
        log.extend(ends.then_some(b'\n'));
        log
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_byte_and_line_comes_once_however_often_the_connection_and_the_process_end(
        log in log(),
        breaks in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        before in any::<prop::sample::Index>(),
        size in prop_oneof![1_usize..50, Just(32 * 1024), Just(1 << 22)],
        unprinted in prop_oneof![Just(0_usize), 1_usize..2000],
    ) {
        let size = size.max(log.len() / 5000);
        let breaks = breaks.iter().map(|at| at.index(log.len() + 40)).collect();
        let before = log[..before.index(log.len() + 1)].to_vec();
        let host = BreakingHost { log: Mutex::new(log.clone()), breaks: Mutex::new(breaks), size, marks: "", unprinted: Mutex::new(unprinted) };
        let heard = follow(host, &before);
        assert_eq!(heard.began_anew, 0);
        assert_whole(&heard, &log);
    }
}

#[test]
fn a_log_that_is_not_the_one_that_was_heard_before_is_read_from_its_beginning() {
    let log = b"one\ntwo\nthree\n".repeat(1000);
    let mut torn = log[..9000].to_vec();
    torn[8990..].fill(0);
    let longer = [&log[..], b"and more\n"].concat();
    for before in [torn, longer, vec![b'x'; 100_000]] {
        let (breaks, size) = (Mutex::default(), 100);
        let heard = follow(
            BreakingHost {
                log: Mutex::new(log.clone()),
                breaks,
                size,
                marks: "",
                unprinted: Mutex::default(),
            },
            &before,
        );
        assert_eq!(heard.began_anew, 1);
        assert_whole(&heard, &log);
    }
}

#[test]
fn lines_that_were_written_while_nobody_read_have_the_times_of_their_host() {
    let lines = Mutex::new(b"one\ntwo\nthree\n".to_vec());
    let host = |marks| {
        let log = Mutex::new(lines.lock().unwrap().clone());
        BreakingHost { log, breaks: Mutex::default(), size: 5, marks, unprinted: Mutex::default() }
    };
    let heard = follow(host("4 600,8 900,14 3000,"), b"one\n");
    // The first one was heard by another process, which noted nothing.
    assert_eq!(heard.times, [None, Some(900), Some(3000)]);
    assert!(!heard.is_late);
    // A job of an older nixdash noted nothing.
    let heard = follow(host(""), b"one\n");
    assert_eq!((heard.times, heard.is_late), (vec![None; 3], true));
}

#[test]
fn the_last_line_tells_how_the_job_stands() {
    assert_eq!(
        parse_last_line("over\t17\t0\t\t"),
        (JobState { exit: Some(0), ..JobState::default() }, 17)
    );
    assert_eq!(
        parse_last_line("over\t\t\t4 ok network\t").0,
        JobState { activated: Some("4 ok network".to_owned()), ..JobState::default() }
    );
    assert_eq!(
        parse_last_line("over\t90\t0\t2 failed\trolled-back\tsnippet-failed\tits script failed").0,
        JobState {
            exit: Some(0),
            activated: Some("2 failed".to_owned()),
            outcome: Some("rolled-back\tsnippet-failed\tits script failed".to_owned()),
            is_dead: false,
            is_gone: false,
        }
    );
    let (gone, dead) = (parse_last_line("gone").0, parse_last_line("dead\t0\t\t\t").0);
    assert!(gone.is_dead && gone.is_gone);
    assert!(dead.is_dead && !dead.is_gone);
    assert_eq!(dead.outcome, None);
    let older = parse_last_line("over\t9\t0\t0 ok\tswitched\t").0;
    assert_eq!(older.outcome.as_deref(), Some("switched\t"));
}

/// A host whose job prints nothing for some minutes, and then all.
struct SlowHost(BreakingHost);

impl ScriptRunner for SlowHost {
    fn run<'a>(&'a self, host: &'a str, script: &'a Script) -> Answer<'a, Output> {
        self.0.run(host, script)
    }

    fn follow<'a>(
        &'a self,
        host: &'a str,
        script: &'a Script,
        pieces: mpsc::Sender<Vec<u8>>,
    ) -> Answer<'a, Output> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(150)).await;
            self.0.follow(host, script, pieces).await
        })
    }

    fn address(&self, _: &str) -> Option<String> {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_does_not_grow_for_a_minute_is_told() {
    let host = BreakingHost {
        log: Mutex::new(b"one\n".to_vec()),
        breaks: Mutex::default(),
        size: 100,
        marks: "",
        unprinted: Mutex::default(),
    };
    let mut job = Job::new(Arc::new(SlowHost(host)), "samsung", "build");
    let mut heard = Heard::default();
    job.follow("exit", Duration::ZERO, &mut heard).await.unwrap();
    assert_eq!((heard.stood_still.as_slice(), heard.lines.len()), (&[60, 120][..], 1));
}
