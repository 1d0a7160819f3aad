//! Hides what looks like a secret in text that came from elsewhere.
//!
//! Three things give a secret away: the name that it is assigned to (`TOKEN=x`, `"token": "x"`,
//! `Authorization: Bearer x`, `--password x`, a netrc's `password x`), its place in a URL
//! (`https://user:pw@host`), and its own shape (`ghp_…`, a JSON web token). What looks like a path,
//! such as `/nix/store/…-token`, is no name. One pass over the text; most lines have none of the
//! signs and are given back as they are.

use std::borrow::Cow;
use std::ops::Range;

/// What stands where a secret was.
const HIDDEN: &str = "[secret]";

/// What names of secrets end with, in lower case and without `-` and `_`.
const NAMES: [&str; 17] = [
    "password",
    "passwd",
    "passphrase",
    "passwort",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "accesskeyid",
    "secretkey",
    "privatekey",
    "authkey",
    "authorization",
    "credential",
    "credentials",
    "signature",
    "cookie",
];

/// Names that are secrets only as a whole, or after a `_` or `-`.
const SHORT_NAMES: [&str; 4] = ["pass", "pw", "pat", "sig"];

/// Names after which the whole rest of the line, or of the quoted text, is the secret.
const WHOLE: [&str; 2] = ["authorization", "cookie"];

/// What tokens of well-known services begin with.
const SHAPES: [&str; 12] = [
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "sk-ant-",
    "eyJ",
    "AKIA",
];

/// Shortest word of such a beginning that is taken for a token.
const SHAPE_LENGTH: usize = 20;

/// How far from a sign its context is looked for, in bytes: a hostile line costs no more than its
/// length.
const NEAR: usize = 512;

