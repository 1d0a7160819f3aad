//! The columns of the caches' matrix: which of them fit, and what each shows.
//!
//! A column's width depends on the fleet and on the terminal, never on a measured value, so that
//! nothing jumps when a figure changes.

use crate::dash::model::Model;
use crate::dash::panes::caches::hosts::HostsShown;
use crate::dash::panes::caches::sort::TierSort;
use crate::dash::theme::Role;
use crate::dash::widgets::graph::{level, spark};
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::table::Heading;
use crate::dash::widgets::text::{fitted, left, right, width};
use crate::dash::words::milliseconds;
use crate::dash::words::tiers::{is_bad_on_host, signature_mark, size_words};
use crate::dash::world::{TierView, is_current, shown_age};
use crate::fleet::{Coverage, SizeFacts, Tier, TierState, bytes, percent};
use ratatui::text::Span;

/// The latency at which the small graph is full, in milliseconds.
const FULL_MS: f64 = 50.0;

/// Columns between two columns.
pub(in crate::dash) const GAP: usize = 2;

/// A column after the tier's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dash) enum TierColumn {
    Since,
    Signature,
    Served,
    Answered,
    Spark,
    Latency,
    Speed,
    Size,
    ShortSize,
    Priority,
    Average,
    ShortAverage,
    Host(usize),
}

use TierColumn as C;

impl TierColumn {
    fn title(self, model: &Model) -> String {
        let days = model.world.figures.days.max(1);
        match self {
            C::Since => "SINCE".to_owned(),
            C::Signature => "SIGNATURE".to_owned(),
            C::Served if model.world.figures.days > 0 => format!("SERVED {days} d"),
            C::Served => "SERVED".to_owned(),
            C::Answered => "ANSWERED".to_owned(),
            C::Spark => String::new(),
            C::Latency => "LATENCY".to_owned(),
            C::Speed => "SPEED 7 d".to_owned(),
            C::Size | C::ShortSize => "SIZE".to_owned(),
            C::Priority => "PRIO".to_owned(),
            C::Average => "AVERAGE".to_owned(),
            C::ShortAverage => "AVG".to_owned(),
            C::Host(index) => {
                let host = model.world.fleet.hosts.get(index);
                host.map(|host| host.name.clone()).unwrap_or_default()
            }
        }
    }

    pub(in crate::dash) fn width(self, hosts: usize) -> usize {
        match self {
            C::Since => 6,
            C::Average => 7,
            C::ShortAverage => 5,
            C::Signature => 28,
            C::Served => 10,
            C::Answered | C::Latency | C::Spark => 8,
            C::Size => 20,
            C::ShortSize | C::Speed => 9,
            C::Priority => 4,
            C::Host(_) => hosts,
        }
    }

    /// Returns by what tiers are sorted for the column.
    fn sort(self) -> Option<TierSort> {
        match self {
            C::Since => Some(TierSort::Since),
            C::Served => Some(TierSort::Served),
            C::Answered => Some(TierSort::Answered),
            C::Latency => Some(TierSort::Latency),
            C::Speed => Some(TierSort::Speed),
            C::Size | C::ShortSize => Some(TierSort::Size),
            C::Priority => Some(TierSort::Priority),
            C::Average | C::ShortAverage => Some(TierSort::Average),
            C::Host(index) => Some(TierSort::Host(index)),
            C::Signature | C::Spark => None,
        }
    }

    /// Returns the heading of the column, which begins there: above where its figures end.
    fn heading(self, model: &Model, hosts: usize, at: usize) -> Heading<TierSort> {
        let bar = if matches!(self, C::Size | C::ShortSize) { BAR } else { 0 };
        Heading {
            title: self.title(model),
            at,
            columns: self.width(hosts) - bar,
            at_right: self != C::Signature,
            by: self.sort(),
        }
    }

    /// Returns whether the column says something of a tier that no host asks.
    fn means_something_unasked(self) -> bool {
        match self {
            C::Since | C::Size | C::ShortSize | C::Spark => true,
            C::Signature
            | C::Served
            | C::Answered
            | C::Latency
            | C::Speed
            | C::Priority
            | C::Average
            | C::ShortAverage
            | C::Host(_) => false,
        }
    }
}

/// What the matrix has room for; widths depend on the fleet and the terminal alone.
pub(in crate::dash) struct Shape {
    /// Columns of a tier's place, with the gap after it.
    pub(in crate::dash) number: usize,
    pub(in crate::dash) name: usize,
    pub(in crate::dash) state: usize,
    pub(in crate::dash) columns: Vec<TierColumn>,
    /// Columns of a host's name and share.
    pub(in crate::dash) host: usize,
    /// Which hosts have a column.
    pub(in crate::dash) hosts: HostsShown,
}

impl Shape {
    /// Returns what there is room for, with the hosts that have a column.
    pub(in crate::dash) fn of(model: &Model, room: usize) -> Self {
        let mut shape = Self::without_hosts(model, room);
        shape.columns.extend(shape.hosts.hosts(model).into_iter().map(C::Host));
        shape
    }

