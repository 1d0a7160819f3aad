//! The figures of a host or tier over time, below each other, in the whole body.
//!
//! ```text
//!  samsung over 24 h ───────────────────────────────────────── figures 1–3 of 4
//!  load          newest 0.40   lowest 0.10   highest 3.20
//!       4 ┤                              ⡆
//!       0 ┤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠧⠤⠤⠤⠤      ⠤⠤⠤⠤⠤⠤⠤⠤⠤
//!  memory used   newest 38 %   lowest 20 %   highest 41 %
//!   …
//!          12:04                        00:04                             now
//! ```

use crate::dash::command::Command;
use crate::dash::layout::layout;
use crate::dash::look_back::{SCALE, parts};
use crate::dash::model::Model;
use crate::dash::msg::Effect;
use crate::dash::over_time::OverTimePane;
use crate::dash::overlay::Overlay;
use crate::dash::theme::Role;
use crate::dash::widgets::curve;
use crate::dash::widgets::paint::{Paint, below, put, put_wrapped, top};
use crate::dash::widgets::popup::clear;
use crate::dash::widgets::text::{left, line_width, width};
use crate::dash::words::figures::{name, newest_words, of_scale, scale, spoken};
use crate::fleet::{FigureOverTime, OverTime, OverTimeOf, TimeSpan};
use jiff::{SignedDuration, Timestamp};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Rows that a figure takes at least: its words and three rows of picture.
const LEAST: u16 = 4;

/// Columns of a figure's name.
const NAME: usize = 17;

/// Below this many columns names are not in a column of their own.
const NARROW: u16 = 60;

/// Columns of a time on the axis: `12-24 18:00`, and the gap behind it.
const TIME: usize = 14;

/// Draws the pane in the body of the screen.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, pane: &OverTimePane) {
    let area = layout(paint.model).body.intersection(buffer.area);
    clear(paint, buffer, area);
    let title = format!("{} over {}", pane.of.name(), pane.span.words());
    match &pane.found {
        None => {
            paint.rule(buffer, area, &title, "");
            let text = " Reading the history …";
            put(buffer, below(area, 1), 0, &Line::from(paint.span(Role::Dim, text)));
        }
        Some(Err(error)) => {
            paint.rule(buffer, area, &title, "");
            put_wrapped(paint, buffer, below(area, 1), Role::Error, error);
        }
        Some(Ok(found)) => {
            let shown = shown(area, pane);
            paint.rule(buffer, area, &title, &note(pane, &shown));
            figures(paint, buffer, below(area, 1), (pane, found), &shown);
        }
    }
}

/// Returns how many rows a figure takes at least: one where it was not measured.
fn least(figure: &FigureOverTime) -> u16 {
    if figure.range().is_some() { LEAST } else { 1 }
}

/// Returns which figures are shown in an area: as many as have room, from the first one on.
fn shown(area: Rect, pane: &OverTimePane) -> std::ops::Range<usize> {
    let first = pane.first.min(end(area, pane));
    first..first + fitting(area, pane.figures().get(first..).unwrap_or_default())
}

/// Returns how many of these figures have room below each other; one always has.
fn fitting(area: Rect, figures: &[FigureOverTime]) -> usize {
    let room = area.height.saturating_sub(2);
    let fits = |count: &usize| figures.iter().take(*count).map(least).sum::<u16>() <= room;
    (1..=figures.len()).take_while(fits).last().unwrap_or(figures.len().min(1))
}

/// Returns the figure from which on all have room.
fn end(area: Rect, pane: &OverTimePane) -> usize {
    let figures = pane.figures();
    let all_fit = |first: &usize| {
        let rest = figures.get(*first..).unwrap_or_default();
        fitting(area, rest) == rest.len()
    };
    (0..figures.len()).find(all_fit).unwrap_or_default()
}

/// Returns which figures are shown, where not all are.
fn note(pane: &OverTimePane, shown: &std::ops::Range<usize>) -> String {
    match (shown.len(), pane.figures().len()) {
        (fit, count) if fit >= count => String::new(),
        (1, count) => format!("figure {} of {count}", shown.end),
        (_, count) => format!("figures {}–{} of {count}", shown.start + 1, shown.end),
    }
}

