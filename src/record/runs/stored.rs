//! A file of a run's record, plain or compressed: while a run goes on its logs and streams are plain, and
//! when it has ended they become `….zst` (see `pack`). Whoever reads one need not know which it is.
//!
//! Files are read at offsets of what they hold, and never mapped: one that is cut short while it is read
//! is an end and no crash.

use crate::record::runs::frames::PackedFile;
use crate::record::runs::trigrams::SoughtWord;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How the names of compressed files end.
const PACKED: &str = "zst";

/// A file that is open to be read, by several threads at once.
#[derive(Debug)]
pub struct StoredFile(Stored);

#[derive(Debug)]
enum Stored {
    Plain(File),
    Packed(PackedFile),
}

/// Returns what a file is called when it is compressed.
pub(super) fn packed_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".");
    name.push(PACKED);
    PathBuf::from(name)
}

/// Returns what a file is called when it is plain.
pub(super) fn plain_of(path: &Path) -> PathBuf {
    match path.extension() {
        Some(extension) if extension == PACKED => path.with_extension(""),
        Some(_) | None => path.to_path_buf(),
    }
}

/// Returns the file that there is of one, by its plain name: itself or the compressed one; none where
/// there is neither.
pub(super) fn find(path: &Path) -> Option<PathBuf> {
    [path.to_path_buf(), packed_of(path)].into_iter().find(|path| path.is_file())
}

impl StoredFile {
    /// Opens a file by the name that it has when it is plain.
    pub fn open(path: &Path) -> io::Result<Self> {
        match File::open(path) {
            // A file is removed only when the compressed one is there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Self(Stored::Packed(PackedFile::open(File::open(packed_of(path))?)?)))
            }
            opened => Ok(Self(Stored::Plain(opened?))),
        }
    }

    /// Returns how many bytes it holds now.
    pub fn length(&self) -> io::Result<u64> {
        match &self.0 {
            Stored::Plain(file) => Ok(file.metadata()?.len()),
            Stored::Packed(packed) => Ok(packed.length()),
        }
    }

    /// Reads some bytes at an offset of what it holds; none at its end. A signal does not end it.
    pub fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            let read = match &self.0 {
                Stored::Plain(file) => file.read_at(bytes, offset),
                Stored::Packed(packed) => packed.read_at(bytes, offset),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    /// Fills all of `bytes` with what stands at an offset, as far as there is so much; returns how many
    /// bytes were filled.
    pub fn fill_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.read_at(&mut bytes[filled..], offset + filled as u64)? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    }

    /// Returns whether a word may stand between two offsets of what it holds, as far as that is known without
    /// reading it.
    pub(super) fn may_have(&self, range: Range<u64>, word: &SoughtWord) -> io::Result<bool> {
        match &self.0 {
            Stored::Plain(_) => Ok(true),
            Stored::Packed(packed) => packed.may_have(range, word),
        }
    }

    /// Reads it from its beginning to its end.
    pub fn reader(&self) -> StoredReader<'_> {
        StoredReader { file: self, offset: 0 }
    }
}

/// Reads a file from its beginning to its end.
#[derive(Debug)]
pub struct StoredReader<'a> {
    file: &'a StoredFile,
    offset: u64,
}

impl Read for StoredReader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(bytes, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}
