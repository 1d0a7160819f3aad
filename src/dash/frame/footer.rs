//! The keys that mean something now, and the sentence of the moment.
//!
//! ```text
//! ─────────────────────────────────────────────────────── run #41: 2 switched in 31 s ──
//!  ↑↓ select   d deploy   b build   space mark   / filter   : palette   ? help   q quit
//! ```

use crate::dash::able::{available, is_named};
use crate::dash::command::{Command, CommandEntry, Context, label};
use crate::dash::layout::{ScreenLayout, layout};
use crate::dash::model::{Model, Screen};
use crate::dash::overlays;
use crate::dash::panes;
use crate::dash::panes::logs as log_pane;
use crate::dash::theme::Role;
use crate::dash::widgets::input::typed;
use crate::dash::widgets::paint::{Paint, put};
use crate::dash::widgets::places::ClickTarget;
use crate::dash::widgets::popup::clear;
use crate::dash::widgets::text::{line_width, width, wrap_evenly};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Draws the keys that fit, or the text that is typed.
pub(in crate::dash) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, row: Rect) {
    let mut spans = vec![Span::raw(" ")];
    if let Some(since) = paint.model.frozen_since
        && layout(paint.model).title.is_none()
    {
        let text = format!("frozen since {}   ", paint.clock(since, false));
        spans.push(paint.span(Role::Warn, text));
    }
    if let Some(prompt) = &paint.model.prompt {
        spans.extend(typed(paint, "/", prompt.input.text()));
        spans.push(Span::raw("   "));
    }
    if let Some((sign, text, note)) = log_pane::typed(paint.model) {
        spans.extend(typed(paint, sign, text));
        spans.push(Span::raw("  "));
        if !note.is_empty() {
            spans.push(paint.span(Role::Title, format!("{note}   ")));
        }
    }
    let used = line_width(&spans);
    let room = usize::from(row.width).saturating_sub(used);
    let scrolls = paint.scroll_end.get() > 0;
    spans.extend(keys(paint, room, scrolls, (row, used)));
    put(buffer, row, 0, &Line::from(spans));
}

/// Returns keys and what they do, as many as fit; help, quit, answers and the way back out of a log are
/// never left out for others. A click on one gives its command; they stand in that row, behind so many columns.
/// `scrolls` says whether what lies over the view is longer than the screen.
fn keys(
    paint: &Paint<'_>,
    room: usize,
    scrolls: bool,
    (row, used): (Rect, usize),
) -> Vec<Span<'static>> {
    let mut items = items(paint.model, room, scrolls);
    let gap = if room < 90 { 2 } else { 3 };
    let total = |items: &[Item]| -> usize {
        items.iter().map(|item| width(&item.key) + 1 + width(item.label) + gap).sum()
    };
    while total(&items) > room + gap && !items.is_empty() {
        // Where not even those fit that should stay, the last of them go: none is cut.
        let first = items.iter().position(|item| item.gives_way);
        let last = first.or_else(|| items.iter().rposition(|item| !item.stays));
        items.remove(last.unwrap_or(items.len() - 1));
    }
    let mut spans = Vec::new();
    for item in items {
        if let Some(command) = item.command {
            let skip = (used + line_width(&spans)).min(usize::from(row.width)) as u16;
            let columns = (width(&item.key) + 1 + width(item.label)) as u16;
            let place = Rect { x: row.x + skip, width: columns, height: 1, ..row };
            paint.places.add(place.intersection(row), ClickTarget::Command(command));
        }
        spans.push(paint.span(Role::Accent, item.key));
        spans.push(Span::raw(format!(" {}{}", item.label, " ".repeat(gap))));
    }
    spans
}

struct Item {
    key: String,
    label: &'static str,
    /// Whether others are left out before it.
    stays: bool,
    /// Whether it is left out before all others.
    gives_way: bool,
    command: Option<Command>,
}

/// Rooms from which on a view names quit, and from which on it has more room than its first keys take.
const WITH_QUIT: usize = 50;
const WITH_MORE: usize = 90;

/// Returns whether the way back is named before other keys.
fn names_way_back(model: &Model, room: usize) -> bool {
    let elsewhere = match model.screen {
        Screen::Logs => room >= WITH_QUIT,
        Screen::Caches | Screen::Deploy | Screen::History => room >= WITH_MORE,
        Screen::Fleet => false,
    };
    elsewhere || panes::shows_details(model)
}

