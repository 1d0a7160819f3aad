//! What goes on beside the poller as long as nixdash runs, with a screen or without: requests are
//! counted, and runs are followed.

use crate::fleet::{Fleet, RunId, RunWhat};
use crate::probe::{Handle, next_second, on_beat};
use crate::record::{Recorder, RunNews, RunWatch};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How often the folders of runs are looked at while something happens there.
const LOOK_EVERY: Duration = Duration::from_millis(120);

/// For how long after the last news something is taken to happen.
const LIVELY: Duration = Duration::from_secs(10);

/// How often the requests that were made of tiers are written into the history.
const COUNT_EVERY: Duration = Duration::from_secs(60);

/// Writes the requests that were made of each tier into the history, so that all nixdash of this
/// month count as one.
pub(super) async fn count_requests(fleet: Arc<Fleet>, handle: Handle, recorder: Recorder) {
    let Some(web) = handle.web() else { return };
    loop {
        for tier in &fleet.tiers {
            if let Some(recorded) = recorder.requests_this_month(&tier.name).await {
                web.budget.begin_month_with(&tier.name, recorded);
            }
            let fresh = web.budget.take_count(&tier.name);
            if fresh > 0 {
                recorder.record_request(&tier.name, fresh);
            }
        }
        tokio::time::sleep_until(on_beat(COUNT_EVERY)).await;
    }
}

/// Who hears of runs.
pub(super) trait HearsOfRuns: Send {
    /// Hears of one thing; returns whether it wants to hear more.
    fn hear(&self, news: RunNews) -> impl Future<Output = bool> + Send;
}

/// Nobody: runs are followed for the poller's sake alone.
pub(super) struct Nobody;

impl HearsOfRuns for Nobody {
    async fn hear(&self, _news: RunNews) -> bool {
        true
    }
}

/// Reads the folders of runs, keeps the poller away from what they fetch from, and lets it measure
/// the hosts of a run again when it ends.
///
/// Looks often while something happens there, or since `started` says that a run was started.
pub(super) async fn watch_runs(
    mut watch: RunWatch,
    handle: Handle,
    hearer: impl HearsOfRuns,
    started: Arc<Notify>,
) {
    let mut hosts: HashMap<RunId, Vec<String>> = HashMap::new();
    let mut lively = Instant::now();
    loop {
        let looked = tokio::task::spawn_blocking(move || {
            let news = watch.look();
            (watch, news)
        });
        let Ok((back, news)) = looked.await else { return };
        watch = back;
        if !news.is_empty() {
            lively = Instant::now() + LIVELY;
        }
        for news in news {
            note(&handle, &mut hosts, &news);
            if !hearer.hear(news).await {
                return;
            }
        }
        let idle = Instant::now() > lively;
        // Otherwise once a second, when everything else that waits is looked at.
        let next = if idle { next_second() } else { Instant::now() + LOOK_EVERY };
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = started.notified() => lively = Instant::now() + LIVELY,
        }
    }
}

/// Tells the poller what happens in a run.
fn note(handle: &Handle, hosts: &mut HashMap<RunId, Vec<String>>, news: &RunNews) {
    match news {
        RunNews::Event(event) => {
            handle.note_run(event);
            match &event.what {
                RunWhat::Begin { hosts: taking_part, .. } => {
                    hosts.insert(event.run.clone(), taking_part.clone());
                }
                RunWhat::Result { host, .. } => handle.after_run(host),
                RunWhat::Phase { .. }
                | RunWhat::Progress { .. }
                | RunWhat::Log { .. }
                | RunWhat::Dropped { .. }
                | RunWhat::Reattached { .. }
                | RunWhat::Plan { .. }
                | RunWhat::Waiting { .. }
                | RunWhat::Rollout(_)
                | RunWhat::Usual { .. }
                | RunWhat::Builds { .. }
                | RunWhat::Command { .. }
                | RunWhat::Summary { .. } => {}
            }
        }
        RunNews::Live(..) | RunNews::Elsewhere(_) => {}
        RunNews::Gone(run) => {
            handle.note_run_gone(run);
            for host in hosts.remove(run).unwrap_or_default() {
                handle.after_run(&host);
            }
        }
    }
}
