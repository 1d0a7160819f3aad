//! What is asked once per run and then known to all of its hosts, each answer by its key.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// Answers that are asked for once each, whoever needs them first.
pub(super) type OnceEach<K, T> = ByKey<K, OnceCell<T>>;

/// Places of answers, by their keys.
pub(super) struct ByKey<K, C> {
    cells: Mutex<HashMap<K, Arc<C>>>,
}

impl<K, C> Default for ByKey<K, C> {
    fn default() -> Self {
        Self { cells: Mutex::default() }
    }
}

impl<K: Clone + Eq + Hash, C: Default> ByKey<K, C> {
    /// Returns the place of one answer.
    pub(super) fn cell(&self, key: impl Into<K>) -> Arc<C> {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(cells.entry(key.into()).or_default())
    }

    /// Returns all places so far.
    pub(super) fn all(&self) -> Vec<(K, Arc<C>)> {
        let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        cells.iter().map(|(key, cell)| (key.clone(), Arc::clone(cell))).collect()
    }
}

/// Which tries that failed answer somebody who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SharedTry {
    /// One that was under way when the question came, or a later one.
    UnderWay,
    /// Only one that began after the question came, since something has changed meanwhile.
    Later,
}

/// An answer that is asked for until it is there. All who wait for a try learn how that one ended, so that a host
/// that does not answer is not waited for by one after the other.
pub(super) struct SharedAnswer<T, E> {
    /// How the last try ended; locked while one is under way.
    last: tokio::sync::Mutex<Option<Result<T, E>>>,
    /// How many tries were begun.
    begun: AtomicU64,
    /// How many tries have ended.
    ended: AtomicU64,
}

impl<T, E> Default for SharedAnswer<T, E> {
    fn default() -> Self {
        let (begun, ended) = (AtomicU64::default(), AtomicU64::default());
        Self { last: tokio::sync::Mutex::default(), begun, ended }
    }
}

impl<T: Clone, E: Clone> SharedAnswer<T, E> {
    /// Returns the answer, or the failure of a try that is shared; else tries. A try that is cancelled does not
    /// count, and the next one who waits begins another.
    pub(super) async fn get<Answer>(
        &self,
        shared: SharedTry,
        ask: impl FnOnce() -> Answer,
    ) -> Result<T, E>
    where
        Answer: Future<Output = Result<T, E>>,
    {
        let before = match shared {
            SharedTry::UnderWay => self.ended.load(Ordering::Acquire),
            SharedTry::Later => self.begun.load(Ordering::Acquire),
        };
        let mut last = self.last.lock().await;
        let ended = self.ended.load(Ordering::Acquire);
        match &*last {
            Some(Ok(answer)) => return Ok(answer.clone()),
            Some(Err(error)) if ended > before => return Err(error.clone()),
            Some(Err(_)) | None => {}
        }
        // One that was cancelled left its number to this one.
        self.begun.store(ended + 1, Ordering::Release);
        let answer = ask().await;
        *last = Some(answer.clone());
        self.ended.store(ended + 1, Ordering::Release);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::{Instant, sleep};

    /// How long a made-up host takes to say nothing.
    const SILENCE: Duration = Duration::from_secs(15);

    /// Asks a host that is silent; counts that.
    async fn silent(tries: &AtomicU64) -> Result<u64, u64> {
        let number = tries.fetch_add(1, Ordering::AcqRel) + 1;
        sleep(SILENCE).await;
        Err(number)
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_wait_for_a_host_that_is_silent_wait_for_one_try() {
        let (answer, tries) = (SharedAnswer::<u64, u64>::default(), AtomicU64::default());
        let ask = || answer.get(SharedTry::UnderWay, || silent(&tries));
        let began = Instant::now();
        assert_eq!(tokio::join!(ask(), ask(), ask()), (Err(1), Err(1), Err(1)));
        assert_eq!(began.elapsed(), SILENCE);
        assert_eq!(ask().await, Err(2), "whoever asks later tries again");
        assert_eq!(answer.get(SharedTry::UnderWay, || async { Ok(7) }).await, Ok(7));
        assert_eq!(ask().await, Ok(7), "what is known is not asked again");
        assert_eq!(tries.load(Ordering::Acquire), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_knows_that_the_host_is_awake_now_takes_no_failure_of_a_try_that_began_before() {
        let (answer, tries) = (SharedAnswer::<u64, u64>::default(), AtomicU64::default());
        let before = answer.get(SharedTry::UnderWay, || silent(&tries));
        let awake = async {
            sleep(SILENCE / 2).await;
            answer.get(SharedTry::Later, || async { Ok(7) }).await
        };
        assert_eq!(tokio::join!(before, awake), (Err(1), Ok(7)));
        let answer = SharedAnswer::<u64, u64>::default();
        let again = || answer.get(SharedTry::Later, || silent(&tries));
        // The first try began before the others asked; the one that follows is for both of them.
        assert_eq!(tokio::join!(again(), again(), again()), (Err(2), Err(3), Err(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_that_is_cancelled_leaves_the_question_open() {
        let (answer, tries) = (SharedAnswer::<u64, u64>::default(), AtomicU64::default());
        let ask = || answer.get(SharedTry::UnderWay, || silent(&tries));
        let cancelled = tokio::time::timeout(SILENCE / 3, ask());
        assert_eq!(tokio::join!(cancelled, ask()).1, Err(2));
    }
}
