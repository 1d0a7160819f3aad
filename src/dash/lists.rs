//! The list of each view, and of what lies over it: which rows its filter lets through, and which of them is selected.
//!
//! A row that was selected and is let through no more is selected no more, so that no key acts on what
//! is not seen; nothing else is selected for it before a key says so.

use crate::dash::filter::Filter;
use crate::dash::input::LineInput;
use crate::dash::matched;
use crate::dash::model::{Model, Screen};
use crate::dash::overlay::{Overlay, Prompt};
use crate::dash::panes::history::HistoryPane;
use crate::dash::past::PastPane;
use crate::dash::split::Split;
use crate::dash::world::TierView;
use crate::fleet::{Host, Tier};
use jiff::Timestamp;

impl Model {
    /// Returns the events that lie over the view, where they take the keys.
    fn past(&self) -> Option<&PastPane> {
        match self.overlay() {
            Some(Overlay::Past(pane)) => Some(pane),
            Some(_) | None => None,
        }
    }

    /// Returns these events, to be changed.
    fn past_mut(&mut self) -> Option<&mut PastPane> {
        match self.overlay_mut() {
            Some(Overlay::Past(pane)) => Some(pane),
            Some(_) | None => None,
        }
    }

    /// Begins to type a filter of the list that is shown.
    pub(super) fn type_filter(&mut self) {
        if let Some(before) = self.filter().cloned() {
            let input = LineInput::after(before.text().to_owned());
            self.set_filter(Filter::default());
            self.prompt = Some(Prompt { input, before });
        }
    }

    /// Returns the filter of the list that is shown; among logs, lines are looked for instead.
    pub fn filter(&self) -> Option<&Filter> {
        if let Some(pane) = self.past() {
            return Some(&pane.filter);
        }
        match self.screen {
            Screen::Fleet => Some(&self.fleet.filter),
            Screen::Caches => Some(&self.caches.filter),
            Screen::Deploy => Some(&self.deploy.filter),
            Screen::Logs => None,
            Screen::History => Some(&self.history.filter),
        }
    }

    /// Filters what the view shows; where that hides the selected row, the next one is selected.
    pub(super) fn set_filter(&mut self, filter: Filter) {
        if let Some(pane) = self.past_mut() {
            pane.filter = filter;
        } else {
            match self.screen {
                Screen::Fleet => self.fleet.filter = filter,
                Screen::Caches => self.caches.filter = filter,
                Screen::Deploy => self.deploy.filter = filter,
                Screen::Logs => {}
                Screen::History => self.history.filter = filter,
            }
        }
        if self.screen == Screen::Fleet {
            self.select_shown();
        }
        let (rows, at) = (self.rows(), self.selected_row());
        if !rows.contains(&at)
            && let Some(next) = rows.iter().find(|row| **row > at).or(rows.last())
        {
            self.select_row(*next);
        }
    }

    /// Takes the filter of the view away; returns whether it had one.
    pub(super) fn clear_filter(&mut self) -> bool {
        let had = self.is_filtered();
        self.set_filter(Filter::default());
        had
    }

    /// Returns whether the view shows only what a filter lets through.
    pub(super) fn is_filtered(&self) -> bool {
        self.filter().is_some_and(|filter| !filter.is_empty())
    }

    /// Returns where the border between the list of the view and what stands below it is, to be changed; none
    /// where the view has no border.
    pub(super) fn split_mut(&mut self) -> Option<&mut Split> {
        if self.zoom || self.overlay().is_some() {
            return None;
        }
        match self.screen {
            Screen::Fleet => Some(&mut self.fleet.split),
            Screen::Caches => Some(&mut self.caches.split),
            Screen::Deploy => Some(&mut self.deploy.split),
            Screen::Logs => None,
            Screen::History => Some(&mut self.history.split),
        }
    }

    /// Returns how many rows the view has without its filter.
    pub(super) fn row_count(&self) -> usize {
        if let Some(pane) = self.past() {
            return pane.events().len();
        }
        match self.screen {
            Screen::Fleet => self.world.fleet.hosts.len(),
            Screen::Caches => self.world.fleet.tiers.len(),
            Screen::Deploy => self.shown_run().map_or(0, |run| run.hosts.len()),
            Screen::Logs => 0,
            Screen::History => self.world.runs.len(),
        }
    }

    /// Returns how many rows the view's filter lets through; of the hosts, folded or not.
    pub(super) fn match_count(&self) -> usize {
        match self.screen {
            Screen::Fleet => self.visible_hosts().len(),
            Screen::Caches | Screen::Deploy | Screen::Logs | Screen::History => self.rows().len(),
        }
    }

    /// Returns the indices of the rows that the view shows, in the order of the screen.
    pub(super) fn rows(&self) -> Vec<usize> {
        if let Some(pane) = self.past() {
            return self.visible_events(pane);
        }
        match self.screen {
            Screen::Fleet => self.host_rows(),
            Screen::Caches => self.visible_tiers(),
            Screen::Deploy => self.visible_host_runs(),
            Screen::Logs => Vec::new(),
            Screen::History => self.visible_runs(),
        }
    }

