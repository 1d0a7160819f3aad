//! What a person can do about something, each way with the key that the table of commands has for it.

use crate::dash::command::{Command, Context, in_context};
use crate::dash::key::Keymap;
use crate::dash::theme::Role;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::text::{line_width, width};
use ratatui::text::{Line, Span};

/// Columns between two ways.
const GAP: usize = 3;

/// A command, and what it does here in a few words.
pub(in crate::dash) type NextStep = (Command, &'static str);

/// Returns the ways that are open now, each with its key.
fn open(
    keymap: &Keymap,
    context: Context,
    ways: &[NextStep],
    is_open: impl Fn(Command) -> bool,
) -> impl Iterator<Item = (String, &'static str)> {
    let ways = ways.iter().filter(move |(command, _)| is_open(*command));
    ways.filter_map(move |(command, words)| {
        let entry = in_context(context).find(|entry| entry.command == *command)?;
        Some((keymap.keys(entry).first()?.to_string(), *words))
    })
}

/// Returns the ways that are open now as a sentence: `l its log at the error · d deploy again`.
pub(in crate::dash) fn in_words(
    keymap: &Keymap,
    context: Context,
    ways: &[NextStep],
    is_open: impl Fn(Command) -> bool,
) -> String {
    let words = open(keymap, context, ways, is_open).map(|(key, words)| format!("{key} {words}"));
    words.collect::<Vec<_>>().join(" · ")
}

/// Returns the ways that are open now as lines of that many columns: `enter log at the error   t try again`.
pub(in crate::dash) fn lines(
    paint: &Paint<'_>,
    context: Context,
    ways: &[NextStep],
    is_open: impl Fn(Command) -> bool,
    columns: usize,
) -> Vec<Line<'static>> {
    let mut lines: Vec<Vec<Span<'static>>> = Vec::new();
    for (key, words) in open(&paint.model.keymap, context, ways, is_open) {
        let wanted = width(&key) + 1 + width(words);
        let way = [paint.span(Role::Accent, key), Span::raw(format!(" {words}"))];
        match lines.last_mut() {
            Some(line) if line_width(line) + GAP + wanted <= columns => {
                line.push(Span::raw(" ".repeat(GAP)));
                line.extend(way);
            }
            Some(_) | None => lines.push(way.to_vec()),
        }
    }
    lines.into_iter().map(Line::from).collect()
}
