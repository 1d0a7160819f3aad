//! The runs, newest first.
//!
//! ```text
//!    RUN   BEGAN   TOOK     REVISION        BEHIND  HOW IT ENDED    WHAT
//!  › #41   12:04   –        3f2c1ab0 dirty  0       ◐ 1/2 done      switch via-cache: samsung razer
//!    #40   11:31   31 s     8f2c1abc        3       ● 1 switched    switch via-cache: razer
//!  run #41  switch via-cache ──────────────────────────────────────────────────────────
//!    razer         ● switched in 31 s     0 built, 38 from p620 (212 MB)
//! ```

use crate::dash::model::Model;
use crate::dash::panes::headings;
use crate::dash::panes::history::hosts;
use crate::dash::panes::history::sort::RunSort;
use crate::dash::theme::Role;
use crate::dash::widgets::filtered;
use crate::dash::widgets::paint::{Paint, below, put, put_wrapped, top};
use crate::dash::widgets::table::{self, Heading, Window};
use crate::dash::widgets::text::{cut, left, line_width, width};
use crate::dash::words::runs::{behind_figure, no_run_yet, revision_words};
use crate::dash::words::summary_mark;
use crate::dash::world::RunView;
use crate::fleet::duration;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Columns of the signs before a run.
const TABLE_LEFT: usize = 3;

/// From this many columns on, a run says when it began and how long it took.
const WIDE: u16 = 76;

/// From this many columns on, a run says which revision it deploys.
const WITH_REVISION: u16 = 100;

/// From this many columns on, a run says how far its revision is behind the flake.
const WITH_BEHIND: u16 = 120;

/// Columns of that: `1234 ▲`, and the gap behind it.
const BEHIND: usize = 8;

/// Columns of how long a run took at most, and the gap behind it.
const MOST_TOOK: usize = 14;

/// Columns that stay free behind how a run ended.
const GAP: usize = 2;

/// Columns of a revision: `3f2c1ab09 dirty`, and the gap behind it.
const REVISION: usize = 17;

/// Draws the runs.
pub(in crate::dash) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    let runs = &paint.model.world.runs;
    if runs.is_empty() {
        put_wrapped(paint, buffer, area, Role::Dim, &no_run_yet(paint));
        return;
    }
    if paint.model.zoom && paint.model.shown_run().is_some() {
        hosts::draw(paint, buffer, area);
        return;
    }
    let area = filtered::note(paint, buffer, area, ("run", "runs"));
    let visible = paint.model.visible_runs();
    let wide = area.width >= WIDE;
    let columns = HistoryColumns::of(paint.model, area);
    let head = table::headings(&headings(area, columns), TABLE_LEFT, &paint.model.history.sorting);
    put(buffer, area, 0, &Line::from(paint.span(Role::Dim, head)));
    let has_room = area.height >= 12;
    let fitting = (visible.len() as u16 + 1).min(area.height / 2) + 1;
    let above = paint.model.history.split.rows(fitting, area.height, (3, 4));
    let gap = u16::from(!paint.model.history.split.is_moved());
    let table = if has_room { above - gap } else { area.height };
    let list = below(top(area, table), 1);
    if has_room && paint.model.shows_selected() {
        let rest = below(area, above);
        paint.places.add_border(area, rest.y);
        hosts::draw(paint, buffer, rest);
    }
    let at = visible.iter().position(|index| *index == paint.model.deploy.run);
    let window = Window::new(visible.len(), at.unwrap_or_default(), usize::from(list.height))
        .begin_at(paint.model.list_from);
    let newest = visible.iter().skip(window.from).take(window.rows);
    for (row, (index, run)) in newest.filter_map(|at| Some((*at, runs.get(*at)?))).enumerate() {
        let selected = index == paint.model.deploy.run;
        let mut spans = vec![
            paint.span(Role::Accent, if selected { " › " } else { "   " }),
            Span::raw(left(&format!("#{}", run.id), 6)),
        ];
        if wide {
            spans.push(Span::raw(left(&paint.clock(run.began_at, false), 8)));
            spans.push(Span::raw(left(&took(run), columns.took)));
        }
        if area.width >= WITH_REVISION {
            spans.push(revision(paint, run));
        }
        if area.width >= WITH_BEHIND {
            spans.push(behind(paint, run));
        }
        let (role, text) = ended(paint.model, run, columns.ended - GAP);
        spans.push(paint.span(role, left(&cut(&text, columns.ended - GAP), columns.ended)));
        let room = usize::from(area.width).saturating_sub(line_width(&spans) + 1);
        spans.push(Span::raw(cut(&what(run), room)));
        paint.places.add_row(list, row as u16, index, window.from);
        put(buffer, list, row as u16, &Line::from(spans));
        if selected {
            table::select(paint, buffer, list, row as u16);
        }
    }
}

/// How wide the columns are whose texts differ much: what they do not need is room for what a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct HistoryColumns {
    took: usize,
    ended: usize,
}

impl HistoryColumns {
    /// The columns of a body whose runs say the most that these columns take.
    fn widest(area: Rect) -> Self {
        let ended = (usize::from(area.width) / 3).clamp("HOW IT ENDED".len() + GAP, 40);
        Self { took: MOST_TOOK, ended }
    }

