//! The state of the screen, as plain data: what is known, and how it is looked at.

use crate::dash::key::Keymap;
use crate::dash::msg::LogsInView;
use crate::dash::overlay::{Overlay, Prompt};
use crate::dash::panes::caches::CachesPane;
use crate::dash::panes::deploy::DeployPane;
use crate::dash::panes::fleet::FleetPane;
use crate::dash::panes::history::HistoryPane;
use crate::dash::panes::logs::LogPane;
use crate::dash::split::BorderRows;
use crate::dash::world::{
    FirstStep, FoundHere, HostModel, HostRun, Practice, RunView, ScreenWorld, age, shown_flake,
};
use crate::fleet::{Fleet, Host, TierKind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// A run that began longer ago is named with its date.
const A_WHILE: Duration = Duration::from_secs(12 * 3600);

/// The views that keys 1 to 5 choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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

/// What is known, and how it is looked at.
#[derive(Clone, Debug)]
pub struct Model {
    /// What is known of the fleet and its runs.
    pub world: ScreenWorld,
    /// The keys in force.
    pub keymap: Keymap,
    /// The name of the theme, or the path of its file.
    pub theme: String,
    /// Which view is shown.
    pub screen: Screen,
    /// What lies over it, the last on top.
    pub(super) overlays: Vec<Overlay>,
    /// What is typed in the footer.
    pub prompt: Option<Prompt>,
    /// How the hosts are looked at.
    pub fleet: FleetPane,
    /// How the tiers are looked at.
    pub caches: CachesPane,
    /// Which run is looked at.
    pub deploy: DeployPane,
    /// How logs are looked at.
    pub log: LogPane,
    /// How the runs are looked at.
    pub history: HistoryPane,
    /// The logs that were asked for, since they are in view.
    pub(super) logs_asked: LogsInView,
    /// Whether one pane has the whole body.
    pub zoom: bool,
    /// The first line of the zoomed details that is shown.
    pub details_scroll: u16,
    /// Hosts whose password for sudo was typed since the dashboard was opened.
    pub passwords_given: BTreeSet<String>,
    /// What is done first, when the dashboard ends for that.
    pub(super) first_step: Option<FirstStep>,
    /// What was tried of the practice fleet, where that is shown.
    pub practice: Option<Practice>,
    /// The session as it was kept last, and when; none where none is kept.
    pub(super) session: Option<(String, Timestamp)>,
    /// The sentence of the moment.
    pub toast: Option<Toast>,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// Which row the list of the view begins with, as long as its selected row is seen so.
    pub(super) list_from: usize,
    /// The same of the list that lies over the view.
    pub(super) over_from: usize,
    /// Whether the terminal tells of the mouse.
    pub mouse: bool,
    /// The row that was clicked last, and when.
    pub(super) last_click: Option<(u64, Timestamp)>,
    /// The border that is dragged with the mouse.
    pub(super) dragged: Option<BorderRows>,
    /// When a key or a button of the mouse was pressed last.
    pub(super) last_key: Option<Timestamp>,
    /// Whether the terminal has the focus.
    pub focused: bool,
    /// The screen as it was when it was frozen, which is drawn instead; its own [`Self::frozen_since`]
    /// says when that was.
    pub(super) still: Option<Box<Model>>,
    /// Since when the screen stands, in a screen that does.
    pub(super) frozen_since: Option<Timestamp>,
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
            world: ScreenWorld::new(fleet, now),
            keymap: Keymap::default(),
            theme: String::new(),
            screen,
            overlays: Vec::new(),
            prompt: None,
            fleet: FleetPane::default(),
            caches: CachesPane::default(),
            deploy: DeployPane::default(),
            passwords_given: BTreeSet::new(),
            log: LogPane::default(),
            history: HistoryPane::default(),
            logs_asked: LogsInView::default(),
            zoom: false,
            details_scroll: 0,
            first_step: None,
            practice: None,
            session: None,
            toast: None,
            size: (80, 24),
            list_from: 0,
            over_from: 0,
            mouse: true,
            last_click: None,
            dragged: None,
            last_key: None,
            focused: true,
            still: None,
            frozen_since: None,
            dirty: true,
            ages: 0,
        };
        model.ages = model.age_words(now);
        model
    }

    /// Names the flake by its path below the person's home, where it is there.
    #[must_use]
    pub fn with_home(mut self, home: &str) -> Self {
        self.world.flake = self.world.flake.map(|flake| shown_flake(&flake, home));
        self
    }

    /// Names the next thing to try of the practice fleet.
    #[must_use]
    pub fn with_practice(mut self, practice: Option<Practice>) -> Self {
        self.practice = practice;
        self
    }

    /// Begins with what was found here and what to do first.
    #[must_use]
    pub fn with_first_steps(mut self) -> Self {
        self.world.found_here = Some(FoundHere::default());
        self.open(Overlay::FirstSteps { scroll: 0 });
        self
    }

    /// Hears of the mouse or not, as hosts.toml says.
    #[must_use]
    pub fn with_mouse(self, mouse: bool) -> Self {
        Self { mouse, ..self }
    }

    /// Gives commands the keys of hosts.toml.
    #[must_use]
    pub fn with_keys(self, keymap: Keymap) -> Self {
        Self { keymap, ..self }
    }

    /// Says which theme is shown.
    #[must_use]
    pub fn with_theme(self, theme: String) -> Self {
        Self { theme, ..self }
    }

    /// Lets nothing be measured or started: what is shown is a record.
    #[must_use]
    pub fn of_a_record(mut self) -> Self {
        self.world.is_record = true;
        self
    }

    /// Returns whether something visible changed since the last call.
    pub fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    /// Returns whether the screen has something that moves by itself: a run at work, in sight.
    pub fn animates(&self) -> bool {
        let at_work = |run: &RunView| run.is_active() && !run.waits;
        self.focused
            && self.still.is_none()
            && self.screen == Screen::Deploy
            && (self.shown_run().is_some_and(at_work)
                || self.world.starting.as_ref().is_some_and(|starting| starting.failed.is_none()))
    }

    /// Returns the selected host, when the filter shows it.
    pub fn selected(&self) -> Option<(&Host, &HostModel)> {
        let index = self.fleet.selected;
        let known = self.world.fleet.hosts.get(index).zip(self.world.hosts.get(index));
        known.filter(|_| self.passes_host(index))
    }

    /// Returns whether the selected tier is that of hosts' own stores.
    pub(super) fn selects_stores(&self) -> bool {
        self.selected_tier().is_some_and(|(tier, _)| tier.kind == TierKind::Local)
    }

    /// Returns the names of the marked hosts that the filter shows, or when there is none of the selected
    /// one, or of those in the selected group.
    pub fn chosen(&self) -> Vec<String> {
        let hosts = self.world.fleet.hosts.iter().enumerate();
        let selected = match self.selected_group() {
            Some(group) => group.hosts,
            None => self.selected().map(|_| self.fleet.selected).into_iter().collect(),
        };
        let is_marked = |(index, host): &(usize, &Host)| {
            self.fleet.marked.contains(&host.name) && self.passes_host(*index)
        };
        let any_marked = hosts.clone().any(|host| is_marked(&host));
        let chosen = hosts
            .filter(|host| if any_marked { is_marked(host) } else { selected.contains(&host.0) });
        chosen.map(|(_, host)| host.name.clone()).collect()
    }

    /// Returns how many marked hosts the filter hides: nothing is done with them.
    pub(super) fn hidden_marks(&self) -> usize {
        let hosts = self.world.fleet.hosts.iter().enumerate();
        hosts
            .filter(|(index, host)| {
                self.fleet.marked.contains(&host.name) && !self.passes_host(*index)
            })
            .count()
    }

    /// Returns the run that the deploy view shows.
    pub fn shown_run(&self) -> Option<&RunView> {
        self.world.runs.get(self.deploy.run)
    }

    /// Returns the run that matters now: one that waits for somebody, else the one begun here as long as it goes
    /// on, else the newest that goes on, else the newest that was left, else the newest that went wrong and
    /// that nobody has looked at, else the newest.
    pub(super) fn run_of_now(&self) -> Option<usize> {
        let runs = &self.world.runs;
        let is_own = |run: &RunView| Some(&run.id) == self.deploy.own.as_ref();
        let newest = |is_it: &dyn Fn(&RunView) -> bool| runs.iter().rposition(is_it);
        self.world
            .run_that_asks()
            .or_else(|| newest(&|run: &RunView| run.is_active() && is_own(run)))
            .or_else(|| newest(&RunView::is_active))
            .or_else(|| newest(&RunView::is_left))
            .or_else(|| newest(&|run: &RunView| self.deploy.unseen.contains(&run.id)))
            .or(runs.len().checked_sub(1))
    }

    /// Notes that the run that is shown has been looked at.
    pub(super) fn note_run_seen(&mut self) {
        let is_shown = matches!(self.screen, Screen::Deploy | Screen::Logs) && self.still.is_none();
        if is_shown && let Some(run) = self.shown_run().map(|run| run.id.clone()) {
            self.deploy.unseen.remove(&run);
        }
    }

    /// Returns whether a run needs no date: it goes on, or is the run of now and began not long ago.
    pub(super) fn is_run_of_now(&self, run: &RunView, now: Timestamp) -> bool {
        let newest = self.run_of_now().and_then(|index| self.world.runs.get(index));
        let is_newest = newest.is_some_and(|newest| newest.id == run.id);
        run.is_active() || is_newest && age(now, run.began_at) < A_WHILE
    }

    /// Shows the run of now, whichever was looked at.
    pub(super) fn show_run_of_now(&mut self) {
        self.deploy.from_history = false;
        if let Some(index) = self.run_of_now().filter(|index| *index != self.deploy.run) {
            self.select_run(index, None);
        }
    }

    /// Returns the selected host of the shown run.
    pub fn shown_host_run(&self) -> Option<&HostRun> {
        self.shown_run()?.hosts.get(self.deploy.host)
    }

    /// Returns a number that changes when an age or a clock on the screen would read differently.
    pub(super) fn age_words(&self, now: Timestamp) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.world.hash_ages(now, &mut hasher);
        (now.as_second() / 60).hash(&mut hasher);
        hasher.finish()
    }

    /// Lets the screen stand as it is now, or go on again; what is measured meanwhile is not lost.
    pub(super) fn freeze(&mut self, now: Timestamp) {
        if self.still.take().is_none() {
            let still = Self { frozen_since: Some(now), toast: None, ..self.clone() };
            self.still = Some(Box::new(still));
        }
    }

    /// Returns the overlay that takes the keys: the one on top.
    pub fn overlay(&self) -> Option<&Overlay> {
        self.overlays.last()
    }

    /// Returns the overlay on top, to be changed.
    pub(super) fn overlay_mut(&mut self) -> Option<&mut Overlay> {
        self.overlays.last_mut()
    }

    /// Lays an overlay over everything.
    pub(super) fn open(&mut self, overlay: Overlay) {
        self.over_from = 0;
        self.overlays.push(overlay);
    }

    /// Closes the overlay on top; the one below it takes the keys.
    pub(super) fn close(&mut self) {
        self.over_from = 0;
        self.overlays.pop();
    }

    /// Shows a view.
    pub(super) fn show(&mut self, screen: Screen) {
        if self.screen != screen {
            self.screen = screen;
            self.zoom = false;
            self.details_scroll = 0;
            self.list_from = 0;
        }
    }

    /// Shows another run and one of its hosts, the first where none is meant.
    pub(super) fn select_run(&mut self, run: usize, host: Option<usize>) {
        self.deploy.run = run;
        self.deploy.host = host.unwrap_or_default();
        self.deploy.is_host_chosen = host.is_some();
        self.log.leave_host();
    }

    /// Selects the next or the previous host of the shown run, around the end; where the run is shown, of
    /// those that its filter lets through.
    pub(super) fn turn_host(&mut self, forward: bool) {
        let hosts = if self.screen == Screen::Deploy {
            self.visible_host_runs()
        } else {
            (0..self.shown_run().map_or(0, |run| run.hosts.len())).collect()
        };
        let at = hosts.iter().position(|index| *index == self.deploy.host);
        let by = if forward { 1 } else { hosts.len().saturating_sub(1) };
        let next = at.map_or(0, |at| (at + by) % hosts.len());
        if let Some(next) = hosts.get(next) {
            self.deploy.host = *next;
            self.deploy.is_host_chosen = true;
            if !self.log.shows_all_hosts() {
                self.log.leave_host();
            }
        }
    }

    /// Opens all details of what is selected, or closes them; in a run, those of one host.
    pub(super) fn toggle_zoom(&mut self) {
        self.zoom = !self.zoom;
        self.details_scroll = 0;
    }

    /// Shows a sentence for a while.
    pub(super) fn say(&mut self, text: impl Into<String>, bad: bool, now: Timestamp) {
        let seconds = if bad { 15 } else { 6 };
        let until = now + jiff::SignedDuration::from_secs(seconds);
        self.toast = Some(Toast { text: text.into(), bad, until });
    }
}
