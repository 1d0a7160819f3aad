//! Runs that were left: ends those that nobody goes on with, in the record. Their hosts are asked what
//! became of them.
//!
//! A run that can be gone on with is left alone for a while: `nixdash reattach` goes on with it.

use crate::cli::history;
use crate::cli::reattach::left_sentence;
use crate::deploy::engine::{self, LeftEnding, end_left};
use crate::deploy::{JOURNAL_FORMAT, Replayed, RunEntry};
use crate::fleet::words::without_name;
use crate::fleet::{Event, Fleet, HostResult, Outcome, RunEvent, RunId, RunWhat};
use crate::record::{LeftRun, Recorder, Runs};
use crate::remote::{Remote, ScriptRunner};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long ending them may take before a command goes on with its own work.
const LIMIT: Duration = Duration::from_secs(15);

/// How often the dashboard tries again.
const AGAIN: Duration = Duration::from_secs(20);

/// How long a run that can be gone on with is left alone.
const LEFT_ALONE: SignedDuration = SignedDuration::from_mins(15);

/// Which of the runs that were left are ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ends<'a> {
    /// Those that cannot be gone on with, or that were left long ago.
    Old,
    /// Those too that have one of these hosts: they are deployed again.
    Of(&'a [String]),
    /// This one.
    Only(&'a RunId),
}

impl Ends<'_> {
    /// Returns the runs of a fleet among which those are that are ended.
    fn among(self, runs: &Runs, fleet: &Fleet) -> Vec<LeftRun> {
        match self {
            Self::Old | Self::Of(_) => runs.left(fleet.file.as_deref()),
            // However many runs came after it.
            Self::Only(run) => runs.read_left(run).into_iter().collect(),
        }
    }

    /// Returns whether a run is ended that was heard of last at a time; nothing where it cannot be
    /// gone on with.
    fn ends(self, left: &LeftRun, left_at: Option<Timestamp>, now: Timestamp) -> bool {
        let is_old = left_at.is_none_or(|at| now.duration_since(at) > LEFT_ALONE);
        match self {
            Self::Old => is_old,
            Self::Of(hosts) => is_old || left.hosts.keys().any(|host| hosts.contains(host)),
            Self::Only(run) => left.run == *run,
        }
    }
}

/// Returns when a run was heard of last that can be gone on with; nothing where it cannot.
pub(super) fn can_go_on(runs: &Runs, run: &RunId) -> Option<Timestamp> {
    let journal = runs.read_journal::<RunEntry>(run, JOURNAL_FORMAT).ok()?;
    let replayed = Replayed::new(&journal.entries).ok()?;
    replayed.untold(&runs.decided(run)).ok()?;
    Some(replayed.last_at)
}

/// What was done about the runs that were left.
#[derive(Debug, Default)]
pub(super) struct LeftRuns {
    /// What there is to say of those that were ended, a line per host.
    pub(super) ended: Vec<String>,
    /// What there is to say of those that can be gone on with.
    pub(super) spared: Vec<String>,
    /// Whether one has no end yet, since a host does not say what became of it.
    pub(super) is_open: bool,
}

/// Ends what can be ended now.
pub(super) async fn end_runs(
    fleet: &Fleet,
    runner: &dyn ScriptRunner,
    runs: &Runs,
    recorder: Option<&Recorder>,
    ends: Ends<'_>,
) -> LeftRuns {
    let mut done = LeftRuns::default();
    let now = Timestamp::now();
    for left in ends.among(runs, fleet) {
        let left_at = can_go_on(runs, &left.run);
        if !ends.ends(&left, left_at, now) {
            done.spared.extend(left_at.map(|at| left_sentence(&left.run, at, now)));
            continue;
        }
        let Some(_lock) = runs.lock_ending(&left.run) else {
            done.ended.push(format!(
                "run {}: another nixdash is asking its hosts; try again in a moment",
                left.run
            ));
            done.is_open = true;
            continue;
        };
        let Some(left) = completed(runs, left) else { continue };
        let found = tokio::time::timeout(LIMIT, end_left(runner, &left)).await;
        let Ok(found) = found else {
            done.ended.push(format!("run {}: its hosts did not answer in time", left.run));
            done.is_open = true;
            continue;
        };
        done.is_open |= found.iter().any(|(_, ending)| matches!(ending, LeftEnding::NotYet(_)));
        done.ended.extend(record(&left, found, runs, recorder));
        let hosts: BTreeSet<String> = left.hosts.keys().chain(&left.builders).cloned().collect();
        runs.note_untidy(&left.run, &hosts.into_iter().collect::<Vec<_>>());
    }
    tidy(fleet, runner, runs).await;
    done
}

