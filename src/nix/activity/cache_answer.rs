//! What messages of Nix say of a cache: that it does not answer, or does not give what it promised.

use super::failure::FailureKind;

/// What stands in a message that a cache lacks a file that it promised.
const LACKS_FILE: &str = "does not exist in binary cache";

/// What stands in a message that a cache sent something else than it promised.
const CORRUPT: [&str; 6] = [
    "hash mismatch importing path",
    "size mismatch importing path",
    "failed to read compressed data",
    "error while decompressing",
    "input doesn't look like a Nix archive",
    "bad archive",
];

/// What stands in an address of a file that only caches have.
const OF_CACHES: [&str; 3] = ["/nar/", ".narinfo", ".nar."];

/// What stands in a message about a transfer that broke off after the server had begun to answer.
const BROKEN_OFF: &str = "(curl error: ";

/// What stands in a message that a file could not be had.
const UNREACHABLE: &str = "unable to download '";

/// What stands in it where the server answered.
const ANSWERED: &str = "HTTP error";

/// What stands in it where it is tried again.
const AGAIN: &str = "; retrying ";

/// Returns whether a message says that a server did not answer at all, and is not asked again.
pub(super) fn is_silence(text: &str) -> bool {
    text.contains(UNREACHABLE) && !text.contains(ANSWERED) && !text.contains(AGAIN)
}

/// Returns the line of a message by which a cache answers and does not give what it promised, and how.
pub(super) fn refusal(lines: &[String]) -> Option<(usize, FailureKind)> {
    lines.iter().enumerate().find_map(|(at, line)| Some((at, refusal_in(line)?)))
}

/// Returns how a cache does not give what it promised, where a line says that.
fn refusal_in(line: &str) -> Option<FailureKind> {
    if line.contains(LACKS_FILE) {
        return Some(FailureKind::CacheLacksFile);
    }
    if CORRUPT.iter().any(|sign| line.contains(sign)) {
        return Some(FailureKind::CacheCorrupt);
    }
    let (_, answer) = line.split_once(UNREACHABLE)?;
    let is_of_cache = OF_CACHES.iter().any(|sign| answer.contains(sign));
    if !is_of_cache || !answer.contains(ANSWERED) || answer.contains(AGAIN) {
        return None;
    }
    Some(if answer.contains(BROKEN_OFF) {
        FailureKind::CacheDown
    } else if answer.contains("HTTP error 404") {
        FailureKind::CacheLacksFile
    } else {
        FailureKind::CacheFailing
    })
}

/// Returns whether a text names a cache, and not one whose address only begins in the same way.
pub(super) fn names(text: &str, cache: &str) -> bool {
    let ends = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_alphanumeric());
    !cache.is_empty() && text.match_indices(cache).any(|(at, _)| ends(&text[at + cache.len()..]))
}
