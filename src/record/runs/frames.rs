//! A compressed file that is read from anywhere: [Zstandard frames](https://www.rfc-editor.org/rfc/rfc8878)
//! of one size, and behind them a table of them in zstd's
//! [seekable format](https://github.com/facebook/zstd/blob/dev/contrib/seekable_format/zstd_seekable_compression_format.md).
//! `zstd -d` reads it, too.
//!
//! Of a log each frame has one before it that zstd passes over: which words may be in it (see `trigrams`).

use crate::record::runs::trigrams::{SET, SetBuilder, SoughtWord};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};
use zstd::bulk::{Compressor, Decompressor};

/// How many bytes are in a frame, but for the last one. To read one line a whole frame is decompressed,
/// which takes about a tenth of a millisecond.
pub(super) const FRAME: usize = 256 * 1024;

/// How hard the compressor tries. Of what builds print, frames of this size become smaller with level 1 than
/// with zstd's default, level 3, and are read faster.
const LEVEL: i32 = 1;

/// The biggest frame that is read, and the most frames, so that a damaged table takes no memory.
const BIGGEST_FRAME: u32 = 16 << 20;
const MOST_FRAMES: u32 = 1 << 22;

/// What the table begins with, and what the file ends with.
const TABLE: u32 = 0x184D_2A5E;
const END: u32 = 0x8F92_EAB1;

/// What a frame begins with that says which words may be in the next one, and how long that is.
const WORDS: u32 = 0x184D_2A5D;
const WORDS_HEAD: usize = 8;

/// How long the end of the table is, and how long each of its entries.
const FOOTER: usize = 9;
const ENTRY: usize = 8;

/// Compresses everything that comes, to be searched or not; returns how many bytes that were.
pub(super) fn compress(
    source: &mut impl Read,
    out: &mut impl Write,
    is_searched: bool,
) -> io::Result<u64> {
    let mut sets = is_searched.then(SetBuilder::default);
    let mut compressor = Compressor::new(LEVEL)?;
    compressor.include_checksum(true)?;
    let (mut table, mut count, mut length) = (Vec::new(), 0_u32, 0);
    let mut plain = Vec::with_capacity(FRAME);
    loop {
        plain.clear();
        source.by_ref().take(FRAME as u64).read_to_end(&mut plain)?;
        if plain.is_empty() {
            break;
        }
        let frame = compressor.compress(&plain)?;
        let mut packed = 0;
        if let Some(sets) = &mut sets {
            let words = [&words_head()[..], &sets.set_of(&plain)].concat();
            out.write_all(&words)?;
            packed += words.len();
        }
        out.write_all(&frame)?;
        packed += frame.len();
        table.extend_from_slice(&(packed as u32).to_le_bytes());
        table.extend_from_slice(&(plain.len() as u32).to_le_bytes());
        count += 1;
        length += plain.len() as u64;
    }
    out.write_all(&TABLE.to_le_bytes())?;
    out.write_all(&((table.len() + FOOTER) as u32).to_le_bytes())?;
    out.write_all(&table)?;
    out.write_all(&count.to_le_bytes())?;
    // No checksums in the table: each frame has its own.
    out.write_all(&[0])?;
    out.write_all(&END.to_le_bytes())?;
    Ok(length)
}

/// Returns the beginning of what says which words may be in a frame.
fn words_head() -> [u8; WORDS_HEAD] {
    let mut head = [0; WORDS_HEAD];
    let (begin, length) = head.split_at_mut(4);
    begin.copy_from_slice(&WORDS.to_le_bytes());
    length.copy_from_slice(&(SET as u32).to_le_bytes());
    head
}

/// One frame, with what says which words may be in it.
#[derive(Clone, Copy, Debug)]
struct Frame {
    /// At which byte of the plain text it begins, and of the file.
    plain: u64,
    packed: u64,
}

/// A compressed file that is open to be read, by several threads at once.
pub(super) struct PackedFile {
    file: File,
    /// The frames, and behind them where the last one ends.
    frames: Vec<Frame>,
    /// Readers that nobody uses at the moment: as many as ever read at the same time.
    idle: Mutex<Vec<FrameReader>>,
}

/// Decompresses frames of a file. It holds the frame that was read last.
struct FrameReader {
    decompressor: Decompressor<'static>,
    /// Which frame is held, and what is in it.
    held: Option<usize>,
    plain: Vec<u8>,
    packed: Vec<u8>,
}

impl PackedFile {
    /// Reads the table of a file.
    pub(super) fn open(file: File) -> io::Result<Self> {
        let frames = read_table(&file)?;
        Ok(Self { file, frames, idle: Mutex::default() })
    }

