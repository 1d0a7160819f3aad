//! Which lines of a log are printed.

use crate::fleet::Phase;
use crate::nix::activity::{LineTrouble, derivation_in, package_of, trouble_in};
use jiff::Timestamp;
use regex::{Regex, RegexBuilder};
use std::collections::BTreeSet;

/// Most packages that are kept in mind of the derivations that are meant.
const MOST_PACKAGES: usize = 1000;

/// What a line must be to be printed; without a condition every line is.
#[derive(Debug, Default)]
pub(super) struct LineFilter {
    /// It came at this time or later.
    pub(super) since: Option<Timestamp>,
    /// It belongs to one of these phases; where there are none, any will do.
    pub(super) phases: Vec<Phase>,
    /// It is about a derivation.
    pub(super) derivation: Option<DerivationFilter>,
    /// It matches.
    pub(super) grep: Option<Regex>,
    /// It says what went wrong.
    pub(super) errors: bool,
}

impl LineFilter {
    /// Returns whether every line is printed.
    pub(super) fn is_empty(&self) -> bool {
        self.since.is_none()
            && self.phases.is_empty()
            && self.derivation.is_none()
            && self.grep.is_none()
            && !self.errors
    }

    /// Returns whether a line may be printed as far as its time and phase say. One that tells of the log
    /// itself, such as how many lines are missing, belongs to every phase.
    pub(super) fn takes_when(&self, at: Option<Timestamp>, phase: Option<Phase>) -> bool {
        let is_new = self.since.is_none_or(|since| at.is_some_and(|at| at >= since));
        let is_of_phase = self.phases.is_empty()
            || match phase {
                Some(phase) => self.phases.contains(&phase),
                None => at.is_some(),
            };
        is_new && is_of_phase
    }

    /// Returns whether a line is printed as far as its text says, which is printable.
    pub(super) fn takes_text(&mut self, phase: Option<Phase>, text: &str) -> bool {
        let is_about = |derivation: &mut DerivationFilter| derivation.takes(text);
        (!self.errors || tells_of_trouble(phase, text))
            && self.derivation.as_mut().is_none_or(is_about)
            && self.grep.as_ref().is_none_or(|grep| grep.is_match(text))
    }
}

/// Reads a regular expression: one without a capital letter matches capitals, too.
pub(super) fn pattern(text: &str) -> Result<Regex, String> {
    let mut is_escaped = false;
    let has_capital = text.chars().any(|c| {
        // `\S` and `\W` are no capitals.
        let counts = c.is_uppercase() && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        counts
    });
    let regex = RegexBuilder::new(text).case_insensitive(!has_capital).build();
    regex.map_err(|error| format!("{error}; \\ before a character takes it as it is"))
}

/// Returns the package whose output a line is, and what it said: `firefox> …`.
pub(super) fn output(text: &str) -> Option<(&str, &str)> {
    let (package, said) = text.split_once('>')?;
    let is_name = !package.is_empty() && package.bytes().all(|byte| byte.is_ascii_graphic());
    let said = said.strip_prefix(' ').or_else(|| said.is_empty().then_some(said))?;
    is_name.then_some((package, said))
}

/// Returns whether a line says what went wrong. Words like "failed" count only where no build speaks:
/// there they stand in names of files and of tests that pass.
fn tells_of_trouble(phase: Option<Phase>, text: &str) -> bool {
    let said = output(text).map_or(text, |(_, said)| said);
    match trouble_in(said) {
        LineTrouble::Nothing => false,
        LineTrouble::Named => true,
        LineTrouble::Mentioned => phase.is_some_and(|phase| match phase {
            Phase::Evaluate
            | Phase::Compare
            | Phase::Build
            | Phase::Publish
            | Phase::Fetch
            | Phase::Diff => false,
            Phase::Preflight
            | Phase::Verify
            | Phase::Activate
            | Phase::Acknowledge
            | Phase::Check
            | Phase::Settle
            | Phase::Persist
            | Phase::Reboot => true,
        }),
    }
}

/// Tells lines about some derivations from others: what they print, and what Nix says of them.
///
/// What is asked for is the name of a package where a package has exactly that name, so that `linux` is
/// not `linux-firmware`; otherwise a part of the name of a derivation's file.
#[derive(Debug)]
pub(super) struct DerivationFilter {
    asked: String,
    /// The package that it means without a version.
    package: String,
    is_package: bool,
    /// The packages of the derivations of which it is a part.
    packages: BTreeSet<String>,
}

impl DerivationFilter {
    /// Makes a filter for the name of a package or a part of the name, or path, of a .drv file.
    pub(super) fn new(asked: &str) -> Self {
        let path = asked.split(['!', '^']).next().unwrap_or_default();
        let asked = path.rsplit('/').next().unwrap_or_default().to_owned();
        let has_hash = asked.as_bytes().get(32) == Some(&b'-')
            && asked.bytes().take(32).all(|byte| byte.is_ascii_alphanumeric());
        let package = if has_hash { package_of(&asked) } else { package_of(&format!("-{asked}")) };
        Self { asked, package, is_package: false, packages: BTreeSet::new() }
    }

    /// Returns what is asked for.
    pub(super) fn asked(&self) -> &str {
        &self.asked
    }

    /// Notes that a package has exactly the name that is asked for.
    pub(super) fn is_of_a_package(&mut self) {
        self.is_package = true;
        self.packages.clear();
    }

