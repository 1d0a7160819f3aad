//! What is damaged in the file of an exported run, of which the rest is shown.

/// How many damaged lines of a file are named.
const DAMAGES_TOLD: usize = 5;

/// Something that is damaged in the file of an exported run. Its lines are counted as `zcat` shows them, from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportDamage {
    /// The file ends too soon.
    #[error("it is cut short: what came behind line {after} is missing; copy the file once more")]
    Cut {
        /// The last whole line.
        after: u64,
    },
    /// What is compressed is no text any more.
    #[error(
        "it cannot be decompressed behind line {after}, and what came there is missing; copy the file once more"
    )]
    Corrupt {
        /// The last line that could be read.
        after: u64,
    },
    /// A line is something else.
    #[error("line {line} is not one that nixdash wrote, and is left out")]
    NoLine {
        /// The line.
        line: u64,
    },
    /// A line of a file of the run is something else.
    #[error("line {line} (of {file}) is no JSON, and is left out")]
    NoDocument {
        /// The line.
        line: u64,
        /// The file of the run.
        file: String,
    },
    /// Lines were lost, or added.
    #[error(
        "its end counts {written} lines of the run, and {read} are there: which are missing or were added is not known"
    )]
    Counted {
        /// How many were written.
        written: u64,
        /// How many are there.
        read: u64,
    },
    /// The checksum behind the end is not that of the text.
    #[error("its checksum is wrong: something in it has changed since it was written")]
    Changed,
    /// More lines than are named.
    #[error("{lines} more of its lines cannot be read, and are left out")]
    More {
        /// How many.
        lines: u64,
    },
}

impl ExportDamage {
    /// Returns whether it is one of a single line, of which there may be any number.
    fn is_of_a_line(&self) -> bool {
        match self {
            Self::NoLine { .. } | Self::NoDocument { .. } => true,
            Self::Cut { .. }
            | Self::Corrupt { .. }
            | Self::Counted { .. }
            | Self::Changed
            | Self::More { .. } => false,
        }
    }
}

/// What is damaged in a file, the first few in full.
#[derive(Default)]
pub(super) struct Damages {
    told: Vec<ExportDamage>,
    more: u64,
}

impl Damages {
    /// Notes damage; of lines that cannot be read the first few in full.
    pub(super) fn add(&mut self, damage: ExportDamage) {
        if damage.is_of_a_line() && self.told.len() >= DAMAGES_TOLD {
            self.more += 1;
        } else {
            self.told.push(damage);
        }
    }

    /// Returns all of it.
    pub(super) fn all(mut self) -> Vec<ExportDamage> {
        if self.more > 0 {
            self.told.push(ExportDamage::More { lines: self.more });
        }
        self.told
    }
}
