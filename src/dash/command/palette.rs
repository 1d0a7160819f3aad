//! Which commands fit what is typed in the palette.

use super::{COMMANDS, Command, CommandEntry, Context, can};
use crate::dash::model::Model;

/// Returns the commands of the view that fit a typed text, the best first.
pub(in crate::dash) fn matches(model: &Model, typed: &str) -> Vec<&'static CommandEntry> {
    let context = Context::View(model.screen);
    let typed = typed.trim().to_lowercase();
    let mut found: Vec<(u8, &'static CommandEntry)> = COMMANDS
        .iter()
        .filter(|entry| entry.contexts.contains(&context) && can(model, entry.command))
        .filter(|entry| entry.command != Command::Palette)
        .filter_map(|entry| Some((rank(entry, &typed)?, entry)))
        .collect();
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, entry)| entry).collect()
}

/// Returns how well a command fits a typed text; 0 is best.
fn rank(entry: &CommandEntry, typed: &str) -> Option<u8> {
    let mut letters = entry.name.chars();
    if entry.name.starts_with(typed) {
        Some(0)
    } else if entry.name.contains(typed) {
        Some(1)
    } else if typed.chars().all(|c| letters.any(|have| have == c)) {
        Some(2)
    } else {
        entry.about.to_lowercase().contains(typed).then_some(3)
    }
}
