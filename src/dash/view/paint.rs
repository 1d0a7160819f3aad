//! Small tools of every view: text that fits, lines that stay inside, rules, bars and graphs.

use crate::dash::look::Look;
use crate::dash::model::Model;
use crate::dash::theme::Role;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What every view draws from.
pub(in crate::dash) struct Paint<'a> {
    /// The model.
    pub(in crate::dash) model: &'a Model,
    /// How the screen is to look.
    pub(in crate::dash) look: &'a Look,
    /// The present.
    pub(in crate::dash) now: Timestamp,
}

impl Paint<'_> {
    /// Returns how a role looks.
    pub(in crate::dash) fn style(&self, role: Role) -> Style {
        self.look.style(role)
    }

    /// Returns text in a role.
    pub(in crate::dash) fn span(&self, role: Role, text: impl Into<String>) -> Span<'static> {
        if role == Role::Text {
            return Span::raw(text.into());
        }
        Span::styled(text.into(), self.style(role))
    }

    /// Draws a line across, with a title at its left and a note at its right.
    pub(in crate::dash) fn rule(&self, buffer: &mut Buffer, row: Rect, title: &str, note: &str) {
        let all = usize::from(row.width);
        let border = self.style(Role::Border);
        put(buffer, row, 0, &Line::styled("─".repeat(all), border));
        let mut line = Vec::new();
        if !title.is_empty() {
            line.push(self.span(Role::Title, format!(" {} ", cut(title, all.saturating_sub(4)))));
        }
        put(buffer, row, 0, &Line::from(line));
        let room = all.saturating_sub(width(title) + 6);
        if !note.is_empty() && room > 4 {
            let note = format!(" {} ", cut(note, room));
            let skip = row.width.saturating_sub(width(&note) as u16);
            let at = Rect { x: row.x + skip, width: row.width - skip, ..row };
            put(buffer, at, 0, &Line::from(self.span(Role::Dim, note)));
        }
    }

    /// Returns the time of day in the person's zone.
    pub(in crate::dash) fn clock(&self, at: Timestamp, seconds: bool) -> String {
        let zoned = at.to_zoned(self.look.zone.clone());
        zoned.strftime(if seconds { "%H:%M:%S" } else { "%H:%M" }).to_string()
    }
}

/// Returns the columns that a text takes.
pub(in crate::dash) fn width(text: &str) -> usize {
    text.width()
}

