//! The thread that writes a run's folder.
//!
//! A disk that is slow, or hangs, holds no deploy up: events wait in a large queue, and when even
//! that is full log lines are left out with a mark.

use crate::fleet::{DropReason, Event, RunEvent, RunWhat};
use crate::record::runs::writer::LIVE_EVERY;
use crate::record::{EventReceiver, EventSender, Recorder, RunWriter, event_queue};
use std::io;
use std::time::Duration;
use tokio::sync::oneshot;

/// Log lines that may wait for the disk: some tens of megabytes.
const LINES: usize = 100_000;

/// Events that are written at once.
const BATCH: usize = 1024;

/// How often what the disk refused is tried again while nothing else happens.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// How long a disk may hang at the end before its last events are given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Writes a run's folder from a thread of its own.
pub struct RunRecorder {
    /// Where events go in.
    pub events: EventSender,
    done: oneshot::Receiver<Vec<RunEvent>>,
}

/// How the record of a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum RunRecord {
    /// The folder has everything but what these marks say.
    Written(Vec<RunEvent>),
    /// The disk did not take anything for 30 s; what came last is not in the folder.
    GivenUp,
}

impl RunRecorder {
    /// Starts the thread. What is missing in the folder is noted in the history too; and when the
    /// run has ended the history is told all of it once more, since a disk that was full may have
    /// room then.
    pub fn start(writer: RunWriter, history: Option<Recorder>) -> io::Result<Self> {
        let (events, receiver) = event_queue(LINES, DropReason::SlowDisk);
        let (tell_done, done) = oneshot::channel();
        std::thread::Builder::new().name("run".to_owned()).spawn(move || {
            // Nobody waits any more.
            let _gone = tell_done.send(write(writer, &receiver, history.as_ref()));
        })?;
        Ok(Self { events, done })
    }

    /// Waits until everything is written; a disk that hangs is given up after 30 s.
    pub async fn end(mut self) -> RunRecord {
        self.events.close();
        loop {
            let taken = self.events.taken();
            match tokio::time::timeout(PATIENCE, &mut self.done).await {
                Ok(Ok(marks)) => return RunRecord::Written(marks),
                Ok(Err(_)) => return RunRecord::GivenUp,
                Err(_) if self.events.taken() == taken => return RunRecord::GivenUp,
                Err(_) => {}
            }
        }
    }
}

/// Writes events until the last one; returns every mark that was made.
fn write(
    mut writer: RunWriter,
    events: &EventReceiver,
    history: Option<&Recorder>,
) -> Vec<RunEvent> {
    let (mut kept, mut marks) = (Vec::new(), Vec::new());
    let mut batch = Vec::new();
    loop {
        let limit = if writer.has_news() { LIVE_EVERY } else { TRY_AGAIN };
        if !events.take_within(&mut batch, BATCH, limit) {
            break;
        }
        for event in batch.drain(..) {
            writer.write(&event);
            if matches!(event.what, RunWhat::Dropped { .. }) {
                marks.push(event);
            } else if event.what.is_kept() {
                kept.push(event);
            }
        }
        // What was refused is counted, and tried again.
        drop(writer.flush());
        marks.extend(writer.take_marks());
    }
    marks.extend(writer.finish());
    if let Some(history) = history {
        for event in kept.into_iter().chain(marks.iter().cloned()) {
            history.record(&Event::Run(event));
        }
    }
    marks
}
