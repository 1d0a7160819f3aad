//! How lines of logs are printed: as text or as JSON Lines, in pieces, and never much later than they
//! were found.

use crate::cli::logs::merge::SeenLine;
use crate::cli::{CliError, json, print};
use crate::fleet::{
    Goal, LineColours, Phase, RunEvent, RunId, RunWhat, printable_json, printable_line,
};
use jiff::Timestamp;
use serde::Serialize;
use std::io::{BufWriter, Write};
use std::time::{Duration, Instant};

/// How many bytes are written at once.
const PIECE: usize = 64 * 1024;

/// How long a line waits at most for others to be written with.
const LATEST: Duration = Duration::from_millis(100);

/// In which colours hosts' names stand, one after the other: cyan, green, yellow, blue, magenta, and
/// their bright ones.
const COLOURS: [u8; 10] = [36, 32, 33, 34, 35, 96, 92, 93, 94, 95];

/// How lines are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// As text.
    Text {
        /// The width of the hosts' names before each line; none where no name is needed.
        names: Option<usize>,
        /// Whether names and texts have colours.
        has_colours: bool,
    },
    /// As `deploy --json` prints them.
    Json,
}

/// A line as JSON: an event of its run. Neither time nor phase is known of every line.
#[derive(Serialize)]
struct LineJson<'a> {
    run: &'a RunId,
    at: Option<Timestamp>,
    event: &'static str,
    host: &'a str,
    phase: Option<Phase>,
    line: &'a str,
}

/// Columns of a time without milliseconds, and how many more one with them has.
const WHOLE_SECOND: usize = "1970-01-01T00:00:00Z".len();
const MILLISECONDS: &[u8] = b"    ";

/// Takes what stands before a line apart, so that a time which is known to the second only is as wide as others.
fn as_wide(head: &[u8]) -> (&[u8], &'static [u8], &[u8]) {
    let is_whole = head.get(WHOLE_SECOND - 1) == Some(&b'Z');
    let (time, rest) = head.split_at(if is_whole { WHOLE_SECOND } else { 0 });
    (time, if is_whole { MILLISECONDS } else { b"" }, rest)
}

/// Prints lines of one run.
pub(super) struct LinePrinter<'a, W: Write> {
    run: &'a RunId,
    style: Style,
    out: BufWriter<W>,
    /// How many lines were printed.
    printed: u64,
    /// When what was printed was written last.
    written_at: Instant,
}

impl<'a, W: Write> LinePrinter<'a, W> {
    /// Prints to `out`.
    pub(super) fn new(run: &'a RunId, style: Style, out: W) -> Self {
        let out = BufWriter::with_capacity(PIECE, out);
        Self { run, style, out, printed: 0, written_at: Instant::now() }
    }

    /// Returns how many lines were printed.
    pub(super) fn printed(&self) -> u64 {
        self.printed
    }

    /// Returns whether colours are shown.
    pub(super) fn has_colours(&self) -> bool {
        matches!(self.style, Style::Text { has_colours: true, .. })
    }

    /// Prints a line of the log at a place, with its text made printable.
    pub(super) fn line(
        &mut self,
        place: usize,
        seen: SeenLine<'_>,
        text: &str,
        colours: &LineColours,
    ) -> Result<(), CliError> {
        let SeenLine { host, at, phase, head } = seen;
        match self.style {
            Style::Text { names, has_colours } => {
                if let Some(width) = names {
                    self.name(place, host, width, has_colours)?;
                }
                let (time, padding, rest) = as_wide(head);
                self.out.write_all(time)?;
                self.out.write_all(padding)?;
                self.out.write_all(rest)?;
                let text = if has_colours { colours.painted(text) } else { text.into() };
                self.out.write_all(text.as_bytes())?;
            }
            Style::Json => {
                let line = LineJson { run: self.run, at, event: "log", host, phase, line: text };
                serde_json::to_writer(&mut self.out, &line).map_err(std::io::Error::from)?;
            }
        }
        self.out.write_all(b"\n")?;
        self.printed += 1;
        // Whoever waits for the first one sees it at once.
        if self.printed == 1 { self.flush() } else { Ok(()) }
    }

    /// Prints the name of a host before a line.
    fn name(
        &mut self,
        place: usize,
        host: &str,
        width: usize,
        colour: bool,
    ) -> Result<(), CliError> {
        if colour {
            let colour = COLOURS[place % COLOURS.len()];
            write!(self.out, "\u{1b}[{colour}m{host:width$}\u{1b}[0m  ")?;
        } else {
            write!(self.out, "{host:width$}  ")?;
        }
        Ok(())
    }

    /// Prints how a host ended.
    pub(super) fn result(&mut self, event: &RunEvent) -> Result<(), CliError> {
        let RunWhat::Result { host, .. } = &event.what else { return Ok(()) };
        let text = match self.style {
            Style::Json => event_json(event),
            Style::Text { names, .. } => {
                let text = print::event(event, names.unwrap_or(host.len()), Goal::Switch, &[]);
                text.map(|text| text.lines().map(printable_line).collect::<Vec<_>>().join("\n"))
            }
        };
        if let Some(text) = text {
            writeln!(self.out, "{text}")?;
            self.printed += 1;
        }
        Ok(())
    }

    /// Prints as JSON what builds came to, and how long each derivation took: in the text of a log a
    /// sentence says it.
    pub(super) fn builds(&mut self, events: &[RunEvent]) -> Result<(), CliError> {
        if self.style == Style::Json {
            for text in events.iter().filter_map(event_json) {
                writeln!(self.out, "{text}")?;
            }
        }
        Ok(())
    }

    /// Writes what waits for longer than it should.
    pub(super) fn flush_late(&mut self) -> Result<(), CliError> {
        let is_late = !self.out.buffer().is_empty() && self.written_at.elapsed() >= LATEST;
        if is_late { self.flush() } else { Ok(()) }
    }

    /// Writes what waits.
    pub(super) fn flush(&mut self) -> Result<(), CliError> {
        self.written_at = Instant::now();
        Ok(self.out.flush()?)
    }
}

/// Returns an event as `deploy --json` prints it, made printable.
fn event_json(event: &RunEvent) -> Option<String> {
    let mut document = serde_json::from_str(&json::run_event(event)?).ok()?;
    printable_json(&mut document);
    Some(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_is_known_to_the_second_is_as_wide_as_others() {
        let printed = |head: &str| {
            let (time, padding, rest) = as_wide(head.as_bytes());
            String::from_utf8([time, padding, rest].concat()).unwrap()
        };
        let whole = printed("2026-11-28T02:02:52Z fetch       ");
        let other = printed("2026-11-28T02:02:52.050Z fetch       ");
        assert_eq!(whole, "2026-11-28T02:02:52Z     fetch       ");
        assert_eq!(whole.len(), other.len());
        assert_eq!(printed(" fetch       "), " fetch       ", "of a line without a time");
    }
}
