//! What jobs print is kept byte for byte, and stands in the log once, whenever nixdash was killed.

use super::resumed::{journal_of, until};
use super::target::{Story, Target, carry_out, fleet};
use crate::deploy::{Replayed, RunBegin, RunEntry, RunJournal};
use crate::fleet::{Goal, LogLine, Outcome, Phase, RunEvent, RunId};
use crate::record::{JournalEntry, Runs};
use std::fs;

/// Returns what a build printed: lines of a build and of Nix, one of them very long, the last without an
/// end.
fn printed() -> String {
    let line = |number: u32| {
        format!(
            "line {number}\n@nix {{\"action\":\"msg\",\"level\":1,\"msg\":\"message {number}\\nof two\"}}\n"
        )
    };
    let mut printed: String = (0..40).map(line).collect();
    printed.push_str(&"long".repeat(600_000));
    printed.push_str("\nlast");
    printed
}

/// A run whose first process was killed while samsung was built.
struct KilledRun {
    _dir: tempfile::TempDir,
    runs: Runs,
    run: RunId,
    begun: Vec<JournalEntry<RunEntry>>,
    /// What the job notes of when its log was how long.
    marks: Option<&'static str>,
}

impl KilledRun {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let run = runs.begin(None).unwrap().run().clone();
        let (entries, _) = journal_of(Goal::Build).await;
        let begun = until(&entries, Phase::Build).to_vec();
        Self { _dir: dir, runs, run, begun, marks: None }
    }

    /// Goes on with the run; its job is there when `is_there`. Only so many lines come into its log
    /// before it is killed.
    async fn go_on(&self, is_there: bool, lines: usize) -> Story {
        let streams = Some(self.runs.streams(&self.run, 1 << 30));
        let (log, marks) = (printed(), self.marks);
        let target = Target { is_there, log, streams, marks, ..Target::default() };
        let replayed = Box::new(Replayed::new(&self.begun).unwrap());
        let begin = RunBegin::GoOn { replayed, untold: Vec::new() };
        let story = carry_out(fleet(""), target, begin, RunJournal::none(), None).await;
        assert_eq!(story.result.outcome, Outcome::Built, "{}", story.error());
        let mut writer = self.runs.reopen(&self.run).unwrap();
        for (at, event) in
            story.events.iter().filter(|event| is_of_build(event)).take(lines).enumerate()
        {
            writer.write(event);
            if at % 7 == 0 {
                writer.flush().unwrap();
            }
        }
        writer.finish();
        story
    }

    fn stream(&self, name: &str) -> std::path::PathBuf {
        self.runs.folder(&self.run).join(format!("samsung.{name}.stream"))
    }

    /// Returns the lines of the log that the build printed.
    fn log(&self) -> Vec<String> {
        let text = fs::read(self.runs.folder(&self.run).join("samsung.log")).unwrap_or_default();
        let lines = text.split(|byte| *byte == b'\n').map(|line| LogLine::read(line).text);
        let is_printed = |line: &String| {
            ["line ", "message ", "of two", "last", "long"]
                .iter()
                .any(|begin| line.starts_with(begin))
        };
        lines.filter(is_printed).collect()
    }
}

fn is_of_build(event: &RunEvent) -> bool {
    matches!(&event.what, crate::fleet::RunWhat::Log { phase: Phase::Build, .. })
}

#[tokio::test(start_paused = true)]
async fn wherever_nixdash_is_killed_the_stream_is_whole_and_every_line_is_there_once() {
    let whole = KilledRun::new().await;
    whole.go_on(false, usize::MAX).await;
    let wanted = whole.log();
    assert_eq!(wanted.len(), 40 * 3 + 2, "{wanted:?}");
    assert_eq!(fs::read_to_string(whole.stream("build")).unwrap(), printed());
    for (lines, kept) in [(0, 0), (1, 20), (50, 0), (50, 1_000_000), (90, 2_000), (119, 1 << 30)] {
        let run = KilledRun::new().await;
        run.go_on(false, lines).await;
        let file = fs::OpenOptions::new().write(true).open(run.stream("build")).unwrap();
        file.set_len(kept.min(printed().len() as u64 - 2)).unwrap();
        run.go_on(true, usize::MAX).await;
        assert_eq!(fs::read_to_string(run.stream("build")).unwrap(), printed(), "{lines} {kept}");
        assert_eq!(run.log(), wanted, "{lines} {kept}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_printed_while_nobody_read_has_the_times_of_its_host() {
    let mut run = KilledRun::new().await;
    // The first lines at one time, the next ones forty minutes later.
    run.marks = Some("130 1700000000,2000 1700002400,");
    let times = |story: &Story| {
        let logs = story.events.iter().filter(|event| is_of_build(event));
        let lines = logs.filter_map(|event| match &event.what {
            crate::fleet::RunWhat::Log { line, .. } => Some((line.clone(), event.at.as_second())),
            _ => None,
        });
        lines.collect::<std::collections::BTreeMap<String, i64>>()
    };
    let story = run.go_on(true, 7).await;
    let first = times(&story);
    assert_eq!((first["line 0"], first["line 1"]), (1_700_000_000, 1_700_000_000));
    assert_eq!((first["line 3"], first["line 20"]), (1_700_002_400, 1_700_002_400));
    // The last ones were written just now.
    assert!(first["line 39"] > 1_700_002_400);
    // What is kept of the stream has these times, too: whoever goes on logs the rest with them.
    let marks = run.runs.stream_marks(&run.run, "samsung", "build");
    let known: Vec<_> = marks.iter().map(|mark| (mark.offset, mark.at.as_second())).collect();
    assert_eq!(known[..2], [(130, 1_700_000_000), (2000, 1_700_002_400)]);
    run.marks = None;
    let rest = times(&run.go_on(true, usize::MAX).await);
    assert!(!rest.contains_key("line 0"));
    assert_eq!((rest["line 3"], rest["line 20"]), (1_700_002_400, 1_700_002_400));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_missing_torn_or_of_another_job_ends_in_a_right_account() {
    for (is_there, kept, begins_anew) in [
        (true, None, false),
        (true, Some(vec![0; 5000]), true),
        (true, Some([printed().as_bytes(), b"more"].concat()), true),
        // The host was restarted, and the job is begun once more.
        (false, Some(b"line 0\n".to_vec()), true),
    ] {
        let run = KilledRun::new().await;
        match &kept {
            Some(bytes) => fs::write(run.stream("build"), bytes).unwrap(),
            None => drop(fs::remove_file(run.stream("build"))),
        }
        run.go_on(is_there, usize::MAX).await;
        let name = if begins_anew { "build.again-2" } else { "build" };
        assert_eq!(fs::read_to_string(run.stream(name)).unwrap(), printed());
        let printed = |line: &&String| line.as_str() == "message 39";
        assert!(run.log().iter().any(|line| printed(&line)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_cannot_be_written_is_said_and_holds_nothing_up() {
    let run = KilledRun::new().await;
    fs::create_dir(run.stream("build")).unwrap();
    let story = run.go_on(false, usize::MAX).await;
    let said = story.logged(Phase::Build).join("\n");
    assert!(said.contains("only up to byte 0"), "{said}");
    assert_eq!(run.log().len(), 40 * 3 + 2);
}
