//! The keys of the view, from the table of commands, how a filter is read, and what signs mean.
//!
//! ```text
//! ┌ Keys in Fleet ──────────────────────────────────────────────────────────┐
//! │ d             deploy the marked hosts, or the selected one; asks before │
//! │ b             build the systems of the marked hosts, or of the selected │
//! └─────────────────────────────────────────────────────────────────────────┘
//! ```

use crate::dash::command::{CommandEntry, Context, in_context};
use crate::dash::model::Screen;
use crate::dash::panes;
use crate::dash::theme::Role;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::popup::Popup;
use crate::dash::widgets::text::{left, wrap};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// What can be typed behind `/`, and what it lets through.
const FILTERS: [(&str, &str); 5] = [
    ("/offline", "rows that have it in a name, a tag, a state or the code of a finding"),
    ("/@laptop", "hosts with a tag that begins like this"),
    ("/!@laptop", "rows that do not have it"),
    ("/disk rack01", "rows that have all of these words"),
    ("/Rack", "capital letters matter in a word that has one"),
];

/// Returns the columns of the keys.
fn keys_width(popup: &Popup) -> usize {
    if popup.room() < 60 { 8 } else { 15 }
}

/// Draws the keys: those of this view first, then those of every view, then the signs.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, scroll: u16) {
    let popup = Popup::new(area, 84);
    let screen = paint.model.screen;
    let mut lines = Vec::new();
    let everywhere = |entry: &&CommandEntry| {
        Screen::ALL.iter().all(|screen| entry.contexts.contains(&Context::View(*screen)))
    };
    // What is there only in the first minutes is no key that somebody else looks for.
    let all = || {
        let rows = in_context(Context::View(screen));
        rows.filter(|entry| {
            !entry.command.is_of_first_minutes() || panes::can(paint.model, entry.command)
        })
    };
    let here = all().filter(|entry| !everywhere(entry));
    section(paint, &popup, &mut lines, screen.title(), here);
    let rest = all().filter(everywhere);
    section(paint, &popup, &mut lines, "everywhere", rest);
    if paint.model.filter().is_some() {
        lines.push(Line::from(paint.span(Role::Title, "what a filter lets through")));
        for (typed, about) in FILTERS {
            row(paint, &popup, &mut lines, typed, about);
        }
        lines.push(Line::default());
    }
    lines.push(Line::from(paint.span(Role::Title, "signs")));
    for (sign, about) in [
        ("●", "well"),
        ("▲", "look at it"),
        ("○", "unreachable, or not begun"),
        ("✗", "failed, or denied"),
        ("◐", "at work"),
        ("–", "not measured; of a phase: skipped"),
        ("✓", "proven; of a phase: done"),
        ("·", "a phase that has not begun"),
        ("⚷", "protected: deploys only when its name is typed"),
        ("◆", "marked"),
        ("▸", "a group of hosts that is folded; ▾ before an open one"),
        ("▴ ▾", "rows are sorted by this column, the least or the greatest on top"),
    ] {
        row(paint, &popup, &mut lines, sign, about);
    }
    popup.draw(paint, buffer, &format!("Keys in {}", screen.title()), &lines, scroll, &[]);
}

fn section(
    paint: &Paint<'_>,
    popup: &Popup,
    lines: &mut Vec<Line<'static>>,
    title: &str,
    entries: impl Iterator<Item = &'static CommandEntry>,
) {
    lines.push(Line::from(paint.span(Role::Title, title.to_owned())));
    for entry in entries {
        let keys = paint.model.keymap.keys(entry).iter().map(ToString::to_string);
        let keys = keys.collect::<Vec<_>>().join(" ");
        let keys = if keys.is_empty() { format!(":{}", entry.name) } else { keys };
        row(paint, popup, lines, &keys, entry.about);
    }
    lines.push(Line::default());
}

fn row(paint: &Paint<'_>, popup: &Popup, lines: &mut Vec<Line<'static>>, keys: &str, about: &str) {
    let columns = keys_width(popup);
    for (at, text) in wrap(about, popup.room().saturating_sub(columns)).into_iter().enumerate() {
        let keys = if at == 0 { left(keys, columns) } else { " ".repeat(columns) };
        lines.push(Line::from(vec![paint.span(Role::Accent, keys), Span::raw(text)]));
    }
}
