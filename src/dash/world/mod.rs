//! What the screen knows of the fleet: what was measured, what the history tells, and the runs.
//!
//! How it is looked at (which host is selected, what lies over the view) is the
//! [`Model`](crate::dash::Model)'s.

mod figures;
mod found_here;
mod host_counts;
mod host_run;
mod log_ring;
mod mean_coverage;
mod practice;
mod run_view;
mod urgency;

pub use figures::{Figures, TierFigures};
pub use found_here::{FirstStep, FlakeHere, FoundHere, FoundPart, MachineHere};
pub use host_counts::HostCounts;
pub use host_run::{Extent, HostRun, PhaseView};
pub use log_ring::LogRing;
pub use mean_coverage::MeanCoverage;
pub(in crate::dash) use mean_coverage::mean_coverage;
pub use practice::{Practice, PracticeStep};
pub(in crate::dash) use run_view::SIDE_BY_SIDE;
pub use run_view::{RunView, Summary};
pub(in crate::dash) use urgency::Urgency;

use crate::fleet::{
    Alarms, Ancestry, CoverageFacts, DeployedFrom, Fleet, Goal, Host, HostFacts, HostState,
    NextFacts, Plan, RunId, Silence, StoreFacts, Tier, TierFacts, ago, commit_of,
};
use crate::record::RunElsewhere;
use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// Measured values that are kept for a small graph.
pub(in crate::dash) const HISTORY: usize = 40;

/// Figures older than this are dimmed.
pub(in crate::dash) const STALE: Duration = Duration::from_secs(30);

/// What is known of a host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostModel {
    /// The newest probe.
    pub facts: HostFacts,
    /// The newest count of its store.
    pub store: Option<StoreFacts>,
    /// What the tiers hold of its running closure.
    pub coverage: CoverageFacts,
    /// What it runs next, and what the tiers hold of that.
    pub next: NextFacts,
    /// Whether it is being asked now.
    pub asking: bool,
    /// Load averages, newest last.
    pub loads: VecDeque<f64>,
}

impl HostModel {
    /// Returns what its running system was built from, as the host remembers it.
    pub(in crate::dash) fn built_from(&self) -> Option<&DeployedFrom> {
        self.facts.upkeep.as_ref()?.deploys.built_from.as_ref()
    }

    /// Returns whether its figures are too old to be taken for the present.
    pub(in crate::dash) fn is_old(&self, now: Timestamp) -> bool {
        !self.answers() || self.facts.measured_at.is_none_or(|then| age(now, then) > STALE)
    }

    /// Returns whether it answered when it was asked last, which is longer ago than it should be.
    pub(in crate::dash) fn is_stale(&self, now: Timestamp) -> bool {
        self.answers() && self.facts.measured_at.is_some_and(|then| age(now, then) > STALE)
    }

    fn answers(&self) -> bool {
        matches!(self.facts.state, HostState::Up | HostState::Degraded)
    }
}

/// What is known of a tier.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TierView {
    /// The newest probe.
    pub facts: TierFacts,
    /// Latencies in milliseconds, newest last.
    pub latencies: VecDeque<f64>,
    /// Since when a nar of it is being fetched whole and compared, while that goes on.
    pub verifying: Option<Timestamp>,
}

/// A run that was asked for and has not begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Starting {
    /// What it is for.
    pub goal: Goal,
    /// Its hosts.
    pub hosts: Vec<String>,
    /// When it was asked for.
    pub at: Timestamp,
    /// Its number, as soon as it has one.
    pub run: Option<RunId>,
    /// Why it could not start.
    pub failed: Option<String>,
}

/// What the overview says of runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunSign {
    /// Nothing runs.
    None,
    /// A run was asked for.
    Starting,
    /// A run waits for somebody to decide.
    Waits(RunId),
    /// No run of this fleet is at work, and one of another `hosts.toml` is, with hosts that are called like hosts here.
    Elsewhere {
        /// The run.
        id: RunId,
        /// These hosts.
        hosts: Vec<String>,
    },
    /// No run is at work, and of one that can go on the process ended before it did.
    Left(RunId),
    /// A run is at work.
    Works {
        /// The run.
        id: RunId,
        /// How its hosts stand.
        counts: HostCounts,
        /// How many more runs are active.
        others: usize,
    },
}

