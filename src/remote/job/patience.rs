//! How often a host is asked again that did not answer.

use crate::remote::{RemoteError, Trouble};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// How long to wait before a host that is away is asked again.
const AGAIN: Duration = Duration::from_millis(500);

/// How often a login may be refused: OpenSSH 9.8 and newer shut an address out that is refused more
/// often, and then it looks like a network that is gone.
const REFUSALS: u32 = 3;

/// How long to wait after a refused login.
const AFTER_REFUSAL: Duration = Duration::from_secs(10);

/// How long to wait after a login that did not become root.
const AFTER_NO_ROOT: Duration = Duration::from_secs(3);

/// Counts the silence of one host.
pub struct Patience {
    limit: Duration,
    silent_since: Option<Instant>,
    refusals: u32,
}

impl Patience {
    /// Waits for a host that is silent for at most this long.
    pub fn new(limit: Duration) -> Self {
        Self { limit, silent_since: None, refusals: 0 }
    }

    /// Returns until when a host that is silent from a time on is asked.
    pub fn until(&self, since: Timestamp) -> Timestamp {
        since.checked_add(self.limit).unwrap_or(Timestamp::MAX)
    }

    /// Notes that the host answered.
    pub fn answered(&mut self) {
        self.silent_since = None;
        self.refusals = 0;
    }

    /// Returns whether the host has been silent since it was last asked.
    pub fn is_silent(&self) -> bool {
        self.silent_since.is_some()
    }

    /// Returns how long to wait before it is asked again; nothing when it is given up.
    pub fn again(&mut self, error: &RemoteError) -> Option<Duration> {
        self.again_at(error, Instant::now())
    }

    fn again_at(&mut self, error: &RemoteError, now: Instant) -> Option<Duration> {
        let since = *self.silent_since.get_or_insert(now);
        if now.duration_since(since) > self.limit {
            return None;
        }
        match error.trouble {
            // A machine that starts may answer with its initrd first.
            Trouble::Locked => Some(AFTER_REFUSAL),
            Trouble::Denied | Trouble::HostKey(_) => {
                self.refusals += 1;
                (self.refusals < REFUSALS).then_some(AFTER_REFUSAL)
            }
            // While a system is activated, sudo may be missing for a moment.
            Trouble::NotRoot(_) => {
                self.refusals += 1;
                (self.refusals < REFUSALS).then_some(AFTER_NO_ROOT)
            }
            Trouble::Untrusted | Trouble::Here => None,
            Trouble::Unreachable | Trouble::Lost | Trouble::Slow(_) => Some(AGAIN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(trouble: Trouble) -> RemoteError {
        RemoteError::new("samsung", trouble, "x")
    }

    #[test]
    fn a_host_that_is_away_is_asked_until_the_time_is_over() {
        let mut patience = Patience::new(Duration::from_secs(60));
        let began = Instant::now();
        let away = error(Trouble::Unreachable);
        assert_eq!(patience.again_at(&away, began), Some(AGAIN));
        assert_eq!(patience.again_at(&away, began + Duration::from_secs(60)), Some(AGAIN));
        assert_eq!(patience.again_at(&away, began + Duration::from_secs(61)), None);
        patience.answered();
        assert_eq!(patience.again_at(&away, began + Duration::from_secs(99)), Some(AGAIN));
    }

    #[test]
    fn a_refused_login_is_tried_three_times_and_slowly() {
        let mut patience = Patience::new(Duration::from_secs(600));
        let refused = error(Trouble::Denied);
        assert_eq!(patience.again(&refused), Some(AFTER_REFUSAL));
        assert_eq!(patience.again(&refused), Some(AFTER_REFUSAL));
        assert_eq!(patience.again(&refused), None);
    }
}
