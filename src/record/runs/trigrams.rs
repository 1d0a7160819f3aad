//! Which three bytes in a row a frame of a compressed log has: whoever searches for a word need not decompress
//! frames that cannot have it.
//!
//! Of each frame there is a set of bits. Three bytes in a row, capitals as small letters, set one of them in the
//! set of the frame in which the last of the three stands. A bit that is not set says that nothing which sets
//! it is there; one that is set says little.

/// The set has two to the power of this many bits. In a frame of what builds print, a sixth to a third of them
/// are set.
const POWER: u32 = 15;

/// How long a set is, in bytes.
pub(super) const SET: usize = 1 << (POWER - 3);

/// Makes the sets of frames that follow each other.
#[derive(Default)]
pub(super) struct SetBuilder {
    /// The last three bytes; noughts before the first ones, which set bits that nobody looks for.
    last: u32,
}

impl SetBuilder {
    /// Returns the set of the next frame.
    pub(super) fn set_of(&mut self, frame: &[u8]) -> Vec<u8> {
        let mut set = vec![0; SET];
        for byte in frame {
            self.last = followed_by(self.last, *byte);
            let bit = bit_of(self.last);
            set[bit / 8] |= 1 << (bit % 8);
        }
        set
    }
}

/// Returns three bytes in a row from those one further to the left.
fn followed_by(three: u32, byte: u8) -> u32 {
    (three << 8 | u32::from(byte.to_ascii_lowercase())) & 0x00ff_ffff
}

/// Returns which bit three bytes in a row set.
fn bit_of(three: u32) -> usize {
    // The upper bits of a product with a large odd number depend on all bits of the other factor.
    (three.wrapping_mul(0x9e37_79b1) >> (u32::BITS - POWER)) as usize
}

/// A word that is searched for.
#[derive(Clone, Debug)]
pub(super) struct SoughtWord {
    /// The bits that it sets, in the order of its bytes.
    bits: Vec<usize>,
}

impl SoughtWord {
    /// Reads a word; none for one of which no three bytes in a row are sure to be there where it is.
    pub(super) fn new(word: &str, ignores_case: bool) -> Option<Self> {
        // Of letters outside ASCII capitals are other bytes, and k and s have capitals there: K and ſ.
        let is_sure = |byte: &u8| !ignores_case || (byte.is_ascii() && !b"kKsS".contains(byte));
        let threes = word.as_bytes().windows(3).filter(|three| three.iter().all(is_sure));
        let bit = |three: &[u8]| bit_of(three.iter().fold(0, |all, byte| followed_by(all, *byte)));
        let bits: Vec<usize> = threes.map(bit).collect();
        (!bits.is_empty()).then_some(Self { bits })
    }

    /// Begins to look for it in frames that follow each other.
    pub(super) fn search(&self) -> WordSearch<'_> {
        WordSearch { word: self, begun: 0 }
    }
}

/// Looks through the sets of frames that follow each other. A word is shorter than a frame: it stands in one, or
/// begins in one and ends in the next.
pub(super) struct WordSearch<'a> {
    word: &'a SoughtWord,
    /// How many of its first bits may be those of the end of the frame before.
    begun: usize,
}

impl WordSearch<'_> {
    /// Takes the set of the next frame; returns whether the word may end in this frame.
    pub(super) fn may_end_in(&mut self, set: &[u8]) -> bool {
        let bits = &self.word.bits;
        let is_set =
            |bit: &&usize| set.get(**bit / 8).is_none_or(|byte| byte >> (**bit % 8) & 1 == 1);
        let last = bits.iter().rev().take_while(is_set).count();
        let may = self.begun + last >= bits.len();
        self.begun = bits.iter().take_while(is_set).count();
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns whether a word may be in a text that is cut into frames.
    fn may_have(text: &[u8], frame: usize, word: &SoughtWord) -> bool {
        let (mut sets, mut search) = (SetBuilder::default(), word.search());
        text.chunks(frame).any(|frame| search.may_end_in(&sets.set_of(frame)))
    }

    proptest! {
        #[test]
        fn a_word_is_never_overlooked(
            text in "[a-dksK-S \u{17f}\u{212a}é]{20,200}",
            place in 0_usize..150,
            length in 3_usize..18,
            frame in 20_usize..60,
            ignores_case in any::<bool>(),
        ) {
            let word: String = text.chars().skip(place).take(length).collect();
            if let Some(sought) = SoughtWord::new(&word, ignores_case) {
                prop_assert!(may_have(text.as_bytes(), frame.max(word.len()), &sought));
            }
            if let Some(sought) = SoughtWord::new(&word.to_uppercase(), true)
                && regex_finds(&word.to_uppercase(), &text)
            {
                prop_assert!(may_have(text.as_bytes(), frame.max(2 * word.len()), &sought));
            }
        }
    }

    /// Returns whether a search without regard to capitals finds a word.
    fn regex_finds(word: &str, text: &str) -> bool {
        let pattern = regex::RegexBuilder::new(&regex::escape(word)).case_insensitive(true).build();
        pattern.unwrap().is_match(text)
    }

    #[test]
    fn most_words_that_are_not_there_are_known_not_to_be() {
        let text = "gcc -O2 -fPIC -Wall -Iinclude -c src/part.c -o build/part.o\n".repeat(99);
        for (word, may_be) in [("Needle", false), ("error", false), ("PART.C", true), ("ll", true)]
        {
            let found = SoughtWord::new(word, true)
                .is_none_or(|word| may_have(text.as_bytes(), 500, &word));
            assert_eq!(found, may_be, "{word}");
        }
        // These letters have capitals outside ASCII.
        assert!(
            SoughtWord::new("risk", true).is_none() && SoughtWord::new("risk", false).is_some()
        );
    }
}
