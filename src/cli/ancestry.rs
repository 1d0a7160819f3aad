//! How what hosts run stands to what the flake says now, counted with git on this machine.

use crate::dash::Msg;
use crate::deploy::{flake_ancestry, flake_revision};
use crate::fleet::{Ancestry, DeployedFrom, Event, Fleet, HostFacts, RunWhat};
use crate::probe::on_beat;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// How often the flake is looked at.
const EVERY: Duration = Duration::from_secs(10);

/// Counts for every host by how many commits of its flake it is behind; nothing is said where that is not
/// known.
pub(super) async fn count(fleet: &Fleet, hosts: &mut [(String, HostFacts)]) {
    let mut known: BTreeMap<(String, String), Option<Ancestry>> = BTreeMap::new();
    for (host, facts) in hosts {
        let Some(flake) = flake_of(fleet, host) else { continue };
        let Some(deploys) = facts.upkeep.as_mut().map(|upkeep| &mut upkeep.deploys) else {
            continue;
        };
        let Some(from) = &deploys.built_from else { continue };
        let key = (flake.to_owned(), from.commit().to_owned());
        if !known.contains_key(&key) {
            let counted = flake_ancestry(flake, from).await;
            known.insert(key.clone(), counted);
        }
        deploys.ancestry = known.get(&key).copied().flatten();
    }
}

/// Returns the flake that the configuration of a host is in.
fn flake_of<'a>(fleet: &'a Fleet, host: &str) -> Option<&'a str> {
    fleet.flake_of(fleet.host(host)?)
}

/// A revision that a host runs or a run deploys, and the flake that it is counted in.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SeenRevision {
    from: DeployedFrom,
    flake: String,
}

/// The revisions that hosts of a fleet run and that runs deploy, as far as they were seen.
#[derive(Clone)]
pub(super) struct SeenRevisions {
    fleet: Arc<Fleet>,
    /// By flake and commit: a commit may be in several flakes, and each has its own newest one.
    seen: Arc<Mutex<BTreeMap<(String, String), SeenRevision>>>,
}

impl SeenRevisions {
    /// Has seen nothing of a fleet yet.
    pub(super) fn of(fleet: Arc<Fleet>) -> Self {
        Self { fleet, seen: Arc::default() }
    }

    /// Takes what an event says of a host or a run.
    pub(super) fn see(&self, event: &Event) {
        let all = revisions_in(&self.fleet, event);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for one in all {
            seen.entry((one.flake.clone(), one.from.commit().to_owned())).or_insert(one);
        }
    }

