//! Following a run that another process carries out: what it tells, and the answer to its plan.

use crate::cli::carry_out::exit_code;
use crate::cli::hearing::next;
use crate::cli::show::{Display, Face, Notices, told};
use crate::cli::{CliError, EXIT_FAILED, EXIT_INTERRUPTED};
use crate::fleet::{Finding, Fleet, Outcome, Phase, RunEvent, RunId, RunWhat};
use crate::record::{LogReader, RunNews, RunWatch, Runs, Word};
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// How often a run that is followed is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How many earlier lines of each host are printed of a run that is followed.
const EARLIER: usize = 10_000;

/// Returns the lines that were added to the hosts' logs, for each host.
fn new_lines(run: &RunId, logs: &mut [(String, LogReader)]) -> Vec<Vec<RunEvent>> {
    let of_host = |(host, reader): &mut (String, LogReader)| {
        let lines = reader.look().map(|part| part.lines).unwrap_or_default().into_iter();
        // A mark where lines are missing has neither.
        let lines = lines.filter_map(|line| {
            let (at, phase) = (line.at?, line.phase?);
            let what = RunWhat::log(host.clone(), phase, line.text);
            Some(RunEvent { run: run.clone(), at, what })
        });
        lines.collect()
    };
    logs.iter_mut().map(of_host).collect()
}

