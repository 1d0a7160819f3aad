//! Carrying a run out: the engine at work, with everybody who hears of it and whoever may say something.

use crate::cli::hearing::{Leaving, RunHearing, words};
use crate::cli::newest::newest_confirmed;
use crate::cli::show::{Display, Face, Notices, RunDisplay, told};
use crate::cli::{CliError, EXIT_FAILED, EXIT_INTERRUPTED, history};
use crate::deploy::{Control, Deploy, Ended, Listener, RunBegin, RunJournal};
use crate::fleet::{
    Code, DropReason, Event, Finding, Fleet, Goal, Outcome, Plan, RunEvent, RunId, RunWhat,
    Severity,
};
use crate::record::{
    History, JournalWriter, KeptEvaluations, Recorder, RunRecord, RunRecorder, RunWriter, Runs,
    state_home,
};
use crate::remote::Remote;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Notify, mpsc};

/// A run that this process carries out.
pub(super) struct CarriedOut {
    pub(super) fleet: Arc<Fleet>,
    pub(super) remote: Remote,
    pub(super) runs: Runs,
    pub(super) writer: RunWriter,
    pub(super) journal: Option<JournalWriter>,
    /// What it is for.
    pub(super) goal: Goal,
    /// Its hosts.
    pub(super) hosts: Vec<String>,
    pub(super) begin: RunBegin,
    pub(super) face: Face,
    /// What is said to it at once.
    pub(super) says: Vec<Control>,
    /// How many of the words that were said to it are in that already, or were heard by an earlier process.
    pub(super) heard: usize,
}

/// Carries a run out, records it and shows it.
///
/// Two threads listen, each behind a queue of its own: one writes the run's folder, one the
/// output. The engine waits for neither.
pub(super) async fn carry_out(carried: CarriedOut) -> Result<ExitCode, CliError> {
    let CarriedOut { fleet, remote, runs, writer, journal, goal, hosts, begin, face, says, heard } =
        carried;
    let width = hosts.iter().map(String::len).max().unwrap_or(0);
    let run = writer.run().clone();
    let tag = runs.tag(&run).unwrap_or_default();
    let notices = Notices::start();
    let say = notices.clone();
    let say = move |line: &str| say.say(&format!("nixdash: {line}\n"));
    let recorder = history::recorder(&fleet, say.clone());
    let journal = match journal {
        Some(writer) => RunJournal::start(writer, say)?,
        None => RunJournal::none(),
    };
    let newest = {
        let (runs, own, file) = (runs.clone(), run.clone(), fleet.file.clone());
        Arc::new(move |host: &str| newest_confirmed(&runs, &own, file.as_deref(), host))
    };
    let (control, said) = mpsc::channel(says.len().max(8));
    let was_stopped = says.contains(&Control::Cancel) || is_stopped(&begin);
    let stopped = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(Notify::new());
    let hearing = RunHearing {
        words: words(runs.clone(), run.clone(), heard),
        control: control.clone(),
        notices: notices.clone(),
        asked: Arc::clone(&asked),
        waits: waiting_plan(&begin).is_some(),
    };
    let hearing = tokio::spawn(hearing.listen(Arc::clone(&stopped)));
    for word in says {
        // There is room: nothing was said yet.
        let _full = control.try_send(word);
    }
    let written = RunRecorder::start(writer, recorder.clone())?;
    let shown = Display { face, width, goal, control, hosts: hosts.clone() }.start();
    show_again(&run, &begin, &runs, &shown, recorder.as_ref());
    let runner = Arc::new(remote.clone());
    let hears = listener(&written, &shown, recorder.clone(), asked);
    tell_usual_times(run.clone(), hosts, Arc::clone(&hears));
    let kept = Some(KeptEvaluations::below(&state_home()));
    let streams = Some(runs.streams(&run, fleet.retention.max_run_size));
    let (run_id, tidied) = (run.clone(), Arc::clone(&fleet));
    let package_times =
        Arc::new(|build_on: &str| History::usual_builds_below(&state_home(), build_on));
    let deploy = Deploy {
        runner,
        fleet,
        run: run_id,
        tag,
        begin,
        journal,
        kept,
        newest,
        streams,
        package_times,
    };
    let Ended { outcomes, findings, tidying } = deploy.run(said, hears).await;
    // Whoever stops this process from now on does not stop the run, and need not wait for this machine.
    let leaving = Leaving::hear();
    let was_stopped = was_stopped || stopped.load(Ordering::Acquire);
    hearing.abort();
    // All was told: what is left to do here and on the hosts is done at once.
    let on_hosts = async {
        runs.note_untidy(&run, &tidying.await);
        remote.close().await;
    };
    let here = async {
        let record = written.end().await;
        tell_gaps(&record, &notices);
        let unwritten = shown.end(leaving.asked()).await;
        if let Some(recorder) = recorder {
            recorder.flush().await;
        }
        if matches!(record, RunRecord::Written(_)) {
            tidy(runs.clone(), run.clone(), &tidied, &leaving).await;
        }
        unwritten
    };
    let ((), unwritten) = tokio::join!(on_hosts, here);
    let code = exit_code(&outcomes, &findings, was_stopped);
    let code = told(unwritten, &run, code, &notices);
    notices.written().await;
    Ok(code)
}

