//! Makes text that came from elsewhere safe to show.
//!
//! Log lines, units' names and servers' answers are untrusted: a control byte in them could move
//! the cursor, retitle the terminal or hide what happened. Only these functions let such text
//! through to a screen, a log or a JSON document.

use crate::fleet::colours::{LineColours, TextStyle};
use crate::fleet::redact;
use std::borrow::Cow;

/// Longest line that is kept, in characters; what is longer is cut and ends in `…`.
const LINE_LIMIT: usize = 8 * 1024;

/// How much of a line is looked at for secrets, in characters.
const READ_LIMIT: usize = 8 * LINE_LIMIT;

/// Longest CSI sequence that is looked at, in bytes.
const SEQUENCE_LIMIT: usize = 128;

/// Returns whether a character changes the direction of text or is invisible.
fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{061c}'
        | '\u{2028}' | '\u{2029}')
}

/// Returns the text as one printable line: escape sequences and control characters removed,
/// tabs and line ends as spaces, secrets hidden (see [`redact()`]), cut at 8 192 characters.
pub fn printable_line(text: &str) -> String {
    printable_text(text).into_owned()
}

/// Returns what [`printable_line`] does; text that needs no change, as nearly all does, is given back
/// as it is.
pub fn printable_text(text: &str) -> Cow<'_, str> {
    printable_coloured(text).0
}

/// Returns what [`printable_text`] does, and the colours that the sequences gave the text which were
/// removed. A line in which a secret was hidden has none.
pub fn printable_coloured(text: &str) -> (Cow<'_, str>, LineColours) {
    printable_continued(text, TextStyle::default())
}

/// Returns what [`printable_coloured`] does of a line that begins to look as the line before it ended.
pub fn printable_continued(text: &str, begins: TextStyle) -> (Cow<'_, str>, LineColours) {
    let is_plain = text.len() <= LINE_LIMIT && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if is_plain && begins == TextStyle::default() {
        return (redact(text), LineColours::default());
    }
    let (text, colours) = made_printable(text, begins);
    (Cow::Owned(text), colours)
}

/// Returns how text looks that follows a text which began with a look.
pub fn style_behind(text: &str, begins: TextStyle) -> TextStyle {
    // What a sequence begins with: ESC, or the first byte of the character U+009B.
    if memchr::memchr2(0x1b, 0xc2, text.as_bytes()).is_none() {
        return begins;
    }
    each_shown(text, begins, &mut |_, _| true)
}

fn made_printable(text: &str, begins: TextStyle) -> (String, LineColours) {
    let text = text.trim_end_matches(['\r', '\n']);
    let (passed, last) = text.rsplit_once('\r').unwrap_or(("", text));
    let mut colours = LineColours::default();
    let mut out = String::with_capacity(last.len().min(READ_LIMIT));
    let (mut count, mut now) = (0, TextStyle::default());
    each_shown(last, style_behind(passed, begins), &mut |c, style| {
        if style != now {
            colours.change(out.len(), style);
            now = style;
        }
        out.push(c);
        count += 1;
        count < READ_LIMIT
    });
    // First hidden, then cut: half a secret is one too.
    match redact(&out) {
        Cow::Borrowed(plain) => {
            let text = cut(plain);
            let colours = colours.fitting(&text);
            (text, colours)
        }
        Cow::Owned(hidden) => (cut(&hidden), LineColours::default()),
    }
}

/// Hands each character that may be shown to `take`, with its look, until that has enough; returns the look
/// there, or at the end.
fn each_shown(
    text: &str,
    begins: TextStyle,
    take: &mut dyn FnMut(char, TextStyle) -> bool,
) -> TextStyle {
    let mut style = begins;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let shown = match c {
            '\u{1b}' | '\u{9b}' => {
                let csi =
                    if c == '\u{1b}' { skip_escape(&mut chars) } else { skip_csi(&mut chars) };
                if let Some(parameters) = csi.as_deref().and_then(|csi| csi.strip_suffix('m')) {
                    style.apply(parameters);
                }
                continue;
            }
            '\t' | '\n' => ' ',
            c if c.is_control() || is_deceptive(c) => continue,
            c => c,
        };
        if !take(shown, style) {
            break;
        }
    }
    style
}

