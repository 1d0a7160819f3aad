//! Folds the log of one process of Nix, line by line: what it builds, copies, asks and evaluates.
//!
//! Lines are borrowed and nothing is kept of most of them. Numbers of activities are those of one
//! process, so every process needs a log of its own, or [`ActivityLog::process_ended`] between two. A
//! line that ends as one of [`ASKED_AGAIN`] says that another process begins.
//! Lines may be torn, unknown, of other programs, or make no sense at all: none of them is an error.

mod cache_answer;
mod copies;
mod edges;
mod failure;
mod fold;
mod left;
mod names;
mod node;
mod rank;
mod running;
mod settling;
mod tail;
mod telling;
mod totals;
mod transfers;
mod tree;
pub mod words;

pub use copies::{CopyDirection, CopyState, PathCopy};
pub use failure::{FailureKind, FailureReport, NixFailure};
pub use fold::ASKED_AGAIN;
pub use names::{derivation_in, package_of};
pub use node::{BuildNode, BuildState, WaitsFor};
pub use telling::{LineTrouble, trouble_in};
pub use totals::{StreamTotals, UnknownLines};
pub use tree::{BuildTree, TreeRow, TreeShape};

use crate::fleet::{
    BuildTag, Bytes, Fetched, LineColours, Progress, Share, TextStyle, printable_continued,
};
use crate::nix::internal_json::builder_line;
use copies::{PathCopies, credible};
use failure::FailureLog;
use running::{RunningActivity, RunningCount};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use transfers::Transfers;

/// A line for people, printable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogItem {
    /// A build's own output.
    Output {
        /// The package, such as `firefox`.
        package: String,
        /// Which build of the run that is.
        build: BuildTag,
        /// The line.
        line: String,
        /// Its colours.
        colours: LineColours,
    },
    /// Nix, or another program, says something.
    Message {
        /// 0 error, 1 warning, 2 notice, 3 info.
        level: u64,
        /// The line.
        line: String,
        /// Its colours.
        colours: LineColours,
    },
}

impl LogItem {
    /// Returns the line as a log shows it: `firefox> …` for a build's output.
    pub fn line(&self) -> String {
        match self {
            Self::Output { package, line, .. } => format!("{package}> {line}"),
            Self::Message { line, .. } => line.clone(),
        }
    }

    /// Returns the build whose output it is.
    pub fn build(&self) -> Option<BuildTag> {
        match self {
            Self::Output { build, .. } => Some(*build),
            Self::Message { .. } => None,
        }
    }

    /// Returns the colours of that line.
    pub fn colours(&self) -> LineColours {
        match self {
            Self::Output { package, colours, .. } => {
                colours.clone().moved(package.len() + "> ".len())
            }
            Self::Message { colours, .. } => colours.clone(),
        }
    }
}

/// A line for people as it came: untrusted, and not yet fit to be shown.
#[derive(Clone, Copy, Debug)]
pub enum LogPiece<'a> {
    /// A build's own output.
    Output {
        /// The derivation; none where the log began in the middle of the build.
        node: Option<&'a BuildNode>,
        /// The number of the activity that printed it.
        activity: u64,
        /// The line, untrusted.
        line: &'a str,
    },
    /// Nix, or another program, says something.
    Message {
        /// 0 error, 1 warning, 2 notice, 3 info.
        level: u64,
        /// One line of it, untrusted; it may be blank.
        line: &'a str,
        /// How it begins to look: as the line before it ended.
        begins: TextStyle,
    },
}

impl LogPiece<'_> {
    /// Returns the line made printable; none for a message without a word.
    fn printable(self) -> Option<LogItem> {
        match self {
            Self::Output { node, activity, line } => {
                let package = node.map_or("build", BuildNode::package).to_owned();
                let build = node.and_then(|node| BuildTag::of_derivation(node.drv()));
                let build = build.unwrap_or(BuildTag::of_activity(activity));
                let begins = node.map_or(TextStyle::default(), BuildNode::began_to_look);
                let (line, colours) = printable_continued(line, begins);
                Some(LogItem::Output { package, build, line: line.into_owned(), colours })
            }
            Self::Message { level, line, begins } => {
                let (line, colours) = printable_continued(line, begins);
                let line = line.into_owned();
                (!line.trim().is_empty()).then_some(LogItem::Message { level, line, colours })
            }
        }
    }
}

