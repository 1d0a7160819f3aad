//! Which derivation needs which, of what a run builds for a host: `HOST.edges` in the run's folder.
//!
//! What Nix prints does not say it; it is read once from the derivations' own files on the host that
//! builds. JSON Lines: the format, then one derivation a line. A file is replaced as a whole, and takes
//! its room from what the streams of the run may take.

use crate::fleet::{RunId, StorePath};
use crate::nix::derivation::Derivation;
use crate::record::runs::host_file;
use crate::record::{RunStreams, Runs, StreamEnd};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// The format of the file.
const FORMAT: u32 = 1;

/// The first line of the file.
#[derive(Serialize, Deserialize)]
struct EdgesHead {
    /// The format of the lines below.
    edges: u32,
}

/// A derivation of which it is known what it needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownDerivation {
    /// Its path.
    pub drv: StorePath,
    /// What its file says.
    #[serde(flatten)]
    pub read: Derivation,
}

impl Runs {
    /// Returns the derivations of which it is known what they need, of those that a run builds for a
    /// host; none where nothing was read, or a newer nixdash wrote it down.
    pub fn edges(&self, run: &RunId, host: &str) -> Vec<KnownDerivation> {
        read(&self.edges_file(run, host))
    }

    /// Returns the file that they are kept in.
    fn edges_file(&self, run: &RunId, host: &str) -> PathBuf {
        host_file(&self.folder(run), host, "edges")
    }
}

impl RunStreams {
    /// Returns what is kept of what is built for a host.
    pub fn edges(&self, host: &str) -> Vec<KnownDerivation> {
        self.runs.edges(&self.run, host)
    }

    /// Keeps more of it, beside what is there. When this fails the file is as it was.
    pub fn add_edges(&self, host: &str, found: &[KnownDerivation]) -> Result<(), StreamEnd> {
        let path = self.runs.edges_file(&self.run, host);
        let mut all = read(&path);
        let known: BTreeSet<StorePath> = all.iter().map(|known| known.drv.clone()).collect();
        all.extend(found.iter().filter(|found| !known.contains(&found.drv)).cloned());
        let text = written(&all);
        let before = fs::metadata(&path).map_or(0, |data| data.len());
        let more = (text.len() as u64).saturating_sub(before);
        if self.used.fetch_add(more, Ordering::Relaxed) + more > self.limit {
            self.used.fetch_sub(more, Ordering::Relaxed);
            return Err(StreamEnd::RunSize);
        }
        let fresh = path.with_extension("edges.new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&text)?;
        Ok(fs::rename(&fresh, &path)?)
    }
}

/// Returns the file for these.
fn written(known: &[KnownDerivation]) -> Vec<u8> {
    let mut text = Vec::new();
    // Both are plain data, which can be written as JSON.
    text.extend(serde_json::to_vec(&EdgesHead { edges: FORMAT }).unwrap_or_default());
    for known in known {
        text.push(b'\n');
        text.extend(serde_json::to_vec(known).unwrap_or_default());
    }
    text.push(b'\n');
    text
}

/// Reads such a file; lines that are something else are left out.
fn read(path: &Path) -> Vec<KnownDerivation> {
    let text = fs::read(path).unwrap_or_default();
    let mut lines = text.split(|byte| *byte == b'\n');
    let head = lines.next().and_then(|line| serde_json::from_slice::<EdgesHead>(line).ok());
    if head.is_none_or(|head| head.edges != FORMAT) {
        return Vec::new();
    }
    lines.filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    const TOP: &str = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-top.drv";
    const ZLIB: &str = "/nix/store/m0znnv1nxsr0ry7gmadkh49s1d0hycgd-zlib-1.3.drv";

    fn known(drv: &str, input: Option<&str>) -> KnownDerivation {
        let path = |text: &str| StorePath::parse(text).unwrap();
        let inputs = input.map(|input| (path(input), vec!["out".to_owned()]));
        let outputs = [("out".to_owned(), None)].into();
        let read = Derivation { outputs, inputs: inputs.into_iter().collect(), local: false };
        KnownDerivation { drv: path(drv), read }
    }

    #[test]
    fn what_was_read_is_kept_once_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let run = runs.begin(None).unwrap().run().clone();
        let streams = runs.streams(&run, 1 << 20);
        assert_eq!(streams.edges("a"), []);
        let (top, zlib) = (known(TOP, Some(ZLIB)), known(ZLIB, None));
        streams.add_edges("a", std::slice::from_ref(&top)).unwrap();
        streams.add_edges("a", &[top.clone(), zlib.clone()]).unwrap();
        assert_eq!(runs.edges(&run, "a"), [top, zlib]);
        let file = runs.edges_file(&run, "a");
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text.lines().next(), Some(r#"{"edges":1}"#));
        // One that is cut short, or of another format, is no error.
        fs::write(&file, &text[..text.len() - 9]).unwrap();
        assert_eq!(runs.edges(&run, "a").len(), 1);
        fs::write(&file, text.replace(r#"{"edges":1}"#, r#"{"edges":2}"#)).unwrap();
        assert_eq!(runs.edges(&run, "a"), []);
    }

    #[test]
    fn they_take_their_room_from_that_of_the_streams() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let run = runs.begin(None).unwrap().run().clone();
        let streams = runs.streams(&run, 800);
        streams.add_edges("a", &[known(ZLIB, None)]).unwrap();
        let end = streams.add_edges("a", &[known(TOP, Some(ZLIB))]);
        assert!(matches!(end, Err(StreamEnd::RunSize)), "{end:?}");
        assert_eq!(streams.edges("a"), [known(ZLIB, None)]);
    }
}
