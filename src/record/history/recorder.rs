//! The thread that writes.
//!
//! Whoever has something to remember hands it over and goes on: when the disk is slower than what
//! is measured, what does not fit into the queue is dropped, and when it is full, what cannot be
//! written is. Both are said once, and once more when it is over.

use super::{History, HistoryError};
use crate::fleet::{Event, Fleet, RunWhat, TierFacts};
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

/// Something to do.
enum Entry {
    /// Write what happened.
    Event(Box<Event>),
    /// Count requests of a tier, by name.
    Requests(String, u64),
    /// Find the last answer of a tier, by name.
    LastFacts(String, oneshot::Sender<Option<(TierFacts, SignedDuration)>>),
    /// Find the requests of this month of a tier, by name.
    RequestsThisMonth(String, oneshot::Sender<Option<u64>>),
    /// Find the values of a series since a time, one per step at most.
    Trend(Series, Timestamp, SignedDuration, oneshot::Sender<Vec<(Timestamp, f64)>>),
    /// Say when all before this is written.
    Flush(oneshot::Sender<()>),
}

/// Writes the history from a thread of its own; cheap to clone. The thread ends when all are gone.
#[derive(Clone)]
pub struct Recorder {
    entries: SyncSender<Entry>,
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
            Event::Run(run) => match run.what {
                RunWhat::Begin { .. }
                | RunWhat::Plan { .. }
                | RunWhat::Result { .. }
                | RunWhat::Summary { .. } => true,
                RunWhat::Phase { .. }
                | RunWhat::Progress { .. }
                | RunWhat::Log { .. }
                | RunWhat::Waiting { .. } => false,
            },
        };
        if keep {
            self.hand_over(Entry::Event(Box::new(event.clone())));
        }
    }

    /// Counts requests that were made of a tier; returns at once.
    pub fn record_request(&self, tier: &str, count: u64) {
        self.hand_over(Entry::Requests(tier.to_owned(), count));
    }

    /// Returns what a tier last answered to whichever nixdash asked it, and how long ago that was;
    /// nothing when it never did, or the history cannot be read in time.
    pub async fn last_tier_facts(&self, tier: &str) -> Option<(TierFacts, SignedDuration)> {
        let (reply, answer) = oneshot::channel();
        self.hand_over(Entry::LastFacts(tier.to_owned(), reply));
        tokio::time::timeout(PATIENCE, answer).await.ok()?.ok()?
    }

    /// Returns the requests made of a tier in this calendar month (UTC) by every nixdash; nothing
    /// when none was counted, or the history cannot be read in time.
    pub async fn requests_this_month(&self, tier: &str) -> Option<u64> {
        let (reply, answer) = oneshot::channel();
        self.hand_over(Entry::RequestsThisMonth(tier.to_owned(), reply));
        tokio::time::timeout(PATIENCE, answer).await.ok()?.ok()?
    }

    /// Returns the values of a series since a time, oldest first, one per `step` at most; none when
    /// the history cannot be read in time.
    pub async fn trend(
        &self,
        series: Series,
        since: Timestamp,
        step: SignedDuration,
    ) -> Vec<(Timestamp, f64)> {
        let (reply, answer) = oneshot::channel();
        self.hand_over(Entry::Trend(series, since, step, reply));
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(values)) => values,
            Ok(Err(_)) | Err(_) => Vec::new(),
        }
    }

    /// Waits until everything handed over so far is written, for 3 s at most.
    pub async fn flush(&self) {
        let (reply, written) = oneshot::channel();
        self.hand_over(Entry::Flush(reply));
        drop(tokio::time::timeout(PATIENCE, written).await);
    }

    /// Puts an entry into the queue, or counts it as lost.
    fn hand_over(&self, entry: Entry) {
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
    fn work(&mut self, queue: &Receiver<Entry>) {
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
    fn write(&mut self, batch: Vec<Entry>) {
        let (writes, questions): (Vec<Entry>, Vec<Entry>) = batch
            .into_iter()
            .partition(|entry| matches!(entry, Entry::Event(_) | Entry::Requests(..)));
        if !writes.is_empty() {
            self.attempt(|history, fleet| {
                history.together(|history| {
                    writes.iter().try_for_each(|entry| put(history, fleet, entry))
                })
            });
        }
        for question in questions {
            self.answer(question);
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
                    (self.say)("the history is written again");
                }
                value
            }
            Err(error) => {
                if !std::mem::replace(&mut self.troubled, true) {
                    (self.say)(&format!("what is measured is not kept for now: {error}"));
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

    /// Answers; whoever asked may be gone.
    fn answer(&mut self, question: Entry) {
        let now = Timestamp::now();
        match question {
            Entry::LastFacts(tier, reply) => {
                let found = self.attempt(|history, fleet| match fleet.tier(&tier) {
                    Some(tier) => history.last_tier_facts(tier, now),
                    None => Ok(None),
                });
                let _gone = reply.send(found.flatten());
            }
            Entry::RequestsThisMonth(tier, reply) => {
                let found = self.attempt(|history, fleet| match fleet.tier(&tier) {
                    Some(tier) => history.requests_in_month(tier, now),
                    None => Ok(None),
                });
                let _gone = reply.send(found.flatten());
            }
            Entry::Trend(series, since, step, reply) => {
                let found = self.attempt(|history, fleet| match &series {
                    Series::HostLoad(host) => history.loads(host, since, step),
                    Series::TierLatency(tier) => match fleet.tier(tier) {
                        Some(tier) => history.latencies(tier, since, step),
                        None => Ok(Vec::new()),
                    },
                });
                let _gone = reply.send(found.unwrap_or_default());
            }
            Entry::Flush(reply) => {
                let _gone = reply.send(());
            }
            Entry::Event(_) | Entry::Requests(..) => {}
        }
    }

    /// Says once that the disk is slower than what is measured.
    fn tell_lost(&mut self) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 && !std::mem::replace(&mut self.late, true) {
            (self.say)(&format!("the disk is slow: {lost} measurements were not kept"));
        }
    }
}

/// Writes one entry.
fn put(history: &mut History, fleet: &Fleet, entry: &Entry) -> Result<(), HistoryError> {
    match entry {
        Entry::Event(event) => match &**event {
            Event::Host { host, facts } => history.write_host(host, facts),
            Event::Store { host, facts } => history.write_store(host, facts),
            Event::Tier { tier, facts } => match fleet.tier(tier) {
                Some(tier) => history.write_tier(tier, facts),
                None => Ok(()),
            },
            Event::Coverage { host, facts } => {
                history.write_coverage(host, facts, |name| fleet.tier(name))
            }
            Event::Run(event) => history.write_run(event),
            Event::Asking { .. } | Event::Next { .. } => Ok(()),
        },
        Entry::Requests(tier, count) => match fleet.tier(tier) {
            Some(tier) => history.add_requests(tier, *count, Timestamp::now()),
            None => Ok(()),
        },
        Entry::LastFacts(..)
        | Entry::RequestsThisMonth(..)
        | Entry::Trend(..)
        | Entry::Flush(_) => Ok(()),
    }
}
