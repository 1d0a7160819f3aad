//! How much one line of a build's output says about why the build failed.
//!
//! Every line of every build comes by here. Nearly all of them hold none of the signs, and one
//! search over the line finds that out.

use super::telling::begin;
use aho_corasick::AhoCorasick;
use std::borrow::Cow;
use std::sync::LazyLock;

/// How much of a line is looked at, in bytes: what a line says stands near its begin.
const LOOKED_AT: usize = 4096;

/// One of these stands in every line of a rank above [`Rank::Plain`].
const SIGNS: [&str; 24] = [
    "rror",
    "RROR",
    "ailed",
    "AILED",
    "ailure",
    "atal",
    "FATAL",
    "illed",
    "emory",
    "No space",
    "ot found",
    "ndefined",
    "anic",
    "xception",
    "o rule",
    "o such",
    "assert",
    "command",
    "bad_alloc",
    "build stopped",
    "annot find",
    "FAIL",
    "npm ERR",
    ".go:",
];

/// What stands in a line that only counts or repeats what failed above.
const SUMMARIES: [&str; 28] = [
    "ninja: build stopped",
    "FAILED: ",
    "collect2: error: ld returned",
    "could not compile `",
    "aborting due to",
    "subcommand failed",
    "error generated",
    "errors generated",
    "warnings being treated as errors",
    "terminated due to timeout",
    "The following tests FAILED",
    "Errors while running CTest",
    "linker command failed with exit code",
    "recipe for target '",
    "error: command '",
    "error: build failed",
    "following command failed",
    "build command failed",
    "test failed, to rerun pass",
    "test result: FAILED",
    "FAILED (",
    "Result: FAIL",
    "BUILD FAILED",
    "Build failed with an exception",
    "Backend subprocess exited",
    "subprocess-exited-with-error",
    "Failed building wheel for",
    "complete log of this run",
];

/// What says that there was no room on the disk.
const DISK_FULL: [&str; 3] =
    ["No space left on device", "Disk quota exceeded", "database or disk is full"];

/// What says that there was too little memory.
const NO_MEMORY: [&str; 8] = [
    "Cannot allocate memory",
    "virtual memory exhausted",
    "out of memory",
    "Out of memory",
    "OutOfMemory",
    "std::bad_alloc",
    "memory allocation of",
    "Killed signal terminated program",
];

/// Finds the signs; none is never the case, and then every line is looked at.
static FINDER: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| AhoCorasick::new(SIGNS).ok());

/// How much a line says about why a build failed, from nothing to all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Nothing is known of it.
    #[default]
    Plain,
    /// It sums up what failed above.
    Summary,
    /// There is talk of an error.
    Mentions,
    /// It begins with an error, or an exception.
    Names,
    /// A compiler or linker says what is wrong in which file and line.
    Places,
    /// Something that every program needs was used up: memory, or room on the disk.
    UsedUp(UsedUp),
}

/// What was used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum UsedUp {
    /// Memory.
    Memory,
    /// Room on the disk.
    Disk,
}

/// Returns what was used up when a text says so.
pub(super) fn used_up(text: &str) -> Option<UsedUp> {
    if DISK_FULL.iter().any(|sign| text.contains(sign)) {
        return Some(UsedUp::Disk);
    }
    NO_MEMORY.iter().any(|sign| text.contains(sign)).then_some(UsedUp::Memory)
}

/// Returns how much a line says.
pub(super) fn rank(line: &str) -> Rank {
    let line = begin(line, LOOKED_AT);
    if FINDER.as_ref().is_some_and(|finder| !finder.is_match(line)) {
        return Rank::Plain;
    }
    let plain = without_colours(line);
    let line = plain.trim();
    if let Some(what) = used_up(line) {
        Rank::UsedUp(what)
    } else if is_summary(line) {
        Rank::Summary
    } else if is_of_a_place(line) {
        Rank::Places
    } else if names_an_error(line) {
        Rank::Names
    } else if mentions_an_error(line) {
        Rank::Mentions
    } else {
        Rank::Plain
    }
}

/// Returns whether a line only repeats or counts what failed above it.
fn is_summary(line: &str) -> bool {
    let is_of_make = (line.starts_with("make") || line.starts_with("gmake"))
        && line.contains(": *** ")
        && line.contains("] Error ");
    // Go counts by package: `FAIL	example.com/m	0.003s`.
    let is_of_go = line == "FAIL" || line.starts_with("FAIL\t");
    is_of_make || is_of_go || SUMMARIES.iter().any(|sign| line.contains(sign))
}

