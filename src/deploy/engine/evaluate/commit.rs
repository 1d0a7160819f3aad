//! Whether a flake of this machine is one commit of a git repository and nothing else, so that what it
//! is evaluated to can be kept.

use super::repository::{line, printed};
use crate::deploy::engine::flake::locate;
use crate::nix::flake_lock::is_locked;
use crate::nix::flake_url::{FlakeKind, FlakeUrl};
use crate::remote::git_in;
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
    /// An input is not fixed.
    Unlocked,
}

impl NoCommit {
    /// Returns why, as part of a sentence.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::NoRepository => "the flake is not a commit of a git repository on this machine",
            Self::Dirty => "the work tree of the flake has changes",
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
    if named.is_none() && !is_bare && !is_clean(root).await {
        return Err(NoCommit::Dirty);
    }
    let name = format!("{}^{{commit}}", named.unwrap_or("HEAD"));
    let found = git(root, &["rev-parse", "-q", "--verify", "--end-of-options", &name]).await;
    // `--end-of-options` is printed by rev-parse itself.
    let commit = found.and_then(|text| text.lines().last().map(str::to_owned));
    let Some(commit) = commit else { return Err(NoCommit::NoRepository) };
    let place = format!("{commit}:{}", in_folder(&flake.dir, "flake.lock"));
    let lock = git(root, &["cat-file", "blob", &place]).await.unwrap_or_default();
    if !is_locked(&lock) {
        return Err(NoCommit::Unlocked);
    }
    let shallow = git(root, &["rev-parse", "--is-shallow-repository"]).await.unwrap_or_default();
    let ways = format!("{}\n{shallow}", url.at(scheme, "", &flake.dir, false));
    Ok(FlakeCommit { commit, dir: flake.dir, lock, ways })
}

/// Returns the path of a file in a folder of a repository.
fn in_folder(dir: &str, file: &str) -> String {
    if dir.is_empty() { file.to_owned() } else { format!("{dir}/{file}") }
}

/// Returns whether no tracked file of a work tree has changes; one that cannot be looked at has some.
async fn is_clean(root: &Path) -> bool {
    let args = ["status", "--porcelain", "--untracked-files=no", "--ignore-submodules=none"];
    git(root, &args).await.is_some_and(|changes| changes.is_empty())
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