    /// Returns the index of the selected row.
    pub(super) fn selected_row(&self) -> usize {
        if let Some(pane) = self.past() {
            return pane.selected;
        }
        match self.screen {
            Screen::Fleet => self.fleet.selected,
            Screen::Caches => self.caches.selected,
            Screen::Deploy | Screen::Logs => self.deploy.host,
            Screen::History => self.deploy.run,
        }
    }

    /// Selects a row by its index.
    pub(super) fn select_row(&mut self, index: usize) {
        if let Some(pane) = self.past_mut() {
            pane.selected = index;
            return;
        }
        match self.screen {
            Screen::Fleet => self.fleet.selected = index,
            Screen::Caches => self.caches.selected = index,
            Screen::Deploy | Screen::Logs => {
                self.deploy.host = index;
                self.deploy.is_host_chosen = true;
                self.log.leave_host();
            }
            Screen::History => self.select_run(index, None),
        }
    }

    /// Returns whether the selected row is one that the filter lets through.
    pub(super) fn shows_selected(&self) -> bool {
        !self.is_filtered() || self.rows().contains(&self.selected_row())
    }

    /// Returns the indices of the events that their filter lets through, the newest first.
    fn visible_events(&self, pane: &PastPane) -> Vec<usize> {
        let tags = |name: &str| self.world.fleet.host(name).map_or(&[][..], |host| &host.tags);
        let events = pane.events().iter().enumerate();
        let passes = events.filter(|(_, event)| {
            pane.filter.is_empty() || pane.filter.passes(&matched::past(event, tags))
        });
        passes.map(|(index, _)| index).collect()
    }

    /// Returns the indices of the hosts that the filter lets through, in the order of the screen.
    pub fn visible_hosts(&self) -> Vec<usize> {
        let mut rows = self.fleet.sorting.rows(self.world.hosts.len());
        rows.retain(|index| self.passes_host(*index));
        rows
    }

    /// Returns whether the filter lets a host through.
    pub(super) fn passes_host(&self, index: usize) -> bool {
        let known = self.world.fleet.hosts.get(index).zip(self.world.hosts.get(index));
        let filter = &self.fleet.filter;
        known.is_some_and(|(host, view)| {
            filter.is_empty() || filter.passes(&matched::host(host, view))
        })
    }

    /// Returns the indices of the tiers that the filter lets through, in the order of the screen.
    pub fn visible_tiers(&self) -> Vec<usize> {
        let mut rows = self.caches.sorting.rows(self.world.fleet.tiers.len());
        rows.retain(|index| self.passes_tier(*index));
        rows
    }

    fn passes_tier(&self, index: usize) -> bool {
        let known = self.world.fleet.tiers.get(index).zip(self.world.tiers.get(index));
        let filter = &self.caches.filter;
        known.is_some_and(|(tier, view)| {
            filter.is_empty() || filter.passes(&matched::tier(tier, view))
        })
    }

    /// Returns the selected tier, when the filter shows it.
    pub fn selected_tier(&self) -> Option<(&Tier, &TierView)> {
        let index = self.caches.selected;
        let known = self.world.fleet.tiers.get(index).zip(self.world.tiers.get(index));
        known.filter(|_| self.passes_tier(index))
    }

    /// Returns the indices of the runs that the filter lets through, in the order of the screen: of a run
    /// nothing moves once it has ended, so their order is always that of the moment.
    pub fn visible_runs(&self) -> Vec<usize> {
        let HistoryPane { filter, sorting, .. } = &self.history;
        let runs = self.world.runs.iter().enumerate();
        let values: Vec<_> = runs.map(|(at, run)| sorting.by().value(run, at)).collect();
        let mut rows = sorting.sorted(&values);
        rows.retain(|index| {
            filter.is_empty() || filter.passes(&matched::run(&self.world.runs[*index]))
        });
        rows
    }

    /// Makes the orders of hosts and tiers again where that is due; returns whether a row moved.
    pub(super) fn sort_rows(&mut self, now: Timestamp) -> bool {
        let (world, last_key) = (&self.world, self.last_key);
        let mut moved = false;
        let hosts = &mut self.fleet.sorting;
        if hosts.is_due(last_key, now) {
            let by = hosts.by();
            let values: Vec<_> = (0..world.hosts.len()).map(|at| by.value(world, at)).collect();
            moved |= hosts.make(&values, now);
        }
        let tiers = &mut self.caches.sorting;
        if tiers.is_due(last_key, now) {
            let by = tiers.by();
            let values: Vec<_> = (0..world.tiers.len()).map(|at| by.value(world, at)).collect();
            moved |= tiers.make(&values, now);
        }
        moved
    }

    /// Returns the indices of the hosts of the shown run that the filter lets through.
    pub fn visible_host_runs(&self) -> Vec<usize> {
        let filter = &self.deploy.filter;
        let hosts = self.shown_run().into_iter().flat_map(|run| &run.hosts).enumerate();
        let passes = hosts.filter(|(_, host)| {
            let known: Option<&Host> = self.world.fleet.host(&host.host);
            let tags = known.map_or(&[][..], |known| &known.tags);
            filter.is_empty() || filter.passes(&matched::host_run(host, tags))
        });
        passes.map(|(index, _)| index).collect()
    }
}
