//! The plan of a run: when it is shown, what it says, and what its answer does.

use super::host::{HostProgress, Stage};
use super::watch::later;
use super::{Machine, MachineCommand};
use crate::deploy::{Reason, Setup};
use crate::fleet::words::deploys::short_revision;
use crate::fleet::{
    ANSWER_LIMIT, Code, DeployFacts, Goal, HostPlan, Outcome, Phase, Plan, ReplacedRevision,
    RolloutNews, RunWhat, StorePath,
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Returns whether what the plan says of a host is known.
fn is_compared(host: &HostProgress) -> bool {
    match host.stage {
        Stage::Ended(_) => true,
        // One that is away is waited for after the plan, when its system is known or cannot be.
        Stage::Waiting(Phase::Preflight) if host.away.is_some() => true,
        Stage::Waiting(phase)
        | Stage::Preparing(phase)
        | Stage::Running(phase)
        | Stage::Concluding(phase) => phase > Phase::Compare && host.away.is_none(),
    }
}

/// Returns what the system was built from that runs on a host, and how that stands to what is deployed.
fn replaced(known: &DeployFacts) -> Option<ReplacedRevision> {
    let revision = known.built_from.as_ref()?.revision.clone();
    Some(ReplacedRevision { revision, ancestry: known.ancestry })
}

impl Machine {
    /// Returns the hosts that the plan waits for.
    pub(super) fn not_compared(&self) -> Vec<String> {
        let open = self.hosts.iter().filter(|host| !is_compared(host));
        open.map(|host| host.setup.name.clone()).collect()
    }

    /// Shows the plan once every host that is still in the run is compared.
    pub(super) fn ask(&mut self, now: Timestamp, out: &mut Vec<MachineCommand>) {
        if self.asked || !self.setup.goal.deploys() || !self.hosts.iter().all(is_compared) {
            return;
        }
        self.asked = true;
        self.judge_order(now, out);
        self.make_waves();
        let going = self.hosts.iter().any(|host| !host.is_over());
        let waits = going && self.confirmed.is_none();
        self.waited = waits.then_some((now, None));
        self.answer_until = waits.then_some(later(now, ANSWER_LIMIT));
        out.push(MachineCommand::Tell(RunWhat::Plan { plan: self.plan(), waits }));
    }

    /// Returns the plan, as far as it is known.
    pub(super) fn plan(&self) -> Plan {
        let (mut set_aside, mut waited_for) = (BTreeMap::new(), Vec::new());
        let mut hosts = Vec::new();
        for (index, host) in self.hosts.iter().enumerate() {
            let failed = match host.stage {
                Stage::Ended(outcome) => outcome != Outcome::Unchanged,
                Stage::Preparing(_)
                | Stage::Running(_)
                | Stage::Waiting(_)
                | Stage::Concluding(_) => false,
            };
            let name = &host.setup.name;
            let mut notes = host.known.preflight.notes.clone();
            if host.away.is_some() {
                let text = "it is away; it is deployed when it is back";
                notes.push(Reason::new(Code::HostUnreachable, text));
            }
            match &host.known.toplevel {
                Some(toplevel) if !failed => hosts.push(HostPlan {
                    host: name.clone(),
                    goal: Some(host.setup.goal).filter(|goal| *goal != self.setup.goal),
                    route: host.setup.route.clone(),
                    why: host.known.preflight.chosen.as_ref().map(|chosen| chosen.why.clone()),
                    toplevel: toplevel.clone(),
                    built_from: host.known.preflight.source.clone(),
                    drv: host.known.drv.as_deref().and_then(|drv| StorePath::parse(drv).ok()),
                    running: host.known.preflight.running.clone(),
                    replaces: replaced(&host.known.preflight.deploys),
                    profile: host.known.preflight.profile.clone(),
                    to_build: host.known.to_build,
                    to_download: host.known.to_download,
                    changes: host.known.changes.clone(),
                    generation: host.setup.given.as_ref().and_then(|given| given.generation),
                    reboots: host.setup.reboot.is_some() && !self.is_left_alone(index),
                    wave: host.wave.filter(|_| self.waves.len() > 1).map(|wave| wave + 1),
                    unchanged: self.is_left_alone(index),
                    notes: notes.iter().map(|note| note.text.clone()).collect(),
                    findings: notes.iter().map(|note| note.finding(name)).collect(),
                }),
                Some(_) | None => {
                    let why = host.known.blemish.as_ref().map(Reason::to_string);
                    let why = why.unwrap_or_else(|| "failed".to_owned());
                    set_aside.insert(name.clone(), why);
                    waited_for.extend(host.away.is_some().then(|| name.clone()));
                }
            }
        }
        let revision = self.revision_of(&hosts);
        let Setup { goal, strategy, .. } = self.setup;
        Plan {
            goal,
            strategy,
            revision,
            source: self.source.clone(),
            findings: self.findings.clone(),
            hosts,
            set_aside,
            waited_for,
        }
    }

    /// Returns the revision that is deployed: that of the fleet's flake, where hosts get what that says now and
    /// it is known of all others what they get instead; else the one that all hosts get.
    fn revision_of(&self, planned: &[HostPlan]) -> Option<String> {
        let is_of_fleet =
            |host: &HostProgress| host.setup.is_evaluated() && host.setup.flake.is_none();
        if planned.is_empty() {
            return self.revision.clone().filter(|_| self.hosts.iter().any(is_of_fleet));
        }
        let is_of_fleet = |host: &HostPlan| {
            self.index_of(&host.host).is_some_and(|at| is_of_fleet(&self.hosts[at]))
        };
        if planned.iter().any(is_of_fleet) {
            let is_known = |host: &HostPlan| is_of_fleet(host) || host.built_from.is_some();
            return self.revision.clone().filter(|_| planned.iter().all(is_known));
        }
        let revision = |host: &HostPlan| Some(host.built_from.as_ref()?.revision.clone());
        let first = planned.first().and_then(revision);
        let is_one = planned.iter().all(|host| revision(host) == first);
        first.filter(|_| is_one).map(|revision| short_revision(&revision))
    }

    /// Returns whether there is nothing to do on a host.
    fn is_left_alone(&self, index: usize) -> bool {
        self.is_unchanged(index) && !self.hosts[index].known.only_restarts
    }

    /// Returns whether a host runs its system as it was asked for: itself, as a specialisation of it that is kept, or as
    /// the one that it goes back to.
    fn runs_as_asked(&self, index: usize, toplevel: &StorePath) -> bool {
        let host = &self.hosts[index];
        let found = &host.known.preflight;
        if let Some(name) =
            host.setup.given.as_ref().and_then(|given| given.specialisation.as_ref())
        {
            let special = found.deploys.specialisation.as_ref();
            special.is_some_and(|special| special.system == *toplevel && special.name == *name)
        } else if self.setup.options.without_specialisation {
            found.running.as_ref() == Some(toplevel)
        } else {
            found.runs(toplevel)
        }
    }

    /// Returns whether a host has its system already.
    pub(super) fn is_unchanged(&self, index: usize) -> bool {
        let known = &self.hosts[index].known;
        let Some(toplevel) = &known.toplevel else { return false };
        let setup = &self.hosts[index].setup;
        let runs = self.runs_as_asked(index, toplevel);
        let boots = known.preflight.profile.as_ref() == Some(setup.permanent(toplevel));
        match setup.goal {
            Goal::Switch | Goal::Rollback => runs && boots,
            Goal::Boot => boots,
            Goal::Test => runs,
            Goal::Build | Goal::DryActivate => false,
        }
    }

    /// Takes the answer to the plan, and why hosts are left out where that is no.
    pub(super) fn answered(
        &mut self,
        yes: bool,
        why_not: &str,
        now: Timestamp,
        out: &mut Vec<MachineCommand>,
    ) {
        // Nobody can agree to a plan that was not shown yet.
        if !self.asked || self.confirmed.is_some() {
            return;
        }
        self.confirmed = Some(yes);
        self.answer_until = None;
        out.push(MachineCommand::Tell(RunWhat::Rollout(RolloutNews::Answered { yes })));
        if let Some((_, until)) = &mut self.waited {
            *until = Some(now);
        }
        if !yes {
            for index in 0..self.hosts.len() {
                if !self.hosts[index].is_over() {
                    let why = Reason::new(Code::PlanNotConfirmed, why_not);
                    self.end(index, Outcome::Skipped, Some(why), now, out);
                }
            }
        }
    }
}