    /// Returns what there is room for without the columns of hosts: how many these are is known.
    pub(in crate::dash) fn without_hosts(model: &Model, room: usize) -> Self {
        let fleet = &model.world.fleet;
        let names = fleet.tiers.iter().map(|tier| width(&tier.name)).max().unwrap_or(4);
        let most = match room {
            0..60 => 11,
            60..150 => 18,
            _ => 30,
        };
        let name = names.clamp(4, most);
        let host = fleet.hosts.iter().map(|host| width(&host.name)).max().unwrap_or(5).clamp(7, 12);
        let state = if room >= 150 { 28 } else { 17 };
        let average = if room >= 100 { C::Average } else { C::ShortAverage };
        let number = digits(fleet.tiers.len()) + 1;
        let mut left = room.saturating_sub(3 + number + name + GAP + state);
        let hosts = fleet.hosts.len();
        let all = (hosts * (host + GAP)).min(6 * (host + GAP)).min(left);
        let mut chosen = Vec::new();
        if all < host + GAP || hosts == 0 {
            if left >= average.width(host) + GAP {
                chosen.push(average);
            }
            let hosts = HostsShown::default();
            return Self { number, name, state, columns: chosen, host, hosts };
        }
        let mut spare = left - all;
        for column in [
            C::Latency,
            C::Served,
            C::ShortSize,
            C::Since,
            C::Spark,
            C::Size,
            C::Speed,
            C::Answered,
            C::Signature,
            C::Priority,
        ] {
            let mut needed = column.width(host) + GAP;
            if column == C::Size {
                needed -= C::ShortSize.width(host) + GAP;
            }
            if spare < needed {
                continue;
            }
            if column == C::Size {
                chosen.retain(|chosen| *chosen != C::ShortSize);
            }
            spare -= needed;
            left -= needed;
            chosen.push(column);
        }
        let mut fitting = (left / (host + GAP)).min(hosts);
        if fitting < hosts {
            left = left.saturating_sub(average.width(host) + GAP);
            fitting = (left / (host + GAP)).min(hosts);
            chosen.push(average);
        }
        let hosts = HostsShown::of(model, fitting);
        let place = |column: &TierColumn| match column {
            C::Since => 0,
            C::Signature => 1,
            C::Served => 2,
            C::Answered => 3,
            C::Spark => 4,
            C::Latency => 5,
            C::Speed => 6,
            C::Size | C::ShortSize => 7,
            C::Priority => 8,
            C::Average | C::ShortAverage => 9,
            // They come behind, in their own order.
            C::Host(_) => 10,
        };
        chosen.sort_by_key(place);
        Self { number, name, state, columns: chosen, host, hosts }
    }
}

/// Columns of the signs before a tier's place.
pub(in crate::dash) const TABLE_LEFT: usize = 3;

impl Shape {
    /// Returns the headings, behind the signs and the place of each tier.
    pub(in crate::dash) fn headings(&self, model: &Model) -> Vec<Heading<TierSort>> {
        let left = |title: &str, at, columns, by| Heading {
            title: title.to_owned(),
            at,
            columns,
            at_right: false,
            by: Some(by),
        };
        let state = self.name + GAP;
        let mut all = vec![
            left("TIER", 0, self.name, TierSort::Name),
            left("STATE", state, self.state, TierSort::Problems),
        ];
        let mut at = state + self.state + GAP;
        for column in &self.columns {
            all.push(column.heading(model, self.host, at));
            at += column.width(self.host) + GAP;
        }
        all
    }
}

/// Returns by what tiers can be sorted in a body so wide: as in hosts.toml, by what is wrong, then by
/// every other column that says something of the tier itself.
pub(in crate::dash) fn sorts(model: &Model, room: u16) -> Vec<TierSort> {
    let shown = Shape::of(model, usize::from(room)).headings(model);
    let shown = shown.into_iter().filter_map(|heading| heading.by);
    let others = shown.filter(|by| !matches!(by, TierSort::Problems | TierSort::Host(_)));
    [TierSort::File, TierSort::Problems].into_iter().chain(others).collect()
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

/// Columns that a size keeps at its right for the small bar.
const BAR: usize = 2;

/// Returns a text that ends where sizes do, before the small bar.
fn before_bar(text: &str, columns: usize) -> String {
    format!("{}{}", right(text, columns.saturating_sub(BAR)), " ".repeat(BAR.min(columns)))
}

/// Returns what a column shows of a tier, in exactly that many columns: `–` for what was not
/// measured, nothing for what such a tier cannot have.
pub(in crate::dash) fn cell(
    paint: &Paint<'_>,
    column: TierColumn,
    columns: usize,
    tier: &Tier,
    view: &TierView,
) -> Vec<Span<'static>> {
    let facts = &view.facts;
    let figures = paint.model.world.figures.tiers.get(&tier.name);
    let unasked = !tier.kind.is_substituter() && !column.means_something_unasked();
    let text = match column {
        C::Host(index) if unasked => return vec![own_store_cell(paint, index, columns, view)],
        C::Signature if unasked => return vec![Span::raw(" ".repeat(columns))],
        C::Signature => {
            let mark = signature_mark(tier, facts);
            let role = if mark.role == Role::Ok { Role::Text } else { mark.role };
            let word = left(&mark.word, columns.saturating_sub(2));
            return vec![paint.span(mark.role, format!("{} ", mark.sign)), paint.span(role, word)];
        }
        C::Spark => {
            let bars = spark(view.latencies.iter().copied(), FULL_MS, columns);
            return vec![paint.span(Role::Graph, bars)];
        }
        C::Size | C::ShortSize => {
            let Some(size) = &facts.size else {
                return vec![paint.span(Role::Dim, before_bar("–", columns))];
            };
            return size_cell(paint, size, column == C::Size, columns);
        }
        C::Host(index) => return host_cell(paint, index, columns, tier, view),
        C::Since => facts.since.map(|then| shown_age(paint.now, then)),
        C::Served => {
            let share = figures.and_then(|figures| figures.share_bytes);
            share.filter(|_| !unasked).map(percent)
        }
        C::Answered => figures.and_then(|figures| figures.answered).map(percent),
        C::Latency => facts.latency_ms.map(milliseconds),
        C::Speed => facts.speed.map(|speed| speed.rate()),
        C::Priority => facts.priority.map(|priority| priority.to_string()),
        C::Average | C::ShortAverage => {
            paint.model.world.mean_coverage(&tier.name).map(|mean| fitted(mean.words(), columns))
        }
    };
    vec![match text {
        Some(text) => paint
            .span(if column == C::Since { Role::Dim } else { Role::Text }, right(&text, columns)),
        None if unasked => Span::raw(" ".repeat(columns)),
        None => paint.span(Role::Dim, right("–", columns)),
    }]
}

