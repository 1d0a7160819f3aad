//! What is kept of an output while it is read: everything, its beginning, or its first and last lines.
//!
//! Whoever wrote a program into hosts.toml decides how much it prints. All of it is read, so that the
//! program is not held up, and what is kept has a bound.

use super::lines::{LineSplitter, ReadLine};
use std::collections::VecDeque;

/// Most lines that are kept of the beginning of an output, and as many of its end.
const LINES: usize = 100;

/// Most bytes that are kept of each of these lines: of all of them together some 400 kB.
const LINE_BYTES: usize = 2048;

/// How much of what a program prints is kept, of its standard output and of its standard error each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// All of it.
    #[default]
    All,
    /// Its first bytes.
    First(usize),
    /// Its first and its last lines, between them a line that says how many were left out.
    Ends,
}

/// An output that is read.
#[derive(Debug)]
pub(super) struct KeptOutput {
    keep: Keep,
    bytes: Vec<u8>,
    lines: LineSplitter,
    first: Vec<String>,
    last: VecDeque<String>,
    left_out: u64,
}

impl KeptOutput {
    /// Begins to keep an output.
    pub(super) fn new(keep: Keep) -> Self {
        Self {
            keep,
            bytes: Vec::new(),
            lines: LineSplitter::keeping(LINE_BYTES),
            first: Vec::new(),
            last: VecDeque::new(),
            left_out: 0,
        }
    }

    /// Takes the next piece of the output.
    pub(super) fn take(&mut self, mut piece: &[u8]) {
        match self.keep {
            Keep::All => self.bytes.extend_from_slice(piece),
            Keep::First(most) => {
                let room = most.saturating_sub(self.bytes.len());
                self.bytes.extend_from_slice(&piece[..piece.len().min(room)]);
            }
            Keep::Ends => {
                while let Some(line) = self.lines.next(&mut piece) {
                    let text = line.text().into_owned();
                    self.take_line(text);
                }
            }
        }
    }

    /// Keeps a line; when there are too many, the oldest of the last ones is left out.
    fn take_line(&mut self, line: String) {
        if self.first.len() < LINES {
            self.first.push(line);
            return;
        }
        self.last.push_back(line);
        if self.last.len() > LINES {
            self.last.pop_front();
            self.left_out += 1;
        }
    }

    /// Returns what was kept.
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        if self.keep != Keep::Ends {
            return self.bytes;
        }
        if let Some(rest) = self.lines.rest().as_ref().map(ReadLine::text) {
            self.take_line(rest.into_owned());
        }
        let mut out = String::new();
        let left_out = match self.left_out {
            0 => None,
            1 => Some("… (1 line was left out here)".to_owned()),
            many => Some(format!("… ({many} lines were left out here)")),
        };
        for line in self.first.into_iter().chain(left_out).chain(self.last) {
            out.push_str(&line);
            out.push('\n');
        }
        out.into_bytes()
    }
}

/// Returns the first and the last lines of a text, as [`Keep::Ends`] keeps them.
pub fn ends_of(text: &str) -> String {
    let mut kept = KeptOutput::new(Keep::Ends);
    kept.take(text.as_bytes());
    String::from_utf8_lossy(&kept.into_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(keep: Keep, pieces: &[&str]) -> String {
        let mut kept = KeptOutput::new(keep);
        for piece in pieces {
            kept.take(piece.as_bytes());
        }
        String::from_utf8(kept.into_bytes()).unwrap()
    }

    #[test]
    fn a_short_output_is_kept_whole() {
        assert_eq!(kept(Keep::Ends, &["on", "e\ntw", "o"]), "one\ntwo\n");
        assert_eq!(kept(Keep::All, &["on", "e\n"]), "one\n");
        assert_eq!(kept(Keep::Ends, &[]), "");
    }

    #[test]
    fn of_a_long_output_the_first_and_the_last_lines_are_kept() {
        let all = (1..=1000).map(|number| format!("{number}\n")).collect::<Vec<_>>().concat();
        let kept = kept(Keep::Ends, &[&all]);
        let lines: Vec<&str> = kept.lines().collect();
        assert_eq!((lines.len(), lines[0], lines[99]), (201, "1", "100"));
        assert_eq!(lines[100], "… (800 lines were left out here)");
        assert_eq!((lines[101], lines[200]), ("901", "1000"));
    }

    #[test]
    fn a_line_without_end_takes_little_room() {
        let mut kept = KeptOutput::new(Keep::Ends);
        let piece = vec![b'x'; 1 << 16];
        (0..64).for_each(|_| kept.take(&piece));
        let text = String::from_utf8(kept.into_bytes()).unwrap();
        assert!(text.len() < 2 * LINE_BYTES, "{}", text.len());
        assert!(text.contains("the first 2048 of 4194304 bytes"), "{text}");
    }

    #[test]
    fn of_an_output_whose_beginning_is_kept_nothing_else_is() {
        assert_eq!(kept(Keep::First(5), &["abc", "def", "ghi"]), "abcde");
    }
}
