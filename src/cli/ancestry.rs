//! How what hosts run stands to what the flake says now, counted with git on this machine.

use crate::dash::Msg;
use crate::deploy::{flake_ancestry, flake_revision};
use crate::fleet::{Ancestry, DeployedFrom, Event, Fleet, HostFacts};
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

/// The revisions that hosts of a fleet run, as far as they were seen.
#[derive(Clone, Default)]
pub(super) struct SeenRevisions(Arc<Mutex<BTreeMap<String, DeployedFrom>>>);

impl SeenRevisions {
    /// Takes what an event says of a host.
    pub(super) fn see(&self, event: &Event) {
        let Event::Host { facts, .. } = event else { return };
        let from = facts.upkeep.as_ref().and_then(|upkeep| upkeep.deploys.built_from.as_ref());
        if let Some(from) = from {
            let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            seen.entry(from.commit().to_owned()).or_insert_with(|| from.clone());
        }
    }

    /// Returns them.
    fn all(&self) -> BTreeMap<String, DeployedFrom> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
        tokio::time::sleep(EVERY).await;
    }
}
