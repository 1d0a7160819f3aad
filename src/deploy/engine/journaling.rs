//! Writes the journal beside the engine, from a thread of its own.
//!
//! The engine waits until an entry is written before it carries out what follows from it. It does not
//! wait for a disk that hangs: after some seconds the run goes on, and the entry is written when the
//! disk takes it. A journal that is behind tells an earlier state, from which a run can be gone on with
//! all the same: jobs that are there are not begun twice, and no host is activated that has changed
//! since its plan was made.

use crate::deploy::RunEntry;
use crate::record::JournalWriter;
use jiff::Timestamp;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long the engine waits for the disk before it goes on.
const PATIENCE: Duration = Duration::from_secs(3);

/// What an entry has to survive before what follows from it is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Survives {
    /// The end of this process.
    Kill,
    /// A power cut of this machine too: what follows changes a host.
    PowerCut,
}

/// The journal of a run that is carried out. Cheap to clone.
#[derive(Clone, Default)]
pub struct RunJournal(Option<JournalThread>);

/// The way to the thread that writes.
#[derive(Clone)]
struct JournalThread {
    wanted: Sender<WantedEntry>,
    /// Whether the disk did not take an entry in time, and has taken none since.
    is_late: Arc<AtomicBool>,
}

/// An entry for the thread.
struct WantedEntry {
    at: Timestamp,
    entry: RunEntry,
    survives: Survives,
    written: Option<oneshot::Sender<()>>,
}

impl RunJournal {
    /// Returns the journal of a run that nobody will go on with.
    pub fn none() -> Self {
        Self::default()
    }

    /// Starts the thread. `say` is told once when the journal cannot be written.
    pub fn start(
        writer: JournalWriter,
        say: impl Fn(&str) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (wanted, receiver) = channel();
        let is_late = Arc::new(AtomicBool::new(false));
        let late = Arc::clone(&is_late);
        let work = move || write(writer, &receiver, &late, &say);
        std::thread::Builder::new().name("journal".to_owned()).spawn(work)?;
        Ok(Self(Some(JournalThread { wanted, is_late })))
    }

    /// Writes an entry, and returns when it is written or the disk hangs.
    pub(super) async fn keep(&self, at: Timestamp, entry: RunEntry, survives: Survives) {
        let Some(link) = &self.0 else { return };
        let (tell_written, written) = oneshot::channel();
        let wanted = WantedEntry { at, entry, survives, written: Some(tell_written) };
        // Without a thread nothing is written; the run goes on.
        if link.wanted.send(wanted).is_err() || link.is_late.load(Ordering::Acquire) {
            return;
        }
        if tokio::time::timeout(PATIENCE, written).await.is_err() {
            link.is_late.store(true, Ordering::Release);
        }
    }

    /// Writes an entry without waiting for it.
    pub(super) fn note(&self, entry: RunEntry) {
        let Some(link) = &self.0 else { return };
        let at = Timestamp::now();
        let wanted = WantedEntry { at, entry, survives: Survives::Kill, written: None };
        drop(link.wanted.send(wanted));
    }
}

/// Writes entries in their order until nobody has any more. One that the disk refuses is tried again
/// with the next one: a journal has no gaps.
fn write(
    mut writer: JournalWriter,
    wanted: &Receiver<WantedEntry>,
    is_late: &AtomicBool,
    say: &impl Fn(&str),
) {
    let mut waiting: VecDeque<(Timestamp, RunEntry)> = VecDeque::new();
    let mut is_told = false;
    for WantedEntry { at, entry, survives, written } in wanted {
        waiting.push_back((at, entry));
        while let Some((at, entry)) = waiting.front() {
            if let Err(error) = writer.append(*at, entry) {
                if !std::mem::replace(&mut is_told, true) {
                    say(&format!(
                        "{error}. The run goes on, but if this nixdash ends first, `nixdash \
                         reattach` may not be able to go on with the run"
                    ));
                }
                break;
            }
            waiting.pop_front();
        }
        if waiting.is_empty() {
            is_late.store(false, Ordering::Release);
            if survives == Survives::PowerCut {
                // An entry that only the kernel has survives everything but a power cut.
                drop(writer.sync());
            }
        }
        if let Some(written) = written {
            // Nobody waits any more.
            let _gone = written.send(());
        }
    }
}
