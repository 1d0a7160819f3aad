//! What stays on the disk when a lab has ended: the parts that all labs share, which take minutes to
//! make, and Debian packages that were installed for them.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::{ErrorContext, LabError};
use super::state::{Shelf, make_dir, remove_tree, write};

/// The shared parts: the name of the directory, and what is in it.
const PARTS: [(&str, &str); 3] =
    [("base", "base file system"), ("seed", "first generations"), ("weed", "SeaweedFS")];

/// What stays on the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// The directory of all labs.
    pub root: PathBuf,
    /// What each shared part is, and its size on the disk in bytes.
    pub parts: Vec<(&'static str, u64)>,
    /// Debian packages that were installed for labs.
    pub packages: Vec<String>,
}

impl Leftovers {
    /// All of it, in bytes on the disk.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Looks at what is there.
    pub(crate) fn of(shelf: &Shelf) -> Self {
        let measured = PARTS.map(|(name, words)| (words, size(&shelf.root().join(name))));
        let parts = measured.into_iter().filter(|(_, bytes)| *bytes > 0).collect();
        Self { root: shelf.root().to_owned(), parts, packages: packages(shelf) }
    }
}

/// Writes down which packages were installed for a lab.
pub(crate) fn note_packages(shelf: &Shelf, installed: &[&str]) -> Result<(), LabError> {
    if installed.is_empty() {
        return Ok(());
    }
    make_dir(shelf.root())?;
    let mut all = packages(shelf);
    all.extend(installed.iter().map(|name| (*name).to_owned()));
    all.sort();
    all.dedup();
    write(&shelf.root().join("packages"), all.join("\n") + "\n", 0o644)
}

fn packages(shelf: &Shelf) -> Vec<String> {
    let text = std::fs::read_to_string(shelf.root().join("packages")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Removes the shared parts and the directory of all labs. Refuses while a lab stands on them.
pub(crate) fn remove(shelf: &Shelf) -> Result<(), LabError> {
    let labs: Vec<String> = shelf.records().into_iter().map(|record| record.name).collect();
    if !labs.is_empty() {
        return Err(LabError::PartsInUse { labs });
    }
    for (name, _) in PARTS {
        remove_tree(&shelf.root().join(name))?;
    }
    for name in ["packages", "lock"] {
        match std::fs::remove_file(shelf.root().join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).at("removing", shelf.root().join(name));
            }
            Ok(()) | Err(_) => {}
        }
    }
    // What else lies there is not of a lab, and stays.
    let _ = std::fs::remove_dir(shelf.root());
    Ok(())
}

/// The bytes that a tree takes on the disk, each file once however many names it has.
fn size(root: &Path) -> u64 {
    let mut seen = BTreeSet::new();
    let mut count = |data: &Metadata| {
        let first = data.nlink() < 2 || data.is_dir() || seen.insert((data.dev(), data.ino()));
        if first { data.blocks() * 512 } else { 0 }
    };
    let mut bytes = 0;
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            // Of a link this is the link itself.
            let Ok(data) = entry.metadata() else { continue };
            bytes += count(&data);
            if data.is_dir() {
                open.push(entry.path());
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_counted_once_and_removed_whole() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::at(directory.path().join("lab"));
        let file = shelf.base("key").join("file");
        write(&file, vec![1; 100_000], 0o644).unwrap();
        std::fs::hard_link(&file, shelf.base("key").join("again")).unwrap();
        std::os::unix::fs::symlink("/usr", shelf.base("key").join("link")).unwrap();
        note_packages(&shelf, &["mmdebstrap", "iproute2"]).unwrap();
        note_packages(&shelf, &["mmdebstrap"]).unwrap();
        let left = Leftovers::of(&shelf);
        assert_eq!(left.parts.len(), 1, "{left:?}");
        assert!((100_000..200_000).contains(&left.bytes()), "{left:?}");
        assert_eq!(left.packages, ["iproute2", "mmdebstrap"]);
        remove(&shelf).unwrap();
        assert!(!shelf.root().exists());
        assert_eq!(Leftovers::of(&shelf).bytes(), 0);
    }

    #[test]
    fn shared_parts_stay_while_a_lab_stands_on_them() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::at(directory.path().join("lab"));
        write(&shelf.base("key").join("file"), "x", 0o644).unwrap();
        let other = r#"{"name":"other","subnet":7,"base":"key","seed":"s","newer_base":null}"#;
        write(&shelf.root().join("other/lab.json"), other, 0o644).unwrap();
        let error = remove(&shelf).unwrap_err().to_string();
        assert!(error.contains("nixdash lab down --name other"), "{error}");
        assert!(shelf.base("key").join("file").exists());
    }
}
