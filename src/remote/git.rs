//! Asks git, on this machine.

use crate::fleet::{Ancestry, printable_line};
use crate::remote::Program;
use std::path::Path;

/// Variables that bind git to one repository, whatever folder it runs in: git sets them for its hooks,
/// from which nixdash may be started.
const BINDING: [&str; 8] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
];

/// Makes a run of git in the repository of a folder. It asks nobody, speaks English, and does not lock
/// the index away from the person who works in the tree.
pub fn git_in(dir: &Path, args: &[&str]) -> Program {
    let git = Program::new("git", args)
        .in_dir(dir)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C");
    BINDING.iter().fold(git, |git, name| git.without_env(name))
}

/// What a work tree is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitHead {
    /// The whole name of the commit that is checked out.
    pub commit: String,
    /// Tracked files that have changes which are not committed.
    pub changed: Vec<String>,
}

/// Returns what a work tree is at; none where the folder is in no git repository, or git is not there.
pub async fn git_head(dir: &Path) -> Option<GitHead> {
    if !dir.is_dir() {
        return None;
    }
    let commit = git_says(dir, &["rev-parse", "HEAD"]).await?.trim().to_owned();
    // Two letters, a space, and the name as it is: no name is quoted with -z.
    let status =
        git_says(dir, &["status", "--porcelain", "-z", "--untracked-files=no", "--no-renames"]);
    let status = status.await?;
    let changed =
        status.split('\0').filter_map(|entry| entry.get(3..)).map(printable_line).collect();
    Some(GitHead { commit, changed })
}

/// Returns the commit that a name stands for in a repository (of a branch, a tag or a commit, in full or not); none
/// where git does not know it there.
pub async fn git_commit(dir: &Path, name: &str) -> Option<String> {
    if !dir.is_dir() {
        return None;
    }
    let name = format!("{name}^{{commit}}");
    let args = ["rev-parse", "-q", "--verify", "--end-of-options", &name];
    // `--end-of-options` is printed by rev-parse itself.
    git_says(dir, &args).await?.lines().last().map(|commit| commit.trim().to_owned())
}

/// Returns the text of a file in a commit; none where git does not know it there.
pub async fn git_file(dir: &Path, commit: &str, path: &str) -> Option<String> {
    git_says(dir, &["cat-file", "blob", &format!("{commit}:{path}")]).await
}

/// Counts the commits by which a commit is behind and ahead of another one (`HEAD` is what the work tree is
/// at); none where git does not know one of them there, or lacks commits between them.
pub async fn git_ancestry(dir: &Path, commit: &str, other: &str) -> Option<Ancestry> {
    // They come from hosts: what is no name of a commit is none of git's options either.
    let names = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_hexdigit());
    if !dir.is_dir() || !names(commit) || !(names(other) || other == "HEAD") {
        return None;
    }
    let range = format!("{commit}...{other}");
    let counts = git_says(dir, &["rev-list", "--left-right", "--count", &range, "--"]).await?;
    let (ahead, behind) = counts.trim().split_once('\t')?;
    let ancestry = Ancestry { behind: behind.parse().ok()?, ahead: ahead.parse().ok()? };
    // A shallow clone does not see what lies between them: one that is contained looks as if it were not.
    if !ancestry.is_contained() && is_shallow(dir).await? {
        return None;
    }
    Some(ancestry)
}

/// Returns whether commits are missing in a repository, as in a shallow clone; none where git does not say it.
async fn is_shallow(dir: &Path) -> Option<bool> {
    let said = git_says(dir, &["rev-parse", "--is-shallow-repository"]).await?;
    Some(said.trim() == "true")
}

/// Returns what git says in a folder; none where it fails.
async fn git_says(dir: &Path, args: &[&str]) -> Option<String> {
    let output = git_in(dir, args).run().await.ok()?;
    output.is_ok().then_some(output.stdout)
}