/// Everything that is known, apart from how it is looked at.
#[derive(Clone, Debug)]
pub struct ScreenWorld {
    /// The fleet, as configured.
    pub fleet: Arc<Fleet>,
    /// The flake as the title names it: its path, with `~` for the person's home.
    pub flake: Option<String>,
    /// The flake's git revision, with `-dirty` when its work tree has changes.
    pub revision: Option<String>,
    /// Whether a record is shown, from which nothing is measured or started.
    pub(in crate::dash) is_record: bool,
    /// By how many commits revisions that hosts run are behind their flakes, by flake and commit; none where git
    /// does not know one here.
    pub ancestries: BTreeMap<(String, String), Option<Ancestry>>,
    /// What was found around a nixdash that has no `hosts.toml`; none where it has one.
    pub found_here: Option<FoundHere>,
    /// When the dashboard was opened.
    pub(in crate::dash) opened_at: Timestamp,
    /// What is silenced now: what hosts.toml silences, and what a person silenced since.
    pub(in crate::dash) alarms: Alarms,
    /// What is known of each host, in the fleet's order.
    pub hosts: Vec<HostModel>,
    /// What is known of each tier, in the fleet's order.
    pub tiers: Vec<TierView>,
    /// What the history tells of the last days.
    pub figures: Figures,
    /// The runs, oldest first.
    pub runs: Vec<RunView>,
    /// The run that was asked for and has not begun.
    pub starting: Option<Starting>,
    /// The runs of other files of this machine that go on.
    pub elsewhere: Vec<RunElsewhere>,
}

impl ScreenWorld {
    /// Returns a world in which nothing was measured yet.
    pub fn new(fleet: Arc<Fleet>, now: Timestamp) -> Self {
        Self {
            hosts: vec![HostModel::default(); fleet.hosts.len()],
            tiers: vec![TierView::default(); fleet.tiers.len()],
            flake: fleet.flake.clone(),
            revision: None,
            is_record: false,
            ancestries: BTreeMap::new(),
            found_here: None,
            opened_at: now,
            alarms: fleet.alarms.clone(),
            fleet,
            figures: Figures::default(),
            runs: Vec::new(),
            starting: None,
            elsewhere: Vec::new(),
        }
    }

    /// Returns whether a host takes part only when its name is typed.
    pub fn is_protected(&self, name: &str) -> bool {
        self.fleet.host(name).is_some_and(|host| host.protected)
    }

    /// Returns whether hosts.toml says that nothing is changed on a host.
    pub fn is_read_only(&self, name: &str) -> bool {
        self.fleet.host(name).is_some_and(|host| host.read_only)
    }

    /// Returns the name of the specialisation that a host was seen to run; none where it runs its system itself.
    pub fn specialisation(&self, name: &str) -> Option<&str> {
        let upkeep = self.host(name)?.facts.upkeep.as_ref()?;
        upkeep.deploys.specialisation.as_ref().map(|special| special.name.as_str())
    }

    /// Returns whether a host was seen to run no system of NixOS, so that nothing can go back there.
    pub fn has_no_system(&self, name: &str) -> bool {
        let index = self.fleet.hosts.iter().position(|host| host.name == name);
        let view = index.and_then(|index| self.hosts.get(index));
        view.is_some_and(|view| view.facts.system.other_system.is_some())
    }

    /// Returns by how many commits a host is behind its flake; none where git does not know it.
    pub(in crate::dash) fn ancestry(&self, host: &Host, view: &HostModel) -> Option<Ancestry> {
        self.ancestry_of(self.fleet.flake_of(host)?, &view.built_from()?.revision)
    }

    /// Returns by how many commits what a plan deploys is behind its flake; none where git does not know it.
    pub(in crate::dash) fn ancestry_of_plan(&self, plan: &Plan) -> Option<Ancestry> {
        self.ancestry_of(self.fleet.flake_of_plan(plan)?, plan.revision.as_deref()?)
    }

    /// Returns by how many commits a revision, dirty or not, is behind a flake.
    fn ancestry_of(&self, flake: &str, revision: &str) -> Option<Ancestry> {
        let key = (flake.to_owned(), commit_of(revision).to_owned());
        self.ancestries.get(&key).copied().flatten()
    }

