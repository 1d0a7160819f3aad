//! Watches what hosts run next: what a run's plan said, or what was built and not deployed yet.
//!
//! Nothing is evaluated here; that takes too long to be done again and again.

use super::coverage::COVERAGE_INTERVAL;
use super::{Shared, lock};
use crate::fleet::{Event, HostResult, NextFacts, Outcome, Plan, StorePath};
use crate::probe::next::{NextSystem, built, measure_next};
use crate::probe::store::Closure;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;

/// How long it is believed what an evaluation said of a host that was not built then.
const PLAN_AGE: SignedDuration = SignedDuration::from_hours(12);

impl Shared {
    /// Notes what a run's plan says of hosts' next systems.
    pub(super) fn note_plan(&self, plan: &Plan, at: Timestamp) {
        let mut planned = lock(&self.planned);
        for host in plan.hosts.iter().filter(|host| !host.unchanged) {
            let wanted = NextSystem {
                host: host.host.clone(),
                build_on: host.build_on().to_owned(),
                toplevel: host.toplevel.clone(),
                drv: host.drv.clone(),
                known_at: at,
            };
            planned.insert(host.host.clone(), wanted);
        }
        self.next.notify_one();
    }

    /// Notes how a host's run ended: what it was deployed with does not come next any more.
    pub(super) fn note_result(&self, host: &str, result: &HostResult) {
        if result.outcome.is_good() || result.outcome == Outcome::Degraded {
            lock(&self.planned).remove(host);
        }
    }

    /// Notes the closure of what a host runs next, or that there is none.
    fn note_next_closure(&self, host: &str, closure: Option<Closure>) {
        let mut closures = lock(&self.next_closures);
        match closure {
            Some(closure) => drop(closures.insert(host.to_owned(), Arc::new(closure))),
            None => drop(closures.remove(host)),
        }
    }

    /// Returns what a host runs next: the newest of what was planned and what was built, unless it
    /// runs already.
    fn next_of(
        &self,
        host: &str,
        built: Option<&NextSystem>,
        running: Option<&StorePath>,
        now: Timestamp,
    ) -> Option<NextSystem> {
        let planned = lock(&self.planned).get(host).cloned();
        let planned = planned.filter(|planned| now < planned.known_at + PLAN_AGE);
        [planned, built.cloned()]
            .into_iter()
            .flatten()
            .filter(|wanted| Some(&wanted.toplevel) != running)
            .max_by_key(|wanted| wanted.known_at)
    }
}

