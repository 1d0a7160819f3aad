//! Where a lab keeps what it has: directories, what was recorded about it, and the lock that makes its commands take turns.
//!
//! ```text
//! $XDG_STATE_HOME/nixdash/lab/
//!   base/KEY/        root file system, made once, shared, never written to afterwards
//!   seed/KEY/        first generations, the static cache, keys; made once per recipe
//!   weed/KEY/        the SeaweedFS program
//!   NAME/            one lab: lab.json hosts.toml ssh_config id known_hosts flake/ static/ runtime/ hosts/HOST/ run/
//! ```

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::{ErrorContext, LabError};
use super::names::{self, LabHost, Subnet};
use super::tool::Tool;

/// The directory of all labs.
#[derive(Debug, Clone)]
pub struct Shelf {
    root: PathBuf,
}

impl Shelf {
    /// The shelf of this user: `$XDG_STATE_HOME/nixdash/lab`.
    pub fn of_user() -> Result<Self, LabError> {
        let state =
            std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let state = match state {
            Some(state) => state,
            None => std::env::home_dir()
                .ok_or_else(|| {
                    LabError::Usage("neither XDG_STATE_HOME nor HOME is set; set one".to_owned())
                })?
                .join(".local/state"),
        };
        Ok(Self { root: resolved(&state.join("nixdash/lab")) })
    }

    /// The shelf in a directory of a test's own.
    #[cfg(test)]
    pub(crate) fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// Base file systems, one directory for each recipe.
    pub fn base(&self, key: &str) -> PathBuf {
        self.root.join("base").join(key)
    }

    /// Seeds, one directory for each recipe.
    pub fn seed(&self, key: &str) -> PathBuf {
        self.root.join("seed").join(key)
    }

    /// Where SeaweedFS is installed, one directory for each recipe.
    pub fn weed(&self, key: &str) -> PathBuf {
        self.root.join("weed").join(key)
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A lab's own directories.
    pub fn lab(&self, name: &str) -> Result<Places, LabError> {
        names::check_name(name)?;
        if ["base", "seed", "weed", "packages"].contains(&name) {
            return Err(LabError::Usage(format!(
                "a lab cannot be named '{name}': the shared parts lie there"
            )));
        }
        Ok(Places { root: self.root.join(name) })
    }

    /// What was recorded about every lab that has been set up, whatever its state.
    pub fn records(&self) -> Vec<LabRecord> {
        let Ok(entries) = std::fs::read_dir(&self.root) else { return Vec::new() };
        entries
            .flatten()
            .filter_map(|entry| Places { root: entry.path() }.record().ok().flatten())
            .collect()
    }

    /// Waits until no other command makes or changes the shared parts.
    pub fn lock(&self) -> Result<File, LabError> {
        make_dir(&self.root)?;
        lock(&self.root.join("lock"))
    }
}

/// What is written down about a lab when it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabRecord {
    /// Its name.
    pub name: String,
    /// N of 10.213.N.0/24.
    pub subnet: u8,
    /// Key of the base it stands on.
    pub base: String,
    /// Key of the seed it began with.
    pub seed: String,
    /// Key of the base of the host with the newer Nix, if there is one.
    pub newer_base: Option<String>,
    /// Whether there is a SeaweedFS cluster beside the hosts.
    #[serde(default)]
    pub seaweed: bool,
    /// How many hosts it has.
    #[serde(default = "four")]
    pub hosts: u8,
}

/// How many hosts a lab had when that was not written down.
fn four() -> u8 {
    4
}

impl LabRecord {
    /// The lab's network.
    pub fn subnet(&self) -> Subnet {
        Subnet(self.subnet)
    }

    /// Its hosts, the builder first.
    pub fn hosts(&self) -> &'static [LabHost] {
        names::first(self.hosts)
    }
}

/// Keeps others away from one part of a lab, for as long as it lives.
#[derive(Debug)]
pub struct PartLock {
    _whole: File,
    _part: File,
}

/// The directories and files of one lab.
#[derive(Debug, Clone)]
pub struct Places {
    root: PathBuf,
}

impl Places {
    /// The lab's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file directly in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The fleet's configuration.
    pub fn hosts_file(&self) -> PathBuf {
        self.file("hosts.toml")
    }

    /// The flake, a git repository.
    pub fn flake(&self) -> PathBuf {
        self.file("flake")
    }

    /// A host's layer, mount point and so on.
    pub fn host(&self, host: LabHost, part: &str) -> PathBuf {
        self.root.join("hosts").join(host.name).join(part)
    }

    /// The record of a running process, by what it is: a host's name or `static`.
    pub fn process(&self, what: &str) -> PathBuf {
        self.root.join("run").join(format!("{what}.pid"))
    }

    /// The output of a running process.
    pub fn log(&self, what: &str) -> PathBuf {
        self.root.join("run").join(format!("{what}.log"))
    }

