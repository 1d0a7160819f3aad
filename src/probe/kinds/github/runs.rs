//! The last CI runs of a repository: which of them got their cache, as the logs of their jobs say.
//!
//! Only a token that may read actions is shown logs. Each is read once, and of one look only a few,
//! so that GitHub's limit and the time that a look may take are kept; the rest is for the next.

use crate::fleet::{Detail, ago};
use crate::probe::asking::Asking;
use crate::probe::checks::answer::{detail, read_aside, read_json, since};
use crate::probe::kinds::github::caches::Headers;
use crate::probe::kinds::github::jobs::{
    JobsPage, LogSummary, RunsPage, WorkflowJob, WorkflowRun, read,
};
use crate::probe::kinds::github::{
    GithubQuestion, RepositoryMemory, Tagged, Unanswered, ask, plain, remembered,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The runs that are read, newest first. The number is [`RUNS`].
const LIST: &str = "/actions/runs?status=completed&exclude_pull_requests=true&per_page=5";

/// How many runs are told of.
const RUNS: usize = 5;

/// Most jobs of a run whose logs are read.
const JOBS: usize = 10;

/// Most logs that are read in one look.
const LOGS: usize = 10;

/// Most of a log that is read, in bytes.
const LOG_LIMIT: usize = 4 << 20;

/// How long reading may take in one look.
const LIMIT: Duration = Duration::from_secs(4);

/// The list of the last runs.
#[derive(Clone, Copy)]
struct RunsQuestion;

impl GithubQuestion for RunsQuestion {
    type Answer = RunsPage;

    fn path(self) -> String {
        LIST.to_owned()
    }

    fn kept(self, memory: &RepositoryMemory) -> Option<Tagged<RunsPage>> {
        memory.runs.clone()
    }

    fn keep(self, memory: &mut RepositoryMemory, answer: Tagged<RunsPage>) {
        memory.runs = Some(answer);
    }
}

/// What is known of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownRun {
    /// Its jobs that have a log; nothing before they were asked for.
    jobs: Option<Vec<u64>>,
    /// Those whose logs were read.
    read: BTreeSet<u64>,
    /// What they say.
    said: LogSummary,
}

impl KnownRun {
    /// Returns whether every log was read.
    fn is_whole(&self) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.iter().all(|job| self.read.contains(job)))
    }
}

/// Runs that are known, by number and attempt.
pub(super) type KnownRuns = BTreeMap<String, KnownRun>;

/// Returns what the last runs say of caches; reads what is new before.
pub(super) async fn describe(asking: &Asking<'_>, headers: &Headers) -> Vec<Detail> {
    if !asking.tier.access.login.is_token() {
        return vec![detail("CI", "not asked: logs of jobs need a token that may read actions")];
    }
    let scarce = headers
        .limit
        .zip(headers.remaining)
        .is_some_and(|(limit, remaining)| remaining.saturating_mul(10) < limit);
    let mut runs = remembered(asking, |memory| memory.last_runs.clone());
    let mut why = None;
    if scarce {
        why = Some("no logs are read while few requests are left".to_owned());
    } else {
        match ask(asking, RunsQuestion).await {
            Ok(answer) => {
                let mut list = answer.value;
                list.runs.truncate(RUNS);
                let last = Some(list.clone());
                remembered(asking, |memory| memory.last_runs = last);
                // What takes longer goes on at the next look.
                let reading = tokio::time::timeout(LIMIT, read_new(asking, &list.runs));
                if let Ok(Err(refused)) = reading.await {
                    why = Some(format!("logs not read: {}", said_by(asking, refused)));
                }
                runs = Some(list);
            }
            Err(refused) => why = Some(format!("not read: {}", said_by(asking, refused))),
        }
    }
    let known = remembered(asking, |memory| memory.known.clone());
    let mut details = runs.map_or_else(Vec::new, |runs| summary(asking, &runs.runs, &known));
    details.extend(why.map(|why| detail("CI", &why)));
    details
}

/// Returns why GitHub did not answer.
fn said_by(asking: &Asking<'_>, refused: Unanswered) -> String {
    refused.facts(asking.tier).error().unwrap_or_else(|| "GitHub did not say why".to_owned())
}

