//! What kind of line a line of a host's log is: the log itself does not say it.

use crate::fleet::{Code, Phase, Severity};
use crate::nix::activity::{LineTrouble, trouble_in};
use serde::{Deserialize, Serialize};

/// What kind of line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LineLevel {
    /// What a build prints.
    Output,
    /// What Nix, nixdash or another program says.
    Message,
    /// A warning of anybody.
    Warning,
    /// It says what went wrong.
    Error,
}

impl LineLevel {
    /// Every level, the least first.
    pub const ALL: [Self; 4] = [Self::Output, Self::Message, Self::Warning, Self::Error];

    /// Returns the level of a line, by its phase and its text without time and phase.
    ///
    /// Words like "failed" make an error only where no build speaks: there they stand in names of files
    /// and of tests that pass. A line with the code of a failure behind it ended a phase, whatever its words; where
    /// a person stopped the run or left the host out, nothing went wrong.
    pub fn of(phase: Option<Phase>, text: &str) -> Self {
        let output = output_of(text);
        let said = output.map_or(text, |(_, said)| said);
        let tells = match trouble_in(said) {
            LineTrouble::Nothing => false,
            LineTrouble::Named => true,
            LineTrouble::Mentioned => phase.is_some_and(counts_words),
        };
        let is_error = tells || output.is_none() && ends_a_phase(said);
        if is_error {
            Self::Error
        } else if warns(said) {
            Self::Warning
        } else if output.is_some() {
            Self::Output
        } else {
            Self::Message
        }
    }
}

/// Returns the package whose output a line is, and what it said: `firefox> …`.
pub fn output_of(text: &str) -> Option<(&str, &str)> {
    let (package, said) = text.split_once('>')?;
    let is_name = !package.is_empty() && package.bytes().all(|byte| byte.is_ascii_graphic());
    let said = said.strip_prefix(' ').or_else(|| said.is_empty().then_some(said))?;
    is_name.then_some((package, said))
}

/// Returns whether a line is the reason for which a phase failed, as nixdash logs it: with its code behind it,
/// `somebody deploys to it; wait for that to end [lock-held]`. What is only worth knowing is no such reason:
/// `the operator stopped the run [run-stopped]`, and neither is why a host goes back with its run.
fn ends_a_phase(said: &str) -> bool {
    let code = said.strip_suffix(']').and_then(|said| said.rsplit_once(" ["));
    let code = code.and_then(|(_, code)| Code::of_word(code));
    code.is_some_and(|code| code.severity() > Severity::Note && code.is_fault())
}

/// Returns whether a word like "failed" means that something went wrong in this phase.
fn counts_words(phase: Phase) -> bool {
    match phase {
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
    }
}

/// Returns whether a line warns: `warning: …`, `a.c:1:2: warning: …`, `WARNING: …`.
fn warns(said: &str) -> bool {
    memchr::memmem::find(said.as_bytes(), b"arning: ").is_some_and(|at| {
        let before = said[..at].trim_end_matches(['w', 'W']);
        before.len() < at && (before.is_empty() || before.ends_with([' ', ':', '\u{1b}', 'm']))
    }) || said.starts_with("WARNING: ")
}

/// How many lines of each level there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelCounts([u64; 4]);

impl LevelCounts {
    /// Returns how many lines are of a level.
    pub fn of(&self, level: LineLevel) -> u64 {
        self.0[level as usize]
    }

    /// Counts a line.
    pub(super) fn add(&mut self, level: LineLevel) {
        self.0[level as usize] += 1;
    }
}

impl std::ops::AddAssign for LevelCounts {
    fn add_assign(&mut self, other: Self) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_a_package_is_told_from_other_lines() {
        assert_eq!(output_of("firefox> cc -c a.c"), Some(("firefox", "cc -c a.c")));
        assert_eq!(output_of("firefox>"), Some(("firefox", "")));
        assert_eq!(output_of("firefox> a> b"), Some(("firefox", "a> b")));
        for line in ["> in the list of last lines", "a b> c", "a->b", "", "no output"] {
            assert_eq!(output_of(line), None, "{line}");
        }
    }

    #[test]
    fn what_went_wrong_is_told_from_words_in_names() {
        use LineLevel::{Error, Message, Output, Warning};
        for (phase, line, level) in [
            (Phase::Build, "firefox> a.c:1:2: error: expected ';'", Error),
            (Phase::Build, "firefox> checking for error.h... no", Output),
            (Phase::Build, "firefox> 0 tests failed", Output),
            (Phase::Build, "firefox> a.c:1:2: warning: unused variable", Warning),
            (Phase::Build, "firefox> forewarning: none", Output),
            (Phase::Build, "warning: ignoring the client-specified setting", Warning),
            (Phase::Build, "error: builder for '/nix/store/x-a.drv' failed", Error),
            (
                Phase::Fetch,
                "copying path '/nix/store/x-perl-Error-0.17' from 'http://p620'",
                Message,
            ),
            (Phase::Activate, "warning: the following units failed: nginx.service", Error),
            (Phase::Activate, "starting the following units: nginx.service", Message),
            (Phase::Preflight, "me@desk deploys to it; wait for that to end [lock-held]", Error),
            (Phase::Build, "the operator stopped the run [run-stopped]", Message),
            (Phase::Build, "the operator left it out [host-left-out]", Message),
            (Phase::Settle, "the operator rolled it back [run-rolled-back]", Message),
            (Phase::Preflight, "it was not seen before [first-deploy]", Message),
            (Phase::Activate, "nixdash was ended while the run went on [run-ended]", Error),
            (Phase::Build, "firefox> wait for that to end [lock-held]", Output),
            (Phase::Build, "copied what it needs [42]", Message),
        ] {
            assert_eq!(LineLevel::of(Some(phase), line), level, "{line}");
        }
    }
}