/// Returns what was told of a run in the order in which it happened: events and the lines of each host stand in
/// files of their own. What stands in one file stays in its order, and the end of the run stays last, whatever
/// the clock did meanwhile.
///
/// A line has its time in whole milliseconds: within the same one, events come first, since a phase begins
/// before its lines.
fn in_order(events: Vec<RunEvent>, logs: Vec<Vec<RunEvent>>) -> Vec<RunEvent> {
    let mut all = Vec::new();
    for (place, source) in std::iter::once(events).chain(logs).enumerate() {
        let mut newest = (false, i64::MIN);
        for event in source {
            let is_end = matches!(event.what, RunWhat::Summary { .. });
            // A clock that was set back makes nothing older than what stands before it.
            newest = newest.max((newest.0 || is_end, event.at.as_millisecond()));
            all.push((newest, place, event));
        }
    }
    all.sort_by_key(|(newest, place, _)| (*newest, *place));
    all.into_iter().map(|(_, _, event)| event).collect()
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

    /// Takes that a phase was told: work after the plan shows that somebody answered it.
    fn saw(&mut self, phase: Phase) {
        self.waits &= phase <= Phase::Compare;
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
    let shown = Display { face, width, goal: crate::fleet::Goal::Switch, control }.start();
    let mut outcomes: Vec<(String, Outcome)> = Vec::new();
    let mut findings: Vec<Finding> = Vec::new();
    let mut logs: Vec<(String, LogReader)> = Vec::new();
    let mut plan = FollowedPlan::default();
    let code = loop {
        let mut is_over = false;
        let mut is_gone = false;
        let mut news_told = Vec::new();
        for news in watch.look() {
            match news {
                RunNews::Event(event) if event.run == *run => {
                    let mut event = event;
                    match &mut event.what {
                        RunWhat::Result { host, result } => {
                            note_outcome(&mut outcomes, host, result.outcome);
                        }
                        RunWhat::Summary { findings: found, .. } => {
                            findings.clone_from(found);
                            is_over = true;
                        }
                        // It is answered where the run is, not here.
                        RunWhat::Plan { waits, .. } => plan.told(std::mem::take(waits)),
                        RunWhat::Phase { phase, .. } => plan.saw(*phase),
                        RunWhat::Begin { hosts, .. } => {
                            let reader = |host: &String| runs.read_log(run, host, EARLIER);
                            logs = hosts.iter().map(|host| (host.clone(), reader(host))).collect();
                        }
                        RunWhat::Progress { .. }
                        | RunWhat::Log { .. }
                        | RunWhat::Waiting { .. }
                        | RunWhat::Rollout(_)
                        | RunWhat::Dropped { .. }
                        | RunWhat::Reattached { .. }
                        | RunWhat::Usual { .. }
                        | RunWhat::Builds { .. }
                        | RunWhat::Command { .. } => {}
                    }
                    news_told.push(event);
                }
                RunNews::Gone(gone) => is_gone |= gone == *run,
                RunNews::Event(_) | RunNews::Live(..) => {}
            }
        }
        let lines = new_lines(run, &mut logs);
        if let Some(display) = &shown.events {
            for event in in_order(news_told, lines) {
                display.send(event);
            }
        }
        if is_over {
            break exit_code(&outcomes, &findings, false);
        }
        if plan.has_begun_to_wait() {
            notices.say(&answered_or_waiting(runs, run, says_yes)?);
        }
        if is_gone {
            notices.say(&format!(
                "nixdash: process {process} ended before run {run} did; `nixdash reattach {run}` goes \
                 on with it\n"
            ));
            break ExitCode::from(EXIT_FAILED);
        }
        tokio::select! {
            () = next(&mut interrupt) => {
                notices.say(&format!(
                    "nixdash: run {run} goes on (process {process}); `nixdash reattach {run}` follows it again\n"
                ));
                break ExitCode::from(EXIT_INTERRUPTED);
            }
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    };
    let unwritten = shown.end().await;
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
    use crate::fleet::PhaseState;
    use std::collections::BTreeMap;

    #[test]
    fn a_plan_that_waits_is_told_once_until_it_is_answered() {
        let mut followed = FollowedPlan::default();
        followed.told(false);
        assert!(!followed.has_begun_to_wait(), "a run that nobody is asked about");
        followed.told(true);
        followed.saw(Phase::Compare);
        assert!(followed.has_begun_to_wait() && !followed.has_begun_to_wait());
        followed.told(true);
        followed.saw(Phase::Build);
        assert!(!followed.has_begun_to_wait(), "somebody answered it");
    }

    #[test]
    fn events_and_lines_are_told_in_the_order_in_which_they_happened() {
        let at = |second| jiff::Timestamp::from_second(second).unwrap();
        let event = |second, what| RunEvent { run: RunId("7".to_owned()), at: at(second), what };
        let phase = |state| RunWhat::Phase { host: "a".to_owned(), phase: Phase::Build, state };
        let line = |text: &str| RunWhat::log("a".to_owned(), Phase::Build, text.to_owned());
        let summary =
            RunWhat::Summary { outcomes: BTreeMap::new(), duration_ms: 1, findings: Vec::new() };
        let events = vec![
            event(1, phase(PhaseState::Started)),
            event(9, phase(PhaseState::Finished)),
            event(9, summary.clone()),
        ];
        let lines = vec![event(2, line("one")), event(10, line("two"))];
        let expected = [
            phase(PhaseState::Started),
            line("one"),
            phase(PhaseState::Finished),
            line("two"),
            summary,
        ];
        let ordered = in_order(events, vec![lines]).into_iter().map(|event| event.what);
        assert_eq!(ordered.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_phase_begins_before_its_lines_and_no_file_is_reordered_by_a_clock_that_was_set_back() {
        let at = |micro| jiff::Timestamp::from_microsecond(micro).unwrap();
        let event = |micro, what| RunEvent { run: RunId("7".to_owned()), at: at(micro), what };
        let phase = |state| RunWhat::Phase { host: "a".to_owned(), phase: Phase::Build, state };
        let line = |text: &str| RunWhat::log("a".to_owned(), Phase::Build, text.to_owned());
        // The log has its times in whole milliseconds; then the clock is set back by 4 ms.
        let events = vec![
            event(5_900, phase(PhaseState::Started)),
            event(3_100, phase(PhaseState::Finished)),
        ];
        let own =
            vec![event(5_000, line("one")), event(6_000, line("two")), event(2_000, line("three"))];
        let others = vec![event(1_000, line("of another host"))];
        let expected = [
            line("of another host"),
            phase(PhaseState::Started),
            phase(PhaseState::Finished),
            line("one"),
            line("two"),
            line("three"),
        ];
        let ordered = in_order(events, vec![own, others]).into_iter().map(|event| event.what);
        assert_eq!(ordered.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn yes_is_given_to_the_run_and_without_it_the_answer_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let run = runs.begin(None).unwrap().run().clone();
        let told = answered_or_waiting(&runs, &run, false).unwrap();
        assert!(told.contains("`nixdash say 1 yes` confirms it"), "{told}");
        assert!(runs.said(&run).is_empty());
        let told = answered_or_waiting(&runs, &run, true).unwrap();
        assert!(told.contains("--yes said yes"), "{told}");
        assert_eq!(runs.said(&run), [Word::Yes]);
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
