//! Up to where a host's log has what its jobs printed.
//!
//! `HOST.places` beside `HOST.log` has a line for each time that lines of a stream were added to the log.
//! It is written before them: which bytes of the log they will be, and up to where of which stream the log
//! has everything once they are there. Where a process was killed while it wrote them, the log is cut back
//! to where they begin, so that they are written once more, whole.

use crate::fleet::LogFrom;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a stream in a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AddedLines {
    /// At which byte of the log they begin.
    begin: u64,
    /// Where they end.
    end: u64,
    /// Of the stream.
    stream: String,
    /// At which byte of the stream the line begins that the last of them was made of.
    offset: u64,
    /// How many lines of the log were made of that one so far.
    lines: u32,
}

/// The places of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LogPlaces {
    places: Vec<AddedLines>,
    /// How long the log is, in bytes.
    length: u64,
}

/// Returns the file with the places of a log.
pub(super) fn places_of(log: &Path) -> PathBuf {
    log.with_extension("places")
}

impl AddedLines {
    /// Returns the line for lines that will be these bytes of a log.
    pub(super) fn line(begin: u64, count: usize, from: &LogFrom) -> Vec<u8> {
        let (stream, offset, lines) = (from.stream.to_string(), from.offset, from.lines);
        let place = Self { begin, end: begin + count as u64, stream, offset, lines };
        // A place is plain data, which can be written as JSON.
        let mut line = serde_json::to_vec(&place).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

impl LogPlaces {
    /// Reads the places of a log; a line that cannot be read was not written to its end, and then what it
    /// announces was not begun.
    pub(super) fn read(log: &Path) -> Self {
        let text = fs::read(places_of(log)).unwrap_or_default();
        let lines = text.split(|byte| *byte == b'\n');
        let places = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
        Self { places, length: fs::metadata(log).map_or(0, |data| data.len()) }
    }

    /// Returns up to where a stream is in the log, and which it is.
    pub(super) fn whole(&self) -> Option<LogFrom> {
        let length = self.torn_at().unwrap_or(self.length);
        let place = self.places.iter().rev().find(|place| place.end <= length)?;
        Some(LogFrom {
            stream: place.stream.as_str().into(),
            offset: place.offset,
            lines: place.lines,
        })
    }

    /// Returns where the log has to be cut, since lines behind that are not in it to their end.
    pub(super) fn torn_at(&self) -> Option<u64> {
        let last = self.places.last()?;
        (last.end > self.length && last.begin < self.length).then_some(last.begin)
    }
}
