//! Reading `events.jsonl`: what tells how a run stands.
//!
//! Runs of older nixdash have every log line and every step of progress there, too: these are passed
//! over without being read as JSON, and of a long file of a run that is over only the beginning and the
//! end are read.

use crate::fleet::RunEvent;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// How many bytes of the beginning are read, and how many of the end, where log lines stand among the
/// events.
const ENDS: u64 = 256 * 1024;

/// The longest line that is read, in bytes: a plan of some hundred hosts is far shorter.
const LONGEST: u64 = 16 << 20;

/// An event as it is read.
#[expect(clippy::large_enum_variant, reason = "each is looked at once and not kept")]
pub(super) enum EventLine {
    /// One that tells how the run stands.
    Few(RunEvent),
    /// A log line or a step of progress, as an older nixdash wrote it; not read yet.
    Many(Vec<u8>),
}

/// What is read of a file with log lines among the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadExtent {
    /// All of it.
    Whole,
    /// Its beginning and its end.
    Ends,
}

/// Reads the whole lines of a file from an offset on; returns how far it was read. A line that cannot be
/// read (of a newer nixdash, or left by a full disk) is passed over.
pub(super) fn read_events(
    path: &Path,
    from: u64,
    extent: ReadExtent,
    mut take: impl FnMut(EventLine),
) -> u64 {
    let mut offset = from;
    let Ok(mut file) = File::open(path) else { return offset };
    let Ok(size) = file.metadata().map(|data| data.len()) else { return offset };
    if size <= offset || file.seek(SeekFrom::Start(offset)).is_err() {
        return offset;
    }
    let mut reader = BufReader::new(file);
    let (mut line, mut skipped) = (Vec::new(), extent == ReadExtent::Whole);
    while read_line(&mut reader, &mut line) {
        if line.last() != Some(&b'\n') {
            return offset;
        }
        offset += line.len() as u64;
        if is_many(&line) {
            take(EventLine::Many(std::mem::take(&mut line)));
            if !skipped && offset >= from + ENDS && size > offset + 2 * ENDS {
                skipped = true;
                let end = size - ENDS;
                if reader.seek(SeekFrom::Start(end)).is_err() {
                    return offset;
                }
                // What is left of the line in which it landed.
                line.clear();
                read_line(&mut reader, &mut line);
                offset = end + line.len() as u64;
            }
        } else if let Ok(event) = serde_json::from_slice(&line) {
            take(EventLine::Few(event));
        }
        line.clear();
    }
    offset
}

/// Reads a line with its end; returns whether there was anything. Of what is too long only a part is
/// read, which has no end.
fn read_line(reader: &mut BufReader<File>, line: &mut Vec<u8>) -> bool {
    reader.take(LONGEST).read_until(b'\n', line).is_ok_and(|read| read > 0)
}

/// Returns whether an event, as it is written, is of a kind of which there are many.
fn is_many(line: &[u8]) -> bool {
    let has = |sign: &[u8]| line.windows(sign.len()).take(160).any(|window| window == sign);
    has(b"\"event\":\"log\"") || has(b"\"event\":\"progress\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    /// Returns a file as an older nixdash wrote it, with so many log lines between begin and summary.
    fn old(lines: usize) -> (tempfile::NamedTempFile, u64) {
        let mut text = String::new();
        let at = "\"run\":\"7\",\"at\":\"2026-11-20T12:00:00Z\"";
        let _ =
            writeln!(text, "{{{at},\"event\":\"begin\",\"hosts\":[\"a\"],\"title\":\"switch\"}}");
        for line in 0..lines {
            let _ = writeln!(
                text,
                "{{{at},\"event\":\"log\",\"host\":\"a\",\"phase\":\"build\",\"line\":\"{line}\"}}"
            );
        }
        let _ =
            writeln!(text, "{{{at},\"event\":\"summary\",\"outcomes\":{{}},\"duration_ms\":1}}");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &text).unwrap();
        (file, text.len() as u64)
    }

    /// Returns how many events and log lines are read, and how far.
    fn count(path: &Path, extent: ReadExtent) -> (usize, usize, u64) {
        let (mut few, mut many) = (0, 0);
        let offset = read_events(path, 0, extent, |line| match line {
            EventLine::Few(_) => few += 1,
            EventLine::Many(_) => many += 1,
        });
        (few, many, offset)
    }

    #[test]
    fn of_a_long_run_of_an_older_nixdash_only_beginning_and_end_are_read() {
        let (file, size) = old(100_000);
        let (few, many, offset) = count(file.path(), ReadExtent::Ends);
        assert_eq!((few, offset), (2, size));
        let most = 2 * ENDS as usize / 80;
        assert!(many > 1000 && many < most, "{many} of at most {most}");
        assert_eq!(count(file.path(), ReadExtent::Whole), (2, 100_000, size));
    }

    #[test]
    fn a_short_run_of_an_older_nixdash_is_read_whole() {
        let (file, size) = old(2000);
        assert_eq!(count(file.path(), ReadExtent::Ends), (2, 2000, size));
    }
}
