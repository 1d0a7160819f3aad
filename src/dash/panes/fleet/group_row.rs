//! The row of a group of hosts.
//!
//! ```text
//!    ▸ @laptop   38 hosts   36 up · 1 offline · 1 low disk
//! ```
//!
//! `▸` is folded, `▾` is open; `◆` says that all its hosts are marked. Where there is no room for words,
//! signs are counted: `36● 1▲ 1○`.

use crate::dash::panes::fleet::groups::HostGroup;
use crate::dash::status_line::counted_signs;
use crate::dash::theme::Role;
use crate::dash::widgets::paint::Paint;
use crate::dash::widgets::text::{cut, left, line_width, width};
use crate::dash::words::{severity_role, state_counts};
use crate::fleet::words::counted;
use crate::fleet::{HostFacts, number_of};
use ratatui::text::Span;

/// Returns the row of a group among all of them, behind the signs that stand before every row.
pub(in crate::dash) fn group_row(
    paint: &Paint<'_>,
    groups: &[HostGroup],
    group: &HostGroup,
    room: usize,
) -> Vec<Span<'static>> {
    let names = groups.iter().map(|group| width(&group.name())).max().unwrap_or_default();
    let counts = groups.iter().map(|group| hosts_in(group).len()).max().unwrap_or_default();
    let sign = if paint.model.is_open(group) { "▾ " } else { "▸ " };
    let name = left(&group.name(), names.min(room / 2));
    let mut spans = vec![
        paint.span(Role::Accent, sign),
        paint.span(Role::Title, name),
        paint.span(Role::Dim, format!("  {}  ", left(&hosts_in(group), counts))),
    ];
    let left_over = room.saturating_sub(line_width(&spans));
    spans.extend(summary(paint, group, left_over));
    spans
}

/// Returns whether every host of a group is marked.
pub(in crate::dash) fn is_marked(paint: &Paint<'_>, group: &HostGroup) -> bool {
    let hosts = group.hosts.iter().filter_map(|at| paint.model.world.fleet.hosts.get(*at));
    let mut hosts = hosts.peekable();
    hosts.peek().is_some() && hosts.all(|host| paint.model.fleet.marked.contains(&host.name))
}

fn hosts_in(group: &HostGroup) -> String {
    number_of(group.hosts.len(), "host")
}

/// Returns how many hosts are in which state and what is wrong with them; signs where words have no room.
fn summary(paint: &Paint<'_>, group: &HostGroup, room: usize) -> Vec<Span<'static>> {
    let views = group.hosts.iter().filter_map(|at| paint.model.world.hosts.get(*at));
    let facts: Vec<&HostFacts> = views.map(|view| &view.facts).collect();
    let wrong = counted(facts.iter().copied());
    let wrong = wrong.into_iter().map(|(severity, words)| (severity_role(severity), words));
    let mut spans = Vec::new();
    for (role, words) in state_counts(&facts.iter().copied()).into_iter().chain(wrong) {
        if !spans.is_empty() {
            spans.push(paint.span(Role::Dim, " · "));
        }
        spans.push(paint.span(role, words));
    }
    if line_width(&spans) <= room {
        return spans;
    }
    let signs = counted_signs(facts.into_iter());
    let signs: Vec<String> =
        signs.into_iter().map(|(sign, count)| format!("{count}{sign}")).collect();
    vec![Span::raw(cut(&signs.join(" "), room))]
}
