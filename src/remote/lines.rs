//! Cuts an output, which arrives in pieces of any size, into lines, and counts its bytes as they came.

use std::borrow::Cow;
use std::collections::VecDeque;
use tokio::sync::mpsc;

/// Most bytes that are kept of one line; the rest of a longer one is counted only.
pub const LINE_LIMIT: usize = 1 << 20;

/// A line of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadLine<'a> {
    /// Its bytes without its end; of one that is cut its beginning.
    pub bytes: Cow<'a, [u8]>,
    /// At which byte of the output it begins.
    pub offset: u64,
    /// How many bytes it has in the output, with its end.
    pub length: u64,
    /// Whether it is longer than what was to be kept of one.
    pub is_cut: bool,
}

impl ReadLine<'_> {
    /// Returns at which byte of the output the next line begins.
    pub fn end(&self) -> u64 {
        self.offset + self.length
    }

    /// Returns it as a text; one that was cut says so at its end.
    pub fn text(&self) -> Cow<'_, str> {
        let text = String::from_utf8_lossy(&self.bytes);
        if self.is_cut {
            let (shown, all) = (self.bytes.len(), self.length);
            return format!("{text} … (the first {shown} of {all} bytes)").into();
        }
        text
    }
}

/// Cuts an output into lines. Of a line it keeps no more than [`LINE_LIMIT`] bytes, or what it is told.
#[derive(Clone, Debug)]
pub struct LineSplitter {
    /// Most bytes that are kept of a line.
    limit: usize,
    /// The beginning of the line that has not ended yet.
    held: Vec<u8>,
    /// Where that line begins.
    offset: u64,
    /// How much of it came.
    length: u64,
}

impl Default for LineSplitter {
    fn default() -> Self {
        Self::keeping(LINE_LIMIT)
    }
}

impl LineSplitter {
    /// Cuts an output from its beginning on, and keeps so many bytes of a line.
    pub fn keeping(limit: usize) -> Self {
        Self { limit, held: Vec::new(), offset: 0, length: 0 }
    }

    /// Cuts an output from this byte on, where a line begins.
    pub fn starting_at(offset: u64) -> Self {
        Self { offset, ..Self::default() }
    }

    /// Takes the next line out of a piece, which is left with what follows; nothing when the piece has
    /// no end of a line any more, and then all of it was taken.
    pub fn next<'a>(&mut self, piece: &mut &'a [u8]) -> Option<ReadLine<'a>> {
        let Some(end) = piece.iter().position(|byte| *byte == b'\n') else {
            self.hold(piece);
            *piece = &[];
            return None;
        };
        let (line, rest) = (&piece[..end], &piece[end + 1..]);
        *piece = rest;
        let bytes = if self.length == 0 && line.len() <= self.limit {
            self.length = line.len() as u64;
            Cow::Borrowed(line)
        } else {
            self.hold(line);
            Cow::Owned(std::mem::take(&mut self.held))
        };
        let is_cut = (bytes.len() as u64) < self.length;
        let (offset, length) = (self.offset, self.length + 1);
        (self.offset, self.length) = (offset + length, 0);
        Some(ReadLine { bytes, offset, length, is_cut })
    }

    /// Takes the last line, where the output ended without the end of it.
    pub fn rest(&mut self) -> Option<ReadLine<'static>> {
        let (offset, length) = (self.offset, std::mem::take(&mut self.length));
        self.offset += length;
        let bytes = std::mem::take(&mut self.held);
        let is_cut = (bytes.len() as u64) < length;
        (length > 0).then_some(ReadLine { bytes: bytes.into(), offset, length, is_cut })
    }

    /// Keeps a part of a line, as far as there is room.
    fn hold(&mut self, part: &[u8]) {
        let room = self.limit.saturating_sub(self.held.len());
        self.held.extend_from_slice(&part[..part.len().min(room)]);
        self.length += part.len() as u64;
    }
}

/// Receives an output in pieces and gives its lines.
pub struct LineReceiver {
    pieces: mpsc::Receiver<Vec<u8>>,
    splitter: LineSplitter,
    /// Lines that came together with one that was given.
    ready: VecDeque<ReadLine<'static>>,
}

impl LineReceiver {
    /// Gives the lines of what comes through this channel.
    pub fn new(pieces: mpsc::Receiver<Vec<u8>>) -> Self {
        Self { pieces, splitter: LineSplitter::default(), ready: VecDeque::new() }
    }

    /// Returns the next line, also the last one without its end; nothing when no more comes.
    pub async fn next(&mut self) -> Option<ReadLine<'static>> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(line);
            }
            let Some(piece) = self.pieces.recv().await else { return self.splitter.rest() };
            let mut rest = &piece[..];
            while let Some(ReadLine { bytes, offset, length, is_cut }) =
                self.splitter.next(&mut rest)
            {
                let bytes = Cow::Owned(bytes.into_owned());
                self.ready.push_back(ReadLine { bytes, offset, length, is_cut });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Cuts pieces into lines.
    fn lines(pieces: &[&[u8]]) -> Vec<ReadLine<'static>> {
        let (mut splitter, mut lines) = (LineSplitter::default(), Vec::new());
        for piece in pieces {
            let mut rest = *piece;
            while let Some(ReadLine { bytes, offset, length, is_cut }) = splitter.next(&mut rest) {
                let bytes = Cow::Owned(bytes.into_owned());
                lines.push(ReadLine { bytes, offset, length, is_cut });
            }
        }
        lines.extend(splitter.rest());
        lines
    }

    #[test]
    fn a_line_that_is_cut_says_so_and_counts_whole() {
        let long = vec![b'x'; 3 * LINE_LIMIT + 5];
        let output = [&long[..], b"\nnext\n"].concat();
        for size in [1 << 15, LINE_LIMIT, output.len()] {
            let pieces: Vec<&[u8]> = output.chunks(size).collect();
            let found = lines(&pieces);
            assert_eq!(found.len(), 2);
            assert_eq!((found[0].bytes.len(), found[0].length), (LINE_LIMIT, 3_145_734));
            assert!(found[0].text().ends_with("… (the first 1048576 of 3145734 bytes)"));
            assert_eq!((found[1].offset, found[1].end()), (3_145_734, output.len() as u64));
            assert_eq!(found[1].text(), "next");
        }
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_give_the_same_lines(
            output in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..300),
            size in 1_usize..50,
        ) {
            let pieces: Vec<&[u8]> = output.chunks(size).collect();
            let found = lines(&pieces);
            let wanted: Vec<&[u8]> = output.split_inclusive(|byte| *byte == b'\n').collect();
            prop_assert_eq!(found.len(), wanted.len());
            let mut offset = 0;
            for (line, wanted) in found.iter().zip(wanted) {
                prop_assert_eq!(&*line.bytes, wanted.strip_suffix(b"\n").unwrap_or(wanted));
                prop_assert_eq!((line.offset, line.length), (offset, wanted.len() as u64));
                offset = line.end();
            }
            prop_assert_eq!(offset, output.len() as u64);
        }
    }
}
