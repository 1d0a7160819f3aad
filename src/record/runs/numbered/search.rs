//! Searching all of a log: in pieces, by several threads, and told in the order of its lines.

use super::{NumberedLog, SearchPiece, doing};
use crate::fleet::{RawLogLine, printable_text};
use crate::record::{LogPattern, RecordError};
use std::io;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

/// A search reads about so many bytes at once, and tells how far it is after each of them: several frames of a
/// compressed log, most of them whole.
pub(super) const PIECE: u64 = 1024 * 1024;

/// The first pieces are searched before other threads begin: most searches find their line there.
const ALONE: usize = 2;

/// Most threads that search at once. More would wait for the disk, and take a machine from its work.
const MOST_THREADS: usize = 4;

/// How many pieces a thread may be ahead of what was told.
const AHEAD: usize = 2;

/// Which way is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchDirection {
    /// From a line on to the end.
    Forward,
    /// From the line before one to the beginning.
    Backward,
}

/// What a search tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchNews {
    /// The line of this number matches.
    Hit(u64),
    /// So many bytes were searched.
    Searched {
        /// How many.
        bytes: u64,
        /// Of how many.
        of: u64,
    },
}

impl NumberedLog {
    /// Searches from a line on, or from the line before it back to the beginning, and tells every line
    /// that matches, in this order, and now and then how far the search is. `tell` ends it by breaking;
    /// returns whether it did.
    ///
    /// It uses up to four cores of those that this process may use.
    pub fn search(
        &self,
        pattern: &LogPattern,
        from: u64,
        direction: SearchDirection,
        tell: &mut dyn FnMut(SearchNews) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, RecordError> {
        let search = LogSearch { log: self, pattern, from, direction };
        let mut telling = SearchTeller { bytes: 0, of: self.bytes(from, direction), tell };
        let mut pieces = self.pieces(from, direction, PIECE);
        if search.alone(pieces.by_ref().take(ALONE), &mut telling)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = cores.min(MOST_THREADS);
        let mut left = pieces.peekable();
        if threads == 1 || left.peek().is_none() {
            return search.alone(left, &mut telling);
        }
        thread::scope(|scope| {
            let begin = |first| {
                let (sender, receiver) = sync_channel(AHEAD);
                let own = self.pieces(from, direction, PIECE).skip(ALONE + first).step_by(threads);
                thread::Builder::new().name("search".to_owned()).spawn_scoped(
                    scope,
                    move || {
                        let mut buffer = Vec::new();
                        for piece in own {
                            // Nobody listens any more once the search has ended.
                            if sender.send(search.found_in(&piece, &mut buffer)).is_err() {
                                break;
                            }
                        }
                    },
                )?;
                Ok::<_, io::Error>(receiver)
            };
            match (0..threads).map(begin).collect::<Result<Vec<_>, _>>() {
                Ok(found) => telling.all(in_turn(&found)),
                // Where no thread can be made, this one does it all.
                Err(_) => search.alone(left, &mut telling),
            }
        })
    }
}

/// Gives what comes from each in turn, until the one whose turn it is has ended.
fn in_turn<T>(receivers: &[Receiver<T>]) -> impl Iterator<Item = T> {
    receivers.iter().cycle().map_while(|receiver| receiver.recv().ok())
}

/// What is searched for, and where.
#[derive(Clone, Copy)]
struct LogSearch<'a> {
    log: &'a NumberedLog,
    pattern: &'a LogPattern,
    from: u64,
    direction: SearchDirection,
}

/// What a piece has.
struct FoundInPiece {
    /// How long it is, in bytes.
    bytes: u64,
    /// The lines that match, in the order of the search.
    hits: Vec<u64>,
}

impl LogSearch<'_> {
    /// Looks at pieces, one after the other, and tells each line as soon as it is found.
    fn alone(
        self,
        pieces: impl Iterator<Item = SearchPiece>,
        telling: &mut SearchTeller<'_>,
    ) -> Result<ControlFlow<()>, RecordError> {
        let mut buffer = Vec::new();
        for piece in pieces {
            let looked = self.look(&piece, &mut buffer, &mut |number| telling.hit(number))?;
            if looked.is_break() || telling.searched(piece.end - piece.begin).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn found_in(
        self,
        piece: &SearchPiece,
        buffer: &mut Vec<u8>,
    ) -> Result<FoundInPiece, RecordError> {
        let mut hits = Vec::new();
        let _all = self.look(piece, buffer, &mut |number| {
            hits.push(number);
            ControlFlow::Continue(())
        })?;
        Ok(FoundInPiece { bytes: piece.end - piece.begin, hits })
    }

    /// Gives the lines of a piece that match, in the order of the search.
    fn look(
        self,
        piece: &SearchPiece,
        buffer: &mut Vec<u8>,
        take: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, RecordError> {
        self.read(piece, buffer)?;
        Ok(match self.direction {
            SearchDirection::Forward => hits(self.pattern, buffer, piece.line, &mut |number| {
                if number < self.from { ControlFlow::Continue(()) } else { take(number) }
            }),
            SearchDirection::Backward => {
                let mut found = Vec::new();
                let _ = hits(self.pattern, buffer, piece.line, &mut |number| {
                    if number >= self.from {
                        return ControlFlow::Break(());
                    }
                    found.push(number);
                    ControlFlow::Continue(())
                });
                found.into_iter().rev().try_for_each(take)
            }
        })
    }

    /// Reads a piece in the place of another, or nothing where it is known that no line of it matches.
    fn read(self, piece: &SearchPiece, lines: &mut Vec<u8>) -> Result<(), RecordError> {
        let part = &self.log.parts[piece.part];
        let range = piece.begin..piece.end;
        if let Some(word) = self.pattern.word()
            && !part.file.may_have(range, word).map_err(doing("read", &part.path))?
        {
            lines.clear();
            return Ok(());
        }
        part.read_into(lines, piece.begin, piece.end)
    }
}

/// Tells what was found.
struct SearchTeller<'a> {
    bytes: u64,
    of: u64,
    tell: &'a mut dyn FnMut(SearchNews) -> ControlFlow<()>,
}

impl SearchTeller<'_> {
    /// Tells what pieces have; returns whether it was ended.
    fn all(
        &mut self,
        pieces: impl Iterator<Item = Result<FoundInPiece, RecordError>>,
    ) -> Result<ControlFlow<()>, RecordError> {
        for found in pieces {
            let FoundInPiece { bytes, hits } = found?;
            let told = hits.into_iter().try_for_each(|number| self.hit(number));
            if told.is_break() || self.searched(bytes).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn hit(&mut self, number: u64) -> ControlFlow<()> {
        (self.tell)(SearchNews::Hit(number))
    }

    fn searched(&mut self, bytes: u64) -> ControlFlow<()> {
        self.bytes += bytes;
        (self.tell)(SearchNews::Searched { bytes: self.bytes, of: self.of })
    }
}

/// Gives the number of every line that matches.
fn hits(
    pattern: &LogPattern,
    lines: &[u8],
    first: u64,
    take: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let (mut number, mut counted, mut from) = (first, 0, 0);
    while let Some(begin) = pattern.candidate(lines, from) {
        let end = memchr::memchr(b'\n', &lines[begin..]).map_or(lines.len(), |end| begin + end);
        let text = String::from_utf8_lossy(RawLogLine::read(&lines[begin..end]).text);
        if pattern.is_match(&printable_text(&text)) {
            number += memchr::memchr_iter(b'\n', &lines[counted..begin]).count() as u64;
            counted = begin;
            take(number)?;
        }
        from = end + 1;
    }
    ControlFlow::Continue(())
}
