//! What happened to a host or tier, or to all, in the whole body: the newest first.
//!
//! ```text
//!  Events of the fleet ─────────────────────────────────────────────── 37 in 90 days
//!    BEGAN        LASTED              ABOUT           WHAT
//!  › 11-21 12:01  3 min 10 s so far   p510            offline: p510: connecting to …
//!    11-21 11:31  31 s                razer           run #40 switch via-cache: switched
//!  p510 ────────────────────────────────────────────────────────────────────────────
//!  offline: p510: connecting to p510.lan timed out after 5 s
//! ```

use crate::dash::command::Command;
use crate::dash::layout::{layout, page};
use crate::dash::look_back::read_past;
use crate::dash::model::{Model, Screen};
use crate::dash::moves::move_selection;
use crate::dash::msg::Effect;
use crate::dash::overlay::Overlay;
use crate::dash::past::PastPane;
use crate::dash::theme::Role;
use crate::dash::widgets::filtered;
use crate::dash::widgets::paint::{Paint, below, put, put_wrapped, top};
use crate::dash::widgets::popup::clear;
use crate::dash::widgets::table::{self, Window};
use crate::dash::widgets::text::{cut, left, line_width};
use crate::dash::world::RunView;
use crate::fleet::{OverTimeOf, PastEvent, PastWhat, Severity, TroubleEnd};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Columns of when an event began, with the gap behind it.
const BEGAN: usize = 13;

/// Rows of the selected event below the list: a rule and its sentence.
const WHOLE: u16 = 4;

/// From this many rows on, the selected event stands whole below the list.
const WITH_WHOLE: u16 = 12;

/// Columns of what is told of an event, by the width of the pane.
struct EventColumns {
    /// How long it lasted; none where there is no room.
    lasted: Option<usize>,
    about: usize,
}

impl EventColumns {
    fn of(width: u16) -> Self {
        match width {
            0..60 => Self { lasted: None, about: 10 },
            60..100 => Self { lasted: Some(21), about: 16 },
            _ => Self { lasted: Some(22), about: 26 },
        }
    }
}

/// Draws the pane in the body of the screen.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, pane: &PastPane) {
    let area = layout(paint.model).body.intersection(buffer.area);
    clear(paint, buffer, area);
    let whose = pane.of.as_ref().map_or("the fleet", OverTimeOf::name);
    let note = match &pane.found {
        Some(Ok(found)) => format!("{} in 90 days", found.len()),
        Some(Err(_)) | None => String::new(),
    };
    paint.rule(buffer, area, &format!("Events of {whose}"), &note);
    let area = below(area, 1);
    let nothing = "Nothing happened in 90 days, as far as nixdash was open.";
    match &pane.found {
        None => put_wrapped(paint, buffer, area, Role::Dim, "Reading the history …"),
        Some(Ok(found)) if found.is_empty() => {
            put_wrapped(paint, buffer, area, Role::Dim, nothing);
        }
        Some(Ok(found)) => list(paint, buffer, area, (pane, found)),
        Some(Err(error)) => put_wrapped(paint, buffer, area, Role::Error, error),
    }
}

/// Draws the events that the filter lets through, and the selected one whole below them.
fn list(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    (pane, found): (&PastPane, &[PastEvent]),
) {
    let area = filtered::note(paint, buffer, area, ("event", "events"));
    let columns = EventColumns::of(area.width);
    let mut head = format!("   {}", left("BEGAN", BEGAN));
    if let Some(lasted) = columns.lasted {
        head.push_str(&left("LASTED", lasted));
    }
    head.push_str(&left("ABOUT", columns.about));
    head.push_str("WHAT");
    put(buffer, area, 0, &Line::from(paint.span(Role::Dim, head)));
    let rows = paint.model.rows();
    let at = rows.iter().position(|index| *index == pane.selected);
    let whole = if area.height >= WITH_WHOLE && at.is_some() { WHOLE } else { 0 };
    let list = below(top(area, area.height - whole), 1);
    let window = Window::new(rows.len(), at.unwrap_or_default(), usize::from(list.height))
        .begin_at(paint.model.over_from);
    let seen = rows.iter().skip(window.from).take(window.rows);
    for (row, (index, event)) in (0..).zip(seen.filter_map(|at| Some((*at, found.get(*at)?)))) {
        let selected = index == pane.selected;
        paint.places.add_row(list, row, index, window.from);
        put(buffer, list, row, &event_line(paint, event, &columns, (selected, list.width)));
        if selected {
            table::select(paint, buffer, list, row);
        }
    }
    if let Some(event) = found.get(pane.selected).filter(|_| whole > 0) {
        let area = below(area, area.height - whole);
        paint.rule(buffer, area, &event.about(), &event.lasted(paint.now).unwrap_or_default());
        put_wrapped(paint, buffer, below(area, 1), Role::Text, &event.sentence());
    }
}

