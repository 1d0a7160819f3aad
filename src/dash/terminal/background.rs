//! Asks the terminal whether its background is dark or light.
//!
//! It is asked after the first frame and before keys are read: a late answer looks like keys
//! (`ESC ] 1 1 ; r g b :` would open the palette). So [`ask`] reads the answer itself for a tenth of a
//! second, and [`LateAnswer`] takes one out of the keys that comes after that, from over a slow
//! connection or through tmux.

use crate::dash::background::{Background, BackgroundAnswers};
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use rustix::termios::{OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long is waited for the answer before keys are read, in tenths of a second.
const LIMIT: u8 = 1;

/// How long after the question keys may be a late answer.
const LATE: Duration = Duration::from_secs(5);

/// Longest late answer, in characters.
const LONGEST: usize = 40;

/// The question for the background, and the one for the kind of terminal, which ends the wait where
/// the first has no answer.
const QUESTIONS: &[u8] = b"\x1b]11;?\x1b\\\x1b[c";

/// Asks the terminal. It must be in raw mode, and nobody else may read from it meanwhile.
///
/// Says nothing where standard input is no terminal: there it is not known where answers come. What
/// fails here has no remedy and is told, where it matters, by the next frame or the next key.
pub(super) async fn ask() -> BackgroundAnswers {
    let asked = tokio::task::spawn_blocking(ask_and_wait).await;
    asked.ok().and_then(Result::ok).unwrap_or_default()
}

/// Asks the terminal and waits for what it answers, no longer than twice the limit.
fn ask_and_wait() -> io::Result<BackgroundAnswers> {
    let input = io::stdin();
    if !input.is_terminal() {
        return Ok(BackgroundAnswers::default());
    }
    let input = File::from(input.as_fd().try_clone_to_owned()?);
    let before = tcgetattr(&input)?;
    let mut with_limit = before.clone();
    with_limit.special_codes[SpecialCodeIndex::VMIN] = 0;
    with_limit.special_codes[SpecialCodeIndex::VTIME] = LIMIT;
    tcsetattr(&input, OptionalActions::Now, &with_limit)?;
    let answers = exchange(&input);
    tcsetattr(&input, OptionalActions::Now, &before)?;
    answers
}

/// Writes the questions and reads until all is said or the time is up.
fn exchange(mut input: &File) -> io::Result<BackgroundAnswers> {
    let mut out = io::stdout();
    out.write_all(QUESTIONS)?;
    out.flush()?;
    let began = Instant::now();
    let limit = Duration::from_millis(100) * u32::from(LIMIT);
    let mut bytes = Vec::new();
    let mut answers = BackgroundAnswers::default();
    while !answers.is_complete && began.elapsed() < limit {
        let mut part = [0; 256];
        match input.read(&mut part)? {
            0 => break,
            count => bytes.extend_from_slice(&part[..count]),
        }
        answers = BackgroundAnswers::read(&bytes);
    }
    Ok(answers)
}

/// Takes an answer that came late out of the keys.
#[derive(Debug)]
pub(super) struct LateAnswer {
    /// Until when keys may be one.
    until: Instant,
    /// What was held back since it may be one.
    held: Vec<Event>,
    /// Its text so far.
    text: String,
}

/// What an event of the terminal was.
#[derive(Debug, PartialEq)]
pub(super) enum HeardKeys {
    /// These events, which are no answer.
    Events(Vec<Event>),
    /// The answer.
    Background(Background),
}

impl LateAnswer {
    /// Waits for an answer to a question that was asked now.
    pub(super) fn new(now: Instant) -> Self {
        Self { until: now + LATE, held: Vec::new(), text: String::new() }
    }

    /// Hears an event; those that may be the beginning of an answer are held back until it is clear.
    pub(super) fn hear(&mut self, event: Event, now: Instant) -> HeardKeys {
        let Event::Key(key) = event else { return HeardKeys::Events(vec![event]) };
        if self.held.is_empty() {
            if now < self.until && is_alt(key, ']') {
                self.held.push(event);
                return HeardKeys::Events(Vec::new());
            }
            return HeardKeys::Events(vec![event]);
        }
        match key.code {
            KeyCode::Char(c) if is_of_answer(c) && self.text.len() < LONGEST && is_plain(key) => {
                self.text.push(c);
                self.held.push(event);
                HeardKeys::Events(Vec::new())
            }
            _ => self.end(event, key),
        }
    }

    /// Ends with a key that is none of the answer's text: the end of it, or any other.
    fn end(&mut self, event: Event, key: KeyEvent) -> HeardKeys {
        let (held, text) = (std::mem::take(&mut self.held), std::mem::take(&mut self.text));
        let is_end = is_alt(key, '\\')
            || (key.code == KeyCode::Char('g') && key.modifiers.contains(KeyModifiers::CONTROL));
        if !text.starts_with("11;") {
            return HeardKeys::Events(held.into_iter().chain([event]).collect());
        }
        // Nobody types that; what it says may be unknown, but it is no key.
        match Background::from_answer(&text) {
            Some(background) if is_end => HeardKeys::Background(background),
            Some(_) | None if is_end => HeardKeys::Events(Vec::new()),
            Some(_) | None => HeardKeys::Events(vec![event]),
        }
    }
}

fn is_alt(key: KeyEvent, c: char) -> bool {
    key.code == KeyCode::Char(c) && key.modifiers.contains(KeyModifiers::ALT)
}

fn is_plain(key: KeyEvent) -> bool {
    !key.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::CONTROL)
}

