//! A stream that is kept of what a job of a host printed: its lines, and when they were written.

use crate::fleet::{LogMark, RunId};
use crate::record::{Runs, StoredFile};
use jiff::Timestamp;

/// What is kept of what a job printed.
pub(super) struct KeptStream {
    /// What it is called besides its host, such as `build` or `build.again-2`.
    pub(super) name: String,
    file: StoredFile,
    /// When it was how long, as far as that was noted.
    marks: Vec<LogMark>,
}

impl KeptStream {
    /// Returns the job, such as `build`.
    pub(super) fn job(&self) -> &str {
        self.name.split('.').next().unwrap_or_default()
    }

    /// Returns which attempt of the host it is of; the first is 1.
    pub(super) fn attempt(&self) -> u32 {
        self.number("attempt-")
    }

    /// Returns the number behind a word of the name; 1 where it is not there.
    fn number(&self, word: &str) -> u32 {
        let mut parts =
            self.name.split('.').filter_map(|part| part.strip_prefix(word)?.parse().ok());
        parts.next_back().unwrap_or(1)
    }

    /// Returns how many bytes it has; none where that cannot be read.
    pub(super) fn length(&self) -> u64 {
        self.file.length().unwrap_or_default()
    }

    /// Reads some of its bytes; none at its end, and where it cannot be read.
    pub(super) fn read_at(&self, bytes: &mut [u8], offset: u64) -> usize {
        self.file.read_at(bytes, offset).unwrap_or_default()
    }

    /// Returns when it began.
    pub(super) fn began_at(&self) -> Option<Timestamp> {
        self.marks.first().map(|mark| mark.at)
    }

    /// Returns when the line was written that ends before this byte, to about a second; none where that
    /// was not noted.
    pub(super) fn written_at(&self, end: u64) -> Option<Timestamp> {
        LogMark::written_at(&self.marks, end)
    }
}

/// Returns the streams that are kept of a host's jobs and of which the names are not known, each job's in
/// the order in which they began.
pub(super) fn kept_streams(
    runs: &Runs,
    run: &RunId,
    host: &str,
    is_known: impl Fn(&str) -> bool,
) -> Vec<KeptStream> {
    let kept = runs.kept_streams(run, host).into_iter().filter(|(name, _)| !is_known(name));
    let mut streams: Vec<KeptStream> = kept
        .map(|(name, file)| {
            let marks = runs.stream_marks(run, host, &name);
            KeptStream { name, file, marks }
        })
        .collect();
    streams
        .sort_by_key(|stream| (stream.job().to_owned(), stream.attempt(), stream.number("again-")));
    streams
}
