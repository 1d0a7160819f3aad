//! Files that a run is appended to: all of a piece or nothing, so that no half line stays behind
//! when the disk is full.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where a run is written to; tests have files that fail.
pub(super) trait Files: Send {
    /// Appends to a file, which is made with its folder where it is missing. What fails leaves the
    /// file as it was.
    fn append(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()>;

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

impl Files for DiskFiles {
    fn append(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if !self.open.contains_key(path) {
            self.open.insert(path.to_path_buf(), open(path)?);
        }
        let Some(found) = self.open.get_mut(path) else { return Ok(()) };
        let start = if found.torn { &b"\n"[..] } else { b"" };
        match found.file.write_all(start).and_then(|()| found.file.write_all(bytes)) {
            Ok(()) => {
                found.length += (start.len() + bytes.len()) as u64;
                found.torn = false;
                Ok(())
            }
            Err(error) => {
                found.torn = found.file.set_len(found.length).is_err();
                Err(error)
            }
        }
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.open.retain(|open, _| !open.starts_with(path));
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
    }
}

/// Opens a file to append to it, for its owner alone.
fn open(path: &Path) -> io::Result<Open> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let length = file.metadata()?.len();
    Ok(Open { file, length, torn: false })
}
