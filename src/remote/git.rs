//! Asks git, on this machine.

use crate::remote::Program;
use std::path::Path;

/// Returns a work tree's short revision, with `-dirty` when tracked files have changes; none when
/// the folder is in no git repository, or git is not there.
pub async fn git_revision(dir: &Path) -> Option<String> {
    if !dir.is_dir() {
        return None;
    }
    let git = async |args: &[&str]| {
        // Looking must not lock the index away from the person who works in the tree.
        let git = Program::new("git", args).in_dir(dir).env("GIT_OPTIONAL_LOCKS", "0");
        let (_, output) = git.run().await.ok()?;
        output.is_ok().then_some(output.stdout)
    };
    let head = git(&["rev-parse", "--short", "HEAD"]).await?;
    let changes = git(&["status", "--porcelain", "--untracked-files=no"]).await?;
    let dirty = if changes.trim().is_empty() { "" } else { "-dirty" };
    Some(format!("{}{dirty}", head.trim()))
}
