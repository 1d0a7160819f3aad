//! Events of a run on their way to somebody who may be slower than they come.
//!
//! Whoever sends never waits. When too many log lines wait, further ones are counted instead of
//! kept, and a mark with the count ([`RunWhat::Dropped`]) stands where they would have been. What
//! tells how the run stands (phases, plan, results, summary) is always kept: it is little.

use crate::fleet::{DropReason, RunEvent, RunWhat};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What both ends share.
struct SharedQueue {
    state: Mutex<QueueState>,
    changed: Condvar,
    /// How many log lines and steps of progress may wait.
    limit: usize,
    /// What is written on the marks.
    why: DropReason,
}

#[derive(Default)]
struct QueueState {
    waiting: VecDeque<RunEvent>,
    /// How many of those that wait may be dropped.
    droppable: usize,
    /// Whether lines are dropped until half of the queue is taken: one mark stands for many lines.
    dropping: bool,
    /// Whether nothing more is sent.
    closed: bool,
    /// Whether nobody takes anything any more.
    gone: bool,
    /// How many events were taken so far.
    taken: u64,
}

impl SharedQueue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end that events are put in; cheap to clone.
#[derive(Clone)]
pub struct EventSender(Arc<SharedQueue>);

/// The end that events are taken from. When it is dropped, what is sent is forgotten.
pub struct EventReceiver(Arc<SharedQueue>);

/// Makes a queue in which at most `limit` log lines wait; marks say `why` further ones are missing.
pub fn event_queue(limit: usize, why: DropReason) -> (EventSender, EventReceiver) {
    let (state, changed) = (Mutex::default(), Condvar::new());
    let shared = Arc::new(SharedQueue { state, changed, limit, why });
    (EventSender(Arc::clone(&shared)), EventReceiver(shared))
}

impl EventSender {
    /// Puts an event in, or counts it as left out; never waits.
    pub fn send(&self, event: RunEvent) {
        let mut state = self.0.lock();
        if state.closed || state.gone {
            return;
        }
        if event.what.may_be_dropped() {
            let limit = if state.dropping { self.0.limit / 2 } else { self.0.limit };
            state.dropping = state.droppable >= limit.max(1);
            if state.dropping {
                leave_out(&mut state.waiting, event, self.0.why);
                return;
            }
            state.droppable += 1;
        }
        state.waiting.push_back(event);
        drop(state);
        self.0.changed.notify_one();
    }

    /// Returns how many log lines may be put in now without one being left out; any number where nobody takes
    /// them any more.
    pub fn room(&self) -> usize {
        let state = self.0.lock();
        let limit = if state.dropping { self.0.limit / 2 } else { self.0.limit };
        if state.closed || state.gone { usize::MAX } else { limit.saturating_sub(state.droppable) }
    }

    /// Says that nothing more comes; what waits can still be taken, and what is sent from now on
    /// is forgotten.
    pub fn close(&self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }

    /// Returns how many events were taken so far: a number that stands still tells of a reader who
    /// hangs.
    pub fn taken(&self) -> u64 {
        self.0.lock().taken
    }
}

/// Counts a line on the mark at the end of the queue, or on a fresh one. Progress leaves no mark:
/// the next one says more.
fn leave_out(waiting: &mut VecDeque<RunEvent>, event: RunEvent, why: DropReason) {
    let RunEvent { run, at, what: RunWhat::Log { host, .. } } = event else { return };
    if let Some(RunEvent { what: RunWhat::Dropped { lines, hosts, .. }, .. }) = waiting.back_mut() {
        *lines += 1;
        *hosts.entry(host).or_default() += 1;
        return;
    }
    let what = RunWhat::Dropped { lines: 1, hosts: BTreeMap::from([(host, 1)]), events: 0, why };
    waiting.push_back(RunEvent { run, at, what });
}

/// Returns whether there is nothing to take, and something may come.
fn is_idle(state: &mut QueueState) -> bool {
    state.waiting.is_empty() && !state.closed
}

impl EventReceiver {
    /// Waits for events and takes at most `most` of them into `batch`; returns whether there may be
    /// more: none come once the queue was closed and is empty.
    pub fn take(&self, batch: &mut Vec<RunEvent>, most: usize) -> bool {
        let state = self.0.lock();
        let waited = self.0.changed.wait_while(state, is_idle);
        Self::take_now(&mut waited.unwrap_or_else(PoisonError::into_inner), batch, most)
    }

