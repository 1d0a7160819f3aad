//! Everything the screen knows, as plain data.

use crate::dash::figures::Figures;
use crate::dash::filter::Filter;
use crate::dash::host_run::HostRun;
use crate::dash::mean_coverage::{MeanCoverage, mean_coverage};
use crate::dash::msg::LogsInView;
use crate::dash::overlay::{Overlay, Prompt};
use crate::dash::panes::logs::LogPane;
use crate::dash::run_view::RunView;
use crate::fleet::{
    Ancestry, CoverageFacts, Fleet, Goal, Host, HostFacts, NextFacts, RunId, StoreFacts, Tier,
    TierFacts, ago,
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// Measured values that are kept for a small graph.
pub(super) const HISTORY: usize = 40;

/// Figures older than this are dimmed.
pub(super) const STALE: Duration = Duration::from_secs(30);

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

/// The views that keys 1 to 5 choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Screen {
    /// Hosts, and the selected one's details.
    #[default]
    Fleet,
    /// Tiers by hosts.
    Caches,
    /// A run, host by host.
    Deploy,
    /// The log of one host's run.
    Logs,
    /// The runs.
    History,
}

impl Screen {
    /// Every view, in the order of its key.
    pub const ALL: [Self; 5] = [Self::Fleet, Self::Caches, Self::Deploy, Self::Logs, Self::History];

    /// Returns the title of its tab.
    pub fn title(self) -> &'static str {
        match self {
            Self::Fleet => "Fleet",
            Self::Caches => "Caches",
            Self::Deploy => "Deploy",
            Self::Logs => "Logs",
            Self::History => "History",
        }
    }
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
    /// A run is at work.
    Works {
        /// The run.
        id: RunId,
        /// Hosts that are done.
        done: usize,
        /// Its hosts.
        of: usize,
        /// How many more runs are active.
        others: usize,
    },
}

/// A sentence that goes away by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toast {
    /// The sentence.
    pub text: String,
    /// Whether it tells of something bad.
    pub bad: bool,
    /// When it goes.
    pub until: Timestamp,
}

/// Everything the screen knows.
#[derive(Clone, Debug)]
pub struct Model {
    /// The fleet, as configured.
    pub fleet: Arc<Fleet>,
    /// The flake as the title names it: its path, with `~` for the person's home.
    pub flake: Option<String>,
    /// The flake's git revision, with `-dirty` when its work tree has changes.
    pub revision: Option<String>,
    /// Whether a record is shown, from which nothing is measured or started.
    pub(super) is_record: bool,
    /// By how many commits revisions that hosts run are behind the flake, by commit; none where git
    /// does not know one here.
    pub ancestries: BTreeMap<String, Option<Ancestry>>,
    /// When the dashboard was opened.
    pub(super) opened_at: Timestamp,
    /// What is known of each host, in the fleet's order.
    pub hosts: Vec<HostModel>,
    /// What is known of each tier, in the fleet's order.
    pub tiers: Vec<TierView>,
    /// What the history tells of the last days.
    pub figures: Figures,
    /// The runs, oldest first.
    pub runs: Vec<RunView>,
    /// Which view is shown.
    pub screen: Screen,
    /// What lies over it.
    pub overlay: Option<Overlay>,
    /// What is typed in the footer.
    pub prompt: Option<Prompt>,
    /// Which host is selected: an index into the fleet.
    pub host: usize,
    /// Which tier is selected: an index into the fleet.
    pub tier: usize,
    /// Which run is shown: an index into the runs.
    pub run: usize,
    /// Which host of the shown run is selected.
    pub run_host: usize,
    /// Hosts that are marked, by name.
    pub marked: BTreeSet<String>,
    /// Which hosts the fleet view shows.
    pub filter: Filter,
    /// How logs are looked at.
    pub log: LogPane,
    /// The logs that were asked for, since they are in view.
    pub(super) logs_asked: LogsInView,
    /// Whether one pane has the whole body.
    pub zoom: bool,
    /// The first line of the zoomed details that is shown.
    pub details_scroll: u16,
    /// Hosts whose password for sudo was typed since the dashboard was opened.
    pub passwords_given: BTreeSet<String>,
    /// The run that was asked for and has not begun.
    pub starting: Option<Starting>,
    /// The sentence of the moment.
    pub toast: Option<Toast>,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// Whether the terminal has the focus.
    pub focused: bool,
    /// Whether something visible changed since it was last taken.
    pub(super) dirty: bool,
    /// What the ages on the screen said when they were last looked at.
    pub(super) ages: u64,
}

