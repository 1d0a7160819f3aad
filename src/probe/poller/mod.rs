//! Asks until it is stopped: a task per host for the quick probe and one for the slow, one per
//! tier, and one for coverage.
//!
//! Every task sends [`Event`]s into one channel and waits when it is full. No task waits for
//! another host's, so a dead host delays nobody.

mod coverage;
mod depth;
mod host;
mod next;
mod others;
mod size;
mod store;
mod tier;
mod verify;

use crate::fleet::{
    Event, Fleet, Phase, PhaseState, RunEvent, RunId, RunWhat, StoreDepth, StorePath, Tier,
    TierFacts, TierKind, VerifyError,
};
use crate::probe::answers::Answers;
use crate::probe::asking::Tools;
use crate::probe::checks::verify::NarVerification;
use crate::probe::clock::on_beat;
use crate::probe::depth::DepthError;
use crate::probe::kinds::kind_of;
use crate::probe::look::with_hosts_now;
use crate::probe::memory::Memory;
use crate::probe::next::NextSystem;
use crate::probe::on_host;
use crate::probe::store::Closure;
use crate::probe::transport::RequestError;
use crate::probe::transport::http::HttpClient;
use crate::record::{Recorder, Runs};
use crate::remote::ScriptRunner;
pub use coverage::COVERAGE_INTERVAL;
use coverage::watch_coverage;
use depth::watch_depth;
use host::watch_host;
use jiff::Timestamp;
use size::watch_size;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::watch_store;
use tier::watch_tier;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

/// Time between the first probes of two hosts, so that not all connect at the same instant.
const STAGGER: Duration = Duration::from_millis(40);

/// How often it is looked whether a tier may be asked again that a run fetches from.
const CALM: Duration = Duration::from_secs(1);

/// Starts polling; see [`Poller::spawn`].
pub struct Poller;

/// Where the poller keeps what must outlive it, and learns of runs.
#[derive(Clone, Default)]
pub struct Record {
    /// The history; without it a lost server is forgotten when nixdash ends, and every nixdash asks
    /// for itself.
    pub recorder: Option<Recorder>,
    /// The runs of this machine.
    pub runs: Option<Runs>,
}

/// Asks the poller for a probe now; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// What wakes the tasks of a host before their time.
#[derive(Default)]
struct HostSignals {
    quick: Notify,
    slow: Notify,
    /// Whether the next quick look must be over a new login.
    doubt: AtomicBool,
}

/// What woke a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    /// Somebody wants to know now.
    Request,
    /// It is time.
    Time,
}

/// What is known of a host's system.
#[derive(Clone, Default)]
struct System {
    toplevel: Option<StorePath>,
    closure: Option<Arc<Closure>>,
}

/// What all tasks share.
struct Shared {
    fleet: Arc<Fleet>,
    runner: Arc<dyn ScriptRunner>,
    web: Result<HttpClient, RequestError>,
    events: mpsc::Sender<Event>,
    record: Record,
    cancel: CancellationToken,
    hosts: HashMap<String, HostSignals>,
    tiers: HashMap<String, Notify>,
    coverage: Notify,
    next: Notify,
    /// What runs' plans said of hosts' next systems.
    planned: Mutex<HashMap<String, NextSystem>>,
    systems: Mutex<BTreeMap<String, System>>,
    /// The closures of what hosts run next, as far as that is built.
    next_closures: Mutex<BTreeMap<String, Arc<Closure>>>,
    answers: Mutex<Answers>,
    /// Tiers whose signature could not be checked for want of a path.
    unproven: Mutex<HashSet<String>>,
    /// What was found of tiers last.
    found: Mutex<HashMap<String, TierFacts>>,
    /// Hosts that fetch in runs now.
    fetching: Mutex<HashSet<(RunId, String)>>,
    memory: Memory,
}

