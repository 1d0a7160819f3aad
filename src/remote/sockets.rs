//! The folder of this process's control sockets: fresh, with a name that nobody can know before,
//! and for nobody else, since whoever can reach a control socket can use the connection behind it.
//!
//! The folder goes with the process, however that ends: a watcher, a small shell script, sees the
//! end, ends the ssh processes and removes the folder. What is left nevertheless (the machine was
//! short of memory, the watcher was ended too) is removed by the next nixdash.

use rustix::process::geteuid;
use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// What the folders' names begin with; the process's number and a random word follow.
const PREFIX: &str = "nixdash-ssh-";

/// Longest path of the folder that holds ours, in bytes: a socket's whole path may have 104, and
/// ssh adds 17 of its own while it makes one.
const BASE_LIMIT: usize = 40;

/// Ends the connections when this process is gone.
const WATCHER: &str = include_str!("scripts/sockets.sh");

/// A folder for control sockets.
pub(super) struct Sockets {
    dir: TempDir,
    /// Its standard input ends with this process.
    watcher: Option<Child>,
}

impl Sockets {
    /// Makes a folder, and removes those of processes that are gone.
    pub(super) fn make() -> io::Result<Self> {
        let tried = [std::env::var_os("XDG_RUNTIME_DIR"), std::env::var_os("TMPDIR")];
        let tried = tried.into_iter().flatten().map(PathBuf::from);
        let mut bases = tried.chain(["/tmp", "/var/tmp"].map(PathBuf::from));
        let base = bases.find(|base| is_safe_base(base)).ok_or_else(|| {
            io::Error::other(
                "there is no folder where the control sockets of ssh are safe from other users; \
                 set XDG_RUNTIME_DIR to a folder of your own with mode 0700",
            )
        })?;
        Self::make_in(&base)
    }

    /// Makes a folder within another.
    fn make_in(base: &Path) -> io::Result<Self> {
        remove_orphans(base);
        let dir = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{}-", std::process::id()))
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(base)?;
        let watcher = Command::new("/bin/sh")
            .args(["-c", WATCHER, "nixdash-sockets"])
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        // Without a watcher the connections end by themselves, when they are idle.
        Ok(Self { dir, watcher: watcher.ok() })
    }

    /// Returns the folder.
    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Returns whether the folder is still there, and still ours alone.
    pub(super) fn is_intact(&self) -> bool {
        fs::symlink_metadata(self.dir()).is_ok_and(|found| is_private(&found))
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next nixdash.
        drop(fs::remove_dir_all(self.dir.path()));
        if let Some(mut watcher) = self.watcher.take() {
            drop(watcher.stdin.take());
            // It finds nothing left to do and ends at once; where it does not, nobody waits for it.
            drop(std::thread::Builder::new().spawn(move || watcher.wait()));
        }
    }
}

/// Returns whether something is a folder of ours that nobody else can enter.
fn is_private(found: &Metadata) -> bool {
    let others = found.mode() & 0o077;
    found.is_dir() && found.uid() == geteuid().as_raw() && others == 0
}

/// Returns whether nobody else can exchange a folder of ours in there: a folder of ours or of root
/// that others cannot write to, or one like `/tmp`, where each removes only what is his.
fn is_safe_base(base: &Path) -> bool {
    let short = base.is_absolute() && base.as_os_str().len() < BASE_LIMIT;
    let safe = fs::symlink_metadata(base).is_ok_and(|found| {
        let owner = found.uid();
        let others_write = found.mode() & 0o022 != 0;
        let sticky = found.mode() & 0o1000 != 0;
        found.is_dir()
            && (owner == geteuid().as_raw() || owner == 0)
            && (sticky || !others_write)
            && rustix::fs::access(base, rustix::fs::Access::WRITE_OK).is_ok()
    });
    short && safe
}

