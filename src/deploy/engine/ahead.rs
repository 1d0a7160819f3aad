//! Work beside the phases: work of a phase that needs nothing of the one before it is begun beside that
//! one, and work that nobody waits for goes on behind its phase until the run ends.
//!
//! The machine knows nothing of it: a phase whose work was begun ahead ends sooner, that is all.

use super::room;
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

/// Hosts that are evaluated ahead at once: evaluations need memory, and the other hosts of a larger run
/// must not wait for those of hosts that turn out to be away.
const EVALUATIONS: usize = 2;

/// What is begun ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The whole phase evaluate, beside preflight.
    Evaluation,
    /// The look whether the target has room for what fetch brings, beside verify.
    RoomForFetch,
}

impl Part {
    /// Returns the phase that it is part of.
    fn phase(self) -> Phase {
        match self {
            Self::Evaluation => Phase::Evaluate,
            Self::RoomForFetch => Phase::Fetch,
        }
    }

    /// Does it.
    async fn carry_out(self, step: Step) -> Result<Report, Failure> {
        match self {
            Self::Evaluation => step.carry_out_itself().await,
            Self::RoomForFetch => room::before_fetch(&step).await.map(|()| Report::Done),
        }
    }
}

/// What is begun ahead of which attempt of which host.
type AheadKey = (String, u32, Part);

/// The end of what was begun ahead. Dropping it stops the work.
pub(super) type BegunAhead = AbortOnDropHandle<Result<Report, Failure>>;

/// What goes on beside the phases of a run.
#[derive(Default)]
pub(super) struct Beside {
    ahead: Mutex<BTreeMap<AheadKey, BegunAhead>>,
    /// What may still tell something of the run.
    telling: Mutex<Works>,
    /// What tells nothing.
    silent: Mutex<Works>,
}

/// Work that goes on behind its phase.
type Works = Vec<AbortOnDropHandle<()>>;

impl Beside {
    /// Begins something ahead, unless enough evaluations are begun: it is stopped when what is returned is
    /// dropped before [`Beside::take`] took it over.
    pub(super) fn begin(&self, step: &Step, part: Part) -> Option<Ahead<'_>> {
        let key = key(step, part);
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let evaluations = ahead.keys().filter(|(_, _, begun)| *begun == Part::Evaluation).count();
        if part == Part::Evaluation && evaluations >= EVALUATIONS {
            return None;
        }
        let (shared, host) = (Arc::clone(&step.shared), step.host.clone());
        let step = Step::new(shared, host, part.phase(), step.known.clone());
        let work = tokio::spawn(part.carry_out(step));
        ahead.insert(key.clone(), AbortOnDropHandle::new(work));
        Some(Ahead { beside: self, key: Some(key) })
    }

    /// Takes over what was begun ahead of this attempt of the host.
    pub(super) fn take(&self, step: &Step, part: Part) -> Option<BegunAhead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(step, part))
    }

    /// Lets work go on behind its phase.
    pub(super) fn go_on(&self, work: impl Future<Output = ()> + Send + 'static) {
        begin(&self.telling, work);
    }

    /// Lets work go on that tells nothing of the run: only what tidies up hosts waits for it.
    pub(super) fn go_on_silently(&self, work: impl Future<Output = ()> + Send + 'static) {
        begin(&self.silent, work);
    }

    /// Waits, for some seconds, until nothing more is told.
    pub(super) async fn until_all_is_told(&self) {
        until_done(&self.telling).await;
    }

    /// Waits, for some seconds, for what tells nothing.
    pub(super) async fn until_silent_work_is_done(&self) {
        until_done(&self.silent).await;
    }
}

/// Begins work among others.
fn begin(works: &Mutex<Works>, work: impl Future<Output = ()> + Send + 'static) {
    let work = AbortOnDropHandle::new(tokio::spawn(work));
    works.lock().unwrap_or_else(PoisonError::into_inner).push(work);
}

/// Waits for works, for some seconds.
async fn until_done(works: &Mutex<Works>) {
    let begun = std::mem::take(&mut *works.lock().unwrap_or_else(PoisonError::into_inner));
    drop(tokio::time::timeout(BEHIND_LIMIT, futures_util::future::join_all(begun)).await);
}

/// Returns what something begun ahead is found by.
fn key(step: &Step, part: Part) -> AheadKey {
    (step.host.name.clone(), step.known.attempt, part)
}

/// What was begun ahead of the phase after the one that runs; stopped when that one fails or is stopped.
pub(super) struct Ahead<'a> {
    beside: &'a Beside,
    key: Option<AheadKey>,
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