/// The state after the lines read so far.
#[derive(Default)]
pub struct ActivityLog {
    running: HashMap<u64, RunningActivity>,
    /// Builds and copies that run, in the order they began.
    order: Vec<u64>,
    tree: BuildTree,
    copies: PathCopies,
    /// Expected bytes to copy, by the activity that said so.
    expected_bytes: HashMap<u64, u64>,
    /// Those of activities that stopped.
    ended_expected_bytes: u64,
    ended_counts: Share,
    /// Those of them that were builds.
    ended_builds: Share,
    failure: FailureLog,
    transfers: Transfers,
    counters: totals::StreamCounters,
    /// What the list names that Nix prints now, line by line.
    listing: Option<fold::AnnouncedList>,
    /// When the line that is being taken was read, since the first.
    now: Option<Duration>,
    /// Whether lines came later than they were written: their times say nothing any more.
    is_late: bool,
}

impl ActivityLog {
    /// Makes a log of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one line that was read just after it was written, at a time since the log began, and
    /// returns what of it people read.
    pub fn feed_at(&mut self, line: &str, now: Duration) -> Vec<LogItem> {
        let mut items = Vec::new();
        self.fold(line, Some(now), &mut |piece| items.extend(piece.printable()));
        items
    }

    /// Takes one line and returns what of it people read.
    pub fn feed(&mut self, line: &str) -> Vec<LogItem> {
        let mut items = Vec::new();
        self.fold(line, None, &mut |piece| items.extend(piece.printable()));
        items
    }

    /// Takes a line of the log of a derivation as Nix keeps it, and returns what people read; none
    /// for a line by which its builder told Nix something.
    pub fn feed_log(&mut self, drv: &str, line: &str) -> Option<LogItem> {
        let line = line.trim_end_matches(['\r', '\n']);
        let index = self.tree.index(drv);
        let node = self.tree.at(index)?;
        if let Some(told) = builder_line(line) {
            if let Some(phase) = told.phase.filter(|_| told.action == "setPhase") {
                node.set_phase(&phase, None);
            }
            return None;
        }
        node.output(line);
        LogPiece::Output { node: Some(node), activity: 0, line }.printable()
    }