impl Poller {
    /// Starts a task per host and tier, which run until the token is cancelled or nobody receives
    /// events any more. Needs a tokio runtime.
    pub fn spawn(
        fleet: Arc<Fleet>,
        runner: Arc<dyn ScriptRunner>,
        events: mpsc::Sender<Event>,
        record: Record,
        cancel: CancellationToken,
    ) -> Handle {
        let hosts = fleet.hosts.iter().map(|host| (host.name.clone(), HostSignals::default()));
        let tiers = fleet.tiers.iter().map(|tier| (tier.name.clone(), Notify::new()));
        let shared = Arc::new(Shared {
            hosts: hosts.collect(),
            tiers: tiers.collect(),
            fleet,
            runner,
            web: HttpClient::new(),
            events,
            record,
            cancel,
            coverage: Notify::new(),
            next: Notify::new(),
            planned: Mutex::default(),
            systems: Mutex::default(),
            next_closures: Mutex::default(),
            answers: Mutex::default(),
            unproven: Mutex::default(),
            found: Mutex::default(),
            fetching: Mutex::default(),
            memory: Memory::default(),
        });
        for (index, host) in shared.fleet.hosts.iter().enumerate() {
            let delay = STAGGER.saturating_mul(u32::try_from(index).unwrap_or(u32::MAX));
            tokio::spawn(watch_host(Arc::clone(&shared), host.clone(), delay));
            tokio::spawn(watch_store(Arc::clone(&shared), host.name.clone()));
        }
        for tier in &shared.fleet.tiers {
            tokio::spawn(watch_tier(Arc::clone(&shared), tier.clone()));
            tokio::spawn(watch_size(Arc::clone(&shared), tier.clone()));
        }
        // Without such a tier there is no place to tell it in.
        if let Some(tier) = shared.fleet.tiers.iter().find(|tier| tier.kind == TierKind::Local) {
            for host in &shared.fleet.hosts {
                let (tier, host) = (tier.clone(), host.name.clone());
                tokio::spawn(watch_depth(Arc::clone(&shared), tier, host));
            }
        }
        tokio::spawn(watch_coverage(Arc::clone(&shared)));
        tokio::spawn(next::watch_next(Arc::clone(&shared)));
        Handle { shared }
    }
}

impl Handle {
    /// Asks for a quick probe of a host now.
    pub fn ask(&self, host: &str) {
        if let Some(signals) = self.shared.hosts.get(host) {
            signals.quick.notify_one();
        }
    }

    /// Asks for a probe of a tier now.
    pub fn ask_tier(&self, tier: &str) {
        if let Some(signal) = self.shared.tiers.get(tier) {
            signal.notify_one();
        }
    }

    /// Asks for every probe of hosts and tiers now, those that take longer too.
    pub fn ask_all(&self) {
        for signals in self.shared.hosts.values() {
            signals.quick.notify_one();
            signals.slow.notify_one();
        }
        self.shared.wake_tiers();
    }

    /// Looks closely at a host's store now; nothing when everything ends meanwhile. What is found
    /// comes as an event too.
    pub async fn look_closely(&self, host: &str) -> Option<Result<StoreDepth, DepthError>> {
        self.shared.look_closely(host).await
    }

    /// Fetches a nar of a tier whole now and compares it with its narinfo; nothing when everything
    /// ends meanwhile. What is found comes as an event too.
    pub async fn verify(&self, tier: &str) -> Option<Result<NarVerification, VerifyError>> {
        self.shared.verify(tier).await
    }

