//! Asks git, on this machine.

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

/// Returns a work tree's short revision, with `-dirty` when tracked files have changes; none when
/// the folder is in no git repository, or git is not there.
pub async fn git_revision(dir: &Path) -> Option<String> {
    if !dir.is_dir() {
        return None;
    }
    let git = async |args: &[&str]| {
        let output = git_in(dir, args).run().await.ok()?;
        output.is_ok().then_some(output.stdout)
    };
    let head = git(&["rev-parse", "--short", "HEAD"]).await?;
    let changes = git(&["status", "--porcelain", "--untracked-files=no"]).await?;
    let dirty = if changes.trim().is_empty() { "" } else { "-dirty" };
    Some(format!("{}{dirty}", head.trim()))
}