/// Tidies the folders of runs, when everything was told. Whoever stops this process now waits for nothing:
/// a file that is not compressed whole stays as it was, and what was not done is done after a later run.
async fn tidy(runs: Runs, run: RunId, fleet: &Fleet, leaving: &Leaving) {
    let (file, retention) = (fleet.file.clone(), fleet.retention.clone());
    let tidied = tokio::task::spawn_blocking(move || {
        runs.tidy(Some(&run), file.as_deref(), &retention, Timestamp::now())
    });
    tokio::select! {
        tidied = tidied => {
            if let Ok(Err(error)) = tidied {
                tracing::warn!("{error}");
            }
        }
        () = leaving.asked() => {}
    }
}

/// Tells what phases usually take on the hosts, as soon as the history has said it; nothing where it
/// cannot be read, or knows nothing.
fn tell_usual_times(run: RunId, hosts: Vec<String>, hears: Listener) {
    drop(tokio::task::spawn_blocking(move || {
        let Ok(history) = History::open(&state_home()) else { return };
        let usual = |host: String| Some((host.clone(), history.usual_times(&host).ok()?));
        let hosts: BTreeMap<_, _> =
            hosts.into_iter().filter_map(usual).filter(|(_, times)| !times.is_empty()).collect();
        if !hosts.is_empty() {
            hears(RunEvent { run, at: Timestamp::now(), what: RunWhat::Usual { hosts } });
        }
    }));
}

/// Returns the plan that waits for an answer already when this process begins.
fn waiting_plan(begin: &RunBegin) -> Option<&Plan> {
    match begin {
        RunBegin::GoOn { replayed, .. } => replayed.waiting_plan.as_ref(),
        RunBegin::Fresh { .. } => None,
    }
}

/// Returns whether somebody stopped the run already when this process begins.
fn is_stopped(begin: &RunBegin) -> bool {
    match begin {
        RunBegin::GoOn { replayed, .. } => replayed.machine.is_stopped(),
        RunBegin::Fresh { .. } => false,
    }
}

/// Of a run that is gone on with, tells the history what stands in its folder, and shows once more what
/// stands still: its plan that waits for an answer, a pause, and questions.
fn show_again(
    run: &RunId,
    begin: &RunBegin,
    runs: &Runs,
    shown: &RunDisplay,
    recorder: Option<&Recorder>,
) {
    let RunBegin::GoOn { replayed, .. } = begin else { return };
    if let Some(recorder) = recorder {
        for event in runs.decided(run) {
            recorder.record(&Event::Run(event));
        }
    }
    let Some(display) = &shown.events else { return };
    let at = Timestamp::now();
    let plan = waiting_plan(begin).cloned().map(|plan| RunWhat::Plan { plan, waits: true });
    for what in plan.into_iter().chain(replayed.machine.standing()) {
        display.send(RunEvent { run: run.clone(), at, what });
    }
}

