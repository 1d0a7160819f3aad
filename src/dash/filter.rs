//! What is typed after `/`: a text to look for, with smart case and `!` for the opposite.

/// A filter over lines of text.
///
/// Capital letters matter only when the text holds one; a leading `!` keeps what does not match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    needle: String,
    inverse: bool,
    exact_case: bool,
}

impl Filter {
    /// Returns the filter for what was typed; empty text lets everything through.
    pub fn new(text: &str) -> Self {
        let (needle, inverse) = match text.strip_prefix('!') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let exact_case = needle.chars().any(char::is_uppercase);
        Self { needle: needle.to_owned(), inverse, exact_case }
    }

    /// Returns whether everything passes.
    pub fn is_empty(&self) -> bool {
        self.needle.is_empty()
    }

    /// Returns what was typed.
    pub fn text(&self) -> String {
        format!("{}{}", if self.inverse { "!" } else { "" }, self.needle)
    }

    /// Returns whether a text passes.
    pub fn passes(&self, text: &str) -> bool {
        if self.needle.is_empty() {
            return true;
        }
        self.find(text, 0).is_some() != self.inverse
    }

    /// Returns the byte ranges of the matches in a text, to be marked; none for an inverse filter.
    pub fn marks(&self, text: &str) -> Vec<std::ops::Range<usize>> {
        let mut marks = Vec::new();
        if self.needle.is_empty() || self.inverse {
            return marks;
        }
        let mut from = 0;
        while let Some(range) = self.find(text, from) {
            from = range.end;
            marks.push(range);
        }
        marks
    }

    /// Returns the first match at or after a byte position.
    fn find(&self, text: &str, from: usize) -> Option<std::ops::Range<usize>> {
        if self.exact_case {
            let at = text[from..].find(&self.needle)? + from;
            return Some(at..at + self.needle.len());
        }
        text[from..].char_indices().map(|(at, _)| at + from).find_map(|at| {
            let mut rest = text[at..].chars();
            let mut end = at;
            for wanted in self.needle.chars() {
                let have = rest.next()?;
                if !have.to_lowercase().eq(wanted.to_lowercase()) {
                    return None;
                }
                end += have.len_utf8();
            }
            Some(at..end)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_matters_only_when_a_capital_is_typed() {
        for (filter, text, passes) in [
            ("", "anything", true),
            ("firefox", "Firefox-145", true),
            ("Firefox", "firefox-145", false),
            ("!copying", "copying path", false),
            ("!copying", "building", true),
            ("!", "anything", true),
            ("ÄB", "äb", false),
            ("äb", "ÄB", true),
        ] {
            assert_eq!(Filter::new(filter).passes(text), passes, "{filter} {text}");
        }
    }

    #[test]
    fn marks_cover_every_match() {
        assert_eq!(Filter::new("ö").marks("aÖbö"), [1..3, 4..6]);
        assert_eq!(Filter::new("aa").marks("aaaa"), [0..2, 2..4]);
    }
}