/// Removes our own folders whose process is gone, and ends the connections in them; somebody
/// else's are left alone, and no link is followed.
fn remove_orphans(base: &Path) {
    // Without /proc nobody knows which processes are gone.
    if !Path::new("/proc/self").exists() {
        return;
    }
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        let pid = rest.split('-').next().and_then(|pid| pid.parse::<u32>().ok());
        let gone = pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        let path = entry.path();
        if gone && fs::symlink_metadata(&path).is_ok_and(|found| is_private(&found)) {
            for socket in fs::read_dir(&path).into_iter().flatten().filter_map(Result::ok) {
                // A socket that nobody listens on has no connection behind it.
                drop(openssh_mux_client::shutdown_mux_master(socket.path().join("m")));
            }
            // It follows no link.
            drop(fs::remove_dir_all(&path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Returns a number that no process has.
    fn no_process() -> u32 {
        (1..1000)
            .map(|n| 4_000_000_000 + n)
            .find(|pid| !Path::new(&format!("/proc/{pid}")).exists())
            .unwrap()
    }

    #[test]
    fn a_folder_is_fresh_private_and_gone_with_its_owner() {
        let base = tempfile::tempdir().unwrap();
        let one = Sockets::make_in(base.path()).unwrap();
        let other = Sockets::make_in(base.path()).unwrap();
        assert_ne!(one.dir(), other.dir());
        assert!(one.is_intact());
        assert_eq!(fs::metadata(one.dir()).unwrap().mode() & 0o777, 0o700);
        let dir = one.dir().to_path_buf();
        drop(one);
        assert!(!dir.exists() && other.dir().exists());
    }

    #[test]
    fn a_folder_that_others_can_enter_or_that_is_a_link_is_not_used_again() {
        let base = tempfile::tempdir().unwrap();
        let sockets = Sockets::make_in(base.path()).unwrap();
        fs::set_permissions(sockets.dir(), Permissions::from_mode(0o750)).unwrap();
        assert!(!sockets.is_intact());
        fs::remove_dir_all(sockets.dir()).unwrap();
        assert!(!sockets.is_intact());
        let elsewhere = tempfile::tempdir().unwrap();
        symlink(elsewhere.path(), sockets.dir()).unwrap();
        assert!(!sockets.is_intact());
        fs::write(elsewhere.path().join("kept"), "").unwrap();
        drop(sockets);
        assert!(elsewhere.path().join("kept").exists(), "a link was followed");
    }

    #[test]
    fn a_folder_in_which_others_could_exchange_ours_holds_none() {
        let base = tempfile::tempdir_in("/tmp").unwrap();
        let mode = |mode| fs::set_permissions(base.path(), Permissions::from_mode(mode)).unwrap();
        for (bits, safe) in [(0o700, true), (0o755, true), (0o777, false), (0o770, false)] {
            mode(bits);
            assert_eq!(is_safe_base(base.path()), safe, "{bits:o}");
        }
        mode(0o1777);
        assert!(is_safe_base(base.path()));
        let link = base.path().join("link");
        symlink("/tmp", &link).unwrap();
        assert!(!is_safe_base(&link), "a link can be turned elsewhere");
        assert!(!is_safe_base(Path::new("/tmp/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")));
    }

    #[test]
    fn only_our_own_folders_of_dead_processes_are_removed() {
        let base = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("kept"), "").unwrap();
        let make = |name: String| {
            let path = base.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
            path
        };
        let dead = make(format!("{PREFIX}{}-abc", no_process()));
        let alive = make(format!("{PREFIX}{}-abc", std::process::id()));
        let other = make("something-else".to_owned());
        symlink(elsewhere.path(), dead.join("x")).unwrap();
        let link = base.path().join(format!("{PREFIX}{}-link", no_process()));
        symlink(elsewhere.path(), &link).unwrap();
        remove_orphans(base.path());
        assert!(!dead.exists() && alive.exists() && other.exists());
        assert!(elsewhere.path().join("kept").exists() && link.is_symlink());
    }
}
