//! Why a process of Nix failed: which of all that it said names the cause.
//!
//! The last error often says only that something needed is not there. Before it stands why: a
//! builder that failed, a cache that does not answer or lacks what it promised, a signature that nobody trusts. An error with
//! a trace names its cause in its last line, and its first is empty. What the failed builder itself
//! said is told by `telling.rs`.

use super::cache_answer::{is_silence, names, refusal};
use super::names::derivation_in;
use super::node::BuildNode;
use super::rank::{UsedUp, used_up};
use super::tree::BuildTree;
use crate::fleet::printable_line;
use crate::nix::eval_error;
use crate::nix::settings::bare_url;
use std::collections::VecDeque;

/// Why a process of Nix failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NixFailure {
    /// What kind of failure it was.
    pub kind: FailureKind,
    /// The cause, as one printable line.
    pub text: String,
}

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// A cache could not be reached, and nothing else went wrong.
    CacheDown,
    /// A cache lacks a file that it said it has, and nothing else went wrong.
    CacheLacksFile,
    /// A cache answered with an error, and nothing else went wrong.
    CacheFailing,
    /// What a cache sent is not what it said it would be, and nothing else went wrong.
    CacheCorrupt,
    /// A builder failed.
    Builder,
    /// What was fetched has another hash than the expression says.
    HashMismatch,
    /// The memory was used up.
    Memory,
    /// The disk was full.
    Disk,
    /// A build took too long, or was silent for too long.
    TimedOut,
    /// The expression could not be evaluated.
    Evaluation,
    /// Somebody stopped it.
    Interrupted,
    /// Something else.
    Other,
}

/// Why a process of Nix failed, in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureReport {
    /// What kind of failure it was.
    pub kind: FailureKind,
    /// The derivation that failed, where one did.
    pub drv: Option<String>,
    /// The cause in Nix's words, as one printable line.
    pub cause: String,
    /// The line of the failed builder's output that says most, printable.
    pub said: Option<String>,
    /// Whether that line says why the builder failed, as a compiler does, and is not only the last one or
    /// a summary, as of make.
    pub names_a_cause: bool,
}

impl FailureReport {
    /// Returns the cause, and what the builder said, as one line: first what says most.
    pub fn text(&self) -> String {
        let cause = &self.cause;
        let mut text = match &self.said {
            Some(said) if self.names_a_cause => {
                format!("{said} ({})", cause.trim_end_matches('.'))
            }
            Some(said) => format!("{cause}; its last words: {said}"),
            None => cause.clone(),
        };
        // Nix says only by which signal a builder ended.
        if self.kind == FailureKind::Memory && !said_by_itself(&text) {
            text.push_str("; it was killed, most likely because the memory was used up");
        }
        text
    }
}

/// Returns whether a text itself says that the memory was used up.
fn said_by_itself(text: &str) -> bool {
    used_up(text) == Some(UsedUp::Memory)
}

/// What was said so far that tells why.
#[derive(Clone, Debug, Default)]
pub(super) struct FailureLog {
    last_error: Option<String>,
    /// The last error that is neither about a cache nor only says that something needed is not there.
    own_error: Option<String>,
    /// The first message that names a cause, not only that something needed failed.
    cause: Option<String>,
    /// The first message by which a cache is given up that answers and does not give what it promised. Nix
    /// may go on after it, so whatever fails by itself counts more.
    refused: Option<(FailureKind, String)>,
    /// The first message by which a cache is given up that cannot be reached.
    unreachable: Option<String>,
    /// The last lines that are not of Nix's format, from the last that begins with an error.
    plain: Vec<String>,
    /// Whether the last error has a trace of an evaluation.
    is_traced: bool,
    /// The path that each cache was asked for last; the cache that was asked last stands last.
    asked: Vec<AskedPath>,
    /// The files that were asked for last, each with the path that it holds: several come at once.
    files: VecDeque<(String, AskedPath)>,
    /// The paths that were begun to be fetched last.
    fetched: VecDeque<AskedPath>,
}

/// A path that was asked for somewhere.
#[derive(Clone, Debug)]
struct AskedPath {
    path: String,
    /// The cache, as a URL without settings.
    from: String,
}

/// How many files and paths are remembered: more than Nix fetches at once, since a message about one comes soon.
const REMEMBERED: usize = 256;

/// What stands in a message that names a cause.
const CAUSES: [&str; 10] = [
    "builder for '",
    "' timed out after ",
    ".drv file timed out after ",
    "' killed after writing more than ",
    ".drv file killed after writing more than ",
    "fixed-output derivations must not reference",
    "hash mismatch",
    "lacks a signature by a trusted key",
    "not signed by any of the keys",
    "No space left on device",
];

/// What stands in a message about a builder that failed.
const OF_BUILDER: &str = "builder for '";

