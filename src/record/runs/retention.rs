//! Which logs of old runs are removed, and what is noted of them.
//!
//! Only what runs said is removed: logs with their indexes, and streams with what is read beside them. How a run went (events, journal)
//! is kept for good, and `logs-removed.json` in its folder says since when its logs are gone, and why.

use crate::fleet::{Retention, RunId, bytes};
use crate::record::Runs;
use crate::record::runs::files::{DiskFiles, Files as _};
use crate::record::runs::stored::plain_of;
use crate::record::runs::tidy::FirstError;
use crate::record::runs::{EVENTS, doing, files_of, tail_folder, tails};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// The name of the file that says that a run's logs were removed.
pub(super) const REMOVED: &str = "logs-removed.json";

/// How the names of the files end that hold what a run said, without what compressing adds.
const SAID: [&str; 6] = ["log", "index", "places", "stream", "marks", "edges"];

/// Why logs were removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemovedWhy {
    /// The run ended too long ago.
    Age,
    /// The logs of all runs together took too much room.
    Size,
}

/// What is noted of logs that were removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedLogs {
    /// When.
    pub at: Timestamp,
    /// How many bytes they had on disk.
    pub bytes: u64,
    /// Why.
    pub why: RemovedWhy,
}

impl RemovedLogs {
    /// Returns the sentence that says so of a run.
    pub fn sentence(&self, run: &RunId) -> String {
        let because = match self.why {
            RemovedWhy::Age => "they were older than max_logs_age",
            RemovedWhy::Size => "the logs of all runs took more than max_logs_size",
        };
        let (day, size) = (self.at.strftime("%Y-%m-%d"), bytes(self.bytes));
        format!(
            "the logs of run {run} ({size}) were removed on {day}, because {because} in [retention] of hosts.toml"
        )
    }
}

/// A run whose logs may be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OldLogs {
    /// The run.
    pub(super) run: RunId,
    /// When it ended; none where that is not known.
    pub(super) ended_at: Option<Timestamp>,
    /// How many bytes its logs have on disk.
    pub(super) bytes: u64,
}

/// Returns of which runs, oldest first, the logs are removed now. `others` is how many bytes the logs
/// have that may not be removed.
pub(super) fn beyond(
    old: &[OldLogs],
    others: u64,
    retention: &Retention,
    now: Timestamp,
) -> Vec<(OldLogs, RemovedWhy)> {
    let age = SignedDuration::try_from(retention.max_logs_age).unwrap_or(SignedDuration::MAX);
    let mut total = others + old.iter().map(|logs| logs.bytes).sum::<u64>();
    let mut removed = Vec::new();
    for logs in old.iter().filter(|logs| logs.bytes > 0) {
        let is_aged = logs.ended_at.is_some_and(|ended| now.duration_since(ended) > age);
        let why = match (is_aged, total > retention.max_logs_size) {
            (true, _) => RemovedWhy::Age,
            (false, true) => RemovedWhy::Size,
            (false, false) => continue,
        };
        total -= logs.bytes;
        removed.push((logs.clone(), why));
    }
    removed
}

impl Runs {
    /// Returns what is noted of the logs of a run, where they were removed.
    pub fn removed_logs(&self, run: &RunId) -> Option<RemovedLogs> {
        let text = fs::read(self.folder(run).join(REMOVED)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Returns what the logs of a run take on disk.
    pub(super) fn old_logs(&self, run: &RunId) -> OldLogs {
        let dir = self.folder(run);
        let sizes = said(&dir).into_iter().filter_map(|path| Some(fs::metadata(path).ok()?.len()));
        let events = fs::metadata(dir.join(EVENTS)).and_then(|data| data.modified());
        let ended_at = events.ok().and_then(|at| Timestamp::try_from(at).ok());
        OldLogs { run: run.clone(), ended_at, bytes: sizes.sum() }
    }

    /// Removes the logs of a run, and notes it first: where that is interrupted, the rest is removed by
    /// whoever tidies next. Where a full disk takes no note, it is made once they are gone; what cannot be removed
    /// stays.
    pub(super) fn remove_logs(
        &self,
        logs: &OldLogs,
        why: RemovedWhy,
        now: Timestamp,
        failed: &mut FirstError,
    ) {
        let dir = self.folder(&logs.run);
        let noted = self.removed_logs(&logs.run);
        let noted = noted.unwrap_or(RemovedLogs { at: now, bytes: logs.bytes, why });
        let note = dir.join(REMOVED);
        // Plain data, which can be written as JSON.
        let text = serde_json::to_vec(&noted).unwrap_or_default();
        let write = || DiskFiles::default().replace(&note, &text).map_err(doing("write", &note));
        let is_noted = write().is_ok();
        for path in said(&dir) {
            failed.note(fs::remove_file(&path).map_err(doing("remove", &path)));
        }
        for number in tails(&dir) {
            let folder = tail_folder(&dir, number);
            failed.note(fs::remove_dir_all(&folder).map_err(doing("remove", &folder)));
        }
        if !is_noted {
            failed.note(write());
        }
    }
}

/// Returns the files in a run's folder that hold what it said.
fn said(dir: &Path) -> Vec<PathBuf> {
    let is_said = |path: &PathBuf| {
        let plain = plain_of(
            &path.with_extension(
                path.extension()
                    .unwrap_or_default()
                    .to_str()
                    .unwrap_or_default()
                    .trim_end_matches("-new"),
            ),
        );
        plain.extension().is_some_and(|end| SAID.iter().any(|said| end == *said))
    };
    files_of(dir).filter(is_said).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn logs(run: &str, day: i64, bytes: u64) -> OldLogs {
        let ended_at = Timestamp::from_second(day * 86_400).ok();
        OldLogs { run: RunId(run.to_owned()), ended_at, bytes }
    }

    #[test]
    fn the_oldest_logs_go_first_by_age_and_by_size() {
        let day = Duration::from_secs(86_400);
        let limits = |age: u32, size| Retention {
            max_logs_age: day * age,
            max_logs_size: size,
            ..Retention::default()
        };
        let runs = [logs("1", 1, 50), logs("2", 50, 0), logs("3", 90, 40), logs("4", 95, 30)];
        let now = Timestamp::from_second(100 * 86_400).unwrap();
        let removed = |others, limits: &Retention| {
            let removed = beyond(&runs, others, limits, now).into_iter();
            removed.map(|(logs, why)| (logs.run.0, why)).collect::<Vec<_>>()
        };
        let (age, size) = (RemovedWhy::Age, RemovedWhy::Size);
        assert_eq!(removed(0, &limits(365, 1000)), []);
        assert_eq!(removed(0, &limits(98, 1000)), [("1".to_owned(), age)]);
        assert_eq!(removed(0, &limits(365, 100)), [("1".to_owned(), size)]);
        assert_eq!(removed(40, &limits(98, 100)), [("1".to_owned(), age), ("3".to_owned(), size)]);
        // What runs that go on have counts, and is not removed.
        assert_eq!(removed(500, &limits(365, 100)).len(), 3);
    }

    #[test]
    fn a_sentence_says_when_and_why() {
        let at = "2026-11-21T12:00:00Z".parse().unwrap();
        let removed = RemovedLogs { at, bytes: 90_100_000, why: RemovedWhy::Age };
        assert_eq!(
            removed.sentence(&RunId("41".to_owned())),
            "the logs of run 41 (90.1 MB) were removed on 2026-11-21, because they were older than \
             max_logs_age in [retention] of hosts.toml"
        );
    }
}
