//! The tiers: how each is, and how much of each host's running closure it holds.
//!
//! ```text
//!     TIER        STATE            LATENCY           PRIO   p620    razer   samsung  p510
//!  › 1 p620       ● up             ▁▁▂▁▁    3.1 ms     30   100 %   100 %   95 %     –
//!    2 nixos.org  ● up             ▂▂▃▂▂     19 ms     40    89 %    89 %   88 %     –
//!  p620 ─────────────────────────────────────────────────────────────── measured 12 s ago
//!  serves    http://p620.lan:5000, nix-serve
//!  signature signed p620-1 ✓  proven with 2c4f…-nixos-system-samsung
//! ```
//!
//! A percentage counts paths of the closure that the host runs now; `–` was not measured.

use crate::dash::model::{TierView, age, is_current};
use crate::dash::theme::Role;
use crate::dash::view::columns::milliseconds;
use crate::dash::view::paint::{
    Paint, below, cut, left, put, put_all, right, spark, top, width, wrap,
};
use crate::dash::view::words::{signature_mark, tier_mark};
use crate::fleet::{Tier, ago, percent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Columns of a tier's state.
const STATE: usize = 15;

/// Draws the matrix, and the details of the selected tier.
pub(super) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    let tiers = &paint.model.fleet.tiers;
    if tiers.is_empty() {
        let text = " hosts.toml names no tier";
        put(buffer, area, 0, &Line::from(paint.span(Role::Dim, text)));
        return;
    }
    let wanted = tiers.len() as u16 + 1;
    let table = if area.height >= 9 { wanted.min(area.height - 6) } else { area.height };
    matrix(paint, buffer, top(area, table));
    let rest = below(area, table + u16::from(area.height > table + 8));
    if rest.height >= 4 {
        details(paint, buffer, rest);
    }
}

/// What the matrix has room for.
struct Shape {
    name: usize,
    latency: bool,
    priority: bool,
    hosts: usize,
    host: usize,
}

impl Shape {
    fn of(paint: &Paint<'_>, room: usize) -> Self {
        let fleet = &paint.model.fleet;
        let name = fleet.tiers.iter().map(|tier| width(&tier.name)).max().unwrap_or(4);
        let name = name.clamp(4, 18);
        let host = fleet.hosts.iter().map(|host| width(&host.name)).max().unwrap_or(5).clamp(5, 10);
        let fixed = 6 + name + 2 + STATE + 1;
        let all_hosts = fleet.hosts.len() * (host + 2);
        let mut left = room.saturating_sub(fixed);
        let latency = left >= all_hosts.min(36) + 19;
        left = left.saturating_sub(if latency { 19 } else { 0 });
        let priority = left >= all_hosts.min(36) + 6;
        left = left.saturating_sub(if priority { 6 } else { 0 });
        Self { name, latency, priority, hosts: (left / (host + 2)).min(fleet.hosts.len()), host }
    }
}

fn matrix(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    let fleet = &paint.model.fleet;
    let shape = Shape::of(paint, usize::from(area.width));
    let mut head = format!("     {}  {} ", left("TIER", shape.name), left("STATE", STATE));
    if shape.latency {
        head.push_str(&left("LATENCY", 19));
    }
    if shape.priority {
        head.push_str(&right("PRIO", 4));
        head.push_str("  ");
    }
    for host in fleet.hosts.iter().take(shape.hosts) {
        head.push_str(&right(&host.name, shape.host));
        head.push_str("  ");
    }
    if shape.hosts == 0 {
        head.push_str("MEAN");
    }
    put(buffer, area, 0, &Line::from(paint.span(Role::Dim, head)));
    let list = below(area, 1);
    let rows = usize::from(list.height).max(1);
    let from = paint.model.tier.saturating_sub(rows - 1);
    let tiers = fleet.tiers.iter().zip(&paint.model.tiers).enumerate();
    for (row, (index, (tier, view))) in tiers.skip(from).take(rows).enumerate() {
        let selected = index == paint.model.tier;
        let mut spans = vec![
            paint.span(Role::Accent, if selected { " › " } else { "   " }),
            paint.span(Role::Dim, format!("{:<2}", index + 1)),
            Span::raw(left(&tier.name, shape.name)),
            Span::raw("  "),
        ];
        spans.extend(tier_cells(paint, &shape, tier, view));
        put(buffer, list, row as u16, &Line::from(spans));
        if selected {
            let area = Rect { y: list.y + row as u16, height: 1, ..list };
            buffer.set_style(area.intersection(buffer.area), paint.style(Role::Selection));
        }
    }
}