    /// Returns them.
    fn all(&self) -> BTreeMap<(String, String), SeenRevision> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Returns the revisions that an event tells of: what a host runs, or what a run deploys.
fn revisions_in(fleet: &Fleet, event: &Event) -> Vec<SeenRevision> {
    let of = |from: Option<DeployedFrom>, flake: Option<&str>| {
        let (from, flake) = from.zip(flake)?;
        Some(SeenRevision { from, flake: flake.to_owned() })
    };
    match event {
        Event::Host { host, facts } => {
            let deploys = facts.upkeep.as_ref().map(|upkeep| &upkeep.deploys);
            let from = deploys.and_then(|deploys| deploys.built_from.clone());
            of(from, flake_of(fleet, host)).into_iter().collect()
        }
        Event::Run(run) => {
            let RunWhat::Plan { plan, .. } = &run.what else { return Vec::new() };
            let hosts = plan.hosts.iter();
            let of_hosts = hosts.map(|host| {
                of(
                    host.built_from.as_ref().and_then(DeployedFrom::checked),
                    flake_of(fleet, &host.host),
                )
            });
            // As the plan names it, which is shorter than what its hosts say.
            let of_plan = plan.revision.as_deref().and_then(DeployedFrom::parse);
            of_hosts.chain([of(of_plan, fleet.flake_of_plan(plan))]).flatten().collect()
        }
        Event::Asking { .. }
        | Event::Store { .. }
        | Event::Coverage { .. }
        | Event::Next { .. }
        | Event::Tier { .. } => Vec::new(),
    }
}

/// Tells the revision of the fleet's flake, and by how many commits hosts are behind their flakes, when one of
/// them has changed.
pub(super) async fn watch(flake: Option<String>, seen: SeenRevisions, messages: mpsc::Sender<Msg>) {
    let (mut told, mut counted) = (None, BTreeMap::new());
    let mut were_at = BTreeMap::new();
    loop {
        let all = seen.all();
        let flakes = all.values().map(|one| &one.flake).chain(&flake);
        let flakes: BTreeSet<String> = flakes.cloned().collect();
        let mut are_at = BTreeMap::new();
        for flake in flakes {
            let revision = flake_revision(&flake).await;
            are_at.insert(flake, revision);
        }
        let own = flake.as_ref().map(|flake| are_at.get(flake).cloned().flatten());
        if let Some(revision) = own.filter(|revision| told.as_ref() != Some(revision)) {
            if messages.send(Msg::Revision(revision.clone())).await.is_err() {
                return;
            }
            told = Some(revision);
        }
        if were_at != are_at || all.keys().any(|key| !counted.contains_key(key)) {
            counted.clear();
            for (key, one) in all {
                counted.insert(key, flake_ancestry(&one.flake, &one.from).await);
            }
            if messages.send(Msg::Ancestries(counted.clone())).await.is_err() {
                return;
            }
            were_at = are_at;
        }
        tokio::time::sleep_until(on_beat(EVERY)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{
        BootChoice, DeployFacts, Goal, Plan, RunEvent, RunId, Strategy, UpkeepFacts,
    };
    use jiff::Timestamp;

    /// Returns a fleet with a flake; `lines` stand in the table of its host samsung.
    fn fleet(lines: &str) -> Fleet {
        let text = format!("[fleet]\nflake = \"/home/me/fleet\"\n[hosts.samsung]\n{lines}\n");
        crate::config::parse(&text, std::path::Path::new("hosts.toml"), None).unwrap()
    }

    /// Returns what a host says that runs what was built from a revision.
    fn runs_from(host: &str, revision: &str) -> Event {
        let mut facts = HostFacts::default();
        let from = DeployedFrom::parse(revision);
        facts.upkeep = Some(UpkeepFacts {
            boot: BootChoice { system: None, pinned: None },
            running_generation: None,
            deploys: DeployFacts { built_from: from, ..DeployFacts::default() },
            roots: Vec::new(),
            systems: [None, None],
            switching: false,
            measured_at: Timestamp::UNIX_EPOCH,
        });
        Event::Host { host: host.to_owned(), facts: Box::new(facts) }
    }

    #[test]
    fn what_a_host_with_a_flake_of_its_own_runs_is_counted_in_that_flake() {
        let event = runs_from("samsung", "3f2c1ab09d8e");
        for (lines, flake) in
            [("", "/home/me/fleet"), ("flake = \"/home/me/laptop\"", "/home/me/laptop")]
        {
            let seen = SeenRevisions::of(Arc::new(fleet(lines)));
            seen.see(&event);
            let seen: Vec<_> = seen.all().into_keys().collect();
            assert_eq!(seen, [(flake.to_owned(), "3f2c1ab09d8e".to_owned())]);
        }
    }

    #[test]
    fn a_commit_that_is_in_two_flakes_is_counted_in_each() {
        let lines = "flake = \"/home/me/laptop\"\n[hosts.razer]";
        let seen = SeenRevisions::of(Arc::new(fleet(lines)));
        for host in ["samsung", "razer"] {
            seen.see(&runs_from(host, "3f2c1ab09d8e"));
        }
        let flakes: Vec<String> = seen.all().into_keys().map(|(flake, _)| flake).collect();
        assert_eq!(flakes, ["/home/me/fleet", "/home/me/laptop"]);
    }

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
                waited_for: Vec::new(),
            };
            let what = RunWhat::Plan { plan, waits: false };
            Event::Run(RunEvent { run: RunId("1".to_owned()), at: Timestamp::UNIX_EPOCH, what })
        };
        let seen = SeenRevisions::of(Arc::new(fleet("")));
        seen.see(&plan("3f2c1ab09d8e-dirty"));
        seen.see(&plan("--upload-pack=evil"));
        let commits: Vec<String> = seen.all().into_keys().map(|(_, commit)| commit).collect();
        assert_eq!(commits, ["3f2c1ab09d8e"]);
    }
}