    /// Returns whether a line is about one of the derivations.
    pub(super) fn takes(&mut self, text: &str) -> bool {
        if let Some((package, _)) = output(text) {
            if package == self.asked && !self.is_package {
                self.is_of_a_package();
            }
            let is_part = !self.is_package
                && (package == self.package
                    || package.contains(&self.asked)
                    || self.packages.contains(package));
            return package == self.asked || is_part;
        }
        derivation_in(text).is_some_and(|drv| self.means(drv))
    }

    /// Returns whether a derivation is one of them, and keeps its package in mind.
    fn means(&mut self, drv: &str) -> bool {
        let package = package_of(drv);
        if self.is_package {
            return package == self.asked;
        }
        let file = drv.rsplit('/').next().unwrap_or_default();
        let is_part = file.contains(&self.asked);
        if is_part && self.packages.len() < MOST_PACKAGES {
            self.packages.insert(package);
        }
        is_part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_without_a_capital_matches_capitals_too() {
        for (text, line, matches) in [
            ("error", "ERROR: x", true),
            ("Error", "error: x", false),
            ("Error", "an Error", true),
            (r"\Serror", "xERROR", true),
            (r"\\Serror", r"\serror", false),
            ("ümlaut", "ÜMLAUT", true),
            (r"^cc .*\.c$", "CC part.c", true),
        ] {
            assert_eq!(pattern(text).unwrap().is_match(line), matches, "{text} in {line}");
        }
        assert!(pattern("(").unwrap_err().contains("unclosed group"));
    }

    #[test]
    fn the_output_of_a_package_is_told_from_other_lines() {
        assert_eq!(output("firefox> cc -c a.c"), Some(("firefox", "cc -c a.c")));
        assert_eq!(output("firefox>"), Some(("firefox", "")));
        assert_eq!(output("firefox> a> b"), Some(("firefox", "a> b")));
        for line in ["> in the list of last lines", "a b> c", "a->b", "", "no output"] {
            assert_eq!(output(line), None, "{line}");
        }
    }

    /// Returns which of these lines are about what is asked for, by their numbers.
    fn about(asked: &str) -> Vec<usize> {
        let lines = [
            "building '/nix/store/0c0p5y9yl1vkdlnxhrrjaqqlbhsgbpgj-linux-6.12.58.drv'",
            "linux> CC main.o",
            "building '/nix/store/1c0p5y9yl1vkdlnxhrrjaqqlbhsgbpgj-linux-firmware-2026.drv'",
            "linux-firmware> copying",
            "building '/nix/store/2c0p5y9yl1vkdlnxhrrjaqqlbhsgbpgj-util-linux-2.41.drv'",
            "util-linux> CC mount.o",
            "error: builder for '/nix/store/0c0p5y9yl1vkdlnxhrrjaqqlbhsgbpgj-linux-6.12.58.drv' failed",
            "linux 6.12 is mentioned by somebody",
        ];
        let mut filter = DerivationFilter::new(asked);
        if lines.iter().any(|line| output(line).is_some_and(|(package, _)| package == asked)) {
            filter.is_of_a_package();
        }
        let taken = lines.iter().enumerate().filter(|(_, line)| filter.takes(line));
        taken.map(|(number, _)| number).collect()
    }

    #[test]
    fn a_derivation_is_named_by_its_package_or_a_part_of_its_file() {
        assert_eq!(about("linux"), [0, 1, 6]);
        assert_eq!(about("linux-6.12"), [0, 1, 6]);
        assert_eq!(about("linux-6.12.58.drv"), [0, 1, 6]);
        assert_eq!(about("2c0p5y9yl1vkdlnxhrrjaqqlbhsgbpgj"), [4, 5]);
        let path = "/nix/store/0c0p5y9yl1vkdlnxhrrjaqqlbhsgbpgj-linux-6.12.58.drv^out";
        assert_eq!(about(path), [0, 1, 6]);
        assert_eq!(about("linux-f"), [2, 3]);
        assert_eq!(about("inu"), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(about("firefox"), [0_usize; 0]);
    }

    #[test]
    fn what_went_wrong_is_told_from_words_in_names() {
        for (phase, line, taken) in [
            (Phase::Build, "firefox> a.c:1:2: error: expected ';'", true),
            (Phase::Build, "firefox> checking for error.h... no", false),
            (Phase::Build, "firefox> 0 tests failed", false),
            (Phase::Build, "error: builder for '/nix/store/x-a.drv' failed", true),
            (Phase::Fetch, "copying path '/nix/store/x-perl-Error-0.17' from 'http://p620'", false),
            (Phase::Activate, "warning: the following units failed: nginx.service", true),
            (Phase::Activate, "starting the following units: nginx.service", false),
        ] {
            assert_eq!(tells_of_trouble(Some(phase), line), taken, "{line}");
        }
    }

    #[test]
    fn a_line_of_the_log_itself_belongs_to_every_phase() {
        let at = Some(Timestamp::UNIX_EPOCH);
        let filter = LineFilter { phases: vec![Phase::Fetch], ..LineFilter::default() };
        assert!(filter.takes_when(at, Some(Phase::Fetch)) && filter.takes_when(at, None));
        assert!(!filter.takes_when(at, Some(Phase::Build)) && !filter.takes_when(None, None));
        let since = Some(Timestamp::from_second(1).unwrap());
        let filter = LineFilter { since, ..LineFilter::default() };
        assert!(filter.takes_when(since, None) && !filter.takes_when(at, Some(Phase::Build)));
        assert!(!filter.takes_when(None, None));
    }
}
