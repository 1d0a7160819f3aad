//! The columns of the fleet table: which of them fit, and what each shows.
//!
//! A column's width depends on the fleet and on the terminal, never on a measured value, so that
//! nothing jumps when a figure changes. Only the column of what nothing is known of is left out.

use crate::dash::model::Model;
use crate::dash::panes::fleet::sort::HostSort;
use crate::dash::theme::Role;
use crate::dash::widgets::graph::spark;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::table::Heading;
use crate::dash::widgets::text::{cut, fitted, left, right, width};
use crate::dash::words::runs::{behind_figure, revision_words};
use crate::dash::words::{busy_mark, figure_role, host_mark, milliseconds, short_version};
use crate::dash::world::{HostModel, coverage_tier, shown_age};
use crate::fleet::{Code, DeployedFrom, Host, bytes, duration, percent};
use ratatui::text::Span;
use std::time::Duration;

/// Columns of the signs before a host's name.
pub(in crate::dash) const TABLE_LEFT: usize = 3;

/// Columns of the longest state: `▲ degraded, 1 unit failed`.
const STATE: usize = 25;

/// Columns of the small graph of the load.
const SPARK: usize = 8;

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dash) enum HostColumn {
    Host,
    State,
    Version,
    Generation,
    Revision,
    Behind,
    Spark,
    Load,
    Memory,
    Free,
    Store,
    Cache,
    Uptime,
    Latency,
    Nix,
    Seen,
}

use HostColumn as C;

/// Every column, in the order of the screen.
const ORDER: [HostColumn; 16] = [
    C::Host,
    C::State,
    C::Version,
    C::Generation,
    C::Revision,
    C::Behind,
    C::Spark,
    C::Load,
    C::Memory,
    C::Free,
    C::Store,
    C::Cache,
    C::Uptime,
    C::Latency,
    C::Nix,
    C::Seen,
];

/// Every column, the most wanted first.
const WANTED: [HostColumn; 16] = [
    C::Host,
    C::State,
    C::Seen,
    C::Load,
    C::Memory,
    C::Free,
    C::Generation,
    C::Behind,
    C::Spark,
    C::Version,
    C::Latency,
    C::Store,
    C::Cache,
    C::Uptime,
    C::Nix,
    C::Revision,
];

/// The columns that fit, in the order of the screen, each with its width.
pub(in crate::dash) struct Columns {
    pub(in crate::dash) shown: Vec<(HostColumn, usize)>,
    /// Columns between two columns.
    pub(in crate::dash) gap: usize,
}

impl Columns {
    /// Chooses the columns for that many columns of the terminal.
    pub(in crate::dash) fn choose(model: &Model, room: usize) -> Self {
        let gap = if room < 76 { 1 } else { 2 };
        let mut left = room;
        let mut chosen = Vec::new();
        for column in WANTED {
            let wanted = column.width(model, room) + gap;
            if wanted > left || !column.exists(model) {
                if !column.exists(model) {
                    continue;
                }
                break;
            }
            left -= wanted;
            chosen.push(column);
        }
        let shown = ORDER.into_iter().filter(|column| chosen.contains(column));
        // A state has more to say than any figure: it gets the room that no other column needs.
        let columns = |column: HostColumn| match column.width(model, room) {
            columns if column == C::State => (columns + left).min(STATE.max(columns)),
            columns => columns,
        };
        Self { shown: shown.map(|column| (column, columns(column))).collect(), gap }
    }

    /// Returns the headings, with a sign at that of the column by which hosts are sorted.
    pub(in crate::dash) fn headings(&self, model: &Model) -> Vec<Heading<HostSort>> {
        let has = |column| self.shown.iter().any(|(shown, _)| *shown == column);
        let mut at = 0;
        let mut headings = Vec::new();
        for (column, columns) in &self.shown {
            let title = match column {
                C::Generation if has(C::Version) => String::new(),
                C::Load if has(C::Spark) => String::new(),
                column => column.title(model),
            };
            let by = (*column != C::Load || !has(C::Spark)).then(|| column.sort());
            let at_right = column.is_right();
            headings.push(Heading { title, at, columns: *columns, at_right, by });
            at += columns + self.gap;
        }
        headings
    }

