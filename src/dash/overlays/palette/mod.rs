//! Commands, hosts, caches, runs and settings by their names.
//!
//! ```text
//! ┌ Find ──────────────────────────────────────────────────────┐
//! │ : dep▏                                                     │
//! │ › command  deploy            d    deploy the marked hosts… │
//! │   command  skip-host              only in Deploy           │
//! │                                                            │
//! │ deploy the marked hosts, or the selected one; asks before… │
//! └────────────────────────────────────────────────────────────┘
//! ```

mod found;

use self::found::{PaletteRow, PaletteTarget, find};
use crate::dash::command::Command;
use crate::dash::input::LineInput;
use crate::dash::model::{Model, Screen};
use crate::dash::msg::Effect;
use crate::dash::overlay::Overlay;
use crate::dash::overlays::themes;
use crate::dash::theme::Role;
use crate::dash::widgets::input::typed;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::places::ClickTarget;
use crate::dash::widgets::popup::Popup;
use crate::dash::widgets::table::Window;
use crate::dash::widgets::text::{cut, left, width, wrap_to};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Rows that are shown at once.
const ROWS: usize = 12;

/// Rows below them for all words of the selected one.
const WORDS: usize = 2;

/// Columns of the kind and of the key, with the gap behind each.
const KIND: usize = 9;
const KEY: usize = 10;

/// Columns of the name, with the gap behind it, where there is little room and where there is more.
const NAMES: [usize; 2] = [20, 32];

/// Draws what was typed and what it finds.
pub(super) fn draw(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    input: &LineInput,
    selected: usize,
) {
    let popup = Popup::new(area, 110);
    let room = popup.room();
    let found = find(paint.model, input.text());
    let mut lines = vec![Line::from(typed(paint, ": ", input.text()))];
    let around = if popup.is_whole() { 2 } else { 4 };
    let rows = ROWS.min(usize::from(area.height).saturating_sub(around + WORDS)).max(1);
    let window = Window::new(found.len(), selected, rows).begin_at(paint.model.over_from);
    for (index, row) in found.iter().enumerate().skip(window.from).take(window.rows) {
        lines.push(line(paint, row, index == selected, room));
    }
    if found.is_empty() {
        let key = paint.model.keymap.press("edit-hosts");
        let text =
            format!("nothing has this name; other settings are in hosts.toml ({key} in Fleet)");
        let text = wrap_to(&text, room, rows).into_iter();
        lines.extend(text.map(|text| Line::from(paint.span(Role::Dim, text))));
    }
    lines.resize(lines.len().max(rows + 1), Line::default());
    let words = found.get(selected).map_or("", PaletteRow::words);
    let mut foot: Vec<_> = wrap_to(words, room, WORDS).into_iter().map(Line::from).collect();
    foot.resize(WORDS, Line::default());
    let inside = popup.draw(paint, buffer, "Find", &lines, 0, &foot);
    for (row, index) in (window.from..found.len()).take(window.rows).enumerate() {
        inside.note(paint, row + 1, 1, ClickTarget::Row { index, from: window.from });
    }
}

/// Draws a row; what cannot be chosen now is dim and says why.
fn line(paint: &Paint<'_>, row: &PaletteRow, is_selected: bool, room: usize) -> Line<'static> {
    let base = match (&row.obstacle, is_selected) {
        (Some(_), _) => Role::Dim,
        (None, true) => Role::Title,
        (None, false) => Role::Text,
    };
    let mut spans = vec![
        paint.span(Role::Accent, if is_selected { "› " } else { "  " }),
        paint.span(Role::Dim, left(row.target.kind(), KIND)),
    ];
    if room < 60 {
        spans.extend(name(paint, row, base, room.saturating_sub(2 + KIND)));
        return Line::from(spans);
    }
    let columns = NAMES[usize::from(room >= 90)];
    let key = if row.obstacle.is_some() { Role::Dim } else { Role::Accent };
    spans.extend(name(paint, row, base, columns));
    spans.push(paint.span(key, left(&row.key, KEY)));
    let rest = room.saturating_sub(2 + KIND + columns + KEY);
    spans.push(paint.span(Role::Dim, cut(row.words(), rest)));
    Line::from(spans)
}

/// Draws a name in so many columns; letters that were typed are marked.
fn name(paint: &Paint<'_>, row: &PaletteRow, base: Role, columns: usize) -> Vec<Span<'static>> {
    let shown = cut(&row.name, columns.saturating_sub(1));
    let mut spans: Vec<Span<'static>> = Vec::new();
    let (mut piece, mut was_matched) = (String::new(), false);
    let role = |is_matched: bool| if is_matched { Role::Accent } else { base };
    for (at, c) in shown.char_indices() {
        let is_matched = row.matched.contains(&at);
        if is_matched != was_matched {
            spans.push(paint.span(role(was_matched), std::mem::take(&mut piece)));
            was_matched = is_matched;
        }
        piece.push(c);
    }
    spans.push(paint.span(role(was_matched), piece));
    spans.push(Span::raw(" ".repeat(columns.saturating_sub(width(&shown)))));
    spans
}

/// What a key did in the palette.
pub(in crate::dash) enum Chosen {
    /// A command was chosen, which is still to be done.
    Command(Command),
    /// All was done but this.
    Done(Vec<Effect>),
}

/// Selects or chooses. What cannot be chosen now stays there with
/// the reason.
pub(in crate::dash) fn update(model: &mut Model, command: Command, now: Timestamp) -> Chosen {
    let done = Chosen::Done(Vec::new());
    let Some(Overlay::Palette { input, selected }) = model.overlay() else { return done };
    let at = *selected;
    let found = find(model, input.text());
    match command {
        Command::Up => set_selected(model, at.saturating_sub(1)),
        Command::Down => set_selected(model, (at + 1).min(found.len().saturating_sub(1))),
        Command::Accept => {
            let row = found.get(at).filter(|row| row.obstacle.is_none());
            let Some(row) = row else { return done };
            model.close();
            return choose(model, row.target, now);
        }
        _ => model.close(),
    }
    done
}

/// Goes to what was chosen, or returns what is to be done.
fn choose(model: &mut Model, target: PaletteTarget, now: Timestamp) -> Chosen {
    match target {
        PaletteTarget::Command(command) => return Chosen::Command(command),
        PaletteTarget::Host(index) => model.go_to(Screen::Fleet, index),
        PaletteTarget::Tier(index) => model.go_to(Screen::Caches, index),
        PaletteTarget::Run(index) => {
            // As if it was opened there: the way back leads to the runs.
            model.deploy.from_history = true;
            model.show(Screen::Deploy);
            model.select_run(index, None);
        }
        PaletteTarget::Sort(choice) => choice.choose(model, now),
        PaletteTarget::Theme(theme) => return Chosen::Done(themes::keep(model, theme.to_owned())),
    }
    Chosen::Done(Vec::new())
}

fn set_selected(model: &mut Model, to: usize) {
    if let Some(Overlay::Palette { selected, .. }) = model.overlay_mut() {
        *selected = to;
    }
}
