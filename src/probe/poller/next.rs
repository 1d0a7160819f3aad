//! Watches what hosts run next: what a run's plan said, or what was built and not deployed yet.
//!
//! Nothing is evaluated here; that takes too long to be done again and again.

use super::{COVERAGE_INTERVAL, Shared, lock};
use crate::fleet::{Event, HostResult, NextFacts, Outcome, Plan, StorePath};
use crate::probe::next::{Wanted, built, measure_next};
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
            let wanted = Wanted {
                host: host.host.clone(),
                build_on: host.build_on.clone(),
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

    /// Returns what a host runs next: the newest of what was planned and what was built, unless it
    /// runs already.
    fn next_of(
        &self,
        host: &str,
        built: Option<&Wanted>,
        running: Option<&StorePath>,
        now: Timestamp,
    ) -> Option<Wanted> {
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
        let listed = built(tools.hands, tools.fleet, tools.fleet.hosts.iter());
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
                    shared.unless_ended(work).await?
                }
                // Whoever builds for it did not say.
                None if !listed.contains_key(host) => continue,
                None => NextFacts::default(),
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
