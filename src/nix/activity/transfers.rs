//! How much came from each cache in how much time, as the log of one process of Nix tells it.
//!
//! Nix writes no times: the reader says when it read each line. A cache is busy while at least one
//! file of 1 MB or more is on its way from there, from the first byte that came to the end; smaller
//! files tell of the latency, not of the speed. Nix says the size of a file as it came over the
//! network, so it is the compressed one.

use crate::fleet::TimedBytes;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// The size from which on a file is timed, in bytes.
const BIG: u64 = 1_000_000;

/// The shortest time that a speed is told from: lines come by a few milliseconds late.
const SHORTEST: Duration = Duration::from_millis(10);

/// A file on its way.
struct RunningCopy {
    /// The cache that it comes from: a URL without settings and trailing slash.
    from: String,
    /// When its first byte was seen; when it began, until then.
    since: Duration,
    /// Bytes that came so far.
    bytes: u64,
}

/// Files that came from one cache.
#[derive(Default)]
struct ArrivedPath {
    bytes: u64,
    /// From when until when each was on its way.
    times: Vec<(Duration, Duration)>,
}

/// The files of one process of Nix.
#[derive(Default)]
pub(super) struct Transfers {
    running: HashMap<u64, RunningCopy>,
    arrived: BTreeMap<String, ArrivedPath>,
    /// Whether lines came late: when something happened is not known any more.
    is_late: bool,
}

impl Transfers {
    /// Notes that a file is asked for.
    pub(super) fn start(&mut self, id: u64, from: String, now: Duration) {
        if !self.is_late {
            self.running.insert(id, RunningCopy { from, since: now, bytes: 0 });
        }
    }

    /// Notes how many bytes of a file came so far.
    pub(super) fn progress(&mut self, id: u64, bytes: u64, now: Duration) {
        let Some(running) = self.running.get_mut(&id) else { return };
        if running.bytes == 0 && bytes > 0 && bytes < BIG {
            running.since = now;
        }
        running.bytes = running.bytes.max(bytes);
    }

    /// Notes that a file ended.
    pub(super) fn stop(&mut self, id: u64, now: Duration) {
        let Some(running) = self.running.remove(&id).filter(|running| running.bytes >= BIG) else {
            return;
        };
        let arrived = self.arrived.entry(running.from).or_default();
        arrived.bytes = arrived.bytes.saturating_add(running.bytes);
        arrived.times.push((running.since, now));
    }

    /// Notes that lines come later than they were written, as after a lost connection: what ended
    /// before keeps its time, nothing else gets one.
    pub(super) fn lines_are_late(&mut self) {
        self.is_late = true;
        self.running.clear();
    }

    /// Returns what came from each cache.
    pub(super) fn timed(&self) -> impl Iterator<Item = (&str, TimedBytes)> {
        self.arrived.iter().filter_map(|(from, arrived)| {
            let busy = union(&arrived.times);
            let busy_ms = u64::try_from(busy.as_millis()).ok()?;
            (busy >= SHORTEST)
                .then_some((from.as_str(), TimedBytes { bytes: arrived.bytes, busy_ms }))
        })
    }
}

/// Returns how long at least one of some times lasted.
fn union(times: &[(Duration, Duration)]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    let (mut sum, mut end) = (Duration::ZERO, Duration::ZERO);
    for (from, until) in times {
        sum += until.saturating_sub(from.max(end));
        end = end.max(until);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millisecond: u64) -> Duration {
        Duration::from_millis(millisecond)
    }

    /// Lets a file come from a cache between two times.
    fn file(transfers: &mut Transfers, id: u64, from: &str, bytes: u64, times: [u64; 2]) {
        transfers.start(id, from.to_owned(), at(times[0]));
        transfers.progress(id, bytes, at(times[1]));
        transfers.stop(id, at(times[1]));
    }

    #[test]
    fn files_that_come_at_the_same_time_share_it_and_pauses_do_not_count() {
        let mut transfers = Transfers::default();
        file(&mut transfers, 1, "http://a", 4_000_000, [0, 400]);
        file(&mut transfers, 2, "http://a", 2_000_000, [100, 500]);
        file(&mut transfers, 3, "http://a", 1_000_000, [9_500, 10_000]);
        file(&mut transfers, 4, "http://a", 999_999, [20_000, 30_000]);
        file(&mut transfers, 5, "http://b", 8_000_000, [0, 30_000]);
        let timed: Vec<_> = transfers.timed().collect();
        let a = TimedBytes { bytes: 7_000_000, busy_ms: 1000 };
        let b = TimedBytes { bytes: 8_000_000, busy_ms: 30_000 };
        assert_eq!(timed, [("http://a", a), ("http://b", b)]);
        assert_eq!(a.bytes_per_s(), Some(7_000_000.0));
    }

    #[test]
    fn a_file_that_waits_for_its_turn_is_timed_from_its_first_byte() {
        let mut transfers = Transfers::default();
        transfers.start(1, "http://a".to_owned(), at(0));
        transfers.progress(1, 0, at(1));
        transfers.progress(1, 16_384, at(4_000));
        transfers.progress(1, 3_000_000, at(4_600));
        transfers.stop(1, at(4_600));
        let a = TimedBytes { bytes: 3_000_000, busy_ms: 600 };
        assert_eq!(transfers.timed().collect::<Vec<_>>(), [("http://a", a)]);
    }

    #[test]
    fn what_is_read_late_has_no_speed_and_what_ended_before_keeps_its_own() {
        let mut transfers = Transfers::default();
        file(&mut transfers, 1, "http://a", 4_000_000, [0, 400]);
        transfers.start(2, "http://a".to_owned(), at(500));
        transfers.lines_are_late();
        transfers.progress(2, 9_000_000, at(60_000));
        transfers.stop(2, at(60_000));
        file(&mut transfers, 3, "http://a", 9_000_000, [60_001, 60_090]);
        let a = TimedBytes { bytes: 4_000_000, busy_ms: 400 };
        assert_eq!(transfers.timed().collect::<Vec<_>>(), [("http://a", a)]);
    }

    #[test]
    fn times_that_are_too_short_or_make_no_sense_are_no_speed() {
        let mut transfers = Transfers::default();
        file(&mut transfers, 1, "http://a", 4_000_000, [5, 9]);
        file(&mut transfers, 2, "http://b", 4_000_000, [900, 100]);
        transfers.stop(77, at(1));
        transfers.progress(78, u64::MAX, at(1));
        assert_eq!(transfers.timed().count(), 0);
    }
}
