//! By what the list of the view that is shown can be sorted, by name: what the palette finds.

use crate::dash::command::Command;
use crate::dash::layout::layout;
use crate::dash::model::{Model, Screen};
use crate::dash::panes::caches::{self, TierSort};
use crate::dash::panes::fleet::{self, HostSort};
use crate::dash::panes::history::{self, RunSort};
use crate::dash::sorting::{SortBy, Sorting};
use jiff::Timestamp;

/// By what a list is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dash) enum SortChoice {
    /// The hosts.
    Hosts(HostSort),
    /// The tiers.
    Tiers(TierSort),
    /// The runs.
    Runs(RunSort),
}

impl SortChoice {
    /// Returns by what the list of the view can be sorted.
    pub(in crate::dash) fn all(model: &Model) -> Vec<Self> {
        if !super::can(model, Command::Sort) {
            return Vec::new();
        }
        let body = layout(model).body;
        match model.screen {
            Screen::Fleet => fleet::sorts(model, body.width).into_iter().map(Self::Hosts).collect(),
            Screen::Caches => {
                caches::sorts(model, body.width).into_iter().map(Self::Tiers).collect()
            }
            Screen::History => history::sorts(body).into_iter().map(Self::Runs).collect(),
            Screen::Deploy | Screen::Logs => Vec::new(),
        }
    }

    /// Returns what it is, in words.
    pub(in crate::dash) fn word(self) -> &'static str {
        let [what, ..] = match self {
            Self::Hosts(by) => by.words(),
            Self::Tiers(by) => by.words(),
            Self::Runs(by) => by.words(),
        };
        what
    }

    /// Says how the rows would stand.
    pub(in crate::dash) fn sentence(self) -> String {
        match self {
            Self::Hosts(by) => sentence(by, "hosts"),
            Self::Tiers(by) => sentence(by, "caches"),
            Self::Runs(by) => sentence(by, "runs"),
        }
    }

    /// Sorts the list, and says how the rows stand now.
    pub(in crate::dash) fn choose(self, model: &mut Model, now: Timestamp) {
        match self {
            Self::Hosts(by) => model.fleet.sorting.choose(by),
            Self::Tiers(by) => model.caches.sorting.choose(by),
            Self::Runs(by) => model.history.sorting.choose(by),
        }
        model.sort_rows(now);
        model.say(self.sentence(), false, now);
    }
}

fn sentence<S: SortBy>(by: S, rows: &str) -> String {
    let mut sorting = Sorting::default();
    sorting.choose(by);
    sorting.sentence(rows)
}