    /// Notes an event of a run: a nix-serve that a host fetches from is not asked meanwhile, since
    /// it has five workers in all.
    pub fn note_run(&self, event: &RunEvent) {
        let mut fetching = lock(&self.shared.fetching);
        match &event.what {
            RunWhat::Phase { host, phase: Phase::Fetch, state } => {
                let fetch = (event.run.clone(), host.clone());
                match state {
                    PhaseState::Started => drop(fetching.insert(fetch)),
                    PhaseState::Finished | PhaseState::Failed | PhaseState::Skipped => {
                        fetching.remove(&fetch);
                    }
                }
            }
            RunWhat::Result { host, result } => {
                fetching.remove(&(event.run.clone(), host.clone()));
                self.shared.note_result(host, result);
            }
            RunWhat::Plan { plan, .. } => self.shared.note_plan(plan, event.at),
            RunWhat::Summary { .. } => fetching.retain(|(run, _)| *run != event.run),
            RunWhat::Begin { .. }
            | RunWhat::Phase { .. }
            | RunWhat::Progress { .. }
            | RunWhat::Log { .. }
            | RunWhat::Dropped { .. }
            | RunWhat::Rollout(_)
            | RunWhat::Waiting { .. }
            | RunWhat::Usual { .. }
            | RunWhat::Builds { .. }
            | RunWhat::Command { .. }
            | RunWhat::Reattached { .. } => {}
        }
    }

    /// Notes that the process of a run is gone.
    pub fn note_run_gone(&self, gone: &RunId) {
        lock(&self.shared.fetching).retain(|(run, _)| run != gone);
    }

    /// Returns the HTTP client that all probes share, which counts their requests.
    pub fn web(&self) -> Option<&HttpClient> {
        self.shared.web.as_ref().ok()
    }

    /// Asks for all probes of a host, slow ones too, and for what tiers did not have before.
    pub fn after_run(&self, host: &str) {
        self.shared.forget_misses();
        if let Some(signals) = self.shared.hosts.get(host) {
            // A kept connection may say that all is well where the run says otherwise.
            signals.doubt.store(true, Ordering::Relaxed);
            signals.quick.notify_one();
            signals.slow.notify_one();
        }
        self.shared.wake_tiers();
        self.shared.coverage.notify_one();
        self.shared.next.notify_one();
    }
}

