//! The pane of what happened: what it holds.

use crate::dash::filter::Filter;
use crate::fleet::{OverTimeOf, PastEvent, PastWhat};
use jiff::{SignedDuration, Timestamp};

/// The time between two readings.
const READ_EVERY: SignedDuration = SignedDuration::from_secs(5);

/// What happened to a host or tier, or to all.
#[derive(Clone, Debug, PartialEq)]
pub struct PastPane {
    /// To what; none means to all.
    pub of: Option<OverTimeOf>,
    /// What was found, the newest first, or why not; none until the history was read.
    pub found: Option<Result<Vec<PastEvent>, String>>,
    /// The selected event: an index into what was found.
    pub selected: usize,
    /// Which events are shown.
    pub filter: Filter,
    /// When it was asked for last.
    pub asked_at: Timestamp,
}

impl PastPane {
    /// Makes the pane of what is read now.
    pub fn new(of: Option<OverTimeOf>, now: Timestamp) -> Self {
        Self { of, found: None, selected: 0, filter: Filter::default(), asked_at: now }
    }

    /// Returns the events, as far as they were read.
    pub fn events(&self) -> &[PastEvent] {
        match &self.found {
            Some(Ok(found)) => found,
            Some(Err(_)) | None => &[],
        }
    }

    /// Returns whether it is to be read again.
    pub fn is_due(&self, now: Timestamp) -> bool {
        now.duration_since(self.asked_at) >= READ_EVERY
    }

    /// Takes what was found; the event that was selected stays so, though others came before it.
    pub fn take(&mut self, found: Result<Vec<PastEvent>, String>) {
        let before = self.events().get(self.selected).filter(|_| self.selected > 0).cloned();
        self.found = Some(found);
        let same = |event: &PastEvent| {
            before.as_ref().is_some_and(|before| {
                before.at == event.at && before.what.is_of_the_same(&event.what)
            })
        };
        let place = self.events().iter().position(same);
        let last = self.events().len().saturating_sub(1);
        self.selected = place.unwrap_or(self.selected).min(last);
    }
}

impl PastWhat {
    /// Returns whether it is the same event, however far it has gone.
    fn is_of_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Trouble { of, on_host, code, .. },
                Self::Trouble { of: other, on_host: on_other, code: other_code, .. },
            ) => (of, on_host, code) == (other, on_other, other_code),
            (Self::Run { run, .. }, Self::Run { run: other, .. }) => run == other,
            (one, other) => one == other,
        }
    }
}
