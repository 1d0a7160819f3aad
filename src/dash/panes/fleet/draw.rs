//! The hosts: a table, and below it the details of the selected one.
//!
//! ```text
//!    HOST      STATE      SYSTEM                    LOAD             MEM   /NIX FREE     AGE
//!  › p620      ● up       26.05.20261118  gen 212   ▁▂▅▇▅▂   4.12   38 %      412 GB     1 s
//!    samsung   ▲ degraded 26.05.20261102  gen  77        ▁▁▂▁▁▁   0.40   61 %     12.0 GB     2 s
//!    p510 ⚷    ○ offline  26.05.20261118  gen 140            –      –      –           –     3 h
//!  samsung ─────────────────────────────────────────────────────────────────────────────────
//!  reach     samsung.lan  4 ms, as root      in p620   1 356 of 1 356 paths  signed p620-1 ✓
//! ```
//!
//! Hosts may stand in groups by their tags: each has a row above its hosts, which may be folded.
//!
//! In a narrow pane a host that is well shows figures, and one that is not shows its state instead.

use crate::dash::panes::fleet::columns::{Columns, TABLE_LEFT, name, table_room};
use crate::dash::panes::fleet::group_row::{group_row, is_marked};
use crate::dash::panes::{headings, host, log_tail};
use crate::dash::theme::Role;
use crate::dash::widgets::filtered;
use crate::dash::widgets::paint::{Paint, below, put, put_all, put_wrapped, top};
use crate::dash::widgets::places::ClickTarget;
use crate::dash::widgets::table;
use crate::dash::widgets::table::Window;
use crate::dash::widgets::text::{left, line_width, right, width};
use crate::dash::words::tiers::{is_bad, is_named_with_coverage, tier_mark};
use crate::dash::words::{Mark, busy_mark, host_mark};
use crate::dash::world::shown_age;
use crate::dash::{HostModel, Model};
use crate::fleet::{Host, HostState, ago, bytes, percent, worst};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Narrower than this, the table has no columns.
const NARROW: u16 = 56;

/// Rows that the details need to be worth showing.
const DETAILS: u16 = 5;

/// Draws the table, and the details where there is room.
pub(in crate::dash) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    if paint.model.zoom && paint.model.selected().is_some() {
        paint.places.add(area, ClickTarget::Text);
        host::draw(paint, buffer, area, true);
        return;
    }
    if paint.model.world.fleet.hosts.is_empty() {
        put_wrapped(paint, buffer, area, Role::Dim, &no_host(paint));
        return;
    }
    let area = filtered::note(paint, buffer, area, ("host", "hosts"));
    let visible = paint.model.rows();
    let heading = u16::from(area.width >= NARROW);
    let wanted = visible.len().max(1) as u16 + heading;
    let (table, gap) = match with_details(area.height, wanted) {
        None => (area.height, 0),
        Some(_) if paint.model.fleet.split.is_moved() && paint.model.selected().is_some() => {
            (paint.model.fleet.split.rows(wanted, area.height, (3, DETAILS)), 0)
        }
        Some(table) => (table, u16::from(area.height - table > DETAILS + 2)),
    };
    rows(paint, buffer, top(area, table), &visible);
    let rest = below(area, table + gap);
    if rest.height >= DETAILS && paint.model.selected().is_some() {
        paint.places.add_border(area, rest.y);
        let used = host::draw(paint, buffer, rest, false);
        newest_log(paint, buffer, below(rest, used + 1));
    } else {
        tiers(paint, buffer, below(area, wanted + u16::from(area.height > wanted + 1)));
    }
}

/// Returns the rows of the table beside which the details have room; none where they have none, and all rows
/// are the table's.
fn with_details(height: u16, wanted: u16) -> Option<u16> {
    let table = wanted.min((height / 2).max(height.saturating_sub(18))).max(3);
    (table + DETAILS <= height).then_some(table)
}

