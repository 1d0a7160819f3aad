//! What stands in a block of a host's log.

use crate::fleet::{Phase, RawLogLine};
use crate::nix::activity::derivation_in;
use crate::record::runs::index::IndexEntry;
use crate::record::runs::level::{LevelCounts, LineLevel, output_of};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Of how many packages, and of how many derivations, the names are noted at most.
const NAMES: usize = 64;

/// What stands in a block of lines of a log: whoever looks for something need not read those that do
/// not have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogBlock {
    /// How long the lines are together, in bytes.
    pub bytes: u64,
    /// How many lines there are.
    pub lines: u64,
    /// When the newest of them was; none where none says it.
    pub until: Option<Timestamp>,
    /// How many there are of each level.
    pub levels: LevelCounts,
    /// The packages of which there is output, such as `firefox`; none where they are too many.
    pub packages: Option<BTreeSet<String>>,
    /// The derivations that other lines name, without the folder; none where they are too many.
    pub derivations: Option<BTreeSet<String>>,
}

/// A block that is not full yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OpenBlock {
    /// The number of its first line, and where that begins.
    line: u64,
    offset: u64,
    at: Option<Timestamp>,
    phase: Option<Phase>,
    found: LogBlock,
}

impl OpenBlock {
    /// Begins a block.
    pub(super) fn new(line: u64, offset: u64) -> Self {
        let names = || Some(BTreeSet::new());
        let found = LogBlock {
            bytes: 0,
            lines: 0,
            until: None,
            levels: LevelCounts::default(),
            packages: names(),
            derivations: names(),
        };
        Self { line, offset, at: None, phase: None, found }
    }

    /// Returns how many bytes it has.
    pub(super) fn bytes(&self) -> u64 {
        self.found.bytes
    }

    /// Takes the next line.
    pub(super) fn take(&mut self, line: &[u8]) {
        let raw = RawLogLine::read(line);
        if self.found.lines == 0 {
            (self.at, self.phase) = (raw.at, raw.phase);
        }
        self.found.until = self.found.until.max(raw.at);
        self.found.lines += 1;
        self.found.bytes += line.len() as u64;
        let text = String::from_utf8_lossy(raw.text);
        self.found.levels.add(LineLevel::of(raw.phase, &text));
        if let Some((package, _)) = output_of(&text) {
            note(&mut self.found.packages, package);
        } else if let Some(drv) = derivation_in(&text) {
            note(&mut self.found.derivations, drv.rsplit('/').next().unwrap_or_default());
        }
    }

    /// Takes a line of so many bytes of which nothing is known.
    pub(super) fn take_unknown(&mut self, bytes: u64) {
        self.found.lines += 1;
        self.found.bytes += bytes;
        self.found.levels.add(LineLevel::Message);
    }

    /// Returns the entry of the index.
    pub(super) fn close(self) -> IndexEntry {
        let Self { line, offset, at, phase, found } = self;
        IndexEntry { line, offset, at, phase, block: Some(found) }
    }
}

/// Notes a name as long as they are few.
fn note(names: &mut Option<BTreeSet<String>>, name: &str) {
    if let Some(known) = names
        && !known.contains(name)
    {
        known.insert(name.to_owned());
        if known.len() > NAMES {
            *names = None;
        }
    }
}
