//! What is searched for in logs: a part of a line, or a regular expression.

use crate::record::runs::trigrams::SoughtWord;
use regex::{Regex, RegexBuilder, bytes};

/// What is searched for. It is compared with the text of a line, without time and phase. One without a
/// capital letter matches capitals, too.
#[derive(Clone, Debug)]
pub struct LogPattern {
    text: Regex,
    /// What finds, in many lines at once, those that may match; none where each line has to be looked
    /// at, because the pattern speaks of where a line begins or ends.
    many: Option<bytes::Regex>,
    /// The word that it is; none where it is more than a word, or a short one.
    word: Option<SoughtWord>,
}

impl LogPattern {
    /// Reads a regular expression; fails with what is wrong in it.
    pub fn regex(text: &str) -> Result<Self, String> {
        let mut is_escaped = false;
        let has_capital = text.chars().any(|c| {
            // `\S` and `\W` are no capitals.
            let counts = c.is_uppercase() && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            counts
        });
        let word = Some(text).filter(|text| regex::escape(text) == **text);
        Self::new(text, word, !has_capital)
            .map_err(|error| format!("{error}; a \\ before a character takes it literally"))
    }

    /// Searches for a text as it stands.
    pub fn substring(text: &str) -> Result<Self, String> {
        let has_capital = text.chars().any(char::is_uppercase);
        Self::new(&regex::escape(text), Some(text), !has_capital).map_err(|error| error.to_string())
    }

    fn new(text: &str, word: Option<&str>, ignores_case: bool) -> Result<Self, regex::Error> {
        let speaks_of_ends =
            text.contains(['^', '$']) || text.contains("\\A") || text.contains("\\z");
        let many = || bytes::RegexBuilder::new(text).case_insensitive(ignores_case).build();
        Ok(Self {
            text: RegexBuilder::new(text).case_insensitive(ignores_case).build()?,
            many: if speaks_of_ends { None } else { Some(many()?) },
            word: word
                .filter(|_| !speaks_of_ends)
                .and_then(|word| SoughtWord::new(word, ignores_case)),
        })
    }

    /// Returns whether the text of a line matches.
    pub fn is_match(&self, text: &str) -> bool {
        self.text.is_match(text)
    }

    /// Returns the regular expression that a line's text is compared with, such as for what is shown
    /// brightly.
    pub fn text(&self) -> &Regex {
        &self.text
    }

    /// Returns the word that every line has which matches; none where that is not known.
    pub(super) fn word(&self) -> Option<&SoughtWord> {
        self.word.as_ref()
    }

    /// Returns where in whole lines of a log, as they stand in its file, the next line begins that may match
    /// and has to be looked at, from the beginning of a line on: none before it does match.
    pub(super) fn candidate(&self, lines: &[u8], from: usize) -> Option<usize> {
        if from >= lines.len() {
            return None;
        }
        let Some(many) = &self.many else { return Some(from) };
        let at = many.find_at(lines, from).map(|found| found.start());
        let at = at.filter(|at| *at < lines.len())?;
        Some(memchr::memrchr(b'\n', &lines[from..at]).map_or(from, |end| from + end + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_without_a_capital_matches_capitals_too() {
        for (text, line, matches) in [
            ("error", "ERROR: x", true),
            ("Error", "error: x", false),
            ("Error", "an Error", true),
            (r"\Serror", "xERROR", true),
            (r"\\Serror", r"\serror", false),
            ("ümlaut", "ÜMLAUT", true),
            (r"^cc .*\.c$", "CC part.c", true),
        ] {
            assert_eq!(
                LogPattern::regex(text).unwrap().is_match(line),
                matches,
                "{text} in {line}"
            );
        }
        assert!(LogPattern::regex("(").unwrap_err().contains("unclosed group"));
        let plain = LogPattern::substring("a.c (1)").unwrap();
        assert!(plain.is_match("in A.C (1)") && !plain.is_match("in abc (1)"));
    }
}
