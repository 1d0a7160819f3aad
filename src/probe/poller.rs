//! Asks for ever: a task per host for the quick probe and one for the slow, one per tier, and one
//! for coverage.
//!
//! Every task sends [`Event`]s into one channel and waits when it is full. No task waits for
//! another host's, so a dead host delays nobody.

use crate::fleet::{
    CoverageFacts, Event, Fleet, Host, HostFacts, HostState, SignatureState, StorePath, Tier,
    TierFacts, TierState,
};
use crate::probe::candidates::{Known, candidates};
use crate::probe::clock::chance;
use crate::probe::coverage::{Answers, Asked, measure, union};
use crate::probe::kinds::probe_of;
use crate::probe::memory::Memory;
use crate::probe::schedule::{Target, next_delay, tier_interval};
use crate::probe::store::{self, Closure};
use crate::probe::tier::Tools;
use crate::probe::web::{Web, WebError};
use crate::probe::{host, tier};
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

/// How long a slow probe that failed waits for its next try.
const RETRY_SLOW: Duration = Duration::from_secs(60);

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
    systems: Mutex<BTreeMap<String, System>>,
    answers: Mutex<Answers>,
    /// Tiers whose signature could not be checked for want of a path.
    unproven: Mutex<HashSet<String>>,
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
            systems: Mutex::default(),
            answers: Mutex::default(),
            unproven: Mutex::default(),
            memory: Memory::default(),
        });
        for (index, host) in shared.fleet.hosts.iter().enumerate() {
            let delay = STAGGER.saturating_mul(u32::try_from(index).unwrap_or(u32::MAX));
            tokio::spawn(watch_host(Arc::clone(&shared), host.clone(), delay));
            tokio::spawn(watch_store(Arc::clone(&shared), host.name.clone()));
        }
        for tier in &shared.fleet.tiers {
            tokio::spawn(watch_tier(Arc::clone(&shared), tier.clone()));
        }
        tokio::spawn(watch_coverage(Arc::clone(&shared)));
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

    /// Asks for all probes of a host, slow ones too, and for what tiers did not have before.
    pub fn after_run(&self, host: &str) {
        lock(&self.shared.answers).forget_misses();
        if let Some(bells) = self.shared.hosts.get(host) {
            bells.quick.notify_one();
            bells.slow.notify_one();
        }
        self.shared.ring_tiers();
        self.shared.coverage.notify_one();
    }
}

impl Shared {
    /// Returns what all probes share; an error where HTTP is not to be had.
    fn tools(&self) -> Result<Tools<'_>, &WebError> {
        let web = self.web.as_ref()?;
        let (hands, fleet) = (self.hands.as_ref(), self.fleet.as_ref());
        Ok(Tools { web, hands, fleet, memory: &self.memory })
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
            }
            Err(error) => tracing::debug!(host, %error, "closure"),
        }
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
    let mut facts: Option<TierFacts> = None;
    let mut failures = 0_u32;
    loop {
        let found = shared.unless_ended(ask_tier(&shared, &tier, facts.as_ref())).await?;
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
        facts = Some(found.clone());
        shared.send(Event::Tier { tier: tier.name.clone(), facts: Box::new(found) }).await?;
        if probe_of(tier.kind).is_none() || shared.web.is_err() {
            return None;
        }
        if !shared.wait(bell, next_delay(interval, failures, chance())).await {
            return None;
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
    while shared.wait(&shared.coverage, COVERAGE_INTERVAL).await {
        let systems = shared.systems();
        let asked: Vec<Asked<'_>> = systems
            .iter()
            .filter_map(|(host, system)| Some(Asked { host, closure: system.closure.as_deref()? }))
            .collect();
        if asked.is_empty() {
            continue;
        }
        let work = measure(tools, &asked, &shared.answers);
        let found: BTreeMap<String, CoverageFacts> = shared.unless_ended(work).await?;
        for (host, facts) in found {
            shared.send(Event::Coverage { host, facts }).await?;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::{Answer, FakeHands, Output, Script};
    use std::path::Path;

    const TOP: &str = "/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-top";

    /// Hands whose host `razer` never answers at all, while others do at once.
    struct HalfDead(FakeHands);

    impl HalfDead {
        fn new() -> Self {
            Self(FakeHands::new(|_, script| {
                let stdout = if script.body.contains("path-info --all") {
                    "10\t1000\n".to_owned()
                } else if script.body.contains("--recursive") {
                    format!("root\t{TOP}\n{TOP}\t216\n")
                } else {
                    format!("running\t{TOP}\nend\tok\n")
                };
                Ok(Output { stdout, ..Output::default() })
            }))
        }
    }

    impl Hands for HalfDead {
        fn run<'a>(&'a self, host: &'a str, script: &'a Script) -> Answer<'a, Output> {
            if host == "razer" {
                return Box::pin(std::future::pending());
            }
            self.0.run(host, script)
        }

        fn follow<'a>(
            &'a self,
            host: &'a str,
            script: &'a Script,
            _lines: mpsc::Sender<Vec<u8>>,
        ) -> Answer<'a, Output> {
            self.run(host, script)
        }

        fn address(&self, _host: &str) -> Option<String> {
            None
        }

        fn forget(&self, _host: &str) {}
    }

    /// Starts polling a fleet of a dead razer and a living samsung.
    fn start() -> (Handle, mpsc::Receiver<Event>, CancellationToken) {
        let text = "[hosts.razer]\n[hosts.samsung]\n[[tiers]]\nname = \"ci\"\n\
                    kind = \"github-actions\"\nrepo = \"me/x\"\n";
        let fleet = crate::config::parse(text, Path::new("hosts.toml"), None).unwrap();
        let (sender, receiver) = mpsc::channel(4);
        let cancel = CancellationToken::new();
        let hands = Arc::new(HalfDead::new());
        let handle = Poller::spawn(Arc::new(fleet), hands, sender, cancel.clone());
        (handle, receiver, cancel)
    }

    /// Waits for an event of that kind.
    async fn wait_for(events: &mut mpsc::Receiver<Event>, is: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = events.recv().await.expect("the poller goes on");
            if is(&event) {
                return event;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_host_delays_no_other() {
        let (_handle, mut events, _cancel) = start();
        let is_host = |event: &Event| matches!(event, Event::Host { .. });
        for _ in 0..3 {
            let Event::Host { host, facts } = wait_for(&mut events, is_host).await else {
                continue;
            };
            assert_eq!((host.as_str(), facts.state), ("samsung", HostState::Up));
        }
        wait_for(&mut events, |event| matches!(event, Event::Store { .. })).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_is_followed_by_every_probe_of_its_host() {
        let (handle, mut events, _cancel) = start();
        let is_store =
            |event: &Event| matches!(event, Event::Store { host, .. } if host == "samsung");
        wait_for(&mut events, is_store).await;
        let began = tokio::time::Instant::now();
        handle.after_run("samsung");
        wait_for(&mut events, is_store).await;
        assert!(began.elapsed() < Duration::from_secs(60), "not the next one by itself");
        handle.ask("no such host");
        handle.ask_all();
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_poller_ends() {
        let (handle, mut events, cancel) = start();
        events.recv().await;
        cancel.cancel();
        drop(handle);
        while events.recv().await.is_some() {}
    }
}
