//! How what hosts run stands to what the flake says now, counted with git on this machine.

use crate::dash::Msg;
use crate::deploy::{flake_ancestry, flake_revision};
use crate::fleet::{Ancestry, DeployedFrom, Event, Fleet, HostFacts, RunWhat};
use crate::probe::on_beat;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// How often the flake is looked at.
const EVERY: Duration = Duration::from_secs(10);

/// Counts for every host by how many commits it is behind; nothing is said where that is not known.
pub(super) async fn count(fleet: &Fleet, hosts: &mut [(String, HostFacts)]) {
    let Some(flake) = &fleet.flake else { return };
    let mut known: BTreeMap<String, Option<Ancestry>> = BTreeMap::new();
    for (_, facts) in hosts {
        let Some(deploys) = facts.upkeep.as_mut().map(|upkeep| &mut upkeep.deploys) else {
            continue;
        };
        let Some(from) = &deploys.built_from else { continue };
        let commit = from.commit().to_owned();
        if !known.contains_key(&commit) {
            let counted = flake_ancestry(flake, from).await;
            known.insert(commit.clone(), counted);
        }
        deploys.ancestry = known.get(&commit).copied().flatten();
    }
}

/// The revisions that hosts of a fleet run and that runs deploy, as far as they were seen.
#[derive(Clone, Default)]
pub(super) struct SeenRevisions(Arc<Mutex<BTreeMap<String, DeployedFrom>>>);

impl SeenRevisions {
    /// Takes what an event says of a host or a run.
    pub(super) fn see(&self, event: &Event) {
        if let Some(from) = revision_in(event) {
            let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            seen.entry(from.commit().to_owned()).or_insert(from);
        }
    }

    /// Returns them.
    fn all(&self) -> BTreeMap<String, DeployedFrom> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Returns the revision that an event tells of: what a host runs, or what a run deploys.
fn revision_in(event: &Event) -> Option<DeployedFrom> {
    match event {
        Event::Host { facts, .. } => facts.upkeep.as_ref()?.deploys.built_from.clone(),
        Event::Run(run) => {
            let RunWhat::Plan { plan, .. } = &run.what else { return None };
            DeployedFrom::parse(plan.revision.as_deref()?)
        }
        Event::Asking { .. }
        | Event::Store { .. }
        | Event::Coverage { .. }
        | Event::Next { .. }
        | Event::Tier { .. } => None,
    }
}

/// Tells the flake's revision, and by how many commits hosts are behind, when one of them has changed.
pub(super) async fn watch(flake: String, seen: SeenRevisions, messages: mpsc::Sender<Msg>) {
    let (mut told, mut counted) = (None, BTreeMap::new());
    loop {
        let revision = flake_revision(&flake).await;
        let moved = told.as_ref() != Some(&revision);
        if moved {
            if messages.send(Msg::Revision(revision.clone())).await.is_err() {
                return;
            }
            told = Some(revision);
        }
        let all = seen.all();
        if moved || all.keys().any(|commit| !counted.contains_key(commit)) {
            counted.clear();
            for (commit, from) in all {
                counted.insert(commit, flake_ancestry(&flake, &from).await);
            }
            if messages.send(Msg::Ancestries(counted.clone())).await.is_err() {
                return;
            }
        }
        tokio::time::sleep_until(on_beat(EVERY)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Goal, Plan, RunEvent, RunId, Strategy};
    use jiff::Timestamp;

    #[test]
    fn what_a_run_deploys_is_counted_like_what_hosts_run_and_no_other_text_reaches_git() {
        let plan = |revision: &str| {
            let plan = Plan {
                goal: Goal::Switch,
                strategy: Strategy::ViaCache,
                revision: Some(revision.to_owned()),
                source: None,
                findings: Vec::new(),
                hosts: Vec::new(),
                set_aside: BTreeMap::new(),
            };
            let what = RunWhat::Plan { plan, waits: false };
            Event::Run(RunEvent { run: RunId("1".to_owned()), at: Timestamp::UNIX_EPOCH, what })
        };
        let seen = SeenRevisions::default();
        seen.see(&plan("3f2c1ab09d8e-dirty"));
        seen.see(&plan("--upload-pack=evil"));
        assert_eq!(seen.all().into_keys().collect::<Vec<_>>(), ["3f2c1ab09d8e"]);
    }
}
