//! Makes text that came from elsewhere safe to show.
//!
//! Log lines, units' names and servers' answers are untrusted: a control byte in them could move
//! the cursor, retitle the terminal or hide what happened. Only these functions let such text
//! through to a screen, a log or a JSON document.

/// Longest line that is kept, in characters; what is longer is cut and ends in `…`.
const LINE_LIMIT: usize = 8 * 1024;

/// Returns whether a character changes the direction of text or is invisible.
fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{061c}'
        | '\u{2028}' | '\u{2029}')
}

/// Returns the text as one printable line: escape sequences and control characters removed,
/// tabs and line ends as spaces, secrets hidden (see [`redact`]), cut at 8 192 characters.
pub fn printable_line(text: &str) -> String {
    let last = text.trim_end_matches(['\r', '\n']).rsplit('\r').next().unwrap_or_default();
    let mut out = String::with_capacity(last.len().min(LINE_LIMIT));
    let mut count = 0;
    let mut chars = last.chars().peekable();
    while let Some(c) = chars.next() {
        if count == LINE_LIMIT {
            out.push('…');
            break;
        }
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_csi(&mut chars),
            '\t' | '\n' => {
                out.push(' ');
                count += 1;
            }
            c if c.is_control() || is_deceptive(c) => {}
            c => {
                out.push(c);
                count += 1;
            }
        }
    }
    if SECRET_SIGNS.iter().any(|sign| out.contains(sign))
        || out.contains("://") && out.contains('@')
    {
        return redact(&out);
    }
    out
}

/// One of these is in every text that may hold a secret; looking for them is cheap.
const SECRET_SIGNS: [&str; 9] = [
    "uthorization:",
    "ignature=",
    "redential=",
    "oken=",
    "assword=",
    "UTHORIZATION:",
    "IGNATURE=",
    "OKEN=",
    "ASSWORD=",
];

/// Words before which no secret stands, and after which one may, in lower case.
const SECRET_AFTER: [&str; 7] = [
    "authorization: ",
    "x-amz-signature=",
    "x-amz-credential=",
    "x-amz-security-token=",
    "signature=",
    "token=",
    "password=",
];

/// Returns the text with what looks like a secret replaced by `[secret]`: user and password of a
/// URL, the signed parts of an S3 URL, tokens and authorization headers.
pub fn redact(text: &str) -> String {
    let mut out = hide_userinfo(text);
    for word in SECRET_AFTER {
        out = hide_after(&out, word);
    }
    out
}

/// Replaces what stands between `://` and `@` in the authority of a URL.
fn hide_userinfo(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after.find(|c: char| c == '/' || c == '?' || c.is_whitespace());
        let authority = &after[..end.unwrap_or(after.len())];
        rest = match authority.rfind('@') {
            Some(at) => {
                out.push_str("[secret]");
                &after[at..]
            }
            None => after,
        };
    }
    out.push_str(rest);
    out
}

/// Replaces the word that follows every occurrence of another, which is given in lower case.
fn hide_after(text: &str, word: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    while let Some(found) = lower[done..].find(word) {
        let start = done + found + word.len();
        out.push_str(&text[done..start]);
        let end = text[start..]
            .find(|c: char| {
                // The scheme and its value: the rest of the header.
                let whole_line = word == "authorization: ";
                matches!(c, '"' | '\'')
                    || !whole_line && (c.is_whitespace() || matches!(c, '&' | ',' | ';'))
            })
            .map_or(text.len(), |length| start + length);
        let value = &text[start..end];
        let hidden = value.is_empty() || value.starts_with("[secret]");
        out.push_str(if hidden { value } else { "[secret]" });
        done = end;
    }
    out.push_str(&text[done..]);
    out
}

/// Skips what follows an ESC: a CSI sequence, a string sequence, or one character.
fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        Some('[') => skip_csi(chars),
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
}

/// Skips the parameters and the final character of a CSI sequence.
fn skip_csi(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    for c in chars.by_ref() {
        if ('\u{40}'..='\u{7e}').contains(&c) {
            break;
        }
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
            assert_eq!(redact(&redact(text)), redact(text), "twice is as good as once");
        }
    }

    proptest! {
        #[test]
        fn nothing_unprintable_ever_passes(text in any::<String>()) {
            prop_assert!(!printable_line(&text).chars().any(|c| c.is_control() || is_deceptive(c)));
        }
    }
}
