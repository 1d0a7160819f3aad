//! Shows what would be added to a file, and writes it: never over something else than what was
//! shown, and all of it or nothing.

use crate::fleet::printable_line;
use similar::TextDiff;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The file that is to be made is there.
    #[error(
        "{} is there already, and nixdash init never overwrites a file; name a file that is not \
         there, or see what would be added to it: nixdash init \
         --hosts {}", .0.display(), .0.display()
    )]
    IsThere(PathBuf),
    /// The flake that was named is none.
    #[error("the flake cannot be used: {0}")]
    Flake(String),
    /// Nobody can be asked.
    #[error(
        "--write asks before it writes, and there is no terminal to ask on; --output FILE writes a \
         file that is not there yet without asking"
    )]
    NobodyToAsk,
    /// The file is written in a way that nothing can be added to.
    #[error("nothing can be added to {}: {why}; write it so, or add the hosts by hand", path.display())]
    CannotAdd {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// What was found makes no right file.
    #[error("nothing was written, because what was found makes no valid hosts.toml:\n{0}")]
    NotRight(String),
    /// Somebody else changed the file meanwhile.
    #[error(
        "nothing was written, because {} was changed after its addition was shown; run nixdash init \
         again", .0.display()
    )]
    Changed(PathBuf),
    /// The file could not be written.
    #[error("could not write {}: {source}; name another file with --output FILE", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Returns what a text gains, as a unified diff that is safe to show; empty where it gains nothing.
pub(super) fn diff(path: &Path, before: &str, after: &str) -> String {
    let name = path.display().to_string();
    let old = if before.is_empty() { "/dev/null" } else { &name };
    let diff = TextDiff::from_lines(before, after).unified_diff().header(old, &name).to_string();
    printable_lines(&diff)
}

/// Returns the lines of a text as they are safe to show: some of a file was said by hosts.
pub(super) fn printable_lines(text: &str) -> String {
    text.lines().flat_map(|line| [printable_line(line), "\n".to_owned()]).collect()
}

/// Writes a file that is not there yet.
pub(super) fn make(path: &Path, text: &str) -> Result<(), InitError> {
    let failed = |source| InitError::Write { path: path.to_owned(), source };
    let mut file = match std::fs::File::create_new(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(InitError::IsThere(path.to_owned()));
        }
        Err(error) => return Err(failed(error)),
    };
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| {
        // Half a file would be taken for a whole one.
        drop(std::fs::remove_file(path));
        failed(error)
    })
}

/// Puts a longer text into a file that still has the text from before, and keeps its mode.
pub(super) fn replace(path: &Path, before: &str, after: &str) -> Result<(), InitError> {
    let failed = |source| InitError::Write { path: path.to_owned(), source };
    // Whoever has the file elsewhere and links to it keeps the link.
    let real = std::fs::canonicalize(path).map_err(failed)?;
    if std::fs::read_to_string(&real).map_err(failed)? != before {
        return Err(InitError::Changed(path.to_owned()));
    }
    let folder = real.parent().unwrap_or(Path::new("/"));
    let mut fresh = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    let mode = std::fs::metadata(&real).map_err(failed)?.permissions();
    fresh.write_all(after.as_bytes()).map_err(failed)?;
    fresh.as_file().set_permissions(mode).map_err(failed)?;
    fresh.as_file().sync_all().map_err(failed)?;
    fresh.persist(&real).map(drop).map_err(|error| failed(error.error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_that_is_there_is_not_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts.toml");
        make(&path, "one\n").unwrap();
        assert!(matches!(make(&path, "two\n"), Err(InitError::IsThere(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\n");
    }

    #[test]
    fn a_file_keeps_its_link_and_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real.toml"), dir.path().join("hosts.toml"));
        std::fs::write(&real, "one\n").unwrap();
        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        replace(&link, "one\n", "one\ntwo\n").unwrap();
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "one\ntwo\n");
        assert!(link.is_symlink());
        assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn what_somebody_else_wrote_meanwhile_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts.toml");
        std::fs::write(&path, "theirs\n").unwrap();
        assert!(matches!(replace(&path, "one\n", "two\n"), Err(InitError::Changed(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "theirs\n");
    }

    #[test]
    fn a_diff_shows_what_is_added() {
        let shown = diff(Path::new("hosts.toml"), "a\n", "a\nb\n");
        assert_eq!(shown, "--- hosts.toml\n+++ hosts.toml\n@@ -1 +1,2 @@\n a\n+b\n");
        assert_eq!(diff(Path::new("hosts.toml"), "a\n", "a\n"), "");
        let key = "public_key = \"p620-1:MOYk7cam7pmSQgkAgHCqQVzYsjyi9d862m06xgAkwBk=\"\n";
        assert!(diff(Path::new("x"), "", key).ends_with(&format!("+{key}")), "a key is no secret");
        assert!(!diff(Path::new("x"), "", "name = \"\u{9b}2J\"\n").contains('\u{9b}'));
    }
}
