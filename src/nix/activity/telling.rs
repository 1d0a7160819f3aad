//! Which line of a build's output says most about why it failed.
//!
//! The last line is rarely the one: `make` ends with the number of a line of the Makefile, Ninja
//! with "build stopped", and what the compiler said stands far above. So each line gets a rank, and
//! the line of the highest rank is kept. Of what a compiler says the first counts (the others often
//! follow from it), of everything else the last.
//!
//! Every line of every build comes by here. Nearly all of them hold none of the signs, and one
//! search over the line finds that out.

use aho_corasick::AhoCorasick;
use std::sync::LazyLock;

/// Longest line that is kept, in bytes.
const LIMIT: usize = 2048;

/// How much of a line is looked at, in bytes: what a line says stands near its begin.
const LOOKED_AT: usize = 4096;

/// One of these stands in every line of a rank above [`Rank::Plain`].
const SIGNS: [&str; 20] = [
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
];

/// What stands in a line that only counts or repeats what failed above.
const SUMMARIES: [&str; 12] = [
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

/// The line that says most so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Telling {
    rank: Rank,
    line: String,
}

impl Telling {
    /// Takes the next line of the output, untrusted.
    pub(super) fn take(&mut self, line: &str) {
        let looked_at = begin(line, LOOKED_AT);
        if FINDER.as_ref().is_some_and(|finder| !finder.is_match(looked_at)) {
            return;
        }
        let rank = rank(looked_at);
        let is_first_that_counts = rank >= Rank::Places && self.rank == rank;
        if rank > Rank::Plain && rank >= self.rank && !is_first_that_counts {
            self.rank = rank;
            self.line.clear();
            self.line.push_str(begin(line.trim(), LIMIT));
        }
    }

    /// Returns the line, untrusted; none when no line says more than another.
    pub(super) fn line(&self) -> Option<&str> {
        (self.rank > Rank::Plain).then_some(self.line.as_str())
    }

    /// Returns what was used up, where a line said so.
    pub(super) fn used_up(&self) -> Option<UsedUp> {
        match self.rank {
            Rank::UsedUp(what) => Some(what),
            Rank::Plain | Rank::Summary | Rank::Mentions | Rank::Names | Rank::Places => None,
        }
    }
}

/// How much a line tells of something that went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LineTrouble {
    /// Nothing.
    Nothing,
    /// There is talk of an error, or what failed above is summed up.
    Mentioned,
    /// It says what went wrong: it begins with an error or an exception, names the place of one, or
    /// says that memory or room on the disk was used up.
    Named,
}

/// Returns how much a line tells of something that went wrong: one of Nix, of a build without the name
/// of its package, or of another program.
pub fn trouble_in(line: &str) -> LineTrouble {
    let looked_at = begin(line, LOOKED_AT);
    if FINDER.as_ref().is_some_and(|finder| !finder.is_match(looked_at)) {
        return LineTrouble::Nothing;
    }
    match rank(looked_at) {
        Rank::Plain => LineTrouble::Nothing,
        Rank::Summary | Rank::Mentions => LineTrouble::Mentioned,
        Rank::Names | Rank::Places | Rank::UsedUp(_) => LineTrouble::Named,
    }
}

/// Returns the first bytes of a text, whole characters only.
pub(super) fn begin(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Returns what was used up when a text says so.
pub(super) fn used_up(text: &str) -> Option<UsedUp> {
    if DISK_FULL.iter().any(|sign| text.contains(sign)) {
        return Some(UsedUp::Disk);
    }
    NO_MEMORY.iter().any(|sign| text.contains(sign)).then_some(UsedUp::Memory)
}

/// Returns how much a line says.
fn rank(line: &str) -> Rank {
    let plain = without_colours(line);
    let line = plain.trim();
    if let Some(what) = used_up(line) {
        return Rank::UsedUp(what);
    }
    if is_summary(line) {
        return Rank::Summary;
    }
    if is_of_a_place(line) {
        return Rank::Places;
    }
    if names_an_error(line) {
        return Rank::Names;
    }
    let lower = line.to_ascii_lowercase();
    let mentions =
        ["error", "failed", "failure", "fatal", "panic", "killed", "not found", "no such"];
    if mentions.iter().any(|sign| lower.contains(sign)) { Rank::Mentions } else { Rank::Plain }
}

/// Returns whether a line only repeats or counts what failed above it.
fn is_summary(line: &str) -> bool {
    let is_of_make = (line.starts_with("make") || line.starts_with("gmake"))
        && line.contains(": *** ")
        && line.contains("] Error ");
    is_of_make || SUMMARIES.iter().any(|sign| line.contains(sign))
}

/// Returns whether a compiler or linker names a place: `a.c:1:2: error: …`, `a.ml(3): error: …`,
/// `error[E0425]: …`, `undefined reference to`.
fn is_of_a_place(line: &str) -> bool {
    if line.starts_with("error[") || line.contains("undefined reference to") {
        return true;
    }
    let signs = [": error: ", ": fatal error: ", ": error ", ": Error: ", ": error["];
    let Some(at) = signs.iter().filter_map(|sign| line.find(sign)).min() else { return false };
    let place = &line[..at];
    let digit = |text: &str| text.bytes().last().is_some_and(|byte| byte.is_ascii_digit());
    let is_numbered = place.contains(':') && digit(place);
    let is_in_brackets =
        place.contains('(') && place.ends_with(')') && digit(&place[..place.len() - 1]);
    is_numbered || is_in_brackets
}

/// Returns whether a line begins with an error, or with the name of an exception.
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
        "npm ERR!",
        "npm error",
    ];
    if BEGINS.iter().any(|begin| line.starts_with(begin))
        || line.contains("' panicked at ")
        || line.ends_with(": command not found")
        || line.contains(": No rule to make target")
        || line.contains(" *** No rule to make target")
    {
        return true;
    }
    // `ModuleNotFoundError: No module named 'x'`, `java.io.IOException: …`, `gcc: error: …`.
    line.split_once(": ").is_some_and(|(name, rest)| {
        let is_exception = name.ends_with("Error") || name.ends_with("Exception");
        let is_word = !name.is_empty() && !name.contains(' ');
        is_word && (is_exception || rest.starts_with("error: ") || rest.starts_with("fatal"))
    })
}

