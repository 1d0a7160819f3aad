//! Asks a host again and again.

use crate::fleet::{Event, Host, HostFacts, HostState};
use crate::probe::clock::chance;
use crate::probe::host;
use crate::probe::poller::Shared;
use crate::probe::schedule::{Target, next_delay};
use std::sync::Arc;
use std::time::Duration;

/// Asks a host again and again; returns when everything ends.
pub(super) async fn watch_host(shared: Arc<Shared>, host: Host, first: Duration) -> Option<()> {
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
