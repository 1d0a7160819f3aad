//! Takes a line: what it changes in what is known.

use super::names::derivation_in;
use super::node::WaitsFor;
use super::{ActivityLog, LogPiece, RunningActivity, RunningCount, add, credible};
use crate::fleet::{Share, TextStyle, printable_line, style_behind};
use crate::nix::internal_json::{
    JsonFields, JsonLine, Payload, activity_type, parse_line, payload, result_type,
};
use crate::nix::settings::bare_url;
use std::time::Duration;

/// The most chatty level that is shown: info.
const SHOWN_LEVEL: u64 = 3;

/// How the lines end by which a job says that its process of Nix is over and another one begins.
pub const ASKED_AGAIN: [&str; 2] = ["; asking Nix again", "; asking the caches again"];

/// What a list names that Nix prints line by line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnnouncedList {
    /// Derivations that will be built.
    Builds,
    /// Paths that will be fetched.
    Fetches,
}

/// The parts of a line that begins something.
struct StartLine<'a> {
    id: u64,
    parent: Option<u64>,
    kind: u64,
    text: &'a str,
    fields: &'a JsonFields<'a>,
}

impl ActivityLog {
    /// Takes one line, with the time at which it was written where that is known, and hands what of
    /// it people read to `take`, as it came.
    pub fn fold(&mut self, line: &str, now: Option<Duration>, take: &mut dyn FnMut(LogPiece<'_>)) {
        self.now = now.filter(|_| !self.is_late);
        match parse_line(line) {
            JsonLine::Start { id, parent, level, kind, text, fields } => {
                self.start(&StartLine { id, parent, kind, text: &text, fields: &fields });
                if level <= SHOWN_LEVEL {
                    self.message(level, &text, take);
                }
            }
            JsonLine::Stop { id } => self.stop(id),
            JsonLine::Result { id, kind, fields, has_payload } => {
                self.result(id, kind, &fields, take);
                if let Some(payload) = has_payload.then(|| payload(line)).flatten() {
                    self.payload(payload);
                }
            }
            JsonLine::Message { level, text } => {
                self.counters.message(level, &text);
                if level <= SHOWN_LEVEL {
                    self.message(level, &text, take);
                }
            }
            JsonLine::Plain(text) => self.plain(text, take),
        }
        self.now = None;
    }

    /// Takes a line that is not of the format. Another program may have left a line without its
    /// end, or a line of Nix may be torn: what follows on it counts.
    fn plain(&mut self, text: &str, take: &mut dyn FnMut(LogPiece<'_>)) {
        let torn = text.rmatch_indices("@nix {").map(|(at, _)| at).find(|at| *at > 0);
        if let Some(at) = torn
            && !matches!(parse_line(&text[at..]), JsonLine::Plain(_))
        {
            self.counters.torn();
            let (before, line) = text.split_at(at);
            if !before.starts_with("@nix ") {
                self.message(2, before, take);
            }
            let now = self.now;
            self.fold(line, now, take);
            return;
        }
        if text.starts_with("@nix ") {
            self.counters.torn();
        } else {
            self.failure.note_plain(text);
        }
        if ASKED_AGAIN.iter().any(|end| text.trim_ascii_end().ends_with(end)) {
            self.another_begins();
        }
        self.message(2, text, take);
    }

    /// Keeps that something began.
    fn start(&mut self, started: &StartLine<'_>) {
        let StartLine { id, parent, kind, fields, .. } = *started;
        if self.running.contains_key(&id) {
            // The number of a process that is over, as when two followed each other.
            self.displace(id);
        }
        self.counters.started(kind, parent);
        let first = fields.text(0).unwrap_or_default();
        let second = fields.text(1).unwrap_or_default();
        let running = match kind {
            activity_type::BUILD if !first.is_empty() => {
                RunningActivity::Build { node: self.tree.start(first, second, self.now) }
            }
            activity_type::BUILD_WAITING => self.start_waiting(started),
            activity_type::POST_BUILD_HOOK if !first.is_empty() => {
                RunningActivity::Hook { node: self.tree.index(first) }
            }
            activity_type::COPY_PATH if !first.is_empty() => {
                let to = fields.text(2).unwrap_or_default();
                RunningActivity::Copy { index: self.copies.start(first, second, to, self.now) }
            }
            activity_type::SUBSTITUTE => {
                self.failure.note_fetched(first, second);
                RunningActivity::Substitute { from: printable_line(bare_url(second)) }
            }
            activity_type::QUERY_PATH_INFO => {
                self.failure.note_asked(first, second);
                RunningActivity::Query
            }
            activity_type::FILE_TRANSFER => {
                self.note_file(parent, first);
                self.start_transfer((id, parent), first);
                RunningActivity::File
            }
            activity_type::BUILDS | activity_type::COPY_PATHS => {
                RunningActivity::Count(self.start_count(kind == activity_type::BUILDS))
            }
            activity_type::FETCH_TREE | activity_type::FETCH_TO_STORE => RunningActivity::Source,
            _ => RunningActivity::Other,
        };
        if let RunningActivity::Build { .. } | RunningActivity::Copy { .. } = running {
            self.order.push(id);
        }
        self.running.insert(id, running);
    }

    /// Keeps which path a file holds that is downloaded. Older Nix does not say what a file is for.
    fn note_file(&mut self, parent: Option<u64>, url: &str) {
        let Some(RunningActivity::Copy { index }) =
            parent.and_then(|parent| self.running.get(&parent))
        else {
            return;
        };
        if let Some(copy) = self.copies.at(*index) {
            self.failure.note_file(url, &copy.path, &copy.from);
        }
    }

    /// Begins a count of builds or of paths. Only one counts builds: a machine to which this Nix
    /// gave a build counts it once more, and its lines come through here.
    fn start_count(&self, is_of_builds: bool) -> RunningCount {
        let is_one = |running: &RunningActivity| matches!(running, RunningActivity::Count(count) if count.is_of_builds);
        let is_nested = is_of_builds && self.running.values().any(is_one);
        RunningCount { is_of_builds, is_nested, ..RunningCount::default() }
    }

    /// Notes that a build waits.
    fn start_waiting(&mut self, started: &StartLine<'_>) -> RunningActivity {
        let text = started.text;
        let what = if started.fields.count() > 1 {
            WaitsFor::Resolved
        } else if text.starts_with("waiting for lock") {
            WaitsFor::Lock
        } else if text.starts_with("waiting for a machine") {
            WaitsFor::Machine
        } else if text.starts_with("waiting for a free build user") {
            WaitsFor::BuildUser
        } else {
            WaitsFor::Other
        };
        let text = printable_line(text);
        let drv = started.fields.text(0).or_else(|| derivation_in(&text));
        let node = drv.filter(|drv| !drv.is_empty()).map(|drv| self.tree.index(drv));
        if let Some(node) = node {
            self.tree.wait(node, Some(what));
        }
        RunningActivity::Waiting { node }
    }

    /// Keeps that a file is asked for, when it is known of which cache it is.
    fn start_transfer(&mut self, (id, parent): (u64, Option<u64>), url: &str) {
        let Some(now) = self.now else { return };
        let from = match parent.and_then(|parent| self.running.get(&parent)) {
            Some(RunningActivity::Copy { index }) => {
                self.copies.at(*index).map(|copy| copy.from.clone())
            }
            Some(RunningActivity::Substitute { from }) => Some(from.clone()),
            // Older Nix does not say what a file is for: its address tells.
            Some(
                RunningActivity::Build { .. }
                | RunningActivity::Waiting { .. }
                | RunningActivity::Hook { .. }
                | RunningActivity::Count(_)
                | RunningActivity::Query
                | RunningActivity::File
                | RunningActivity::Source
                | RunningActivity::Other,
            )
            | None => self.cache_of(url),
        };
        if let Some(from) = from {
            self.transfers.start(id, from, now);
        }
    }

    /// Returns the cache that something is copied from now and that has a file at this address.
    fn cache_of(&self, url: &str) -> Option<String> {
        let url = printable_line(url);
        let caches = self.order.iter().filter_map(|id| match self.running.get(id) {
            Some(RunningActivity::Copy { index }) => self.copies.at(*index).map(|copy| &copy.from),
            Some(_) | None => None,
        });
        let has = |from: &&String| {
            url.strip_prefix(from.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        caches.filter(has).max_by_key(|from| from.len()).cloned()
    }

    /// Ends what ran under a number that begins again: how it ended is not known.
    fn displace(&mut self, id: u64) {
        self.counters.displaced();
        self.order.retain(|running| *running != id);
        if let Some(RunningActivity::Build { node }) = self.running.remove(&id)
            && let Some(node) = self.tree.at(node)
            && node.stop(self.now)
        {
            node.state = super::BuildState::Interrupted;
        }
    }

    /// Keeps that something ended.
    fn stop(&mut self, id: u64) {
        if let Some(now) = self.now {
            self.transfers.stop(id, now);
        }
        if let Some(bytes) = self.expected_bytes.remove(&id) {
            let bytes = credible(std::iter::once(bytes));
            self.ended_expected_bytes = self.ended_expected_bytes.saturating_add(bytes);
        }
        match self.running.remove(&id) {
            Some(RunningActivity::Build { node }) => {
                self.order.retain(|running| *running != id);
                self.tree.stop(node, self.now);
            }
            Some(RunningActivity::Copy { index }) => {
                self.order.retain(|running| *running != id);
                self.copies.stop(index, self.now);
            }
            Some(RunningActivity::Waiting { node: Some(node) }) => self.tree.wait(node, None),
            Some(RunningActivity::Count(count)) => self.stop_count(count),
            Some(
                RunningActivity::Waiting { node: None }
                | RunningActivity::Hook { .. }
                | RunningActivity::Substitute { .. }
                | RunningActivity::Query
                | RunningActivity::File
                | RunningActivity::Source
                | RunningActivity::Other,
            ) => {}
            None => self.counters.stopped_unknown(),
        }
    }

    /// Keeps that something is not counted any more.
    fn stop_count(&mut self, count: RunningCount) {
        if count.is_nested {
            return;
        }
        // Nix 2.34 expects more builds than there are, to the end.
        let expected = if count.failed == 0 { count.done } else { count.expected };
        add(&mut self.ended_counts, count.done, expected);
        let is_same = |running: &RunningActivity| matches!(running, RunningActivity::Count(other) if other.is_of_builds == count.is_of_builds);
        let is_last = !self.running.values().any(is_same);
        if count.is_of_builds {
            add(&mut self.ended_builds, count.done, expected);
            if is_last {
                self.tree.counting_ended();
            }
        } else if is_last {
            self.copies.counting_ended();
        }
    }

    /// Takes news of something that runs.
    fn result(
        &mut self,
        id: u64,
        kind: u64,
        fields: &JsonFields<'_>,
        take: &mut dyn FnMut(LogPiece<'_>),
    ) {
        match kind {
            result_type::BUILD_LOG_LINE | result_type::POST_BUILD_LOG_LINE => {
                let line = fields.text(0).unwrap_or_default();
                let node = match self.running.get(&id) {
                    Some(RunningActivity::Build { node } | RunningActivity::Hook { node }) => {
                        self.tree.at(*node)
                    }
                    Some(_) | None => None,
                };
                let node = node.map(|node| {
                    node.output(line);
                    &*node
                });
                take(LogPiece::Output { node, activity: id, line });
            }
            result_type::SET_PHASE => {
                let now = self.now;
                if let Some(RunningActivity::Build { node }) = self.running.get(&id)
                    && let Some(node) = self.tree.at(*node)
                    && let Some(phase) = fields.text(0)
                {
                    node.set_phase(phase, now);
                }
            }
            result_type::PROGRESS => self.progress_of(id, fields),
            result_type::SET_EXPECTED => {
                if fields.number(0) == Some(activity_type::COPY_PATH) {
                    self.expected_bytes.insert(id, fields.number(1).unwrap_or(0));
                }
            }
            kind => self.counters.result(kind, fields),
        }
    }

    /// Takes how far something is.
    fn progress_of(&mut self, id: u64, fields: &JsonFields<'_>) {
        let number = |index: usize| fields.number(index).unwrap_or(0);
        let (done, expected, failed) = (number(0), number(1), number(3));
        if let Some(at) = self.now {
            self.transfers.progress(id, done, at);
        }
        match self.running.get_mut(&id) {
            Some(RunningActivity::Copy { index }) => self.copies.progress(*index, done, expected),
            Some(RunningActivity::Count(count)) => {
                let more = (done.saturating_sub(count.done), failed.saturating_sub(count.failed));
                (count.done, count.expected, count.failed) = (done, expected, failed);
                match (count.is_nested, count.is_of_builds) {
                    (false, true) => self.tree.counted(more.0, more.1),
                    (false, false) => self.copies.counted(more.0, more.1),
                    (true, _) => {}
                }
            }
            Some(
                RunningActivity::Build { .. }
                | RunningActivity::Waiting { .. }
                | RunningActivity::Hook { .. }
                | RunningActivity::Substitute { .. }
                | RunningActivity::Query
                | RunningActivity::File
                | RunningActivity::Source
                | RunningActivity::Other,
            )
            | None => {}
        }
    }

    /// Takes what Determinate Nix tells of a build.
    fn payload(&mut self, payload: Payload) {
        match payload {
            Payload::HashMismatch { drv } => self.tree.fail(&drv, "hash mismatch".to_owned()),
            Payload::BuildResult { drv: Some(drv), success: false, status, error } => {
                if status == "DependencyFailed" {
                    self.tree.dependency_failed(&drv);
                } else {
                    let first = error.lines().find(|line| !line.trim().is_empty());
                    self.tree.fail(&drv, printable_line(first.unwrap_or(&status)));
                }
            }
            Payload::BuildResult { .. } => {}
        }
    }

    /// Takes a message of one or several lines.
    fn message(&mut self, level: u64, text: &str, take: &mut dyn FnMut(LogPiece<'_>)) {
        let mut begins = TextStyle::default();
        for line in text.lines() {
            if level == SHOWN_LEVEL {
                self.list(line);
            }
            take(LogPiece::Message { level, line, begins });
            begins = style_behind(line, begins);
        }
        if level > 1 {
            return;
        }
        let lines = text.lines().map(printable_line);
        let lines = lines.filter(|line| !line.trim().is_empty() && !is_quoted(line));
        let lines: Vec<String> = lines.collect();
        self.failure.note_message(level, &lines);
        if level == 0 && lines.iter().any(|line| line.starts_with("error:")) {
            self.note_ends(&lines);
        }
    }

    /// Takes a line of a list of what will be built or fetched.
    fn list(&mut self, line: &str) {
        if let Some(path) = line.strip_prefix("  ").filter(|path| path.starts_with('/')) {
            match self.listing {
                Some(AnnouncedList::Builds) if path.strip_suffix(".drv").is_some() => {
                    self.tree.index(path);
                }
                Some(AnnouncedList::Fetches) => self.counters.listed_fetch(),
                Some(AnnouncedList::Builds) | None => {}
            }
            return;
        }
        let is_list = line.starts_with("this ") || line.starts_with("these ");
        self.listing = if is_list && line.contains(" will be built:") {
            Some(AnnouncedList::Builds)
        } else if is_list && line.contains(" will be fetched") {
            Some(AnnouncedList::Fetches)
        } else {
            None
        };
    }

    /// Keeps how derivations ended that an error names.
    fn note_ends(&mut self, lines: &[String]) {
        if lines.iter().any(|line| line.contains("interrupted by the user")) {
            self.tree.end(self.now);
            self.copies.interrupted(self.now);
        }
        for (at, line) in lines.iter().enumerate() {
            let Some(drv) = derivation_in(line) else { continue };
            let after = line.rsplit_once('\'').map_or("", |(_, after)| after);
            let after = after.trim_start_matches([' ', ':']).trim_end_matches([';', '.', ':']);
            if line.contains("dependencies of derivation") {
                self.tree.dependency_failed(drv);
            } else if line.contains("Cannot build '") {
                // Since 2.31 the reason stands on a line of its own.
                let reason =
                    lines[at..].iter().find_map(|line| line.trim().strip_prefix("Reason: "));
                let reason = reason.unwrap_or("the build failed").trim_end_matches('.');
                let is_dependency = reason.ends_with(" failed")
                    && (reason.contains("dependency") || reason.contains("dependencies"));
                if is_dependency {
                    self.tree.dependency_failed(drv);
                } else {
                    self.tree.fail(drv, reason.to_owned());
                }
            } else if line.contains("builder for '") {
                self.tree.fail(drv, format!("builder {after}"));
            } else if line.contains("hash mismatch in fixed-output derivation") {
                self.tree.fail(drv, "hash mismatch".to_owned());
            } else if line.contains("building of '")
                && (after.contains("timed out after ") || after.contains("killed after "))
            {
                let reason = after.strip_prefix("from .drv file ").unwrap_or(after);
                self.tree.fail(drv, reason.to_owned());
            }
        }
    }

    /// Notes that the process is over and another one does what it left: what did not come is expected
    /// once more by that one.
    fn another_begins(&mut self) {
        self.end();
        self.failure.another_begins();
        let Share { have, total } = self.ended_counts;
        if have == 0 || have < total {
            self.ended_expected_bytes = self.ended_expected_bytes.min(self.copies.bytes().0);
        }
        self.ended_counts.total = self.ended_counts.have;
        self.ended_builds.total = self.ended_builds.have;
    }

    /// Ends all that runs: no line about it will come.
    pub(super) fn end(&mut self) {
        let counts: Vec<RunningCount> = self
            .running
            .values()
            .filter_map(|running| {
                if let RunningActivity::Count(count) = running { Some(*count) } else { None }
            })
            .collect();
        self.running.clear();
        self.order.clear();
        for count in counts {
            self.stop_count(count);
        }
        let expected = credible(self.expected_bytes.drain().map(|(_, bytes)| bytes));
        self.ended_expected_bytes = self.ended_expected_bytes.saturating_add(expected);
        self.listing = None;
        // When it ended is not known: no line says it.
        self.tree.end(None);
        self.copies.end(None);
    }
}

/// Returns whether a line of a message is one of the builder's own output, which Nix repeats: what stands there is
/// nothing that Nix says.
fn is_quoted(line: &str) -> bool {
    line.trim_start().starts_with('>')
}
