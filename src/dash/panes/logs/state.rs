//! What the pane knows: how the log is looked at, and the few rows of it that are in sight.

use crate::dash::input::LineInput;
use crate::dash::panes::logs::activity::ActivityShown;
use crate::dash::panes::logs::asked::{
    BuildCompared, BuildLines, ComparedBuild, LineAt, LineLevels, PaneRow, PaneWanted, RowSearch,
    RowsOf, RowsShown,
};
use crate::dash::panes::logs::pattern::LinePattern;
use crate::fleet::RunId;
use crate::nix::activity::BuildState;
use std::collections::BTreeSet;
use std::ops::Range;

/// What of a host's run is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFace {
    /// What was said.
    #[default]
    Log,
    /// What Nix builds.
    Builds,
    /// What Nix copies.
    Transfers,
    /// What a build printed that the last good one of the package did not, and the other way round.
    Compared,
}

impl LogFace {
    /// Returns the one that is shown next.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Log => Self::Builds,
            Self::Builds => Self::Transfers,
            Self::Transfers | Self::Compared => Self::Log,
        }
    }

    /// Returns its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Builds => "builds",
            Self::Transfers => "transfers",
            Self::Compared => "compared",
        }
    }
}

/// Which time stands before a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeShown {
    /// The time of day.
    #[default]
    Clock,
    /// The time since the run began.
    SinceStart,
    /// The time since the line before.
    SincePrevious,
}

impl TimeShown {
    /// Returns the one that is shown next.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Clock => Self::SinceStart,
            Self::SinceStart => Self::SincePrevious,
            Self::SincePrevious => Self::Clock,
        }
    }
}

/// Which rows are in sight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PanePlace {
    /// The newest.
    #[default]
    Follow,
    /// Those around a line whose row is not known yet.
    Seek(LineAt),
    /// Those from a row on.
    At {
        /// The first row in sight.
        top: u64,
        /// The row that keys act on.
        cursor: u64,
    },
}

/// What is typed in the footer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTyping {
    /// What to look for.
    Find {
        /// What was typed.
        input: LineInput,
        /// Whether it is a regular expression.
        is_regex: bool,
    },
    /// The name of a file to save the rows in.
    Save {
        /// What was typed.
        input: LineInput,
    },
}

/// How many rows match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedRows {
    /// What.
    pub pattern: LinePattern,
    /// Of which rows.
    pub of: RowsOf,
    /// How many match.
    pub rows: u64,
    /// Bytes that were read, of how many.
    pub read: Range<u64>,
}

/// A build that is compared with the last good one of its package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildComparison {
    /// Which.
    pub asked: BuildCompared,
    /// What was shown before.
    pub before: LogFace,
    /// What came of it; none until it comes.
    pub found: Option<ComparedBuild>,
    /// The row that is selected.
    pub row: usize,
}

/// How logs are looked at, and what of them is in sight.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogPane {
    /// What is shown.
    pub face: LogFace,
    /// Whether the logs of all hosts of the run are shown as one.
    pub all_hosts: bool,
    /// The build whose lines are shown alone, and what was shown before it was chosen.
    pub alone: Option<(BuildLines, LogFace)>,
    /// Which lines matter enough.
    pub levels: LineLevels,
    /// Whether equal lines that follow each other are one row.
    pub folds: bool,
    /// Whether long lines are wrapped.
    pub wrap: bool,
    /// How many columns of long lines are left out at the left.
    pub sideways: usize,
    /// Which time stands before a line.
    pub time: TimeShown,
    /// What is looked for.
    pub pattern: LinePattern,
    /// What was looked for last, to be looked for again.
    pub last_pattern: LinePattern,
    /// Whether lines that do not match are hidden.
    pub only_matching: bool,
    /// What is typed.
    pub typing: Option<LogTyping>,
    /// Which rows are in sight.
    pub place: PanePlace,
    /// The other end of what is selected; the cursor is at this one.
    pub anchor: Option<u64>,
    /// Lines that were marked: run, host, line.
    pub marks: BTreeSet<(String, String, u64)>,
    /// The rows that are known.
    pub shown: Option<RowsShown>,
    /// How many rows match.
    pub counted: Option<CountedRows>,
    /// What is being looked for, and the share of the logs in which it was.
    pub search: Option<(RowSearch, f32)>,
    /// Whether it is looked for from the other end of the log, since nothing was found up to this one.
    pub has_turned: bool,
    /// Whether nobody asked for the search, so that one in vain says nothing.
    pub is_unasked: bool,
    /// The number of the last search.
    pub searches: u64,
    /// What Nix does for a host of a run.
    pub activity: Option<(RunId, String, Box<ActivityShown>)>,
    /// The build that is compared with the last good one.
    pub compared: Option<BuildComparison>,
    /// The derivation that is selected, by its path.
    pub build: Option<String>,
    /// The copy that is selected.
    pub transfer: usize,
    /// The host whose failure was shown when its log was opened.
    pub failure_of: Option<(RunId, String)>,
    /// What was asked for last.
    pub asked: Option<Box<PaneWanted>>,
}

