//! Runs that are gone on with: from every entry of a journal, and on hosts that have changed.

use super::target::{NEW, OLD, Story, Target, carry_out, fleet, switch};
use crate::deploy::engine::scripts::HOOK;
use crate::deploy::{Input, JOURNAL_FORMAT, Replayed, RunBegin, RunEntry, RunJournal};
use crate::fleet::{Code, Goal, Outcome, Phase, RunEvent, RunWhat, Wait};
use crate::record::{JournalEntry, JournalError, Runs};
use crate::remote::Trouble;

/// What a host says of itself that stands as it stood when its plan was made.
const UNTOUCHED: &str = "running\t/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-old\n\
                         profile\t/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-old\n";

fn target() -> Target {
    Target { account: UNTOUCHED.to_owned(), ..Target::default() }
}

/// Deploys to the end and returns the journal and what was told.
pub(super) async fn journal_of(goal: Goal) -> (Vec<JournalEntry<RunEntry>>, Vec<RunEvent>) {
    journal_on(target(), goal).await
}

/// Deploys to a host to the end and returns the journal and what was told.
async fn journal_on(target: Target, goal: Goal) -> (Vec<JournalEntry<RunEntry>>, Vec<RunEvent>) {
    journal_with("", target, goal).await
}

/// The same with these lines in `[hosts.samsung]`.
async fn journal_with(
    lines: &str,
    target: Target,
    goal: Goal,
) -> (Vec<JournalEntry<RunEntry>>, Vec<RunEvent>) {
    let dir = tempfile::tempdir().unwrap();
    let runs = Runs::open(dir.path()).unwrap();
    let run = runs.begin(None).unwrap().run().clone();
    let writer = runs.begin_journal(&run, JOURNAL_FORMAT).unwrap();
    let journal = RunJournal::start(writer, |error| panic!("{error}")).unwrap();
    let fleet = fleet(lines);
    let begin = RunBegin::Fresh { setup: Box::new(switch(&fleet, goal)), hosts_file: None };
    let story = carry_out(fleet, target, begin, journal, None).await;
    // Its thread writes the last entries and lets the file go.
    let entries = loop {
        match runs.resume_journal::<RunEntry>(&run, JOURNAL_FORMAT) {
            Ok((_, journal)) => break journal.entries,
            Err(JournalError::InUse { .. }) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    };
    (entries, story.events)
}

/// Goes on with a run from its journal; nothing of it was told.
async fn go_on(entries: &[JournalEntry<RunEntry>], target: Target) -> Story {
    go_on_with("", entries, target).await
}

/// The same with these lines in `[hosts.samsung]`.
async fn go_on_with(lines: &str, entries: &[JournalEntry<RunEntry>], target: Target) -> Story {
    let replayed = Box::new(Replayed::new(entries).unwrap());
    let untold = replayed.untold(&[]).unwrap();
    let begin = RunBegin::GoOn { replayed, untold };
    carry_out(fleet(lines), target, begin, RunJournal::none(), None).await
}

/// Returns a journal whose run is stopped by somebody as its last entry.
fn stopped(entries: &[JournalEntry<RunEntry>]) -> Vec<JournalEntry<RunEntry>> {
    let mut entries = entries.to_vec();
    let at = entries.last().unwrap().at;
    entries.push(JournalEntry { at, entry: RunEntry::Input(Input::Cancel) });
    entries
}

/// Returns a journal up to the entry behind which a phase runs.
pub(super) fn until(entries: &[JournalEntry<RunEntry>], phase: Phase) -> &[JournalEntry<RunEntry>] {
    let runs = |cut: &usize| {
        let replayed = Replayed::new(&entries[..*cut]).unwrap();
        replayed.open.get("samsung").is_some_and(|open| open.phase == phase)
    };
    let cut = (1..=entries.len()).find(runs).unwrap();
    &entries[..cut]
}

#[tokio::test(start_paused = true)]
async fn a_run_is_gone_on_with_from_every_entry_of_its_journal() {
    for (goal, outcome) in [(Goal::Switch, Outcome::Switched), (Goal::Build, Outcome::Built)] {
        let (entries, events) = journal_of(goal).await;
        assert!(entries.iter().any(|entry| matches!(entry.entry, RunEntry::Job(_))));
        for cut in 1..=entries.len() {
            let kept = Replayed::new(&entries[..cut]).unwrap().supervised;
            let was_told = kept.values().any(|since| since.kept_at.is_some());
            let word = was_told.then(|| "commit".to_owned());
            let story = go_on(&entries[..cut], Target { word, ..target() }).await;
            assert_eq!(story.result.outcome, outcome, "cut at {cut}: {}", story.error());
            let count = |is: fn(&RunWhat) -> bool| {
                story.events.iter().filter(|event| is(&event.what)).count()
            };
            assert_eq!(count(|what| matches!(what, RunWhat::Result { .. })), 1, "cut at {cut}");
            assert_eq!(count(|what| matches!(what, RunWhat::Summary { .. })), 1, "cut at {cut}");
            assert_eq!(count(|what| matches!(what, RunWhat::Begin { .. })), 1, "cut at {cut}");
            assert_eq!(count(|what| matches!(what, RunWhat::Reattached { .. })), 1);
        }
        // The journal has all that was told.
        assert!(Replayed::new(&entries).unwrap().untold(&events).unwrap().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_in_which_a_host_did_not_answer_for_a_while_is_gone_on_with() {
    let away = std::iter::repeat_n(Some(Trouble::Unreachable), 9).collect();
    let silent = Target { troubles: [("follow", away)].into(), ..target() };
    let (entries, events) = journal_on(silent, Goal::Switch).await;
    let is_silence = |event: &RunEvent| {
        matches!(&event.what, RunWhat::Waiting { wait: Some(Wait::Answer { .. }), .. })
    };
    let at = events.iter().position(is_silence).expect("its silence is told");
    // Killed at that moment, with all events written: the journal gives the state, and the wait is taken back.
    let left = until(&entries, Phase::Build);
    let replayed = Replayed::new(left).unwrap();
    let untold = replayed.untold(&events[..=at]).unwrap();
    let begin = RunBegin::GoOn { replayed: Box::new(replayed), untold };
    let story = carry_out(fleet(""), target(), begin, RunJournal::none(), None).await;
    assert_eq!(story.result.outcome, Outcome::Switched, "{}", story.error());
    let told = story.events.iter().find_map(|event| match &event.what {
        RunWhat::Waiting { wait, .. } => Some(wait.clone()),
        _ => None,
    });
    assert_eq!(told, Some(None), "it waits for nothing any more");
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_is_not_started_on_a_host_that_changed_meanwhile() {
    let (entries, _) = journal_of(Goal::Switch).await;
    let waiting = until(&entries, Phase::Diff);
    for (account, boot, why) in [
        (format!("running\t{NEW}\nprofile\t{OLD}\n"), "1", "another system"),
        (format!("running\t{OLD}\nprofile\t{NEW}\n"), "1", "profile is another one"),
        (UNTOUCHED.to_owned(), "2", "was restarted"),
    ] {
        let target = Target { boot, account, ..Target::default() };
        let story = go_on(waiting, target).await;
        assert_eq!(story.result.outcome, Outcome::Failed, "{}", story.error());
        assert_eq!(story.code(), Some(Code::SystemUnexpected));
        assert!(story.error().contains(why), "{}", story.error());
        assert!(story.error().contains("no nixdash worked on this run from"));
        assert!(story.scripts("start").is_empty(), "nothing may be begun");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_was_restarted_in_its_activation_is_judged_by_what_it_runs() {
    let (entries, _) = journal_of(Goal::Switch).await;
    let target = Target { boot: "2", ..target() };
    // The job stands in the journal, so it may have begun.
    let job = entries.iter().position(
        |entry| matches!(&entry.entry, RunEntry::Job(job) if job.phase == Phase::Activate),
    );
    let story = go_on(&entries[..=job.unwrap()], target).await;
    assert_eq!(story.result.outcome, Outcome::RolledBack, "{}", story.error());
    assert_eq!(story.code(), Some(Code::HostRestarted));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_went_back_alone_is_told_with_the_reason_that_nobody_was_there() {
    let (entries, _) = journal_of(Goal::Switch).await;
    let decides = Some("rolled-back\tnetwork-lost\tnobody could reach it");
    for phase in [Phase::Acknowledge, Phase::Check, Phase::Settle, Phase::Persist] {
        let target = Target { decides, ..target() };
        let story = go_on(until(&entries, phase), target).await;
        assert_eq!(story.result.outcome, Outcome::RolledBack, "{phase}: {}", story.error());
        assert_eq!(story.code(), Some(Code::ConfirmationMissing), "{phase}: {}", story.error());
        assert!(
            story.error().contains("no nixdash worked on this run from"),
            "{phase}: {}",
            story.error()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_is_read_on_from_where_it_stands_in_the_run_folder() {
    let (entries, _) = journal_of(Goal::Switch).await;
    let acknowledging = until(&entries, Phase::Activate);
    let mut cut = acknowledging.to_vec();
    let at = cut.last().unwrap().at;
    let job = "run-7-x-activate-samsung".to_owned();
    cut.push(JournalEntry { at, entry: RunEntry::Read { job, offset: 32 } });
    let target = Target { is_there: true, ..target() };
    let story = go_on(&cut, target).await;
    assert_eq!(story.result.outcome, Outcome::Switched, "{}", story.error());
    let lines = story.logged(Phase::Activate).join("\n");
    assert!(!lines.contains("activating the configuration"), "{lines}");
    assert!(lines.contains("setting up /etc"), "{lines}");
}

#[tokio::test(start_paused = true)]
async fn no_hook_of_a_host_that_was_told_to_stop_runs_again() {
    let hooks = "[hosts.samsung.hooks]\nbefore_activate = [{ run = [\"drain\"], on = \"host\" }]";
    let (entries, _) = journal_with(hooks, target(), Goal::Switch).await;
    let prepares = |cut: &usize| {
        let replayed = Replayed::new(&entries[..*cut]).unwrap();
        replayed.open.values().any(|open| open.prepares)
    };
    let cut = (1..=entries.len()).find(prepares).unwrap();
    let hooks_run =
        |story: &Story| story.asked.iter().filter(|(_, script)| script.body == HOOK).count();
    let again = go_on_with(hooks, &entries[..cut], target()).await;
    assert_eq!(hooks_run(&again), 1, "one that was not told to stop has its hook run");
    let entries = stopped(&entries[..cut]);
    for _ in 0..20 {
        let story = go_on_with(hooks, &entries, target()).await;
        assert_eq!(story.result.outcome, Outcome::Interrupted, "{}", story.error());
        assert_eq!(hooks_run(&story), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_build_that_was_told_to_stop_is_stopped_and_not_begun_again() {
    let (entries, _) = journal_of(Goal::Switch).await;
    let is_job = |entry: &JournalEntry<RunEntry>| matches!(&entry.entry, RunEntry::Job(job) if job.phase == Phase::Build);
    let job = entries.iter().position(is_job).unwrap();
    for (cut, stops) in [(job, 0), (job + 1, 1)] {
        let story = go_on(&stopped(&entries[..cut]), target()).await;
        assert_eq!(story.result.outcome, Outcome::Interrupted, "{}", story.error());
        assert_eq!(story.scripts("stop").len(), stops, "{:?}", story.asked);
        assert!(story.scripts("start").is_empty(), "nothing may be begun");
    }
}