/// Returns a work tree's revision, with `-dirty` when tracked files have changes; none when
/// the folder is in no git repository, or git is not there.
pub async fn git_revision(dir: &Path) -> Option<String> {
    if !dir.is_dir() {
        return None;
    }
    let head = git_says(dir, &["rev-parse", "HEAD"]).await?;
    let changes = git_says(dir, &["status", "--porcelain", "--untracked-files=no"]).await?;
    let dirty = if changes.trim().is_empty() { "" } else { "-dirty" };
    Some(format!("{}{dirty}", head.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Runs git in a folder, as somebody.
    fn git(dir: &Path, args: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=me", "-c", "user.email=me@desk", "-c", "commit.gpgsign=false"])
            .args(args)
            .current_dir(dir)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[tokio::test]
    async fn commits_behind_and_ahead_are_counted_and_unknown_ones_are_not_known() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        git(at, &["init", "-q", "-b", "main"]);
        let commit = |message: &str| {
            git(at, &["commit", "-q", "--allow-empty", "-m", message]);
            git(at, &["rev-parse", "HEAD"])
        };
        let first = commit("first");
        git(at, &["checkout", "-q", "-b", "side"]);
        let side = commit("on the side");
        git(at, &["checkout", "-q", "main"]);
        commit("second");
        let third = commit("third");
        let ancestry = |behind, ahead| Some(Ancestry { behind, ahead });
        assert_eq!(git_ancestry(at, &third, "HEAD").await, ancestry(0, 0));
        assert_eq!(git_ancestry(at, &first[..9], "HEAD").await, ancestry(2, 0));
        assert_eq!(git_ancestry(at, &side, "HEAD").await, ancestry(2, 1));
        assert_eq!(git_ancestry(at, &third, &first).await, ancestry(0, 2));
        for unknown in ["0123456789abcdef0123456789abcdef01234567", "", "--all", "main"] {
            assert_eq!(git_ancestry(at, unknown, "HEAD").await, None, "{unknown}");
            assert_eq!(git_ancestry(at, &first, unknown).await, None, "{unknown}");
        }
        assert_eq!(git_ancestry(Path::new("/does/not/exist"), &first, "HEAD").await, None);
    }

    #[tokio::test]
    async fn in_a_shallow_clone_it_is_not_known_that_a_commit_is_left_out() {
        let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = dir.path();
        git(at, &["init", "-q", "-b", "main"]);
        let commit = |message: &str| {
            git(at, &["commit", "-q", "--allow-empty", "-m", message]);
            git(at, &["rev-parse", "HEAD"])
        };
        let first = commit("first");
        git(at, &["tag", "old"]);
        commit("second");
        let third = commit("third");
        let clone = place.path();
        let from = format!("file://{}", at.display());
        git(clone, &["clone", "-q", "--depth=1", &from, "."]);
        git(clone, &["fetch", "-q", "--depth=1", "origin", "tag", "old"]);
        assert_eq!(git_ancestry(clone, &first, "HEAD").await, None);
        assert_eq!(git_ancestry(clone, &third, "HEAD").await.unwrap().ahead, 0);
        git(clone, &["fetch", "-q", "--unshallow"]);
        let contained = Some(Ancestry { behind: 2, ahead: 0 });
        assert_eq!(git_ancestry(clone, &first, "HEAD").await, contained);
    }

    #[tokio::test]
    async fn commits_and_their_files_are_found_by_any_name() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        git(at, &["init", "-q", "-b", "main"]);
        std::fs::write(at.join("a"), "1\n").unwrap();
        git(at, &["add", "."]);
        git(at, &["commit", "-q", "-m", "first"]);
        git(at, &["tag", "-a", "-m", "it", "release"]);
        let first = git(at, &["rev-parse", "HEAD"]);
        std::fs::write(at.join("a"), "2\n").unwrap();
        git(at, &["commit", "-q", "-a", "-m", "second"]);
        for name in ["release", "main~1", &first[..8]] {
            assert_eq!(git_commit(at, name).await.as_ref(), Some(&first), "{name}");
        }
        assert_eq!(git_commit(at, "--all").await, None);
        assert_eq!(git_file(at, &first, "a").await.as_deref(), Some("1\n"));
        assert_eq!(git_file(at, &first, "b").await, None);
    }

    #[tokio::test]
    async fn changed_files_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        git(at, &["init", "-q"]);
        std::fs::write(at.join("a file"), "1").unwrap();
        git(at, &["add", "."]);
        git(at, &["commit", "-q", "-m", "first"]);
        assert_eq!(git_head(at).await.unwrap().changed, Vec::<String>::new());
        std::fs::write(at.join("a file"), "2").unwrap();
        std::fs::write(at.join("untracked"), "2").unwrap();
        let head = git_head(at).await.unwrap();
        assert_eq!((head.commit.len(), head.changed), (40, vec!["a file".to_owned()]));
        assert_eq!(git_head(Path::new("/does/not/exist")).await, None);
    }
}
