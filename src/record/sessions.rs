//! How the dashboard was left: one small file for each hosts.toml. What stands in it is the screen's matter.
//!
//! A whole new file is put in its place, so that a nixdash that is killed leaves the one before it.

use crate::record::place::{name_of, put_whole};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Biggest file that is read, in bytes.
const LIMIT: u64 = 64 << 10;

/// The session of the fleet of one hosts.toml.
#[derive(Clone, Debug)]
pub struct KeptSession {
    file: PathBuf,
}

impl KeptSession {
    /// Returns that of a hosts.toml, in this folder of the state.
    pub fn of(state: &Path, hosts_file: &Path) -> Self {
        Self { file: state.join("sessions").join(format!("{}.json", name_of(hosts_file))) }
    }

    /// Returns where it is kept.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Reads its text; none where there is no such file.
    pub fn read(&self) -> io::Result<Option<String>> {
        let file = match File::open(&self.file) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = String::new();
        file.take(LIMIT).read_to_string(&mut text)?;
        Ok(Some(text))
    }

    /// Writes its text in the place of the one before.
    pub fn write(&self, text: &str) -> io::Result<()> {
        put_whole(&self.file, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn each_hosts_file_has_a_session_of_its_own_that_only_its_owner_reads() {
        let state = tempfile::tempdir().unwrap();
        let [here, elsewhere] = ["/a/hosts.toml", "/b/hosts.toml"]
            .map(|file| KeptSession::of(state.path(), Path::new(file)));
        assert_eq!(here.read().unwrap(), None);
        for text in ["one", "another"] {
            here.write(text).unwrap();
            assert_eq!(here.read().unwrap().as_deref(), Some(text));
        }
        assert_eq!(elsewhere.read().unwrap(), None);
        let folder = here.file().parent().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(folder), mode(here.file())), (0o700, 0o600));
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1, "nothing else is left there");
    }

    #[test]
    fn what_cannot_be_read_or_written_is_an_error() {
        let state = tempfile::tempdir().unwrap();
        let kept = KeptSession::of(state.path(), Path::new("/a/hosts.toml"));
        std::fs::write(state.path().join("sessions"), "").unwrap();
        assert!(kept.read().is_err() && kept.write("text").is_err());
    }
}
