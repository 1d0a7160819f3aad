//! What is on the screen: the keys of the view, how a filter is read, and what its signs and words mean.
//!
//! ```text
//! ┌ Help for Fleet ─────────────────────────────────────────────────────────┐
//! │ Keys in Fleet                                                           │
//! │ d             deploy the marked hosts, or the selected one; asks before │
//! │                                                                         │
//! │ Signs in Fleet                                                          │
//! │ ●             It is well: the host or the cache answers, or the run …   │
//! └─────────────────────────────────────────────────────────────────────────┘
//! ```

use crate::dash::command::{CommandEntry, Context, in_context};
use crate::dash::model::Screen;
use crate::dash::panes;
use crate::dash::theme::Role;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::popup::Popup;
use crate::dash::widgets::text::{left, width, wrap};
use crate::dash::words::glossary::{FILTERS, signs_in, words_in};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Draws the keys of this view, those of every view, what a filter lets through, the signs and the words.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, scroll: u16) {
    let screen = paint.model.screen;
    let title = screen.title();
    let mut page = HelpPage { paint, popup: Popup::new(area, 84), lines: Vec::new() };
    page.begin(&format!("Keys in {title}"));
    page.keys(keys_in(paint, screen).filter(|entry| !is_everywhere(entry)));
    page.begin("Keys in every view");
    page.keys(keys_in(paint, screen).filter(|entry| is_everywhere(entry)));
    if paint.model.filter().is_some() {
        page.begin("What a filter lets through");
        for (typed, about) in FILTERS {
            page.row(Role::Accent, typed, about);
        }
    }
    page.begin(&format!("Signs in {title}"));
    for one in signs_in(screen) {
        page.row(one.role, one.name, one.meaning);
    }
    page.begin(&format!("Words in {title}"));
    for one in words_in(screen) {
        page.row(one.role, one.name, one.meaning);
    }
    page.popup.draw(paint, buffer, &format!("Help for {title}"), &page.lines, scroll, &[]);
}

/// Returns the commands of a view; what is there only in the first minutes is no key that somebody else
/// looks for.
fn keys_in(paint: &Paint<'_>, screen: Screen) -> impl Iterator<Item = &'static CommandEntry> {
    in_context(Context::View(screen)).filter(|entry| {
        !entry.command.is_of_first_minutes() || panes::can(paint.model, entry.command)
    })
}

/// Returns whether a command can be given in every view.
fn is_everywhere(entry: &CommandEntry) -> bool {
    Screen::ALL.iter().all(|screen| entry.contexts.contains(&Context::View(*screen)))
}

/// The lines of the page while they are made.
struct HelpPage<'a> {
    paint: &'a Paint<'a>,
    popup: Popup,
    lines: Vec<Line<'static>>,
}

impl HelpPage<'_> {
    /// Begins a part, with a gap before it.
    fn begin(&mut self, title: &str) {
        if !self.lines.is_empty() {
            self.lines.push(Line::default());
        }
        self.lines.push(Line::from(self.paint.span(Role::Title, title.to_owned())));
    }

    /// Adds commands with the keys in force; one without a key with what is typed for it.
    fn keys(&mut self, entries: impl Iterator<Item = &'static CommandEntry>) {
        for entry in entries {
            let keys = self.paint.model.keymap.keys(entry).iter().map(ToString::to_string);
            let keys = keys.collect::<Vec<_>>().join(" ");
            let keys = if keys.is_empty() { format!(":{}", entry.name) } else { keys };
            self.row(Role::Accent, &keys, entry.about);
        }
    }

    /// Adds a name, and what it means beside it; below it where the name is too long for its column.
    fn row(&mut self, role: Role, name: &str, about: &str) {
        let room = self.popup.room();
        let columns = if room < 60 { 8 } else { 15 };
        let is_beside = width(name) < columns;
        if !is_beside {
            self.lines.push(Line::from(self.paint.span(role, name.to_owned())));
        }
        for (at, text) in wrap(about, room.saturating_sub(columns)).into_iter().enumerate() {
            let name = left(if is_beside && at == 0 { name } else { "" }, columns);
            self.lines.push(Line::from(vec![self.paint.span(role, name), Span::raw(text)]));
        }
    }
}
