//! The thread that writes.
//!
//! Whoever has something to remember hands it over and goes on: when the disk is slower than what
//! is measured, what does not fit into the queue is dropped, and when it is full, what cannot be
//! written is. Both are said once, and once more when it is over.

use super::{History, HistoryError};
use crate::fleet::{
    Event, Fleet, HeldPath, HostState, KeptHost, PathAnswer, TierFacts, TimedFetch, UsualBuilds,
};
use crate::record::trends::Series;
use jiff::{SignedDuration, Timestamp};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Entries that may wait for the disk.
const QUEUE: usize = 1024;

/// Entries that are written as one.
const BATCH: usize = 256;

/// How often old samples are thinned.
const THIN_EVERY: Duration = Duration::from_secs(60 * 60);

/// How long after the start they are thinned first: opening a screen comes before.
const THIN_FIRST: Duration = Duration::from_secs(60);

/// How long an answer or the last write is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is written; done again on a fresh file where the old one turns out to be corrupt.
type Write = Box<dyn Fn(&mut History, &Fleet) -> Result<(), HistoryError> + Send>;

/// What is read, and who hears of it.
type HistoryQuestion = Box<dyn FnOnce(&mut Writer) + Send>;

/// Something to do.
enum QueueEntry {
    /// Write, together with others.
    Write(Write),
    /// Read, when all before this is written.
    HistoryQuestion(HistoryQuestion),
}

/// Writes the history from a thread of its own; cheap to clone. The thread ends when all are gone.
#[derive(Clone)]
pub struct Recorder {
    entries: SyncSender<QueueEntry>,
    lost: Arc<AtomicU64>,
}

