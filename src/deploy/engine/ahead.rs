//! Work beside the phases: a phase that needs nothing of the one before it is begun beside that one,
//! and work that nobody waits for goes on behind its phase until the run ends.
//!
//! The machine knows nothing of it: a phase whose work was begun ahead ends sooner, that is all.

use super::step::Step;
use crate::deploy::{Failure, Report};
use crate::fleet::Phase;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;

/// How long work that nobody waits for may keep a run from its end.
const BEHIND_LIMIT: Duration = Duration::from_secs(5);

/// Hosts whose next phase is begun ahead at once: evaluations need memory, and the other hosts of a
/// larger run must not wait for those of hosts that turn out to be away.
const AHEAD: usize = 2;

/// The end of a phase that was begun ahead. Dropping it stops the work.
pub(super) type BegunAhead = AbortOnDropHandle<Result<Report, Failure>>;

/// What goes on beside the phases of a run.
#[derive(Default)]
pub(super) struct Beside {
    ahead: Mutex<BTreeMap<(String, Phase), BegunAhead>>,
    behind: Mutex<Vec<AbortOnDropHandle<()>>>,
}

impl Beside {
    /// Begins a phase ahead, unless enough are begun: it is stopped when what is returned is dropped
    /// before [`Beside::take`] took it over.
    pub(super) fn begin(&self, step: &Step, phase: Phase) -> Option<Ahead<'_>> {
        let key = (step.host.name.clone(), phase);
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if ahead.len() >= AHEAD {
            return None;
        }
        let (shared, host) = (Arc::clone(&step.shared), step.host.clone());
        let step = Step::new(shared, host, phase, step.known.clone());
        let work = tokio::spawn(async move { step.carry_out_itself().await });
        ahead.insert(key.clone(), AbortOnDropHandle::new(work));
        Some(Ahead { beside: self, key: Some(key) })
    }

    /// Takes over a phase that was begun ahead.
    pub(super) fn take(&self, step: &Step) -> Option<BegunAhead> {
        let key = (step.host.name.clone(), step.phase);
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner).remove(&key)
    }

    /// Lets work go on behind its phase.
    pub(super) fn go_on(&self, work: impl Future<Output = ()> + Send + 'static) {
        let work = AbortOnDropHandle::new(tokio::spawn(work));
        self.behind.lock().unwrap_or_else(PoisonError::into_inner).push(work);
    }

    /// Waits for what goes on behind its phase, for some seconds.
    pub(super) async fn settle(&self) {
        let behind =
            std::mem::take(&mut *self.behind.lock().unwrap_or_else(PoisonError::into_inner));
        let all = futures_util::future::join_all(behind);
        drop(tokio::time::timeout(BEHIND_LIMIT, all).await);
    }
}

/// A phase that was begun ahead of the one that runs; stopped when that one fails or is stopped.
pub(super) struct Ahead<'a> {
    beside: &'a Beside,
    key: Option<(String, Phase)>,
}

impl Ahead<'_> {
    /// Lets it go on: the phase before it went well.
    pub(super) fn keep(mut self) {
        self.key = None;
    }
}

impl Drop for Ahead<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.beside.ahead.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        }
    }
}
