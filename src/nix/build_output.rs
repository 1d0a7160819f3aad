//! What of a build's output differs from build to build without meaning anything: hashes in store paths,
//! times, addresses, numbers of processes, how far it is.
//!
//! Pure. Whoever compares two outputs of one package compares the lines that this makes of them.

use regex::{Captures, Regex};
use std::borrow::Cow;
use std::sync::LazyLock;

/// What differs without meaning anything, each with what stands in its place.
const NOISE: [(&str, &str); 10] = [
    (r"/nix/store/[0-9a-z]{32}-", "/nix/store/…-"),
    (r"/tmp/[A-Za-z0-9._-]+", "/tmp/…"),
    (r"\.drv-[0-9]+", ".drv-…"),
    (r"0x[0-9a-fA-F]+", "0x…"),
    (r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "(date)"),
    (r"[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?", "(time)"),
    // How far: other parts of a build end first each time.
    (r"\[ *[0-9]+(?:/[0-9]+|%)", "[…"),
    (r"(?:pid|PID)[ =:]*[0-9]+", "pid …"),
    (r"\b[0-9]+(?:\.[0-9]+)? ?(?:ns|us|µs|ms|s|secs?|seconds?|min|minutes?)\b", "(time)"),
    (r"\b[0-9a-f]{16,64}\b", "(hash)"),
];

/// Finds it.
static FINDER: LazyLock<Regex> = LazyLock::new(|| {
    let parts = NOISE.map(|(pattern, _)| format!("({pattern})"));
    Regex::new(&parts.join("|")).expect("the patterns stand above and are tested")
});

/// Returns a line without what differs from build to build without meaning anything.
pub fn comparable(line: &str) -> Cow<'_, str> {
    FINDER.replace_all(line.trim_end(), |found: &Captures<'_>| {
        let which = (0..NOISE.len()).find(|which| found.get(which + 1).is_some());
        which.map_or("", |which| NOISE[which].1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_differ_only_in_what_means_nothing_are_the_same() {
        let hash = "0c0p5y9yl1vkdlnxhrrjaqqlbhsgbpgj";
        for (line, made) in [
            (
                format!("gcc -I/nix/store/{hash}-zlib-1.3/include"),
                "gcc -I/nix/store/…-zlib-1.3/include",
            ),
            ("build in /build/nix-build-a.drv-17".to_owned(), "build in /build/nix-build-a.drv-…"),
            ("[ 12%] Building C object a.o".to_owned(), "[…] Building C object a.o"),
            ("[17/90] x".to_owned(), "[…] x"),
            ("at 2026-11-21 12:04:22.5: at 0x7ffE12".to_owned(), "at (date) (time): at 0x…"),
            ("ok in 0.03s (pid 4711)".to_owned(), "ok in (time) (pid …)"),
            ("wrote /tmp/tmp.X1y2 as 0123456789abcdef0123".to_owned(), "wrote /tmp/… as (hash)"),
            // What may matter stays.
            ("part77.c:118:17: error: x  ".to_owned(), "part77.c:118:17: error: x"),
            ("version 3.5.1, 12 tests, deadbeef".to_owned(), "version 3.5.1, 12 tests, deadbeef"),
        ] {
            assert_eq!(comparable(&line), made);
        }
    }
}
