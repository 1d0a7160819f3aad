//! Who hears the log of a job.

use crate::fleet::LogMark;
use crate::remote::ReadLine;
use jiff::Timestamp;
use std::future::{Future, ready};
use std::time::Duration;

/// Hears the log of a job, in order.
pub trait LineSink: Send {
    /// Takes a line; the job is not read further until this is done.
    fn take(&mut self, line: &ReadLine<'_>) -> impl Future<Output = ()> + Send;

    /// Takes what nixdash itself says of the job: it stands in no log on the host.
    fn note(&mut self, text: &str) -> impl Future<Output = ()> + Send;

    /// Takes a piece of the log, byte for byte, before the lines that end in it.
    fn came(&mut self, _piece: &[u8]) -> impl Future<Output = ()> + Send {
        ready(())
    }

    /// Hears that the log has not grown for this long though its host is followed; again after each such time.
    fn stands_still(&mut self, _since: Duration) -> impl Future<Output = ()> + Send {
        ready(())
    }

    /// Hears that the log on the host is another one than was heard before: it is read from its
    /// beginning.
    fn begins_anew(&mut self) -> impl Future<Output = ()> + Send {
        ready(())
    }

    /// Hears since when the job's host does not answer, and until when it is asked again.
    fn falls_silent(&mut self, _host: &str, _since: Timestamp, _until: Timestamp) {}

    /// Hears that the job's host answers, or is given up.
    fn silence_ends(&mut self) {}

    /// Hears that from here on lines come later than they were written, and nobody knows when that was.
    fn lines_are_late(&mut self) {}

    /// Hears when the log was how long, as its host noted it, the oldest first: from here on lines come
    /// later than they were written, and [`LineSink::written_at`] says when that was.
    fn learn_times(&mut self, _marks: &[LogMark]) {}

    /// Hears when the lines that follow were written, to the second; none where that is now.
    fn written_at(&mut self, _at: Option<Timestamp>) {}

    /// Hears that the log of this job was read up to this byte, all lines before it taken.
    fn read_to(&mut self, _job: &str, _offset: u64) {}
}
