//! The rows of the hosts: where these stand in groups, each group has a row above its own hosts.
//!
//! A row is an index into the fleet's hosts; behind the last host come the groups, in their order. So
//! what moves a selection through a list need not know that some of its rows are groups.

use crate::dash::model::{Model, Screen};
use crate::dash::panes::fleet::groups::{HostGroup, groups};

impl Model {
    /// Returns the groups of hosts, each with those that the filter lets through; none where hosts do
    /// not stand in groups.
    pub(super) fn host_groups(&self) -> Vec<HostGroup> {
        if self.fleet.grouping.is_on() {
            groups(&self.world.fleet, &self.visible_hosts())
        } else {
            Vec::new()
        }
    }

    /// Returns the group whose row this is.
    pub(super) fn group_at(&self, row: usize) -> Option<HostGroup> {
        let index = row.checked_sub(self.world.fleet.hosts.len())?;
        self.host_groups().into_iter().nth(index)
    }

    /// Returns the group whose row is selected, where the filter shows it.
    pub(super) fn selected_group(&self) -> Option<HostGroup> {
        let group = self.group_at(self.fleet.selected).filter(|group| !group.hosts.is_empty());
        group.filter(|_| self.screen == Screen::Fleet)
    }

    /// Returns whether the hosts of a group are shown: a filter shows whatever it lets through.
    pub(super) fn is_open(&self, group: &HostGroup) -> bool {
        !self.fleet.filter.is_empty() || self.fleet.grouping.is_open(group.tag.as_deref())
    }

    /// Returns the rows of the hosts, without those of groups that are folded.
    pub(super) fn host_rows(&self) -> Vec<usize> {
        self.rows_of_hosts(|group| self.is_open(group))
    }

    /// Returns the rows of the view as if no group was folded.
    pub(super) fn unfolded_rows(&self) -> Vec<usize> {
        match self.screen {
            Screen::Fleet => self.rows_of_hosts(|_| true),
            Screen::Caches | Screen::Deploy | Screen::Logs | Screen::History => self.rows(),
        }
    }

    fn rows_of_hosts(&self, is_open: impl Fn(&HostGroup) -> bool) -> Vec<usize> {
        if !self.fleet.grouping.is_on() {
            return self.visible_hosts();
        }
        let behind = self.world.fleet.hosts.len();
        let mut rows = Vec::new();
        for (index, group) in self.host_groups().into_iter().enumerate() {
            if group.hosts.is_empty() {
                continue;
            }
            rows.push(behind + index);
            if is_open(&group) {
                rows.extend(group.hosts);
            }
        }
        rows
    }

    /// Selects a row, and opens the group that hides it.
    pub(super) fn reveal(&mut self, row: usize) {
        if self.screen == Screen::Fleet
            && let Some(host) = self.world.fleet.hosts.get(row)
        {
            self.fleet.grouping.reveal(host);
        }
        self.select_row(row);
    }

    /// Shows a row of a view and selects it; a filter or a group that would hide it does so no more.
    pub(super) fn go_to(&mut self, screen: Screen, row: usize) {
        self.show(screen);
        self.reveal(row);
        if !self.shows_selected() {
            self.clear_filter();
            self.reveal(row);
        }
    }

    /// Puts hosts in groups or lets them stand as one list again. The group of the selected host is
    /// selected for it, and of a selected group its first host.
    pub(super) fn turn_groups(&mut self) {
        let first = self.selected_group().and_then(|group| group.hosts.first().copied());
        self.fleet.grouping.turn();
        if let Some(first) = first {
            self.fleet.selected = first;
        }
        self.select_shown();
    }

    /// Opens or folds the selected group.
    pub(super) fn fold_group(&mut self) {
        if let Some(group) = self.selected_group() {
            self.fleet.grouping.fold(group.tag);
        }
    }

    /// Selects the group of the selected host where it hides that.
    pub(super) fn select_shown(&mut self) {
        let selected = self.fleet.selected;
        let all = self.host_groups();
        let hides = |group: &HostGroup| group.hosts.contains(&selected) && !self.is_open(group);
        if let Some(index) = all.iter().position(hides) {
            self.fleet.selected = self.world.fleet.hosts.len() + index;
        }
    }
}