/// Reads logs that were not read yet, those of the newest runs first.
async fn read_new(asking: &Asking<'_>, runs: &[WorkflowRun]) -> Result<(), Unanswered> {
    let old = remembered(asking, |memory| memory.known.clone());
    let wanted: Vec<String> = runs.iter().map(name).collect();
    let mut all: KnownRuns = old.into_iter().filter(|(run, _)| wanted.contains(run)).collect();
    keep(asking, &all);
    let mut logs = 0;
    for (run, name) in runs.iter().zip(&wanted) {
        let known = all.get(name).cloned().unwrap_or_default();
        let jobs = match known.jobs {
            Some(jobs) => jobs,
            None => jobs_of(asking, run).await?,
        };
        all.entry(name.clone()).or_default().jobs = Some(jobs.clone());
        for job in jobs.into_iter().filter(|job| !known.read.contains(job)) {
            if logs == LOGS {
                return Ok(());
            }
            logs += 1;
            let said = log_of(asking, job).await?;
            let known = all.entry(name.clone()).or_default();
            known.said.add(said);
            known.read.insert(job);
            // At once: this may be cut off at any time.
            keep(asking, &all);
        }
        keep(asking, &all);
    }
    Ok(())
}

/// Keeps what is known of runs.
fn keep(asking: &Asking<'_>, all: &KnownRuns) {
    let all = all.clone();
    remembered(asking, |memory| memory.known = all);
}

/// Returns what tells a run, and that it was started again.
fn name(run: &WorkflowRun) -> String {
    format!("{}.{}", run.id, run.attempt)
}

/// Asks which jobs of a run have a log.
async fn jobs_of(asking: &Asking<'_>, run: &WorkflowRun) -> Result<Vec<u64>, Unanswered> {
    let query = format!("/actions/runs/{}/jobs?per_page={JOBS}", run.id);
    let jobs: JobsPage = match plain(asking, &query, LOG_LIMIT).await {
        Ok(reply) => read_json(reply.body).await.unwrap_or_default(),
        // It was deleted meanwhile.
        Err(Unanswered::Gone) => JobsPage::default(),
        Err(refused) => return Err(refused),
    };
    let has_log = |job: &WorkflowJob| job.conclusion.as_deref().is_some_and(|how| how != "skipped");
    Ok(jobs.jobs.iter().filter(|job| has_log(job)).map(|job| job.id).take(JOBS).collect())
}

/// Reads the log of a job; one that is not kept any more says nothing.
async fn log_of(asking: &Asking<'_>, job: u64) -> Result<LogSummary, Unanswered> {
    match plain(asking, &format!("/actions/jobs/{job}/logs"), LOG_LIMIT).await {
        Ok(reply) => {
            let said = read_aside(reply.body, |log| read(&String::from_utf8_lossy(log)));
            Ok(said.await.unwrap_or_default())
        }
        Err(Unanswered::Gone) => Ok(LogSummary::default()),
        Err(refused) => Err(refused),
    }
}

/// Says what the last run did, and how many of the last ones got their cache.
fn summary(asking: &Asking<'_>, runs: &[WorkflowRun], known: &KnownRuns) -> Vec<Detail> {
    let read = runs.iter().filter_map(|run| Some((run, known.get(&name(run))?)));
    let whole: Vec<(&WorkflowRun, &KnownRun)> =
        read.filter(|(_, known)| known.is_whole()).collect();
    let mut details = Vec::new();
    if let Some((run, known)) = whole.first() {
        let age = ago(since(asking, run.updated_at));
        let age = if age == "now" { age } else { format!("{age} ago") };
        let which = if runs.first() == Some(*run) { "last run" } else { "an earlier run" };
        details.push(detail("CI", &format!("{which} {age}: {}", known.said.words())));
    } else if runs.is_empty() {
        details.push(detail("CI", "no run has ended yet"));
    }
    let said: Vec<bool> = whole.iter().filter_map(|(_, known)| known.said.hit()).collect();
    if !said.is_empty() {
        let hits = said.iter().filter(|hit| **hit).count();
        let (all, word) = (said.len(), if said.len() == 1 { "run" } else { "runs" });
        details.push(detail("hits", &format!("{hits} of {all} {word} restored their cache")));
    }
    details
}