/// Draws the log of the selected host's newest run, where the details leave room for it.
fn newest_log(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    let Some((host, _)) = paint.model.selected() else { return };
    let part = paint.model.world.runs.iter().rev().find_map(|run| run.host(&host.name));
    if let Some(part) = part.filter(|part| area.height >= 5 && !part.log.is_empty()) {
        log_tail::draw(paint, buffer, area, part);
    }
}

/// Draws what the tiers hold in the rows that a small pane has left.
fn tiers(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    let mut lines: Vec<Vec<Span<'static>>> = Vec::new();
    for (tier, view) in paint.model.world.fleet.tiers.iter().zip(&paint.model.world.tiers) {
        if !is_named_with_coverage(tier, &view.facts) {
            continue;
        }
        let mark = tier_mark(&view.facts);
        let bad = is_bad(&view.facts);
        let mut item = vec![Span::raw(format!(" {}{} ", if bad { "" } else { "in " }, tier.name))];
        if bad {
            item.push(paint.span(mark.role, mark.text()));
        } else {
            item.push(match paint.model.world.mean_coverage(&tier.name) {
                Some(mean) => Span::raw(mean.words()),
                None => paint.span(Role::Dim, "–"),
            });
        }
        item.push(Span::raw("  "));
        match lines.last_mut() {
            Some(line) if line_width(line) + line_width(&item) <= usize::from(area.width) => {
                line.extend(item);
            }
            Some(_) | None => lines.push(item),
        }
    }
    let lines: Vec<Line<'static>> = lines.into_iter().map(Line::from).collect();
    put_all(buffer, area, &lines, 0);
}

/// Returns that there is no host, and how one comes here.
fn no_host(paint: &Paint<'_>) -> String {
    let [edit, caches] = ["edit-hosts", "caches"].map(|name| paint.model.keymap.press(name));
    let has_tiers = !paint.model.world.fleet.tiers.is_empty();
    let elsewhere = if has_tiers { format!(" {caches} shows the caches.") } else { String::new() };
    format!(
        "hosts.toml names no host. Add [hosts.NAME] for each machine ({edit} opens the file), or quit and let \
         `nixdash init` propose what it finds.{elsewhere}"
    )
}

/// Draws the hosts that the filter lets through, scrolled so that the selected one is seen.
fn rows(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, visible: &[usize]) {
    let narrow = area.width < NARROW;
    let columns = Columns::choose(paint.model, table_room(area.width));
    let mut list = area;
    if !narrow {
        let headings = columns.headings(paint.model);
        let text = table::headings(&headings, TABLE_LEFT, &paint.model.fleet.sorting);
        put(buffer, area, 0, &Line::from(paint.span(Role::Dim, text)));
        list = below(area, 1);
    }
    let at =
        visible.iter().position(|index| *index == paint.model.fleet.selected).unwrap_or_default();
    let window = Window::with_note(visible.len(), at, usize::from(list.height))
        .begin_at(paint.model.list_from);
    let text = format!("   {}", window.unseen());
    put(buffer, list, window.rows as u16, &Line::from(paint.span(Role::Dim, text)));
    let groups = paint.model.host_groups();
    let behind = paint.model.world.fleet.hosts.len();
    for (row, index) in visible.iter().skip(window.from).take(window.rows).enumerate() {
        let selected = *index == paint.model.fleet.selected;
        let known =
            paint.model.world.fleet.hosts.get(*index).zip(paint.model.world.hosts.get(*index));
        let mut spans = Vec::new();
        if let Some((host, view)) = known {
            let marked = paint.model.fleet.marked.contains(&host.name);
            spans.extend(prefix(paint, marked, selected, narrow));
            if narrow {
                spans.extend(narrow_row(
                    paint,
                    host,
                    view,
                    usize::from(list.width).saturating_sub(2),
                ));
            } else {
                spans.extend(columns.cells(paint, host, view));
            }
        } else if let Some(group) = index.checked_sub(behind).and_then(|at| groups.get(at)) {
            spans.extend(prefix(paint, is_marked(paint, group), selected, narrow));
            let room = usize::from(list.width).saturating_sub(line_width(&spans));
            spans.extend(group_row(paint, &groups, group, room));
        }
        let row = row as u16;
        paint.places.add_row(list, row, *index, window.from);
        put(buffer, list, row, &Line::from(spans));
        if selected {
            table::select(paint, buffer, list, row);
        }
    }
}