impl Shared {
    /// Returns what all probes share; an error where HTTP is not to be had.
    fn tools(&self) -> Result<Tools<'_>, &RequestError> {
        let web = self.web.as_ref()?;
        let (runner, fleet) = (self.runner.as_ref(), self.fleet.as_ref());
        Ok(Tools { web, runner, fleet, memory: &self.memory })
    }

    /// Takes in what earlier nixdash kept of a tier.
    async fn recall(&self, tier: &Tier) -> Option<()> {
        let Some(recorder) = &self.record.recorder else { return Some(()) };
        let kept = self.unless_ended(recorder.recall(&tier.name)).await?;
        self.memory.recall(tier, kept.unwrap_or_default());
        Some(())
    }

    /// Returns what any nixdash keeps of a tier under a name now.
    async fn kept(&self, tier: &Tier, name: &str) -> Option<Option<serde_json::Value>> {
        let Some(recorder) = &self.record.recorder else { return Some(None) };
        let kept = self.unless_ended(recorder.recall(&tier.name)).await?.unwrap_or_default();
        Some(kept.into_iter().find(|(known, _)| known == name).map(|(_, value)| value))
    }

    /// Changes the newest facts of a tier and sends them. A tier that was never asked has none, and
    /// nothing is sent.
    async fn amend(&self, tier: &Tier, change: impl FnOnce(&mut TierFacts)) -> Option<()> {
        let facts = lock(&self.found).get_mut(&tier.name).map(|facts| {
            change(facts);
            facts.clone()
        });
        let Some(facts) = facts else { return Some(()) };
        self.send(Event::Tier { tier: tier.name.clone(), facts: Box::new(facts) }).await
    }

    /// Keeps what later nixdash must know of a tier.
    fn remember(&self, tier: &Tier) {
        let Some(recorder) = &self.record.recorder else { return };
        for (name, value) in self.memory.take_changes(tier) {
            recorder.remember(&tier.name, name, value);
        }
    }

    /// Returns whether a tier is left alone because a run fetches from it.
    fn is_busy(&self, tier: &Tier) -> bool {
        kind_of(tier).bears_no_fetches() && !lock(&self.fetching).is_empty()
    }

    /// Waits until a tier may be asked: no run fetches from it, and it does not want to be left
    /// alone. Returns false when everything ends.
    async fn wait_for_calm(&self, tier: &Tier) -> bool {
        loop {
            let rest = self.web.as_ref().ok().and_then(|web| web.budget.rest_of(tier));
            let wait = if self.is_busy(tier) { CALM } else { rest.unwrap_or_default() };
            if wait.is_zero() {
                return true;
            }
            if self.unless_ended(tokio::time::sleep(wait)).await.is_none() {
                return false;
            }
        }
    }

    /// Looks at how a host is set up, and sends what that changes about tiers.
    async fn look_at_host(&self, host: &str) -> Option<()> {
        if self.web.is_err() {
            return Some(());
        }
        let look = on_host::look(self.runner.as_ref(), host, Timestamp::now());
        let view = self.unless_ended(look).await?;
        on_host::remember(&self.memory, &self.fleet, host, view);
        self.send_changed_tiers().await
    }

    /// Sends the tiers whose facts changed since they were asked.
    async fn send_changed_tiers(&self) -> Option<()> {
        let Ok(tools) = self.tools() else { return Some(()) };
        for tier in &self.fleet.tiers {
            let changed = {
                let mut found = lock(&self.found);
                found.get_mut(&tier.name).and_then(|last| {
                    let facts = with_hosts_now(tools, last, tier, Timestamp::now())?;
                    last.clone_from(&facts);
                    Some(facts)
                })
            };
            if let Some(facts) = changed {
                self.send(Event::Tier { tier: tier.name.clone(), facts: Box::new(facts) }).await?;
            }
        }
        Some(())
    }

    /// Wakes every tier's task.
    fn wake_tiers(&self) {
        for signal in self.tiers.values() {
            signal.notify_one();
        }
    }

    /// Wakes the tasks of tiers that wait for a path to prove their signature with.
    fn wake_unproven(&self) {
        for tier in lock(&self.unproven).iter() {
            if let Some(signal) = self.tiers.get(tier) {
                signal.notify_one();
            }
        }
    }

    /// Waits for a request or a time; returns false when everything ends.
    async fn wait(&self, signal: &Notify, delay: Duration) -> bool {
        self.wait_for(signal, delay).await.is_some()
    }

    /// Waits for a request or a time, and returns which it was; nothing when everything ends.
    async fn wait_for(&self, signal: &Notify, delay: Duration) -> Option<Woken> {
        tokio::select! {
            () = self.cancel.cancelled() => None,
            () = signal.notified() => Some(Woken::Request),
            () = tokio::time::sleep_until(on_beat(delay)) => Some(Woken::Time),
        }
    }

    /// Does something unless everything ends meanwhile.
    async fn unless_ended<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            () = self.cancel.cancelled() => None,
            value = work => Some(value),
        }
    }

    /// Sends an event; nothing when nobody receives any more, or everything ends.
    async fn send(&self, mut event: Event) -> Option<()> {
        event.silence(&self.fleet.alarms, Timestamp::now());
        self.unless_ended(self.events.send(event)).await?.ok()
    }

    /// Notes the system that a host runs; returns whether it is another one than before.
    fn note_system(&self, host: &str, toplevel: &StorePath) -> bool {
        let mut systems = lock(&self.systems);
        let system = systems.entry(host.to_owned()).or_default();
        let changed = system.toplevel.as_ref() != Some(toplevel);
        if changed {
            *system = System { toplevel: Some(toplevel.clone()), closure: None };
        }
        changed
    }

    /// Notes the closure of a host's system.
    fn note_closure(&self, host: &str, closure: Closure) {
        let toplevel = Some(closure.root.clone());
        let system = System { toplevel, closure: Some(Arc::new(closure)) };
        lock(&self.systems).insert(host.to_owned(), system);
    }

    /// Returns what is known of all hosts' systems now.
    fn systems(&self) -> BTreeMap<String, System> {
        lock(&self.systems).clone()
    }
}

/// Locks; a panic in another task leaves what is shared usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