    /// Takes what is silenced in nixdash's own state, and marks all findings again.
    pub(in crate::dash) fn set_silences(&mut self, kept: Vec<Silence>, now: Timestamp) {
        self.alarms.set_kept(kept);
        for host in &mut self.hosts {
            self.alarms.silence_host(&mut host.facts, now);
        }
        for tier in &mut self.tiers {
            self.alarms.silence_tier(&mut tier.facts, now);
        }
    }

    /// Returns a run by its name.
    pub fn run_by_id(&self, id: &RunId) -> Option<&RunView> {
        self.runs.iter().find(|run| run.id == *id)
    }

    /// Returns the runs that go on, oldest first.
    pub fn active_runs(&self) -> impl DoubleEndedIterator<Item = &RunView> {
        self.runs.iter().filter(|run| run.is_active())
    }

    /// Returns what is to be said of runs in a few words.
    pub fn run_sign(&self) -> RunSign {
        if let Some(run) = self.run_that_asks().and_then(|index| self.runs.get(index)) {
            return RunSign::Waits(run.id.clone());
        }
        if self.starting.as_ref().is_some_and(|starting| starting.failed.is_none()) {
            return RunSign::Starting;
        }
        match self.active_runs().next_back() {
            None => match self.left_runs().next_back() {
                Some(run) => RunSign::Left(run.id.clone()),
                None => self.elsewhere_here().unwrap_or(RunSign::None),
            },
            Some(run) => RunSign::Works {
                id: run.id.clone(),
                counts: run.counts(),
                others: self.active_runs().count() - 1,
            },
        }
    }

    /// Returns a run of another file that is for hosts which are called like hosts here.
    fn elsewhere_here(&self) -> Option<RunSign> {
        self.elsewhere.iter().find_map(|other| {
            let hosts = other.hosts.iter().filter(|host| self.fleet.host(host).is_some());
            let hosts: Vec<String> = hosts.cloned().collect();
            (!hosts.is_empty()).then(|| RunSign::Elsewhere { id: other.run.clone(), hosts })
        })
    }

    /// Returns which of the runs waits for somebody to decide, the oldest where several do.
    pub(in crate::dash) fn run_that_asks(&self) -> Option<usize> {
        self.runs.iter().position(|run| run.is_active() && run.asks_somebody())
    }

    /// Returns the runs that nobody watches and that can go on, the oldest first.
    fn left_runs(&self) -> impl DoubleEndedIterator<Item = &RunView> {
        self.runs.iter().filter(|run| run.is_left())
    }

    /// Returns the newest run that nobody watches and in which a host was not done.
    pub(in crate::dash) fn left_with(&self, name: &str) -> Option<&RunView> {
        let mut runs = self.left_runs().rev();
        runs.find(|run| run.host(name).is_some_and(|host| host.result.is_none()))
    }

    /// Returns what an active run does to a host.
    pub fn busy(&self, name: &str) -> Option<&HostRun> {
        let runs = self.active_runs().rev();
        runs.filter_map(|run| run.host(name)).find(|host| host.result.is_none())
    }

    /// Returns the run of a host that ended there last, with its part in it: one that began earlier may
    /// have ended later.
    pub fn last_run(&self, name: &str) -> Option<(&RunView, &HostRun)> {
        let runs = self.runs.iter().filter_map(|run| run.host(name).map(|host| (run, host)));
        runs.filter(|(_, host)| host.result.is_some()).max_by_key(|(_, host)| host.ended_at)
    }

    /// Returns the mean over hosts of the share of paths that a tier holds of each host's running
    /// closure; none when no host's coverage was measured there.
    pub fn mean_coverage(&self, tier: &str) -> Option<MeanCoverage> {
        mean_coverage(self.hosts.iter().map(|host| (&host.facts, &host.coverage)), tier)
    }

    /// Says why no store is looked at now, when a run is at work: its builds would wait.
    pub(in crate::dash) fn run_in_the_way(&self) -> Option<String> {
        let run = self.active_runs().next()?;
        let why = "is at work, and its builds would wait: look when it has ended";
        Some(format!("run #{} {why}", run.id))
    }

    /// Returns what is known of a host; none for one that the fleet does not have.
    pub(in crate::dash) fn host(&self, name: &str) -> Option<&HostModel> {
        let index = self.fleet.hosts.iter().position(|host| host.name == name)?;
        self.hosts.get(index)
    }

