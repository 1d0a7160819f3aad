//! What the pane asks of whoever reads the files, and what comes back: plain data.
//!
//! The pane says which rows it wants to see ([`PaneWanted`]) and never how they are found. A log of any
//! length costs the screen the few rows that it shows.

use crate::dash::panes::logs::activity::ActivityShown;
use crate::dash::panes::logs::pattern::LinePattern;
use crate::fleet::{BuildTag, LineColours, Phase, RunId};
use crate::nix::activity::{derivation_in, package_of};
use crate::record::{LineLevel, output_of};
use jiff::Timestamp;
use std::ops::Range;

/// Which lines of a log are shown, by how much they matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineLevels {
    /// All of them.
    #[default]
    All,
    /// What Nix and nixdash say, and what went wrong; not what builds print.
    Messages,
    /// What went wrong.
    Errors,
}

impl LineLevels {
    /// Returns the levels that are shown next.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::All => Self::Messages,
            Self::Messages => Self::Errors,
            Self::Errors => Self::All,
        }
    }

    /// Returns what they are called.
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "all lines",
            Self::Messages => "messages",
            Self::Errors => "errors alone",
        }
    }
}

/// The lines of one build: what it prints, and what Nix says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildLines {
    /// Its package, as its lines in the log are marked.
    pub package: String,
    /// Which of the builds of that package it is; where that is not known all of them are meant.
    pub build: Option<BuildTag>,
}

impl BuildLines {
    /// Returns the lines of a derivation.
    pub fn of_derivation(drv: &str, package: &str) -> Self {
        Self { package: package.to_owned(), build: BuildTag::of_derivation(drv) }
    }

    /// Returns whether a line is one of them. Logs of an older nixdash say only the package of an output.
    pub fn takes(&self, text: &str, build: Option<BuildTag>) -> bool {
        let is_same = |build: Option<BuildTag>| {
            self.build.zip(build).is_none_or(|(wanted, build)| wanted == build)
        };
        match output_of(text) {
            Some((package, _)) => package == self.package && is_same(build),
            None => derivation_in(text).is_some_and(|drv| {
                package_of(drv) == self.package && is_same(BuildTag::of_derivation(drv))
            }),
        }
    }
}

/// Which lines are the rows of the pane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowsOf {
    /// The run.
    pub run: RunId,
    /// The hosts whose logs they are; those of several are merged by time.
    pub hosts: Vec<String>,
    /// The build whose lines are shown alone.
    pub build: Option<BuildLines>,
    /// Which lines matter enough.
    pub levels: LineLevels,
    /// What a line must match.
    pub only: Option<LinePattern>,
    /// Whether equal lines that follow each other are one row.
    pub folds: bool,
}

impl RowsOf {
    /// Returns all lines of the log of a host in a run.
    pub fn all(run: &RunId, host: &str) -> Self {
        Self {
            run: run.clone(),
            hosts: vec![host.to_owned()],
            build: None,
            levels: LineLevels::All,
            only: None,
            folds: false,
        }
    }
}

/// A line of a log, wherever it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineAt {
    /// Which of the hosts.
    pub host: usize,
    /// The number of the line in the host's log; the first is 0.
    pub line: u64,
}

/// Which rows are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsAt {
    /// The newest.
    Newest,
    /// Those from this one on.
    From(u64),
    /// Those around the row of this line, or of the first after it.
    Around(LineAt),
}

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sought {
    /// A line that matches.
    Pattern(LinePattern),
    /// A line that says what went wrong.
    Trouble,
    /// A line of this phase that says what went wrong.
    TroubleIn(Phase),
    /// A line that holds this text.
    Text(String),
}

/// A search through the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowSearch {
    /// Tells it from other searches.
    pub id: u64,
    /// What is looked for.
    pub sought: Sought,
    /// Rows before this one are looked at, or this one and those behind it.
    pub from: u64,
    /// Whether it goes down.
    pub is_down: bool,
}

/// What the pane wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaneWanted {
    /// Which lines are rows.
    pub of: RowsOf,
    /// Which rows.
    pub at: RowsAt,
    /// How many.
    pub count: usize,
    /// What the matching rows are counted of.
    pub counting: Option<LinePattern>,
    /// What is looked for.
    pub search: Option<RowSearch>,
    /// The host of which the builds and transfers are wanted.
    pub activity: Option<String>,
    /// The build that is compared with the last one that went well.
    pub compared: Option<BuildCompared>,
}

