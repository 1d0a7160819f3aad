//! `status` on a terminal: what is known from before is shown at once, with its age, and replaced as
//! answers come. What was found in the end is printed by `status` itself.

use crate::cli::status::tables;
use crate::fleet::{Event, Fleet};
use crate::probe::Snapshot;
use jiff::Timestamp;
use std::io::{IsTerminal, Write};
use tokio::sync::mpsc::UnboundedReceiver;
use unicode_width::UnicodeWidthChar;

/// Returns whether tables can be drawn and taken away again on standard output.
pub(super) fn can_be_drawn() -> bool {
    let is_dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    std::io::stdout().is_terminal() && !is_dumb
}

/// Returns whether something was found of a host or tier before.
pub(super) fn is_something_known(known: &Snapshot) -> bool {
    known.hosts.iter().any(|(_, facts)| facts.measured_at.is_some())
        || known.tiers.iter().any(|(_, facts)| facts.measured_at.is_some())
}

/// Does something; shows meanwhile what is known, and what the news change of it.
pub(super) async fn showing<T>(
    what: &str,
    fleet: &Fleet,
    mut known: Snapshot,
    mut news: UnboundedReceiver<Event>,
    work: impl Future<Output = T>,
) -> T {
    tokio::pin!(work);
    let mut drawn = Drawn::default();
    loop {
        drawn.draw(&format!("{}\n{what}\n", tables(fleet, &known, Timestamp::now())));
        tokio::select! {
            done = &mut work => {
                drawn.clear();
                return done;
            }
            Some(event) = news.recv() => {
                take(fleet, &mut known, event);
                while let Ok(event) = news.try_recv() {
                    take(fleet, &mut known, event);
                }
            }
        }
    }
}

/// Puts something that was found in the place of what was known before.
fn take(fleet: &Fleet, known: &mut Snapshot, mut event: Event) {
    event.silence(&fleet.alarms, Timestamp::now());
    match event {
        Event::Host { host, facts } => {
            if let Some(place) = known.hosts.iter_mut().find(|(name, _)| *name == host) {
                place.1 = *facts;
            }
        }
        Event::Tier { tier, facts } => {
            if let Some(place) = known.tiers.iter_mut().find(|(name, _)| *name == tier) {
                place.1 = *facts;
            }
        }
        Event::Asking { .. }
        | Event::Store { .. }
        | Event::Coverage { .. }
        | Event::Next { .. }
        | Event::Run(_) => {}
    }
}

/// What stands on the terminal now.
#[derive(Default)]
struct Drawn {
    rows: usize,
}

impl Drawn {
    /// Draws a text in the place of the one before.
    fn draw(&mut self, text: &str) {
        let (columns, rows) = crossterm::terminal::size().unwrap_or((80, 24));
        let lines = fitted(text, usize::from(columns), usize::from(rows));
        let text = format!("{}{}\n", self.back(), lines.join("\n"));
        self.rows = lines.len();
        write(&text);
    }

    /// Takes away what was drawn.
    fn clear(&mut self) {
        write(&self.back());
        self.rows = 0;
    }

    /// Returns what leads back to the first line and removes everything from there on.
    fn back(&self) -> String {
        if self.rows == 0 { String::new() } else { format!("\x1b[{}A\x1b[J", self.rows) }
    }
}

/// Returns the lines of a text that fit on a terminal, none of which is broken: the way back counts
/// them.
fn fitted(text: &str, columns: usize, rows: usize) -> Vec<String> {
    let cut = |line: &str| {
        let mut used = 0;
        line.chars()
            .take_while(|letter| {
                used += letter.width().unwrap_or(0);
                used < columns.max(2)
            })
            .collect()
    };
    text.lines().take(rows.saturating_sub(1).max(1)).map(cut).collect()
}

/// Writes to the terminal; one that takes no more text is no reason to stop.
fn write(text: &str) {
    let mut out = std::io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{HostFacts, HostState};

    #[test]
    fn no_line_is_broken_and_no_more_are_drawn_than_there_is_room_for() {
        assert_eq!(fitted("abcdef\nä日本\nc\nd", 5, 4), ["abcd", "ä日", "c"]);
        assert_eq!(fitted("a\nb", 80, 24), ["a", "b"]);
        assert_eq!(fitted("abc", 0, 0), ["a"]);
    }

    #[test]
    fn what_is_drawn_can_be_taken_away() {
        assert_eq!(Drawn::default().back(), "");
        assert_eq!(Drawn { rows: 7 }.back(), "\x1b[7A\x1b[J");
    }

    #[test]
    fn an_answer_takes_the_place_of_what_was_known() {
        let fleet = crate::config::fallback();
        let before = HostFacts { measured_at: Some(Timestamp::UNIX_EPOCH), ..HostFacts::default() };
        let mut known =
            Snapshot { hosts: vec![("localhost".to_owned(), before)], ..Snapshot::default() };
        assert!(is_something_known(&known) && !is_something_known(&Snapshot::default()));
        assert!(tables(&fleet, &known, Timestamp::UNIX_EPOCH).contains("not asked"));
        let facts = Box::new(HostFacts { state: HostState::Up, ..HostFacts::default() });
        take(&fleet, &mut known, Event::Host { host: "localhost".to_owned(), facts });
        assert_eq!(known.hosts[0].1.state, HostState::Up);
    }
}
