//! Which line of a build's output says most about why it failed.
//!
//! The last line is rarely the one: `make` ends with the number of a line of the Makefile, Ninja
//! with "build stopped", and what the compiler said stands far above. So each line gets a rank, and
//! the line of the highest rank is kept. Of what a compiler says the first counts (the others often
//! follow from it), of everything else the last.
//!
//! What rank a line has is told by `rank.rs`.

use super::rank::{Rank, UsedUp, rank};

/// Longest line that is kept, in bytes.
const LIMIT: usize = 2048;

/// The line that says most so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Telling {
    rank: Rank,
    line: String,
}

impl Telling {
    /// Takes the next line of the output, untrusted.
    pub(super) fn take(&mut self, line: &str) {
        let rank = rank(line);
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

    /// Returns whether the line says what went wrong, and does not only sum it up.
    pub(super) fn names_a_cause(&self) -> bool {
        self.rank > Rank::Summary
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
    match rank(line) {
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
            ("test a ... FAILED\n0 failed in the others\n", "test a ... FAILED"),
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
            ("copying path '/nix/store/x-perl-Error-0.17'", LineTrouble::Nothing),
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
