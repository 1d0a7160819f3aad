//! Where a flake of this machine lies, found as Nix finds it.

use crate::nix::flake_url::{FlakeKind, FlakeUrl};
use std::fs;
use std::path::{Path, PathBuf};

/// A flake of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalFlake {
    /// What Nix reads: the git work tree (or bare repository) that it is in, or the folder itself.
    pub root: PathBuf,
    /// The folder with `flake.nix` below the root; empty where it is the root.
    pub dir: String,
    /// Whether the root is a git repository.
    pub is_git: bool,
}

impl LocalFlake {
    /// Returns where a file of the flake lies below the root.
    pub fn file(&self, name: &str) -> String {
        if self.dir.is_empty() { name.to_owned() } else { format!("{}/{name}", self.dir) }
    }
}

/// Why there is no flake where one is named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoFlake {
    /// There is nothing.
    #[error("there is no {} on this machine", .0.display())]
    NoFolder(PathBuf),
    /// It cannot be looked at.
    #[error("{} could not be read: {}", .0.display(), .1)]
    Unreadable(PathBuf, String),
    /// It is a file.
    #[error("{} is a file and no folder", .0.display())]
    NotAFolder(PathBuf),
    /// There is no `flake.nix`.
    #[error("there is no flake.nix in {}", .0.display())]
    NoFlakeFile(PathBuf),
    /// It is no git repository.
    #[error("{} is not a git repository", .0.display())]
    NoRepository(PathBuf),
}

impl NoFlake {
    /// Returns what to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoFolder(_) | Self::NotAFolder(_) | Self::Unreadable(..) => {
                "name the folder that flake.nix is in (a relative path starts from the folder of \
                 hosts.toml), a reference such as github:me/nixos, or flake:NAME for a name of Nix's registry"
            }
            Self::NoFlakeFile(_) => {
                "name the folder that flake.nix is in, or write one there with nixosConfigurations.NAME for \
                 every host; nixdash reads no hive or configuration.nix without a flake"
            }
            Self::NoRepository(_) => "git+file: wants a repository; write the path alone, or path:",
        }
    }
}

/// Returns where a flake lies; nothing for one that is not on this machine.
pub fn locate(url: &FlakeUrl) -> Option<Result<LocalFlake, NoFlake>> {
    let path = url.path()?;
    Some(whole_folder(path).and_then(|folder| match &url.kind {
        FlakeKind::Folder(_) => in_folder(&folder, url.dir()),
        FlakeKind::Path(_) => {
            with_flake_file(LocalFlake { root: folder, dir: url.dir().to_owned(), is_git: false })
        }
        FlakeKind::GitFile(_) => in_repository(&folder, url),
        FlakeKind::GitSsh(_) | FlakeKind::Elsewhere => Err(NoFlake::NoFolder(folder)),
    }))
}

/// Returns a folder's path without links.
fn whole_folder(path: &Path) -> Result<PathBuf, NoFlake> {
    let folder = fs::canonicalize(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => NoFlake::NoFolder(path.to_owned()),
        _ => NoFlake::Unreadable(path.to_owned(), error.to_string()),
    })?;
    if folder.is_dir() { Ok(folder) } else { Err(NoFlake::NotAFolder(folder)) }
}

/// Finds the flake in a folder or above it, and the git work tree around that.
fn in_folder(folder: &Path, dir: &str) -> Result<LocalFlake, NoFlake> {
    let flake = if dir.is_empty() { with_file_above(folder)? } else { folder.to_owned() };
    for root in flake.ancestors() {
        if !root.join(".git").exists() {
            continue;
        }
        let below = flake.strip_prefix(root).unwrap_or(Path::new(""));
        let below = below.join(dir).to_string_lossy().trim_matches('/').to_owned();
        return with_flake_file(LocalFlake { root: root.to_owned(), dir: below, is_git: true });
    }
    with_flake_file(LocalFlake { root: flake, dir: dir.to_owned(), is_git: false })
}