impl Model {
    /// Returns a model in which nothing was measured yet.
    pub fn new(fleet: Arc<Fleet>, now: Timestamp) -> Self {
        // A fleet of tiers only has nothing to show in the first view.
        let caches_only = fleet.hosts.is_empty() && !fleet.tiers.is_empty();
        let screen = if caches_only { Screen::Caches } else { Screen::default() };
        let mut model = Self {
            hosts: vec![HostModel::default(); fleet.hosts.len()],
            tiers: vec![TierView::default(); fleet.tiers.len()],
            flake: fleet.flake.clone(),
            revision: None,
            is_record: false,
            ancestries: BTreeMap::new(),
            opened_at: now,
            fleet,
            figures: Figures::default(),
            runs: Vec::new(),
            screen,
            overlay: None,
            prompt: None,
            host: 0,
            tier: 0,
            run: 0,
            run_host: 0,
            marked: BTreeSet::new(),
            passwords_given: BTreeSet::new(),
            filter: Filter::default(),
            log: LogPane::default(),
            logs_asked: LogsInView::default(),
            zoom: false,
            details_scroll: 0,
            starting: None,
            toast: None,
            size: (80, 24),
            focused: true,
            dirty: true,
            ages: 0,
        };
        model.ages = model.age_words(now);
        model
    }

    /// Names the flake by its path below the person's home, where it is there.
    #[must_use]
    pub fn with_home(mut self, home: &str) -> Self {
        self.flake = self.flake.map(|flake| shown_flake(&flake, home));
        self
    }

    /// Lets nothing be measured or started: what is shown is a record.
    #[must_use]
    pub fn of_a_record(self) -> Self {
        Self { is_record: true, ..self }
    }

    /// Returns whether something visible changed since the last call.
    pub fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    /// Returns whether the screen has something that moves by itself: a run at work, in sight.
    pub fn animates(&self) -> bool {
        let at_work = |run: &RunView| run.is_active() && !run.waits;
        self.focused
            && self.screen == Screen::Deploy
            && (self.shown_run().is_some_and(at_work)
                || self.starting.as_ref().is_some_and(|starting| starting.failed.is_none()))
    }

    /// Returns the indices of the hosts that the filter lets through.
    pub fn visible_hosts(&self) -> Vec<usize> {
        let fleet = self.fleet.hosts.iter().enumerate();
        fleet.filter(|(_, host)| self.passes(host)).map(|(index, _)| index).collect()
    }

    /// Returns whether the filter lets a host through, by its name or a tag.
    fn passes(&self, host: &Host) -> bool {
        self.filter.passes(&format!("{} {}", host.name, host.tags.join(" ")))
    }

    /// Returns the selected host, when the filter shows it.
    pub fn selected(&self) -> Option<(&Host, &HostModel)> {
        let host = self.fleet.hosts.get(self.host).filter(|host| self.passes(host))?;
        Some((host, self.hosts.get(self.host)?))
    }

    /// Returns whether the details of a host or a tier have the whole body.
    pub fn shows_details(&self) -> bool {
        self.zoom
            && match self.screen {
                Screen::Fleet => self.selected().is_some(),
                Screen::Caches => !self.tiers.is_empty(),
                Screen::Deploy | Screen::Logs | Screen::History => false,
            }
    }

    /// Returns the names of the marked hosts, or of the selected one when none is marked.
    pub fn chosen(&self) -> Vec<String> {
        if self.marked.is_empty() {
            return self.selected().map(|(host, _)| host.name.clone()).into_iter().collect();
        }
        let names = self.fleet.hosts.iter().map(|host| &host.name);
        names.filter(|name| self.marked.contains(*name)).cloned().collect()
    }

    /// Returns whether a host takes part only when its name is typed.
    pub fn is_protected(&self, name: &str) -> bool {
        self.fleet.host(name).is_some_and(|host| host.protected)
    }

