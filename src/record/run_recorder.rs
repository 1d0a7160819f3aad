//! The thread that writes a run's folder.
//!
//! A disk that is slow, or hangs, holds no deploy up: events wait in a large queue, and when even
//! that is full log lines are left out with a mark.

use crate::fleet::DropReason;
use crate::record::{EventReceiver, EventSender, RecordError, RunWriter, event_queue};
use std::time::Duration;
use tokio::sync::oneshot;

/// Log lines that may wait for the disk: some tens of megabytes.
const LINES: usize = 100_000;

/// Events that are written at once.
const BATCH: usize = 1024;

/// How long a disk may hang at the end before its last events are given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Writes a run's folder from a thread of its own.
pub struct RunRecorder {
    /// Where events go in.
    pub events: EventSender,
    done: oneshot::Receiver<Result<(), RecordError>>,
}

impl RunRecorder {
    /// Starts the thread.
    pub fn start(writer: RunWriter) -> std::io::Result<Self> {
        let (events, receiver) = event_queue(LINES, DropReason::SlowDisk);
        let (tell_done, done) = oneshot::channel();
        std::thread::Builder::new().name("run".to_owned()).spawn(move || {
            // Nobody waits any more.
            let _gone = tell_done.send(write(writer, &receiver));
        })?;
        Ok(Self { events, done })
    }

    /// Waits until everything is written; a disk that hangs is given up after 30 s.
    pub async fn end(mut self) -> Result<(), RecordError> {
        self.events.close();
        loop {
            let taken = self.events.taken();
            match tokio::time::timeout(PATIENCE, &mut self.done).await {
                Ok(Ok(result)) => return result,
                // The thread panicked, or the disk hangs.
                Ok(Err(_)) => return Ok(()),
                Err(_) if self.events.taken() == taken => return Ok(()),
                Err(_) => {}
            }
        }
    }
}

/// Writes events until the last one.
fn write(mut writer: RunWriter, events: &EventReceiver) -> Result<(), RecordError> {
    let mut trouble = None;
    let mut batch = Vec::new();
    while events.take(&mut batch, BATCH) {
        for event in batch.drain(..) {
            if trouble.is_none() {
                trouble = writer.write(&event).err();
            }
        }
        if trouble.is_none() {
            trouble = writer.flush().err();
        }
    }
    trouble.map_or(Ok(()), Err)
}
