//! Ends runs whose nixdash was killed, in the record: hosts are asked what became of them.

use crate::cli::history;
use crate::deploy::engine::{self, LeftEnding, end_left};
use crate::fleet::{Event, Fleet, HostResult, Outcome, RunEvent, RunWhat};
use crate::record::{LeftRun, Recorder, Runs};
use crate::remote::{Remote, ScriptRunner};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long ending them may take before a command goes on with its own work.
const LIMIT: Duration = Duration::from_secs(15);

/// How often the dashboard tries again.
const AGAIN: Duration = Duration::from_secs(20);

/// Ends what can be ended now, and returns what there is to say of it, a line per host.
pub(super) async fn end_runs(
    fleet: &Fleet,
    runner: &dyn ScriptRunner,
    runs: &Runs,
    recorder: Option<&Recorder>,
) -> Vec<String> {
    let mut lines = Vec::new();
    for left in runs.left(fleet.file.as_deref()) {
        let Some(_lock) = runs.lock_ending(&left.run) else { continue };
        let found = tokio::time::timeout(LIMIT, end_left(runner, &left)).await;
        let Ok(found) = found else {
            lines.push(format!("run {}: its hosts did not answer in time", left.run));
            continue;
        };
        lines.extend(record(&left, found, runs, recorder));
        let hosts: BTreeSet<String> = left.hosts.keys().chain(&left.builders).cloned().collect();
        runs.note_untidy(&left.run, &hosts.into_iter().collect::<Vec<_>>());
    }
    tidy(fleet, runner, runs).await;
    lines
}

/// Removes what ended runs left on hosts that did not answer then.
async fn tidy(fleet: &Fleet, runner: &dyn ScriptRunner, runs: &Runs) {
    for (run, tag, hosts) in runs.untidy(fleet.file.as_deref()) {
        // Hosts that are in the fleet no more cannot be asked.
        let hosts = hosts.into_iter().filter(|host| fleet.host(host).is_some()).collect();
        let asked = tokio::time::timeout(LIMIT, engine::tidy(runner, &tag, hosts)).await;
        if let Ok(untidy) = asked {
            runs.note_untidy(&run, &untidy);
        }
    }
}

/// Ends them for a command that has no connections of its own yet, and says so.
pub(super) async fn end_runs_and_say(fleet: &Arc<Fleet>, runs: &Runs) {
    let file = fleet.file.as_deref();
    let is_left = !runs.left(file).is_empty();
    if !is_left && runs.untidy(file).is_empty() {
        return;
    }
    if is_left {
        eprintln!("nixdash: a run was ended from outside; asking its hosts what became of them");
    }
    let remote = Remote::new(Arc::clone(fleet));
    let recorder = history::recorder(fleet, |line| eprintln!("nixdash: {line}"));
    for line in end_runs(fleet, &remote, runs, recorder.as_ref()).await {
        eprintln!("nixdash: {line}");
    }
    remote.close().await;
    if let Some(recorder) = recorder {
        recorder.flush().await;
    }
}

/// Ends them beside the dashboard, again and again while a host is still away.
pub(super) async fn keep_ending(
    fleet: Arc<Fleet>,
    remote: Remote,
    runs: Runs,
    recorder: Option<Recorder>,
) {
    loop {
        for line in end_runs(&fleet, &remote, &runs, recorder.as_ref()).await {
            tracing::warn!("{line}");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Writes the results into the run's folder and the history, with the run's end when all are known.
fn record(
    left: &LeftRun,
    found: Vec<(String, LeftEnding)>,
    runs: &Runs,
    recorder: Option<&Recorder>,
) -> Vec<String> {
    let now = Timestamp::now();
    let duration_ms =
        u64::try_from(now.as_millisecond() - left.began_at.as_millisecond()).unwrap_or(0);
    let mut events = Vec::new();
    let mut lines = Vec::new();
    let mut outcomes: BTreeMap<Outcome, u64> = BTreeMap::new();
    let mut all = true;
    for (host, ending) in found {
        let ending = match ending {
            LeftEnding::Ended(ending) => ending,
            LeftEnding::NotYet(why) => {
                all = false;
                lines.push(format!("run {}: not known yet: {why}", left.run));
                continue;
            }
        };
        let known = left.hosts.get(&host);
        let said = ending.reason.as_ref().map_or_else(|| host.clone(), ToString::to_string);
        lines.push(format!("run {}: {}: {said}", left.run, ending.outcome));
        *outcomes.entry(ending.outcome).or_default() += 1;
        let result = HostResult {
            outcome: ending.outcome,
            toplevel: known.and_then(|host| host.toplevel.clone()),
            previous: known.and_then(|host| host.previous.clone()),
            duration_ms,
            built: 0,
            phases: BTreeMap::new(),
            build_on: None,
            substituted: BTreeMap::new(),
            fetched: BTreeMap::new(),
            findings: ending.reason.iter().map(|reason| reason.finding(&host)).collect(),
            error: ending.reason.map(|reason| reason.text),
        };
        let what = RunWhat::Result { host, result };
        events.push(RunEvent { run: left.run.clone(), at: now, what });
    }
    if all {
        let what = RunWhat::Summary { outcomes, duration_ms };
        events.push(RunEvent { run: left.run.clone(), at: now, what });
    }
    if let Err(error) = runs.append(&left.run, &events) {
        lines.push(format!("run {}: its end could not be written: {error}", left.run));
    }
    if let Some(recorder) = recorder {
        for event in left.events.iter().cloned().chain(events) {
            recorder.record(&Event::Run(event));
        }
    }
    lines
}
