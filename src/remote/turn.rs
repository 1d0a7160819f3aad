//! The time limit of a script: it runs while the host is asked, and stands still while the script
//! waits for its turn.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// A limit that can stand still.
pub(super) struct Turn {
    clock: Mutex<Clock>,
}

/// When the limit ends, and since when it stands still.
struct Clock {
    deadline: Instant,
    waiting_since: Option<Instant>,
}

impl Turn {
    /// Begins a limit.
    pub(super) fn new(limit: Duration) -> Self {
        // Limits are hours at most; a longer one ends in a year.
        let now = Instant::now();
        let year = Duration::from_secs(365 * 24 * 3600);
        let deadline = now.checked_add(limit).unwrap_or(now + year);
        Self { clock: Mutex::new(Clock { deadline, waiting_since: None }) }
    }

    fn clock(&self) -> MutexGuard<'_, Clock> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something that others hold; the limit stands still meanwhile.
    ///
    /// One wait at a time: what waits beside another one would stop the clock of both.
    pub(super) async fn wait<T>(&self, what: impl Future<Output = T>) -> T {
        self.clock().waiting_since = Some(Instant::now());
        let _resume = Resume(self);
        what.await
    }

    /// Does something within the limit; nothing when the limit is over first.
    pub(super) async fn within<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        loop {
            let deadline = self.deadline();
            if let Ok(value) = timeout_at(deadline, &mut work).await {
                return Some(value);
            }
            if self.deadline() <= Instant::now() {
                return None;
            }
        }
    }

    /// Returns when the limit would end if the wait ended now.
    fn deadline(&self) -> Instant {
        let clock = self.clock();
        match clock.waiting_since {
            Some(since) => clock.deadline + since.elapsed(),
            None => clock.deadline,
        }
    }
}

/// Lets the clock run again, also when the wait was given up.
struct Resume<'a>(&'a Turn);

impl Drop for Resume<'_> {
    fn drop(&mut self) {
        let mut clock = self.0.clock();
        if let Some(since) = clock.waiting_since.take() {
            clock.deadline += since.elapsed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_turn_does_not_count() {
        let turn = Turn::new(Duration::from_secs(10));
        let work = async {
            sleep(Duration::from_secs(4)).await;
            turn.wait(sleep(Duration::from_secs(300))).await;
            sleep(Duration::from_secs(5)).await;
            7
        };
        assert_eq!(turn.within(work).await, Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn the_own_time_counts_before_and_after_a_wait() {
        let began = Instant::now();
        let turn = Turn::new(Duration::from_secs(10));
        let work = async {
            sleep(Duration::from_secs(6)).await;
            turn.wait(sleep(Duration::from_secs(300))).await;
            sleep(Duration::from_secs(6)).await;
        };
        assert_eq!(turn.within(work).await, None);
        assert_eq!(began.elapsed().as_secs(), 310);
    }
}
