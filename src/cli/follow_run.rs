//! Following a run that another process carries out: what it tells, and the answer to its plan.
//!
//! Whoever reads may be slow; the run's folder keeps what was not shown yet, so that no line is left out.

use crate::cli::carry_out::exit_code;
use crate::cli::hearing::next;
use crate::cli::logs::{HostLog, MergedLogs};
use crate::cli::show::{Display, Face, Notices, told};
use crate::cli::{CliError, EXIT_FAILED, EXIT_INTERRUPTED};
use crate::fleet::{
    Finding, Fleet, Goal, Outcome, Phase, PhaseState, RolloutNews, RunEvent, RunId, RunWhat,
    printable_line,
};
use crate::record::{RecordError, RunNews, RunWatch, Runs, Word};
use std::collections::VecDeque;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// How often a run that is followed is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How soon it is looked whether there is room for more of what is there already.
const ROOM_EVERY: Duration = Duration::from_millis(10);

/// How many earlier lines are printed of a run that is followed, of all hosts together.
const EARLIER: usize = 10_000;

/// How many earlier lines of each host are printed at least.
const EARLIER_OF_EACH: usize = 100;

/// What a run told that is followed, in the order in which it happened: its events and the lines of each host
/// stand in files of their own. What stands in one file stays in its order, and the end of the run stays last,
/// whatever the clock did meanwhile.
///
/// A line has its time in whole milliseconds: within the same one, events come first, since a phase begins
/// before its lines.
#[derive(Default)]
struct FollowedNews {
    /// The events that were not shown yet, each with when it was in milliseconds: none is older there than what
    /// stands before it.
    events: VecDeque<(i64, RunEvent)>,
    /// When the newest event was.
    newest: i64,
    logs: MergedLogs,
    /// The line that comes next.
    line: Option<RunEvent>,
}

impl FollowedNews {
    /// Begins with the newest lines of hosts' logs; returns how many lines of which hosts stand before these.
    fn begin_logs(
        &mut self,
        runs: &Runs,
        run: &RunId,
        hosts: &[String],
    ) -> Result<Vec<(String, u64)>, RecordError> {
        let each = (EARLIER / hosts.len().max(1)).max(EARLIER_OF_EACH);
        let mut left_out = Vec::new();
        for host in hosts {
            let mut lines = runs.log_lines(run, host);
            let earlier = lines.skip_to_newest(each)?;
            if earlier > 0 {
                left_out.push((host.clone(), earlier));
            }
            self.logs.add(HostLog::new(host.clone(), lines));
        }
        Ok(left_out)
    }

    /// Takes an event.
    fn add(&mut self, event: RunEvent) {
        // A clock that was set back makes nothing older than what stands before it.
        self.newest = self.newest.max(event.at.as_millisecond());
        if matches!(event.what, RunWhat::Summary { .. }) {
            self.newest = i64::MAX;
        }
        self.events.push_back((self.newest, event));
    }

    /// Reads up to the next line of a host's phase: a mark where lines are missing is an event, too.
    fn read_line(&mut self, run: &RunId) -> Result<(), RecordError> {
        while self.line.is_none() {
            let Some((_, log)) = self.logs.next()? else { break };
            let (seen, host) = (log.seen(), log.host.clone());
            let (Some(at), Some(phase), false) = (seen.at, seen.phase, seen.head.is_empty()) else {
                continue;
            };
            let text = printable_line(&String::from_utf8_lossy(log.text()));
            let what = RunWhat::log(host, phase, text);
            self.line = Some(RunEvent { run: run.clone(), at, what });
        }
        Ok(())
    }

    /// Gives what is new to `show`, of the lines only so many; returns whether that was all.
    fn show(
        &mut self,
        run: &RunId,
        mut room: usize,
        mut show: impl FnMut(RunEvent),
    ) -> Result<bool, RecordError> {
        self.logs.look()?;
        loop {
            self.read_line(run)?;
            let next = self.line.as_ref().map(|line| line.at.as_millisecond());
            let is_event_next =
                self.events.front().is_some_and(|(at, _)| next.is_none_or(|line| *at <= line));
            if is_event_next {
                self.events.pop_front().into_iter().for_each(|(_, event)| show(event));
            } else if next.is_none() {
                return Ok(true);
            } else if room == 0 {
                return Ok(false);
            } else {
                room -= 1;
                self.line.take().into_iter().for_each(&mut show);
            }
        }
    }
}