/// A row: a line of a log, or equal lines that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaneRow {
    /// The first line.
    pub place: LineAt,
    /// When it came; none where the log does not say.
    pub at: Option<Timestamp>,
    /// The phase it belongs to.
    pub phase: Option<Phase>,
    /// The line, printable.
    pub text: String,
    /// The build whose output it is; none where it is none, or that is not known.
    pub build: Option<BuildTag>,
    /// Its colours.
    pub colours: LineColours,
    /// What kind of line it is.
    pub level: LineLevel,
    /// How many equal lines it stands for.
    pub times: u64,
    /// Whether it came after lines of other hosts that are newer.
    pub is_late: bool,
}

/// Some rows, and how many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowsShown {
    /// Which lines are rows.
    pub of: RowsOf,
    /// How many rows are known.
    pub rows: u64,
    /// How many lines were read for them.
    pub lines: u64,
    /// Bytes that were read, of how many; less while they are being read.
    pub read: Range<u64>,
    /// The number of the first of these.
    pub first: u64,
    /// The rows.
    pub shown: Vec<PaneRow>,
    /// Whether there are more rows behind the last one than are kept.
    pub is_cut: bool,
    /// The line that these were wanted around, and its row.
    pub around: Option<(LineAt, u64)>,
}

/// What comes of what was asked.
#[derive(Clone, Debug, PartialEq)]
pub enum LogNews {
    /// Rows that were wanted.
    Rows(Box<RowsShown>),
    /// How many rows match.
    Counted {
        /// What.
        pattern: LinePattern,
        /// Of which rows.
        of: Box<RowsOf>,
        /// How many match.
        rows: u64,
        /// Bytes that were read, of how many.
        read: Range<u64>,
    },
    /// How far a search is.
    Searching {
        /// Which.
        id: u64,
        /// The share of the logs that was looked at, from 0 to 1.
        share: f32,
    },
    /// What a search found; nothing where there is no such line.
    Found {
        /// Which.
        id: u64,
        /// The row.
        row: Option<u64>,
    },
    /// What Nix does, or did, for a host.
    Activity {
        /// The run.
        run: RunId,
        /// The host.
        host: String,
        /// That.
        shown: Box<ActivityShown>,
    },
    /// What came of a comparison.
    Compared {
        /// Which.
        id: u64,
        /// That.
        found: ComparedBuild,
    },
}

/// A build that is compared with the last build of the same package that went well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildCompared {
    /// Tells it from other comparisons.
    pub id: u64,
    /// The run of the build.
    pub run: RunId,
    /// The host for which it is built.
    pub host: String,
    /// Which build of that host.
    pub lines: BuildLines,
}

/// What came of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComparedBuild {
    /// No older run here has the log of a build of the package that went well.
    NoneBefore,
    /// What differs.
    Found(Box<BuildDifference>),
    /// The logs could not be read, and why.
    Failed(String),
}

/// What differs between a build that went well and the one that is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildDifference {
    /// The run of the build that went well.
    pub run: RunId,
    /// The host for which that was built.
    pub host: String,
    /// When it had been built.
    pub at: Timestamp,
    /// Its name with its version; none where the package was built more than once.
    pub name: Option<String>,
    /// How many lines only the build has that is looked at.
    pub added: u64,
    /// How many lines only the other one has.
    pub missing: u64,
    /// What differs, with a few equal lines around it.
    pub rows: Vec<DifferenceRow>,
    /// How many rows more there are.
    pub more: u64,
    /// How many lines of each build were compared, the last ones, where not all were.
    pub only_last: Option<u64>,
    /// Whether it took too long to find all lines that are equal.
    pub is_rough: bool,
}

/// A line of a difference, or how many lines are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DifferenceRow {
    /// Which of the builds has it.
    pub kind: DifferenceKind,
    /// The line, printable; none where lines are left out.
    pub text: Option<String>,
    /// How many lines it stands for.
    pub lines: u64,
}

/// Which of two builds has a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DifferenceKind {
    /// Both.
    Equal,
    /// The one that is looked at.
    Added,
    /// The other one.
    Missing,
}

/// Which rows are taken out of the pane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowsTaken {
    /// These.
    Rows(Range<u64>),
    /// The line that says what went wrong at this row, or else the nearest before or behind it, with
    /// the lines around it.
    AroundTrouble(u64),
}