/// What stands in an error that only says that something needed is not there (`src/libstore/build/` of Nix 2.3 to
/// 2.36).
const FOLLOWS: [&str; 11] = [
    "some substitutes for ",
    "some references of path '",
    "no substituter that can build it",
    "substitution is disabled",
    "does not exist and cannot be created",
    "dependencies of derivation '",
    "dependency failed",
    "dependencies failed",
    "failed dependency",
    "failed dependencies",
    "cannot build missing derivation '",
];

/// How many lines of a plain error are kept.
const PLAIN_LINES: usize = 200;

impl FailureLog {
    /// Keeps that a path is asked for somewhere.
    pub(super) fn note_asked(&mut self, path: &str, from: &str) {
        if !path.starts_with('/') {
            return;
        }
        let asked = AskedPath { path: printable_line(path), from: printable_line(bare_url(from)) };
        self.asked.retain(|other| other.from != asked.from);
        self.asked.push(asked);
    }

    /// Keeps that a path begins to be fetched from somewhere.
    pub(super) fn note_fetched(&mut self, path: &str, from: &str) {
        self.note_asked(path, from);
        self.fetched.extend(self.asked.last().cloned());
        if self.fetched.len() > REMEMBERED {
            self.fetched.pop_front();
        }
    }

    /// Keeps that a file is downloaded which holds a path of a cache.
    pub(super) fn note_file(&mut self, url: &str, path: &str, from: &str) {
        let Some(name) = url.rsplit('/').next().filter(|name| !name.is_empty()) else { return };
        let held = AskedPath { path: printable_line(path), from: printable_line(bare_url(from)) };
        self.files.push_back((printable_line(name), held));
        if self.files.len() > REMEMBERED {
            self.files.pop_front();
        }
    }

    /// Keeps a line that is not of Nix's format: a Nix that was not asked for it says errors so.
    pub(super) fn note_plain(&mut self, line: &str) {
        if line.trim_start().starts_with("error:") {
            self.plain.clear();
        } else if self.plain.is_empty() || self.plain.len() == PLAIN_LINES {
            return;
        }
        self.plain.push(line.to_owned());
    }

    /// Takes a message of one or several printable lines.
    pub(super) fn note_message(&mut self, level: u64, lines: &[String]) {
        if level > 1 {
            return;
        }
        let is_of_builder = lines.iter().any(|line| line.contains(OF_BUILDER));
        let refused = if is_of_builder { None } else { refusal(lines) };
        if let Some((at, kind)) = refused {
            if self.refused.is_none() {
                let text = format!("{}{}", plain(&lines[at]), hashes(&lines[at..]));
                self.refused = Some((kind, self.with_cache(&text)));
            }
        } else if self.cause.is_none() {
            let is_cause = |line: &String| CAUSES.iter().any(|sign| line.contains(sign));
            if let Some(at) = lines.iter().position(is_cause) {
                let text = format!("{}{}", plain(&lines[at]), hashes(&lines[at..]));
                self.cause = Some(self.with_path(&text));
            }
        }
        if level == 0 && lines.iter().any(|line| line.starts_with("error:")) {
            self.note_error(lines, refused.is_some());
        }
    }

    /// Notes that the process is over and another one does what it left: what made that one give up is tried again.
    pub(super) fn another_begins(&mut self) {
        self.own_error = None;
    }

    /// Takes an error: the last cause of a trace, and a reason where one is given.
    fn note_error(&mut self, lines: &[String], is_refusal: bool) {
        let said = |line: &&String| {
            line.trim().strip_prefix("error:").is_some_and(|rest| !rest.trim().is_empty())
        };
        let Some(error) = lines.iter().rev().find(said).map(|line| line.trim()) else { return };
        // Since 2.31 the reason stands on a line of its own.
        let reason = lines.iter().skip(1).map(|line| line.trim());
        let reason = reason.filter(|line| line.starts_with("Reason:"));
        let traced = lines.iter().map(|line| line.trim());
        let traced = traced.filter_map(|line| line.strip_prefix("… ")).next_back();
        let mut text = std::iter::once(plain(error)).chain(reason).collect::<Vec<_>>().join(" ");
        let is_own = !is_refusal && !is_silence(&text) && !follows(&text);
        self.is_traced =
            traced.is_some() || lines.iter().any(|line| line.trim().starts_with("at "));
        if let Some(traced) = traced {
            text = format!("{text} ({traced})");
        }
        if text.contains("Cannot build '") && text.contains("builder failed") {
            self.cause.get_or_insert_with(|| text.clone());
        }
        let text = self.with_path(&text);
        if is_silence(&text) {
            self.unreachable.get_or_insert_with(|| text.clone());
        }
        if is_own {
            self.own_error = Some(text.clone());
        }
        self.last_error = Some(text);
    }

    /// Adds to what names no path the one that was asked for, and where that was.
    fn with_path(&self, text: &str) -> String {
        let Some(AskedPath { path, from }) = self.asked_for(text) else { return text.to_owned() };
        if names(text, from) {
            format!("{text}; needed for {path}")
        } else {
            format!("{text}; asked {from} for {path}")
        }
    }

