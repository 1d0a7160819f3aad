//! How far a run is at this moment: of each host the newest progress, the last line of its log and the
//! log's length.
//!
//! Of these there are thousands, and only the newest counts; so they are no events of a run's record.

use crate::fleet::{LogLine, Phase, Progress, RunEvent, RunWhat};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far a run is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LiveRun {
    /// How far each host is.
    pub hosts: BTreeMap<String, LiveHost>,
}

/// How far a host of a run is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LiveHost {
    /// The newest progress; none before the first.
    pub progress: Option<LiveProgress>,
    /// The last line that was logged; none before the first.
    pub last: Option<LogLine>,
    /// How many lines were logged.
    pub lines: u64,
}

/// How far a phase is, and since when that is so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveProgress {
    /// When it was told.
    pub at: Timestamp,
    /// The phase.
    pub phase: Phase,
    /// How far it is.
    pub progress: Progress,
}

impl LiveRun {
    /// Takes in what happened in the run; returns whether that changes how far it is.
    pub fn take(&mut self, event: &RunEvent) -> bool {
        let at = event.at;
        match &event.what {
            RunWhat::Progress { host, phase, progress } => {
                let (phase, progress) = (*phase, progress.clone());
                self.host(host).progress = Some(LiveProgress { at, phase, progress });
                true
            }
            RunWhat::Log { host, phase, line, .. } => {
                let live = self.host(host);
                live.last = Some(LogLine::plain(Some(at), Some(*phase), line));
                live.lines += 1;
                true
            }
            RunWhat::Begin { .. }
            | RunWhat::Phase { .. }
            | RunWhat::Plan { .. }
            | RunWhat::Waiting { .. }
            | RunWhat::Rollout(_)
            | RunWhat::Dropped { .. }
            | RunWhat::Result { .. }
            | RunWhat::Reattached { .. }
            | RunWhat::Usual { .. }
            | RunWhat::Builds { .. }
            | RunWhat::Command { .. }
            | RunWhat::Summary { .. } => false,
        }
    }

    fn host(&mut self, name: &str) -> &mut LiveHost {
        self.hosts.entry(name.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::RunId;

    #[test]
    fn only_the_newest_counts_and_lines_are_counted() {
        let mut live = LiveRun::default();
        let event = |second, what| {
            let at = Timestamp::from_second(second).unwrap();
            RunEvent { run: RunId("7".to_owned()), at, what }
        };
        let host = || "samsung".to_owned();
        for second in 0..3 {
            let progress = Progress { done: second, ..Progress::default() };
            let second = i64::try_from(second).unwrap();
            let what = RunWhat::Progress { host: host(), phase: Phase::Fetch, progress };
            assert!(live.take(&event(second, what)));
            let line = format!("line {second}");
            let what = RunWhat::log(host(), Phase::Fetch, line);
            assert!(live.take(&event(second, what)));
        }
        let what = RunWhat::begin(vec![host()], String::new());
        assert!(!live.take(&event(9, what)));
        let found = &live.hosts["samsung"];
        assert_eq!((found.lines, found.last.as_ref().unwrap().text.as_str()), (3, "line 2"));
        assert_eq!(found.progress.as_ref().unwrap().progress.done, 2);
        let text = serde_json::to_string(&live).unwrap();
        assert_eq!(serde_json::from_str::<LiveRun>(&text).unwrap(), live);
    }
}
