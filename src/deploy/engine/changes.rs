//! What will change on a host, found out before it does: from the store of the host that builds where the
//! new system is there already, else from what Nix would build and fetch.
//!
//! Nothing here fails: what could not be found out is not known, and the plan says so.

use super::step::Step;
use crate::fleet::{ClosurePath, PlannedChanges, StorePath, SystemChanges};
use crate::nix::dry_run::DryRun;
use crate::nix::versions::compare_partially;
use crate::probe::{closure, compare_systems, held_of, restart_reasons, system_parts};
use crate::remote::RemoteError;

/// How many of the names of what must be built are kept for the plan.
const NAMED: usize = 20;

/// What was found out, and which paths must be fetched for it.
#[derive(Default)]
pub(super) struct FoundChanges {
    planned: PlannedChanges,
    added: Vec<ClosurePath>,
}

/// Compares the running system with the new one on the host that builds.
pub(super) async fn of_both(step: &Step) -> FoundChanges {
    on(step, step.host.build_on()).await
}

/// Compares the running system with the new one on a host that may have both.
pub(super) async fn on(step: &Step, host: &str) -> FoundChanges {
    let preflight = &step.known.preflight;
    let (Some(running), Ok(toplevel)) = (&preflight.running, step.toplevel()) else {
        return FoundChanges::default();
    };
    let runner = step.runner.as_ref();
    let started = preflight.booted.as_ref().unwrap_or(running);
    let (compared, before, after) = tokio::join!(
        compare_systems(runner, host, running, toplevel),
        system_parts(runner, &step.host.name, started),
        system_parts(runner, host, toplevel),
    );
    let restart = match (known(before), known(after)) {
        (Some(before), Some(after)) => restart_reasons(&before, &after),
        (Some(_) | None, Some(_) | None) => Vec::new(),
    };
    let (system, added) = match known(compared) {
        Some(compared) => (Some(compared.changes), compared.added),
        None => (None, Vec::new()),
    };
    FoundChanges { planned: PlannedChanges { system, restart, ..PlannedChanges::default() }, added }
}

/// Returns what was found, and nothing where the host could not say.
fn known<T>(asked: Result<Option<T>, RemoteError>) -> Option<T> {
    asked.unwrap_or_else(|error| {
        tracing::debug!(%error, "what changes");
        None
    })
}

/// Adds what Nix would build and fetch; where the new system is not built yet, that is all that is
/// known of it.
pub(super) async fn with_dry_run(
    step: &Step,
    mut found: FoundChanges,
    dry_run: Option<&DryRun>,
) -> PlannedChanges {
    let Some(dry_run) = dry_run else { return with_tiers(step, found).await };
    found.planned.download_bytes = dry_run.download_bytes;
    found.planned.to_build = dry_run.build_names.iter().take(NAMED).cloned().collect();
    if found.planned.system.is_none() && dry_run.to_build > 0 {
        found.planned.system = partial(step, dry_run).await;
    }
    if dry_run.to_fetch > 0 {
        // What the host that builds lacks is what a tier must have.
        let paths = dry_run.fetch.iter().cloned();
        found.added = paths.map(|path| ClosurePath { path, nar_size: 0 }).collect();
    }
    with_tiers(step, found).await
}

/// Adds which tiers hold what must be fetched, where somebody looks at the plan.
pub(super) async fn with_tiers(step: &Step, found: FoundChanges) -> PlannedChanges {
    let FoundChanges { mut planned, added } = found;
    let travels = step.host.route.tier().is_some() || !planned.to_build.is_empty();
    if step.shared.asks
        && travels
        && let Ok(system) = step.toplevel()
    {
        let (fleet, runner) = (&step.shared.fleet, step.runner.as_ref());
        planned.held = held_of(fleet, runner, system, added).await;
    }
    planned
}

/// Compares what runs with what would be built and fetched.
async fn partial(step: &Step, dry_run: &DryRun) -> Option<SystemChanges> {
    let runner = step.runner.as_ref();
    step.known.preflight.running.as_ref()?;
    let running = match closure(runner, &step.host.name).await {
        Ok(running) => running,
        Err(error) => {
            tracing::debug!(%error, "what runs");
            return None;
        }
    };
    let before = running.paths.iter().map(|entry| StorePath::name(&entry.path));
    let fetched = dry_run.fetch.iter().map(StorePath::name);
    let coming = dry_run.build_names.iter().map(String::as_str).chain(fetched);
    Some(compare_partially(before, coming))
}
