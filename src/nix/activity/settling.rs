//! Which of the things that ended, ended well: counters tell, and not always in time.
//!
//! Nix writes that something stopped, and apart from it how many of its kind are done and have
//! failed; versions differ in which of the two comes first. So whatever stopped waits here until a
//! counter moved for it. What still waits when the counting itself stops was interrupted.

use std::collections::VecDeque;

/// Things of one kind, by their numbers in a list of their own.
#[derive(Clone, Debug, Default)]
pub(super) struct Settling {
    /// How many were counted as done and have not stopped yet.
    done: i64,
    /// How many were counted as failed and are not known yet; below 0, how many are known and were
    /// not counted yet.
    failed: i64,
    waiting: VecDeque<usize>,
}

impl Settling {
    /// Notes that so many more are done, and so many more have failed.
    pub(super) fn count(&mut self, done: u64, failed: u64) {
        let add = |sum: i64, more: u64| sum.saturating_add(i64::try_from(more).unwrap_or(i64::MAX));
        self.done = add(self.done, done);
        self.failed = add(self.failed, failed);
    }

    /// Notes that something stopped.
    pub(super) fn stopped(&mut self, which: usize) {
        self.forget(which);
        self.waiting.push_back(which);
    }

    /// Notes that something began again, or that it is known from elsewhere how it ended.
    pub(super) fn forget(&mut self, which: usize) {
        self.waiting.retain(|waiting| *waiting != which);
    }

    /// Notes that a failure that is or will be counted is known from elsewhere.
    pub(super) fn take_failure(&mut self) {
        self.failed = self.failed.saturating_sub(1);
    }

    /// Returns something that stopped for which a counter moved, and whether it ended well.
    pub(super) fn settle(&mut self) -> Option<(usize, bool)> {
        if self.waiting.is_empty() || (self.done <= 0 && self.failed <= 0) {
            return None;
        }
        let is_done = self.done > 0;
        if is_done {
            self.done -= 1;
        } else {
            self.failed -= 1;
        }
        self.waiting.pop_front().map(|which| (which, is_done))
    }

    /// Returns what no counter moved for, and begins again.
    pub(super) fn end(&mut self) -> VecDeque<usize> {
        (self.done, self.failed) = (0, 0);
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_may_move_before_and_after_the_stop() {
        let mut settling = Settling::default();
        settling.count(1, 0);
        assert_eq!(settling.settle(), None);
        settling.stopped(7);
        assert_eq!(settling.settle(), Some((7, true)));
        settling.stopped(8);
        assert_eq!(settling.settle(), None);
        settling.count(0, 1);
        assert_eq!(settling.settle(), Some((8, false)));
        settling.take_failure();
        settling.count(0, 1);
        settling.stopped(9);
        assert_eq!(settling.settle(), None, "the failure is known already");
        assert_eq!(settling.end(), [9]);
    }
}
