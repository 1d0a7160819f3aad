//! The tiers: how each is, and how much of each host's running closure it holds.
//!
//! ```text
//!     TIER        STATE            LATENCY           PRIO   p620    razer   samsung  p510
//!  › 1 p620       ● up             ▁▁▂▁▁    3.1 ms     30   100 %   100 %   95 %     –
//!    2 nixos.org  ● up             ▂▂▃▂▂     19 ms     40    89 %    89 %   88 %     –
//!  p620 ─────────────────────────────────────────────────────────────── answered 12 s ago
//!  serves        http://p620.lan:5000, nix-serve
//!  signature     signed p620-1 ✓
//!  for samsung   1 356 of 1 356 paths, 1.02 of 1.02 GB, 40 s ago
//! ```
//!
//! A percentage counts paths of the closure that the host runs now; `–` was not measured.

use crate::dash::model::{TierView, is_current};
use crate::dash::theme::Role;
use crate::dash::view::columns::milliseconds;
use crate::dash::view::paint::{
    Paint, below, count, cut, left, put, put_all, right, spark, top, width, wrap,
};
use crate::dash::view::words::{bytes_of, signature_mark, since, tier_mark};
use crate::fleet::{Tier, percent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Columns of a tier's state.
const STATE: usize = 15;
/// Columns of the proof of its signature.
const PROOF: usize = 30;
/// Columns of the small graph of its latency.
const SPARK: usize = 9;
/// Columns of its latency.
const LATENCY: usize = 11;
/// Columns of its priority.
const PRIORITY: usize = 6;

/// The latency at which the small graph is full, in milliseconds.
const FULL_MS: f64 = 50.0;

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
    proof: bool,
    spark: bool,
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
        let mut take = |columns: usize| {
            let fits = left >= all_hosts.min(36) + columns;
            left -= if fits { columns } else { 0 };
            fits
        };
        let latency = take(LATENCY);
        let priority = take(PRIORITY);
        let spark = take(SPARK);
        let proof = take(PROOF);
        let hosts = (left / (host + 2)).min(fleet.hosts.len());
        Self { name, proof, spark, latency, priority, hosts, host }
    }
}

fn matrix(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect) {
    let fleet = &paint.model.fleet;
    let shape = Shape::of(paint, usize::from(area.width));
    let mut head = format!("     {}  {} ", left("TIER", shape.name), left("STATE", STATE));
    if shape.proof {
        head.push_str(&left("SIGNATURE", PROOF));
    }
    if shape.spark {
        head.push_str(&left("", SPARK));
    }
    if shape.latency {
        head.push_str(&right("LATENCY", LATENCY - 2));
        head.push_str("  ");
    }
    if shape.priority {
        head.push_str(&right("PRIO", PRIORITY - 2));
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
    if shape.proof {
        let proof = signature_mark(tier, &view.facts);
        let role = if proof.role == Role::Ok { Role::Text } else { proof.role };
        spans.push(paint.span(proof.role, format!("{} ", proof.sign)));
        spans.push(paint.span(role, left(&proof.word, PROOF - 2)));
    }
    if shape.spark {
        let bars = spark(view.latencies.iter().copied(), FULL_MS, SPARK - 1);
        spans.push(paint.span(Role::Graph, format!("{bars} ")));
    }
    if shape.latency {
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
            Some(covered) => Span::raw(right(&percent(covered), shape.host)),
            None => unknown(shape.host),
        });
        spans.push(Span::raw("  "));
    }
    if shape.hosts == 0 {
        spans.push(match paint.model.mean_coverage(&tier.name) {
            Some(covered) => Span::raw(right(&percent(covered), 5)),
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
    let measured = facts
        .measured_at
        .map_or("never answered".to_owned(), |then| format!("answered {}", since(paint.now, then)));
    paint.rule(buffer, area, &tier.name, &measured);
    let room = usize::from(area.width).saturating_sub(16).max(8);
    let mut lines = Vec::new();
    let mut add = |label: &str, role: Role, text: &str| {
        for (at, line) in wrap(text, room).into_iter().enumerate() {
            let label = if at == 0 { label } else { "" };
            let label = paint.span(Role::Dim, format!(" {}", left(&cut(label, 13), 14)));
            lines.push(Line::from(vec![label, paint.span(role, line)]));
        }
    };
    let mark = tier_mark(facts);
    if let Some(error) = &facts.error {
        let role = if mark.role == Role::Dim { Role::Warn } else { mark.role };
        add(&mark.word, role, error);
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
    for (host, view) in model.fleet.hosts.iter().zip(&model.hosts) {
        let coverage = view.coverage.tiers.get(&tier.name);
        let Some(coverage) = coverage.filter(|_| is_current(&view.facts, &view.coverage)) else {
            continue;
        };
        let (paths, bytes) = (coverage.paths, coverage.bytes);
        let text = format!(
            "{} of {} paths, {}, {}",
            count(paths.have),
            count(paths.total),
            bytes_of(bytes.have, bytes.total),
            since(paint.now, coverage.measured_at)
        );
        add(&format!("for {}", host.name), Role::Text, &text);
    }
    if let Some(priority) = facts.priority {
        let text = format!("{priority}; hosts ask the tier with the lowest number first");
        add("priority", Role::Text, &text);
    }
    put_all(buffer, below(area, 1), &lines, 0);
}
