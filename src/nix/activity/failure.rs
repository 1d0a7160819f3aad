//! Why a process of Nix failed: which of all that it said names the cause.
//!
//! The last error often says only that something needed is not there. Before it stands why: a
//! builder that failed, a cache that does not answer, a signature that nobody trusts. An error with
//! a trace names its cause in its last line, and its first is empty. What the failed builder itself
//! said is told by `telling.rs`.

use super::names::derivation_in;
use super::node::BuildNode;
use super::rank::{UsedUp, used_up};
use super::tree::BuildTree;
use crate::fleet::printable_line;
use crate::nix::eval_error;
use crate::nix::settings::bare_url;

/// Why a process of Nix failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NixFailure {
    /// Whether a cache could not be reached, and nothing else went wrong: the build itself did not
    /// fail.
    pub is_cache_down: bool,
    /// The cause, as one printable line.
    pub text: String,
}

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// A cache could not be reached, and nothing else went wrong.
    CacheDown,
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
    /// The first message that names a cause, not only that something needed failed.
    cause: Option<String>,
    /// The first message by which a cache is given up that cannot be reached.
    unreachable: Option<String>,
    /// The last lines that are not of Nix's format, from the last that begins with an error.
    plain: Vec<String>,
    /// Whether the last error has a trace of an evaluation.
    is_traced: bool,
    /// The path that was asked for last, and where.
    asked: Option<(String, String)>,
}

/// What stands in a message that names a cause.
const CAUSES: [&str; 12] = [
    "builder for '",
    "' timed out after ",
    ".drv file timed out after ",
    "' killed after writing more than ",
    ".drv file killed after writing more than ",
    "fixed-output derivations must not reference",
    "hash mismatch",
    "does not exist in binary cache",
    "lacks a signature by a trusted key",
    "not signed by any of the keys",
    "No space left on device",
    "failed to read compressed data",
];

/// How many lines of a plain error are kept.
const PLAIN_LINES: usize = 200;

/// What stands in a message that a file could not be had.
const UNREACHABLE: &str = "unable to download '";

/// What stands in it where the server answered.
const ANSWERED: &str = "HTTP error";

/// What stands in it where it is tried again.
const AGAIN: &str = "; retrying ";