/// Says what is missing in the run's folder; that does not change how the hosts ended.
fn tell_gaps(record: &RunRecord, notices: &Notices) {
    let marks = match record {
        RunRecord::Written(marks) => marks,
        RunRecord::GivenUp => {
            notices.say(
                "nixdash: the disk with the run's folder wrote nothing for 30 s, so the end of the \
                 run is not recorded there\n",
            );
            return;
        }
    };
    let mut gaps: BTreeMap<DropReason, (u64, u64)> = BTreeMap::new();
    for mark in marks {
        if let RunWhat::Dropped { lines, events, why, .. } = &mark.what {
            let gap = gaps.entry(*why).or_default();
            *gap = (gap.0.saturating_add(*lines), gap.1.saturating_add(*events));
        }
    }
    for (why, (lines, events)) in gaps {
        notices.say(&format!("nixdash: {}\n", why.sentence(lines, events)));
    }
}

/// Returns who hears of everything that happens: disk, display and history, none of which is
/// waited for.
fn listener(
    written: &RunRecorder,
    shown: &RunDisplay,
    recorder: Option<Recorder>,
    asked: Arc<Notify>,
) -> Listener {
    let (disk, display) = (written.events.clone(), shown.events.clone());
    Arc::new(move |event| {
        if matches!(event.what, RunWhat::Plan { waits: true, .. }) {
            asked.notify_one();
        }
        if let Some(recorder) = &recorder {
            recorder.record(&Event::Run(event.clone()));
        }
        if let Some(display) = &display {
            display.send(event.clone());
        }
        disk.send(event);
    })
}

/// Returns the exit code for how the hosts ended, what was wrong with the run as a whole, and whether
/// somebody stopped it. What an earlier attempt of a host failed with does not count.
pub(super) fn exit_code(
    outcomes: &[(String, Outcome)],
    findings: &[Finding],
    stopped: bool,
) -> ExitCode {
    if outcomes.iter().all(|(_, outcome)| outcome.is_good()) {
        let of_run = Finding::of_whole_run(findings);
        if of_run.iter().any(|found| found.code == Code::RunStopped) {
            // Its hosts are switched, and its gates were not waited for.
            return ExitCode::from(EXIT_INTERRUPTED);
        }
        let failed = of_run.into_iter().any(|found| found.severity == Severity::Error);
        return if failed { ExitCode::from(EXIT_FAILED) } else { ExitCode::SUCCESS };
    }
    let interrupted = outcomes.iter().any(|(_, outcome)| *outcome == Outcome::Interrupted);
    ExitCode::from(if stopped || interrupted { EXIT_INTERRUPTED } else { EXIT_FAILED })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Subject;

    #[test]
    fn a_run_whose_gate_failed_has_failed_though_every_host_was_switched() {
        let outcomes = [("samsung".to_owned(), Outcome::Switched)];
        let of = |subject, code| vec![Finding::new(subject, code, "why", "do this")];
        let run = || Subject::Run { run: "7".to_owned(), host: None };
        let coded = |findings: &[Finding]| exit_code(&outcomes, findings, false);
        assert_eq!(coded(&of(run(), Code::GateFailed)), ExitCode::from(EXIT_FAILED));
        assert_eq!(coded(&[]), ExitCode::SUCCESS);
        assert_eq!(coded(&of(run(), Code::RunStopped)), ExitCode::from(EXIT_INTERRUPTED));
        let earlier = of(Subject::host("samsung"), Code::FetchFailed);
        assert_eq!(coded(&earlier), ExitCode::SUCCESS, "it was tried again, and is well now");
    }
}
