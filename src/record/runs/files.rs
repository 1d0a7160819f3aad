//! Files that a run is appended to: all of a piece or nothing, so that no half line stays behind
//! when the disk is full.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where a run is written to; tests have files that fail.
pub(super) trait Files: Send {
    /// Appends to a file, which is made with its folder where it is missing. What fails leaves the
    /// file as it was. Returns at which byte of the file these begin.
    fn append(&mut self, path: &Path, bytes: &[u8]) -> io::Result<u64>;

    /// Returns at which byte of a file the next bytes would begin that are appended.
    fn length(&mut self, path: &Path) -> io::Result<u64>;

    /// Puts a file in the place of one that may be there: whoever reads it finds the old one or the new
    /// one.
    fn replace(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Removes a file, or a folder with all that is in it.
    fn remove(&mut self, path: &Path) -> io::Result<()>;
}

/// A file that is open.
struct Open {
    file: File,
    /// How long it is without what failed.
    length: u64,
    /// Whether a half line may be at its end, since that could not be cut off either.
    torn: bool,
}

/// Files on a disk.
#[derive(Default)]
pub(super) struct DiskFiles {
    open: HashMap<PathBuf, Open>,
}

impl DiskFiles {
    /// Returns a file that is open, or opens it.
    fn find(&mut self, path: &Path) -> io::Result<&mut Open> {
        match self.open.entry(path.to_path_buf()) {
            Entry::Occupied(found) => Ok(found.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(open(path)?)),
        }
    }
}

impl Files for DiskFiles {
    fn append(&mut self, path: &Path, bytes: &[u8]) -> io::Result<u64> {
        let found = self.find(path)?;
        let start = if found.torn { &b"\n"[..] } else { b"" };
        match found.file.write_all(start).and_then(|()| found.file.write_all(bytes)) {
            Ok(()) => {
                let begins = found.length + start.len() as u64;
                found.length = begins + bytes.len() as u64;
                found.torn = false;
                Ok(begins)
            }
            Err(error) => {
                found.torn = found.file.set_len(found.length).is_err();
                Err(error)
            }
        }
    }

    fn length(&mut self, path: &Path) -> io::Result<u64> {
        self.find(path).map(|found| found.length + u64::from(found.torn))
    }

    fn replace(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let fresh = path.with_extension("new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(bytes)?;
        fs::rename(&fresh, path)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.open.retain(|open, _| !open.starts_with(path));
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
    }
}

/// Opens a file to append to it, for its owner alone. A half line at its end, of a process that was
/// killed, is ended with the first line that is added.
fn open(path: &Path) -> io::Result<Open> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut options = OpenOptions::new();
    let mut file = options.read(true).append(true).create(true).mode(0o600).open(path)?;
    let length = file.metadata()?.len();
    let torn = length > 0 && {
        file.seek(SeekFrom::Start(length - 1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        last != [b'\n']
    };
    Ok(Open { file, length, torn })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_to_a_half_line_begins_a_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tail-1").join("a.log");
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(&path, "whole\nhal").unwrap();
        let mut files = DiskFiles::default();
        assert_eq!(files.append(&path, b"next\n").unwrap(), 10);
        assert_eq!(files.append(&path, b"last\n").unwrap(), 15);
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole\nhal\nnext\nlast\n");
    }

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("live.json");
        let mut files = DiskFiles::default();
        files.replace(&path, b"one").unwrap();
        files.replace(&path, b"two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