/// The process that carries a run out.
#[derive(Clone, Copy, Debug)]
pub(super) struct FollowedProcess {
    /// Its number.
    pub(super) process: u32,
    /// Whether it was stopped: it does nothing until it is continued.
    pub(super) is_stopped: bool,
}

/// Whether the plan of a run that is followed waits for an answer, as its events tell.
#[derive(Debug, Default)]
struct FollowedPlan {
    waits: bool,
    /// Whether it was asked about since the plan waits.
    was_noted: bool,
}

impl FollowedPlan {
    /// Takes that the run told its plan.
    fn told(&mut self, waits: bool) {
        *self = Self { waits, was_noted: false };
    }

    /// Takes that somebody answered it.
    fn was_answered(&mut self) {
        self.waits = false;
    }

    /// Takes that a phase was told. An older nixdash did not tell the answer: work behind the plan shows it.
    fn saw(&mut self, phase: Phase, state: PhaseState) {
        self.waits &= phase <= Phase::Compare || state != PhaseState::Started;
    }

    /// Returns whether the plan waits and that was not said yet; says it once.
    fn has_begun_to_wait(&mut self) -> bool {
        self.waits && !std::mem::replace(&mut self.was_noted, true)
    }
}

/// Says yes to the plan of a run that another process carries out, where that is wanted; returns the sentence
/// about it, or about how the plan is answered.
fn answered_or_waiting(runs: &Runs, run: &RunId, yes: bool) -> Result<String, CliError> {
    if yes {
        runs.say(run, &Word::Yes)?;
        return Ok(format!(
            "nixdash: the plan of run {run} waited for an answer: --yes said yes to it\n"
        ));
    }
    Ok(format!(
        "nixdash: the plan of run {run} waits for an answer: `nixdash say {run} yes` confirms it, and \
         `nixdash say {run} no` does not\n"
    ))
}

/// A run that is followed, as far as it was seen.
struct FollowedRun<'a> {
    runs: &'a Runs,
    run: &'a RunId,
    notices: &'a Notices,
    /// Whether lines of logs are shown.
    shows_lines: bool,
    news: FollowedNews,
    outcomes: Vec<(String, Outcome)>,
    findings: Vec<Finding>,
    plan: FollowedPlan,
    /// Whether somebody stopped it.
    stopped: bool,
    has_begun: bool,
    is_over: bool,
    /// Whether its process is gone.
    is_gone: bool,
}

impl<'a> FollowedRun<'a> {
    /// Returns a run of which nothing was seen yet.
    fn new(runs: &'a Runs, run: &'a RunId, notices: &'a Notices, face: Face) -> Self {
        Self {
            runs,
            run,
            notices,
            shows_lines: face.shows_lines(),
            news: FollowedNews::default(),
            outcomes: Vec::new(),
            findings: Vec::new(),
            plan: FollowedPlan::default(),
            stopped: false,
            has_begun: false,
            is_over: false,
            is_gone: false,
        }
    }

    /// Takes something new.
    fn take(&mut self, news: RunNews) {
        match news {
            RunNews::Event(event) if event.run == *self.run => self.take_event(event),
            RunNews::Gone(gone) => self.is_gone |= gone == *self.run,
            RunNews::Event(_) | RunNews::Live(..) | RunNews::Elsewhere(_) => {}
        }
    }

    fn take_event(&mut self, mut event: RunEvent) {
        match &mut event.what {
            // It is as it was to be.
            RunWhat::Result { result, .. } if result.is_of_read_only() => {}
            RunWhat::Result { host, result } => {
                note_outcome(&mut self.outcomes, host, result.outcome);
            }
            RunWhat::Summary { findings, .. } => {
                self.findings.clone_from(findings);
                self.is_over = true;
            }
            // It is answered where the run is, not here.
            RunWhat::Plan { waits, .. } => self.plan.told(std::mem::take(waits)),
            RunWhat::Phase { phase, state, .. } => self.plan.saw(*phase, *state),
            RunWhat::Begin { hosts, .. } => {
                if self.shows_lines && !std::mem::replace(&mut self.has_begun, true) {
                    self.begin_logs(hosts);
                }
            }
            RunWhat::Rollout(RolloutNews::Cancelled { .. }) => self.stopped = true,
            RunWhat::Rollout(RolloutNews::Answered { .. }) => self.plan.was_answered(),
            RunWhat::Progress { .. }
            | RunWhat::Log { .. }
            | RunWhat::Rollout(_)
            | RunWhat::Waiting { .. }
            | RunWhat::Dropped { .. }
            | RunWhat::Reattached { .. }
            | RunWhat::Usual { .. }
            | RunWhat::Builds { .. }
            | RunWhat::Command { .. } => {}
        }
        self.news.add(event);
    }