/// Returns a line of at most 8 192 characters and `…`.
fn cut(line: &str) -> String {
    match line.char_indices().nth(LINE_LIMIT) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// Skips what follows an ESC: a CSI sequence, which it returns, a string sequence, or one character.
fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    match chars.next() {
        Some('[') => return skip_csi(chars),
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' || c == '\u{9c}' {
                    break;
                }
                if c == '\u{1b}' {
                    chars.next();
                    break;
                }
            }
        }
        Some('(' | ')' | '*' | '+' | '#' | ' ' | '%') => {
            chars.next();
        }
        Some(_) | None => {}
    }
    None
}

/// Skips the parameters and the final character of a CSI sequence; returns them, unless they are longer
/// than any that means something.
fn skip_csi(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    let mut sequence = String::new();
    for c in chars.by_ref() {
        if sequence.len() < SEQUENCE_LIMIT {
            sequence.push(c);
        }
        if ('\u{40}'..='\u{7e}').contains(&c) {
            return sequence.ends_with(c).then_some(sequence);
        }
    }
    None
}

/// Returns words as a sentence lists them: `a`, `a and b`, `a, b and c`; nothing of none.
pub fn in_a_list<W: AsRef<str>>(words: &[W]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        Some(_) | None => words.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn colours_titles_and_bells_are_removed() {
        assert_eq!(printable_line("\u{1b}[31mred\u{1b}[0m"), "red");
        assert_eq!(printable_line("\u{1b}]0;title\u{7}text"), "text");
        assert_eq!(printable_line("\u{1b}]8;;http://x\u{1b}\\link"), "link");
        assert_eq!(printable_line("a\tb\u{8}\u{0}c"), "a bc");
        assert_eq!(printable_line("\u{1b}Pq#0\u{1b}\\x"), "x");
        assert_eq!(printable_line("a\u{202e}b\u{200b}"), "ab");
    }

    #[test]
    fn a_progress_line_shows_its_last_state() {
        assert_eq!(printable_line("10 %\r20 %\r100 %\r\n"), "100 %");
    }

    #[test]
    fn a_very_long_line_is_cut() {
        let line = printable_line(&"x".repeat(100_000));
        assert_eq!(line.chars().count(), LINE_LIMIT + 1);
        assert!(line.ends_with('…'));
    }

    #[test]
    fn what_looks_like_a_secret_is_hidden() {
        for (text, shown) in [
            ("GET http://me:pass@x/y?a=b", "GET http://[secret]@x/y?a=b"),
            ("https://x/n?X-Amz-Signature=abc&b=1", "https://x/n?X-Amz-Signature=[secret]&b=1"),
            ("Authorization: Bearer abc.def", "Authorization: [secret]"),
            ("authorization: Basic dXNlcg==", "authorization: [secret]"),
            ("url?token=abc next", "url?token=[secret] next"),
            ("http://p620:5000/x.narinfo", "http://p620:5000/x.narinfo"),
        ] {
            assert_eq!(printable_line(text), shown);
            assert_eq!(printable_line(shown), shown, "twice is as good as once");
        }
    }

    #[test]
    fn a_secret_at_the_limit_of_a_line_is_hidden_before_the_line_is_cut() {
        for (begin, end) in [
            ("https://me:", "hunter2@host/x"),
            ("{\"token\":\"", "hunter2\"}"),
            ("curl -u me:", "hunter2 https://x"),
        ] {
            for blanks in (LINE_LIMIT - 24..LINE_LIMIT + 2).chain(READ_LIMIT - 24..READ_LIMIT + 2) {
                let blanks = blanks - begin.len();
                let line = printable_line(&format!("{}{begin}{end}", "x ".repeat(blanks / 2)));
                assert!(!line.contains("hu"), "{begin} after {blanks}");
            }
        }
        let endless = printable_line(&format!("https://me:{}", "hunter2".repeat(READ_LIMIT)));
        assert_eq!(endless, "https://[secret]");
    }

    proptest! {
        #[test]
        fn plain_text_is_what_any_other_text_is(text in "[ -~]{0,60}") {
            prop_assert_eq!(printable_text(&text), made_printable(&text, TextStyle::default()).0);
        }

        #[test]
        fn nothing_unprintable_ever_passes(text in any::<String>()) {
            prop_assert!(!printable_line(&text).chars().any(|c| c.is_control() || is_deceptive(c)));
        }
    }
}
