//! What is looked for in a log: a text or a regular expression, with smart case and `!` for the
//! opposite.

use crate::record::LogPattern;
use std::ops::Range;

/// What was typed to look for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinePattern {
    /// The text; a leading `!` means what does not match.
    pub text: String,
    /// Whether it is a regular expression.
    pub is_regex: bool,
}

/// A pattern that is ready to be used.
#[derive(Clone, Debug)]
pub struct LineMatcher {
    /// What a line matches, or must not match.
    pub pattern: LogPattern,
    /// Whether lines are meant that do not match.
    pub is_inverse: bool,
}

impl LinePattern {
    /// Returns whether nothing is looked for.
    pub fn is_empty(&self) -> bool {
        self.wanted().is_empty()
    }

    /// Returns what is looked for, without the `!`.
    fn wanted(&self) -> &str {
        self.text.strip_prefix('!').unwrap_or(&self.text)
    }

    /// Returns the pattern ready to be used, or what is wrong with it.
    pub fn matcher(&self) -> Result<LineMatcher, String> {
        let read = if self.is_regex { LogPattern::regex } else { LogPattern::substring };
        Ok(LineMatcher { pattern: read(self.wanted())?, is_inverse: self.text.starts_with('!') })
    }
}

impl LineMatcher {
    /// Returns whether a line is one of those that are looked for.
    pub fn takes(&self, text: &str) -> bool {
        self.pattern.is_match(text) != self.is_inverse
    }

    /// Returns where a line matches, to be marked; nowhere where lines are meant that do not match.
    pub fn marks(&self, text: &str) -> Vec<Range<usize>> {
        if self.is_inverse {
            return Vec::new();
        }
        let found = self.pattern.text().find_iter(text).map(|found| found.range());
        found.filter(|range| !range.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(text: &str, is_regex: bool) -> LineMatcher {
        LinePattern { text: text.to_owned(), is_regex }.matcher().unwrap()
    }

    #[test]
    fn a_text_is_taken_as_it_is_and_an_expression_is_not() {
        for (text, is_regex, line, takes) in [
            ("a.c", false, "abc", false),
            ("a.c", false, "A.C", true),
            ("a.c", true, "abc", true),
            ("A.c", true, "abc", false),
            ("(", false, "f(x)", true),
            ("!warning", false, "Warning: x", false),
            ("!^cc", true, "ld -o x", true),
        ] {
            assert_eq!(matcher(text, is_regex).takes(line), takes, "{text} {line}");
        }
        let wrong = LinePattern { text: "(".to_owned(), is_regex: true };
        assert!(wrong.matcher().is_err());
    }

    #[test]
    fn marks_cover_every_match_and_none_of_the_opposite() {
        assert_eq!(matcher("ö", false).marks("aÖbö"), [1..3, 4..6]);
        assert!(matcher("!a", false).marks("aa").is_empty());
        assert_eq!(matcher("x*", true).marks("axbx"), [1..2, 3..4]);
    }
}