    /// Returns whether a host was seen to run no system of NixOS, so that nothing can go back there.
    pub fn has_no_system(&self, name: &str) -> bool {
        let index = self.fleet.hosts.iter().position(|host| host.name == name);
        let view = index.and_then(|index| self.hosts.get(index));
        view.is_some_and(|view| view.facts.system.other_system.is_some())
    }

    /// Returns the run that the deploy view shows.
    pub fn shown_run(&self) -> Option<&RunView> {
        self.runs.get(self.run)
    }

    /// Returns the selected host of the shown run.
    pub fn shown_host_run(&self) -> Option<&HostRun> {
        self.shown_run()?.hosts.get(self.run_host)
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
        if let Some(run) = self.active_runs().find(|run| run.asks_somebody()) {
            return RunSign::Waits(run.id.clone());
        }
        if self.starting.as_ref().is_some_and(|starting| starting.failed.is_none()) {
            return RunSign::Starting;
        }
        match self.active_runs().next_back() {
            None => RunSign::None,
            Some(run) => RunSign::Works {
                id: run.id.clone(),
                done: run.done(),
                of: run.hosts.len(),
                others: self.active_runs().count() - 1,
            },
        }
    }

    /// Returns what an active run does to a host.
    pub fn busy(&self, name: &str) -> Option<&HostRun> {
        let runs = self.active_runs().rev();
        runs.filter_map(|run| run.host(name)).find(|host| host.result.is_none())
    }

    /// Returns the newest finished run of a host, with its part in it.
    pub fn last_run(&self, name: &str) -> Option<(&RunView, &HostRun)> {
        let runs = self.runs.iter().rev();
        runs.filter_map(|run| run.host(name).map(|host| (run, host)))
            .find(|(_, host)| host.result.is_some())
    }

    /// Returns the mean over hosts of the share of paths that a tier holds of each host's running
    /// closure; none when no host's coverage was measured there.
    pub fn mean_coverage(&self, tier: &str) -> Option<MeanCoverage> {
        mean_coverage(self.hosts.iter().map(|host| (&host.facts, &host.coverage)), tier)
    }

    /// Returns a number that changes when an age or a clock on the screen would read differently.
    pub(super) fn age_words(&self, now: Timestamp) -> u64 {
        let mut hasher = DefaultHasher::new();
        let hosts = self.hosts.iter().map(|host| host.facts.measured_at);
        for measured_at in hosts.chain(self.tiers.iter().map(|tier| tier.facts.measured_at)) {
            measured_at.map(|then| ago(age(now, then))).hash(&mut hasher);
            measured_at.map(|then| age(now, then) > STALE).hash(&mut hasher);
        }
        for since in self.tiers.iter().filter_map(|tier| tier.verifying) {
            age(now, since).as_secs().hash(&mut hasher);
        }
        for run in self.active_runs() {
            run.elapsed(now).as_secs().hash(&mut hasher);
        }
        self.starting.as_ref().map(|starting| age(now, starting.at).as_secs()).hash(&mut hasher);
        (now.as_second() / 60).hash(&mut hasher);
        hasher.finish()
    }

    /// Shows a sentence for a while.
    pub(super) fn say(&mut self, text: impl Into<String>, bad: bool, now: Timestamp) {
        let seconds = if bad { 15 } else { 6 };
        let until = now + jiff::SignedDuration::from_secs(seconds);
        self.toast = Some(Toast { text: text.into(), bad, until });
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
pub(super) fn coverage_tier(fleet: &Fleet) -> Option<&Tier> {
    fleet.publish_tier().or_else(|| fleet.tiers.iter().find(|tier| tier.kind.is_substituter()))
}

/// Returns whether coverage was measured for the system that the host runs.
pub(super) fn is_current(facts: &HostFacts, coverage: &CoverageFacts) -> bool {
    match (&coverage.toplevel, &facts.system.running) {
        (Some(measured), Some(running)) => measured == running,
        (None, _) | (_, None) => true,
    }
}

/// Returns how long ago something was; nothing when it lies ahead.
pub(super) fn age(now: Timestamp, then: Timestamp) -> Duration {
    now.duration_since(then).try_into().unwrap_or_default()
}
