//! Folds the log of one process of Nix: what it built, what it fetched from where, how far it is.
//!
//! Numbers of activities are those of one process, so every process needs a log of its own.

mod failure;

pub use failure::NixFailure;

use crate::fleet::{Bytes, Fetched, Progress, Share, printable_line};
use crate::nix::internal_json::{Activity, Field, activity, parse_line, result};
use crate::nix::settings::bare_url;
use crate::nix::transfers::Transfers;
use failure::FailureLog;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// The most chatty level that is shown: info.
const SHOWN_LEVEL: u64 = 3;

/// Sizes from here on are Nix's own overflow (2^63), seen with caches that do not tell a size.
const INCREDIBLE: u64 = 1 << 50;

/// A line for people, printable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogItem {
    /// A build's own output.
    Output {
        /// The package, such as `firefox`.
        package: String,
        /// The line.
        line: String,
    },
    /// Nix, or another program, says something.
    Message {
        /// 0 error, 1 warning, 2 notice, 3 info.
        level: u64,
        /// The line.
        line: String,
    },
}

impl LogItem {
    /// Returns the line as a log shows it: `firefox> …` for a build's output.
    pub fn line(&self) -> String {
        match self {
            Self::Output { package, line } => format!("{package}> {line}"),
            Self::Message { line, .. } => line.clone(),
        }
    }
}

/// A path that was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The path, as Nix wrote it.
    pub path: String,
    /// Where it came from: a URL without settings and trailing slash.
    pub from: String,
    /// Its NAR size in bytes; none when Nix did not say (it does not for small paths).
    pub bytes: Option<u64>,
}

/// Something that runs.
enum Running {
    Build {
        drv: String,
        package: String,
        phase: Option<String>,
    },
    Copy {
        copied: Copied,
        done: u64,
    },
    /// A path is substituted, from a cache.
    Substitute {
        from: String,
    },
    Count {
        builds: bool,
        done: u64,
        expected: u64,
        failed: u64,
    },
    Other,
}

/// The state after the lines read so far.
#[derive(Default)]
pub struct ActivityLog {
    running: HashMap<u64, Running>,
    /// Builds and copies that run, in the order they began.
    order: Vec<u64>,
    /// Expected bytes to copy, by the activity that said so.
    expected_bytes: HashMap<u64, u64>,
    built: BTreeSet<String>,
    failed: BTreeSet<String>,
    copied: BTreeMap<String, Copied>,
    ended_counts: (u64, u64),
    /// Those of them that were builds.
    ended_builds: (u64, u64),
    failure: FailureLog,
    transfers: Transfers,
    /// When the line that is being taken was read, since the first.
    now: Option<Duration>,
}

impl ActivityLog {
    /// Makes a log of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one line that was read just after it was written, at a time since the log began, and
    /// returns what of it people read.
    pub fn feed_at(&mut self, line: &str, now: Duration) -> Vec<LogItem> {
        self.now = Some(now);
        let items = self.feed(line);
        self.now = None;
        items
    }

    /// Notes that lines are read later than they were written, as after a lost connection: files
    /// that did not end before get no time.
    pub fn lines_are_late(&mut self) {
        self.transfers.lines_are_late();
    }

    /// Takes one line and returns what of it people read.
    pub fn feed(&mut self, line: &str) -> Vec<LogItem> {
        match parse_line(line) {
            Activity::Start { id, parent, level, kind, text, fields } => {
                self.start((id, parent), kind, &fields);
                if level <= SHOWN_LEVEL { self.message(level, &text) } else { Vec::new() }
            }
            Activity::Stop { id } => {
                self.stop(id);
                Vec::new()
            }
            Activity::Result { id, kind, fields } => self.result(id, kind, &fields),
            Activity::Message { level, text } if level <= SHOWN_LEVEL => self.message(level, &text),
            Activity::Message { .. } => Vec::new(),
            Activity::Plain(text) => self.message(2, &text),
        }
    }

    /// Returns how far the process is.
    pub fn progress(&self) -> Progress {
        let (mut done, mut expected) = self.ended_counts;
        let mut builds = self.ended_builds;
        let mut running_bytes = 0_u64;
        let mut copying = false;
        for running in self.running.values() {
            match running {
                Running::Count { builds: of_builds, done: d, expected: e, .. } => {
                    done = done.saturating_add(*d);
                    expected = expected.saturating_add(*e);
                    if *of_builds {
                        add(&mut builds, *d, *e);
                    }
                }
                Running::Copy { done, .. } => {
                    running_bytes = running_bytes.saturating_add(*done);
                    copying = true;
                }
                Running::Build { .. } | Running::Substitute { .. } | Running::Other => {}
            }
        }
        let total = self.expected_bytes();
        let known = self.known_bytes();
        // Small paths report no bytes, so the end is known by the count alone.
        let all = expected > 0 && done >= expected && !copying;
        let used = if all { total } else { known.saturating_add(running_bytes).min(total) };
        let bytes = (total > 0).then_some(Bytes { used, total });
        let builds =
            (builds.1 > 0).then(|| Share { have: builds.0, total: builds.1.max(builds.0) });
        Progress { bytes, done, expected: expected.max(done), builds, doing: self.doing() }
    }

