//! The texts of a file of Rust: its literals, and the doc comments that are help of the command line.

use std::iter::Peekable;
use std::str::Chars;

/// Calls, macros and attributes whose literals nobody reads: what tests and programmers are told, and
/// what other programs read.
const NOT_READ: &[&str] = &[
    "expect",
    "assert",
    "assert_eq",
    "assert_ne",
    "debug_assert",
    "debug_assert_eq",
    "unreachable",
    "panic",
    "serde",
    "cfg",
    "allow",
    "deprecated",
    "must_use",
    "prepare",
    "prepare_cached",
    "execute",
    "query_row",
];

/// Derives whose fields and variants have their help in doc comments.
const HELPFUL: &[&str] = &["Args", "Parser", "Subcommand", "ValueEnum"];

/// A piece of source, as far as it matters here.
#[derive(Debug, PartialEq)]
enum Token {
    /// A name, a keyword or a number.
    Word(String),
    /// A sign.
    Sign(char),
    /// What a literal says.
    Text(String),
    /// A line of a doc comment.
    Doc(String),
}

/// Returns the texts of a file in their order.
pub(super) fn texts(source: &str) -> Vec<String> {
    let tokens = tokens(source);
    let mut reader = Reader::default();
    let mut at = 0;
    while at < tokens.len() {
        at = reader.read(&tokens, at);
    }
    reader.end_doc();
    reader.found
}

/// Collects texts from tokens.
#[derive(Default)]
struct Reader {
    found: Vec<String>,
    /// What each open bracket belongs to: the name before it, else nothing.
    open: Vec<(char, String)>,
    /// Whether the next block is one whose doc comments are help, and how deep the blocks are that are.
    helpful_next: bool,
    helpful: Vec<usize>,
    doc: Vec<String>,
}

impl Reader {
    /// Reads what stands at a place; returns where to go on.
    fn read(&mut self, tokens: &[Token], at: usize) -> usize {
        if is_test(&tokens[at..]) {
            return after_item(tokens, at);
        }
        let begins = tokens[at] == Token::Sign('#') || name_before(tokens, at) == "#";
        let is_attribute = begins || self.is_in("#");
        if !is_attribute && !matches!(tokens[at], Token::Doc(_)) {
            self.end_doc();
        }
        match &tokens[at] {
            Token::Sign(sign @ ('(' | '[' | '{')) => {
                if *sign == '{' && self.helpful_next {
                    self.helpful_next = false;
                    self.helpful.push(self.open.len());
                }
                self.open.push((*sign, name_before(tokens, at)));
            }
            Token::Sign(')' | ']' | '}') => {
                self.open.pop();
                if self.helpful.last() == Some(&self.open.len()) {
                    self.helpful.pop();
                }
            }
            Token::Word(word) if self.is_in("derive") => {
                self.helpful_next |= HELPFUL.contains(&word.as_str());
            }
            Token::Text(text) if !NOT_READ.iter().any(|name| self.is_in(name)) => {
                self.found.push(text.clone());
            }
            Token::Doc(line) => self.doc.push(line.trim().to_owned()),
            Token::Sign(_) | Token::Word(_) | Token::Text(_) => {}
        }
        at + 1
    }

    /// Returns whether a call, a macro or an attribute is open.
    fn is_in(&self, name: &str) -> bool {
        let block = self.open.iter().rposition(|(sign, _)| *sign == '{').map_or(0, |at| at + 1);
        self.open[block..].iter().any(|(_, open)| open == name)
    }

    /// Keeps the paragraphs of a doc comment that has ended, where they are help.
    fn end_doc(&mut self) {
        let doc = std::mem::take(&mut self.doc);
        if !self.helpful.is_empty() {
            let paragraphs = doc.split(String::is_empty).map(|lines| lines.join(" "));
            self.found.extend(paragraphs.filter(|paragraph| !paragraph.is_empty()));
        }
    }
}

/// Returns whether an item that only tests have begins here.
fn is_test(tokens: &[Token]) -> bool {
    let signs = |at: usize, sign| tokens.get(at) == Some(&Token::Sign(sign));
    let words =
        |at: usize, word: &str| matches!(tokens.get(at), Some(Token::Word(it)) if it == word);
    signs(0, '#') && signs(1, '[') && words(2, "cfg") && signs(3, '(') && words(4, "test")
}