/// Returns the text with what looks like a secret replaced by `[secret]`.
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut hidden: Vec<Range<usize>> = Vec::new();
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        if hidden.last().is_some_and(|range| at < range.end) {
            continue;
        }
        match byte {
            b'=' => assigned(text, at, true, &mut hidden),
            b':' if bytes[at + 1..].starts_with(b"//") => in_url(text, at, &mut hidden),
            b':' => assigned(text, at, false, &mut hidden),
            b' ' => spoken(text, at, &mut hidden),
            b'g' | b'x' | b's' | b'e' | b'A' => shaped(text, at, &mut hidden),
            _ => {}
        }
    }
    if hidden.is_empty() {
        return Cow::Borrowed(text);
    }
    hidden.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for range in hidden {
        if range.start < done {
            // It begins within one that is hidden already.
            done = done.max(range.end);
            continue;
        }
        if range.is_empty() || text[range.clone()] == *HIDDEN {
            continue;
        }
        out.push_str(&text[done..range.start]);
        out.push_str(HIDDEN);
        done = range.end;
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

/// Returns whether a character belongs to a name.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// Returns a name as names are compared.
fn plain(name: &str) -> String {
    let letters = name.bytes().filter(|byte| !matches!(byte, b'_' | b'-' | b'.'));
    letters.map(|byte| char::from(byte.to_ascii_lowercase())).collect()
}

/// Returns whether a name is one of a secret.
fn is_secret(name: &str) -> bool {
    // Quick for most names: every one of a secret ends with one of these letters.
    let last = name.bytes().last().map(|byte| byte.to_ascii_lowercase());
    if !matches!(last, Some(b'd' | b'e' | b't' | b'n' | b'y' | b's' | b'l' | b'w' | b'g')) {
        return false;
    }
    let word = plain(name);
    let short = name.rsplit(['_', '-', '.']).next().unwrap_or_default();
    NAMES.iter().any(|end| word.ends_with(end))
        || SHORT_NAMES.iter().any(|end| short.eq_ignore_ascii_case(end))
        || (short.eq_ignore_ascii_case("pwd") && short.len() < name.len())
}

/// Returns the name that ends before an offset; nothing where that is part of a path.
fn name_before(text: &str, end: usize) -> Option<&str> {
    let bytes = text.as_bytes();
    let begin = bytes[..end].iter().rposition(|byte| !is_name(*byte)).map_or(0, |at| at + 1);
    // A word of non-ASCII letters ends nowhere: the offset is that of an ASCII letter.
    let name = text.get(begin..end).filter(|name| !name.is_empty())?;
    let before = begin.checked_sub(1).map(|at| bytes[at]);
    (!matches!(before, Some(b'/'))).then_some(name)
}

/// Hides what is assigned at an `=` or a `:` to the name of a secret.
fn assigned(text: &str, at: usize, by_equals: bool, hidden: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    // `token = "x"`, `"token": "x"`.
    let mut end = at;
    while end > 0 && bytes[end - 1] == b' ' {
        end -= 1;
    }
    let mut escaped = false;
    if end > 0 && matches!(bytes[end - 1], b'"' | b'\'') {
        end -= 1;
        escaped = end > 0 && bytes[end - 1] == b'\\';
        end -= usize::from(escaped);
    }
    let Some(name) = name_before(text, end).filter(|name| is_secret(name)) else { return };
    let word = plain(name);
    // In prose a signature is what is checked, and `sig:` what a narinfo has: both are public.
    if !by_equals && (word.ends_with("signature") || word == "sig") {
        return;
    }
    let whole = WHOLE.iter().any(|end| word.ends_with(end));
    let mut start = at + 1;
    while bytes.get(start) == Some(&b' ') {
        start += 1;
    }
    // `token = { env = "X" }` says where a secret is, and `token == x` compares.
    let is_place = matches!(bytes.get(start), Some(b'{' | b'[' | b'(' | b'=' | b'<'));
    if start > at + 1 && is_place && !text[start..].starts_with(HIDDEN) {
        return;
    }
    hide_value(text, start, whole, escaped, hidden);
}

/// Hides the value that begins at an offset: a quoted text, else a word.
fn hide_value(
    text: &str,
    mut start: usize,
    whole: bool,
    escaped: bool,
    hidden: &mut Vec<Range<usize>>,
) {
    let bytes = text.as_bytes();
    if escaped && bytes.get(start) == Some(&b'\\') {
        start += 1;
    }
    let end = if let Some(quote @ (b'"' | b'\'')) = bytes.get(start) {
        start += 1;
        quoted_end(bytes, start, *quote, escaped)
    } else {
        let ends = |byte: u8| match byte {
            b'"' | b'\'' => true,
            b' ' | b'&' => !whole,
            _ => false,
        };
        let rest = &bytes[start.min(bytes.len())..];
        let word = start + rest.iter().position(|byte| ends(*byte)).unwrap_or(rest.len());
        // A colon before a blank ends the clause, and not the secret.
        let ends_a_clause = !whole && word < bytes.len() && bytes[word] == b' ';
        let colon = ends_a_clause && word > start + 1 && bytes[word - 1] == b':';
        word - usize::from(colon)
    };
    if start < end {
        hidden.push(start..end);
    }
}

/// Returns where a quoted text ends; at the end of the line where it was cut off.
fn quoted_end(bytes: &[u8], start: usize, quote: u8, escaped: bool) -> usize {
    let mut at = start;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if escaped && bytes.get(at + 1) == Some(&quote) => return at,
            b'\\' => at += 2,
            byte if byte == quote => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Hides the login of a URL whose `://` begins at an offset. A user alone is a secret only where
/// tokens are written so, over HTTP.
fn in_url(text: &str, at: usize, hidden: &mut Vec<Range<usize>>) {
    let start = at + 3;
    let rest = &text[start..];
    let end = rest.find(|c: char| {
        matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>' | ',') || c.is_whitespace()
    });
    let authority = &rest[..end.unwrap_or(rest.len())];
    let scheme = name_end(&text[..at]);
    let is_web = scheme.ends_with("http") || scheme.ends_with("https") || scheme.ends_with("ftp");
    match authority.rfind('@') {
        Some(length) => {
            if is_web || authority[..length].contains(':') {
                hidden.push(start..start + length);
            }
        }
        // `user:pw…` at the end of a line that was cut: a port would be digits.
        None if end.is_none() => {
            if let Some((_, password)) = authority.split_once(':')
                && !authority.starts_with('[')
                && !password.bytes().all(|byte| byte.is_ascii_digit())
            {
                hidden.push(start..start + authority.len());
            }
        }
        // A password may have a slash in it, written as it is: `https://me:a/b@host`.
        None => {
            let near = &rest[..rest.floor_char_boundary(NEAR)];
            let word = near.split([' ', '"', '\'', '<', '>']).next().unwrap_or_default();
            if let (Some((_, after)), Some(length)) = (authority.split_once(':'), word.rfind('@'))
                && !authority.starts_with('[')
                && !after.bytes().all(|byte| byte.is_ascii_digit())
            {
                hidden.push(start..start + length);
            }
        }
    }
}

/// Returns the letters at the end of a text: the scheme before `://`.
fn name_end(text: &str) -> &str {
    let begin = text.bytes().rposition(|byte| !byte.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
    text.get(begin..).unwrap_or_default()
}

/// Hides the word after a blank where the words before it announce a secret: `--password x`,
/// `curl -u user:pw`, `Bearer x`, `login me password x`.
fn spoken(text: &str, at: usize, hidden: &mut Vec<Range<usize>>) {
    let before = &text[..at];
    let last = match before.bytes().last() {
        // No word that announces a secret ends otherwise.
        Some(b'd' | b'r' | b'n' | b't' | b'y' | b'u' | b'U' | b'p' | b'e' | b's' | b'D' | b'R') => {
            before.rsplit([' ', '"', '\'']).next().unwrap_or_default()
        }
        _ => return,
    };
    let start = at + 1;
    let announces = last.eq_ignore_ascii_case("bearer")
        || last == "-p" && nearest(before).contains("sshpass")
        || last == "password" && is_netrc(before);
    if announces {
        hide_value(text, start, false, false, hidden);
    } else if let Some(flag) = last.strip_prefix("--") {
        let is_user = matches!(flag, "user" | "proxy-user");
        if is_user {
            hide_password(text, start, hidden);
        } else if is_secret(flag) {
            hide_value(text, start, false, false, hidden);
        }
    } else if matches!(last, "-u" | "-U") {
        hide_password(text, start, hidden);
    }
}

/// Returns the end of a text, as far as it is looked at.
fn nearest(before: &str) -> &str {
    &before[before.ceil_char_boundary(before.len().saturating_sub(NEAR))..]
}

/// Returns whether the words before one are those of a netrc: `machine x login y password`.
fn is_netrc(before: &str) -> bool {
    let mut words = before.split_whitespace();
    let first = words.next();
    first == Some("password") && words.next().is_none()
        || nearest(before)
            .split_whitespace()
            .any(|word| matches!(word, "machine" | "login" | "default"))
}

/// Hides the password of a `user:password` that begins at an offset; numbers are user and group.
fn hide_password(text: &str, start: usize, hidden: &mut Vec<Range<usize>>) {
    let rest = &text[start..];
    let (skip, word) = match rest.as_bytes().first() {
        Some(b'"') => (1, rest[1..].split('"').next()),
        Some(b'\'') => (1, rest[1..].split('\'').next()),
        Some(_) | None => (0, rest.split(' ').next()),
    };
    let word = word.unwrap_or_default();
    let Some(colon) = word.find(':') else { return };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !(is_number(&word[..colon]) && is_number(&word[colon + 1..])) {
        hidden.push(start + skip + colon + 1..start + skip + word.len());
    }
}

/// Hides a word that has the shape of a token.
fn shaped(text: &str, at: usize, hidden: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    if at > 0 && (is_name(bytes[at - 1]) || bytes[at - 1] == b'/') {
        return;
    }
    let rest = &bytes[at..];
    if !SHAPES.iter().any(|shape| rest.starts_with(shape.as_bytes())) {
        return;
    }
    let length = rest.iter().position(|byte| !is_name(*byte)).unwrap_or(rest.len());
    if length >= SHAPE_LENGTH {
        hidden.push(at..at + length);
    }
}

#[cfg(test)]
mod tests;