fn items(model: &Model, room: usize, scrolls: bool) -> Vec<Item> {
    let mut items = Vec::new();
    let hint = |key: &str, label, stays| {
        let (key, gives_way) = (key.to_owned(), false);
        Item { key, label, stays, gives_way, command: None }
    };
    // Among logs everybody tries the arrows, and the way back has to be read.
    let gives_way = model.screen == Screen::Logs && room < WITH_MORE;
    let arrows = |label: &'static str| Item { gives_way, ..hint("↑↓", label, false) };
    let context = Context::of(model);
    match context {
        Context::View(_) if panes::shows_details(model) => {
            items.push(hint("↑↓", "scroll", true));
            items.push(hint("pgdn", "page", false));
        }
        Context::View(screen) => items.extend(panes::pane(screen).arrows.map(arrows)),
        Context::Help
        | Context::FirstSteps
        | Context::OldPlan
        | Context::Commands
        | Context::Journal
        | Context::Difference => {
            items.push(arrows("scroll"));
        }
        Context::Past | Context::Generations | Context::Units => items.push(arrows("select")),
        // Who answers a plan has to see all of it.
        Context::Plan if scrolls => items.push(hint("↑↓", "scroll", true)),
        Context::Start if scrolls => items.push(arrows("scroll")),
        Context::OverTime if overlays::over_time::scrolls(model) => items.push(arrows("scroll")),
        _ => {}
    }
    // What would only be refused is not offered.
    let is_refused =
        |entry: &CommandEntry| model.world.fleet.read_only && entry.command.changes_something();
    let named = available(model).filter(|entry| is_named(model, entry.command));
    for entry in named.filter(|entry| !is_refused(entry)) {
        let (Some(label), Some(key)) = (label(model, entry), model.keymap.keys(entry).first())
        else {
            continue;
        };
        let stays = matches!(
            entry.command,
            Command::Help | Command::Accept | Command::Yes | Command::No | Command::Close
        ) || (entry.command == Command::Quit && room >= WITH_QUIT)
            || (entry.command == Command::Back && names_way_back(model, room));
        // Who answers with a key needs the button less than the rest of a long plan.
        let gives_way = scrolls && context == Context::Plan && entry.command == Command::Accept;
        let (key, command) = (key.to_string(), Some(entry.command));
        items.push(Item { key, label, stays, gives_way, command });
    }
    // What a run waits for comes before everything else.
    for answer in answers(model).iter().rev() {
        if let Some(at) = items.iter().position(|item| item.command == Some(*answer)) {
            items[at].stays = true;
            items[..=at].rotate_right(1);
        }
    }
    items
}

/// Returns the commands that answer what a run waits for, what is reached for first at the front.
fn answers(model: &Model) -> &'static [Command] {
    let Context::View(screen) = Context::of(model) else { return &[] };
    let shown = model.shown_run().filter(|run| screen == Screen::Deploy && run.is_active());
    match shown {
        Some(run) if run.question.is_some() && !run.waits => {
            &[Command::PauseRun, Command::AcceptCheck]
        }
        Some(run) if run.without_way().is_some() && !run.waits => {
            &[Command::PauseRun, Command::SkipHost]
        }
        Some(_) | None if model.world.active_runs().any(|run| run.waits) => &[Command::Plan],
        Some(run) if run.paused => &[Command::PauseRun],
        Some(_) | None => &[],
    }
}

/// Draws the sentence of the moment, whole: at the right of a rule, or in as many rows as it takes, of which
/// the last is that row.
///
/// Where the row has the keys of a question or what is typed, the sentence stands in the first rows instead.
pub(in crate::dash) fn toast(paint: &Paint<'_>, buffer: &mut Buffer, parts: &ScreenLayout) {
    let (Some(toast), Some(row)) = (&paint.model.toast, parts.toast) else { return };
    let on_rule = parts.bottom_rule.is_some();
    let role = if toast.bad { Role::Error } else { Role::Title };
    let sign = if toast.bad { "▲ " } else { "" };
    let text = format!("{sign}{}", toast.text);
    let columns = usize::from(row.width).saturating_sub(if on_rule { 4 } else { 2 });
    if on_rule && width(&text) <= columns {
        let skip = row.width.saturating_sub(width(&text) as u16 + 4);
        let at = Rect { x: row.x + skip, width: row.width - skip, ..row };
        put(buffer, at, 0, &Line::from(paint.span(role, format!(" {text} "))));
        return;
    }
    let lines = wrap_evenly(&text, columns, usize::from(row.y - parts.over.y).max(1));
    let count = lines.len() as u16;
    let typing = paint.model.prompt.is_some() || paint.model.log.typing.is_some();
    let is_kept = !on_rule && (paint.model.overlay().is_some() || typing);
    let y = if is_kept { parts.over.y } else { (row.y + 1).saturating_sub(count) };
    let area = Rect { y, height: count, ..row };
    if on_rule && y > parts.over.y {
        // The rule stands above the sentence instead.
        paint.rule(buffer, Rect { y: y - 1, height: 1, ..row }, "", "");
    }
    paint.places.cover(buffer, area);
    clear(paint, buffer, area);
    for (at, line) in (0..).zip(lines) {
        put(buffer, area, at, &Line::from(paint.span(role, format!(" {line}"))));
    }
}