/// Returns the columns that a line takes.
pub(in crate::dash) fn line_width(spans: &[Span<'_>]) -> usize {
    spans.iter().map(|span| width(&span.content)).sum()
}

/// Returns a text of at most that many columns; what was cut ends in `…`.
pub(in crate::dash) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        out.push(c);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// Returns a text of exactly that many columns, filled at its right.
pub(in crate::dash) fn left(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let fill = columns.saturating_sub(width(&text));
    format!("{text}{}", " ".repeat(fill))
}

/// Returns a text of exactly that many columns, filled at its left.
pub(in crate::dash) fn right(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let fill = columns.saturating_sub(width(&text));
    format!("{}{text}", " ".repeat(fill))
}

/// Returns a figure as it is where that fits, else without its spaces: `≤97%`.
pub(in crate::dash) fn fitted(figure: String, columns: usize) -> String {
    if width(&figure) <= columns { figure } else { figure.replace(' ', "") }
}

/// Returns a text as lines of at most that many columns, broken at spaces where it can be.
pub(in crate::dash) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let mut word = word;
            if !line.is_empty() && width(&line) + 1 + width(word) > columns {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            while width(&line) + width(word) > columns {
                let room = columns - width(&line).min(columns);
                let at = fitting(word, room);
                let at = if at == 0 && line.is_empty() { first_char(word) } else { at };
                line.push_str(&word[..at]);
                word = &word[at..];
                lines.push(std::mem::take(&mut line));
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

/// Returns how many bytes of a text fit in that many columns.
fn fitting(text: &str, columns: usize) -> usize {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > columns {
            return at;
        }
    }
    text.len()
}

fn first_char(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}

/// Draws a line in a row of an area; what lies outside is not drawn.
pub(in crate::dash) fn put(buffer: &mut Buffer, area: Rect, row: u16, line: &Line<'_>) {
    let area = area.intersection(buffer.area);
    if row < area.height && area.width > 0 {
        buffer.set_line(area.x, area.y + row, line, area.width);
    }
}

/// Draws lines from the top of an area, from a first line on.
pub(in crate::dash) fn put_all(buffer: &mut Buffer, area: Rect, lines: &[Line<'_>], from: u16) {
    for (row, line) in lines.iter().skip(usize::from(from)).enumerate() {
        put(buffer, area, row.min(usize::from(u16::MAX)) as u16, line);
    }
}

/// Draws one line at the left and one at the right of a row; the right one yields.
pub(in crate::dash) fn put_spread(
    buffer: &mut Buffer,
    row: Rect,
    left: Vec<Span<'static>>,
    right: Vec<Span<'static>>,
) {
    let (used, wanted) = (line_width(&left), line_width(&right));
    put(buffer, row, 0, &Line::from(left));
    let all = usize::from(row.width);
    if wanted > 0 && used + wanted < all {
        let skip = (all - wanted) as u16;
        let at = Rect { x: row.x + skip, width: row.width - skip, ..row };
        put(buffer, at, 0, &Line::from(right));
    }
}

/// Returns the part of an area from a row on.
pub(in crate::dash) fn below(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect { y: area.y + rows, height: area.height - rows, ..area }
}

/// Returns the first rows of an area.
pub(in crate::dash) fn top(area: Rect, rows: u16) -> Rect {
    Rect { height: rows.min(area.height), ..area }
}

/// Returns how many rows of a list are not seen, above and below those that are: `▼ 9 more`,
/// `3 above ▼ 9 more`; nothing when all are.
pub(in crate::dash) fn unseen(above: usize, below: usize) -> String {
    let words = [(above, format!("{above} above")), (below, format!("▼ {below} more"))];
    let words: Vec<String> =
        words.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text).collect();
    words.join(" ")
}

/// Returns a small graph of that many columns, newest value at its right; missing ones are blank.
///
/// The scale reaches from zero to `full`, or to the highest value when that is more.
pub(in crate::dash) fn spark(
    values: impl DoubleEndedIterator<Item = f64>,
    full: f64,
    columns: usize,
) -> String {
    let mut newest: Vec<f64> = values.rev().take(columns).collect();
    newest.reverse();
    let most = newest.iter().copied().fold(full, f64::max);
    let share = |value: f64| if most > 0.0 { value / most } else { 0.0 };
    let bars: String = newest.iter().map(|value| level(share(*value))).collect();
    format!("{}{bars}", " ".repeat(columns - newest.len()))
}

/// Returns a share of 0 to 1 as one character that is filled so far.
pub(in crate::dash) fn level(share: f64) -> char {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    LEVELS[((share.clamp(0.0, 1.0) * 7.0).round() as usize).min(7)]
}

/// Returns a bar of that many columns inside its two ends, filled to a share of 0 to 1.
pub(in crate::dash) fn bar(share: f64, columns: usize) -> String {
    const PARTS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (share.clamp(0.0, 1.0) * columns as f64 * 8.0).floor() as usize;
    let mut bar = "█".repeat(eighths / 8);
    if let Some(part) = (eighths % 8).checked_sub(1) {
        bar.push(PARTS[part]);
    }
    let fill = columns.saturating_sub(bar.chars().count());
    format!("▕{bar}{}▏", " ".repeat(fill))
}

/// Returns the frame of a small moving sign.
pub(in crate::dash) fn spinner(now: Timestamp) -> char {
    const FRAMES: [char; 4] = ['◐', '◓', '◑', '◒'];
    FRAMES[(now.as_millisecond().rem_euclid(1000) / 250) as usize]
}

/// Returns a whole number with a thin gap between thousands, such as `1 356`.
pub(in crate::dash) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_cut_and_filled_to_columns() {
        assert_eq!(cut("samsung", 7), "samsung");
        assert_eq!(cut("samsung", 4), "sam…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(left("ab", 4), "ab  ");
        assert_eq!(right("ab", 4), "  ab");
        assert_eq!(count(1_356), "1 356");
        assert_eq!(count(999), "999");
        assert_eq!(bar(0.5, 4), "▕██  ▏");
        assert_eq!(spark([0.0, 8.0].into_iter(), 4.0, 3), " ▁█");
    }

    #[test]
    fn words_stay_whole_where_they_can() {
        assert_eq!(wrap("the host does not answer", 9), ["the host", "does not", "answer"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("a\nb", 3), ["a", "b"]);
    }

    proptest! {
        #[test]
        fn no_wrapped_line_is_too_wide(text in "[a-z 日ä]{0,60}", columns in 2usize..20) {
            for line in wrap(&text, columns) {
                prop_assert!(width(&line) <= columns, "{line:?}");
            }
        }

        #[test]
        fn cut_text_never_exceeds_its_columns(text in any::<String>(), columns in 0usize..20) {
            prop_assert!(width(&cut(&text, columns)) <= columns);
        }
    }
}