    /// Returns the number of derivations that were built to their end.
    pub fn built(&self) -> u64 {
        self.built.difference(&self.failed).count() as u64
    }

    /// Returns the paths that were copied, with the source of each.
    pub fn copied(&self) -> impl Iterator<Item = &Copied> {
        self.copied.values()
    }

    /// Returns paths and bytes by where they came from.
    ///
    /// Bytes that Nix expected but did not report path by path (it skips small paths) are shared
    /// out evenly over the paths without a figure.
    pub fn fetched(&self) -> BTreeMap<String, Fetched> {
        let known = self.known_bytes();
        let silent = self.copied.values().filter(|copied| copied.bytes.is_none()).count() as u64;
        let mut rest = self.expected_bytes().saturating_sub(known);
        let mut left = silent;
        let mut fetched: BTreeMap<String, Fetched> = BTreeMap::new();
        for copied in self.copied.values() {
            let entry = fetched.entry(copied.from.clone()).or_default();
            entry.paths += 1;
            let bytes = copied.bytes.unwrap_or_else(|| {
                let share = rest / left.max(1);
                rest -= share;
                left -= 1;
                share
            });
            entry.bytes = entry.bytes.saturating_add(bytes);
        }
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
        self.failure.failure()
    }

    /// Returns the bytes that Nix expects to copy.
    fn expected_bytes(&self) -> u64 {
        let credible = self.expected_bytes.values().filter(|bytes| **bytes < INCREDIBLE);
        credible.fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }

    /// Returns the bytes of paths that were copied, as far as Nix said.
    fn known_bytes(&self) -> u64 {
        let sizes = self.copied.values().filter_map(|copied| copied.bytes);
        sizes.fold(0, u64::saturating_add)
    }

    /// Returns what began last and still runs, a build before a copy.
    fn doing(&self) -> Option<String> {
        let words = |running: &Running| match running {
            Running::Build { package, phase: Some(phase), .. } => {
                Some((0, format!("{package} ({phase})")))
            }
            Running::Build { package, phase: None, .. } => Some((0, package.clone())),
            Running::Copy { copied, .. } => {
                Some((1, format!("{} from {}", name_of(&copied.path), copied.from)))
            }
            Running::Substitute { .. } | Running::Count { .. } | Running::Other => None,
        };
        self.order
            .iter()
            .rev()
            .filter_map(|id| self.running.get(id).and_then(words))
            .min_by_key(|(rank, _)| *rank)
            .map(|(_, words)| printable_line(&words))
    }

    /// Keeps that something began.
    fn start(&mut self, (id, parent): (u64, u64), kind: u64, fields: &[Field]) {
        let text = |index: usize| fields.get(index).and_then(Field::text).unwrap_or_default();
        if let activity::SUBSTITUTE | activity::QUERY_PATH_INFO = kind {
            self.failure.note_asked(text(0), text(1));
        }
        let running = match kind {
            activity::BUILD if !text(0).is_empty() => {
                let package = package_of(text(0));
                Running::Build { drv: text(0).to_owned(), package, phase: None }
            }
            activity::COPY_PATH if !text(0).is_empty() => {
                let from = printable_line(bare_url(text(1)));
                let copied = Copied { path: text(0).to_owned(), from, bytes: None };
                Running::Copy { copied, done: 0 }
            }
            activity::SUBSTITUTE => Running::Substitute { from: printable_line(bare_url(text(1))) },
            activity::FILE_TRANSFER => {
                self.start_transfer((id, parent), text(0));
                Running::Other
            }
            activity::BUILDS | activity::COPY_PATHS => {
                Running::Count { builds: kind == activity::BUILDS, done: 0, expected: 0, failed: 0 }
            }
            _ => Running::Other,
        };
        if matches!(running, Running::Build { .. } | Running::Copy { .. }) {
            self.order.push(id);
        }
        self.running.insert(id, running);
    }

    /// Keeps that a file is asked for, when it is known of which cache it is.
    fn start_transfer(&mut self, (id, parent): (u64, u64), url: &str) {
        let Some(now) = self.now else { return };
        let from = match self.running.get(&parent) {
            Some(Running::Copy { copied, .. }) => Some(copied.from.clone()),
            Some(Running::Substitute { from }) => Some(from.clone()),
            // Older Nix does not say what a file is for: its address tells.
            Some(Running::Build { .. } | Running::Count { .. } | Running::Other) | None => {
                self.cache_of(url)
            }
        };
        if let Some(from) = from {
            self.transfers.start(id, from, now);
        }
    }

