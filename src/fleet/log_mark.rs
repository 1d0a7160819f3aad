//! When an output was how long: Nix's internal-json has no times, so they are noted beside it.

use jiff::Timestamp;

/// When an output was so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogMark {
    /// How many bytes it had.
    pub offset: u64,
    /// When, by the clock of this machine.
    pub at: Timestamp,
}

impl LogMark {
    /// Returns whether it says more than the mark before it: marks grow in both.
    pub fn follows(&self, before: Option<&Self>) -> bool {
        before.is_none_or(|before| self.offset > before.offset && self.at >= before.at)
    }

    /// Returns when the line was written that ends before this byte, by marks of which the oldest comes
    /// first; none where it was written after the last of them.
    pub fn written_at(marks: &[Self], end: u64) -> Option<Timestamp> {
        let place = marks.partition_point(|mark| mark.offset < end);
        marks.get(place).map(|mark| mark.at)
    }
}