    /// Returns what is known of a host, to be changed; none for one that the fleet does not have.
    pub(in crate::dash) fn host_mut(&mut self, name: &str) -> Option<&mut HostModel> {
        let index = self.fleet.hosts.iter().position(|host| host.name == name)?;
        self.hosts.get_mut(index)
    }

    /// Returns what is known of a tier; none for one that the fleet does not have.
    pub(in crate::dash) fn tier(&self, name: &str) -> Option<&TierView> {
        let index = self.fleet.tiers.iter().position(|tier| tier.name == name)?;
        self.tiers.get(index)
    }

    /// Returns what is known of a tier, to be changed; none for one that the fleet does not have.
    pub(in crate::dash) fn tier_mut(&mut self, name: &str) -> Option<&mut TierView> {
        let index = self.fleet.tiers.iter().position(|tier| tier.name == name)?;
        self.tiers.get_mut(index)
    }

    /// Feeds a hasher with every age and clock that the screen shows, as they are read.
    pub(in crate::dash) fn hash_ages(&self, now: Timestamp, hasher: &mut impl Hasher) {
        let hosts = self.hosts.iter().map(|host| host.facts.measured_at);
        for measured_at in hosts.chain(self.tiers.iter().map(|tier| tier.facts.measured_at)) {
            measured_at.map(|then| stepped(age(now, then))).hash(hasher);
            measured_at.map(|then| age(now, then) > STALE).hash(hasher);
        }
        for since in self.tiers.iter().filter_map(|tier| tier.verifying) {
            age(now, since).as_secs().hash(hasher);
        }
        for run in self.active_runs() {
            run.elapsed(now).as_secs().hash(hasher);
        }
        self.starting.as_ref().map(|starting| age(now, starting.at).as_secs()).hash(hasher);
    }
}

/// Returns a flake as the title names it: one below the person's home with `~` for that.
pub fn shown_flake(flake: &str, home: &str) -> String {
    let home = home.trim_end_matches('/');
    match flake.strip_prefix(home).filter(|_| !home.is_empty()) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("~{rest}"),
        Some(_) | None => flake.to_owned(),
    }
}

/// Returns the tier whose coverage stands for the fleet's: the one that deploys publish to, or the
/// first that hosts ask.
pub(in crate::dash) fn coverage_tier(fleet: &Fleet) -> Option<&Tier> {
    fleet.publish_tier().or_else(|| fleet.tiers.iter().find(|tier| tier.kind.is_substituter()))
}

/// Returns whether coverage was measured for the system that the host runs.
pub(in crate::dash) fn is_current(facts: &HostFacts, coverage: &CoverageFacts) -> bool {
    match (&coverage.toplevel, &facts.system.running) {
        (Some(measured), Some(running)) => measured == running,
        (None, _) | (_, None) => true,
    }
}

/// Returns how long ago something was, as the screen shows it: `now`, `5 s`, `10 s`, `30 s`, `1 min`.
pub(in crate::dash) fn shown_age(now: Timestamp, then: Timestamp) -> String {
    ago(stepped(age(now, then)))
}

/// Returns an age as far as it is shown: below a minute in few steps, since a figure that changes every
/// second draws the eye and says nothing.
fn stepped(age: Duration) -> Duration {
    let seconds = age.as_secs();
    Duration::from_secs(match seconds {
        0..5 => 0,
        5..10 => 5,
        10..30 => 10,
        30..60 => 30,
        60..3600 => seconds - seconds % 60,
        3600..86_400 => seconds - seconds % 3600,
        _ => seconds - seconds % 86_400,
    })
}

/// Returns how long ago something was; nothing when it lies ahead.
pub(in crate::dash) fn age(now: Timestamp, then: Timestamp) -> Duration {
    now.duration_since(then).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_step_so_that_nothing_changes_between_two_looks() {
        let shown = |seconds| ago(stepped(Duration::from_secs(seconds)));
        assert_eq!([0, 4, 5, 9].map(shown), ["now", "now", "5 s", "5 s"]);
        assert_eq!([10, 29, 30, 59].map(shown), ["10 s", "10 s", "30 s", "30 s"]);
        assert_eq!([60, 119, 3_700, 90_000].map(shown), ["1 min", "1 min", "1 h", "1 d"]);
    }
}
