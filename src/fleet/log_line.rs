//! A line of a host's log, and how it stands in the log's file.
//!
//! ```text
//! 2026-11-21T12:04:22.417Z fetch       copying path '/nix/store/8f…-linux-6.12.58' from 'http://p620:5000'
//! 2026-11-21T12:04:23.002Z             1204 log lines were removed from the middle of the record, because …
//! ```
//!
//! Times have milliseconds. One without them is known to the second only: a host noted it while nobody read.
//!
//! Its text is plain, so that it is found by whoever searches the file. Behind it and a tab stands which
//! build it is the output of (`@` and a [`BuildTag`]), and its colours as [`LineColours`] writes them; a
//! printable text has no tab.

use crate::fleet::{BuildTag, LineColours, Phase, printable_line};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Columns of a phase in the file.
const PHASE: usize = 11;

/// What stands between the text of a line and what is known of it besides.
const BEHIND: u8 = b'\t';

/// What a tag of a build begins with.
const BUILD: u8 = b'@';

/// One line of a host's log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it came; none where the file does not say.
    pub at: Option<Timestamp>,
    /// The phase it belongs to; none of a line that tells of the log itself.
    pub phase: Option<Phase>,
    /// The line, printable.
    pub text: String,
    /// The build whose output it is; none where it is none, or that is not known.
    #[serde(skip)]
    pub build: Option<BuildTag>,
    /// Its colours.
    #[serde(skip)]
    pub colours: LineColours,
}

impl LogLine {
    /// Returns a line without colours, and of no build.
    pub fn plain(at: Option<Timestamp>, phase: Option<Phase>, text: impl Into<String>) -> Self {
        Self { at, phase, text: text.into(), build: None, colours: LineColours::default() }
    }

    /// Returns the line as it stands in the log's file, with its end.
    pub fn written(&self) -> String {
        let build = self.build.map(|build| format!("@{build}"));
        let colours = Some(self.colours.written()).filter(|colours| !colours.is_empty());
        let behind: Vec<String> = build.into_iter().chain(colours).collect();
        let tab = if behind.is_empty() { "" } else { "\t" };
        format!("{}{}{tab}{}\n", self.head(), self.text, behind.join(" "))
    }

    /// Returns what stands in the log's file before the text.
    pub fn head(&self) -> String {
        let at = self.at.map(|at| {
            let is_whole = at.subsec_millisecond() == 0;
            let format = if is_whole { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S%.3fZ" };
            at.strftime(format).to_string()
        });
        let phase = self.phase.map_or("", Phase::word);
        format!("{} {phase:<PHASE$} ", at.unwrap_or_default())
    }

    /// Reads a line of the log's file. The file may come from anywhere: what is returned is printable,
    /// and a line of another shape is all text.
    pub fn read(line: &[u8]) -> Self {
        let raw = RawLogLine::read(line);
        let text = printable_line(&String::from_utf8_lossy(raw.text));
        let colours = LineColours::read(raw.colours, &text);
        Self { at: raw.at, phase: raw.phase, text, build: raw.build, colours }
    }
}

/// A line of a log's file, of which the text is not yet fit to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawLogLine<'a> {
    /// When it came; none where the file does not say.
    pub at: Option<Timestamp>,
    /// The phase it belongs to; none of a line that tells of the log itself.
    pub phase: Option<Phase>,
    /// The line, untrusted.
    pub text: &'a [u8],
    /// At which byte of the line in the file that begins.
    pub begin: usize,
    /// The build whose output it is; none where it is none, or that is not known.
    pub build: Option<BuildTag>,
    /// Its colours as they stand in the file, for [`LineColours::read`].
    pub colours: &'a [u8],
}

impl<'a> RawLogLine<'a> {
    /// Takes a line of the log's file apart; one of another shape is all text.
    pub fn read(line: &'a [u8]) -> Self {
        let ends = line.iter().rev().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        let line = &line[..line.len() - ends];
        let known =
            memchr::memrchr(BEHIND, line).and_then(|at| Some((at, read_behind(&line[at + 1..])?)));
        let (line, build, colours) = match known {
            Some((at, (build, colours))) => (&line[..at], build, colours),
            None => (line, None, &[][..]),
        };
        let (word, rest) = split(line, b' ');
        let at = std::str::from_utf8(word).ok().and_then(|word| word.parse().ok());
        match (at, rest) {
            (Some(at), Some(rest)) => {
                let (phase, text) = read_phase(rest);
                let begin = line.len() - text.len();
                Self { at: Some(at), phase, text, begin, build, colours }
            }
            _ => Self { at: None, phase: None, text: line, begin: 0, build, colours },
        }
    }
}

