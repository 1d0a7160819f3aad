//! Facts of something that is selected: labels at the left, what is known beside them.

use crate::dash::theme::Role;
use crate::dash::widgets::paint::{Paint, below, put, put_all, top};
use crate::dash::widgets::text::{cut, left, width, wrap};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// From this width on there are two columns.
const TWO: u16 = 110;

/// A fact: its label, and what is known, as pieces of text with a role.
pub(in crate::dash) type Fact = (String, Vec<(Role, String)>);

/// Returns a fact in plain text.
pub(in crate::dash) fn fact(label: &str, text: impl Into<String>) -> Fact {
    told(label, Role::Text, text)
}

/// Returns a fact in a role.
pub(in crate::dash) fn told(label: &str, role: Role, text: impl Into<String>) -> Fact {
    (label.to_owned(), vec![(role, text.into())])
}

/// Returns what was not measured.
pub(in crate::dash) fn unknown(label: &str) -> Fact {
    told(label, Role::Dim, "–")
}

/// Facts as lines: in two columns where there is room, else in one.
pub(in crate::dash) struct Laid {
    one: Vec<Line<'static>>,
    other: Vec<Line<'static>>,
    /// Columns of the first; all of them where there is no other.
    width: u16,
}

impl Laid {
    /// Lays facts out for that many columns; old ones are dimmed.
    ///
    /// `more` stands in the right column; in one column it stands before what is `last`.
    pub(in crate::dash) fn new(
        paint: &Paint<'_>,
        columns: u16,
        [first, more, last]: [Vec<Fact>; 3],
        old: bool,
    ) -> Self {
        let lines =
            |facts, columns: u16| lines(paint, facts, usize::from(columns.saturating_sub(2)), old);
        if columns < TWO {
            let all = first.into_iter().chain(more).chain(last).collect();
            return Self { one: lines(all, columns), other: Vec::new(), width: columns };
        }
        let half = columns / 2;
        Self {
            one: lines(first.into_iter().chain(last).collect(), half),
            other: lines(more, columns - half),
            width: half,
        }
    }

    /// Returns how many rows all of it takes.
    pub(in crate::dash) fn rows(&self) -> u16 {
        self.one.len().max(self.other.len()).min(usize::from(u16::MAX)) as u16
    }

    /// Draws what fits, from a row on, or from an earlier one so that no row stays empty. Where
    /// more follows, the last row says how much, and by which key it is seen.
    pub(in crate::dash) fn draw(
        &self,
        paint: &Paint<'_>,
        buffer: &mut Buffer,
        area: Rect,
        from: u16,
        key: &str,
    ) {
        let from = from.min(self.rows().saturating_sub(area.height));
        let hidden = self.rows().saturating_sub(from).saturating_sub(area.height);
        let shown = if hidden > 0 { top(area, area.height.saturating_sub(1)) } else { area };
        put_all(buffer, Rect { width: self.width, ..shown }, &self.one, from);
        let right = Rect { x: area.x + self.width, width: area.width - self.width, ..shown };
        put_all(buffer, right, &self.other, from);
        if hidden > 0 {
            let mark = vec![
                paint.span(Role::Dim, format!(" ▼ {} more lines  ", hidden + 1)),
                paint.span(Role::Accent, key.to_owned()),
            ];
            put(buffer, below(area, shown.height), 0, &Line::from(mark));
        }
    }
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
        for (at, line) in hung(wrap(&text, room)).into_iter().enumerate() {
            let label = if at == 0 { label.clone() } else { Span::raw(" ".repeat(labels)) };
            let role = fade(role.unwrap_or(Role::Text));
            lines.push(Line::from(vec![Span::raw(" "), label, paint.span(role, line)]));
        }
    }
    lines
}

/// Returns lines of which none begins with a comma or the like: it hangs at the end of the line
/// before, in the column that is free there.
fn hung(lines: Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for line in lines {
        // A dot before a word is part of it: `.netrc`.
        let word = line.split(' ').next().unwrap_or_default();
        match out.last_mut() {
            Some(before) if matches!(word, "," | ";" | "." | ":") => {
                before.push_str(word);
                let rest = line[word.len()..].trim_start();
                if !rest.is_empty() {
                    out.push(rest.to_owned());
                }
            }
            Some(_) | None => out.push(line),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_begins_with_a_comma() {
        let text = "http://10.213.168.10:5000, nix-serve";
        assert_eq!(wrap(text, 25), ["http://10.213.168.10:5000", ", nix-serve"]);
        assert_eq!(hung(wrap(text, 25)), ["http://10.213.168.10:5000,", "nix-serve"]);
        assert_eq!(hung(wrap("abcdef, gh", 8)), ["abcdef,", "gh"]);
        assert_eq!(hung(wrap("abcdef.", 6)), ["abcdef."]);
        assert_eq!(hung(wrap("look at .netrc", 8)), ["look at", ".netrc"]);
    }
}