    /// Returns the cells of a host.
    pub(in crate::dash) fn cells(
        &self,
        paint: &Paint<'_>,
        host: &Host,
        view: &HostModel,
    ) -> Vec<Span<'static>> {
        let old = view.is_old(paint.now);
        let mut spans = Vec::new();
        for (column, columns) in &self.shown {
            let (text, role) = column.cell(paint, host, view, *columns);
            let text =
                if column.is_right() { right(&text, *columns) } else { left(&text, *columns) };
            let fades = matches!(role, Role::Text | Role::Graph);
            let role = if old && fades { Role::Dim } else { role };
            if *column == C::State {
                spans.extend(state(paint, &text, role));
            } else {
                spans.push(paint.span(role, text));
            }
            spans.push(Span::raw(" ".repeat(self.gap)));
        }
        spans
    }
}

/// Returns a state with only its sign coloured when all is well, so that what is not stands out.
fn state(paint: &Paint<'_>, text: &str, role: Role) -> Vec<Span<'static>> {
    if role != Role::Ok {
        return vec![paint.span(role, text)];
    }
    let at = text.chars().next().map_or(0, char::len_utf8);
    vec![paint.span(role, &text[..at]), Span::raw(text[at..].to_owned())]
}

impl HostColumn {
    /// Returns by what hosts are sorted for the column.
    fn sort(self) -> HostSort {
        match self {
            C::Host => HostSort::Name,
            C::State => HostSort::Problems,
            C::Version => HostSort::Version,
            C::Generation => HostSort::Generation,
            C::Revision => HostSort::Revision,
            C::Behind => HostSort::Behind,
            C::Spark | C::Load => HostSort::Load,
            C::Memory => HostSort::Memory,
            C::Free => HostSort::Free,
            C::Store => HostSort::Store,
            C::Cache => HostSort::Coverage,
            C::Uptime => HostSort::Uptime,
            C::Latency => HostSort::Latency,
            C::Nix => HostSort::Nix,
            C::Seen => HostSort::Age,
        }
    }

    fn exists(self, model: &Model) -> bool {
        match self {
            C::Cache => cache(model).is_some(),
            C::Revision => model.world.fleet.flake.is_some(),
            C::Behind => is_behind_known(model),
            _ => true,
        }
    }

    fn is_right(self) -> bool {
        match self {
            C::Host | C::State | C::Version | C::Revision | C::Spark | C::Nix => false,
            C::Generation
            | C::Behind
            | C::Load
            | C::Memory
            | C::Free
            | C::Store
            | C::Cache
            | C::Uptime
            | C::Latency
            | C::Seen => true,
        }
    }

    fn width(self, model: &Model, room: usize) -> usize {
        match self {
            C::Host => {
                let names = model.world.fleet.hosts.iter().map(name);
                let most = (room / 4).max(24);
                names.map(|name| width(&name)).max().unwrap_or(4).clamp(4, most)
            }
            C::State if room >= 112 => STATE,
            // A revision is `3f2c1ab09 dirty`.
            C::State | C::Revision => 15,
            C::Version => 16,
            C::Generation | C::Spark => SPARK,
            C::Load | C::Memory => 5,
            C::Free => 9,
            C::Store | C::Nix | C::Latency => 7,
            C::Cache => cache(model).map_or(0, |tier| width(tier) + 3).clamp(5, 16),
            C::Uptime => 11,
            C::Seen | C::Behind => 6,
        }
    }

    fn title(self, model: &Model) -> String {
        match self {
            C::Host => "HOST".to_owned(),
            C::State => "STATE".to_owned(),
            C::Version | C::Generation => "SYSTEM".to_owned(),
            C::Revision => "REVISION".to_owned(),
            C::Behind => "BEHIND".to_owned(),
            C::Spark | C::Load => "LOAD".to_owned(),
            C::Memory => "MEM".to_owned(),
            C::Free => "/NIX FREE".to_owned(),
            C::Store => "STORE".to_owned(),
            C::Cache => format!("IN {}", cache(model).unwrap_or_default()),
            C::Uptime => "UP".to_owned(),
            C::Latency => "LATENCY".to_owned(),
            C::Nix => "NIX".to_owned(),
            C::Seen => "AGE".to_owned(),
        }
    }

    /// Returns what the column shows of a host; `–` is unknown.
    fn cell(
        self,
        paint: &Paint<'_>,
        host: &Host,
        view: &HostModel,
        columns: usize,
    ) -> (String, Role) {
        let facts = &view.facts;
        let figure = match self {
            C::Host => Some(name(host)),
            C::State => {
                let mark = busy_mark(paint.model, &host.name);
                let mark = mark.unwrap_or_else(|| host_mark(view, columns));
                return (mark.text(), mark.role);
            }
            C::Version => {
                let version = facts.system.nixos_version.as_deref().map(short_version);
                version.or_else(|| facts.system.other_system.clone())
            }
            C::Generation => facts.generation_words().map(|words| generation(&words, columns)),
            C::Revision => view.built_from().map(|from| revision_words(&from.revision)),
            C::Behind => {
                let is_dirty = view.built_from().is_some_and(DeployedFrom::is_dirty);
                return behind_figure(paint.model.world.ancestry(host, view), is_dirty);
            }
            C::Spark => {
                let full = facts.cpus.map_or(1.0, f64::from);
                return (spark(view.loads.iter().copied(), full, SPARK), Role::Graph);
            }
            C::Load => facts.load1.map(|load| format!("{load:.2}")),
            C::Memory => facts.memory.and_then(crate::fleet::Bytes::share).map(percent),
            C::Free => facts.disk.map(|disk| bytes(disk.free())),
            C::Store => view.store.as_ref().map(|store| bytes(store.bytes)),
            C::Cache => {
                let coverage = cache(paint.model).and_then(|tier| view.coverage.tiers.get(tier));
                coverage.and_then(|coverage| {
                    let share = coverage.paths.ratio()?;
                    Some(fitted(format!("{}{}", coverage.bound(), percent(share)), columns))
                })
            }
            C::Uptime => facts.uptime_s.map(|seconds| duration(Duration::from_secs(seconds))),
            C::Latency => facts.latency_ms.map(milliseconds),
            C::Nix => facts.system.nix_version.as_deref().map(|version| cut(version, 7)),
            C::Seen => facts.measured_at.map(|then| shown_age(paint.now, then)),
        };
        let role = match figure_role(facts, self.codes()) {
            // The other figures of the row fade: this one says why.
            Role::Text if self == C::Seen && view.is_stale(paint.now) => Role::Warn,
            role => role,
        };
        figure.map_or(("–".to_owned(), Role::Dim), |text| (text, role))
    }

    /// Returns which findings are about what the column shows.
    fn codes(self) -> &'static [Code] {
        match self {
            C::Generation => &[Code::BootDiffers, Code::BootDefaultPinned, Code::NeedsReboot],
            C::Load => &[Code::LoadHigh],
            C::Memory => &[Code::MemoryLow],
            C::Free => &[Code::DiskLow, Code::FilesLow, Code::StoreReadOnly],
            C::Latency => &[Code::LatencyHigh],
            C::Seen => &[Code::HostAway],
            C::Host
            | C::State
            | C::Version
            | C::Revision
            | C::Behind
            | C::Spark
            | C::Store
            | C::Cache
            | C::Uptime
            | C::Nix => &[],
        }
    }
}