impl FailureLog {
    /// Keeps that a path is asked for somewhere.
    pub(super) fn note_asked(&mut self, path: &str, from: &str) {
        if path.starts_with('/') {
            self.asked = Some((printable_line(path), printable_line(bare_url(from))));
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
        if self.cause.is_none() {
            let is_cause = |line: &String| CAUSES.iter().any(|sign| line.contains(sign));
            if let Some(at) = lines.iter().position(is_cause) {
                let text = format!("{}{}", plain(&lines[at]), hashes(&lines[at..]));
                self.cause = Some(self.with_path(&text));
            }
        }
        if level == 0 && lines.iter().any(|line| line.starts_with("error:")) {
            self.note_error(lines);
        }
    }

    /// Takes an error: the last cause of a trace, and a reason where one is given.
    fn note_error(&mut self, lines: &[String]) {
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
        self.is_traced =
            traced.is_some() || lines.iter().any(|line| line.trim().starts_with("at "));
        if let Some(traced) = traced {
            text = format!("{text} ({traced})");
        }
        if text.contains("Cannot build '") && text.contains("builder failed") {
            self.cause.get_or_insert_with(|| text.clone());
        }
        let text = self.with_path(&text);
        if text.contains(UNREACHABLE) && !text.contains(ANSWERED) && !text.contains(AGAIN) {
            self.unreachable.get_or_insert_with(|| text.clone());
        }
        self.last_error = Some(text);
    }

    /// Adds to what names no path the one that was asked for, and where that was.
    fn with_path(&self, text: &str) -> String {
        let Some((path, from)) = self.asked.as_ref().filter(|_| !text.contains("/nix/store/"))
        else {
            return text.to_owned();
        };
        if text.contains(from.as_str()) {
            format!("{text}; needed for {path}")
        } else {
            format!("{text}; asked {from} for {path}")
        }
    }

    /// Returns why it failed: the first message that names a cause (with what the build itself
    /// said), else the cache that could not be reached, else the last error.
    pub(super) fn report(&self, tree: &BuildTree) -> Option<FailureReport> {
        let is_cache_down = self.cause.is_none() && self.unreachable.is_some();
        let told = self.cause.as_ref().or(self.unreachable.as_ref()).or(self.last_error.as_ref());
        let cause = match told {
            Some(told) => told.trim_end_matches([';', ' ']).to_owned(),
            None => eval_error::cause(&self.plain.join("\n"))?,
        };
        let failed = derivation_in(&cause).and_then(|drv| tree.node(drv));
        let used_up = failed.and_then(BuildNode::used_up).or_else(|| used_up(&cause));
        let kind = match used_up {
            _ if is_cache_down => FailureKind::CacheDown,
            Some(UsedUp::Disk) => FailureKind::Disk,
            Some(UsedUp::Memory) => FailureKind::Memory,
            None => self.kind(&cause),
        };
        let drv = derivation_in(&cause).map(str::to_owned);
        let said = failed.and_then(BuildNode::said);
        let is_of_builder = match kind {
            FailureKind::Builder | FailureKind::Memory | FailureKind::Disk => true,
            FailureKind::CacheDown
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
mod tests {
    use crate::nix::activity::ActivityLog;

    /// Returns why a real process of Nix failed, and whether only a cache was down.
    fn failed(log: &str) -> (bool, String) {
        let mut found = ActivityLog::new();
        for line in log.lines() {
            found.feed(line);
        }
        let failure = found.failure().unwrap();
        assert!(!failure.text.contains(";;") && !failure.text.contains('\u{1b}'), "{failure:?}");
        (failure.is_cache_down, failure.text)
    }

    #[test]
    fn a_cache_that_is_down_is_named_with_the_path_and_is_no_failed_build() {
        for log in [
            include_str!("../../../tests/nix-logs/fetch-down-2.26.log"),
            include_str!("../../../tests/nix-logs/fetch-down-2.34.log"),
            // With fallback the last error is that the path could not be built.
            include_str!("../../../tests/nix-logs/fetch-fallback-2.26.log"),
        ] {
            let (is_cache_down, text) = failed(log);
            assert!(is_cache_down, "{text}");
            assert!(text.starts_with("unable to download 'http://127.0.0.1:8499/"), "{text}");
            let path = "needed for /nix/store/wd0ys9snp82b5v5j4pgp5wfhnfjhl2vm-a";
            assert!(text.ends_with(path), "{text}");
        }
    }

    #[test]
    fn a_path_that_was_asked_for_is_shown_without_control_bytes() {
        let mut log = super::FailureLog::default();
        log.note_asked("/nix/store/\u{7f}\u{1b}[31mx", "http://a");
        let text = log.with_path("no such file");
        assert!(text.contains("/nix/store/") && !text.contains(char::is_control), "{text:?}");
    }

    #[test]
    fn the_last_error_of_a_trace_is_told_and_not_its_empty_first() {
        for log in [
            include_str!("../../../tests/nix-logs/fetch-key-2.26.log"),
            include_str!("../../../tests/nix-logs/fetch-key-2.34.log"),
        ] {
            let (is_cache_down, text) = failed(log);
            assert!(!is_cache_down, "{text}");
            assert!(text.starts_with("key is corrupt (while decoding key named"), "{text}");
            let asked =
                "asked http://127.0.0.1:8431 for /nix/store/wd0ys9snp82b5v5j4pgp5wfhnfjhl2vm-a";
            assert!(text.ends_with(asked), "{text}");
        }
    }

    #[test]
    fn a_nar_that_is_missing_and_a_signature_that_is_not_trusted_name_cache_and_path() {
        for log in [
            include_str!("../../../tests/nix-logs/fetch-nar-2.26.log"),
            include_str!("../../../tests/nix-logs/fetch-nar-2.34.log"),
            include_str!("../../../tests/nix-logs/fetch-unsigned-2.26.log"),
        ] {
            let (is_cache_down, text) = failed(log);
            assert!(!is_cache_down, "{text}");
            assert!(text.contains("http://127.0.0.1:"), "{text}");
            assert!(text.contains("/nix/store/wd0ys9snp82b5v5j4pgp5wfhnfjhl2vm-a"), "{text}");
        }
    }

    #[test]
    fn a_build_that_fails_after_a_cache_was_down_failed_by_itself() {
        let down = r#"@nix {"action":"msg","level":0,"msg":"error: unable to download 'http://p620:5000/x.narinfo': Could not connect"}"#;
        let build = r#"@nix {"action":"msg","level":0,"msg":"error: builder for '/nix/store/x-a-1.drv' failed with exit code 1"}"#;
        let (is_cache_down, text) = failed(&format!("{down}\n{build}"));
        assert!(!is_cache_down && text.starts_with("builder for"), "{text}");
        let refused = down.replace("Could not connect", "HTTP error 500");
        assert!(!failed(&refused).0, "a server that answers is not down");
        let odd = r#"@nix {"action":"msg","level":0,"msg":"error:\n       … while this;\n\n       error: that;"}"#;
        assert_eq!(failed(odd), (false, "that; (while this;)".to_owned()));
        let nothing = r#"@nix {"action":"msg","level":0,"msg":"error:"}"#;
        let mut log = ActivityLog::new();
        log.feed(nothing);
        assert_eq!(log.failure(), None, "an empty error is none");
    }
}
