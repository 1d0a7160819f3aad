//! The log of the last build of a package that went well, on an older run.

use crate::fleet::RawLogLine;
use crate::fleet::{BuildTag, RunId, RunWhat, printable_text};
use crate::nix::activity::{derivation_in, package_of};
use crate::record::runs::level::{LineLevel, output_of};
use crate::record::runs::pattern::LogPattern;
use crate::record::{RecordError, Runs};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many of the newest older runs are looked at.
const RUNS: usize = 300;

/// How many builds of one package in one log are told apart.
const BUILDS: usize = 16;

/// After so many lines it is asked whether anybody still waits.
const ASK_EVERY: u64 = 4096;

/// What a build of a package printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildOutput {
    /// The lines without the package's name, printable, oldest first: the last ones, where they are many.
    pub lines: Vec<String>,
    /// How many there were before them.
    pub earlier: u64,
}

/// A build that went well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoodBuild {
    /// The run.
    pub run: RunId,
    /// The host for which it was built.
    pub host: String,
    /// When what the builds came to was told.
    pub at: Timestamp,
    /// Its name with its version, such as `firefox-145.0`; none where the package was built more than once.
    pub name: Option<String>,
    /// What it printed.
    pub output: BuildOutput,
}

/// The builds of a package in one log.
#[derive(Debug, Default)]
struct PackageLog {
    /// What each printed, and in which order they printed last.
    builds: BTreeMap<Option<BuildTag>, (u64, VecDeque<String>, u64)>,
    /// Those that failed; with none among them one is not known.
    failed: BTreeSet<Option<BuildTag>>,
}

impl Runs {
    /// Returns what a build of a package printed in a run, at most so many of its lines; without a tag what
    /// all builds of the package did. Nothing when `still` says that nobody waits any more.
    pub fn build_output(
        &self,
        (run, host): (&RunId, &str),
        (package, build): (&str, Option<BuildTag>),
        most: usize,
        still: &dyn Fn() -> bool,
    ) -> Result<Option<BuildOutput>, RecordError> {
        let wanted = |tag: Option<BuildTag>| match (build, tag) {
            (Some(wanted), Some(tag)) => (wanted == tag).then_some(None),
            (Some(_), None) | (None, _) => Some(None),
        };
        let log = self.package_log((run, host), package, most, &wanted, still)?;
        Ok(log.map(|mut log| log.builds.remove(&None).map(output).unwrap_or_default()))
    }

    /// Returns the newest build of a package that went well on a run before this one; none where there is
    /// none, or when `still` says that nobody waits any more.
    pub fn last_good_build(
        &self,
        before: &RunId,
        package: &str,
        most: usize,
        still: &dyn Fn() -> bool,
    ) -> Result<Option<GoodBuild>, RecordError> {
        let mut older = self.list()?;
        older.retain(|run| number(run) < number(before));
        for run in older.into_iter().rev().take(RUNS) {
            for event in self.outline(&run).into_iter().rev() {
                if !still() {
                    return Ok(None);
                }
                let RunWhat::Builds { host, builds } = event.what else { continue };
                let times = builds.times.iter().filter(|time| time.package == package);
                let built: Vec<_> = times.filter(|time| time.is_built).collect();
                if built.is_empty() {
                    continue;
                }
                let log = self.package_log((&run, &host), package, most, &Some, still)?;
                let Some(output) = log.and_then(PackageLog::good) else { continue };
                let name = match &built[..] {
                    [one] => Some(one.name.clone()),
                    _ => None,
                };
                return Ok(Some(GoodBuild { run, host, at: event.at, name, output }));
            }
        }
        Ok(None)
    }

    /// Reads the lines of a package in a log. `group` says to which build a line belongs by its tag, and
    /// leaves it out where it says nothing.
    fn package_log(
        &self,
        (run, host): (&RunId, &str),
        package: &str,
        most: usize,
        group: &dyn Fn(Option<BuildTag>) -> Option<Option<BuildTag>>,
        still: &dyn Fn() -> bool,
    ) -> Result<Option<PackageLog>, RecordError> {
        let mut lines = self.log_lines(run, host);
        if let Ok(pattern) = LogPattern::regex(&format!("(?-i){}", regex::escape(package))) {
            lines.skip_unlike(&pattern);
        }
        let (mut log, mut read) = (PackageLog::default(), 0_u64);
        while lines.advance()? {
            read += 1;
            if read.is_multiple_of(ASK_EVERY) && !still() {
                return Ok(None);
            }
            let raw = RawLogLine::read(lines.line());
            let text = String::from_utf8_lossy(raw.text);
            let text = printable_text(&text);
            match output_of(&text) {
                Some((name, said)) if name == package => {
                    let Some(group) = group(raw.build) else { continue };
                    if log.builds.len() >= BUILDS && !log.builds.contains_key(&group) {
                        continue;
                    }
                    let (last, lines, earlier) = log.builds.entry(group).or_default();
                    *last = read;
                    lines.push_back(said.to_owned());
                    if lines.len() > most {
                        lines.pop_front();
                        *earlier += 1;
                    }
                }
                Some(_) => {}
                None => {
                    let drv = derivation_in(&text).filter(|drv| package_of(drv) == package);
                    if let Some(drv) = drv
                        && LineLevel::of(raw.phase, &text) == LineLevel::Error
                    {
                        log.failed.insert(BuildTag::of_derivation(drv));
                    }
                }
            }
        }
        Ok(Some(log))
    }
}

