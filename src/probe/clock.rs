//! Small things about time and chance that probes share.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Returns a number from 0 to 1, different each time: enough for jitter, not for secrets.
pub(super) fn chance() -> f64 {
    let bits = RandomState::new().hash_one(0_u8) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

/// Returns milliseconds with a fraction.
pub(super) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
