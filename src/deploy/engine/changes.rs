//! What changes on a host: found out before it does, from the store of the host that builds where the new
//! system is there already, else from what Nix would build and fetch and what is there already of what that
//! needs; and told when it is to be activated.
//!
//! Nothing here fails: what could not be found out is not known, and the plan says so.

use super::lost::lost;
use super::step::Step;
use super::supervised::activated_specialisation;
use super::wake;
use crate::fleet::words::changes as words;
use crate::fleet::{
    ClosurePath, PlannedChanges, RefusedPaths, StorePath, SystemChanges, printable_line,
};
use crate::nix::dry_run::DryRun;
use crate::nix::versions::compare_partially;
use crate::probe::{
    ComparedSystems, SystemParts, closure, compare_systems, held_of, parts_of_derivation,
    restart_reasons, specialisations_of_derivation,
};
use std::collections::BTreeSet;

/// How many of the names of what must be built are kept for the plan.
const NAMED: usize = 20;

/// What the host that builds has already of a system that is not built yet, and what the system's derivation says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct UnbuiltSystem {
    /// The names of paths that are there and that the system may be made of.
    there: Vec<String>,
    /// What only a restart replaces of it.
    parts: SystemParts,
    /// The names of its specialisations; none where they are not known.
    specialisations: Option<BTreeSet<String>>,
}

impl UnbuiltSystem {
    /// Reads it from what `compare.sh` printed.
    pub(super) fn read(text: &str) -> Self {
        let mut found = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once('\t')) {
            match key {
                "there" => found.there.push(printable_line(value)),
                "derivation" => {
                    found.parts = parts_of_derivation(value);
                    found.specialisations = specialisations_of_derivation(value);
                }
                _ => {}
            }
        }
        found
    }
}

/// What was found out, and which paths must be fetched for it.
#[derive(Default)]
pub(super) struct FoundChanges {
    planned: PlannedChanges,
    added: Vec<ClosurePath>,
    /// The names of the specialisations of the new system; none where they are not known.
    specialisations: Option<BTreeSet<String>>,
}

impl FoundChanges {
    /// Returns the name of the specialisation that is to be activated and that the new system lacks; nothing where it
    /// has that, or nobody knows.
    pub(super) fn lacks(&self, step: &Step, unbuilt: &UnbuiltSystem) -> Option<String> {
        let name = activated_specialisation(step)?;
        let has = self.specialisations.as_ref().or(unbuilt.specialisations.as_ref())?;
        (!has.contains(name)).then(|| name.to_owned())
    }
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
    let ask = || compare_systems(step.runner.as_ref(), host, running, toplevel);
    let asked = match ask().await {
        Err(error) if wake::after(step, host, &lost(&error)).await => ask().await,
        asked => asked,
    };
    let compared = asked.unwrap_or_else(|error| {
        tracing::debug!(%error, "what changes");
        ComparedSystems::default()
    });
    let restart = restart_reasons(&preflight.started, &compared.after);
    let (system, added) = match compared.paths {
        Some(compared) => (Some(compared.changes), compared.added),
        None => (None, Vec::new()),
    };
    let planned = PlannedChanges { system, restart, ..PlannedChanges::default() };
    FoundChanges { planned, added, specialisations: compared.specialisations }
}

/// Logs what differs from the running system: as it was found out before, or else as the target finds it, which
/// has both by now. A target that cannot say is no failure.
pub(super) async fn tell(step: &Step) {
    let (Some(running), Ok(toplevel)) = (&step.known.preflight.running, step.toplevel()) else {
        return;
    };
    if running == toplevel {
        return step.log("the running system is the same").await;
    }
    let known = step.known.changes.as_ref().and_then(|changes| changes.system.as_ref());
    let changes = if let Some(whole) = known.filter(|changes| !changes.partial) {
        whole.clone()
    } else {
        match compare_systems(step.runner.as_ref(), &step.host.name, running, toplevel).await {
            Ok(compared) => compared.paths.unwrap_or_default().changes,
            Err(error) => {
                return step.log(&format!("what changes is not known: {error}")).await;
            }
        }
    };
    for line in words::package_lines(&changes) {
        step.log(&line).await;
    }
    step.log(&words::summary(&changes)).await;
}

/// Adds what Nix would build and fetch; where the new system is not there yet, this and what is there of it
/// already is all that is known.
pub(super) async fn with_dry_run(
    step: &Step,
    mut found: FoundChanges,
    dry_run: Option<&DryRun>,
    unbuilt: &UnbuiltSystem,
) -> PlannedChanges {
    let Some(dry_run) = dry_run else { return with_tiers(step, found).await };
    found.planned.download_bytes = dry_run.download_bytes;
    found.planned.to_build = dry_run.build_names().take(NAMED).map(str::to_owned).collect();
    let count = dry_run.refused.len() as u64;
    // Only where no cache is asked: what is refused then is what the builder has.
    let builder = step.config().ok().and_then(|host| step.shared.fleet.builder_of(host));
    found.planned.refused =
        builder.filter(|_| count > 0).map(|on| RefusedPaths { count, on: on.to_owned() });
    if found.planned.system.is_none() && dry_run.to_build + dry_run.to_fetch > 0 {
        found.planned.restart = restart_reasons(&step.known.preflight.started, &unbuilt.parts);
        found.planned.system = partial(step, dry_run, unbuilt).await;
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
    let FoundChanges { mut planned, added, specialisations: _ } = found;
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

/// Compares what runs with what would be built and fetched, and what is there already of what that needs.
async fn partial(step: &Step, dry_run: &DryRun, unbuilt: &UnbuiltSystem) -> Option<SystemChanges> {
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
    let there = unbuilt.there.iter().map(String::as_str);
    let coming = dry_run.build_names().chain(fetched).chain(there);
    Some(compare_partially(before, coming))
}