/// Returns whether a compiler, a linker or a panic names a place: `a.c:1:2: error: …`,
/// `a.ml(3): error: …`, `error[E0425]: …`, `a.go:5:2: …`, `undefined reference to`.
fn is_of_a_place(line: &str) -> bool {
    const SIGNS: [&str; 8] = [
        ": error: ",
        ": fatal error: ",
        ": internal compiler error: ",
        ": error ",
        ": Error: ",
        ": ERROR: ",
        ": error[",
        " - error TS",
    ];
    if line.starts_with("error[")
        || line.contains("undefined reference to")
        || line.contains(": cannot find -l")
        || (line.starts_with("thread '") && line.contains(" panicked at "))
        || (line.starts_with("[ERROR] ") && line.contains(".java:["))
        || is_of_go(line)
    {
        return true;
    }
    let named = SIGNS.iter().filter_map(|sign| line.find(sign)).min();
    // GHC says what is wrong in the lines below.
    let Some(at) = named.or(line.strip_suffix(": error:").map(str::len)) else { return false };
    let place = &line[..at];
    let digit = |text: &str| text.bytes().last().is_some_and(|byte| byte.is_ascii_digit());
    let is_numbered = place.contains(':') && digit(place);
    let is_in_brackets =
        place.contains('(') && place.ends_with(')') && digit(&place[..place.len() - 1]);
    is_numbered || is_in_brackets
}

/// Returns whether Go's compiler names a place, which says no word like "error": `./a.go:5:2: undefined: f`.
fn is_of_go(line: &str) -> bool {
    let line = line.strip_prefix("vet: ").unwrap_or(line);
    let Some((file, rest)) = line.split_once(".go:") else { return false };
    let mut parts = rest.splitn(3, ':');
    let is_number = |part: Option<&str>| {
        part.is_some_and(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    !file.contains(' ')
        && is_number(parts.next())
        && is_number(parts.next())
        && parts.next().is_some_and(|said| said.starts_with(' '))
}

/// Returns whether a line begins with an error, or with the name of an exception, or names a test that
/// failed.
fn names_an_error(line: &str) -> bool {
    const BEGINS: [&str; 12] = [
        "error:",
        "Error:",
        "ERROR:",
        "ERROR ",
        "fatal:",
        "FATAL:",
        "fatal error:",
        "panic:",
        "CMake Error",
        "configure: error:",
        "FAIL: ",
        "--- FAIL: ",
    ];
    if BEGINS.iter().any(|begin| line.starts_with(begin))
        || line.ends_with(": command not found")
        || line.contains(": No rule to make target")
        || line.contains(" *** No rule to make target")
        || line.contains("***Failed ")
        || (line.starts_with("FAILED ") && line.contains("::"))
        || is_of_meson(line)
    {
        return true;
    }
    // `ModuleNotFoundError: No module named 'x'`, `java.io.IOException: …`, `gcc: error: …`, and an
    // exception that says no more.
    let (name, rest) = line.split_once(": ").unwrap_or((line, ""));
    let is_exception = name.ends_with("Error") || name.ends_with("Exception");
    let is_word = !name.is_empty() && name.bytes().all(|byte| !byte.is_ascii_whitespace());
    let begins = ["error: ", "ERROR: ", "fatal"].iter().any(|begin| rest.starts_with(begin));
    is_word && (is_exception || begins)
}

/// Returns whether Meson says that a test failed: `3/10 name FAIL 0.01s exit status 1`.
fn is_of_meson(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let is_count = words
        .next()
        .and_then(|word| word.split_once('/'))
        .is_some_and(|(at, of)| [at, of].iter().all(|number| number.parse::<u32>().is_ok()));
    is_count && words.any(|word| word == "FAIL")
}

/// Returns whether there is talk of an error; names of files, options and checks that hold such a word
/// are no talk of one.
fn mentions_an_error(line: &str) -> bool {
    const WORDS: [&str; 8] =
        ["error", "errors", "failed", "failure", "failures", "fatal", "panic", "killed"];
    const PHRASES: [&str; 4] = ["not found", "no such", "cannot find", "npm err"];
    const NONE: [&str; 6] =
        ["no error", "0 error", "0 failed", "0 failure", "without error", "not fatal"];
    let lower = line.to_ascii_lowercase();
    let is_none = |none: &str| {
        lower.find(none).is_some_and(|at| !lower[..at].ends_with(|c: char| c.is_ascii_digit()))
    };
    !lower.starts_with("checking ")
        && !NONE.iter().any(|none| is_none(none))
        && (PHRASES.iter().any(|phrase| lower.contains(phrase))
            || WORDS.iter().any(|word| has_word(&lower, word)))
}

/// Returns whether a word stands in a line by itself, and not as a part of a name.
fn has_word(line: &str, word: &str) -> bool {
    let is_of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    line.match_indices(word).any(|(at, _)| {
        let (before, behind) = (&line.as_bytes()[..at], &line.as_bytes()[at + word.len()..]);
        let begins =
            before.last().is_none_or(|&byte| !is_of_a_name(byte) && !b"./".contains(&byte));
        let ends = match behind {
            [b'.', next, ..] => !next.is_ascii_alphanumeric(),
            [b'=', ..] => false,
            [next, ..] => !is_of_a_name(*next),
            [] => true,
        };
        begins && ends
    })
}

/// Returns a text without the sequences that colour it.
fn without_colours(line: &str) -> Cow<'_, str> {
    if !line.contains('\u{1b}') {
        return line.into();
    }
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = match after.strip_prefix('[') {
            Some(sequence) => {
                let end = sequence.find(|c: char| ('\u{40}'..='\u{7e}').contains(&c));
                end.and_then(|end| sequence.get(end + 1..)).unwrap_or_default()
            }
            None => after,
        };
    }
    plain.push_str(rest);
    plain.into()
}
