//! Small things about time and chance that probes share.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::time::Duration;
use tokio::time::Instant;

/// The time between two beats. What waits for seconds ends on a beat, so that nixdash wakes once for all
/// of it and the screen changes once.
const BEAT: Duration = Duration::from_secs(1);

/// Returns when a wait of about so long ends: on the beat that is nearest. One of less than two beats
/// ends when it ends.
pub fn on_beat(wait: Duration) -> Instant {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let now = Instant::now();
    let first = *FIRST.get_or_init(|| now);
    let end = now + wait;
    match end.checked_duration_since(first) {
        Some(since) if wait >= 2 * BEAT => first + nearest_beat(since),
        Some(_) | None => end,
    }
}

/// Returns the next beat.
pub fn next_beat() -> Instant {
    on_beat(Duration::ZERO).max(on_beat(2 * BEAT) - BEAT)
}

/// Returns the time of the beat that is nearest, counted from the first one.
fn nearest_beat(time: Duration) -> Duration {
    Duration::from_secs((time + BEAT / 2).as_secs())
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

    #[test]
    fn a_wait_ends_on_the_nearest_beat() {
        let nearest = |ms| nearest_beat(Duration::from_millis(ms)).as_secs();
        assert_eq!([4_550, 5_000, 5_499, 5_500].map(nearest), [5, 5, 5, 6]);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_that_begin_apart_end_together_and_short_ones_when_they_end() {
        let first = on_beat(Duration::from_secs(5));
        tokio::time::advance(Duration::from_millis(200)).await;
        assert_eq!(on_beat(Duration::from_millis(4_900)), first);
        let now = Instant::now();
        assert_eq!(on_beat(Duration::from_millis(40)), now + Duration::from_millis(40));
        let next = next_beat();
        assert!(next > now && next <= now + BEAT, "{:?}", next - now);
        assert_eq!((first - next).subsec_millis(), 0);
    }
}