fn tier_cells(
    paint: &Paint<'_>,
    shape: &Shape,
    tier: &Tier,
    view: &TierView,
) -> Vec<Span<'static>> {
    let mark = tier_mark(&view.facts);
    let mut spans = Vec::new();
    let word_role = if mark.role == Role::Ok { Role::Text } else { mark.role };
    spans.push(paint.span(mark.role, mark.sign.to_string()));
    spans.push(paint.span(word_role, left(&format!(" {}", mark.word), STATE)));
    let unknown = |columns| paint.span(Role::Dim, right("–", columns));
    if shape.latency {
        let full = 50.0;
        spans.push(paint.span(Role::Graph, spark(view.latencies.iter().copied(), full, 8)));
        spans.push(match view.facts.latency_ms {
            Some(latency) => Span::raw(right(&milliseconds(latency), 9)),
            None => unknown(9),
        });
        spans.push(Span::raw("  "));
    }
    if shape.priority {
        spans.push(match view.facts.priority {
            Some(priority) => Span::raw(right(&priority.to_string(), 4)),
            None => unknown(4),
        });
        spans.push(Span::raw("  "));
    }
    for host in paint.model.hosts.iter().take(shape.hosts) {
        let coverage = host.coverage.tiers.get(&tier.name);
        let coverage = coverage.filter(|_| is_current(&host.facts, &host.coverage));
        spans.push(match coverage.and_then(|coverage| coverage.paths.ratio()) {
            Some(share) => Span::raw(right(&percent(share), shape.host)),
            None => unknown(shape.host),
        });
        spans.push(Span::raw("  "));
    }
    if shape.hosts == 0 {
        spans.push(match paint.model.mean_coverage(&tier.name) {
            Some(share) => Span::raw(right(&percent(share), 5)),
            None => unknown(5),
        });
    }
    spans
}

fn details(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    let model = paint.model;
    let (Some(tier), Some(view)) = (model.fleet.tiers.get(model.tier), model.tiers.get(model.tier))
    else {
        return;
    };
    let facts = &view.facts;
    let measured = facts.measured_at.map_or("never answered".to_owned(), |then| {
        match ago(age(paint.now, then)).as_str() {
            "now" => "answered now".to_owned(),
            ago => format!("answered {ago} ago"),
        }
    });
    paint.rule(buffer, area, &tier.name, &measured);
    let room = usize::from(area.width).saturating_sub(13).max(8);
    let mut lines = Vec::new();
    let mut add = |label: &str, role: Role, text: &str| {
        for (at, line) in wrap(text, room).into_iter().enumerate() {
            let label = if at == 0 { label } else { "" };
            let label = paint.span(Role::Dim, format!(" {}", left(label, 11)));
            lines.push(Line::from(vec![label, paint.span(role, line)]));
        }
    };
    let mark = tier_mark(facts);
    if let Some(error) = &facts.error {
        let role = if mark.role == Role::Dim { Role::Warn } else { mark.role };
        add(&cut(&mark.word, 10), role, error);
    }
    add("serves", Role::Text, &format!("{}, {}", tier.url, tier.kind));
    let signature = signature_mark(tier, facts);
    add("signature", signature.role, &format!("{} {}", signature.word, signature.sign));
    if let Some(proof) = &facts.proof {
        add("proof", Role::Text, proof);
    }
    if let Some(host) = &tier.host {
        add("store of", Role::Text, &format!("{host}; what is built there is in this tier"));
    }
    if let Some(dir) = &facts.store_dir {
        add("store dir", Role::Text, dir);
    }
    if let Some(priority) = facts.priority {
        let text = format!("{priority}; hosts ask the tier with the lowest number first");
        add("priority", Role::Text, &text);
    }
    if !tier.kind.is_probed() {
        let text = format!("nixdash does not measure tiers of kind {}", tier.kind);
        add("unknown", Role::Dim, &text);
    }
    put_all(buffer, below(area, 1), &lines, 0);
}
