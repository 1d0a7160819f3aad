//! The last lines of a build's output, as they came: untrusted until somebody makes them printable.

use super::telling::begin;
use crate::fleet::printable_line;
use std::collections::VecDeque;

/// How many lines are kept of each build.
const LINES: usize = 25;

/// Longest line that is kept, in bytes; what is longer is cut and ends in `…`.
const LIMIT: usize = 4096;

/// The last lines. Once full it takes a line without asking for memory: the place of the first is
/// used again.
#[derive(Clone, Debug, Default)]
pub(super) struct OutputTail {
    lines: VecDeque<String>,
}

impl OutputTail {
    /// Takes the next line.
    pub(super) fn push(&mut self, line: &str) {
        let mut place = if self.lines.len() < LINES {
            String::new()
        } else {
            self.lines.pop_front().unwrap_or_default()
        };
        place.clear();
        let line = last_state(line);
        let kept = begin(line, LIMIT);
        place.push_str(kept);
        if kept.len() < line.len() {
            place.push('…');
        }
        self.lines.push_back(place);
    }

    /// Returns the last line that is not blank, untrusted.
    pub(super) fn last(&self) -> Option<&str> {
        self.lines.iter().rev().map(String::as_str).find(|line| !line.trim_ascii().is_empty())
    }

    /// Returns the lines, printable, the oldest first.
    pub(super) fn printable(&self) -> impl Iterator<Item = String> {
        self.lines.iter().map(|line| printable_line(line))
    }
}

/// Returns what a line shows at its end, where a program wrote over it with `\r`.
fn last_state(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n']).rsplit('\r').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_as_they_were_shown_at_their_end() {
        let mut tail = OutputTail::default();
        (0..100).for_each(|number| tail.push(&format!("line {number}")));
        tail.push("10 %\r50 %\r100 %\r\n");
        tail.push("\u{1b}]0;title\u{7}red");
        let lines: Vec<String> = tail.printable().collect();
        assert_eq!(lines.len(), LINES);
        assert_eq!(lines[0], "line 77");
        assert_eq!(lines[LINES - 2..], ["100 %", "red"]);
        tail.push(" \t");
        tail.push("");
        assert_eq!(tail.last(), Some("\u{1b}]0;title\u{7}red"));
    }

    #[test]
    fn a_huge_line_is_cut_with_a_mark() {
        let mut tail = OutputTail::default();
        tail.push(&"ü".repeat(1 << 20));
        let lines: Vec<String> = tail.printable().collect();
        assert_eq!(lines[0].len(), LIMIT + '…'.len_utf8());
        assert!(lines[0].ends_with('…'));
    }
}