    /// Returns the columns that the runs need which the list has. How they ended may take what their times leave.
    fn of(model: &Model, area: Rect) -> Self {
        let most = Self::widest(area);
        let runs = model.visible_runs();
        let runs = || runs.iter().filter_map(|index| model.world.runs.get(*index));
        let took = runs().map(|run| width(&took(run)) + GAP).max().unwrap_or_default();
        let took = took.clamp("TOOK".len() + 2 * GAP, most.took);
        let spare = most.took - took;
        let what = runs().map(|run| width(&what(run)) + GAP).max().unwrap_or_default();
        let before = headings(area, Self { took, ..most });
        let before = before.iter().find(|it| it.by == Some(RunSort::Ended)).map_or(0, |it| it.at);
        let beside = usize::from(area.width).saturating_sub(TABLE_LEFT + before + what);
        let most_ended = beside.max(most.ended + if area.width >= WIDE { spare } else { 0 });
        let ended = runs().map(|run| width(&ended(model, run, most_ended - GAP).1) + GAP).max();
        let ended = ended.unwrap_or_default().clamp("HOW IT ENDED".len() + GAP, most_ended);
        Self { took, ended }
    }
}

/// Returns what a run does, and for which hosts.
fn what(run: &RunView) -> String {
    let hosts: Vec<&str> = run.hosts.iter().map(|host| host.host.as_str()).collect();
    format!("{}: {}", run.title, hosts.join(" "))
}

/// Returns how long a run took that has ended.
fn took(run: &RunView) -> String {
    let took = run.summary.as_ref().map(|summary| duration(summary.duration));
    took.unwrap_or_else(|| "–".to_owned())
}

/// Returns the headings of the columns that fit.
fn headings(area: Rect, columns: HistoryColumns) -> Vec<Heading<RunSort>> {
    let (wide, revision) = (area.width >= WIDE, area.width >= WITH_REVISION);
    let all = [
        (true, "RUN", 6, None),
        (wide, "BEGAN", 8, Some(RunSort::Began)),
        (wide, "TOOK", columns.took, Some(RunSort::Took)),
        (revision, "REVISION", REVISION, None),
        (area.width >= WITH_BEHIND, "BEHIND", BEHIND, None),
        (true, "HOW IT ENDED", columns.ended, Some(RunSort::Ended)),
        (true, "WHAT", 4, None),
    ];
    let mut at = 0;
    let shown = all.into_iter().filter(|(shown, ..)| *shown).map(|(_, title, columns, by)| {
        let heading = Heading { title: title.to_owned(), at, columns, at_right: false, by };
        at += columns;
        heading
    });
    shown.collect()
}

/// Returns by what runs can be sorted in a body: by when they began, then by what it has a column for.
pub(in crate::dash) fn sorts(body: Rect) -> Vec<RunSort> {
    let shown =
        headings(body, HistoryColumns::widest(body)).into_iter().filter_map(|heading| heading.by);
    let others = shown.filter(|by| *by != RunSort::default());
    std::iter::once(RunSort::default()).chain(others).collect()
}

/// Sorts the runs by the heading at a column.
pub(super) fn sort_at(model: &mut Model, list: Rect, column: usize) -> bool {
    if model.zoom {
        return false;
    }
    let by = headings::at(&headings(list, HistoryColumns::of(model, list)), TABLE_LEFT, column);
    headings::sort(&mut model.history.sorting, by)
}

/// Returns the revision of the flake that a run deploys; one that its plan does not name is not known.
fn revision(paint: &Paint<'_>, run: &RunView) -> Span<'static> {
    match run.plan.as_ref().and_then(|plan| plan.revision.as_deref()) {
        Some(revision) => Span::raw(left(&revision_words(revision), REVISION)),
        None => paint.span(Role::Dim, left("–", REVISION)),
    }
}

/// Returns by how many commits the revision of a run is behind the flake now.
fn behind(paint: &Paint<'_>, run: &RunView) -> Span<'static> {
    let world = &paint.model.world;
    let counted = run.plan.as_ref().and_then(|plan| world.ancestry_of_plan(plan));
    // Its revision says that itself.
    let (text, role) = behind_figure(counted, false);
    paint.span(role, left(&text, BEHIND))
}

/// Returns how a run ended; the key that goes on with it, where that has room.
fn ended(model: &Model, run: &RunView, room: usize) -> (Role, String) {
    match (&run.summary, &run.gone) {
        (Some(summary), _) => {
            let (sign, role) = summary_mark(summary);
            (role, format!("{sign} {}", summary.words()))
        }
        (None, Some(_)) if run.can_go_on => {
            let key = model.keymap.press("reattach");
            let long = format!("▲ nobody watches it: {key} goes on");
            let fits = width(&long) <= room;
            (Role::Warn, if fits { long } else { "▲ nobody watches it".to_owned() })
        }
        (None, Some(_)) => (Role::Error, "✗ nobody watches it".to_owned()),
        (None, None) if run.asks_somebody() => (Role::Warn, "▲ waiting for you".to_owned()),
        (None, None) => {
            let counts = run.counts();
            let long = format!("◐ {}", counts.words());
            let fits = width(&long) <= room;
            let role = if counts.wrong() > 0 { Role::Error } else { Role::Busy };
            (role, if fits { long } else { format!("◐ {}", counts.signs()) })
        }
    }
}
