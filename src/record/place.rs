//! Where nixdash keeps its state: runs, the history, whom the person trusts.

use crate::nix::hash::to_base16;
use sha2::{Digest as _, Sha256};
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt};
use std::path::{Path, PathBuf};

/// Returns the folder of the state; it may have to be made.
///
/// `$XDG_STATE_HOME/nixdash`; else, for a service of systemd with `StateDirectory=`, the first folder of
/// `$STATE_DIRECTORY`; else `~/.local/state/nixdash`; else, for a user without a home, a folder of
/// that user's own below `/var/tmp`.
pub fn state_home() -> PathBuf {
    let user = fs::metadata("/proc/self").map_or(u32::MAX, |data| data.uid());
    place(
        |name| std::env::var_os(name),
        std::env::home_dir().as_deref(),
        user,
        Path::new("/var/tmp"),
    )
}

/// Chooses the folder, by variables, the home and the number of the user; `shared` is where every
/// user may write.
fn place(
    var: impl Fn(&str) -> Option<OsString>,
    home: Option<&Path>,
    user: u32,
    shared: &Path,
) -> PathBuf {
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    if let Some(given) = var("XDG_STATE_HOME").map(PathBuf::from).and_then(absolute) {
        return given.join("nixdash");
    }
    let of_service = var("STATE_DIRECTORY").unwrap_or_default();
    if let Some(first) = std::env::split_paths(&of_service).next().and_then(absolute) {
        return first;
    }
    match home {
        // A service's home is often named and not there: /nonexistent, /homeless-shelter.
        Some(home) if home.is_dir() => home.join(".local/state/nixdash"),
        Some(_) | None => own_folder(user, shared),
    }
}

/// Returns a folder below one where every user may write. Somebody may have made it before to put
/// lies into it: then it is a path that cannot be made, so that nothing is kept and that is said.
fn own_folder(user: u32, shared: &Path) -> PathBuf {
    let folder = shared.join(format!("nixdash-{user}"));
    match fs::symlink_metadata(&folder) {
        Ok(data) if !data.is_dir() || data.uid() != user || data.mode() & 0o022 != 0 => {
            Path::new("/dev/null/somebody-else-made")
                .join(folder.strip_prefix("/").unwrap_or(&folder))
        }
        Ok(_) | Err(_) => folder,
    }
}

/// Returns a name for what belongs to a file: the same for every way to it.
pub(super) fn name_of(file: &Path) -> String {
    let whole = fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
    to_base16(&Sha256::digest(whole.as_os_str().as_encoded_bytes())[..16])
}

/// Makes a folder that only its owner reads, where it is not there.
pub(super) fn make_own_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Puts a whole file in the place of the one that is there, so that nobody ever reads half of it.
pub(super) fn put_whole(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    make_own_folder(folder)?;
    let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
    fresh.write_all(bytes)?;
    fresh.persist(file).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn variables_come_before_the_home_and_a_home_that_is_not_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let (home, shared) = (dir.path().join("home"), dir.path().join("shared"));
        fs::create_dir(&home).unwrap();
        fs::create_dir(&shared).unwrap();
        let place_with = |vars: &[(&str, &str)], home: Option<&Path>| {
            let var = |name: &str| {
                vars.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
            };
            place(var, home, 1000, &shared)
        };
        let all = [("XDG_STATE_HOME", "/state"), ("STATE_DIRECTORY", "/var/lib/nixdash:/other")];
        assert_eq!(place_with(&all, Some(&home)), Path::new("/state/nixdash"));
        assert_eq!(place_with(&all[1..], Some(&home)), Path::new("/var/lib/nixdash"));
        let usual = home.join(".local/state/nixdash");
        assert_eq!(place_with(&[("XDG_STATE_HOME", "relative")], Some(&home)), usual);
        assert_eq!(place_with(&[], Some(&home)), usual);
        let own = shared.join("nixdash-1000");
        assert_eq!(place_with(&[], Some(Path::new("/nonexistent"))), own);
        assert_eq!(place_with(&[], None), own);
    }

    #[test]
    fn a_folder_that_somebody_else_made_for_a_user_without_a_home_is_not_used() {
        let shared = tempfile::tempdir().unwrap();
        let user = fs::metadata(shared.path()).unwrap().uid();
        let folder = shared.path().join(format!("nixdash-{user}"));
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(own_folder(user, shared.path()), folder);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(own_folder(user, shared.path()).starts_with("/dev/null"));
        fs::remove_dir(&folder).unwrap();
        std::os::unix::fs::symlink("/etc", &folder).unwrap();
        assert!(own_folder(user, shared.path()).starts_with("/dev/null"));
        let theirs = shared.path().join("nixdash-4711");
        fs::create_dir(theirs).unwrap();
        assert!(own_folder(4711, shared.path()).starts_with("/dev/null"));
    }
}