    /// Returns the cache that something is copied from now and that has a file at this address.
    fn cache_of(&self, url: &str) -> Option<String> {
        let url = printable_line(url);
        let caches = self.running.values().filter_map(|running| match running {
            Running::Copy { copied, .. } => Some(&copied.from),
            Running::Build { .. }
            | Running::Substitute { .. }
            | Running::Count { .. }
            | Running::Other => None,
        });
        let has = |from: &&String| {
            url.strip_prefix(from.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        caches.filter(has).max_by_key(|from| from.len()).cloned()
    }

    /// Keeps that something ended.
    fn stop(&mut self, id: u64) {
        if let Some(now) = self.now {
            self.transfers.stop(id, now);
        }
        match self.running.remove(&id) {
            Some(Running::Build { drv, .. }) => {
                self.built.insert(drv);
            }
            Some(Running::Copy { copied, .. }) => {
                self.copied.insert(copied.path.clone(), copied);
            }
            Some(Running::Count { builds, done, expected, failed }) => {
                // Nix 2.34 expects more builds than there are, to the end.
                let expected = if failed == 0 { done } else { expected };
                add(&mut self.ended_counts, done, expected);
                if builds {
                    add(&mut self.ended_builds, done, expected);
                }
            }
            Some(Running::Substitute { .. } | Running::Other) | None => return,
        }
        self.order.retain(|running| *running != id);
    }

    /// Takes news of something that runs.
    fn result(&mut self, id: u64, kind: u64, fields: &[Field]) -> Vec<LogItem> {
        let text = |index: usize| fields.get(index).and_then(Field::text);
        let number = |index: usize| fields.get(index).and_then(Field::number);
        match kind {
            result::BUILD_LOG_LINE | result::POST_BUILD_LOG_LINE => {
                let package = match self.running.get(&id) {
                    Some(Running::Build { package, .. }) => package.clone(),
                    Some(_) | None => "build".to_owned(),
                };
                let line = printable_line(text(0).unwrap_or_default());
                self.failure.note_output(&package, &line);
                vec![LogItem::Output { package, line }]
            }
            result::SET_PHASE => {
                if let Some(Running::Build { phase, .. }) = self.running.get_mut(&id) {
                    *phase = text(0).map(printable_line);
                }
                Vec::new()
            }
            result::PROGRESS => {
                let (now, of) = (number(0).unwrap_or(0), number(1).unwrap_or(0));
                if let Some(at) = self.now {
                    self.transfers.progress(id, now, at);
                }
                match self.running.get_mut(&id) {
                    Some(Running::Copy { copied, done }) => {
                        *done = now;
                        if of > 0 && of < INCREDIBLE {
                            copied.bytes = Some(of);
                        }
                    }
                    Some(Running::Count { done, expected, failed, .. }) => {
                        (*done, *expected, *failed) = (now, of, number(3).unwrap_or(0));
                    }
                    Some(Running::Build { .. } | Running::Substitute { .. } | Running::Other)
                    | None => {}
                }
                Vec::new()
            }
            result::SET_EXPECTED => {
                if number(0) == Some(activity::COPY_PATH) {
                    self.expected_bytes.insert(id, number(1).unwrap_or(0));
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Takes a message of one or several lines.
    fn message(&mut self, level: u64, text: &str) -> Vec<LogItem> {
        let lines: Vec<String> =
            text.lines().map(printable_line).filter(|line| !line.trim().is_empty()).collect();
        self.failure.note_message(level, &lines);
        if level == 0 && lines.iter().any(|line| line.starts_with("error:")) {
            for line in &lines {
                self.note_failed(line);
            }
        }
        lines.into_iter().map(|line| LogItem::Message { level, line }).collect()
    }

    /// Keeps the derivation that an error names: its build ended, but not well.
    fn note_failed(&mut self, line: &str) {
        if !(line.contains("builder for") || line.contains("Cannot build")) {
            return;
        }
        self.failed.extend(derivation_in(line).map(str::to_owned));
    }
}

/// Returns the derivation that a message names in quotes.
fn derivation_in(line: &str) -> Option<&str> {
    line.split('\'')
        .find(|word| word.strip_suffix(".drv").is_some_and(|path| path.starts_with('/')))
}

/// Adds what is done and what is expected.
fn add(counts: &mut (u64, u64), done: u64, expected: u64) {
    counts.0 = counts.0.saturating_add(done);
    counts.1 = counts.1.saturating_add(expected);
}

/// Returns the name of a store path or derivation: what follows the hash.
fn name_of(path: &str) -> &str {
    let base = path.rsplit('/').next().unwrap_or(path);
    base.split_once('-').map_or(base, |(_, name)| name)
}

/// Returns the package of a derivation, such as `firefox` of `…-firefox-145.0.drv`: as Nix does,
/// what stands before the first dash that no letter follows.
fn package_of(drv: &str) -> String {
    let name = name_of(drv);
    let name = name.strip_suffix(".drv").unwrap_or(name);
    let bytes = name.as_bytes();
    let end = (1..bytes.len().saturating_sub(1))
        .find(|&index| bytes[index] == b'-' && !bytes[index + 1].is_ascii_alphabetic());
    printable_line(&name[..end.unwrap_or(name.len())])
}

#[cfg(test)]
mod tests;
