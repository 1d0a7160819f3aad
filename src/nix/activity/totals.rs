//! What all of it comes to: expected and done, from where, and how long each derivation took.

use super::names::full_name;
use super::node::{BuildNode, BuildState};
use super::{ActivityLog, CopyDirection};
use crate::fleet::{DerivationTime, Fetched, HostBuilds, Progress};
use crate::nix::internal_json::{JsonFields, activity_type, result_type};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// Of how many derivations the times are told.
const TIMES_LIMIT: usize = 1000;

/// How many unknown numbers are told apart.
const UNKNOWN_LIMIT: usize = 64;

/// How a message of a file that is evaluated begins (from `-v` on).
const EVALUATING: &str = "evaluating file '";

/// What the process came to, or has come to so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamTotals {
    /// How far it is, as Nix counts.
    pub progress: Progress,
    /// Derivations that were built.
    pub built: u64,
    /// Derivations that failed by themselves.
    pub failed: u64,
    /// Derivations that were not built because of another.
    pub dependency_failed: u64,
    /// Derivations that began and were stopped.
    pub interrupted: u64,
    /// Derivations that are built now.
    pub running: u64,
    /// Derivations that wait for a lock, a machine or a user.
    pub waiting: u64,
    /// Derivations that were planned and did not begin.
    pub planned: u64,
    /// Derivations that were needed and there already; none while their files were not read.
    pub already_there: Option<u64>,
    /// What came, by the store it came from.
    pub downloads: BTreeMap<String, Fetched>,
    /// What went, by the store it went to.
    pub uploads: BTreeMap<String, Fetched>,
    /// Paths that Nix said it will fetch.
    pub listed_fetches: u64,
    /// Questions to caches, what they know of a path.
    pub queries: u64,
    /// Files that were downloaded, or tried to be, narinfos among them.
    pub files: u64,
    /// Inputs of flakes and sources that were fetched or brought into the store.
    pub sources: u64,
    /// Files of Nix code that were evaluated; counted from verbosity `-v` on.
    pub evaluated_files: u64,
    /// Bytes that equal files no longer take.
    pub linked_bytes: u64,
    /// Paths without a trusted signature, and paths that are not what their hashes say.
    pub bad_paths: u64,
    /// Messages by level, from 0 (error) to 7.
    pub messages: [u64; 8],
    /// Whether Nix says which activity belongs to which, as it does from 2.18 on; none before
    /// anything began.
    pub has_parents: Option<bool>,
    /// What was not understood.
    pub unknown: UnknownLines,
}

/// What was not understood, and not lost either.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnknownLines {
    /// Activities of a type that is not known here, by its number.
    pub activities: BTreeMap<u64, u64>,
    /// Results of a type that is not known here, by its number.
    pub results: BTreeMap<u64, u64>,
    /// Lines that were torn, or stood behind something else on one line.
    pub torn: u64,
    /// Activities that began under the number of one that ran.
    pub displaced: u64,
    /// Ends of activities whose begin was not seen.
    pub stops: u64,
}

/// What is counted line by line.
#[derive(Clone, Debug, Default)]
pub(super) struct StreamCounters {
    counted: StreamTotals,
}

impl StreamCounters {
    /// Counts that something began.
    pub(super) fn started(&mut self, kind: u64, parent: Option<u64>) {
        let counted = &mut self.counted;
        counted.has_parents = Some(counted.has_parents == Some(true) || parent.is_some());
        match kind {
            activity_type::QUERY_PATH_INFO => counted.queries += 1,
            activity_type::FILE_TRANSFER => counted.files += 1,
            activity_type::FETCH_TREE | activity_type::FETCH_TO_STORE => counted.sources += 1,
            activity_type::UNKNOWN
            | activity_type::COPY_PATH
            | activity_type::REALISE
            | activity_type::COPY_PATHS
            | activity_type::BUILDS
            | activity_type::BUILD
            | activity_type::OPTIMISE_STORE
            | activity_type::VERIFY_PATHS
            | activity_type::SUBSTITUTE
            | activity_type::POST_BUILD_HOOK
            | activity_type::BUILD_WAITING => {}
            kind => note_unknown(&mut counted.unknown.activities, kind),
        }
    }

