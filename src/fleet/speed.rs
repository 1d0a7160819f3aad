//! Speed seen: how fast caches sent real files, and whether a host asks a slow one before a fast one.
//!
//! Latency says nothing of it: some servers answer narinfos at once and send nars very slowly.

use crate::fleet::bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How many times slower a cache must be that is asked earlier, to be worth a finding.
const MUCH_SLOWER: f64 = 5.0;

/// How many fetches the speed of a cache must be told from, to be worth a finding.
const FEW: usize = 2;

/// Which share of what the slow cache holds the fast one must hold too.
const THE_SAME: f64 = 0.9;

/// What was fetched from one cache in files that are big enough to be timed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimedBytes {
    /// Bytes as they came over the network, compressed as the cache has them.
    pub bytes: u64,
    /// How long at least one of the files was on its way, in milliseconds.
    pub busy_ms: u64,
}

impl TimedBytes {
    /// Returns the speed, in bytes per second; nothing where no time passed.
    pub fn bytes_per_s(self) -> Option<f64> {
        (self.busy_ms > 0).then(|| self.bytes as f64 * 1000.0 / self.busy_ms as f64)
    }

    /// Returns both together: what one process fetched after the other.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            busy_ms: self.busy_ms.saturating_add(other.busy_ms),
        }
    }
}

/// One fetch: what one host got from one cache for one host of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedFetch {
    /// The name of the tier; a URL where no tier has it.
    pub source: String,
    /// The host that fetched.
    pub host: String,
    /// When.
    pub at: Timestamp,
    /// How much in which time.
    pub timed: TimedBytes,
}

/// How fast a cache was seen to send files.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpeedSeen {
    /// The median of its fetches, in bytes per second.
    pub bytes_per_s: f64,
    /// How many fetches it is told from.
    pub fetches: usize,
    /// When the newest of them was.
    pub newest: Timestamp,
}

impl SpeedSeen {
    /// Returns the speed as people read it: `4.60 MB/s`.
    pub fn rate(&self) -> String {
        format!("{}/s", bytes(self.bytes_per_s.round() as u64))
    }

    /// Returns the speed with what it is told from: `4.60 MB/s (median of 3 fetches in 7 days)`.
    pub fn words(&self) -> String {
        let rate = self.rate();
        match self.fetches {
            1 => format!("{rate} (one fetch in 7 days)"),
            fetches => format!("{rate} (median of {fetches} fetches in 7 days)"),
        }
    }
}

/// Returns the median speed of some fetches; nothing when there are none.
pub fn speed_seen<'a>(fetches: impl IntoIterator<Item = &'a TimedFetch>) -> Option<SpeedSeen> {
    let mut newest: Option<Timestamp> = None;
    let mut speeds: Vec<f64> = Vec::new();
    for fetch in fetches {
        let Some(speed) = fetch.timed.bytes_per_s() else { continue };
        newest = newest.max(Some(fetch.at));
        speeds.push(speed);
    }
    speeds.sort_by(f64::total_cmp);
    let middle = speeds.len() / 2;
    let upper = *speeds.get(middle)?;
    let is_odd = speeds.len() % 2 == 1;
    let median = if is_odd { upper } else { f64::midpoint(speeds[middle - 1], upper) };
    Some(SpeedSeen { bytes_per_s: median, fetches: speeds.len(), newest: newest? })
}

/// A cache that a host asks.
#[derive(Clone, Debug, PartialEq)]
pub struct RankedSpeed<'a> {
    /// The name of the tier.
    pub tier: &'a str,
    /// In which place the host asks it, from 1.
    pub rank: u32,
    /// How fast it sent files to this host; none when none was seen.
    pub speed: Option<SpeedSeen>,
}

