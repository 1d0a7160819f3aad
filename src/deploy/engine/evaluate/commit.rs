//! Whether a flake of this machine is one commit of a git repository and nothing else, so that what it
//! is evaluated to can be kept.

use super::repository::{line, printed};
use crate::deploy::engine::flake::locate;
use crate::nix::flake_lock::is_locked;
use crate::nix::flake_url::{FlakeKind, FlakeUrl};
use crate::remote::{git_commit, git_file, git_in};
use std::path::Path;
use std::time::Duration;

/// How long git may take to look at the work tree.
const LIMIT: Duration = Duration::from_secs(30);

/// A flake that is one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::deploy::engine) struct FlakeCommit {
    /// The commit, in full.
    pub(super) commit: String,
    /// The folder with `flake.nix` below the root of the repository.
    pub(super) dir: String,
    /// The text of `flake.lock` in that commit.
    pub(super) lock: String,
    /// What else of the reference and the repository changes what Nix sees: submodules, missing commits, …
    pub(super) ways: String,
}

/// Why what a flake is evaluated to cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::deploy::engine) enum NoCommit {
    /// It is in no git repository of this machine.
    NoRepository,
    /// Tracked files have changes.
    Dirty,
    /// Git is told not to look at some of the files, or to change them on their way into the work tree.
    Hidden,
    /// An input is not fixed.
    Unlocked,
}

impl NoCommit {
    /// Returns why, as part of a sentence.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::NoRepository => "the flake is not a commit of a git repository on this machine",
            Self::Dirty => "the work tree of the flake has changes",
            Self::Hidden => {
                "git does not say of every file in the work tree of the flake whether it is as in the commit (files marked \
                 assume-unchanged or skip-worktree, or with a filter such as git-crypt or git-lfs)"
            }
            Self::Unlocked => "flake.lock does not pin every input of the flake",
        }
    }
}

/// Returns the commit that a flake is.
pub(super) async fn commit_of(url: &FlakeUrl) -> Result<FlakeCommit, NoCommit> {
    let local = locate(url).and_then(Result::ok).filter(|flake| flake.is_git);
    let Some(flake) = local else { return Err(NoCommit::NoRepository) };
    let scheme = match &url.kind {
        FlakeKind::Folder(_) | FlakeKind::GitFile(_) => "git+file",
        FlakeKind::Path(_) | FlakeKind::GitSsh(_) | FlakeKind::Elsewhere => {
            return Err(NoCommit::NoRepository);
        }
    };
    let root = flake.root.as_path();
    let named = url.param("rev").or(url.param("ref"));
    let is_bare = !root.join(".git").exists();
    if named.is_none() && !is_bare {
        is_as_committed(root).await?;
    }
    let commit = git_commit(root, named.unwrap_or("HEAD")).await;
    let Some(commit) = commit else { return Err(NoCommit::NoRepository) };
    let lock = git_file(root, &commit, &flake.file("flake.lock")).await.unwrap_or_default();
    if !is_locked(&lock) {
        return Err(NoCommit::Unlocked);
    }
    let shallow = git(root, &["rev-parse", "--is-shallow-repository"]).await.unwrap_or_default();
    let ways = format!("{}\n{shallow}", url.at(scheme, "", &flake.dir, false));
    Ok(FlakeCommit { commit, dir: flake.dir, lock, ways })
}

/// Checks that the work tree, which Nix reads, is what was committed; one that cannot be looked at is not.
async fn is_as_committed(root: &Path) -> Result<(), NoCommit> {
    let status = async {
        // Nix takes the mode of a file from the disk, whatever git is told to do about it.
        let args = ["-c", "core.fileMode=true", "status", "--porcelain"];
        let of_all = ["--untracked-files=no", "--ignore-submodules=none"];
        let changes = git(root, &[&args[..], &of_all[..]].concat()).await;
        changes.is_some_and(|changes| changes.is_empty())
    };
    let (is_clean, shows_all) = tokio::join!(status, shows_all(root));
    match (is_clean, shows_all) {
        (false, _) => Err(NoCommit::Dirty),
        (true, false) => Err(NoCommit::Hidden),
        (true, true) => Ok(()),
    }
}