    /// Does what [`EventReceiver::take`] does, but waits no longer than `limit`, after which there
    /// may be nothing in the batch.
    pub fn take_within(&self, batch: &mut Vec<RunEvent>, most: usize, limit: Duration) -> bool {
        let state = self.0.lock();
        let waited = self.0.changed.wait_timeout_while(state, limit, is_idle);
        Self::take_now(&mut waited.unwrap_or_else(PoisonError::into_inner).0, batch, most)
    }

    fn take_now(state: &mut QueueState, batch: &mut Vec<RunEvent>, most: usize) -> bool {
        let open = !(state.closed && state.waiting.is_empty());
        let count = most.min(state.waiting.len());
        let before = batch.len();
        batch.extend(state.waiting.drain(..count));
        let droppable = batch[before..].iter().filter(|event| event.what.may_be_dropped()).count();
        state.droppable = state.droppable.saturating_sub(droppable);
        state.taken += count as u64;
        open
    }
}

impl Drop for EventReceiver {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.gone = true;
        state.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Phase, PhaseState, RunId};
    use jiff::Timestamp;

    fn event(what: RunWhat) -> RunEvent {
        RunEvent { run: RunId("7".to_owned()), at: Timestamp::UNIX_EPOCH, what }
    }

    fn line(host: &str) -> RunEvent {
        let (host, line) = (host.to_owned(), "x".to_owned());
        event(RunWhat::log(host, Phase::Build, line))
    }

    fn phase(state: PhaseState) -> RunEvent {
        event(RunWhat::Phase { host: "samsung".to_owned(), phase: Phase::Build, state })
    }

    /// Takes everything that waits.
    fn all(receiver: &EventReceiver) -> Vec<RunEvent> {
        let mut batch = Vec::new();
        while receiver.take(&mut batch, 3) {}
        batch
    }

    #[test]
    fn lines_beyond_the_limit_are_counted_and_phases_are_kept_in_their_place() {
        let (sender, receiver) = event_queue(4, DropReason::SlowReader);
        sender.send(phase(PhaseState::Started));
        for _ in 0..9 {
            sender.send(line("samsung"));
        }
        sender.send(line("razer"));
        sender.send(phase(PhaseState::Finished));
        sender.send(line("samsung"));
        sender.close();
        sender.send(phase(PhaseState::Failed));
        let found = all(&receiver);
        let dropped = |lines, hosts: &[(&str, u64)]| {
            let hosts = hosts.iter().map(|(host, count)| ((*host).to_owned(), *count)).collect();
            event(RunWhat::Dropped { lines, hosts, events: 0, why: DropReason::SlowReader })
        };
        let mut expected = vec![phase(PhaseState::Started)];
        expected.extend(std::iter::repeat_n(line("samsung"), 4));
        expected.extend([
            dropped(6, &[("razer", 1), ("samsung", 5)]),
            phase(PhaseState::Finished),
            dropped(1, &[("samsung", 1)]),
        ]);
        assert_eq!(found, expected);
        assert_eq!(sender.taken(), expected.len() as u64);
    }

    #[test]
    fn lines_are_taken_again_once_half_of_the_queue_is_empty() {
        let (sender, receiver) = event_queue(4, DropReason::SlowReader);
        for _ in 0..5 {
            sender.send(line("samsung"));
        }
        assert_eq!(sender.room(), 0);
        let mut batch = Vec::new();
        assert!(receiver.take(&mut batch, 1));
        sender.send(line("samsung"));
        assert!(receiver.take(&mut batch, 2));
        assert_eq!(sender.room(), 1);
        sender.send(line("samsung"));
        sender.close();
        let rest = all(&receiver);
        assert_eq!(rest.len(), 3, "{rest:?}");
        assert!(matches!(rest[1].what, RunWhat::Dropped { lines: 2, .. }), "{rest:?}");
        assert_eq!(rest[2], line("samsung"));
    }

    #[test]
    fn nobody_waits_for_a_receiver_that_is_gone() {
        let (sender, receiver) = event_queue(4, DropReason::SlowReader);
        drop(receiver);
        for _ in 0..100 {
            sender.send(phase(PhaseState::Started));
        }
        assert_eq!(sender.0.lock().waiting.len(), 0);
    }
}