    /// Adds to what a cache did not give the path, and to what names the path alone the cache.
    fn with_cache(&self, text: &str) -> String {
        let is_of = |one: &&AskedPath| text.contains(one.path.as_str());
        match self.fetched.iter().rev().find(is_of) {
            Some(AskedPath { from, .. }) if !names(text, from) => {
                format!("{text}; it came from {from}")
            }
            Some(_) | None => self.with_path(text),
        }
    }

    /// Returns what was asked for by which a message came that names no path: what the file holds that it names,
    /// else what the cache was asked for last that it names. Another cache may have been asked meanwhile, so a
    /// message that names a cache of which nothing is known is about nothing that is known.
    fn asked_for(&self, text: &str) -> Option<&AskedPath> {
        if text.contains("/nix/store/") {
            return None;
        }
        let of_file = self.files.iter().rev().find(|(name, _)| text.contains(name.as_str()));
        if let Some((_, held)) = of_file {
            return Some(held);
        }
        let mut of_cache = self.asked.iter().rev().filter(|one| names(text, &one.from));
        of_cache.next().or_else(|| self.asked.last().filter(|_| !text.contains("://")))
    }

    /// Returns why it failed: the first message that names a cause (with what the build itself
    /// said), else the last error that is not about a cache, since Nix goes on after that one; else the cache that
    /// did not give what it promised, else the cache that could not be reached, else the last error.
    pub(super) fn report(&self, tree: &BuildTree) -> Option<FailureReport> {
        let itself = self.cause.as_ref().or(self.own_error.as_ref());
        let refused = self.refused.as_ref().filter(|_| itself.is_none());
        let unreachable = self.unreachable.as_ref().filter(|_| itself.is_none());
        let of_cache = refused.map(|(kind, _)| *kind);
        let of_cache = of_cache.or(unreachable.map(|_| FailureKind::CacheDown));
        let at_cache = refused.map(|(_, text)| text).or(unreachable);
        let told = itself.or(at_cache).or(self.last_error.as_ref());
        let cause = match told {
            Some(told) => told.trim_end_matches([';', ' ']).to_owned(),
            None => eval_error::cause(&self.plain.join("\n"))?,
        };
        let failed = derivation_in(&cause).and_then(|drv| tree.node(drv));
        let used_up = failed.and_then(BuildNode::used_up).or_else(|| used_up(&cause));
        let kind = match (of_cache, used_up) {
            (Some(kind), _) => kind,
            (None, Some(UsedUp::Disk)) => FailureKind::Disk,
            (None, Some(UsedUp::Memory)) => FailureKind::Memory,
            (None, None) => self.kind(&cause),
        };
        let drv = derivation_in(&cause).map(str::to_owned);
        let said = failed.and_then(BuildNode::said);
        let is_of_builder = match kind {
            FailureKind::Builder | FailureKind::Memory | FailureKind::Disk => true,
            FailureKind::CacheDown
            | FailureKind::CacheLacksFile
            | FailureKind::CacheFailing
            | FailureKind::CacheCorrupt
            | FailureKind::HashMismatch
            | FailureKind::TimedOut
            | FailureKind::Evaluation
            | FailureKind::Interrupted
            | FailureKind::Other => false,
        };
        let names_a_cause = is_of_builder && failed.is_some_and(BuildNode::names_a_cause);
        Some(FailureReport { kind, drv, cause, said, names_a_cause })
    }

    /// Returns what kind of failure a cause is that names nothing that was used up.
    fn kind(&self, cause: &str) -> FailureKind {
        if cause.contains("hash mismatch") {
            FailureKind::HashMismatch
        } else if cause.contains("signal 9") {
            FailureKind::Memory
        } else if cause.contains("timed out after") {
            FailureKind::TimedOut
        } else if cause.contains("interrupted by the user") {
            FailureKind::Interrupted
        } else if derivation_in(cause).is_some() {
            FailureKind::Builder
        } else if self.cause.is_none() && (self.is_traced || self.last_error.is_none()) {
            FailureKind::Evaluation
        } else {
            FailureKind::Other
        }
    }
}

/// Returns whether an error only says that something needed is not there.
fn follows(text: &str) -> bool {
    let is_sum = text.starts_with("build of '") && text.ends_with(" failed");
    is_sum || FOLLOWS.iter().any(|sign| text.contains(sign))
}

/// Returns the hashes that a message about a mismatch names in the lines below its first.
fn hashes(lines: &[String]) -> String {
    if !lines.first().is_some_and(|line| line.contains("hash mismatch")) {
        return String::new();
    }
    let named =
        lines.iter().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let named = named.take_while(|line| line.contains(':')).take(3).collect::<Vec<_>>();
    if named.is_empty() { String::new() } else { format!(" {}", named.join(", ")) }
}

/// Returns a line without the word that says how bad it is.
fn plain(line: &str) -> &str {
    let line = line.trim();
    let line = line.strip_prefix("warning:").map_or(line, str::trim);
    line.strip_prefix("error:").map_or(line, str::trim)
}

#[cfg(test)]
mod tests;
