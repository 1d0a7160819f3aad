//! The panes of a host's units, and of the journal of one: what they hold.

use crate::dash::filter::Filter;
use crate::dash::input::LineInput;
use crate::fleet::{HostUnit, HostUnits};
use std::collections::VecDeque;

/// Lines of a journal that are kept; the oldest leave first.
const LINES: usize = 5000;

/// The list of a host's units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitsPane {
    /// The host.
    pub host: String,
    /// The list; none until the host has answered, else why it did not.
    pub found: Option<Result<HostUnits, String>>,
    /// Which is selected, of those that are shown.
    pub selected: usize,
    /// What a unit must hold to be shown.
    pub filter: Filter,
    /// What is typed for the filter.
    pub typed: Option<LineInput>,
}

/// The journal of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalPane {
    /// The host.
    pub host: String,
    /// The unit.
    pub unit: String,
    /// Its newest lines, the oldest first.
    pub lines: VecDeque<String>,
    /// How its reading ended; none while it goes on.
    pub ended: Option<Result<(), String>>,
    /// Whether the newest line is shown, and those that come.
    pub following: bool,
    /// How many lines lie below the last one that is shown.
    pub below: usize,
}

impl UnitsPane {
    /// Makes the pane of a host that is asked now.
    pub fn new(host: String) -> Self {
        Self { host, found: None, selected: 0, filter: Filter::default(), typed: None }
    }

    /// Returns the units that are shown.
    pub fn shown(&self) -> Vec<&HostUnit> {
        let Some(Ok(list)) = &self.found else { return Vec::new() };
        let passes = |unit: &&HostUnit| {
            let texts = [unit.name.clone(), unit.state_words(), unit.description.clone()];
            self.filter.passes(&texts)
        };
        list.units.iter().filter(passes).collect()
    }

    /// Returns the selected unit.
    pub fn chosen(&self) -> Option<&HostUnit> {
        self.shown().get(self.selected).copied()
    }

    /// Shows the units that hold this.
    pub fn set_filter(&mut self, text: &str) {
        self.filter = Filter::new(text);
        self.selected = 0;
    }
}

impl JournalPane {
    /// Makes the pane of a unit whose host is asked now.
    pub fn new(host: String, unit: String) -> Self {
        let lines = VecDeque::new();
        Self { host, unit, lines, ended: None, following: false, below: 0 }
    }

    /// Takes lines that came; those that are looked at stay where they are.
    pub fn add(&mut self, lines: Vec<String>) {
        if self.below > 0 {
            self.below += lines.len();
        }
        self.lines.extend(lines);
        let over = self.lines.len().saturating_sub(LINES);
        self.lines.drain(..over);
        self.below = self.below.min(self.lines.len());
    }

    /// Begins again, from the newest lines.
    pub fn begin_anew(&mut self, following: bool) {
        let (host, unit) = (std::mem::take(&mut self.host), std::mem::take(&mut self.unit));
        *self = Self { following, ..Self::new(host, unit) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_looked_at_stay_while_others_come_and_the_oldest_leave() {
        let mut pane = JournalPane::new("samsung".to_owned(), "sshd.service".to_owned());
        let lines =
            |from: usize, count: usize| (from..from + count).map(|n| n.to_string()).collect();
        pane.add(lines(0, 100));
        pane.below = 40;
        pane.add(lines(100, 5));
        assert_eq!((pane.below, pane.lines.len()), (45, 105));
        pane.following = true;
        pane.below = 0;
        pane.add(lines(105, LINES));
        assert_eq!((pane.below, pane.lines.len(), pane.lines[0].as_str()), (0, LINES, "105"));
    }
}
