//! Wakes machines that a run needs and that sleep, where hosts.toml says how.

use super::step::Step;
use crate::deploy::{Failure, GivenPlace};
use crate::fleet::{Host, Outcome, Phase, Progress, Strategy, duration};
use crate::remote::{Output, Presence, Script, wait_until_started, wake};
use std::sync::Arc;
use std::time::Duration;

/// How long a machine may take from the packet until it answers.
const LIMIT: Duration = Duration::from_secs(180);

/// Wakes the host that builds, once in a run, where this host needs it and it does not answer.
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
        rouse(step, host).await;
    }
}

/// Runs a script on a host that is needed beside the target, and once more where the host had to be woken.
pub(super) async fn run_awake(step: &Step, host: &str, script: &Script) -> Result<Output, Failure> {
    match step.run(host, script).await {
        Err(failure) if after(step, host, &failure).await => step.run(host, script).await,
        ended => ended,
    }
}

/// Wakes a host that could not be asked, with this failure, or waits until it is awake where another one wakes it
/// already; returns whether it is worth another try.
pub(super) async fn after(step: &Step, host: &str, failure: &Failure) -> bool {
    let host = step.shared.fleet.host(host).filter(|host| host.wake.is_some());
    match (failure.outcome, host) {
        (Outcome::Offline, Some(host)) => rouse(step, host).await,
        (_, Some(_) | None) => false,
    }
}

/// Wakes a machine and waits until it answers; whoever else needs it in this run waits for the same.
async fn rouse(step: &Step, host: &Host) -> bool {
    let cell = {
        let mut woken = step.shared.woken.lock().await;
        Arc::clone(woken.entry(host.name.clone()).or_default())
    };
    *cell.get_or_init(|| wake_and_wait(step, host)).await
}

/// Sends the packet and waits; says what is waited for.
async fn wake_and_wait(step: &Step, host: &Host) -> bool {
    let (runner, name) = (step.runner.as_ref(), &host.name);
    match wake(runner, host).await {
        Ok(how) => step.log(&format!("{name} does not answer: {how}")).await,
        Err(error) => {
            step.log(&error.to_string()).await;
            return false;
        }
    }
    let waits = format!("waiting up to {} until {name} is awake", duration(LIMIT));
    step.log(&waits).await;
    step.progress(Progress { doing: Some(waits), ..Progress::default() }).await;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel::<Presence>();
    // Who listens ends with the waiting.
    let waiting = async move {
        let hear = |presence: &Presence| drop(tell.send(presence.clone()));
        wait_until_started(runner, name, None, LIMIT, hear).await
    };
    let telling = async {
        while let Some(presence) = told.recv().await {
            step.log(&format!("{name}: {presence}")).await;
        }
    };
    match tokio::join!(waiting, telling).0 {
        Ok(_) => {
            step.log(&format!("{name} is awake")).await;
            true
        }
        Err(error) => {
            step.log(&format!("{name} was not woken: {error}")).await;
            false
        }
    }
}