    /// Takes one line of any bytes, with the time at which it was written where that is known, and
    /// hands what of it people read to `take`, as it came.
    pub fn fold_bytes(
        &mut self,
        line: &[u8],
        now: Option<Duration>,
        take: &mut dyn FnMut(LogPiece<'_>),
    ) {
        self.fold(&String::from_utf8_lossy(line), now, take);
    }

    /// Notes that lines are read later than they were written, as after a lost connection: what did
    /// not end before gets no time.
    pub fn lines_are_late(&mut self) {
        self.is_late = true;
        self.transfers.lines_are_late();
        self.tree.lines_are_late();
        self.copies.lines_are_late();
    }

    /// Notes that from here on the times of lines are known to the second only: nothing that is on its way,
    /// or begins, tells of a speed.
    pub fn times_are_rough(&mut self) {
        self.transfers.lines_are_late();
    }

    /// Notes that the process is over: what it did not end was interrupted. Lines that follow are
    /// those of another process, whose numbers mean something else.
    pub fn process_ended(&mut self) {
        self.end();
    }

    /// Returns how far the process is.
    pub fn progress(&self) -> Progress {
        let (mut all, mut builds) = (self.ended_counts, self.ended_builds);
        for running in self.running.values() {
            if let RunningActivity::Count(count) = running
                && !count.is_nested
            {
                add(&mut all, count.done, count.expected);
                if count.is_of_builds {
                    add(&mut builds, count.done, count.expected);
                }
            }
        }
        let (done, expected) = (all.have, all.total);
        let total = self.bytes_to_copy();
        let (known, running) = self.copies.bytes();
        // Small paths report no bytes, so the end is known by the count alone.
        let is_all = expected > 0 && done >= expected && !self.copies.is_running();
        let used = if is_all { total } else { known.saturating_add(running).min(total) };
        let bytes = (total > 0).then_some(Bytes { used, total });
        let total_builds = builds.total.max(builds.have);
        let builds = (builds.total > 0).then_some(Share { have: builds.have, total: total_builds });
        Progress {
            bytes,
            done,
            expected: expected.max(done),
            builds,
            doing: self.doing(),
            left_ms: None,
        }
    }

    /// Returns the number of derivations that were built to their end.
    pub fn built(&self) -> u64 {
        self.tree.count(|state| state == BuildState::Built)
    }

    /// Returns the derivations.
    pub fn tree(&self) -> &BuildTree {
        &self.tree
    }

    /// Returns the derivations, to be told what their own files say.
    pub fn tree_mut(&mut self) -> &mut BuildTree {
        &mut self.tree
    }

    /// Returns whether a derivation is built now, as far as Nix said.
    pub fn is_building(&self) -> bool {
        let is_of_build = |running: &RunningActivity| {
            matches!(running, RunningActivity::Build { .. } | RunningActivity::Hook { .. })
        };
        self.running.values().any(is_of_build)
    }

    /// Returns the paths that are or were copied, in the order in which that began.
    pub fn copies(&self) -> &[PathCopy] {
        self.copies.all()
    }

    /// Returns paths and bytes by where they came from.
    ///
    /// Bytes that Nix expected but did not report path by path (it skips small paths) are shared
    /// out evenly over the paths without a figure.
    pub fn fetched(&self) -> BTreeMap<String, Fetched> {
        let mut fetched = self.copies.whole_by(self.bytes_to_copy(), |copy| Some(&copy.from));
        for (from, timed) in self.transfers.timed() {
            // What came without a path, such as a source of a build, is nothing that was fetched.
            if let Some(entry) = fetched.get_mut(from) {
                entry.timed = Some(timed);
            }
        }
        fetched
    }

    /// Returns why it failed, where it said so.
    pub fn failure(&self) -> Option<NixFailure> {
        let report = self.failure_report()?;
        Some(NixFailure { kind: report.kind, text: report.text() })
    }

    /// Returns why it failed, in parts.
    pub fn failure_report(&self) -> Option<FailureReport> {
        self.failure.report(&self.tree)
    }

    /// Returns the bytes that Nix expects to copy.
    fn bytes_to_copy(&self) -> u64 {
        let running = credible(self.expected_bytes.values().copied());
        self.ended_expected_bytes.saturating_add(running)
    }

    /// Returns what began last and still runs, a build before a copy.
    fn doing(&self) -> Option<String> {
        let words = |running: &RunningActivity| match running {
            RunningActivity::Build { node } => {
                let node = self.tree.nodes().get(*node)?;
                Some((0, words::building(node)))
            }
            RunningActivity::Copy { index } => {
                let copy = self.copies.at(*index)?;
                Some((1, words::copying(copy)))
            }
            RunningActivity::Waiting { .. }
            | RunningActivity::Hook { .. }
            | RunningActivity::Substitute { .. }
            | RunningActivity::Count(_)
            | RunningActivity::Query
            | RunningActivity::File
            | RunningActivity::Source
            | RunningActivity::Other => None,
        };
        let running = self.order.iter().rev().filter_map(|id| self.running.get(id));
        running.filter_map(words).min_by_key(|(rank, _)| *rank).map(|(_, words)| words)
    }
}

/// Adds what is done and what is expected.
fn add(share: &mut Share, done: u64, expected: u64) {
    share.have = share.have.saturating_add(done);
    share.total = share.total.saturating_add(expected);
}

#[cfg(test)]
mod tests;