/// Returns an event as a row.
fn event_line(
    paint: &Paint<'_>,
    event: &PastEvent,
    columns: &EventColumns,
    (selected, width): (bool, u16),
) -> Line<'static> {
    let began = event.at.to_zoned(paint.look.zone.clone()).strftime("%m-%d %H:%M").to_string();
    let mut spans = vec![
        paint.span(Role::Accent, if selected { " › " } else { "   " }),
        Span::raw(left(&began, BEGAN)),
    ];
    if let Some(columns) = columns.lasted {
        let lasted = event.lasted(paint.now).unwrap_or_else(|| "–".to_owned());
        spans.push(Span::raw(format!("{} ", left(&lasted, columns - 1))));
    }
    spans.push(Span::raw(format!("{} ", left(&event.about(), columns.about - 1))));
    let room = usize::from(width).saturating_sub(line_width(&spans) + 1);
    spans.push(paint.span(role(event), cut(&event.sentence(), room)));
    Line::from(spans)
}

/// Returns how an event looks: only what goes on has a colour.
fn role(event: &PastEvent) -> Role {
    match &event.what {
        PastWhat::Trouble { end: TroubleEnd::GoesOn, severity, .. } => match severity {
            Severity::Error => Role::Error,
            Severity::Warning | Severity::Note => Role::Warn,
        },
        PastWhat::Trouble { .. }
        | PastWhat::Restart { .. }
        | PastWhat::OtherSystem { .. }
        | PastWhat::Run { .. } => Role::Text,
    }
}

/// Does a command in the pane.
pub(super) fn update(model: &mut Model, command: Command, now: Timestamp) -> Vec<Effect> {
    match command {
        command if command.moves() => {
            let page = page(layout(model).body);
            move_selection(model, command, page);
        }
        Command::Filter => model.type_filter(),
        Command::Open => open(model, now),
        // The filter goes first.
        Command::Close if model.clear_filter() => {}
        Command::Close => model.close(),
        _ => {}
    }
    Vec::new()
}

/// Returns whether a command has something to act on in the pane.
pub(super) fn can(pane: &PastPane, command: Command) -> bool {
    match command {
        Command::Open | Command::Filter => !pane.events().is_empty(),
        _ => true,
    }
}

/// Goes to what the selected event is about: a run, the details of a host or of a tier.
fn open(model: &mut Model, now: Timestamp) {
    let Some(Overlay::Past(pane)) = model.overlay() else { return };
    let Some(event) = pane.events().get(pane.selected).filter(|_| model.shows_selected()) else {
        return;
    };
    let (event, of) = (event.clone(), pane.of.clone());
    match event.what {
        PastWhat::Run { run, .. } => {
            let runs = &model.world.runs;
            let same = |view: &RunView| {
                view.id == run && view.began_at.as_second() == event.at.as_second()
            };
            let Some(index) = runs.iter().position(same) else {
                let text = format!("run #{run} is not among the runs whose folders are here");
                return model.say(text, true, now);
            };
            model.overlays.clear();
            model.select_run(index, None);
            model.show(Screen::Deploy);
        }
        PastWhat::Restart { host } | PastWhat::OtherSystem { host, .. } => {
            details(model, &OverTimeOf::Host(host), now);
        }
        PastWhat::Trouble { of: tier @ OverTimeOf::Tier(_), on_host: Some(host), .. } => {
            // What a host makes of a tier stands in both; whose events these are is not left.
            let host = OverTimeOf::Host(host);
            let next = if of.as_ref() == Some(&host) { host } else { tier };
            details(model, &next, now);
        }
        PastWhat::Trouble { of, .. } => details(model, &of, now),
    }
}

/// Shows the details of a host or tier.
fn details(model: &mut Model, of: &OverTimeOf, now: Timestamp) {
    let fleet = &model.world.fleet;
    let (screen, place) = match of {
        OverTimeOf::Host(name) => {
            (Screen::Fleet, fleet.hosts.iter().position(|host| host.name == *name))
        }
        OverTimeOf::Tier(name) => {
            (Screen::Caches, fleet.tiers.iter().position(|tier| tier.name == *name))
        }
    };
    let Some(place) = place else {
        return model.say(format!("{} is not in hosts.toml any more", of.name()), true, now);
    };
    model.overlays.clear();
    model.go_to(screen, place);
    (model.zoom, model.details_scroll) = (true, 0);
}

/// Reads again, where that was long ago.
pub(in crate::dash) fn tick(model: &mut Model, now: Timestamp) -> Vec<Effect> {
    let Some(Overlay::Past(pane)) = model.overlay_mut() else { return Vec::new() };
    if pane.is_due(now) {
        pane.asked_at = now;
        let of = pane.of.clone();
        return read_past(of);
    }
    Vec::new()
}

/// Takes what happened, where it is still wanted.
pub(in crate::dash) fn taken(
    model: &mut Model,
    of: Option<&OverTimeOf>,
    found: Result<Vec<PastEvent>, String>,
) {
    for overlay in &mut model.overlays {
        if let Overlay::Past(pane) = overlay
            && pane.of.as_ref() == of
            && pane.found.as_ref() != Some(&found)
        {
            pane.take(found);
            model.dirty = true;
            return;
        }
    }
}
