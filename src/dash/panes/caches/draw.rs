//! The tiers: how each is, and how much of each host's running closure it holds.
//!
//! ```text
//!     TIER        STATE            SINCE  SERVED 7 d  LATENCY          SIZE                 p620    razer
//!  › 1 p620       ● up               3 d        98 %  ▁▁▂▁▁   3.1 ms   81.2 of 100 GB ▇    100 %   100 %
//!    2 nixos.org  ● up               9 d         2 %  ▂▂▃▂▂    19 ms                –       89 %    89 %
//!    3 community  ▲ unauthorized    14 min         –                   hosts skip this cache, older Nix silently
//!    4 weed       ▲ 2 of 3 servers   2 min         –  ▁▁▁▁▁   1.1 ms   12.0 of 60.0 GB ▂   ▲ 66 %   66 %
//!  hit rate 98 % of 12 430 paths in 7 days
//!  p620 ─────────────────────────────────────────────────────────────── answered 12 s ago
//!  serves        http://p620.lan:5000, nix-serve
//! ```
//!
//! A percentage below a host counts paths of the closure that the host runs now; `▲` before it says
//! that the tier is not for that host what it should be. A tier that serves nobody says why there.
//! Where not all hosts have room, the worst stand first and a row says how many are not seen.
//! `–` was not measured; blank is what a tier cannot have that no host asks.

use crate::dash::model::Model;
use crate::dash::panes::caches::columns::{GAP, Shape, TABLE_LEFT, TierColumn, cell};
use crate::dash::panes::{cache, headings};
use crate::dash::theme::Role;
use crate::dash::widgets::filtered;
use crate::dash::widgets::paint::{Paint, below, put, top};
use crate::dash::widgets::places::ClickTarget;
use crate::dash::widgets::table;
use crate::dash::widgets::table::Window;
use crate::dash::widgets::text::{count, cut, left, line_width, width};
use crate::dash::words::tiers::{stores_up, tier_mark, why_useless};
use crate::dash::world::TierView;
use crate::fleet::{Tier, percent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Columns without which a sentence is not begun.
const WORDS: usize = 20;

/// Columns for how many tiers are not seen.
const UNSEEN: usize = 17;

/// Draws the matrix, and the details of the selected tier.
pub(in crate::dash) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    let tiers = &paint.model.world.fleet.tiers;
    if tiers.is_empty() {
        let text = " hosts.toml names no tier";
        put(buffer, area, 0, &Line::from(paint.span(Role::Dim, text)));
        return;
    }
    if paint.model.zoom && paint.model.selected_tier().is_some() {
        paint.places.add(area, ClickTarget::Text);
        cache::draw(paint, buffer, area, true);
        return;
    }
    let area = filtered::note(paint, buffer, area, ("tier", "tiers"));
    let shape = Shape::of(paint.model, usize::from(area.width));
    let note = shape.hosts.note();
    let wanted = paint.model.visible_tiers().len() as u16 + 1 + u16::from(note.is_some());
    let split = paint.model.caches.split;
    let is_moved = split.is_moved() && area.height >= 9;
    // What the list has, with what stands between it and the details.
    let above = split.rows(wanted, area.height, (3, 4));
    let caption = if is_moved { above > 6 } else { area.height >= wanted + 10 };
    let table = match area.height {
        _ if is_moved => above - if caption { 2 } else { 0 },
        height if height >= wanted + 3 => wanted,
        height if height >= 9 => wanted.min(height - 6),
        height => height,
    };
    let mut rows = table;
    if let Some(note) = note.filter(|_| table > 3) {
        rows -= 1;
        let text = cut(&format!("   {note}"), usize::from(area.width));
        put(buffer, area, rows, &Line::from(paint.span(Role::Dim, text)));
    }
    matrix(paint, buffer, top(area, rows), &shape);
    let mut rest = below(area, table);
    if caption {
        put(buffer, rest, 0, &hit_rate(paint));
        rest = below(rest, 2);
    } else if area.height > table + 8 && !is_moved {
        rest = below(rest, 1);
    }
    if rest.height >= 3 {
        if area.height >= 9 && paint.model.selected_tier().is_some() {
            paint.places.add_border(area, rest.y);
        }
        cache::draw(paint, buffer, rest, false);
    }
}