/// Returns whether `git status` shows every difference between a work tree and its commit: it looks at every tracked
/// file, and no filter lies between the file and what is committed of it.
async fn shows_all(root: &Path) -> bool {
    let args = ["ls-files", "-z", "-v", "--recurse-submodules"];
    let Ok(files) = printed(git_in(root, &args).limit(LIMIT)).await else { return false };
    let Some(names) = looked_at(&files) else { return false };
    let args = ["check-attr", "-z", "--stdin", "filter"];
    let filters = printed(git_in(root, &args).limit(LIMIT).stdin(names)).await;
    filters.is_ok_and(|filters| !names_filter(&filters))
}

/// Reads `git ls-files -z -v`: the names of the files, each with a zero behind it. Nothing where git does not look at
/// one of them: a small letter stands for assume-unchanged, `S` for skip-worktree.
fn looked_at(files: &[u8]) -> Option<Vec<u8>> {
    let mut names = Vec::with_capacity(files.len());
    for file in files.split(|byte| *byte == 0).filter(|file| !file.is_empty()) {
        let [tag, b' ', name @ ..] = file else { return None };
        if *tag == b'S' || tag.is_ascii_lowercase() {
            return None;
        }
        names.extend_from_slice(name);
        names.push(0);
    }
    Some(names)
}

/// Reads `git check-attr -z`, which says the file, the attribute and its value in turn: whether a file has it.
fn names_filter(attributes: &[u8]) -> bool {
    let mut values = attributes.split(|byte| *byte == 0).skip(2).step_by(3);
    values.any(|value| value != b"unspecified" && value != b"unset")
}

