//! What is typed after `/` in a list: words that a row must hold.
//!
//! The words stand apart by blanks, and a row must hold each of them in one of its texts; before a word,
//! `!` means that none of its texts may hold it. Which texts a row has is said in
//! [`matched`](crate::dash::matched).

/// One word of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FilterWord {
    needle: String,
    inverse: bool,
    exact_case: bool,
}

impl FilterWord {
    /// Returns what a typed word means; none of a `!` behind which nothing is typed yet.
    fn of(typed: &str) -> Option<Self> {
        let (needle, inverse) = match typed.strip_prefix('!') {
            Some(rest) => (rest, true),
            None => (typed, false),
        };
        let exact_case = needle.chars().any(char::is_uppercase);
        (!needle.is_empty()).then(|| Self { needle: needle.to_owned(), inverse, exact_case })
    }

    fn passes(&self, texts: &[String]) -> bool {
        let holds = |text: &String| {
            if self.exact_case {
                text.contains(&self.needle)
            } else {
                text.to_lowercase().contains(&self.needle)
            }
        };
        texts.iter().any(holds) != self.inverse
    }
}

/// A filter of the rows of a list.
///
/// Capital letters matter only in a word that holds one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    words: Vec<FilterWord>,
    text: String,
}

impl Filter {
    /// Returns the filter for what was typed; empty text lets everything through.
    pub fn new(text: &str) -> Self {
        let words = text.split_whitespace().filter_map(FilterWord::of).collect();
        Self { words, text: text.to_owned() }
    }

    /// Returns whether everything passes.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Returns what was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns whether a row with these texts passes.
    pub fn passes(&self, texts: &[String]) -> bool {
        self.words.iter().all(|word| word.passes(texts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_must_be_held_and_no_word_after_an_exclamation_mark() {
        let row = ["Samsung-2", "@laptop", "@home", "offline"].map(str::to_owned);
        for (filter, passes) in [
            ("", true),
            ("!", true),
            ("offline", true),
            ("laptop", true),
            ("@lap off", true),
            (" off  samsung ", true),
            ("offline @server", false),
            ("!@laptop", false),
            ("!@server", true),
            ("!@server offline", true),
            ("!@server up", false),
            ("samsung", true),
            ("Samsung", true),
            ("SAMSUNG", false),
            ("!SAMSUNG", true),
            ("homeoffline", false),
        ] {
            assert_eq!(Filter::new(filter).passes(&row), passes, "{filter:?}");
        }
        assert!(Filter::new("ÄB").passes(&["xÄB".to_owned()]));
        assert!(Filter::new("äb").passes(&["ÄB".to_owned()]));
    }

    #[test]
    fn a_filter_without_a_whole_word_is_none_and_what_was_typed_is_kept() {
        assert!(Filter::new(" ! ").is_empty());
        assert_eq!(Filter::new("a !b ").text(), "a !b ");
    }
}