/// Writes what was decided in a run and does not stand in its folder, and reads the run again. Nothing
/// where it has been gone on with since.
fn completed(runs: &Runs, left: LeftRun) -> Option<LeftRun> {
    if runs.is_alive(&left.run) {
        return None;
    }
    let journal = runs.read_journal::<RunEntry>(&left.run, JOURNAL_FORMAT).ok();
    let replayed = journal.and_then(|journal| Replayed::new(&journal.entries).ok());
    let untold = replayed.as_ref().map(|replayed| replayed.untold(&runs.decided(&left.run)));
    let Some(Ok(untold)) = untold else { return Some(left) };
    let events: Vec<RunEvent> = untold
        .into_iter()
        .map(|told| RunEvent { run: left.run.clone(), at: told.at, what: told.what })
        // The hosts are asked how the run ended.
        .filter(|event| !matches!(event.what, RunWhat::Summary { .. }))
        .collect();
    let mut left = if events.is_empty() || runs.append(&left.run, &events).is_err() {
        left
    } else {
        runs.read_left(&left.run)?
    };
    for (name, host) in &mut left.hosts {
        let Some(known) = replayed.as_ref().and_then(|replayed| replayed.machine.left_at(name))
        else {
            continue;
        };
        host.wrong = known.wrong.map(|why| why.finding(name));
        // The plan knows nothing of a host that was away then.
        host.previous = host.previous.take().or_else(|| known.before.running.clone());
        host.profile = host.profile.take().or_else(|| known.before.profile.clone());
    }
    Some(left)
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

/// Ends them for a command that has no connections of its own yet, and says so. Returns whether one
/// that was to be ended has no end yet.
pub(super) async fn end_runs_and_say(fleet: &Arc<Fleet>, runs: &Runs, ends: Ends<'_>) -> bool {
    let file = fleet.file.as_deref();
    let now = Timestamp::now();
    let left = ends.among(runs, fleet);
    let ended = left.iter().any(|left| ends.ends(left, can_go_on(runs, &left.run), now));
    if left.is_empty() && runs.untidy(file).is_empty() {
        return false;
    }
    if ended {
        let what = match ends {
            Ends::Only(run) => format!("ending run {run}: its hosts are asked what became of them"),
            Ends::Old | Ends::Of(_) => {
                "a run was ended from outside; asking its hosts what became of them".to_owned()
            }
        };
        tell_aside!("nixdash: {what}");
    }
    let remote = Remote::new(Arc::clone(fleet));
    let recorder = history::recorder(fleet, |line| tell_aside!("nixdash: {line}"));
    let done = end_runs(fleet, &remote, runs, recorder.as_ref(), ends).await;
    for line in done.ended.iter().chain(&done.spared) {
        tell_aside!("nixdash: {line}");
    }
    remote.close().await;
    if let Some(recorder) = recorder {
        recorder.flush().await;
    }
    done.is_open
}

/// Says which runs were left for good, and ends none: that would put right what an activation left on their hosts.
pub(super) fn say_what_is_left(runs: &Runs, fleet: &Fleet) {
    let now = Timestamp::now();
    for left in Ends::Old.among(runs, fleet) {
        if Ends::Old.ends(&left, can_go_on(runs, &left.run), now) {
            tell_aside!(
                "nixdash: run {0} was ended from outside; its hosts are not asked what became of them, since that \
                 may change them (--read-only): `nixdash history` without that asks them",
                left.run
            );
        }
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
        let done = end_runs(&fleet, &remote, &runs, recorder.as_ref(), Ends::Old).await;
        for line in done.ended {
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
    let mut outcomes: BTreeMap<String, Outcome> = BTreeMap::new();
    for event in &left.events {
        if let RunWhat::Result { host, result } = &event.what {
            outcomes.insert(host.clone(), result.outcome);
        }
    }
    let mut all = true;
    for (host, ending) in found {
        let ending = match ending {
            LeftEnding::Ended(ending) => ending,
            LeftEnding::NotYet(why) => {
                all = false;
                lines.push(format!("run {}: its end is not known yet: {why}", left.run));
                continue;
            }
        };
        let known = left.hosts.get(&host);
        outcomes.insert(host.clone(), ending.outcome);
        let result = HostResult {
            attempt: known.map(|host| host.attempt.max(1)),
            toplevel: known.and_then(|host| host.toplevel.clone()),
            previous: known.and_then(|host| host.previous.clone()),
            duration_ms,
            findings: ending.findings(&host),
            error: ending.error(),
            ..HostResult::ended(ending.outcome)
        };
        lines.push(ended_sentence(&left.run, &host, &result));
        let what = RunWhat::Result { host, result };
        events.push(RunEvent { run: left.run.clone(), at: now, what });
    }
    if all {
        let mut counts: BTreeMap<Outcome, u64> = BTreeMap::new();
        for outcome in outcomes.into_values() {
            *counts.entry(outcome).or_default() += 1;
        }
        let what = RunWhat::Summary { outcomes: counts, duration_ms, findings: Vec::new() };
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

/// Says how a host ended in a run: `run 8: razer rolled back: its nixdash was killed [run-ended]`.
fn ended_sentence(run: &RunId, host: &str, result: &HostResult) -> String {
    let why = result.told().map(|why| format!(": {}", without_name(host, &why)));
    format!("run {run}: {host} {}{}", result.outcome.spoken(), why.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_host_ended_is_told_in_words_and_names_the_host_once() {
        let run = RunId("8".to_owned());
        let told = |error: Option<&str>| {
            let error = error.map(str::to_owned);
            let result = HostResult { error, ..HostResult::ended(Outcome::RolledBack) };
            ended_sentence(&run, "razer", &result)
        };
        assert_eq!(told(None), "run 8: razer rolled back");
        let why = "run 8: razer rolled back: nobody confirmed the system";
        assert_eq!(told(Some("razer: nobody confirmed the system")), why);
        assert_eq!(told(Some("nobody confirmed the system")), why);
    }
}