/// Looks at every host's next system when something was planned, built or deployed, and now and
/// then.
pub(super) async fn watch_next(shared: Arc<Shared>) -> Option<()> {
    let tools = shared.tools().ok()?;
    let mut told: HashMap<String, NextFacts> = HashMap::new();
    while shared.wait(&shared.next, COVERAGE_INTERVAL).await {
        // What is measured while a tier is left alone would lack that tier; the run's end rings.
        if tools.fleet.tiers.iter().any(|tier| shared.is_busy(tier)) {
            continue;
        }
        let systems = shared.systems();
        let listed = built(tools.runner, tools.fleet, tools.fleet.hosts.iter());
        let listed = shared.unless_ended(listed).await?;
        for host in tools.fleet.hosts.iter().map(|host| host.name.as_str()) {
            let system = systems.get(host);
            let running = system.and_then(|system| system.toplevel.as_ref());
            let built = listed.get(host).and_then(Option::as_ref);
            let wanted = shared.next_of(host, built, running, Timestamp::now());
            let facts = match wanted {
                Some(wanted) => {
                    let closure = system.and_then(|system| system.closure.as_deref());
                    let rests = |_: &_| false;
                    let work = measure_next(tools, &wanted, closure, &shared.answers, rests);
                    let (facts, closure) = shared.unless_ended(work).await?;
                    shared.note_next_closure(host, closure);
                    facts
                }
                // Whoever builds for it did not say.
                None if !listed.contains_key(host) => continue,
                None => {
                    shared.note_next_closure(host, None);
                    NextFacts::default()
                }
            };
            if told.get(host).unwrap_or(&NextFacts::default()) != &facts {
                told.insert(host.to_owned(), facts.clone());
                let (host, facts) = (host.to_owned(), Box::new(facts));
                shared.send(Event::Next { host, facts }).await?;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::{Handle, Poller, Record};
    use super::*;
    use crate::fleet::{Goal, HostPlan, Route, RunEvent, RunId, RunWhat, Strategy};
    use crate::remote::{FakeRunner, Output};
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    const OLD: &str = "/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-top";
    const NEW: &str = "/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-top";

    /// Starts polling samsung, whose next system p620 has built while the flag says so.
    fn start(is_built: &Arc<AtomicBool>) -> (Handle, mpsc::Receiver<Event>, CancellationToken) {
        let text = "[fleet]\nbuilder = \"p620\"\n[hosts.p620]\n[hosts.samsung]\n";
        let fleet = crate::config::parse(text, Path::new("hosts.toml"), None).unwrap();
        let is_built = Arc::clone(is_built);
        let runner = FakeRunner::new(move |_, script| {
            let built = is_built.load(Ordering::Acquire);
            let stdout = if script.body.contains("gcroots/nixdash") {
                if built { format!("samsung\t{NEW}\t1795248000\tnext\n") } else { String::new() }
            } else if script.body.contains("--check-validity") {
                if built { String::new() } else { format!("{NEW}\n") }
            } else if script.body.contains("--recursive") {
                let root = script.args.first().filter(|path| path.starts_with("/nix"));
                let root = root.map_or(OLD, String::as_str);
                format!("root\t{root}\n{root}\t216\n")
            } else {
                format!("running\t{OLD}\nend\tok\n")
            };
            Ok(Output { stdout, ..Output::default() })
        });
        let (sender, receiver) = mpsc::channel(4);
        let cancel = CancellationToken::new();
        let handle = Poller::spawn(
            Arc::new(fleet),
            Arc::new(runner),
            sender,
            Record::default(),
            cancel.clone(),
        );
        (handle, receiver, cancel)
    }

    /// Waits until something else is told of samsung's next system.
    async fn next(events: &mut mpsc::Receiver<Event>) -> NextFacts {
        loop {
            let event = events.recv().await.expect("the poller goes on");
            if let Event::Next { host, facts } = event {
                assert_eq!(host, "samsung");
                return *facts;
            }
        }
    }

    /// Returns the event of a plan to deploy samsung.
    fn plan() -> RunEvent {
        let host = HostPlan {
            goal: None,
            host: "samsung".to_owned(),
            route: Route::Push { builder: "p620".to_owned() },
            why: None,
            toplevel: StorePath::parse(NEW).unwrap(),
            built_from: None,
            drv: None,
            running: StorePath::parse(OLD).ok(),
            replaces: None,
            profile: None,
            to_build: None,
            to_download: None,
            changes: None,
            generation: None,
            reboots: false,
            wave: None,
            unchanged: false,
            notes: Vec::new(),
            findings: Vec::new(),
        };
        let plan = Plan {
            goal: Goal::Switch,
            strategy: Strategy::ViaCache,
            revision: None,
            source: None,
            findings: Vec::new(),
            hosts: vec![host],
            set_aside: std::collections::BTreeMap::new(),
            waited_for: Vec::new(),
        };
        let what = RunWhat::Plan { plan, waits: true };
        RunEvent { run: RunId("1".to_owned()), at: Timestamp::now(), what }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_built_comes_next_until_it_is_deployed() {
        let is_built = Arc::new(AtomicBool::new(true));
        let (handle, mut events, _cancel) = start(&is_built);
        let facts = next(&mut events).await;
        assert_eq!(facts.toplevel.as_ref().map(StorePath::as_str), Some(NEW));
        assert_eq!((facts.partial, facts.to_build), (false, Some(0)));
        is_built.store(false, Ordering::Release);
        handle.after_run("samsung");
        assert_eq!(next(&mut events).await, NextFacts::default());
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_plan_says_comes_next_and_is_partial_until_it_is_built() {
        let is_built = Arc::new(AtomicBool::new(false));
        let (handle, mut events, _cancel) = start(&is_built);
        handle.note_run(&plan());
        let facts = next(&mut events).await;
        assert_eq!(facts.toplevel.as_ref().map(StorePath::as_str), Some(NEW));
        assert_eq!((facts.partial, facts.to_build), (true, None));
        is_built.store(true, Ordering::Release);
        handle.after_run("samsung");
        assert!(!next(&mut events).await.partial);
    }
}