fn is_of_answer(c: char) -> bool {
    c.is_ascii_hexdigit() || ";:/#rgb".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(c: char, modifiers: KeyModifiers) -> Event {
        Event::Key(KeyEvent::new(KeyCode::Char(c), modifiers))
    }

    /// Returns keys as crossterm reads them: `\x1b` makes the next one Alt, `\x07` is Ctrl+g.
    fn keys(text: &str) -> Vec<Event> {
        let (mut keys, mut is_alt) = (Vec::new(), false);
        for c in text.chars() {
            match c {
                '\u{1b}' => is_alt = true,
                '\u{7}' => keys.push(key('g', KeyModifiers::CONTROL)),
                c => {
                    let alt = if is_alt { KeyModifiers::ALT } else { KeyModifiers::NONE };
                    keys.push(key(c, alt));
                    is_alt = false;
                }
            }
        }
        keys
    }

    /// Returns the events that are left of these, and the backgrounds that were heard.
    fn heard(late: &mut LateAnswer, text: &str, now: Instant) -> (Vec<Event>, Vec<Background>) {
        let (mut events, mut backgrounds) = (Vec::new(), Vec::new());
        for event in keys(text) {
            match late.hear(event, now) {
                HeardKeys::Events(more) => events.extend(more),
                HeardKeys::Background(background) => backgrounds.push(background),
            }
        }
        (events, backgrounds)
    }

    #[test]
    fn a_late_answer_is_taken_out_of_the_keys_and_heard() {
        let now = Instant::now();
        for end in ["\u{1b}\\", "\u{7}"] {
            let mut late = LateAnswer::new(now);
            let typed = format!("j\u{1b}]11;rgb:fdfd/f6f6/e3e3{end}:k");
            let left = heard(&mut late, &typed, now);
            assert_eq!(left, (keys("j:k"), vec![Background::Light]), "{end:?}");
        }
        let mut late = LateAnswer::new(now);
        assert_eq!(heard(&mut late, "\u{1b}]11;rgb:#\u{7}q", now), (keys("q"), vec![]));
    }

    #[test]
    fn what_a_person_types_is_given_back_whole() {
        let now = Instant::now();
        let mut late = LateAnswer::new(now);
        for typed in ["jjd:help", "\u{1b}]q", "\u{1b}]1q", "\u{1b}x\u{1b}]\u{1b}]j"] {
            assert_eq!(heard(&mut late, typed, now), (keys(typed), vec![]), "{typed:?}");
        }
        let answer = "\u{1b}]11;rgb:0/0/0\u{7}";
        let after = now + LATE;
        assert_eq!(heard(&mut late, answer, after), (keys(answer), vec![]), "much too late");
    }
}
