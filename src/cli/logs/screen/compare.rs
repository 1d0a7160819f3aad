//! Compares what a build printed with the last build of the same package that went well.
//!
//! Lines are compared without what differs from build to build and means nothing. Time and memory have
//! bounds, and where one of them cut something short that is told.

use super::PaneReader;
use crate::dash::{
    BuildCompared, BuildDifference, ComparedBuild, DifferenceKind, DifferenceRow, LogNews, Msg,
    PaneWanted,
};
use crate::nix::build_output::comparable;
use crate::record::{BuildOutput, GoodBuild, RecordError, Runs};
use similar::{Algorithm, DiffOp, DiffTag, capture_diff_slices_deadline, group_diff_ops};
use std::collections::HashMap;
use std::ops::Range;
use std::time::{Duration, Instant};

/// How many lines of each output are compared at most.
const LINES: usize = 100_000;

/// How long it may take to find what differs; what is left then is told as other lines.
const PATIENCE: Duration = Duration::from_secs(3);

/// How many equal lines stand around what differs.
const AROUND: usize = 3;

/// How many lines of one difference are shown.
const BLOCK: usize = 40;

/// How many rows are shown.
const ROWS: usize = 4000;

/// Compares builds for the pane.
pub(super) struct CompareReader {
    runs: Runs,
    /// The comparison that was told last.
    told: Option<u64>,
}

impl CompareReader {
    /// Begins with nothing.
    pub(super) fn new(runs: Runs) -> Self {
        Self { runs, told: None }
    }

    /// Returns what came of a comparison; nothing when it was given up.
    fn compare(
        &self,
        asked: &BuildCompared,
        still: &dyn Fn() -> bool,
    ) -> Result<Option<ComparedBuild>, RecordError> {
        let (package, build) = (asked.lines.package.as_str(), asked.lines.build);
        let good = self.runs.last_good_build(&asked.run, package, LINES, still)?;
        let here = (&asked.run, asked.host.as_str());
        let here = self.runs.build_output(here, (package, build), LINES, still)?;
        Ok(match (good, here) {
            _ if !still() => None,
            (_, None) => None,
            (None, Some(_)) => Some(ComparedBuild::NoneBefore),
            (Some(good), Some(here)) => {
                Some(ComparedBuild::Found(Box::new(difference(good, &here, PATIENCE))))
            }
        })
    }
}

impl PaneReader for CompareReader {
    fn look(
        &mut self,
        wanted: &PaneWanted,
        still: &dyn Fn() -> bool,
        tell: &mut dyn FnMut(Msg),
    ) -> bool {
        let asked = wanted.compared.as_ref().filter(|asked| self.told != Some(asked.id));
        let Some(asked) = asked else { return false };
        let found = match self.compare(asked, still) {
            Ok(None) => return false,
            Ok(Some(found)) => found,
            Err(error) => ComparedBuild::Failed(error.to_string()),
        };
        self.told = Some(asked.id);
        tell(Msg::Logs(LogNews::Compared { id: asked.id, found }));
        true
    }

    fn forget(&mut self) {
        self.told = None;
    }
}

/// Returns what differs between a build that went well and this one.
pub(super) fn difference(
    good: GoodBuild,
    here: &BuildOutput,
    patience: Duration,
) -> BuildDifference {
    let began = Instant::now();
    let mut numbers = HashMap::new();
    let there = numbered(&good.output, &mut numbers);
    let ours = numbered(here, &mut numbers);
    drop(numbers);
    let until = Some(began + patience);
    let ops = capture_diff_slices_deadline(Algorithm::Myers, &there, &ours, until);
    let count = |tags: [DiffTag; 2], lines: &dyn Fn(&DiffOp) -> usize| {
        ops.iter().filter(|op| tags.contains(&op.tag())).map(lines).sum::<usize>() as u64
    };
    let added = count([DiffTag::Insert, DiffTag::Replace], &|op| op.new_range().len());
    let missing = count([DiffTag::Delete, DiffTag::Replace], &|op| op.old_range().len());
    let mut rows =
        DifferenceRows { there: &good.output.lines, ours: &here.lines, rows: Vec::new() };
    let mut shown = 0;
    for group in group_diff_ops(ops, AROUND) {
        let begin = group.first().map_or(shown, |op| op.new_range().start);
        rows.gap(begin.saturating_sub(shown), DifferenceKind::Equal);
        shown = group.last().map_or(shown, |op| op.new_range().end);
        for op in &group {
            rows.add(op);
        }
    }
    rows.gap(here.lines.len().saturating_sub(shown), DifferenceKind::Equal);
    let mut rows = rows.rows;
    let more = rows.len().saturating_sub(ROWS) as u64;
    rows.truncate(ROWS);
    BuildDifference {
        run: good.run,
        host: good.host,
        at: good.at,
        name: good.name,
        added,
        missing,
        rows,
        more,
        only_last: (good.output.earlier > 0 || here.earlier > 0).then_some(LINES as u64),
        is_rough: began.elapsed() >= patience,
    }
}