/// Returns the place behind the item that begins at a place.
fn after_item(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(sign @ (')' | ']' | '}')) => {
                depth -= 1;
                if depth == 0 && *sign == '}' {
                    break;
                }
            }
            Token::Sign(';') if depth == 0 => break,
            Token::Sign(_) | Token::Word(_) | Token::Text(_) | Token::Doc(_) => {}
        }
    }
    at
}

/// Returns the name of what a bracket belongs to: of `format!(`, `say(` or `error(`; `#` of an
/// attribute.
fn name_before(tokens: &[Token], at: usize) -> String {
    let mut before = tokens[..at].iter().rev().skip_while(|token| **token == Token::Sign('!'));
    match before.next() {
        Some(Token::Word(word)) => word.clone(),
        Some(Token::Sign('#')) => "#".to_owned(),
        _ => String::new(),
    }
}

/// Returns the pieces of a source.
fn tokens(source: &str) -> Vec<Token> {
    let mut chars = source.chars().peekable();
    let mut found = Vec::new();
    while let Some(c) = chars.next() {
        match c {
            '/' if chars.peek() == Some(&'/') => {
                let line: String = std::iter::from_fn(|| chars.next_if(|c| *c != '\n')).collect();
                if let Some(doc) = line.strip_prefix("//").filter(|doc| !doc.starts_with('/')) {
                    found.push(Token::Doc(doc.to_owned()));
                }
            }
            '"' => found.push(Token::Text(literal(&mut chars))),
            '\'' => skip_char(&mut chars),
            c if c.is_alphanumeric() || c == '_' => {
                let mut word = c.to_string();
                while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    word.push(c);
                }
                match chars.peek() {
                    Some('"' | '#') if matches!(word.as_str(), "r" | "br") => {
                        found.extend(raw_literal(&mut chars).map(Token::Text));
                    }
                    _ => found.push(Token::Word(word)),
                }
            }
            c if c.is_whitespace() => {}
            c => found.push(Token::Sign(c)),
        }
    }
    found
}

/// Reads a literal whose opening quote was read.
fn literal(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push(' '),
                Some('\n') => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                Some('u') => {
                    let code: String =
                        std::iter::from_fn(|| chars.next_if(|c| *c != '}')).collect();
                    chars.next();
                    let code = u32::from_str_radix(code.trim_start_matches('{'), 16);
                    text.extend(code.ok().and_then(char::from_u32).filter(|c| !c.is_control()));
                }
                Some('x') => chars.by_ref().take(2).for_each(drop),
                Some(c) => text.push(c),
                None => break,
            },
            c => text.push(c),
        }
    }
    text
}

/// Reads a raw literal whose `r` was read; nothing of a raw name.
fn raw_literal(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    let hashes = std::iter::from_fn(|| chars.next_if_eq(&'#')).count();
    chars.next_if_eq(&'"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let mut text = String::new();
    while !text.ends_with(&end) {
        text.push(chars.next()?);
    }
    text.truncate(text.len() - end.len());
    Some(text)
}

/// Skips a character in quotes whose first quote was read; of a lifetime only its quote.
fn skip_char(chars: &mut Peekable<Chars<'_>>) {
    let ahead: Vec<char> = chars.clone().take(2).collect();
    match ahead[..] {
        ['\\', _] => {
            chars.by_ref().take(2).for_each(drop);
            while chars.next().is_some_and(|c| c != '\'') {}
        }
        [_, '\''] => chars.by_ref().take(2).for_each(drop),
        _ => {}
    }
}

#[test]
fn texts_of_a_source_are_its_literals_and_the_help() {
    let source = r##"
        // A "comment" is none.
        /// No help.
        #[derive(Debug, thiserror::Error)]
        enum Trouble<'a> {
            #[error("no answer from {host}: '\"{0}\"'")]
            Silent(&'a str),
        }
        /// Not shown: the subcommand has its own.
        #[derive(clap::Args)]
        struct Args {
            /// Does it,
            /// all of it.
            ///
            /// More of it.
            #[serde(rename = "not this")]
            x: char,
        }
        fn it() { tell(&format!("one \
            line")); known.expect("not so"); let c = '"'; let r = r#"a "raw" one"#; }
        #[cfg(test)]
        mod tests { fn it() { let a = "of tests"; } }
        const LAST: &str = "the end";
    "##;
    let said = [
        "no answer from {host}: '\"{0}\"'",
        "Does it, all of it.",
        "More of it.",
        "one line",
        "a \"raw\" one",
        "the end",
    ];
    assert_eq!(texts(source), said);
}
