//! The recordings of nix-output-monitor, which are its own and are not kept here: a checkout of
//! github.com/maralorn/nix-output-monitor is named by `NIXDASH_NOM`. Its tests say what two of them come
//! to; what the third does, of a million lines, is counted by `tests/nix-logs/count.py`.

use nixdash::nix::activity::{ActivityLog, BuildState, LogPiece, StreamTotals};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a recording came to.
struct Folded {
    log: ActivityLog,
    output: u64,
}

impl Folded {
    /// Folds a recording.
    fn of(file: &Path) -> Self {
        let text = String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned();
        let (mut log, mut output) = (ActivityLog::new(), 0);
        for line in text.lines() {
            log.fold(line, None, &mut |piece| {
                output += u64::from(matches!(piece, LogPiece::Output { .. }));
            });
        }
        Self { log, output }
    }

    /// Returns how many derivations are in a state.
    fn count(&self, state: BuildState) -> usize {
        self.log.tree().nodes().iter().filter(|node| node.state() == state).count()
    }

    /// Returns what the script counts, by its names.
    fn counts(&self) -> BTreeMap<String, u64> {
        let totals: StreamTotals = self.log.totals();
        let fetched = totals.downloads.values();
        let (paths, bytes) =
            fetched.fold((0, 0), |sum, from| (sum.0 + from.paths, sum.1 + from.bytes));
        let begun = totals.built + totals.failed + totals.interrupted + totals.running;
        let counts = [
            ("begun", begun),
            ("failed", totals.failed),
            ("planned", totals.planned + totals.dependency_failed),
            ("paths", paths),
            ("bytes", bytes),
            ("files", totals.files),
            ("queries", totals.queries),
            ("output", self.output),
            ("messages", totals.messages.iter().sum()),
            ("errors", totals.messages[0]),
        ];
        counts.map(|(name, count)| (name.to_owned(), count)).into()
    }
}

/// Counts a recording by the script.
fn counted(file: &Path) -> BTreeMap<String, u64> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nix-logs/count.py");
    let output = Command::new("python3").arg(script).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let pairs = lines.lines().map(|line| line.split_once('=').unwrap());
    pairs.map(|(name, count)| (name.to_owned(), count.parse().unwrap())).collect()
}

/// Returns the checkout.
fn checkout() -> PathBuf {
    std::env::var_os("NIXDASH_NOM").expect("NIXDASH_NOM names a checkout").into()
}

/// Returns the first of these files that is there: the checkout was put into a folder of its own later.
fn first_of(files: &[&str]) -> PathBuf {
    let checkout = checkout();
    let found = files.iter().map(|file| checkout.join(file)).find(|file| file.exists());
    found.unwrap_or_else(|| panic!("none of {files:?} in {}", checkout.display()))
}

/// Returns a recording of its integration tests.
fn recording(name: &str) -> PathBuf {
    let file = format!("test/integration/{name}/stderr.json");
    first_of(&[&file, &format!("nix-output-monitor/{file}")])
}

/// Holds what a recording was folded into to what the script counts.
fn assert_same(file: &Path, folded: &Folded) {
    let (ours, theirs) = (folded.counts(), counted(file));
    for (name, count) in &ours {
        assert_eq!(
            (name, Some(count)),
            (name, theirs.get(name)),
            "ours: {ours:?}, theirs: {theirs:?}"
        );
    }
}

#[test]
#[ignore = "needs a checkout of nix-output-monitor, which NIXDASH_NOM names"]
fn its_own_two_results_are_ours() {
    let standard = Folded::of(&recording("standard"));
    assert_eq!(standard.count(BuildState::Built), 4);
    assert_eq!(standard.log.tree().nodes().len(), 4, "and nothing else");
    assert_same(&recording("standard"), &standard);
    // It was stopped when one had failed: that one, one that was planned, one that did not finish.
    let fail = Folded::of(&recording("fail"));
    let states = [BuildState::Failed, BuildState::Interrupted, BuildState::Built];
    assert_eq!(states.map(|state| fail.count(state)), [1, 1, 0]);
    let never = fail.count(BuildState::Planned) + fail.count(BuildState::DependencyFailed);
    assert_eq!(never, 1);
    assert_same(&recording("fail"), &fail);
}

#[test]
#[ignore = "needs a checkout of nix-output-monitor, which NIXDASH_NOM names"]
fn its_recording_of_a_million_lines_is_counted_as_an_independent_script_counts_it() {
    let packed = first_of(&["bench/nom-shell-452e7d5.nix-log.zst"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nom.log");
    let unpacked = Command::new("zstd").args(["-dq"]).arg(&packed).arg("-o").arg(&file).status();
    assert!(unpacked.unwrap().success());
    let folded = Folded::of(&file);
    assert_eq!(folded.count(BuildState::Built), 20);
    assert_same(&file, &folded);
}