/// Sorts the hosts by the heading at a column.
pub(super) fn sort_at(model: &mut Model, list: Rect, column: usize) -> bool {
    if list.width < NARROW {
        return false;
    }
    let headings = Columns::choose(model, table_room(list.width)).headings(model);
    let by = headings::at(&headings, TABLE_LEFT, column);
    headings::sort(&mut model.fleet.sorting, by)
}

/// Returns the signs before a name: marked, selected.
fn prefix(paint: &Paint<'_>, marked: bool, selected: bool, narrow: bool) -> Vec<Span<'static>> {
    let mark = paint.span(Role::Accent, if marked { "◆" } else { " " });
    let cursor = paint.span(Role::Accent, if selected { "›" } else { " " });
    if narrow { vec![mark, cursor] } else { vec![mark, cursor, Span::raw(" ")] }
}

/// Returns a host in a pane without columns.
fn narrow_row(paint: &Paint<'_>, host: &Host, view: &HostModel, room: usize) -> Vec<Span<'static>> {
    let names = paint.model.world.fleet.hosts.iter().map(|host| width(&name(host)));
    let name_width = names.max().unwrap_or(4).min(room / 3).max(4);
    let busy = busy_mark(paint.model, &host.name);
    let mark = busy.clone().unwrap_or_else(|| host_mark(view, room.saturating_sub(name_width + 8)));
    let role = if view.is_old(paint.now) && busy.is_none() { Role::Dim } else { Role::Text };
    let seen = view.facts.measured_at.map(|then| shown_age(paint.now, then));
    let seen = right(&seen.unwrap_or_else(|| "–".to_owned()), 6);
    let middle = room.saturating_sub(name_width + 1 + 7);
    let mut spans = vec![paint.span(role, left(&name(host), name_width)), Span::raw(" ")];
    spans.extend(narrow_middle(paint, host, view, &mark, middle));
    spans.push(Span::raw(" "));
    spans.push(paint.span(role, seen));
    spans
}

/// Returns figures of a host that is well, and the state of any other.
fn narrow_middle(
    paint: &Paint<'_>,
    host: &Host,
    view: &HostModel,
    mark: &Mark,
    room: usize,
) -> Vec<Span<'static>> {
    let is_busy = paint.model.world.busy(&host.name).is_some();
    let well =
        view.facts.state == HostState::Up && worst(&view.facts.findings).is_none() && !is_busy;
    if !well {
        let left_over = time_left(paint.model, &host.name, paint.now);
        let text = match left_over {
            Some(time) if width(&mark.text()) + width(&time) + 3 <= room => {
                format!("{}   {time}", mark.text())
            }
            _ => mark.text(),
        };
        return vec![paint.span(mark.role, left(&text, room))];
    }
    let facts = &view.facts;
    let unknown = || "–".to_owned();
    let load = facts.load1.map_or_else(unknown, |load| format!("{load:.2}"));
    let memory = facts.memory.and_then(crate::fleet::Bytes::share).map_or_else(unknown, percent);
    let free = facts.disk.map_or_else(unknown, |disk| bytes(disk.free()));
    let mut figures = String::new();
    for (text, columns) in [(load, 6), (memory, 6), (free, 8)] {
        if width(&figures) + columns < room {
            figures.push_str(&right(&text, columns));
        }
    }
    let role = if view.is_old(paint.now) { Role::Dim } else { Role::Text };
    vec![
        paint.span(mark.role, mark.sign.to_string()),
        paint.span(role, left(&figures, room.saturating_sub(1))),
    ]
}

fn time_left(model: &Model, name: &str, now: Timestamp) -> Option<String> {
    let left = model.world.busy(name)?.time_left(now)?;
    Some(format!("{} left", ago(left)))
}