    /// Counts a result that changes nothing else.
    pub(super) fn result(&mut self, kind: u64, fields: &JsonFields<'_>) {
        let counted = &mut self.counted;
        match kind {
            result_type::FILE_LINKED => {
                let bytes = fields.number(0).unwrap_or(0);
                counted.linked_bytes = counted.linked_bytes.saturating_add(bytes);
            }
            result_type::UNTRUSTED_PATH | result_type::CORRUPTED_PATH => counted.bad_paths += 1,
            // Their meaning depends on who writes them, and nothing is counted by them.
            result_type::FETCH_STATUS | result_type::FETCH_TO_STORE | result_type::BUILD_RESULT => {
            }
            kind => note_unknown(&mut counted.unknown.results, kind),
        }
    }

    /// Counts a message.
    pub(super) fn message(&mut self, level: u64, text: &str) {
        let level = usize::try_from(level).unwrap_or(usize::MAX).min(7);
        self.counted.messages[level] += 1;
        if text.starts_with(EVALUATING) {
            self.counted.evaluated_files += 1;
        }
    }

    /// Counts a path that Nix said it will fetch.
    pub(super) fn listed_fetch(&mut self) {
        self.counted.listed_fetches += 1;
    }

    /// Counts a line that was torn.
    pub(super) fn torn(&mut self) {
        self.counted.unknown.torn += 1;
    }

    /// Counts an activity that began under the number of one that ran.
    pub(super) fn displaced(&mut self) {
        self.counted.unknown.displaced += 1;
    }

    /// Counts the end of an activity whose begin was not seen.
    pub(super) fn stopped_unknown(&mut self) {
        self.counted.unknown.stops += 1;
    }
}

/// Counts an unknown number; beyond a limit all under the highest.
fn note_unknown(counts: &mut BTreeMap<u64, u64>, kind: u64) {
    let is_told_apart = counts.len() < UNKNOWN_LIMIT || counts.contains_key(&kind);
    *counts.entry(if is_told_apart { kind } else { u64::MAX }).or_default() += 1;
}

impl ActivityLog {
    /// Returns what it came to, or has come to so far.
    pub fn totals(&self) -> StreamTotals {
        let count = |state: BuildState| self.tree.count(|other| other == state);
        let copied: HashSet<&str> = self.copies().iter().map(|copy| copy.path.as_str()).collect();
        let expected = self.bytes_to_copy();
        let is_upload = CopyDirection::Upload;
        let mut downloads = self.fetched();
        let from: HashSet<&str> = self
            .copies()
            .iter()
            .filter(|copy| copy.direction() != is_upload)
            .map(|copy| copy.from.as_str())
            .collect();
        downloads.retain(|store, _| from.contains(store.as_str()));
        StreamTotals {
            progress: self.progress(),
            built: count(BuildState::Built),
            failed: count(BuildState::Failed),
            dependency_failed: count(BuildState::DependencyFailed),
            interrupted: count(BuildState::Interrupted),
            running: count(BuildState::Running),
            waiting: self.tree.count(|state| matches!(state, BuildState::Waiting(_))),
            planned: count(BuildState::Planned),
            already_there: self.tree.already_there(&copied),
            downloads,
            uploads: self.copies.whole_by(expected, |copy| {
                (copy.direction() == is_upload).then_some(copy.to.as_str())
            }),
            ..self.counters.counted.clone()
        }
    }

    /// Returns what the builds came to on the host on which this Nix runs.
    pub fn builds_on(&self, host: &str) -> HostBuilds {
        let totals = self.totals();
        let time = |(node, time): (&BuildNode, Duration)| DerivationTime {
            name: full_name(node.drv()),
            package: node.package().to_owned(),
            is_built: node.state() == BuildState::Built,
            ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
        };
        HostBuilds {
            build_on: host.to_owned(),
            built: totals.built,
            failed: totals.failed,
            dependency_failed: totals.dependency_failed,
            interrupted: totals.interrupted,
            already_there: totals.already_there,
            times: self.times().into_iter().take(TIMES_LIMIT).map(time).collect(),
        }
    }

    /// Returns how long each derivation took that was built or failed, the longest first; only
    /// those whose lines came with their times.
    pub fn times(&self) -> Vec<(&BuildNode, Duration)> {
        let ended = self
            .tree
            .nodes()
            .iter()
            .filter(|node| matches!(node.state(), BuildState::Built | BuildState::Failed));
        let mut times: Vec<_> = ended.filter_map(|node| Some((node, node.time_taken()?))).collect();
        times.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
        times
    }
}