/// Returns the caches that are much slower than one that is asked later and holds the same paths,
/// each with the fastest of those.
///
/// `shared` returns which share of what the first tier holds the second holds too, 0 to 1, and
/// nothing where that is not known. Only speeds that the same host saw are compared: a laptop far
/// away says nothing of what the builder beside the cache gets.
pub fn slow_first<'a>(
    asked: &[RankedSpeed<'a>],
    shared: impl Fn(&str, &str) -> Option<f64>,
) -> Vec<(RankedSpeed<'a>, RankedSpeed<'a>)> {
    let known = |one: &RankedSpeed<'_>| one.speed.filter(|speed| speed.fetches >= FEW);
    let pair = |slow: &RankedSpeed<'a>| {
        let limit = known(slow)?.bytes_per_s * MUCH_SLOWER;
        let faster = asked.iter().filter_map(|fast| {
            let speed = known(fast)?.bytes_per_s;
            let is_later = fast.rank > slow.rank && speed >= limit;
            let holds =
                is_later && shared(slow.tier, fast.tier).is_some_and(|part| part >= THE_SAME);
            holds.then_some((speed, fast))
        });
        let (_, fastest) = faster.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
        Some((slow.clone(), fastest.clone()))
    };
    asked.iter().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::UNIX_EPOCH;

    fn fetch(second: i64, bytes: u64, busy_ms: u64) -> TimedFetch {
        TimedFetch {
            source: "p620".to_owned(),
            host: "razer".to_owned(),
            at: Timestamp::from_second(second).unwrap(),
            timed: TimedBytes { bytes, busy_ms },
        }
    }

    fn ranked(
        tier: &'static str,
        rank: u32,
        megabytes: f64,
        fetches: usize,
    ) -> RankedSpeed<'static> {
        let speed = SpeedSeen { bytes_per_s: megabytes * 1e6, fetches, newest: AT };
        RankedSpeed { tier, rank, speed: Some(speed) }
    }

    #[test]
    fn the_speed_of_a_cache_is_the_median_of_its_fetches_and_one_odd_fetch_does_not_move_it() {
        let fetches =
            [fetch(1, 10_000_000, 1000), fetch(3, 1_000_000, 60_000), fetch(2, 12_000_000, 1000)];
        let seen = speed_seen(&fetches).unwrap();
        assert_eq!((seen.bytes_per_s.round() as u64, seen.fetches), (10_000_000, 3));
        assert_eq!(seen.newest.as_second(), 3);
        let of_two = speed_seen(&[fetches[0].clone(), fetches[2].clone()]).unwrap();
        assert_eq!(of_two.bytes_per_s.round() as u64, 11_000_000);
        assert_eq!(speed_seen(&[]), None, "unknown is not zero");
        assert_eq!(speed_seen(&[fetch(1, 10_000_000, 0)]), None, "no time is no speed");
    }

    #[test]
    fn a_slow_cache_is_told_only_when_it_is_asked_before_a_fast_one_with_the_same_paths() {
        let same = |_: &str, _: &str| Some(0.95);
        let asked =
            [ranked("ng", 1, 2.0, 3), ranked("nixos", 2, 40.0, 3), ranked("weed", 3, 90.0, 3)];
        let found = slow_first(&asked, same);
        let names: Vec<_> = found.iter().map(|(slow, fast)| (slow.tier, fast.tier)).collect();
        assert_eq!(names, [("ng", "weed")], "40 is not five times slower than 90");
        // The fast one is asked first already.
        let turned = [ranked("ng", 3, 2.0, 3), ranked("nixos", 2, 40.0, 3)];
        assert_eq!(slow_first(&turned, same), []);
        // It holds other paths, or nobody knows.
        assert_eq!(slow_first(&asked, |_, _| Some(0.5)), []);
        assert_eq!(slow_first(&asked, |_, _| None), []);
        // One fetch may have been anything.
        let once = [ranked("ng", 1, 2.0, 1), ranked("nixos", 2, 40.0, 3)];
        assert_eq!(slow_first(&once, same), []);
        let unseen = [RankedSpeed { speed: None, ..ranked("ng", 1, 2.0, 3) }, asked[1].clone()];
        assert_eq!(slow_first(&unseen, same), []);
    }
}
