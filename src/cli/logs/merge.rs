//! The logs of a run's hosts as one, by time. Of each log only the line that comes next is looked at.

use crate::fleet::{BuildTag, LineColours, Phase, RawLogLine};
use crate::record::{LogLines, RecordError};
use jiff::Timestamp;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

/// A line of a log without its text.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct SeenLine<'a> {
    /// The host.
    pub(in crate::cli) host: &'a str,
    /// When it came, as far as that is known.
    pub(in crate::cli) at: Option<Timestamp>,
    /// The phase it belongs to.
    pub(in crate::cli) phase: Option<Phase>,
    /// What stands in the log before its text: time and phase, or nothing.
    pub(in crate::cli) head: &'a [u8],
}

/// The log of one host, at one of its lines.
#[derive(Debug)]
pub(in crate::cli) struct HostLog {
    /// The host.
    pub(in crate::cli) host: String,
    lines: LogLines,
    /// When the line came. One that does not say it came with the line before it; none where there is
    /// no such line.
    pub(in crate::cli) at: Option<Timestamp>,
    /// The phase that the line belongs to.
    pub(in crate::cli) phase: Option<Phase>,
    /// The build whose output the line is, as far as the log says it.
    pub(in crate::cli) build: Option<BuildTag>,
    /// Where its text stands in it.
    text: Range<usize>,
}

impl HostLog {
    /// Begins to read a log.
    pub(in crate::cli) fn new(host: String, lines: LogLines) -> Self {
        Self { host, lines, at: None, phase: None, build: None, text: 0..0 }
    }

    /// Returns the line as it stands in the log.
    pub(in crate::cli) fn line(&self) -> &[u8] {
        self.lines.line()
    }

    /// Returns the line without its text.
    pub(in crate::cli) fn seen(&self) -> SeenLine<'_> {
        let head = self.lines.line().get(..self.text.start).unwrap_or_default();
        SeenLine { host: &self.host, at: self.at, phase: self.phase, head }
    }

    /// Returns the line's text, untrusted.
    pub(in crate::cli) fn text(&self) -> &[u8] {
        self.lines.line().get(self.text.clone()).unwrap_or_default()
    }

    /// Returns the colours of the line's text, once that was made printable.
    pub(in crate::cli) fn colours(&self, text: &str) -> LineColours {
        LineColours::read(RawLogLine::read(self.lines.line()).colours, text)
    }

    /// Takes the next line; returns whether there is one.
    fn advance(&mut self) -> Result<bool, RecordError> {
        let is_there = self.lines.advance()?;
        if is_there {
            self.read();
        }
        Ok(is_there)
    }

    /// Takes a last line without an end; returns whether there is one.
    fn advance_to_torn(&mut self) -> bool {
        let is_there = self.lines.advance_to_torn();
        if is_there {
            self.read();
        }
        is_there
    }

    fn read(&mut self) {
        let raw = RawLogLine::read(self.lines.line());
        self.build = raw.build;
        self.text = raw.begin..raw.begin + raw.text.len();
        if raw.at.is_some() {
            (self.at, self.phase) = (raw.at, raw.phase);
        }
    }
}

/// The logs of several hosts, of which the oldest line comes next. Within one moment they come host by
/// host.
#[derive(Debug, Default)]
pub(in crate::cli) struct MergedLogs {
    logs: Vec<HostLog>,
    /// The logs that have a line.
    heads: BinaryHeap<Reverse<(Option<Timestamp>, usize)>>,
    /// The logs that have none now.
    idle: Vec<usize>,
    /// The log whose line was taken last.
    taken: Option<usize>,
}

impl MergedLogs {
    /// Adds the log of a host.
    pub(in crate::cli) fn add(&mut self, log: HostLog) {
        self.idle.push(self.logs.len());
        self.logs.push(log);
    }

    /// Returns how many logs there are.
    pub(in crate::cli) fn len(&self) -> usize {
        self.logs.len()
    }

    /// Returns the place of a host's log among them.
    pub(in crate::cli) fn place_of(&self, host: &str) -> Option<usize> {
        self.logs.iter().position(|log| log.host == host)
    }

    /// Looks whether logs that had no line have one now.
    pub(in crate::cli) fn look(&mut self) -> Result<(), RecordError> {
        self.let_go()?;
        for index in std::mem::take(&mut self.idle) {
            let is_there = self.logs[index].advance()?;
            self.place(index, is_there);
        }
        Ok(())
    }

    /// Looks at the last lines that have no end. Nobody adds to these logs any more.
    pub(in crate::cli) fn look_at_torn(&mut self) {
        for index in std::mem::take(&mut self.idle) {
            let is_there = self.logs[index].advance_to_torn();
            self.place(index, is_there);
        }
    }

    /// Returns the place and the log of the next line; none when no log has one now.
    pub(in crate::cli) fn next(&mut self) -> Result<Option<(usize, &HostLog)>, RecordError> {
        self.let_go()?;
        let Some(Reverse((_, index))) = self.heads.pop() else { return Ok(None) };
        self.taken = Some(index);
        Ok(Some((index, &self.logs[index])))
    }

    /// Goes on in the log whose line was taken.
    fn let_go(&mut self) -> Result<(), RecordError> {
        if let Some(index) = self.taken.take() {
            let is_there = self.logs[index].advance()?;
            self.place(index, is_there);
        }
        Ok(())
    }

    /// Notes whether a log has a line.
    fn place(&mut self, index: usize, has_line: bool) {
        if has_line {
            self.heads.push(Reverse((self.logs[index].at, index)));
        } else {
            self.idle.push(index);
        }
    }
}