/// Returns which generation runs, and which one comes, with as much around the numbers as has room.
fn generation(words: &str, columns: usize) -> String {
    let whole = format!("gen {words}");
    let close = words.replace(' ', "");
    [whole, words.to_owned(), close].into_iter().find(|text| width(text) <= columns).unwrap_or_else(
        || {
            // What runs matters more than what comes.
            words.split(' ').next().unwrap_or_default().to_owned()
        },
    )
}

/// Returns a host's name with the sign of a read-only or a protected one.
pub(in crate::dash) fn name(host: &Host) -> String {
    match (host.read_only, host.protected) {
        (true, _) => format!("{} ⊘", host.name),
        (false, true) => format!("{} ⚷", host.name),
        (false, false) => host.name.clone(),
    }
}

/// Returns whether it is known of any host by how many commits it is behind: a column of `?` says nothing.
fn is_behind_known(model: &Model) -> bool {
    let world = &model.world;
    let mut hosts = world.fleet.hosts.iter().zip(&world.hosts);
    hosts.any(|(host, view)| world.ancestry(host, view).is_some())
}

/// Returns the tier whose coverage the table shows: the one that deploys publish to.
fn cache(model: &Model) -> Option<&str> {
    coverage_tier(&model.world.fleet).map(|tier| tier.name.as_str())
}

/// Returns the columns that the table has for its figures in a body so wide.
pub(in crate::dash) fn table_room(width: u16) -> usize {
    usize::from(width).saturating_sub(TABLE_LEFT)
}

/// Returns by what hosts can be sorted where the table has that many columns of the terminal: as in
/// hosts.toml, by what is wrong, then by every other column that is shown.
pub(in crate::dash) fn sorts(model: &Model, room: u16) -> Vec<HostSort> {
    let columns = Columns::choose(model, table_room(room));
    let mut all = vec![HostSort::File, HostSort::Problems];
    for (column, _) in columns.shown {
        if !all.contains(&column.sort()) {
            all.push(column.sort());
        }
    }
    all
}