/// Draws the figures with the axis of time below them.
fn figures(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    (pane, found): (&OverTimePane, &OverTime),
    shown: &std::ops::Range<usize>,
) {
    let rows = area.height.saturating_sub(1);
    let figures = found.figures.get(shown.clone()).unwrap_or_default();
    let pictures = figures.iter().filter(|figure| figure.range().is_some()).count() as u16;
    let spare = rows.saturating_sub(figures.iter().map(least).sum());
    let (mut at, mut picture) = (0, 0);
    for figure in figures {
        let mut height = least(figure);
        if let Some(more) = spare.checked_div(pictures).filter(|_| figure.range().is_some()) {
            // What is left over goes to the first ones.
            height += more + u16::from(picture < spare % pictures);
            picture += 1;
        }
        one(paint, buffer, top(below(area, at), height), (pane.span, figure));
        at += height;
    }
    axis(paint, buffer, below(area, rows), (pane.span, found));
}

/// Draws one figure: its words, and its picture where it was measured.
fn one(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    (span, over_time): (TimeSpan, &FigureOverTime),
) {
    let figure = over_time.figure;
    // In a narrow pane the names stand as they are, so that the values beside them have room.
    let columns = if area.width < NARROW { width(name(figure)) + 2 } else { NAME };
    let mut words = vec![paint.span(Role::Title, format!(" {}", left(name(figure), columns)))];
    let Some((low, high)) = over_time.range() else {
        words.push(paint.span(Role::Dim, format!("not measured in {}", span.words())));
        put(buffer, area, 0, &Line::from(words));
        return;
    };
    let newest = newest_words(figure, over_time.newest);
    let (lowest, highest) = (spoken(figure, low), spoken(figure, high));
    let long =
        format!("newest {}  lowest {}  highest {highest}", left(&newest, 9), left(&lowest, 9));
    let short = format!("{newest} ({lowest} to {highest})");
    let fits = line_width(&words) + width(&long) < usize::from(area.width);
    words.push(paint.span(Role::Text, if fits { long } else { short }));
    put(buffer, area, 0, &Line::from(words));
    let scale = scale(figure, low, high);
    let name = |value| of_scale(figure, value);
    curve::draw(paint, buffer, below(area, 1), (&over_time.points, scale), name);
}

/// Draws times below the pictures, from the begin to the present.
fn axis(paint: &Paint<'_>, buffer: &mut Buffer, row: Rect, (span, found): (TimeSpan, &OverTime)) {
    let area =
        Rect { x: row.x + SCALE.min(row.width), width: row.width.saturating_sub(SCALE), ..row };
    let columns = usize::from(area.width);
    let count = (columns / TIME).clamp(1, 6);
    let whole = found.until.duration_since(found.from);
    for index in 0..count {
        let share = index as f64 / count as f64;
        let at = found.from + SignedDuration::from_secs_f64(whole.as_secs_f64() * share);
        let text = time_words(paint, span, at);
        let skip = (share * columns as f64).round() as u16;
        let place = Rect { x: area.x + skip, width: area.width.saturating_sub(skip), ..area };
        put(buffer, place, 0, &Line::from(paint.span(Role::Dim, text)));
    }
    let now = Rect { x: area.right().saturating_sub(3), width: 3.min(area.width), ..area };
    put(buffer, now, 0, &Line::from(paint.span(Role::Dim, "now")));
}

/// Returns a time as the axis of a span says it.
fn time_words(paint: &Paint<'_>, span: TimeSpan, at: Timestamp) -> String {
    let form = match span {
        TimeSpan::TenMinutes => "%H:%M:%S",
        TimeSpan::Hour | TimeSpan::SixHours | TimeSpan::Day => "%H:%M",
        TimeSpan::Week => "%m-%d %H:%M",
        TimeSpan::Month | TimeSpan::Quarter => "%Y-%m-%d",
    };
    at.to_zoned(paint.look.zone.clone()).strftime(form).to_string()
}

