//! Tells that a phase waits for a host which does not answer any more.

use super::step::Step;
use crate::fleet::Wait;
use jiff::Timestamp;

/// The silence of the host that a phase talks to: told when it begins, and when it ends.
///
/// Nothing is told where something else is that says more: that the host goes back, or what it decides is
/// waited for.
pub(super) struct HostSilence<'a> {
    step: &'a Step,
    lasts: bool,
}

impl<'a> HostSilence<'a> {
    /// Tells the silences of a phase.
    pub(super) fn new(step: &'a Step) -> Self {
        Self { step, lasts: false }
    }

    /// Tells since when a host does not answer, and until when it is tried.
    pub(super) fn begins(&mut self, host: &str, since: Timestamp, until: Option<Timestamp>) {
        let (teller, name) = (&self.step.shared.teller, &self.step.host.name);
        if !teller.is_waiting(name) {
            self.lasts = true;
            teller.waits(name, Some(Wait::Answer { host: host.to_owned(), since, until }));
        }
    }

    /// Tells that the host answers, or is given up.
    pub(super) fn ends(&mut self) {
        if std::mem::take(&mut self.lasts) {
            self.step.shared.teller.waits(&self.step.host.name, None);
        }
    }
}