    /// What was recorded, or nothing when there is no such lab.
    pub fn record(&self) -> Result<Option<LabRecord>, LabError> {
        let path = self.file("lab.json");
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| LabError::Damaged { path, cause: error.to_string() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).at("reading", path),
        }
    }

    /// Writes the record.
    pub fn write_record(&self, record: &LabRecord) -> Result<(), LabError> {
        let path = self.file("lab.json");
        let text = serde_json::to_string_pretty(record)
            .map_err(|error| LabError::Damaged { path: path.clone(), cause: error.to_string() })?;
        write(&path, text, 0o644)
    }

    /// Waits until no other command changes this lab, or anything of it.
    pub fn lock(&self) -> Result<File, LabError> {
        if let Some(parent) = self.root.parent() {
            make_dir(parent)?;
        }
        lock(&self.root.with_extension("lock"))
    }

    /// Waits until no other command changes this part of the lab (a host, `flake`, a cache), or all of it. What befalls one
    /// host does not wait for another that starts again.
    pub fn lock_part(&self, part: &str) -> Result<PartLock, LabError> {
        let path = self.root.with_extension("lock");
        let whole = File::create(&path).at("opening", &path)?;
        whole.lock_shared().at("locking", &path)?;
        let part = lock(&self.root.join("run").join(format!("{part}.lock")))?;
        Ok(PartLock { _whole: whole, _part: part })
    }
}

/// A path without symbolic links, as the kernel lists it among mounts; the end of it need not exist yet.
fn resolved(path: &Path) -> PathBuf {
    match (std::fs::canonicalize(path), path.parent(), path.file_name()) {
        (Ok(real), ..) => real,
        (Err(_), Some(parent), Some(name)) => resolved(parent).join(name),
        (Err(_), ..) => path.to_owned(),
    }
}

fn lock(path: &Path) -> Result<File, LabError> {
    let file = File::create(path).at("opening", path)?;
    file.lock().at("locking", path)?;
    Ok(file)
}

/// Makes a directory and its parents, readable by everyone whatever the umask says: some become a host's root.
pub(crate) fn make_dir(path: &Path) -> Result<(), LabError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_dir(parent)?;
    }
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(error).at("making", path)
        }
        _ => std::fs::set_permissions(path, Permissions::from_mode(0o755))
            .at("letting others read", path),
    }
}

/// Writes a file whole, with the directories above it and its permissions; who reads it meanwhile sees the old one or this.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>, mode: u32) -> Result<(), LabError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    make_dir(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory).at("writing into", directory)?;
    file.write_all(content.as_ref()).at("writing", path)?;
    std::fs::set_permissions(file.path(), Permissions::from_mode(mode))
        .at("setting the mode of", path)?;
    file.persist(path).map_err(|error| error.error).at("writing", path).map(|_| ())
}

/// Reads a small text file.
pub(crate) fn read(path: &Path) -> Result<String, LabError> {
    std::fs::read_to_string(path).at("reading", path)
}

/// Removes a directory tree that may not be there. What is mounted in it is unmounted first, or its files would go too.
pub(crate) fn remove_tree(path: &Path) -> Result<(), LabError> {
    for mount in mounts_below(path) {
        Tool::new("unmounting", "umount").arg("--lazy").arg(&mount).run()?;
    }
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).at("removing", path)
        }
        _ => Ok(()),
    }
}

/// Mount points at or below a path, the innermost first.
fn mounts_below(root: &Path) -> Vec<PathBuf> {
    let mut mounts: Vec<PathBuf> = std::fs::read_to_string("/proc/self/mountinfo")
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.split(' ').nth(4).map(PathBuf::from))
        .filter(|mount| mount.starts_with(root))
        .collect();
    mounts.reverse();
    mounts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_directory_behind_a_link_is_known_by_its_real_name() {
        let directory = tempfile::tempdir().unwrap();
        let real = std::fs::canonicalize(directory.path()).unwrap();
        std::os::unix::fs::symlink(&real, real.join("link")).unwrap();
        assert_eq!(resolved(&real.join("link/nixdash/lab")), real.join("nixdash/lab"));
    }

    #[test]
    fn a_written_file_has_its_mode_and_its_directories() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a/b/key");
        write(&file, "x", 0o600).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&file).unwrap(), "x");
    }

    #[test]
    fn two_hosts_are_changed_at_once_and_no_host_while_the_lab_is() {
        let directory = tempfile::tempdir().unwrap();
        let places = Places { root: directory.path().join("practice") };
        make_dir(&places.file("run")).unwrap();
        let one = places.lock_part("p620").unwrap();
        let _other = places.lock_part("samsung").unwrap();
        let whole = File::create(places.root.with_extension("lock")).unwrap();
        assert!(whole.try_lock().is_err(), "the lab is not changed while a host is");
        let same = File::create(places.file("run/p620.lock")).unwrap();
        assert!(same.try_lock().is_err(), "one host is changed by one command");
        drop(one);
        assert!(same.try_lock().is_ok());
    }

    #[test]
    fn no_lab_can_take_the_place_of_the_shared_parts() {
        let shelf = Shelf { root: PathBuf::from("/state") };
        assert!(shelf.lab("seed").is_err());
        assert!(shelf.lab("practice").is_ok());
    }
}