/// Does a command in the pane.
pub(super) fn update(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    let body = layout(model).body;
    let Some(Overlay::OverTime(pane)) = model.overlay_mut() else { return Vec::new() };
    match command {
        command if command.moves() => {
            let fit = shown(body, pane).len().max(1);
            let end = end(body, pane);
            let at = pane.first.min(end);
            pane.first = match command {
                Command::Up => at.saturating_sub(1),
                Command::PageUp => at.saturating_sub(fit),
                Command::PageDown => at + fit,
                Command::Top => 0,
                Command::Bottom => end,
                _ => at + 1,
            }
            .min(end);
            Vec::new()
        }
        Command::ShorterTime => zoom(model, TimeSpan::shorter, now),
        Command::LongerTime => zoom(model, TimeSpan::longer, now),
        Command::NextDetails => turn(model, true, now),
        Command::PreviousDetails => turn(model, false, now),
        Command::Close => {
            model.close();
            Vec::new()
        }
        _ => Vec::new(),
    }
}

/// Returns whether a command has something to act on in the pane.
pub(super) fn can(pane: &OverTimePane, command: Command) -> bool {
    match command {
        Command::ShorterTime => pane.span.shorter().is_some(),
        Command::LongerTime => pane.span.longer().is_some(),
        _ => true,
    }
}

/// Returns whether not all figures are seen at once.
pub(in crate::dash) fn scrolls(model: &Model) -> bool {
    match model.overlay() {
        Some(Overlay::OverTime(pane)) => {
            shown(layout(model).body, pane).len() < pane.figures().len()
        }
        Some(_) | None => false,
    }
}

/// Looks at another time; what is shown stays until that was read.
fn zoom(model: &mut Model, other: fn(TimeSpan) -> Option<TimeSpan>, now: Timestamp) -> Vec<Effect> {
    if let Some(Overlay::OverTime(pane)) = model.overlay_mut()
        && let Some(span) = other(pane.span)
    {
        (pane.span, pane.is_fitted) = (span, false);
        return read(model, now);
    }
    Vec::new()
}

/// Shows the next or the previous host or tier of the view below, which is selected there too.
fn turn(model: &mut Model, forward: bool, now: Timestamp) -> Vec<Effect> {
    let rows = model.rows();
    let Some(at) = rows.iter().position(|row| *row == model.selected_row()) else {
        return Vec::new();
    };
    let by = if forward { 1 } else { rows.len() - 1 };
    model.select_row(rows[(at + by) % rows.len()]);
    model.details_scroll = 0;
    let host = model.selected().map(|(host, _)| OverTimeOf::Host(host.name.clone()));
    let tier = model.selected_tier().map(|(tier, _)| OverTimeOf::Tier(tier.name.clone()));
    if let Some(Overlay::OverTime(pane)) = model.overlay_mut() {
        let next = match &pane.of {
            OverTimeOf::Host(_) => host,
            OverTimeOf::Tier(_) => tier,
        };
        if let Some(next) = next {
            (pane.of, pane.found) = (next, None);
        }
    }
    read(model, now)
}

/// Asks for what the pane shows now.
fn read(model: &mut Model, now: Timestamp) -> Vec<Effect> {
    let parts = parts(model);
    let Some(Overlay::OverTime(pane)) = model.overlay_mut() else { return Vec::new() };
    pane.asked = (parts, now);
    vec![Effect::ReadOverTime { of: pane.of.clone(), span: pane.span, parts }]
}

/// Reads again, where a part of the time went by or the screen has another width.
pub(in crate::dash) fn tick(model: &mut Model, now: Timestamp) -> Vec<Effect> {
    match model.overlay() {
        Some(Overlay::OverTime(pane)) if pane.is_due(parts(model), now) => read(model, now),
        Some(_) | None => Vec::new(),
    }
}

/// Takes figures, where they are still wanted; asks for those of a shorter time where that shows more.
pub(in crate::dash) fn taken(
    model: &mut Model,
    of: &OverTimeOf,
    span: TimeSpan,
    found: Result<OverTime, String>,
    now: Timestamp,
) -> Vec<Effect> {
    let wanted = model.overlays.iter_mut().find_map(|overlay| match overlay {
        Overlay::OverTime(pane) if pane.of == *of && pane.span == span => Some(pane),
        _ => None,
    });
    let Some(pane) = wanted else { return Vec::new() };
    let fitting = found.as_ref().ok().and_then(|found| pane.fitting_span(found));
    (pane.found, pane.is_fitted) = (Some(found), false);
    match fitting {
        Some(fitting) => {
            pane.span = fitting;
            read(model, now)
        }
        None => Vec::new(),
    }
}