/// Returns a number for each line; lines that say the same have the same.
fn numbered(output: &BuildOutput, numbers: &mut HashMap<String, u32>) -> Vec<u32> {
    let number = |line: &String| {
        let next = numbers.len() as u32;
        *numbers.entry(comparable(line).into_owned()).or_insert(next)
    };
    output.lines.iter().map(number).collect()
}

/// The rows of a difference while they are made.
struct DifferenceRows<'a> {
    there: &'a [String],
    ours: &'a [String],
    rows: Vec<DifferenceRow>,
}

impl DifferenceRows<'_> {
    /// Adds lines that are equal, missing, new, or missing and new.
    fn add(&mut self, op: &DiffOp) {
        match op.tag() {
            DiffTag::Equal => self.lines(op.new_range(), DifferenceKind::Equal),
            DiffTag::Delete => self.lines(op.old_range(), DifferenceKind::Missing),
            DiffTag::Insert => self.lines(op.new_range(), DifferenceKind::Added),
            DiffTag::Replace => {
                self.lines(op.old_range(), DifferenceKind::Missing);
                self.lines(op.new_range(), DifferenceKind::Added);
            }
        }
    }

    /// Adds lines of a kind; of many the first.
    fn lines(&mut self, range: Range<usize>, kind: DifferenceKind) {
        let lines = match kind {
            DifferenceKind::Equal | DifferenceKind::Added => self.ours,
            DifferenceKind::Missing => self.there,
        };
        let left_out = range.len().saturating_sub(BLOCK);
        let lines = lines.get(range).unwrap_or_default().iter().take(BLOCK);
        let rows = lines.map(|text| DifferenceRow { kind, text: Some(text.clone()), lines: 1 });
        self.rows.extend(rows);
        self.gap(left_out, kind);
    }

    /// Adds that so many lines of a kind are left out.
    fn gap(&mut self, lines: usize, kind: DifferenceKind) {
        if lines > 0 {
            self.rows.push(DifferenceRow { kind, text: None, lines: lines as u64 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dash::{BuildLines, LineLevels, RowsAt, RowsOf};
    use crate::fleet::{DerivationTime, HostBuilds, Phase, RunEvent, RunId, RunWhat};
    use jiff::Timestamp;

    fn output(lines: impl IntoIterator<Item = String>) -> BuildOutput {
        BuildOutput { lines: lines.into_iter().collect(), earlier: 0 }
    }

    fn good(output: BuildOutput) -> GoodBuild {
        let (run, host, name) = (RunId("38".to_owned()), "p620".to_owned(), None);
        GoodBuild { run, host, at: Timestamp::UNIX_EPOCH, name, output }
    }

    /// Returns the rows as text.
    fn told(found: &BuildDifference) -> Vec<String> {
        let row = |row: &DifferenceRow| {
            let sign = match row.kind {
                DifferenceKind::Equal => ' ',
                DifferenceKind::Added => '+',
                DifferenceKind::Missing => '-',
            };
            match &row.text {
                Some(text) => format!("{sign}{text}"),
                None => format!("{sign}… {}", row.lines),
            }
        };
        found.rows.iter().map(row).collect()
    }

    #[test]
    fn a_build_is_compared_once_and_what_came_of_it_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let ids = [&["a", "b 3s"][..], &["a", "error: c", "b 7s"]].map(|lines| {
            let mut writer = runs.begin(None).unwrap();
            let run = writer.run().clone();
            let mut tell = |what| {
                writer.write(&RunEvent { run: run.clone(), at: Timestamp::UNIX_EPOCH, what });
            };
            for line in lines {
                tell(RunWhat::log("p620".to_owned(), Phase::Build, format!("zlib> {line}")));
            }
            let (name, package) = ("zlib-1.3".to_owned(), "zlib".to_owned());
            let times = vec![DerivationTime { name, package, is_built: true, ms: 7 }];
            let builds = HostBuilds { times, ..HostBuilds::default() };
            tell(RunWhat::Builds { host: "p620".to_owned(), builds });
            writer.finish();
            run
        });
        let mut reader = CompareReader::new(runs);
        let mut look = |id: u64, run: &RunId, package: &str| {
            let host = "p620".to_owned();
            let lines = BuildLines { package: package.to_owned(), build: None };
            let compared = BuildCompared { id, run: run.clone(), host: host.clone(), lines };
            let of = RowsOf {
                run: run.clone(),
                hosts: vec![host],
                build: None,
                levels: LineLevels::All,
                only: None,
                folds: false,
            };
            let wanted = PaneWanted {
                of,
                at: RowsAt::Newest,
                count: 9,
                counting: None,
                search: None,
                activity: None,
                compared: Some(compared),
            };
            let mut told = None;
            reader.look(&wanted, &|| true, &mut |message| told = Some(message));
            told
        };
        let Some(Msg::Logs(LogNews::Compared { id: 1, found: ComparedBuild::Found(found) })) =
            look(1, &ids[1], "zlib")
        else {
            panic!("nothing was told")
        };
        assert_eq!((&found.run, found.name.as_deref()), (&ids[0], Some("zlib-1.3")));
        assert_eq!(told(&found), [" a", "+error: c", " b 7s"]);
        assert!(look(1, &ids[1], "zlib").is_none());
        for (id, run, package) in [(2, &ids[0], "zlib"), (3, &ids[1], "gcc")] {
            let told = look(id, run, package);
            let none = LogNews::Compared { id, found: ComparedBuild::NoneBefore };
            assert!(matches!(told, Some(Msg::Logs(news)) if news == none), "{package}");
        }
    }

    #[test]
    fn only_what_matters_differs() {
        let lines = |time: u32, hash: char| {
            let hash = hash.to_string().repeat(32);
            move |part: u32| {
                format!("[{part}/300] cc -I/nix/store/{hash}-z -c part{part}.c {time}.{part}s")
            }
        };
        let there = output((0..300).map(lines(3, 'a')));
        let mut ours: Vec<String> = (0..118).map(lines(7, 'b')).collect();
        ours.insert(60, "warning: flag is old".to_owned());
        ours.push("part118.c:1:2: error: no".to_owned());
        let found = difference(good(there.clone()), &output(ours), PATIENCE);
        assert_eq!((found.added, found.missing), (2, 182));
        let rows = told(&found);
        assert_eq!(rows[0], " … 57");
        assert_eq!(rows[4], "+warning: flag is old");
        assert_eq!(rows[8], " … 52");
        assert!(rows.contains(&"+part118.c:1:2: error: no".to_owned()), "{rows:#?}");
        assert_eq!(rows.iter().filter(|row| row.starts_with("-[")).count(), BLOCK);
        assert!(rows.contains(&"-… 142".to_owned()), "{rows:#?}");
        assert!(found.only_last.is_none() && !found.is_rough && found.more == 0);
        // The same once more.
        let same = difference(good(there.clone()), &output((0..300).map(lines(9, 'c'))), PATIENCE);
        assert_eq!((same.added, same.missing, told(&same)), (0, 0, vec![" … 300".to_owned()]));
    }

    #[test]
    fn outputs_that_have_nothing_in_common_are_compared_roughly_and_shown_in_part() {
        let lines = |begin: u64| {
            (0..LINES as u64).map(move |n| format!("{:x}", (begin + n).wrapping_mul(0x9e37_79b9)))
        };
        let earlier = 3;
        let ours = BuildOutput { earlier, ..output(lines(0)) };
        let mut mixed: Vec<String> = lines(50_000).collect();
        mixed.reverse();
        let found = difference(good(output(mixed)), &ours, Duration::from_millis(200));
        assert!(found.rows.len() <= ROWS && found.is_rough);
        assert_eq!(found.only_last, Some(LINES as u64));
    }
}