/// Returns the nearest folder with a `flake.nix`, from this one upwards, but not beyond the git work
/// tree that it is in.
fn with_file_above(folder: &Path) -> Result<PathBuf, NoFlake> {
    for place in folder.ancestors() {
        if place.join("flake.nix").exists() {
            return Ok(place.to_owned());
        }
        if place.join(".git").exists() {
            break;
        }
    }
    Err(NoFlake::NoFlakeFile(folder.to_owned()))
}

/// Finds the flake in a git repository. What stands in another commit than the current one is seen by
/// Nix alone.
fn in_repository(folder: &Path, url: &FlakeUrl) -> Result<LocalFlake, NoFlake> {
    let is_bare = folder.join("HEAD").is_file() && folder.join("objects").is_dir();
    let found = LocalFlake { root: folder.to_owned(), dir: url.dir().to_owned(), is_git: true };
    if is_bare {
        return Ok(found);
    }
    if !folder.join(".git").exists() {
        return Err(NoFlake::NoRepository(folder.to_owned()));
    }
    if url.param("ref").is_some() || url.param("rev").is_some() {
        return Ok(found);
    }
    with_flake_file(found)
}

/// Checks that there is a `flake.nix`.
fn with_flake_file(flake: LocalFlake) -> Result<LocalFlake, NoFlake> {
    let folder = flake.root.join(&flake.dir);
    if folder.join("flake.nix").exists() { Ok(flake) } else { Err(NoFlake::NoFlakeFile(folder)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes files, and folders around them.
    fn files(paths: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for path in paths {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        dir
    }

    /// Locates a flake below a folder and returns root, folder and whether it is git.
    fn located(dir: &Path, text: &str) -> Result<(PathBuf, String, bool), NoFlake> {
        let found = locate(&FlakeUrl::parse(&text.replace("DIR", &dir.display().to_string())));
        let real = fs::canonicalize(dir).unwrap();
        found.unwrap().map(|flake| {
            let root = flake.root.strip_prefix(&real).unwrap().to_owned();
            (root, flake.dir, flake.is_git)
        })
    }

    #[test]
    fn a_flake_in_a_subfolder_belongs_to_the_repository_around_it() {
        let dir = files(&["repo/.git/HEAD", "repo/nixos/flake.nix", "repo/nixos/hosts/a.nix"]);
        let repo = PathBuf::from("repo");
        let wanted = (repo.clone(), "nixos".to_owned(), true);
        for text in ["DIR/repo/nixos", "DIR/repo/nixos/hosts", "DIR/repo?dir=nixos"] {
            assert_eq!(located(dir.path(), text), Ok(wanted.clone()), "{text}");
        }
        assert_eq!(located(dir.path(), "git+file://DIR/repo?dir=nixos"), Ok(wanted));
        let alone = (PathBuf::from("repo/nixos"), String::new(), false);
        assert_eq!(located(dir.path(), "path:DIR/repo/nixos"), Ok(alone));
    }

    #[test]
    fn a_flake_outside_of_git_is_its_folder() {
        let dir = files(&["nixos/flake.nix"]);
        let wanted = (PathBuf::from("nixos"), String::new(), false);
        assert_eq!(located(dir.path(), "DIR/nixos"), Ok(wanted));
        let no_git = located(dir.path(), "git+file://DIR/nixos");
        assert!(matches!(no_git, Err(NoFlake::NoRepository(_))), "{no_git:?}");
    }

    #[test]
    fn what_is_no_flake_says_why() {
        let dir = files(&["repo/.git/HEAD", "repo/a/x.nix", "flake.nix"]);
        let found = |text| located(dir.path(), text).unwrap_err();
        assert!(matches!(found("DIR/gone"), NoFlake::NoFolder(_)));
        assert!(matches!(found("DIR/flake.nix"), NoFlake::NotAFolder(_)));
        assert!(
            matches!(found("DIR/repo/a"), NoFlake::NoFlakeFile(_)),
            "not beyond the repository"
        );
        assert!(matches!(found("path:DIR/repo"), NoFlake::NoFlakeFile(_)));
        assert_eq!(locate(&FlakeUrl::parse("github:me/nixos")), None);
    }
}
