//! The folder of this process's control sockets, removed when the process ends; what processes
//! left that were killed is removed by the next one.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// What the folders' names begin with; the process's number follows.
const PREFIX: &str = "nixdash-ssh-";

/// A folder for control sockets.
pub(super) struct Sockets {
    dir: PathBuf,
}

impl Sockets {
    /// Makes the folder of this process, and removes those of processes that are gone.
    pub(super) fn make() -> std::io::Result<Self> {
        let base = base();
        remove_orphans(&base);
        let dir = base.join(format!("{PREFIX}{}", std::process::id()));
        match fs::DirBuilder::new().mode(0o700).create(&dir) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            result => result?,
        }
        Ok(Self { dir })
    }

    /// Returns the folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next nixdash.
        drop(fs::remove_dir_all(&self.dir));
    }
}

/// Returns where the folders are: short, since a socket's path may have 104 bytes.
fn base() -> PathBuf {
    std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|dir| dir.is_dir() && dir.as_os_str().len() < 40)
        .unwrap_or_else(std::env::temp_dir)
}

/// Removes folders whose process is gone. Its connections end by themselves, when idle.
fn remove_orphans(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let Some(pid) = process.and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        if !Path::new(&format!("/proc/{pid}")).exists() {
            // Somebody else's folder cannot be removed, and need not be.
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}
