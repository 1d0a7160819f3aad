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
mod tests {
    use super::{FailureKind, FailureLog};
    use crate::nix::activity::ActivityLog;

    /// Returns why a real process of Nix failed, and whether only a cache was down.
    fn failed(log: &str) -> (bool, String) {
        let (kind, text) = kind_of(log);
        (kind == FailureKind::CacheDown, text)
    }

    /// Returns why a real process of Nix failed.
    fn kind_of(log: &str) -> (FailureKind, String) {
        let mut found = ActivityLog::new();
        for line in log.lines() {
            found.feed(line);
        }
        let failure = found.failure().unwrap();
        assert!(!failure.text.contains(";;") && !failure.text.contains('\u{1b}'), "{failure:?}");
        (failure.kind, failure.text)
    }

    #[test]
    fn what_a_cache_does_not_give_though_it_promised_is_no_failure_of_the_host() {
        let nar =
            "http://127.0.0.1:8499/nar/09kxyd68d2nylk7ims23pj3i09s4nnv9p3dv6iij1q9canv42w6d.nar.xz";
        let error =
            |text: &str| format!(r#"@nix {{"action":"msg","level":0,"msg":"error: {text}"}}"#);
        let download = |answer: &str| error(&format!("unable to download '{nar}': {answer}"));
        let mismatch = "hash mismatch importing path '/nix/store/x-a';\\n  specified: sha256:1\\n  got: sha256:2";
        for (line, kind) in [
            (download("HTTP error 404"), FailureKind::CacheLacksFile),
            (download("HTTP error 403 (Forbidden)"), FailureKind::CacheFailing),
            (download("HTTP error 500"), FailureKind::CacheFailing),
            (download("HTTP error 200 ('OK') (curl error: Timeout)"), FailureKind::CacheDown),
            (error(mismatch), FailureKind::CacheCorrupt),
            (error("failed to read compressed data (x)"), FailureKind::CacheCorrupt),
        ] {
            assert_eq!(kind_of(&line).0, kind, "{line}");
            let builder = error("builder for '/nix/store/x-a-1.drv' failed with exit code 1");
            let (kind, text) = kind_of(&format!("{line}\n{builder}"));
            assert_eq!(kind, FailureKind::Builder, "Nix went on: {text}");
        }
        assert!(kind_of(&error(mismatch)).1.ends_with("got: sha256:2"));
        for log in [
            include_str!("../../../tests/nix-logs/fetch-nar-2.26.log"),
            include_str!("../../../tests/nix-logs/fetch-nar-2.34.log"),
        ] {
            assert_eq!(kind_of(log).0, FailureKind::CacheLacksFile);
        }
        let source = error("unable to download 'https://x.org/a.tar.gz': HTTP error 404");
        assert_ne!(kind_of(&source).0, FailureKind::CacheLacksFile, "no cache");
    }

    #[test]
    fn a_cache_that_is_given_up_does_not_hide_what_fails_later_by_itself() {
        let message = |level: u32, text: &str| {
            format!(r#"@nix {{"action":"msg","level":{level},"msg":"{text}"}}"#)
        };
        let lacks = "file 'nar/a.nar.xz' does not exist in binary cache 'http://one'";
        let lacks = [
            message(1, &format!("warning: {lacks}")),
            message(0, &format!("error: {lacks}")),
            message(0, "error: unable to download 'http://one/a.narinfo': Could not connect"),
        ];
        let later = [
            "a 'aarch64-linux' with features {} is required to build '/nix/store/x-a.drv', but I am a 'x86_64-linux'",
            "unable to fork: Cannot allocate memory",
            "writing to file: Input/output error",
            "build of '/nix/store/x-a.drv' on 'ssh://b' failed: no room",
        ];
        let sums = [
            "1 dependencies of derivation '/nix/store/x-top.drv' failed to build",
            "Cannot build '/nix/store/x-top.drv'.\\n       Reason: 1 dependency failed.",
            "build of '/nix/store/x-a.drv', '/nix/store/x-top.drv' failed",
            "some substitutes for the outputs of derivation '/nix/store/x-a.drv' failed (usually happens due to \
             networking issues); try '--fallback' to build derivation from source ",
            "path '/nix/store/x-a' is required, but there is no substituter that can build it",
            "path '/nix/store/x-a' does not exist and cannot be created",
            "some references of path '/nix/store/x-a' could not be realised",
        ];
        let is_of_cache =
            |kind| matches!(kind, FailureKind::CacheLacksFile | FailureKind::CacheDown);
        for lacks in &lacks {
            for sum in sums.map(|sum| message(0, &format!("error: {sum}"))) {
                let (kind, text) = kind_of(&format!("{lacks}\n{sum}"));
                assert!(is_of_cache(kind), "{sum}: {kind:?} {text}");
                for own in later {
                    let error = message(0, &format!("error: {own}"));
                    let (kind, text) = kind_of(&format!("{lacks}\n{error}\n{sum}"));
                    assert!(!is_of_cache(kind) && text.starts_with(own), "{kind:?} {text}");
                    // Another process tries again what that one could not.
                    let log = format!("{error}\nfailed; asking Nix again\n{lacks}\n{sum}");
                    assert!(is_of_cache(kind_of(&log).0), "{log}");
                }
            }
        }
    }

    #[test]
    fn what_a_builder_printed_is_no_word_of_nix_about_a_cache() {
        let quoted = "       > unable to download 'http://x/nar/a.nar.xz': HTTP error 404\\n       \
                      > hash mismatch importing path '/nix/store/y-b'\\n       \
                      > interrupted by the user\\n       > error: builder for '/nix/store/z-c.drv' failed";
        for begins in [
            "builder for '/nix/store/x-a.drv' failed with exit code 1;\\n       last 4 log lines:",
            "Cannot build '/nix/store/x-a.drv'.\\n       Reason: builder failed with exit code 1.\\n       \
             Last 4 log lines:",
        ] {
            let log = format!(
                r#"@nix {{"action":"msg","level":0,"msg":"error: {begins}\n{quoted}\n       For full logs, run: nix log"}}"#
            );
            let (kind, text) = kind_of(&log);
            assert_eq!(kind, FailureKind::Builder, "{text}");
            assert!(text.contains("'/nix/store/x-a.drv'") && !text.contains('>'), "{text}");
        }
    }

    #[test]
    fn a_message_about_one_cache_names_no_path_of_another() {
        let mut log = FailureLog::default();
        log.note_fetched("/nix/store/x-a", "http://one:80");
        log.note_file("http://one:80/nar/aaaa.nar.xz", "/nix/store/x-a", "http://one:80");
        log.note_fetched("/nix/store/y-b", "http://one:80");
        log.note_file("http://one:80/nar/bbbb.nar.xz", "/nix/store/y-b", "http://one:80");
        log.note_asked("/nix/store/z-c", "http://one:8080");
        let lacks = "file 'nar/aaaa.nar.xz' does not exist in binary cache 'http://one:80'";
        assert_eq!(log.with_cache(lacks), format!("{lacks}; needed for /nix/store/x-a"));
        let other = "something at http://one:80";
        assert_eq!(log.with_path(other), format!("{other}; needed for /nix/store/y-b"));
        let stranger = "something at http://two";
        assert_eq!(log.with_path(stranger), stranger);
        let broken = "hash mismatch importing path '/nix/store/x-a'";
        assert_eq!(log.with_cache(broken), format!("{broken}; it came from http://one:80"));
        let nowhere = "key is corrupt";
        let asked = "asked http://one:8080 for /nix/store/z-c";
        assert_eq!(log.with_path(nowhere), format!("{nowhere}; {asked}"));
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
        let mut log = FailureLog::default();
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
