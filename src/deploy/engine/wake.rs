//! Wakes machines that a run needs and that sleep, where hosts.toml says how.

use super::lost::{AWAY_LIMIT, not_started};
use super::step::{PlainLog, Step};
use crate::deploy::{Failure, GivenPlace};
use crate::fleet::{Host, Outcome, Phase, Progress, Strategy};
use crate::remote::job::{Job, JobKind};
use crate::remote::{Output, Script, WakeNews, rouse};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;

/// How long a machine that was not woken is not waited for again: who else needs it may have asked it before, and
/// have heard only now that it is silent.
const HOLDS: Duration = Duration::from_secs(60);

/// When a machine was woken last in a run, and whether it answered then. Locked while it is woken.
#[derive(Default)]
pub(super) struct LastWake(Mutex<Option<(Instant, bool)>>);

/// Wakes the host that builds, where this host needs it and it does not answer.
pub(super) async fn builder(step: &Step) {
    let fleet = &step.shared.fleet;
    // Preflight chooses anew who builds, whatever an earlier attempt chose.
    let chooses = step.phase == Phase::Preflight && step.host.asked == Strategy::Auto;
    let config = fleet.host(&step.host.name).filter(|_| chooses);
    let chosen = config.and_then(|host| fleet.builder_of(host));
    let builder = chosen.unwrap_or_else(|| step.host.build_on());
    let place = step.host.given.as_ref().map(|given| &given.place);
    let is_needed = !matches!(place, Some(GivenPlace::Kept | GivenPlace::Host));
    if builder == step.host.name || !is_needed {
        return;
    }
    let Some(host) = fleet.host(builder).filter(|host| host.wake.is_some()) else {
        return;
    };
    let runner = &step.runner;
    if runner.answering(builder).await.is_ok_and(|addresses| addresses.is_empty()) {
        // One that is reached only through another machine answers nobody who looks so.
        woken(step, host, HOLDS).await;
    }
}

/// Runs a script on a host that is needed beside the target, and once more where the host had to be woken.
pub(super) async fn run_awake(step: &Step, host: &str, script: &Script) -> Result<Output, Failure> {
    match step.run(host, script).await {
        Err(failure) if after(step, host, &failure).await => step.run(host, script).await,
        ended => ended,
    }
}

/// Starts a job that harms nobody when it runs unheard, and once more where its host had to be woken.
pub(super) async fn start_awake(
    step: &Step,
    job: &mut Job,
    body: &'static str,
    args: &[String],
) -> Result<(), Failure> {
    let mut log = PlainLog::new(step);
    let started = job.start(JobKind::Work, body, args, AWAY_LIMIT, &mut log).await;
    match started.map_err(not_started) {
        Err(failure) if after(step, &job.host, &failure).await => {
            let started = job.start(JobKind::Work, body, args, AWAY_LIMIT, &mut log).await;
            started.map_err(not_started)
        }
        ended => ended,
    }
}

/// Wakes a host that could not be asked, with this failure, or waits until it is awake where another one wakes it
/// already; returns whether it is worth another try.
pub(super) async fn after(step: &Step, host: &str, failure: &Failure) -> bool {
    let host = step.shared.fleet.host(host).filter(|host| host.wake.is_some());
    match (failure.outcome, host) {
        (Outcome::Offline, Some(host)) => woken(step, host, Duration::ZERO).await,
        (_, Some(_) | None) => false,
    }
}

/// Wakes a machine that is silent and waits until it answers; returns whether it does. Whoever else needs it
/// meanwhile waits for the same. One that was woken so long ago at most is taken to be awake.
async fn woken(step: &Step, host: &Host, awake_for: Duration) -> bool {
    let asked = Instant::now();
    let cell = step.shared.woken.cell(host.name.as_str());
    let mut last = cell.0.lock().await;
    if let Some((ended, is_awake)) = *last {
        let holds = if is_awake { awake_for } else { HOLDS };
        if ended >= asked || ended.elapsed() < holds {
            return is_awake;
        }
    }
    let is_awake = wake_and_wait(step, host).await;
    *last = Some((Instant::now(), is_awake));
    is_awake
}

/// Sends the packet and waits; says what is waited for.
async fn wake_and_wait(step: &Step, host: &Host) -> bool {
    let (tell, mut told) = mpsc::unbounded_channel::<WakeNews>();
    // Who listens ends with the waiting.
    let waking =
        async move { rouse(step.runner.as_ref(), host, |news| drop(tell.send(news))).await };
    let telling = async {
        while let Some(news) = told.recv().await {
            step.log(news.sentence()).await;
            if let WakeNews::Waits(sentence) = news {
                step.progress(Progress { doing: Some(sentence), ..Progress::default() }).await;
            }
        }
    };
    tokio::join!(waking, telling).0
}