/// Returns a text without the sequences that colour it.
fn without_colours(line: &str) -> std::borrow::Cow<'_, str> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the line that says most of an output.
    fn said(output: &str) -> String {
        let mut telling = Telling::default();
        for line in output.lines() {
            telling.take(line);
        }
        telling.line().unwrap_or_default().to_owned()
    }

    #[test]
    fn what_the_compiler_says_counts_before_what_make_sums_up() {
        let output = "cc -c part76.c\n\u{1b}[1mpart77.c:118:17: \u{1b}[31merror: \u{1b}[0mimplicit declaration of function 'x'\n\
            part78.c:1:1: error: unknown type name 'y'\ncc1: some warnings being treated as errors\n\
            make[1]: *** [Makefile:42: part77.o] Error 1\nmake: *** [Makefile:7: all] Error 2\n";
        assert!(said(output).contains("part77.c:118:17"), "{}", said(output));
    }

    #[test]
    fn the_line_that_names_the_error_is_found_in_the_output_of_many_tools() {
        for (output, line) in [
            (
                "a\nerror[E0425]: cannot find value `x`\n --> src/main.rs:2:5\nerror: could not compile `a` (bin \"a\") due to 1 previous error\n",
                "error[E0425]: cannot find value `x`",
            ),
            (
                "ld: a.o: in function `main':\na.c:(.text+0x5): undefined reference to `f'\ncollect2: error: ld returned 1 exit status\n",
                "a.c:(.text+0x5): undefined reference to `f'",
            ),
            (
                "[1/2] x\nFAILED: a.o\na.cc:3:2: fatal error: 'x.h' file not found\nninja: build stopped: subcommand failed.\n",
                "a.cc:3:2: fatal error: 'x.h' file not found",
            ),
            (
                "Traceback (most recent call last):\n  File \"x.py\", line 1\nModuleNotFoundError: No module named 'y'\nbuild ends\n",
                "ModuleNotFoundError: No module named 'y'",
            ),
            (
                "configure: error: no acceptable C compiler found in $PATH\nSee `config.log' for more details\n",
                "configure: error: no acceptable C compiler found in $PATH",
            ),
            (
                "/bin/sh: line 3: foo: command not found\nmake: *** [Makefile:2: all] Error 127\n",
                "/bin/sh: line 3: foo: command not found",
            ),
            (
                "make: *** No rule to make target 'x', needed by 'all'.  Stop.\n",
                "make: *** No rule to make target 'x', needed by 'all'.  Stop.",
            ),
            ("test a ... FAILED\n0 failed in the others\n", "0 failed in the others"),
        ] {
            assert_eq!(said(output), line);
        }
    }

    #[test]
    fn what_was_used_up_is_known_and_says_more_than_what_follows_from_it() {
        for (output, what) in [
            (
                "x.c:1:1: error: y\nfatal error: error writing to /b/c.s: No space left on device\n",
                UsedUp::Disk,
            ),
            (
                "cc: fatal error: Killed signal terminated program cc1plus\nx.c:1:1: error: y\n",
                UsedUp::Memory,
            ),
            ("terminate called after throwing an instance of 'std::bad_alloc'\n", UsedUp::Memory),
        ] {
            let mut telling = Telling::default();
            output.lines().for_each(|line| telling.take(line));
            assert_eq!(telling.used_up(), Some(what), "{output}");
        }
    }

    #[test]
    fn a_line_alone_tells_how_much_it_says_of_what_went_wrong() {
        for (line, trouble) in [
            ("copying path '/nix/store/x-perl-Error-0.17'", LineTrouble::Mentioned),
            ("       error: undefined variable 'x'", LineTrouble::Named),
            ("part77.c:118:17: error: unknown type name 'y'", LineTrouble::Named),
            ("cc1: out of memory allocating 65536 bytes", LineTrouble::Named),
            ("make: *** [Makefile:7: all] Error 2", LineTrouble::Mentioned),
            ("Job for nginx.service failed", LineTrouble::Mentioned),
            ("compiling part77.c", LineTrouble::Nothing),
            ("", LineTrouble::Nothing),
        ] {
            assert_eq!(trouble_in(line), trouble, "{line}");
        }
    }

    #[test]
    fn a_huge_line_is_kept_up_to_a_limit() {
        let mut telling = Telling::default();
        telling.take(&format!("error: {}", "ü".repeat(1 << 20)));
        assert!(telling.line().unwrap().len() <= LIMIT);
    }
}