    /// Returns how long the plain text is, in bytes.
    pub(super) fn length(&self) -> u64 {
        self.frames.last().map_or(0, |end| end.plain)
    }

    /// Reads some of the plain text at an offset; none at its end.
    pub(super) fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.length() {
            return Ok(0);
        }
        let place = self.frames.partition_point(|frame| frame.plain <= offset).saturating_sub(1);
        let begin = (offset - self.frames[place].plain) as usize;
        let mut reader = self.take_reader()?;
        let read = reader.read(self, place, begin, bytes);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        read
    }

    /// Returns a reader that nobody uses, or a new one.
    fn take_reader(&self) -> io::Result<FrameReader> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(FrameReader::new, Ok)
    }

    /// Returns whether a word may stand between two offsets of the plain text, neither of them in it. Nothing
    /// is decompressed.
    pub(super) fn may_have(&self, range: Range<u64>, word: &SoughtWord) -> io::Result<bool> {
        let first = self.frames.partition_point(|frame| frame.plain <= range.start);
        let mut search = word.search();
        let mut words = [0; WORDS_HEAD + SET];
        for frame in self.frames.windows(2).skip(first.saturating_sub(1)) {
            if frame[0].plain >= range.end {
                break;
            }
            if frame[1].packed - frame[0].packed < words.len() as u64 {
                return Ok(true);
            }
            self.file.read_exact_at(&mut words, frame[0].packed)?;
            let (head, set) = words.split_at(WORDS_HEAD);
            // One of an older nixdash does not say it.
            if *head != words_head() || search.may_end_in(set) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns how long the plain text of a frame is, in bytes.
    fn plain_length(&self, place: usize) -> usize {
        (self.frames[place + 1].plain - self.frames[place].plain) as usize
    }
}

impl FrameReader {
    fn new() -> io::Result<Self> {
        let decompressor = Decompressor::new()?;
        Ok(Self { decompressor, held: None, plain: Vec::new(), packed: Vec::new() })
    }

    /// Reads some of a frame, from one of its bytes on.
    fn read(
        &mut self,
        file: &PackedFile,
        place: usize,
        begin: usize,
        bytes: &mut [u8],
    ) -> io::Result<usize> {
        let length = file.plain_length(place);
        // One that is wanted whole is not copied.
        if begin == 0 && self.held != Some(place) && bytes.len() >= length {
            self.unpack(file, place, &mut bytes[..length])?;
            return Ok(length);
        }
        self.hold(file, place)?;
        let there = self.plain.get(begin..).unwrap_or_default();
        let count = there.len().min(bytes.len());
        bytes[..count].copy_from_slice(&there[..count]);
        Ok(count)
    }

    /// Decompresses a frame, unless it is held.
    fn hold(&mut self, file: &PackedFile, place: usize) -> io::Result<()> {
        if self.held == Some(place) {
            return Ok(());
        }
        self.held = None;
        let mut plain = std::mem::take(&mut self.plain);
        plain.resize(file.plain_length(place), 0);
        self.unpack(file, place, &mut plain)?;
        (self.held, self.plain) = (Some(place), plain);
        Ok(())
    }

    /// Decompresses a frame into as many bytes as it has.
    fn unpack(&mut self, file: &PackedFile, place: usize, plain: &mut [u8]) -> io::Result<()> {
        let (begin, end) = (file.frames[place].packed, file.frames[place + 1].packed);
        self.packed.resize((end - begin) as usize, 0);
        file.file.read_exact_at(&mut self.packed, begin)?;
        let count = self.decompressor.decompress_to_buffer(&self.packed, plain)?;
        if count == plain.len() { Ok(()) } else { Err(damaged()) }
    }
}

impl fmt::Debug for PackedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PackedFile").field("file", &self.file).finish_non_exhaustive()
    }
}

/// Returns where the frames of a file begin, and where the last one ends.
fn read_table(file: &File) -> io::Result<Vec<Frame>> {
    let size = file.metadata()?.len();
    let mut footer = [0; FOOTER];
    let footer_at = size.checked_sub(FOOTER as u64).ok_or_else(damaged)?;
    file.read_exact_at(&mut footer, footer_at)?;
    let (count, kind, end) = (number_at(&footer, 0), footer[4], number_at(&footer, 5));
    if end != END || kind != 0 || count > MOST_FRAMES {
        return Err(damaged());
    }
    let mut table = vec![0; count as usize * ENTRY];
    let table_at = footer_at.checked_sub(table.len() as u64).ok_or_else(damaged)?;
    file.read_exact_at(&mut table, table_at)?;
    let mut next = Frame { plain: 0, packed: 0 };
    let mut frames = vec![next];
    for entry in table.as_chunks::<ENTRY>().0 {
        let (packed, plain) = (number_at(entry, 0), number_at(entry, 4));
        if plain == 0 || plain.max(packed) > BIGGEST_FRAME {
            return Err(damaged());
        }
        next =
            Frame { plain: next.plain + u64::from(plain), packed: next.packed + u64::from(packed) };
        frames.push(next);
    }
    // Between the frames and the table's entries stands the beginning of the table.
    if next.packed + 8 == table_at { Ok(frames) } else { Err(damaged()) }
}

