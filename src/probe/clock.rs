//! Small things about time and chance that probes share.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::time::Duration;
use tokio::time::Instant;

/// The time between two beats. What is asked again and again is asked on a beat, so that nixdash wakes once
/// for all of it and the screen changes once.
const BEAT: Duration = Duration::from_secs(5);

/// What other waits of some seconds end on. Beats fall on such seconds.
const SECOND: Duration = Duration::from_secs(1);

/// Returns when a wait of about so long ends: on a beat, where it is one of some beats up to a tenth; else on
/// the second that is nearest. One of less than two seconds ends when it ends.
pub fn on_beat(wait: Duration) -> Instant {
    let (first, now) = beats();
    first + end_of(now.saturating_duration_since(first), wait)
}

/// Returns when the next second begins, counted from the first beat.
pub fn next_second() -> Instant {
    let (first, now) = beats();
    first + SECOND * (now.saturating_duration_since(first).as_secs() as u32).saturating_add(1)
}

/// Returns the first beat, and now.
fn beats() -> (Instant, Instant) {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let now = Instant::now();
    (*FIRST.get_or_init(|| now), now)
}

/// Returns when a wait ends that begins at a time, both counted from the first beat.
fn end_of(begin: Duration, wait: Duration) -> Duration {
    let of_beats = nearest(wait, BEAT);
    if !of_beats.is_zero() && wait.abs_diff(of_beats) <= of_beats / 10 {
        nearest(begin + of_beats, BEAT)
    } else if wait >= 2 * SECOND {
        nearest(begin + wait, SECOND)
    } else {
        begin + wait
    }
}

/// Returns the multiple of so many whole seconds that is nearest to a time.
fn nearest(time: Duration, of: Duration) -> Duration {
    of * ((time + of / 2).as_secs() / of.as_secs()) as u32
}

/// Returns a number from 0 to 1, different each time: enough for jitter, not for secrets.
pub(super) fn chance() -> f64 {
    let bits = RandomState::new().hash_one(0_u8) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

/// Returns milliseconds with a fraction.
pub(super) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns when waits end, all in milliseconds since the first beat.
    fn ends<const N: usize>(waits: [(u64, u64); N]) -> [u128; N] {
        let of = Duration::from_millis;
        waits.map(|(begin, wait)| end_of(of(begin), of(wait)).as_millis())
    }

    #[test]
    fn what_is_asked_every_few_beats_is_asked_on_a_beat_however_long_the_answer_took() {
        assert_eq!(ends([(0, 4_500), (150, 5_500), (900, 5_500), (2_400, 4_600)]), [5_000; 4]);
        assert_eq!(ends([(6_300, 5_000), (150, 9_000), (150, 11_000)]), [10_000; 3]);
        assert_eq!(ends([(100, 54_000), (100, 66_000)]), [55_000, 65_000]);
    }

    #[test]
    fn another_wait_ends_on_the_nearest_second_and_a_short_one_when_it_ends() {
        assert_eq!(ends([(600, 2_000), (0, 7_000), (300, 2_100)]), [3_000, 7_000, 2_000]);
        assert_eq!(ends([(600, 1_999), (600, 0), (40, 40)]), [2_599, 600, 80]);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_that_begin_apart_end_together_and_seconds_begin_with_the_beats() {
        let first = on_beat(Duration::from_secs(5));
        tokio::time::advance(Duration::from_millis(200)).await;
        assert_eq!(on_beat(Duration::from_millis(4_900)), first);
        let now = Instant::now();
        assert_eq!(on_beat(Duration::from_millis(40)), now + Duration::from_millis(40));
        let next = next_second();
        assert!(next > now && next <= now + SECOND, "{:?}", next - now);
        assert_eq!((first - next).subsec_millis(), 0);
    }
}
