//! Which lines of a log are printed.

use crate::fleet::{BuildTag, Phase};
use crate::nix::activity::{derivation_in, package_of};
use crate::record::{LineLevel, LogBlock, LogPattern, output_of};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Most packages that are kept in mind of the derivations that are meant.
const MOST_PACKAGES: usize = 1000;

/// Most builds of which it is kept in mind whether they are meant.
const MOST_BUILDS: usize = 20_000;

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
    pub(super) grep: Option<LogPattern>,
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

    /// Returns what says of each block of a log, in their order, whether lines of it may be printed; none
    /// where every block has to be read.
    pub(super) fn blocks(&self) -> Option<impl FnMut(&LogBlock) -> bool + use<>> {
        let (since, errors, mut derivation) = (self.since, self.errors, self.derivation.clone());
        (errors || derivation.is_some()).then_some(move |block: &LogBlock| {
            let is_new = since.is_none_or(|since| block.until.is_some_and(|until| until >= since));
            let has_errors = !errors || block.levels.of(LineLevel::Error) > 0;
            // Asked of every block: a later one may have output of a derivation that this one names.
            let is_about =
                derivation.as_mut().is_none_or(|derivation| derivation.takes_block(block));
            is_new && has_errors && is_about
        })
    }

    /// Returns whether a line is printed as far as its text says, which is printable.
    pub(super) fn takes_text(
        &mut self,
        phase: Option<Phase>,
        text: &str,
        build: Option<BuildTag>,
    ) -> bool {
        let is_about = |derivation: &mut DerivationFilter| derivation.takes(text, build);
        (!self.errors || LineLevel::of(phase, text) == LineLevel::Error)
            && self.derivation.as_mut().is_none_or(is_about)
            && self.grep.as_ref().is_none_or(|grep| grep.is_match(text))
    }
}

/// Tells lines about some derivations from others: what they print, and what Nix says of them.
///
/// What is asked for is the name of a package where a package has exactly that name, so that `linux` is
/// not `linux-firmware`; otherwise a part of the name of a derivation's file. Lines say which build they are
/// of, so two derivations of one package are told apart; those of an older nixdash say only the package.
#[derive(Clone, Debug)]
pub(super) struct DerivationFilter {
    asked: String,
    /// The package that it means without a version.
    package: String,
    is_package: bool,
    /// The build that it means, where it has the hash of a derivation.
    build: Option<BuildTag>,
    /// The packages of the derivations of which it is a part.
    packages: BTreeSet<String>,
    /// The builds that lines named, and whether they are meant.
    builds: BTreeMap<BuildTag, bool>,
}

impl DerivationFilter {
    /// Makes a filter for the name of a package or a part of the name, or path, of a .drv file.
    pub(super) fn new(asked: &str) -> Self {
        let path = asked.split(['!', '^']).next().unwrap_or_default();
        let asked = path.rsplit('/').next().unwrap_or_default().to_owned();
        let has_hash = asked.as_bytes().get(32) == Some(&b'-')
            && asked.bytes().take(32).all(|byte| byte.is_ascii_alphanumeric());
        let package = if has_hash { package_of(&asked) } else { package_of(&format!("-{asked}")) };
        let build = BuildTag::of_derivation(&asked);
        let (packages, builds) = (BTreeSet::new(), BTreeMap::new());
        Self { asked, package, is_package: false, build, packages, builds }
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
    pub(super) fn takes(&mut self, text: &str, build: Option<BuildTag>) -> bool {
        if let Some((package, _)) = output_of(text) {
            if package == self.asked && !self.is_package {
                self.is_of_a_package();
            }
            return match build {
                Some(build) if !self.is_package => self.means_build(build, package),
                Some(_) | None => self.means_package(package),
            };
        }
        derivation_in(text).is_some_and(|drv| self.means(drv))
    }

    /// Returns whether lines of a block may be about one of the derivations.
    fn takes_block(&mut self, block: &LogBlock) -> bool {
        let (Some(packages), Some(derivations)) = (&block.packages, &block.derivations) else {
            return true;
        };
        let named = derivations.iter().filter(|drv| self.means(drv)).count();
        named > 0 || packages.iter().any(|package| self.means_package(package))
    }

    /// Returns whether a build is one of the derivations.
    fn means_build(&self, build: BuildTag, package: &str) -> bool {
        match (self.build, self.builds.get(&build)) {
            (Some(asked), _) => asked == build,
            (None, Some(is_meant)) => *is_meant,
            // No line named it yet.
            (None, None) => self.means_package(package),
        }
    }

    /// Returns whether a package is one of the derivations.
    fn means_package(&self, package: &str) -> bool {
        let is_part = !self.is_package
            && (package == self.package
                || package.contains(&self.asked)
                || self.packages.contains(package));
        package == self.asked || is_part
    }

    /// Returns whether a derivation is one of them, and keeps its package in mind.
    fn means(&mut self, drv: &str) -> bool {
        let package = package_of(drv);
        if self.is_package {
            return package == self.asked;
        }
        let file = drv.rsplit('/').next().unwrap_or_default();
        let is_part = file.contains(&self.asked);
        if let Some(build) = BuildTag::of_derivation(drv)
            && self.builds.len() < MOST_BUILDS
        {
            self.builds.insert(build, is_part);
        }
        if is_part && self.packages.len() < MOST_PACKAGES {
            self.packages.insert(package);
        }
        is_part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        if lines.iter().any(|line| output_of(line).is_some_and(|(package, _)| package == asked)) {
            filter.is_of_a_package();
        }
        let taken = lines.iter().enumerate().filter(|(_, line)| filter.takes(line, None));
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
    fn two_derivations_of_one_package_are_told_apart() {
        let drv = |digit: char, version: &str| {
            format!("/nix/store/{digit}c0p5y9yl1vkdlnxhrrjaqqlbhsgbpgj-linux-{version}.drv")
        };
        let (old, new) = (drv('0', "6.6"), drv('1', "6.12"));
        let tag = |drv: &str| BuildTag::of_derivation(drv);
        let lines = [
            (format!("building '{old}'"), None),
            ("linux> CC old.o".to_owned(), tag(&old)),
            (format!("building '{new}'"), None),
            ("linux> CC new.o".to_owned(), tag(&new)),
            ("linux> CC old.o".to_owned(), tag(&old)),
            (format!("error: builder for '{new}' failed"), None),
        ];
        let about = |asked: &str| {
            let mut filter = DerivationFilter::new(asked);
            if asked == "linux" {
                filter.is_of_a_package();
            }
            let taken = lines.iter().enumerate();
            let taken = taken.filter(|(_, (line, build))| filter.takes(line, *build));
            taken.map(|(number, _)| number).collect::<Vec<_>>()
        };
        assert_eq!(about(&old), [0, 1, 4]);
        assert_eq!(about("linux-6.12"), [2, 3, 5]);
        assert_eq!(about("1c0p5y9yl1vkdlnxhrrjaqqlbhsgbpgj"), [2, 3, 5]);
        assert_eq!(about("linux"), [0, 1, 2, 3, 4, 5]);
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