/// Runs git and returns what it printed.
async fn git(root: &Path, args: &[&str]) -> Option<String> {
    printed(git_in(root, args).limit(LIMIT)).await.ok().map(|bytes| line(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A lock file of a flake without inputs.
    const LOCK: &str = r#"{"nodes": {"root": {}}, "root": "root", "version": 7}"#;

    /// Makes a repository with a flake in a subfolder, and its first commit.
    async fn repository() -> (tempfile::TempDir, FlakeUrl) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("nixos")).unwrap();
        fs::write(dir.path().join("nixos/flake.nix"), "{ outputs = { self }: { }; }").unwrap();
        fs::write(dir.path().join("nixos/flake.lock"), LOCK).unwrap();
        run(dir.path(), &["init", "-q", "-b", "main", "."]).await;
        commit(dir.path()).await;
        let url = FlakeUrl::parse(&format!("{}/nixos", dir.path().display()));
        (dir, url)
    }

    /// Runs git for a test.
    async fn run(dir: &Path, args: &[&str]) {
        let config = ["-c", "user.name=me", "-c", "user.email=me@example.org"];
        let args: Vec<&str> = config.iter().chain(args).copied().collect();
        git(dir, &args).await.unwrap();
    }

    /// Commits everything.
    async fn commit(dir: &Path) {
        run(dir, &["add", "."]).await;
        run(dir, &["commit", "-q", "-m", "x"]).await;
    }

    #[tokio::test]
    async fn a_clean_tree_is_its_commit_and_untracked_files_change_nothing() {
        let (dir, url) = repository().await;
        let found = commit_of(&url).await.unwrap();
        assert_eq!((found.commit.len(), found.dir.as_str()), (40, "nixos"));
        assert_eq!(found.lock, LOCK);
        fs::write(dir.path().join("untracked"), "x").unwrap();
        assert_eq!(commit_of(&url).await, Ok(found.clone()));
        let place = dir.path().display();
        let by_name = FlakeUrl::parse(&format!("git+file://{place}?dir=nixos&ref=main"));
        assert_eq!(commit_of(&by_name).await, Ok(found.clone()));
        let modules = FlakeUrl::parse(&format!("git+file://{place}?dir=nixos&submodules=1"));
        assert_ne!(commit_of(&modules).await.unwrap().ways, found.ways);
    }

    #[tokio::test]
    async fn a_tree_with_changes_is_no_commit() {
        let (dir, url) = repository().await;
        fs::write(dir.path().join("nixos/flake.nix"), "{ outputs = { self }: { a = 1; }; }")
            .unwrap();
        assert_eq!(commit_of(&url).await, Err(NoCommit::Dirty));
        commit(dir.path()).await;
        let before = commit_of(&url).await.unwrap();
        fs::write(dir.path().join("nixos/new.nix"), "{ }").unwrap();
        run(dir.path(), &["add", "."]).await;
        assert_eq!(commit_of(&url).await, Err(NoCommit::Dirty), "a new file that git tracks");
        commit(dir.path()).await;
        assert_ne!(commit_of(&url).await.unwrap().commit, before.commit);
    }

    #[tokio::test]
    async fn a_tree_of_which_git_does_not_see_every_change_is_no_commit() {
        for mark in ["--assume-unchanged", "--skip-worktree"] {
            let (dir, url) = repository().await;
            run(dir.path(), &["update-index", mark, "nixos/flake.nix"]).await;
            fs::write(dir.path().join("nixos/flake.nix"), "{ outputs = { self }: { a = 1; }; }")
                .unwrap();
            assert_eq!(commit_of(&url).await, Err(NoCommit::Hidden), "{mark}");
            let place = dir.path().display();
            let by_name = FlakeUrl::parse(&format!("git+file://{place}?dir=nixos&ref=main"));
            assert!(commit_of(&by_name).await.is_ok(), "Nix does not read the work tree for it");
        }
        // A file of this machine only, as it is often kept beside a flake.
        let (dir, url) = repository().await;
        fs::write(dir.path().join("nixos/local.nix"), "{ }").unwrap();
        run(dir.path(), &["add", "-N", "nixos/local.nix"]).await;
        run(dir.path(), &["update-index", "--assume-unchanged", "nixos/local.nix"]).await;
        assert_eq!(commit_of(&url).await, Err(NoCommit::Hidden));
    }

    #[tokio::test]
    async fn a_tree_with_filtered_files_is_no_commit_and_other_attributes_do_not_matter() {
        let (dir, url) = repository().await;
        let attributes = dir.path().join(".gitattributes");
        fs::write(&attributes, "* text=auto\n*.nix diff=nix -filter\n").unwrap();
        commit(dir.path()).await;
        assert!(commit_of(&url).await.is_ok());
        fs::write(&attributes, "secrets.nix filter=git-crypt\n").unwrap();
        commit(dir.path()).await;
        assert!(commit_of(&url).await.is_ok(), "there is no such file");
        fs::write(dir.path().join("nixos/secrets.nix"), "{ }").unwrap();
        commit(dir.path()).await;
        assert_eq!(commit_of(&url).await, Err(NoCommit::Hidden));
    }

    #[tokio::test]
    async fn a_mode_that_git_is_told_not_to_look_at_is_a_change() {
        use std::os::unix::fs::PermissionsExt;
        let (dir, url) = repository().await;
        run(dir.path(), &["config", "core.fileMode", "false"]).await;
        assert!(commit_of(&url).await.is_ok());
        let file = dir.path().join("nixos/flake.nix");
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(commit_of(&url).await, Err(NoCommit::Dirty));
    }

    #[tokio::test]
    async fn what_is_not_locked_or_not_in_git_is_no_commit() {
        let (dir, url) = repository().await;
        let path = FlakeUrl::parse(&format!("path:{}/nixos", dir.path().display()));
        assert_eq!(commit_of(&path).await, Err(NoCommit::NoRepository));
        assert_eq!(commit_of(&FlakeUrl::parse("github:me/x")).await, Err(NoCommit::NoRepository));
        fs::write(dir.path().join("nixos/flake.lock"), "{}").unwrap();
        commit(dir.path()).await;
        assert_eq!(commit_of(&url).await, Err(NoCommit::Unlocked));
        fs::remove_file(dir.path().join("nixos/flake.lock")).unwrap();
        commit(dir.path()).await;
        assert_eq!(commit_of(&url).await, Err(NoCommit::Unlocked), "Nix would look its inputs up");
    }
}