/// Returns the number that stands at a place of a table.
fn number_at(bytes: &[u8], place: usize) -> u32 {
    let bytes = bytes.get(place..).and_then(|bytes| bytes.first_chunk());
    bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the compressed file is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    fn packed(plain: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        assert_eq!(compress(&mut &plain[..], &mut packed, true).unwrap(), plain.len() as u64);
        packed
    }

    fn open(packed: &[u8]) -> io::Result<PackedFile> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("x"), packed).unwrap();
        PackedFile::open(File::open(dir.path().join("x")).unwrap())
    }

    fn text(length: usize) -> Vec<u8> {
        (0..length as u32)
            .flat_map(|number| number.wrapping_mul(97).to_le_bytes())
            .take(length)
            .collect()
    }

    #[test]
    fn every_zstd_reads_the_file() {
        let text = text(3 * FRAME + 5);
        let plain = zstd::stream::decode_all(&packed(&text)[..]).unwrap();
        assert!(plain == text);
        assert_eq!(open(&packed(b"")).unwrap().length(), 0);
    }

    #[test]
    fn what_cannot_have_a_word_is_known_and_a_word_between_two_frames_is_not_overlooked() {
        let mut text = "cc -c part.c\n".repeat(3 * FRAME / 13).into_bytes();
        let word = |word: &str| SoughtWord::new(word, false).unwrap();
        let needle = b"Needle";
        for place in [2 * FRAME - 6, 2 * FRAME - 5, 2 * FRAME - 1, 2 * FRAME] {
            let before = text.clone();
            text[place..place + needle.len()].copy_from_slice(needle);
            let reader = open(&packed(&text)).unwrap();
            let may_have = |begin: usize, end: usize, what| {
                reader.may_have(begin as u64..end as u64, &word(what))
            };
            assert!(may_have(0, text.len(), "Needle").unwrap(), "{place}");
            assert!(may_have(place, place + 6, "Needle").unwrap(), "{place}");
            assert!(!may_have(0, FRAME, "Needle").unwrap(), "{place}");
            assert!(!may_have(0, text.len(), "Unobtainium").unwrap());
            assert!(may_have(FRAME, FRAME + 100, "part.c").unwrap());
            text = before;
        }
        let mut plain = Vec::new();
        compress(&mut &text[..], &mut plain, false).unwrap();
        let reader = open(&plain).unwrap();
        assert!(reader.may_have(0..9, &word("Needle")).unwrap(), "nothing is known of it");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn any_bytes_are_read_from_anywhere(
            length in 0_usize..4 * FRAME,
            places in prop::collection::vec((0.0_f64..1.0, 1_usize..2 * FRAME), 1..20),
        ) {
            let text = text(length);
            let reader = open(&packed(&text)).unwrap();
            prop_assert_eq!(reader.length(), length as u64);
            for (place, count) in places {
                let begin = (length as f64 * place) as usize;
                let (mut bytes, mut filled) = (vec![0; count], 0);
                while filled < count {
                    match reader.read_at(&mut bytes[filled..], (begin + filled) as u64).unwrap() {
                        0 => break,
                        read => filled += read,
                    }
                }
                prop_assert!(bytes[..filled] == text[begin..(begin + count).min(length)]);
            }
        }

        #[test]
        fn a_damaged_file_is_an_error_and_no_crash(
            cut in 0.0_f64..1.0,
            changed in prop::collection::vec((0.0_f64..1.0, any::<u8>()), 0..4),
        ) {
            let mut packed = packed(&text(2 * FRAME));
            for (place, byte) in changed {
                let at = (packed.len() as f64 * place) as usize;
                packed[at] = byte;
            }
            if cut < 0.5 {
                packed.truncate((packed.len() as f64 * cut * 2.0) as usize);
            }
            if let Ok(reader) = open(&packed) {
                let mut bytes = vec![0; 100];
                // Either what was there, or an error: each frame has a checksum.
                if reader.read_at(&mut bytes, 7).is_ok() && reader.length() > 200 {
                    prop_assert!(bytes == text(2 * FRAME)[7..107]);
                }
            }
        }
    }
}
