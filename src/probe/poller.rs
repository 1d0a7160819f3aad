//! Asks for ever: a task per host for the quick probe and one for the slow, one per tier, and one
//! for coverage.
//!
//! Every task sends [`Event`]s into one channel and waits when it is full. No task waits for
//! another host's, so a dead host delays nobody.

use crate::fleet::{
    CoverageFacts, Event, Fleet, Host, HostFacts, HostState, Phase, PhaseState, RunEvent, RunId,
    RunWhat, SignatureState, StorePath, Tier, TierFacts, TierKind, TierState,
};
use crate::probe::candidates::{Known, candidates};
use crate::probe::clock::chance;
use crate::probe::coverage::{Answers, Asked, measure_unless, union};
use crate::probe::kinds::probe_of;
use crate::probe::kinds::proof::CANARY_FAILED;
use crate::probe::memory::Memory;
use crate::probe::next::Wanted;
use crate::probe::schedule::{Target, next_delay, tier_interval};
use crate::probe::store::{self, Closure};
use crate::probe::tier::Tools;
use crate::probe::web::{Web, WebError};
use crate::probe::{host, on_host, tier};
use crate::remote::Hands;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

/// Time between the first probes of two hosts, so that not all connect at the same instant.
const STAGGER: Duration = Duration::from_millis(40);

/// How often coverage is measured again when nothing happened; as long as misses are believed.
const COVERAGE_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// How often it is looked whether a tier may be asked again that a run fetches from.
const CALM: Duration = Duration::from_secs(1);

/// How often a tier's size is measured where that takes long.
const SIZE_INTERVAL: Duration = Duration::from_secs(20 * 60);

/// How long that may take.
const SIZE_LIMIT: Duration = Duration::from_secs(5 * 60);

/// How long a slow probe that failed waits for its next try.
const RETRY_SLOW: Duration = Duration::from_secs(60);

mod next;

/// Starts polling; see [`Poller::spawn`].
pub struct Poller;

/// Asks the poller for a probe now; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// What wakes the tasks of a host before their time.
#[derive(Default)]
struct Bells {
    quick: Notify,
    slow: Notify,
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
    hands: Arc<dyn Hands>,
    web: Result<Web, WebError>,
    events: mpsc::Sender<Event>,
    cancel: CancellationToken,
    hosts: HashMap<String, Bells>,
    tiers: HashMap<String, Notify>,
    coverage: Notify,
    next: Notify,
    /// What runs' plans said of hosts' next systems.
    planned: Mutex<HashMap<String, Wanted>>,
    systems: Mutex<BTreeMap<String, System>>,
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
        hands: Arc<dyn Hands>,
        events: mpsc::Sender<Event>,
        cancel: CancellationToken,
    ) -> Handle {
        let hosts = fleet.hosts.iter().map(|host| (host.name.clone(), Bells::default()));
        let tiers = fleet.tiers.iter().map(|tier| (tier.name.clone(), Notify::new()));
        let shared = Arc::new(Shared {
            hosts: hosts.collect(),
            tiers: tiers.collect(),
            fleet,
            hands,
            web: Web::new(),
            events,
            cancel,
            coverage: Notify::new(),
            next: Notify::new(),
            planned: Mutex::default(),
            systems: Mutex::default(),
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
        tokio::spawn(watch_coverage(Arc::clone(&shared)));
        tokio::spawn(next::watch_next(Arc::clone(&shared)));
        Handle { shared }
    }
}

impl Handle {
    /// Asks for a quick probe of a host now.
    pub fn ask(&self, host: &str) {
        if let Some(bells) = self.shared.hosts.get(host) {
            bells.quick.notify_one();
        }
    }

    /// Asks for a probe of a tier now.
    pub fn ask_tier(&self, tier: &str) {
        if let Some(bell) = self.shared.tiers.get(tier) {
            bell.notify_one();
        }
    }

    /// Asks for every quick probe of hosts and every probe of tiers now.
    pub fn ask_all(&self) {
        for bells in self.shared.hosts.values() {
            bells.quick.notify_one();
        }
        self.shared.ring_tiers();
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
            | RunWhat::Waiting { .. } => {}
        }
    }

    /// Notes that the process of a run is gone.
    pub fn note_run_gone(&self, gone: &RunId) {
        lock(&self.shared.fetching).retain(|(run, _)| run != gone);
    }

    /// Returns the HTTP client that all probes share, which counts their requests.
    pub fn web(&self) -> Option<&Web> {
        self.shared.web.as_ref().ok()
    }

    /// Asks for all probes of a host, slow ones too, and for what tiers did not have before.
    pub fn after_run(&self, host: &str) {
        lock(&self.shared.answers).forget_misses();
        if let Some(bells) = self.shared.hosts.get(host) {
            bells.quick.notify_one();
            bells.slow.notify_one();
        }
        self.shared.ring_tiers();
        self.shared.coverage.notify_one();
        self.shared.next.notify_one();
    }
}