impl Recorder {
    /// Starts the thread for the history below a state folder. `say` is told, in one line each,
    /// what a person should know: a corrupt file that was moved aside, writes that are dropped.
    pub fn start(
        state: &Path,
        fleet: Arc<Fleet>,
        say: impl Fn(&str) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (entries, queue) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let mut writer = Writer {
            state: state.to_path_buf(),
            fleet,
            say: Box::new(say),
            history: None,
            troubled: false,
            late: false,
            lost: Arc::clone(&lost),
            thin_at: Instant::now() + THIN_FIRST,
        };
        std::thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || writer.work(&queue))?;
        Ok(Self { entries, lost })
    }

    /// Remembers what happened; returns at once. Of runs only begin, plan, results and summary are
    /// kept, the rest lies in their folders.
    pub fn record(&self, event: &Event) {
        let keep = match event {
            Event::Host { .. }
            | Event::Store { .. }
            | Event::Tier { .. }
            | Event::Coverage { .. } => true,
            Event::Asking { .. } | Event::Next { .. } => false,
            Event::Run(run) => run.what.is_kept(),
        };
        if keep {
            let event = event.clone();
            self.write(move |history, fleet| put(history, fleet, &event));
        }
    }

    /// Counts requests that were made of a tier; returns at once.
    pub fn record_request(&self, tier: &str, count: u64) {
        let (tier, now) = (tier.to_owned(), Timestamp::now());
        self.write(move |history, fleet| match fleet.tier(&tier) {
            Some(tier) => history.add_requests(tier, count, now),
            None => Ok(()),
        });
    }

    /// Keeps what a probe remembers of a tier under a name, for the next nixdash; nothing forgets
    /// it. Returns at once.
    pub fn remember(&self, tier: &str, name: &'static str, value: Option<serde_json::Value>) {
        let (tier, now) = (tier.to_owned(), Timestamp::now());
        self.write(move |history, fleet| match fleet.tier(&tier) {
            Some(tier) => history.remember(tier, name, value.as_ref(), now),
            None => Ok(()),
        });
    }

    /// Returns what any nixdash remembered of a tier; nothing when the history cannot be read in
    /// time.
    pub async fn recall(&self, tier: &str) -> Option<Vec<(String, serde_json::Value)>> {
        let tier = tier.to_owned();
        let work = move |history: &mut History, fleet: &Fleet| match fleet.tier(&tier) {
            Some(tier) => history.recall(tier),
            None => Ok(Vec::new()),
        };
        self.ask(work).await
    }

    /// Passes on what a tier said of paths; returns at once.
    pub fn record_answers(&self, tier: &str, answers: Vec<PathAnswer>) {
        let tier = tier.to_owned();
        self.write(move |history, fleet| match fleet.tier(&tier) {
            Some(tier) => {
                history.note_held(tier, &answers)?;
                history.write_answers(tier, &answers)
            }
            None => Ok(()),
        });
    }

    /// Forgets everything that a tier said of paths; returns at once.
    pub fn forget_answers(&self, tier: &str) {
        let tier = tier.to_owned();
        self.write(move |history, fleet| match fleet.tier(&tier) {
            Some(tier) => history.forget_answers(tier),
            None => Ok(()),
        });
    }

    /// Forgets of every tier that it does not hold a path: something was published. Returns at once.
    pub fn forget_misses(&self) {
        self.write(|history, _| history.forget_misses());
    }

    /// Returns what a tier said of paths since a time, to whichever nixdash asked it; none when the
    /// history cannot be read in time.
    pub async fn answers(&self, tier: &str, since: Timestamp) -> Vec<PathAnswer> {
        let tier = tier.to_owned();
        let work = move |history: &mut History, fleet: &Fleet| match fleet.tier(&tier) {
            Some(tier) => history.answers(tier, since),
            None => Ok(Vec::new()),
        };
        self.ask(work).await.unwrap_or_default()
    }

    /// Returns what a tier was seen to hold, unless it lost it before a time; none when the history
    /// cannot be read in time.
    pub async fn held(&self, tier: &str, since: Timestamp) -> Vec<HeldPath> {
        let tier = tier.to_owned();
        let work = move |history: &mut History, fleet: &Fleet| match fleet.tier(&tier) {
            Some(tier) => history.held(tier, since),
            None => Ok(Vec::new()),
        };
        self.ask(work).await.unwrap_or_default()
    }

    /// Returns what was fetched in runs since a time and timed; nothing when the history cannot be
    /// read in time.
    pub async fn timed_fetches(&self, since: Timestamp) -> Option<Vec<TimedFetch>> {
        self.ask(move |history: &mut History, _: &Fleet| history.timed_fetches(since)).await
    }

    /// Returns how long the packages usually take that a host built, in milliseconds; nothing when
    /// the history cannot be read in time.
    pub async fn usual_builds(&self, build_on: &str) -> UsualBuilds {
        let host = build_on.to_owned();
        let work = move |history: &mut History, _: &Fleet| history.usual_builds(&host);
        self.ask(work).await.unwrap_or_default()
    }

    /// Returns what a tier last answered to whichever nixdash asked it, and how long ago that was;
    /// nothing when it never did, or the history cannot be read in time.
    pub async fn last_tier_facts(&self, tier: &str) -> Option<(TierFacts, SignedDuration)> {
        let tier = tier.to_owned();
        let work = move |history: &mut History, fleet: &Fleet| match fleet.tier(&tier) {
            Some(tier) => history.last_tier_facts(tier, Timestamp::now()),
            None => Ok(None),
        };
        self.ask(work).await.flatten()
    }

    /// Returns what any nixdash of this machine last found of a host; nothing when it never answered,
    /// or the history cannot be read in time.
    pub async fn kept_host(&self, host: &str) -> Option<KeptHost> {
        let host = host.to_owned();
        let work = move |history: &mut History, fleet: &Fleet| match fleet.host(&host) {
            Some(host) => history.kept_host(host),
            None => Ok(None),
        };
        self.ask(work).await.flatten()
    }

    /// Returns how a host was when any nixdash of this machine last asked it, and when that was;
    /// nothing when none did, or the history cannot be read in time.
    pub async fn last_host_state(&self, host: &str) -> Option<(HostState, Timestamp)> {
        let host = host.to_owned();
        let work = move |history: &mut History, _: &Fleet| history.last_host_state(&host);
        self.ask(work).await.flatten()
    }

    /// Returns the requests made of a tier in this calendar month (UTC) by every nixdash; nothing
    /// when none was counted, or the history cannot be read in time.
    pub async fn requests_this_month(&self, tier: &str) -> Option<u64> {
        let tier = tier.to_owned();
        let work = move |history: &mut History, fleet: &Fleet| match fleet.tier(&tier) {
            Some(tier) => history.requests_in_month(tier, Timestamp::now()),
            None => Ok(None),
        };
        self.ask(work).await.flatten()
    }

    /// Returns the values of a series since a time, oldest first, one per `step` at most; none when
    /// the history cannot be read in time.
    pub async fn trend(
        &self,
        series: Series,
        since: Timestamp,
        step: SignedDuration,
    ) -> Vec<(Timestamp, f64)> {
        let work = move |history: &mut History, fleet: &Fleet| match &series {
            Series::HostLoad(host) => history.loads(host, since, step),
            Series::TierLatency(tier) => match fleet.tier(tier) {
                Some(tier) => history.latencies(tier, since, step),
                None => Ok(Vec::new()),
            },
        };
        self.ask(work).await.unwrap_or_default()
    }

    /// Waits until everything handed over so far is written, for 3 s at most.
    pub async fn flush(&self) {
        let (reply, written) = oneshot::channel();
        self.hand_over(QueueEntry::HistoryQuestion(Box::new(move |_| {
            let _gone = reply.send(());
        })));
        drop(tokio::time::timeout(PATIENCE, written).await);
    }

    /// Hands over something to write.
    fn write(
        &self,
        work: impl Fn(&mut History, &Fleet) -> Result<(), HistoryError> + Send + 'static,
    ) {
        self.hand_over(QueueEntry::Write(Box::new(work)));
    }

    /// Reads; nothing when that fails, or takes longer than 3 s.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl Fn(&mut History, &Fleet) -> Result<T, HistoryError> + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.hand_over(QueueEntry::HistoryQuestion(Box::new(move |writer| {
            // Whoever asked may be gone.
            let _gone = reply.send(writer.attempt(work));
        })));
        tokio::time::timeout(PATIENCE, answer).await.ok()?.ok()?
    }

    /// Puts an entry into the queue, or counts it as lost.
    fn hand_over(&self, entry: QueueEntry) {
        if self.entries.try_send(entry).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The thread's side.
struct Writer {
    state: PathBuf,
    fleet: Arc<Fleet>,
    say: Box<dyn Fn(&str) + Send>,
    history: Option<History>,
    /// Whether the last write failed, and that was said.
    troubled: bool,
    /// Whether it was said that the queue was full.
    late: bool,
    lost: Arc<AtomicU64>,
    thin_at: Instant,
}

impl Writer {
    fn work(&mut self, queue: &Receiver<QueueEntry>) {
        let mut batch = Vec::new();
        loop {
            match queue.recv_timeout(self.thin_at.saturating_duration_since(Instant::now())) {
                Ok(entry) => batch.push(entry),
                Err(RecvTimeoutError::Timeout) => {
                    self.thin_at = Instant::now() + THIN_EVERY;
                    self.attempt(|history, _| history.thin(Timestamp::now()));
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            batch.extend(queue.try_iter().take(BATCH - 1));
            self.write(std::mem::take(&mut batch));
            self.tell_lost();
        }
    }

    /// Writes entries as one, then answers the questions among them.
    fn write(&mut self, batch: Vec<QueueEntry>) {
        let (mut writes, mut questions) = (Vec::new(), Vec::new());
        for entry in batch {
            match entry {
                QueueEntry::Write(write) => writes.push(write),
                QueueEntry::HistoryQuestion(question) => questions.push(question),
            }
        }
        if !writes.is_empty() {
            self.attempt(|history, fleet| {
                history
                    .together(|history| writes.iter().try_for_each(|write| write(history, fleet)))
            });
        }
        for question in questions {
            question(self);
        }
    }

    /// Does something with the history. What fails is dropped and said once; a corrupt file is
    /// moved aside and the work done once more, on a fresh one.
    fn attempt<T>(
        &mut self,
        work: impl Fn(&mut History, &Fleet) -> Result<T, HistoryError>,
    ) -> Option<T> {
        let mut result = self.opened(false).and_then(|()| self.with(&work));
        if result.as_ref().is_err_and(HistoryError::is_corrupt) {
            self.history = None;
            result = self.opened(true).and_then(|()| self.with(&work));
        }
        match result {
            Ok(value) => {
                if std::mem::take(&mut self.troubled) {
                    (self.say)("measurements are recorded again");
                }
                value
            }
            Err(error) => {
                if !std::mem::replace(&mut self.troubled, true) {
                    (self.say)(&format!("measurements are not recorded for now: {error}"));
                }
                None
            }
        }
    }

    fn with<T>(
        &mut self,
        work: impl Fn(&mut History, &Fleet) -> Result<T, HistoryError>,
    ) -> Result<Option<T>, HistoryError> {
        let fleet = Arc::clone(&self.fleet);
        self.history.as_mut().map(|history| work(history, &fleet)).transpose()
    }

    /// Opens the history unless it is open.
    fn opened(&mut self, doubt: bool) -> Result<(), HistoryError> {
        if self.history.is_none() {
            let open = if doubt { History::open_repaired } else { History::open };
            let history = open(&self.state)?;
            if let Some(aside) = history.moved_aside() {
                (self.say)(&format!(
                    "the history was corrupt; it was moved to {} and a fresh one begun",
                    aside.display()
                ));
            }
            self.history = Some(history);
        }
        Ok(())
    }

    /// Says once that the disk is slower than what is measured.
    fn tell_lost(&mut self) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 && !std::mem::replace(&mut self.late, true) {
            (self.say)(&format!("the disk is slow: {lost} measurements were not recorded"));
        }
    }
}

/// Writes one event.
fn put(history: &mut History, fleet: &Fleet, event: &Event) -> Result<(), HistoryError> {
    match event {
        Event::Host { host, facts } => {
            history.write_host(host, facts)?;
            history.note_host(host, facts)?;
            fleet.host(host).map_or(Ok(()), |host| history.keep_host(host, facts))
        }
        Event::Store { host, facts } => {
            history.write_store(host, facts)?;
            fleet.host(host).map_or(Ok(()), |host| history.keep_store(host, facts))
        }
        Event::Tier { tier, facts } => match fleet.tier(tier) {
            Some(tier) => {
                history.write_tier(tier, facts)?;
                history.note_tier(&tier.name, facts)
            }
            None => Ok(()),
        },
        Event::Coverage { host, facts } => {
            history.write_coverage(host, facts, |name| fleet.tier(name))?;
            fleet.host(host).map_or(Ok(()), |host| history.keep_coverage(host, facts))
        }
        Event::Run(event) => history.write_run(event),
        Event::Asking { .. } | Event::Next { .. } => Ok(()),
    }
}
