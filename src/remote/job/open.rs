//! The log of a job while a script on its host prints it.

use crate::remote::wire::{overlap, position};
use crate::remote::words::TASK_STOPPED;
use crate::remote::{LineSplitter, Output, ReadLine, RemoteError, Script, ScriptRunner, Trouble};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Pieces of a log, of some 32 KiB at most, that may wait between the connection and the parser.
const QUEUE: usize = 16;

/// How long a script that has printed everything may take to end: to open another shell takes as long.
const LEAVING: Duration = Duration::from_millis(30);

/// The log of a job, which a script prints while it is read. Dropping it ends the script.
pub(super) struct OpenLog {
    pub(super) pieces: mpsc::Receiver<Vec<u8>>,
    /// What came of the log together with the line that says that the job is there.
    pub(super) first: Vec<u8>,
    script: AbortOnDropHandle<Result<Output, RemoteError>>,
    host: String,
    pub(super) mark: String,
    /// The result with which it ends.
    awaited: String,
    /// Where it begins, in bytes.
    from: u64,
    /// Whether the job was there when it was asked to start.
    pub(super) was_there: bool,
}

impl OpenLog {
    /// Runs a script that prints a log: its mark, the result that it waits for, and where it begins.
    pub(super) fn open(
        runner: &Arc<dyn ScriptRunner>,
        host: &str,
        script: Script,
        (mark, awaited, from): (String, &str, u64),
    ) -> Self {
        let (sender, pieces) = mpsc::channel(QUEUE);
        let (runner, name) = (Arc::clone(runner), host.to_owned());
        let script = tokio::spawn(async move { runner.follow(&name, &script, sender).await });
        let script = AbortOnDropHandle::new(script);
        let (host, awaited) = (host.to_owned(), awaited.to_owned());
        Self { pieces, first: Vec::new(), script, host, mark, awaited, from, was_there: false }
    }

    /// Returns whether it ends with this result, and goes on where the log was read to.
    pub(super) fn leads_to(&self, awaited: &str, offset: u64) -> bool {
        self.awaited == awaited && self.from == offset
    }

    /// Gives the lines that the script prints before the log; returns whether the log began.
    pub(super) async fn begin(&mut self, mut take: impl FnMut(&ReadLine<'_>)) -> bool {
        let begun = format!("{}\tbegun", self.mark);
        let mut lines = LineSplitter::default();
        while let Some(piece) = self.pieces.recv().await {
            let mut rest = &piece[..];
            while let Some(line) = lines.next(&mut rest) {
                if *line.bytes == *begun.as_bytes() {
                    self.first = rest.to_vec();
                    return true;
                }
                take(&line);
            }
        }
        false
    }

    /// Lets the script end, which has printed all that it had to, so that its shell can serve the next
    /// one. It is not waited for long.
    pub(super) async fn leave(mut self) {
        let ended = async {
            while self.pieces.recv().await.is_some() {}
            drop((&mut self.script).await);
        };
        drop(tokio::time::timeout(LEAVING, ended).await);
    }

    /// Returns how the script ended.
    pub(super) async fn end(self) -> Result<Output, RemoteError> {
        self.script
            .await
            .unwrap_or_else(|_| Err(RemoteError::new(&self.host, Trouble::Here, TASK_STOPPED)))
    }
}

/// Tells a log from the line behind it, with which `follow.sh` ends: an empty line's end, the mark, a
/// tab and how the job stands.
pub(super) struct LogEnd {
    mark: Vec<u8>,
    /// The end of what came, where it may be the beginning of the mark.
    held: Vec<u8>,
    /// What came behind the mark.
    last: Option<Vec<u8>>,
}

impl LogEnd {
    /// Looks for the line that begins with this mark.
    pub(super) fn new(mark: &str) -> Self {
        Self { mark: format!("\n{mark}\t").into_bytes(), held: Vec::new(), last: None }
    }

    /// Takes a piece; returns what of it, or of what was held back, belongs to the log.
    pub(super) fn feed(&mut self, piece: &[u8]) -> Vec<u8> {
        if let Some(last) = &mut self.last {
            last.extend_from_slice(piece);
            return Vec::new();
        }
        let mut log = std::mem::take(&mut self.held);
        log.extend_from_slice(piece);
        if let Some(at) = position(&log, &self.mark) {
            self.last = Some(log[at + self.mark.len()..].to_vec());
            log.truncate(at);
        } else {
            self.held = log.split_off(log.len() - overlap(&log, &self.mark));
        }
        log
    }

    /// Returns the line behind the mark, when all of it came.
    pub(super) fn last(&self) -> Option<String> {
        let last = self.last.as_ref()?;
        let end = last.iter().position(|byte| *byte == b'\n')?;
        Some(String::from_utf8_lossy(&last[..end]).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_log_is_told_from_its_end_whatever_the_pieces(
            log in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'e'), any::<u8>()], 0..200),
            size in 1_usize..40,
        ) {
            let output = [&log[..], b"\nend-0123\tover\t0\t\t\n"].concat();
            let (mut end, mut found) = (LogEnd::new("end-0123"), Vec::new());
            for piece in output.chunks(size) {
                prop_assert_eq!(end.last(), None);
                found.extend(end.feed(piece));
            }
            prop_assert_eq!(found, log);
            prop_assert_eq!(end.last(), Some("over\t0\t\t".to_owned()));
        }
    }
}