/// Reads what stands behind a tab: the build, and the colours; none where it is a part of the text.
fn read_behind(behind: &[u8]) -> Option<(Option<BuildTag>, &[u8])> {
    let (build, colours) = match behind.strip_prefix(&[BUILD]) {
        Some(behind) => {
            let (tag, rest) = split(behind, b' ');
            (Some(BuildTag::read(tag)?), rest.unwrap_or_default())
        }
        None => (None, behind),
    };
    let is_of_colours = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b' ' | b':' | b';');
    let is_known = !behind.is_empty() && colours.iter().all(is_of_colours);
    is_known.then_some((build, colours))
}

/// Returns what stands before a byte, and what behind it; none where it is nowhere.
fn split(text: &[u8], byte: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|found| *found == byte) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// Returns the phase that a line begins with after its time, and the text behind it.
fn read_phase(rest: &[u8]) -> (Option<Phase>, &[u8]) {
    let (word, _) = split(rest, b' ');
    let phase = Phase::ALL.into_iter().find(|phase| phase.word().as_bytes() == word);
    let columns = word.len().max(PHASE);
    let (before, text) = (rest.get(word.len()..columns), rest.get(columns..));
    let is_padded = before.is_some_and(|pad| pad.iter().all(|byte| *byte == b' '));
    match text.and_then(|text| text.strip_prefix(b" ")) {
        Some(text) if is_padded && (phase.is_some() || word.is_empty()) => (phase, text),
        Some(_) | None => (None, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::printable_coloured;

    fn line(phase: Option<Phase>, text: &str) -> LogLine {
        LogLine::plain("2026-11-21T12:04:22Z".parse().ok(), phase, text)
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let phases = Phase::ALL.into_iter().map(Some).chain([None]);
        for phase in phases {
            for text in ["", "copying path", "  indented", "build       as in a log", "ümlaut …"]
            {
                let line = line(phase, text);
                assert_eq!(LogLine::read(line.written().as_bytes()), line);
            }
        }
        let line = line(Some(Phase::Build), "hello");
        assert_eq!(line.written(), "2026-11-21T12:04:22Z build       hello\n");
    }

    #[test]
    fn times_have_milliseconds_where_they_are_known() {
        for (at, written) in [
            ("2026-11-21T12:04:22.417999Z", "2026-11-21T12:04:22.417Z build       a\n"),
            ("2026-11-21T12:04:22.007Z", "2026-11-21T12:04:22.007Z build       a\n"),
            ("2026-11-21T12:04:22Z", "2026-11-21T12:04:22Z build       a\n"),
        ] {
            let line = LogLine { at: at.parse().ok(), ..line(Some(Phase::Build), "a") };
            assert_eq!(line.written(), written);
            let read = LogLine::read(written.as_bytes());
            assert_eq!((read.written().as_str(), read.text.as_str()), (written, "a"));
        }
    }

    #[test]
    fn colours_stand_behind_the_text_and_are_no_part_of_it() {
        let (text, colours) = printable_coloured("cc> \u{1b}[1;31mer\u{1b}[4mror\u{1b}[0m: no");
        let line = LogLine { colours, ..line(Some(Phase::Build), &text) };
        let written = line.written();
        assert_eq!(
            written,
            "2026-11-21T12:04:22Z build       cc> error: no\t4:1;31 6:1;4;31 9:0\n"
        );
        assert_eq!(LogLine::read(written.as_bytes()), line);
        let raw = RawLogLine::read(written.as_bytes());
        assert_eq!((raw.text, raw.begin), (&b"cc> error: no"[..], line.head().len()));
        // Which build it is of stands before them, or alone.
        for (colours, behind) in
            [(line.colours.clone(), " 4:1;31 6:1;4;31 9:0"), (LineColours::default(), "")]
        {
            let build = BuildTag::of_derivation("0c0p5y9yl1vkdlnxhrrjaqqlbhsgbpgj");
            let line = LogLine { build, colours, ..line.clone() };
            let written = line.written();
            assert!(written.ends_with(&format!("error: no\t@0c0p5y9y{behind}\n")), "{written}");
            assert_eq!(LogLine::read(written.as_bytes()), line);
        }
        // A tab of somebody else is a part of the text.
        let other = LogLine::read(b"2026-11-21T12:04:22Z build       a\tb 1");
        assert_eq!((other.text.as_str(), other.colours.is_empty()), ("a b 1", true));
    }

    #[test]
    fn lines_of_another_shape_are_all_text_and_printable() {
        for (file, text) in [
            ("no time at all", "no time at all"),
            ("", ""),
            ("2026-11-21T12:04:22Z 7 log lines are missing", "7 log lines are missing"),
            ("2026-11-21T12:04:22Z fetching it", "fetching it"),
            ("2026-11-21T12:04:22Z build", "build"),
            ("2026-11-21T12:04:22Z build       \u{1b}[31mred\u{7}", "red"),
            ("torn\u{1b}]0;title\u{7} line", "torn line"),
        ] {
            assert_eq!(LogLine::read(file.as_bytes()).text, text, "{file}");
        }
        assert_eq!(LogLine::read(b"\xff\xfe").text, "\u{fffd}\u{fffd}");
    }
}