impl LogPane {
    /// Returns whether the lines of all hosts of the run are shown: what Nix builds and copies is shown of one.
    pub fn shows_all_hosts(&self) -> bool {
        self.all_hosts && self.face == LogFace::Log
    }

    /// Forgets what belongs to the host that was shown.
    pub fn leave_host(&mut self) {
        self.alone = None;
        self.leave_comparison();
        self.shown = None;
        // The same rows are asked for once more, where another choice of hosts comes to the same.
        self.asked = None;
        self.counted = None;
        self.activity = None;
        self.build = None;
        self.transfer = 0;
        self.failure_of = None;
        self.go_to(PanePlace::Follow);
    }

    /// Shows again what was shown before a build was compared; returns whether one was.
    pub fn leave_comparison(&mut self) -> bool {
        let before = self.compared.take().map(|compared| compared.before);
        let was_shown = self.face == LogFace::Compared;
        if was_shown {
            self.face = before.unwrap_or_default();
        }
        was_shown
    }

    /// Shows other rows; what was selected or looked for is forgotten.
    pub fn go_to(&mut self, place: PanePlace) {
        self.place = place;
        self.anchor = None;
        self.search = None;
    }

    /// Keeps the line at the cursor in sight, since other lines are rows now.
    pub fn hold_line(&mut self) {
        let line = self.at_cursor().map(|row| row.place);
        match (self.place, line) {
            (PanePlace::At { .. }, Some(line)) => self.go_to(PanePlace::Seek(line)),
            (PanePlace::At { .. }, None) => self.go_to(PanePlace::Follow),
            (PanePlace::Follow | PanePlace::Seek(_), _) => self.go_to(self.place),
        }
    }

    /// Returns a row that is known.
    pub fn row(&self, number: u64) -> Option<&PaneRow> {
        let shown = self.shown.as_ref()?;
        let index = number.checked_sub(shown.first)?;
        shown.shown.get(usize::try_from(index).ok()?)
    }

    /// Returns how many rows there are.
    pub fn rows(&self) -> u64 {
        self.shown.as_ref().map_or(0, |shown| shown.rows)
    }

    /// Returns the row that keys act on; while the newest are followed, the last one.
    pub fn cursor(&self) -> Option<u64> {
        match self.place {
            PanePlace::Follow => self.rows().checked_sub(1),
            PanePlace::At { cursor, .. } => Some(cursor),
            PanePlace::Seek(_) => None,
        }
    }

    /// Returns what stands in the row that keys act on.
    pub fn at_cursor(&self) -> Option<&PaneRow> {
        self.row(self.cursor()?)
    }

    /// Returns the rows that are selected: at least the one that keys act on.
    pub fn selected(&self) -> Option<Range<u64>> {
        let cursor = self.cursor()?;
        let anchor = self.anchor.unwrap_or(cursor);
        Some(anchor.min(cursor)..anchor.max(cursor) + 1)
    }

    /// Returns the line that is typed.
    pub fn input(&self) -> Option<&LineInput> {
        match self.typing.as_ref()? {
            LogTyping::Find { input, .. } | LogTyping::Save { input } => Some(input),
        }
    }

    /// Looks for nothing any more; all lines are shown again.
    pub fn forget_pattern(&mut self) {
        self.pattern = LinePattern::default();
        self.only_matching = false;
    }

    /// Returns what is looked for now: what is typed, or what was.
    pub fn pattern_now(&self) -> LinePattern {
        match &self.typing {
            Some(LogTyping::Find { input, is_regex }) => {
                LinePattern { text: input.text().to_owned(), is_regex: *is_regex }
            }
            Some(LogTyping::Save { .. }) | None => self.pattern.clone(),
        }
    }

    /// Returns what Nix does for a host of a run, when it is known.
    pub fn activity_of(&self, run: &RunId, host: &str) -> Option<&ActivityShown> {
        let (known_run, known_host, shown) = self.activity.as_ref()?;
        (known_run == run && known_host == host).then_some(shown)
    }

    /// Returns which of the derivations is selected: where none was, the first that failed, or that is
    /// built.
    pub fn build_index(&self) -> usize {
        let Some((_, _, shown)) = &self.activity else { return 0 };
        let chosen = shown.builds.iter().position(|row| Some(&row.drv) == self.build.as_ref());
        let of = |state: BuildState| shown.builds.iter().position(|row| row.state == state);
        chosen.or(of(BuildState::Failed)).or(of(BuildState::Running)).unwrap_or_default()
    }

    /// Returns the lines of the derivation that is selected among the builds.
    pub fn selected_build(&self) -> Option<BuildLines> {
        let (_, _, shown) = self.activity.as_ref()?;
        let row = shown.builds.get(self.build_index())?;
        Some(BuildLines::of_derivation(&row.drv, &row.package))
    }
}