    /// Begins to read the hosts' logs, and says of which earlier lines are not printed.
    fn begin_logs(&mut self, hosts: &[String]) {
        let (run, notices) = (self.run, self.notices);
        match self.news.begin_logs(self.runs, run, hosts) {
            Ok(left_out) => {
                for (host, lines) in left_out {
                    notices.say(&earlier_lines(run, &host, lines));
                }
            }
            Err(error) => self.leave_logs(&error),
        }
    }

    /// Goes on without the logs, which cannot be read.
    fn leave_logs(&mut self, error: &RecordError) {
        self.news.logs = MergedLogs::default();
        self.notices.say(&format!("nixdash: no more lines of logs are shown: {error}\n"));
    }

    /// Returns the exit code of the run, which is over.
    fn exit_code(&self) -> ExitCode {
        exit_code(&self.outcomes, &self.findings, self.stopped)
    }

    /// Gives what is new to `show`, of the lines only so many; returns whether that was all.
    fn show(&mut self, room: usize, mut show: impl FnMut(RunEvent)) -> bool {
        match self.news.show(self.run, room, &mut show) {
            Ok(is_all) => is_all,
            Err(error) => {
                self.leave_logs(&error);
                false
            }
        }
    }
}

/// Says how many lines of a host are not printed, and what prints them.
fn earlier_lines(run: &RunId, host: &str, lines: u64) -> String {
    let (lines, are) = if lines == 1 {
        ("1 earlier line".to_owned(), "is")
    } else {
        (format!("{lines} earlier lines"), "are")
    };
    format!(
        "nixdash: {lines} of {host} {are} not printed here: `nixdash logs {run} {host}` prints them\n"
    )
}

/// Prints what a run that goes on tells, from its beginning to its end. Says yes to its plan where that is
/// wanted.
pub(super) async fn follow(
    runs: &Runs,
    fleet: &Fleet,
    run: &RunId,
    FollowedProcess { process, is_stopped }: FollowedProcess,
    face: Face,
    says_yes: bool,
) -> Result<ExitCode, CliError> {
    let notices = Notices::start();
    let stopped = if is_stopped {
        format!(", which is stopped: `kill -CONT {process}` lets it go on")
    } else {
        String::new()
    };
    notices.say(&format!(
        "nixdash: process {process} carries run {run} out{stopped}; this only follows it, and the run goes \
         on when you quit here\n"
    ));
    let (control, _nobody) = mpsc::channel(1);
    let mut watch = RunWatch::new(runs.clone(), fleet.file.clone());
    let mut interrupt = signal(SignalKind::interrupt()).ok();
    let width = fleet.hosts.iter().map(|host| host.name.len()).max().unwrap_or(0);
    // Its plan tells what it is for.
    let shown = Display { face, width, goal: Goal::Switch, control, hosts: Vec::new() }.start();
    let mut followed = FollowedRun::new(runs, run, &notices, face);
    let code = loop {
        watch.look().into_iter().for_each(|news| followed.take(news));
        let is_all = match &shown.events {
            Some(display) => followed.show(display.room(), |event| display.send(event)),
            None => followed.show(usize::MAX, drop),
        };
        if followed.is_over && is_all {
            break followed.exit_code();
        }
        if followed.plan.has_begun_to_wait() {
            notices.say(&answered_or_waiting(runs, run, says_yes)?);
        }
        if followed.is_gone && !followed.is_over && is_all {
            notices.say(&format!(
                "nixdash: process {process} ended before run {run} did; `nixdash reattach {run}` goes \
                 on with it\n"
            ));
            break ExitCode::from(EXIT_FAILED);
        }
        tokio::select! {
            () = next(&mut interrupt) => {
                if followed.is_over {
                    break followed.exit_code();
                }
                notices.say(&format!(
                    "nixdash: run {run} goes on (process {process}); `nixdash reattach {run}` follows it again\n"
                ));
                break ExitCode::from(EXIT_INTERRUPTED);
            }
            () = tokio::time::sleep(if is_all { LOOK_EVERY } else { ROOM_EVERY }) => {}
        }
    };
    let unwritten = shown.end(next(&mut interrupt)).await;
    let code = told(unwritten, run, code, &notices);
    notices.written().await;
    Ok(code)
}