/// Returns a size that keeps its unit: without blanks where there is no room for them.
fn with_unit(size: String, columns: usize) -> String {
    if width(&size) <= columns { size } else { fitted(size.replace("≥ ", "≥"), columns) }
}

/// Returns a tier's size, and how full it is as a small bar.
fn size_cell(
    paint: &Paint<'_>,
    size: &SizeFacts,
    long: bool,
    columns: usize,
) -> Vec<Span<'static>> {
    let full = size.fullness();
    let room = columns.saturating_sub(BAR);
    let least = if size.exact { "" } else { "≥ " };
    let text = match full {
        _ if long => size_words(size),
        Some(share) => format!("{least}{}", percent(share)),
        None => format!("{least}{}", bytes(size.bytes)),
    };
    let bar = full.map_or_else(|| "  ".to_owned(), |share| format!(" {}", level(share)));
    let nearly = size.is_nearly_full();
    vec![
        paint.span(
            if nearly { Role::Warn } else { Role::Text },
            right(&with_unit(text, room), room),
        ),
        paint.span(if nearly { Role::Warn } else { Role::Graph }, bar),
    ]
}

/// Returns whether a host's own store is in trouble; a host that is away says nothing against it.
fn own_store_cell(
    paint: &Paint<'_>,
    index: usize,
    columns: usize,
    view: &TierView,
) -> Span<'static> {
    let host = paint.model.world.fleet.hosts.get(index);
    let on_host = host.and_then(|host| view.facts.hosts.get(&host.name));
    if on_host.is_some_and(|on_host| on_host.state == TierState::Degraded) {
        return paint.span(Role::Warn, right("▲", columns));
    }
    Span::raw(" ".repeat(columns))
}

/// Returns how much of a host's closure a tier holds, and whether the tier is what it should be
/// for that host.
fn host_cell(
    paint: &Paint<'_>,
    index: usize,
    columns: usize,
    tier: &Tier,
    view: &TierView,
) -> Vec<Span<'static>> {
    let (Some(host), Some(known)) =
        (paint.model.world.fleet.hosts.get(index), paint.model.world.hosts.get(index))
    else {
        return Vec::new();
    };
    let coverage = known.coverage.tiers.get(&tier.name);
    let coverage = coverage.filter(|_| is_current(&known.facts, &known.coverage));
    let share = coverage.and_then(|coverage| coverage.paths.ratio());
    let bound = coverage.map_or("", Coverage::bound);
    let text = share.map_or_else(|| "–".to_owned(), |share| format!("{bound}{}", percent(share)));
    if view.facts.hosts.get(&host.name).is_some_and(is_bad_on_host) {
        let text = fitted(format!("▲ {text}"), columns);
        return vec![paint.span(Role::Warn, right(&text, columns))];
    }
    let role = if share.is_some() { Role::Text } else { Role::Dim };
    vec![paint.span(role, right(&text, columns))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_keeps_its_unit_where_there_is_little_room() {
        for (size, columns, shown) in [
            ("81.2 GB", 7, "81.2 GB"),
            ("≥ 812 GB", 7, "≥812 GB"),
            ("≥ 81.2 GB", 7, "≥81.2GB"),
            ("≥ 81.2 of 100 GB", 18, "≥ 81.2 of 100 GB"),
            ("≥ 81.2 MB of 100 GB", 18, "≥81.2 MB of 100 GB"),
        ] {
            assert_eq!(with_unit(size.to_owned(), columns), shown);
        }
    }
}