/// Returns the hit rate of the whole fleet.
fn hit_rate(paint: &Paint<'_>) -> Line<'static> {
    let figures = &paint.model.world.figures;
    let hit = figures.hit();
    let mut spans = vec![paint.span(Role::Dim, "     hit rate  ")];
    let Some(rate) = hit.ratio() else {
        spans.push(paint.span(Role::Dim, "–  not known yet: no builds in the last 7 days"));
        return Line::from(spans);
    };
    let target = paint.model.world.fleet.targets.hit_rate;
    let missed = target.filter(|target| rate < *target);
    let role = if missed.is_some() { Role::Warn } else { Role::Text };
    let sign = if missed.is_some() { "▲ " } else { "" };
    spans.push(paint.span(role, format!("{sign}{}", percent(rate))));
    let wanted = missed.map(|target| format!(", wanted {}", percent(target))).unwrap_or_default();
    let paths = count(hit.total);
    let beside = figures.beside(|other| other.hit().ratio());
    let text = format!("{wanted}  of {paths} paths in {} days{beside}", figures.days);
    spans.push(paint.span(Role::Dim, text));
    Line::from(spans)
}

fn matrix(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, shape: &Shape) {
    let fleet = &paint.model.world.fleet;
    let headings = shape.headings(paint.model);
    let blanks = TABLE_LEFT + shape.number;
    let mut head = table::headings(&headings, blanks, &paint.model.caches.sorting);
    let list = below(area, 1);
    // What is not seen is told beside the headings, or in the last row where they have no room.
    let beside = width(head.trim_end()) + 2 + UNSEEN <= usize::from(area.width);
    let window = if beside { Window::new } else { Window::with_note };
    let visible = paint.model.visible_tiers();
    let at = visible.iter().position(|index| *index == paint.model.caches.selected);
    let window = window(visible.len(), at.unwrap_or_default(), usize::from(list.height))
        .begin_at(paint.model.list_from);
    let unseen = window.unseen();
    if beside && !unseen.is_empty() {
        head = left(head.trim_end(), usize::from(area.width).saturating_sub(width(&unseen) + 1));
        head.push_str(&unseen);
    } else if !unseen.is_empty() {
        let text = format!("   {unseen}");
        put(buffer, list, window.rows as u16, &Line::from(paint.span(Role::Dim, text)));
    }
    put(buffer, area, 0, &Line::from(paint.span(Role::Dim, head)));
    let known = |index: &usize| {
        let index = *index;
        Some((index, fleet.tiers.get(index)?, paint.model.world.tiers.get(index)?))
    };
    let tiers = visible.iter().skip(window.from).take(window.rows).filter_map(known);
    for (row, (index, tier, view)) in tiers.enumerate() {
        let selected = index == paint.model.caches.selected;
        let mut spans = vec![
            paint.span(Role::Accent, if selected { " › " } else { "   " }),
            paint.span(Role::Dim, left(&(index + 1).to_string(), shape.number)),
            Span::raw(left(&tier.name, shape.name)),
            Span::raw("  "),
        ];
        spans.extend(state(paint, tier, view, shape.state));
        let room = usize::from(area.width).saturating_sub(line_width(&spans) + 1);
        spans.extend(figures(paint, shape, tier, view, room));
        paint.places.add_row(list, row as u16, index, window.from);
        put(buffer, list, row as u16, &Line::from(spans));
        if selected {
            table::select(paint, buffer, list, row as u16);
        }
    }
}

/// Sorts the tiers by the heading at a column.
pub(super) fn sort_at(model: &mut Model, list: Rect, column: usize) -> bool {
    let shape = Shape::of(model, usize::from(list.width));
    let by = headings::at(&shape.headings(model), TABLE_LEFT + shape.number, column);
    headings::sort(&mut model.caches.sorting, by)
}

/// Returns how a tier is; of a well one only the sign is coloured.
fn state(paint: &Paint<'_>, tier: &Tier, view: &TierView, columns: usize) -> [Span<'static>; 2] {
    let mark = tier_mark(&view.facts);
    let role = if mark.role == Role::Ok { Role::Text } else { mark.role };
    let some = stores_up(&paint.model.world.fleet, tier, &view.facts);
    let some = some.map(|some| format!(", {some}")).unwrap_or_default();
    let word = left(&format!(" {}{some}", mark.word), columns.saturating_sub(1));
    [paint.span(mark.role, mark.sign.to_string()), paint.span(role, word)]
}

/// Returns a tier's figures; one that serves nobody says why below the hosts, and before them
/// where their columns are too few for the words.
fn figures(
    paint: &Paint<'_>,
    shape: &Shape,
    tier: &Tier,
    view: &TierView,
    room: usize,
) -> Vec<Span<'static>> {
    let why = why_useless(tier.kind.name(), &view.facts).filter(|_| room >= WORDS);
    let widths: Vec<usize> = shape.columns.iter().map(|column| column.width(shape.host)).collect();
    let kept = why.map_or(widths.len(), |why| {
        let hosts = shape.columns.iter().position(|column| {
            matches!(column, TierColumn::Average | TierColumn::ShortAverage | TierColumn::Host(_))
        });
        let first = hosts.unwrap_or(widths.len());
        let fits = |from: &usize| {
            let used: usize = widths[..*from].iter().map(|width| width + GAP).sum();
            used + GAP + width(why) <= room
        };
        (0..=first).rev().find(fits).unwrap_or(0)
    });
    let mut spans = Vec::new();
    for (column, columns) in shape.columns.iter().zip(&widths).take(kept) {
        spans.push(Span::raw(" ".repeat(GAP)));
        spans.extend(cell(paint, *column, *columns, tier, view));
    }
    if let Some(why) = why {
        let left = room.saturating_sub(line_width(&spans) + GAP);
        spans.push(Span::raw(" ".repeat(GAP)));
        spans.push(paint.span(tier_mark(&view.facts).role, cut(why, left)));
    }
    spans
}