impl PackageLog {
    /// Returns the output of the build that printed last, of those that did not fail.
    fn good(self) -> Option<BuildOutput> {
        let Self { builds, failed } = self;
        let is_good = |build: &Option<BuildTag>| match build {
            Some(_) => !failed.contains(build) && !failed.contains(&None),
            // Which of the builds failed is not known.
            None => failed.is_empty(),
        };
        let good = builds.into_iter().filter(|(build, _)| is_good(build));
        good.map(|(_, build)| build).max_by_key(|(last, _, _)| *last).map(output)
    }
}

/// Returns the lines of a build.
fn output((_, lines, earlier): (u64, VecDeque<String>, u64)) -> BuildOutput {
    BuildOutput { lines: lines.into(), earlier }
}

/// Returns the number of a run.
fn number(run: &RunId) -> u64 {
    run.0.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{DerivationTime, HostBuilds, LineColours, Phase, RunEvent};

    /// The derivation of a letter.
    fn drv(letter: char) -> String {
        format!("/nix/store/{}-zlib-1.3.drv", letter.to_string().repeat(32))
    }

    /// Writes a run: lines of builds of zlib, which of them failed, and whether one was built.
    fn run(runs: &Runs, lines: &[(char, &str)], failed: &str, is_built: bool) -> RunId {
        let mut writer = runs.begin(None).unwrap();
        let run = writer.run().clone();
        let at = Timestamp::UNIX_EPOCH;
        let mut tell = |what| writer.write(&RunEvent { run: run.clone(), at, what });
        let host = || "a".to_owned();
        for (letter, said) in lines {
            let build = BuildTag::of_derivation(&drv(*letter));
            let (line, phase) = (format!("zlib> {said}"), Phase::Build);
            let colours = LineColours::default();
            tell(RunWhat::Log { host: host(), phase, line, build, colours, from: None });
            tell(RunWhat::log(host(), phase, format!("zlib-ng> {said}")));
        }
        for letter in failed.chars() {
            let line = format!("error: builder for '{}' failed with exit code 2", drv(letter));
            tell(RunWhat::log(host(), Phase::Build, line));
        }
        let (name, package) = ("zlib-1.3".to_owned(), "zlib".to_owned());
        let times = vec![DerivationTime { name, package, is_built, ms: 7 }];
        let builds = HostBuilds { times, ..HostBuilds::default() };
        tell(RunWhat::Builds { host: host(), builds });
        writer.finish();
        run
    }

    fn good(runs: &Runs, before: &RunId) -> Option<(String, Vec<String>)> {
        let found = runs.last_good_build(before, "zlib", 100, &|| true).unwrap();
        found.map(|found| (found.run.0, found.output.lines))
    }

    #[test]
    fn the_newest_older_build_that_went_well_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let first = run(&runs, &[('b', "old")], "", true);
        assert_eq!(good(&runs, &first), None);
        let second = run(&runs, &[('b', "good"), ('c', "bad")], "c", true);
        let third = run(&runs, &[('d', "bad")], "d", false);
        let fourth = run(&runs, &[('d', "x"), ('e', "y"), ('d', "z")], "d", false);
        run(&runs, &[('b', "later")], "", true);
        let found = |text: &str, run: &RunId| Some((run.0.clone(), vec![text.to_owned()]));
        assert_eq!(good(&runs, &second), found("old", &first));
        // One of two failed: the other went well.
        assert_eq!(good(&runs, &third), found("good", &second));
        assert_eq!(good(&runs, &fourth), found("good", &second));
        assert_eq!(runs.last_good_build(&fourth, "gcc", 100, &|| true).unwrap(), None);
        assert_eq!(runs.last_good_build(&fourth, "zlib", 100, &|| false).unwrap(), None);
        // What is there of one of them.
        let of = |letter, most| {
            let build = ("zlib", BuildTag::of_derivation(&drv(letter)));
            runs.build_output((&fourth, "a"), build, most, &|| true).unwrap().unwrap()
        };
        assert_eq!(
            of('d', 9),
            BuildOutput { lines: vec!["x".to_owned(), "z".to_owned()], earlier: 0 }
        );
        assert_eq!(of('d', 1), BuildOutput { lines: vec!["z".to_owned()], earlier: 1 });
        assert_eq!(of('e', 9).lines, ["y"]);
        let all = runs.build_output((&fourth, "a"), ("zlib", None), 9, &|| true).unwrap().unwrap();
        assert_eq!(all.lines, ["x", "y", "z"]);
    }
}