impl Shared {
    /// Returns what all probes share; an error where HTTP is not to be had.
    fn tools(&self) -> Result<Tools<'_>, &WebError> {
        let web = self.web.as_ref()?;
        let (hands, fleet) = (self.hands.as_ref(), self.fleet.as_ref());
        Ok(Tools { web, hands, fleet, memory: &self.memory })
    }

    /// Returns whether a tier is left alone because a run fetches from it.
    fn is_busy(&self, tier: &Tier) -> bool {
        tier.kind == TierKind::NixServe && !lock(&self.fetching).is_empty()
    }

    /// Waits until a tier may be asked: no run fetches from it, and it does not want to be left
    /// alone. Returns false when everything ends.
    async fn wait_for_calm(&self, tier: &Tier) -> bool {
        loop {
            let rest = self.web.as_ref().ok().and_then(|web| web.rest_of(tier));
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
        let Ok(tools) = self.tools() else { return Some(()) };
        let look = on_host::look(self.hands.as_ref(), host, Timestamp::now());
        self.memory.put_view(host, self.unless_ended(look).await?);
        for tier in &self.fleet.tiers {
            let changed = {
                let mut found = lock(&self.found);
                found.get_mut(&tier.name).and_then(|last| {
                    let facts = tier::resettle(tools, last, tier, Timestamp::now())?;
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
    fn ring_tiers(&self) {
        for bell in self.tiers.values() {
            bell.notify_one();
        }
    }

    /// Wakes the tasks of tiers that wait for a path to prove their signature with.
    fn ring_unproven(&self) {
        for tier in lock(&self.unproven).iter() {
            if let Some(bell) = self.tiers.get(tier) {
                bell.notify_one();
            }
        }
    }

    /// Waits for a bell or a time; returns false when everything ends.
    async fn wait(&self, bell: &Notify, delay: Duration) -> bool {
        tokio::select! {
            () = self.cancel.cancelled() => false,
            () = bell.notified() => true,
            () = tokio::time::sleep(delay) => true,
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
    async fn send(&self, event: Event) -> Option<()> {
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

/// Asks a host again and again; returns when everything ends.
async fn watch_host(shared: Arc<Shared>, host: Host, first: Duration) -> Option<()> {
    let bells = shared.hosts.get(&host.name)?;
    let mut facts: Option<HostFacts> = None;
    let mut failures = 0_u32;
    let mut delay = first;
    while shared.wait(&bells.quick, delay).await {
        shared.send(Event::Asking { host: host.name.clone() }).await?;
        let probe = host::probe(shared.hands.as_ref(), &host, facts.as_ref());
        let found = shared.unless_ended(probe).await?;
        let answered = matches!(found.state, HostState::Up | HostState::Degraded);
        failures = if answered { 0 } else { failures.saturating_add(1) };
        if answered
            && let Some(toplevel) = &found.system.running
            && shared.note_system(&host.name, toplevel)
        {
            bells.slow.notify_one();
        }
        facts = Some(found.clone());
        shared.send(Event::Host { host: host.name.clone(), facts: Box::new(found) }).await?;
        delay = next_delay(Target::Host.interval(), failures, chance());
    }
    None
}

/// Counts a host's store and lists its closure, first when the host answers, then seldom.
async fn watch_store(shared: Arc<Shared>, host: String) -> Option<()> {
    let bells = shared.hosts.get(&host)?;
    let mut delay = Target::Store.interval();
    while shared.wait(&bells.slow, delay).await {
        // A host that was never reached has no store to count.
        if !lock(&shared.systems).contains_key(&host) {
            continue;
        }
        let hands = shared.hands.as_ref();
        let closure = shared.unless_ended(store::closure(hands, &host)).await?;
        let mut failed = closure.is_err();
        match closure {
            Ok(closure) => {
                shared.note_closure(&host, closure);
                shared.ring_unproven();
                shared.coverage.notify_one();
                shared.next.notify_one();
            }
            Err(error) => tracing::debug!(host, %error, "closure"),
        }
        shared.look_at_host(&host).await?;
        match shared.unless_ended(store::count(hands, &host)).await? {
            Ok(facts) => shared.send(Event::Store { host: host.clone(), facts }).await?,
            Err(error) => {
                tracing::debug!(host, %error, "store");
                failed = true;
            }
        }
        delay = if failed { RETRY_SLOW } else { next_delay(Target::Store.interval(), 0, chance()) };
    }
    None
}

/// Asks a tier again and again; one of a kind that is not probed says so once.
async fn watch_tier(shared: Arc<Shared>, tier: Tier) -> Option<()> {
    let bell = shared.tiers.get(&tier.name)?;
    let interval = tier_interval(&tier);
    let mut failures = 0_u32;
    while shared.wait_for_calm(&tier).await {
        let previous = lock(&shared.found).get(&tier.name).cloned();
        let found = shared.unless_ended(ask_tier(&shared, &tier, previous.as_ref())).await?;
        failures = match found.state {
            TierState::Down | TierState::Degraded | TierState::Proxy => failures.saturating_add(1),
            TierState::Up
            | TierState::Slow
            | TierState::Unauthorized
            | TierState::Untrusted
            | TierState::NarMissing
            | TierState::WrongStore
            | TierState::Unknown => 0,
        };
        // Without a key there is nothing to prove, whatever paths become known.
        if tier.public_key.is_some()
            && found.state == TierState::Up
            && found.signature == SignatureState::Unchecked
        {
            lock(&shared.unproven).insert(tier.name.clone());
        } else {
            lock(&shared.unproven).remove(&tier.name);
        }
        if shared.memory.take::<bool>(&tier, CANARY_FAILED).is_some() {
            lock(&shared.answers).forget_tier(&tier.name);
            shared.coverage.notify_one();
        }
        lock(&shared.found).insert(tier.name.clone(), found.clone());
        shared.send(Event::Tier { tier: tier.name.clone(), facts: Box::new(found) }).await?;
        if probe_of(tier.kind).is_none() || shared.web.is_err() {
            return None;
        }
        if !shared.wait(bell, next_delay(interval, failures, chance())).await {
            return None;
        }
    }
    None
}

/// Measures how big a tier is, on a slow timer, once it has answered.
async fn watch_size(shared: Arc<Shared>, tier: Tier) -> Option<()> {
    let probe = probe_of(tier.kind)?;
    let tools = shared.tools().ok()?;
    let mut delay = STAGGER;
    loop {
        shared.unless_ended(tokio::time::sleep(delay)).await?;
        let answers = |facts: &TierFacts| {
            !matches!(facts.state, TierState::Down | TierState::Proxy | TierState::Unknown)
        };
        let ready = lock(&shared.found).get(&tier.name).is_some_and(answers);
        if !ready || tools.web.rest_of(&tier).is_some() || tools.web.budget_spent(&tier).is_some() {
            delay = Target::LanTier.interval();
            continue;
        }
        let systems = shared.systems();
        let closures = union(systems.values().filter_map(|system| system.closure.as_deref()));
        let asking = tools.asking(&tier, &[], &closures, Timestamp::now());
        let work = tokio::time::timeout(SIZE_LIMIT, probe.size(&asking));
        delay = SIZE_INTERVAL;
        let size = match shared.unless_ended(work).await? {
            Ok(Ok(Some(size))) => size,
            // Its kind has no size, or tells it with every probe.
            Ok(Ok(None)) => continue,
            Ok(Err(error)) => {
                tracing::debug!(tier = tier.name, %error, "size");
                continue;
            }
            Err(_) => {
                tracing::debug!(tier = tier.name, "its size took too long");
                continue;
            }
        };
        let facts = lock(&shared.found).get_mut(&tier.name).map(|facts| {
            facts.size = Some(size);
            facts.clone()
        });
        if let Some(facts) = facts {
            shared.send(Event::Tier { tier: tier.name.clone(), facts: Box::new(facts) }).await?;
        }
    }
}

/// Asks a tier once, with paths that are known now.
async fn ask_tier(shared: &Shared, tier: &Tier, previous: Option<&TierFacts>) -> TierFacts {
    let tools = match shared.tools() {
        Ok(tools) => tools,
        Err(error) => {
            return TierFacts { error: Some(error.to_string()), ..TierFacts::default() };
        }
    };
    let systems = shared.systems();
    let known: Vec<Known<'_>> = systems
        .iter()
        .map(|(host, system)| Known {
            host,
            toplevel: system.toplevel.as_ref(),
            closure: system.closure.as_deref(),
        })
        .collect();
    let now = Timestamp::now();
    let paths = {
        let answers = lock(&shared.answers);
        candidates(tier, &known, |path| answers.get(&tier.name, path, now) == Some(true))
    };
    let closures = union(systems.values().filter_map(|system| system.closure.as_deref()));
    tier::probe(&tools.asking(tier, &paths, &closures, now), previous).await
}

/// Measures coverage of every known closure when one changed, and now and then.
async fn watch_coverage(shared: Arc<Shared>) -> Option<()> {
    let tools = shared.tools().ok()?;
    let mut last: BTreeMap<String, CoverageFacts> = BTreeMap::new();
    while shared.wait(&shared.coverage, COVERAGE_INTERVAL).await {
        let systems = shared.systems();
        let asked: Vec<Asked<'_>> = systems
            .iter()
            .filter_map(|(host, system)| Some(Asked { host, closure: system.closure.as_deref()? }))
            .collect();
        if asked.is_empty() {
            continue;
        }
        let work = measure_unless(tools, &asked, &shared.answers, |tier| shared.is_busy(tier));
        let found: BTreeMap<String, CoverageFacts> = shared.unless_ended(work).await?;
        for (host, mut facts) in found {
            for tier in tools.fleet.tiers.iter().filter(|tier| shared.is_busy(tier)) {
                keep_coverage(&mut facts, last.get(&host), &tier.name);
            }
            last.insert(host.clone(), facts.clone());
            shared.send(Event::Coverage { host, facts }).await?;
        }
    }
    None
}

/// Keeps what is known of a tier that may not be asked now, with its age, when it is about the same
/// system.
fn keep_coverage(facts: &mut CoverageFacts, last: Option<&CoverageFacts>, tier: &str) {
    let Some(last) = last.filter(|last| last.toplevel == facts.toplevel) else { return };
    if let Some(coverage) = last.tiers.get(tier) {
        facts.tiers.entry(tier.to_owned()).or_insert(*coverage);
    }
    if let Some(missing) = last.missing.get(tier) {
        facts.missing.entry(tier.to_owned()).or_insert_with(|| missing.clone());
    }
}

#[cfg(test)]
mod tests;
