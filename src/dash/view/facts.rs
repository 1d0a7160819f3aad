//! Facts of something that is selected: labels at the left, what is known beside them.

use crate::dash::theme::Role;
use crate::dash::view::paint::{Paint, cut, left, put_all, width, wrap};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// From this width on there are two columns.
const TWO: u16 = 110;

/// A fact: its label, and what is known, as pieces of text with a role.
pub(super) type Fact = (String, Vec<(Role, String)>);

/// Returns a fact in plain text.
pub(super) fn fact(label: &str, text: impl Into<String>) -> Fact {
    told(label, Role::Text, text)
}

/// Returns a fact in a role.
pub(super) fn told(label: &str, role: Role, text: impl Into<String>) -> Fact {
    (label.to_owned(), vec![(role, text.into())])
}

/// Returns what was not measured.
pub(super) fn unknown(label: &str) -> Fact {
    told(label, Role::Dim, "–")
}

/// Draws facts in two columns where there is room, else in one, and returns the rows they take.
///
/// `more` follows in the right column; in one column it stands before what is `last`.
pub(super) fn draw(
    paint: &Paint<'_>,
    buffer: &mut Buffer,
    area: Rect,
    [first, more, last]: [Vec<Fact>; 3],
    old: bool,
    from: u16,
) -> u16 {
    let lines = |facts, columns: u16| lines(paint, facts, usize::from(columns), old);
    let rows = |lines: &[Line<'_>]| lines.len().min(usize::from(u16::MAX)) as u16;
    if area.width < TWO {
        let all = first.into_iter().chain(more).chain(last).collect();
        let all = lines(all, area.width.saturating_sub(2));
        put_all(buffer, area, &all, from.min(rows(&all).saturating_sub(1)));
        return rows(&all);
    }
    let half = area.width / 2;
    let one = lines(first.into_iter().chain(last).collect(), half.saturating_sub(2));
    let other = lines(more, (area.width - half).saturating_sub(2));
    let most = rows(&one).max(rows(&other));
    let from = from.min(most.saturating_sub(1));
    put_all(buffer, Rect { width: half, ..area }, &one, from);
    let right = Rect { x: area.x + half, width: area.width - half, ..area };
    put_all(buffer, right, &other, from);
    most
}

/// Returns facts as lines of that many columns; old ones are dimmed.
fn lines(paint: &Paint<'_>, facts: Vec<Fact>, columns: usize, old: bool) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let labels = facts.iter().map(|(label, _)| width(label)).max().unwrap_or_default();
    let labels = labels.clamp(8, 20).min(columns / 3) + 2;
    let room = columns.saturating_sub(labels).max(8);
    let fade = |role| if old && role == Role::Text { Role::Dim } else { role };
    for (label, pieces) in facts {
        let text: String = pieces.iter().map(|(_, text)| text.as_str()).collect();
        let label = paint.span(Role::Dim, left(&cut(&label, labels - 2), labels));
        if width(&text) <= room {
            let mut spans = vec![Span::raw(" "), label];
            spans.extend(pieces.into_iter().map(|(role, text)| paint.span(fade(role), text)));
            lines.push(Line::from(spans));
            continue;
        }
        let role =
            pieces.iter().map(|(role, _)| *role).find(|r| matches!(r, Role::Warn | Role::Error));
        for (at, line) in wrap(&text, room).into_iter().enumerate() {
            let label = if at == 0 { label.clone() } else { Span::raw(" ".repeat(labels)) };
            let role = fade(role.unwrap_or(Role::Text));
            lines.push(Line::from(vec![Span::raw(" "), label, paint.span(role, line)]));
        }
    }
    lines
}
