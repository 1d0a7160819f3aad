//! What flakes were evaluated to: a file for each answer, below the folder of the state.
//!
//! A name is the hash of everything that an answer depends on ([`EvaluationInputs`]), so an answer is never wrong, only
//! unused. Files are written whole and then renamed: several runs may keep and read at once. What cannot be kept or read is
//! as if it were not there.

use crate::fleet::StorePath;
use crate::nix::hash::to_base16;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long an answer is kept that nobody asked for.
const KEPT: Duration = Duration::from_secs(60 * 24 * 3600);

/// Everything that decides what a flake is evaluated to, each with its name. Two lists that differ
/// anywhere have different names on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluationInputs(Vec<(&'static str, String)>);

impl EvaluationInputs {
    /// Takes a list of names and values.
    pub fn new(all: Vec<(&'static str, String)>) -> Self {
        Self(all)
    }

    /// Returns the hash of all, in hexadecimal digits.
    fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for (name, value) in &self.0 {
            // With its length a value cannot be taken for the next name.
            hash.update(format!("{name} {} ", value.len()));
            hash.update(value);
        }
        to_base16(&hash.finalize())
    }
}

/// What a flake was evaluated to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptEvaluation {
    /// The derivation of the system.
    pub drv: StorePath,
    /// The system.
    pub toplevel: StorePath,
    /// When it was evaluated.
    pub at: Timestamp,
}

impl KeptEvaluation {
    /// Returns how old it is; nothing where the clock went back.
    pub fn age(&self, now: Timestamp) -> Duration {
        Duration::try_from(now.duration_since(self.at)).unwrap_or_default()
    }
}

/// Answers of evaluations on the disk.
#[derive(Clone, Debug)]
pub struct KeptEvaluations {
    folder: PathBuf,
}

impl KeptEvaluations {
    /// Names the folder below that of the state; makes nothing yet.
    pub fn below(state: &Path) -> Self {
        Self { folder: state.join("evaluations") }
    }

    /// Returns what was kept for these inputs.
    pub fn get(&self, inputs: &EvaluationInputs) -> Option<KeptEvaluation> {
        let file = self.file(inputs);
        let found = serde_json::from_slice(&fs::read(&file).ok()?).ok()?;
        // Its age counts from the last use.
        if let Ok(file) = fs::File::options().append(true).open(file) {
            drop(file.set_modified(SystemTime::now()));
        }
        Some(found)
    }

    /// Keeps an answer, and forgets those that were not asked for in two months.
    pub fn keep(&self, inputs: &EvaluationInputs, found: &KeptEvaluation) -> std::io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        self.forget_old();
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(&serde_json::to_vec(found)?)?;
        file.persist(self.file(inputs))?;
        Ok(())
    }

    /// Forgets an answer.
    pub fn forget(&self, inputs: &EvaluationInputs) {
        // One that is not there is forgotten already.
        drop(fs::remove_file(self.file(inputs)));
    }

    /// Returns the file of an answer.
    fn file(&self, inputs: &EvaluationInputs) -> PathBuf {
        self.folder.join(format!("{}.json", inputs.hash()))
    }

    /// Removes files that were not used for too long.
    fn forget_old(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.filter_map(Result::ok) {
            let used = entry.metadata().and_then(|data| data.modified());
            let age = used.ok().and_then(|used| used.elapsed().ok());
            if age.is_some_and(|age| age > KEPT) {
                // Another run may have removed it.
                drop(fs::remove_file(entry.path()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes inputs of two values.
    fn inputs(commit: &str, attribute: &str) -> EvaluationInputs {
        let all = vec![("commit", commit.to_owned()), ("attribute", attribute.to_owned())];
        EvaluationInputs::new(all)
    }

    /// Makes an answer.
    fn answer() -> KeptEvaluation {
        let path = |name: &str| {
            StorePath::parse(&format!("/nix/store/7w85jyaqg6p2rfnn880ymv98vp5nmpf5-{name}"))
                .unwrap()
        };
        KeptEvaluation { drv: path("top.drv"), toplevel: path("top"), at: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn an_answer_is_found_for_the_same_inputs_only() {
        let state = tempfile::tempdir().unwrap();
        let kept = KeptEvaluations::below(state.path());
        assert_eq!(kept.get(&inputs("a", "b")), None, "nothing is there yet");
        kept.keep(&inputs("a", "b"), &answer()).unwrap();
        assert_eq!(kept.get(&inputs("a", "b")), Some(answer()));
        for other in [inputs("a", "c"), inputs("ab", ""), inputs("", "ab")] {
            assert_eq!(kept.get(&other), None, "{other:?}");
        }
        kept.forget(&inputs("a", "b"));
        assert_eq!(kept.get(&inputs("a", "b")), None);
    }

    #[test]
    fn what_is_broken_or_old_is_as_if_it_were_not_there() {
        let state = tempfile::tempdir().unwrap();
        let kept = KeptEvaluations::below(state.path());
        kept.keep(&inputs("a", "b"), &answer()).unwrap();
        fs::write(kept.file(&inputs("a", "b")), "{\"drv\": \"/etc/passwd\"}").unwrap();
        assert_eq!(kept.get(&inputs("a", "b")), None);
        let old = fs::File::options().append(true).open(kept.file(&inputs("a", "b"))).unwrap();
        old.set_modified(SystemTime::now() - KEPT - Duration::from_secs(60)).unwrap();
        kept.keep(&inputs("c", "d"), &answer()).unwrap();
        assert!(!kept.file(&inputs("a", "b")).exists(), "old answers go");
        let nowhere = KeptEvaluations::below(Path::new("/dev/null/x"));
        assert!(nowhere.keep(&inputs("a", "b"), &answer()).is_err());
    }
}