/// Notes how a host ended: one that was tried again or taken back counts as it ended last.
fn note_outcome(outcomes: &mut Vec<(String, Outcome)>, host: &str, outcome: Outcome) {
    outcomes.retain(|(name, _)| name != host);
    outcomes.push((host.to_owned(), outcome));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{DropReason, HostResult};
    use crate::record::event_queue;
    use std::collections::BTreeMap;

    #[test]
    fn a_plan_that_waits_is_told_once_until_it_is_answered() {
        let mut followed = FollowedPlan::default();
        followed.told(false);
        assert!(!followed.has_begun_to_wait(), "a run that nobody is asked about");
        followed.told(true);
        followed.saw(Phase::Compare, PhaseState::Started);
        followed.saw(Phase::Publish, PhaseState::Skipped);
        assert!(followed.has_begun_to_wait() && !followed.has_begun_to_wait());
        followed.told(true);
        followed.was_answered();
        assert!(!followed.has_begun_to_wait(), "somebody answered it");
        followed.told(true);
        followed.saw(Phase::Build, PhaseState::Started);
        assert!(!followed.has_begun_to_wait(), "an older nixdash shows it by what it does");
    }

    /// Returns a run with the lines of hosts, each with when it came in microseconds.
    fn logged(lines: &[(&str, i64, &str)]) -> (tempfile::TempDir, Runs, RunId) {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let mut writer = runs.begin(None).unwrap();
        for (host, micro, text) in lines {
            writer.write(&event(*micro, line(host, text)));
        }
        let run = writer.run().clone();
        writer.finish();
        (dir, runs, run)
    }

    fn event(micro: i64, what: RunWhat) -> RunEvent {
        let at = jiff::Timestamp::from_microsecond(micro).unwrap();
        RunEvent { run: RunId("1".to_owned()), at, what }
    }

    fn line(host: &str, text: &str) -> RunWhat {
        RunWhat::log(host.to_owned(), Phase::Build, text.to_owned())
    }

    fn phase(state: PhaseState) -> RunWhat {
        RunWhat::Phase { host: "a".to_owned(), phase: Phase::Build, state }
    }

    fn summary() -> RunWhat {
        RunWhat::Summary { outcomes: BTreeMap::new(), duration_ms: 1, findings: Vec::new() }
    }

    /// Returns what is shown of events and logs.
    fn in_order(events: &[(i64, RunWhat)], lines: &[(&str, i64, &str)]) -> Vec<RunWhat> {
        let (_dir, runs, run) = logged(lines);
        let mut news = FollowedNews::default();
        let hosts = ["a", "b"].map(str::to_owned);
        assert_eq!(news.begin_logs(&runs, &run, &hosts).unwrap(), []);
        for (micro, what) in events {
            news.add(event(*micro, what.clone()));
        }
        let mut shown = Vec::new();
        assert!(news.show(&run, usize::MAX, |event| shown.push(event.what)).unwrap());
        shown
    }

    #[test]
    fn events_and_lines_are_told_in_the_order_in_which_they_happened() {
        let (started, finished) = (phase(PhaseState::Started), phase(PhaseState::Finished));
        let events = [(1_000, started.clone()), (9_000, finished.clone()), (9_000, summary())];
        let lines = [("a", 2_000, "one"), ("a", 10_000, "two")];
        let expected = [started, line("a", "one"), finished, line("a", "two"), summary()];
        assert_eq!(in_order(&events, &lines), expected);
    }

    #[test]
    fn a_phase_begins_before_its_lines_and_no_file_is_reordered_by_a_clock_that_was_set_back() {
        let (started, finished) = (phase(PhaseState::Started), phase(PhaseState::Finished));
        // The log has its times in whole milliseconds; then the clock is set back by 4 ms.
        let events = [(5_900, started.clone()), (3_100, finished.clone())];
        let lines = [
            ("a", 5_000, "one"),
            ("a", 6_000, "two"),
            ("a", 2_000, "three"),
            ("b", 1_000, "of another host"),
        ];
        let expected = [
            line("b", "of another host"),
            started,
            finished,
            line("a", "one"),
            line("a", "two"),
            line("a", "three"),
        ];
        assert_eq!(in_order(&events, &lines), expected);
    }

    #[test]
    fn whoever_reads_slowly_gets_every_line_and_hears_of_the_earlier_ones() {
        let texts: Vec<String> = (0..EARLIER + 2_000).map(|number| number.to_string()).collect();
        let lines: Vec<_> = texts.iter().map(|text| ("a", 2_000, text.as_str())).collect();
        let (_dir, runs, run) = logged(&lines);
        let mut news = FollowedNews::default();
        let left_out = news.begin_logs(&runs, &run, &["a".to_owned()]).unwrap();
        assert_eq!(left_out, [("a".to_owned(), 2_000)]);
        assert_eq!(
            earlier_lines(&run, "a", 2_000),
            "nixdash: 2000 earlier lines of a are not printed here: `nixdash logs 1 a` prints them\n"
        );
        news.add(event(1_000, phase(PhaseState::Started)));
        news.add(event(1_500, summary()));
        let (sender, receiver) = event_queue(64, DropReason::SlowReader);
        let mut shown = Vec::new();
        while !news.show(&run, sender.room(), |event| sender.send(event)).unwrap() {
            receiver.take(&mut shown, 7);
        }
        sender.close();
        while receiver.take(&mut shown, 64) {}
        let shown: Vec<RunWhat> = shown.into_iter().map(|event| event.what).collect();
        let mut expected = vec![phase(PhaseState::Started)];
        expected.extend(texts[2_000..].iter().map(|text| line("a", text)));
        expected.push(summary());
        assert_eq!(shown.len(), expected.len());
        assert_eq!(shown, expected);
    }

    #[tokio::test]
    async fn who_follows_a_run_that_is_stopped_gets_its_exit_code() {
        let (_dir, runs, _) = logged(&[]);
        let mut writer = runs.begin(None).unwrap();
        let run = writer.run().clone();
        let mut tell = |what| writer.write(&RunEvent { run: run.clone(), ..event(1_000, what) });
        tell(RunWhat::begin(vec!["a".to_owned()], "switch".to_owned()));
        tell(RunWhat::Rollout(RolloutNews::Cancelled { nothing_activates: false }));
        let result = HostResult::ended(Outcome::RolledBack);
        tell(RunWhat::Result { host: "a".to_owned(), result });
        tell(summary());
        writer.flush().unwrap();
        let process = FollowedProcess { process: 1, is_stopped: false };
        let fleet = Fleet { file: None, ..crate::config::fallback() };
        let code = follow(&runs, &fleet, &run, process, Face::Nothing, false).await.unwrap();
        assert_eq!(code, ExitCode::from(EXIT_INTERRUPTED));
    }

    #[test]
    fn yes_is_given_to_the_run_and_without_it_the_answer_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let run = runs.begin(None).unwrap().run().clone();
        let told = answered_or_waiting(&runs, &run, false).unwrap();
        assert!(told.contains("`nixdash say 1 yes` confirms it"), "{told}");
        assert!(runs.said(&run).unwrap().is_empty());
        let told = answered_or_waiting(&runs, &run, true).unwrap();
        assert!(told.contains("--yes said yes"), "{told}");
        assert_eq!(runs.said(&run).unwrap(), [Word::Yes]);
    }

    #[test]
    fn a_host_that_is_tried_again_counts_as_it_ended_last() {
        let mut outcomes = Vec::new();
        for outcome in [Outcome::Failed, Outcome::Switched] {
            note_outcome(&mut outcomes, "samsung", outcome);
        }
        assert_eq!(outcomes, [("samsung".to_owned(), Outcome::Switched)]);
    }
}
