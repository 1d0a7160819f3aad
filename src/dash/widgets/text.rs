//! Text that fits: cut, filled and wrapped to columns.

use ratatui::text::Span;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

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

/// Returns a text of at most that many columns; where its beginning was cut, it begins with `…`.
pub(in crate::dash) fn cut_before(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut from = text.len();
    for (at, _) in text.char_indices().rev() {
        if width(&text[at..]) + 1 > columns {
            break;
        }
        from = at;
    }
    let sign = if columns > 0 { "…" } else { "" };
    format!("{sign}{}", &text[from..])
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

/// A sign that is told of the word before it: it never begins a line.
const BEHIND_A_WORD: &str = " ✓";

/// Returns a text as lines of at most that many columns, broken at spaces where it can be.
pub(in crate::dash) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        let mut rest = Some(paragraph);
        while let Some(paragraph) = rest {
            let (mut word, more) = first_word(paragraph);
            rest = more;
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

/// Returns the first word of a text, with the sign behind it, and the rest behind the next space.
fn first_word(text: &str) -> (&str, Option<&str>) {
    let Some(end) = text.find(' ') else { return (text, None) };
    let signed = end + BEHIND_A_WORD.len();
    let is_signed = text[end..].starts_with(BEHIND_A_WORD)
        && text.get(signed..).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
    let end = if is_signed && end > 0 { signed } else { end };
    (&text[..end], text.get(end + 1..))
}

/// Returns a text as at most so many lines; where they are too few for all of it, the last one ends in `…`.
pub(in crate::dash) fn wrap_to(text: &str, columns: usize, rows: usize) -> Vec<String> {
    let mut lines = wrap(text, columns);
    if lines.len() > rows {
        lines.truncate(rows);
        if let Some(last) = lines.last_mut() {
            *last = cut(&format!("{last} …"), columns);
        }
    }
    lines
}

/// Returns a text as at most so many lines that are about equally long, so that no word stands alone.
pub(in crate::dash) fn wrap_evenly(text: &str, columns: usize, rows: usize) -> Vec<String> {
    let lines = wrap_to(text, columns, rows);
    let as_many = (columns / 2..columns).map(|fewer| wrap_to(text, fewer, rows));
    let mut even = as_many
        .skip_while(|even| even.len() > lines.len() || even.iter().any(|line| line.ends_with('…')));
    even.next().unwrap_or(lines)
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
        assert_eq!(cut_before("~/nixos", 7), "~/nixos");
        assert_eq!(cut_before("~/nixos", 4), "…xos");
        assert_eq!(cut_before("日本語", 4), "…語");
        assert_eq!(cut_before("ab", 0), "");
        assert_eq!(left("ab", 4), "ab  ");
        assert_eq!(right("ab", 4), "  ab");
        assert_eq!(count(1_356), "1 356");
        assert_eq!(count(999), "999");
    }

    #[test]
    fn words_stay_whole_where_they_can() {
        assert_eq!(wrap("the host does not answer", 9), ["the host", "does not", "answer"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("a\nb", 3), ["a", "b"]);
        assert_eq!(wrap("all, signed p620-1 ✓", 18), ["all, signed", "p620-1 ✓"]);
        assert_eq!(wrap("signed p620-1 ✓ now", 20), ["signed p620-1 ✓ now"]);
        assert_eq!(wrap("✓ a b ✓", 5), ["✓ a", "b ✓"]);
    }

    #[test]
    fn what_has_no_room_ends_in_a_sign_of_that() {
        assert_eq!(wrap_to("the host does not answer", 9, 3), ["the host", "does not", "answer"]);
        assert_eq!(wrap_to("the host does not answer", 9, 2), ["the host", "does not…"]);
        assert_eq!(wrap_to("the host", 9, 0), [""; 0]);
    }

    #[test]
    fn even_lines_leave_no_word_alone_and_lose_nothing() {
        let text = "run #41: 1 switched in 1 min 00 s";
        assert_eq!(wrap(text, 31), ["run #41: 1 switched in 1 min 00", "s"]);
        assert_eq!(wrap_evenly(text, 31, 9), ["run #41: 1 switched", "in 1 min 00 s"]);
        assert_eq!(wrap_evenly("the host", 9, 9), ["the host"]);
        assert_eq!(wrap_evenly("the host does not answer", 9, 2), ["the host", "does not…"]);
        assert_eq!(wrap_evenly("the host", 0, 0), [""; 0]);
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
            prop_assert!(width(&cut_before(&text, columns)) <= columns);
        }
    }
}
