//! The colours of a line: where its text changes how it looks.
//!
//! Programs colour what they print with SGR sequences (ECMA-48, 8.3.117), such as `ESC [ 1 ; 31 m`. A
//! line is kept as plain text, so that it is searched and copied as it is read; where it changes its look
//! is kept beside it:
//!
//! ```text
//! part77.c:118:17: error: implicit declaration
//! 0:1 17:1;31 24:0          bold from byte 0 on, bold and red from byte 17 on, plain from byte 24 on
//! ```
//!
//! Kept are colours, bold, dim and underlined. What hides text, blinks or is not known is not.

use std::borrow::Cow;

/// How often a line may change its look; behind that it is plain.
const MOST: usize = 256;

/// How a piece of text looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextStyle {
    /// Its colour in the table of 256, of which the first sixteen are the terminal's own; none for the usual one.
    pub foreground: Option<u8>,
    /// The colour behind it, in the same table.
    pub background: Option<u8>,
    /// Whether it is bold.
    pub bold: bool,
    /// Whether it is dim.
    pub dim: bool,
    /// Whether it is underlined.
    pub underlined: bool,
}

/// Where a line changes its look, from its beginning on; it begins plain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineColours(Vec<(u32, TextStyle)>);

impl TextStyle {
    /// Takes the parameters of an SGR sequence.
    pub(super) fn apply(&mut self, parameters: &str) {
        if !parameters.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b';' | b':')) {
            return;
        }
        let mut words = parameters.split(';');
        while let Some(word) = words.next() {
            let (code, own) = word.split_once(':').map_or((word, None), |(a, b)| (a, Some(b)));
            let mut colour = || match own {
                Some(own) => colour_in(&mut without_space(own)),
                None => colour_in(&mut words),
            };
            // No number is 0.
            match code.parse().unwrap_or(u16::from(!code.is_empty()) * u16::MAX) {
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 => self.dim = true,
                4 => self.underlined = own != Some("0"),
                21 => self.underlined = true,
                22 => (self.bold, self.dim) = (false, false),
                24 => self.underlined = false,
                code @ 30..=37 => self.foreground = Some((code - 30) as u8),
                38 => self.foreground = colour().or(self.foreground),
                39 => self.foreground = None,
                code @ 40..=47 => self.background = Some((code - 40) as u8),
                48 => self.background = colour().or(self.background),
                49 => self.background = None,
                // The colour of a line under the text: its numbers are no codes.
                58 => drop(colour()),
                code @ 90..=97 => self.foreground = Some((code - 82) as u8),
                code @ 100..=107 => self.background = Some((code - 92) as u8),
                _ => {}
            }
        }
    }

    /// Returns the look without what hides the text.
    fn readable(self) -> Self {
        let is_hidden = self.foreground.is_some() && self.foreground == self.background;
        if is_hidden { Self { foreground: None, background: None, ..self } } else { self }
    }

    /// Returns the parameters of the SGR sequence that makes plain text look so.
    fn parameters(self) -> String {
        let colour = |colour: u8, plain: u8, bright: u8| match colour {
            0..=7 => (plain + colour).to_string(),
            8..=15 => (bright + colour - 8).to_string(),
            16..=255 => format!("{};5;{colour}", plain + 8),
        };
        let words = [
            self.bold.then(|| "1".to_owned()),
            self.dim.then(|| "2".to_owned()),
            self.underlined.then(|| "4".to_owned()),
            self.foreground.map(|it| colour(it, 30, 90)),
            self.background.map(|it| colour(it, 40, 100)),
        ];
        let words: Vec<String> = words.into_iter().flatten().collect();
        if words.is_empty() { "0".to_owned() } else { words.join(";") }
    }
}

/// Returns the colour that stands behind a 38 or 48: `5`, number, or `2`, red, green, blue.
fn colour_in(words: &mut dyn Iterator<Item = &str>) -> Option<u8> {
    let kind = words.next()?;
    let mut number = || words.next()?.parse::<u8>().ok();
    match kind {
        "5" => number(),
        "2" => {
            let (red, green, blue) = (number(), number(), number());
            Some(16 + 36 * level(red?) + 6 * level(green?) + level(blue?))
        }
        _ => None,
    }
}

/// Returns the parts of a colour that is written with colons, `2::r:g:b`, without the name of its space.
fn without_space(own: &str) -> impl Iterator<Item = &str> {
    let has_space = own.starts_with("2:") && own.matches(':').count() > 3;
    let parts = own.split(':').enumerate();
    parts.filter(move |(at, _)| !has_space || *at != 1).map(|(_, part)| part)
}

/// Returns the nearest of the six levels that the table of 256 has of red, green and blue.
fn level(value: u8) -> u8 {
    match value {
        0..48 => 0,
        48..115 => 1,
        115.. => (value - 35) / 40,
    }
}

impl LineColours {
    /// Returns whether the line looks plain.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes that the text looks so from a byte on, which is not before the last that was noted.
    pub(super) fn change(&mut self, at: usize, style: TextStyle) {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        self.0.pop_if(|(last, _)| *last == at);
        let before = self.0.last().map_or(TextStyle::default(), |(_, style)| *style);
        let style = match self.0.len() {
            MOST.. => return,
            count if count + 1 == MOST => TextStyle::default(),
            _ => style.readable(),
        };
        if style != before {
            self.0.push((at, style));
        }
    }

    /// Returns the colours of a text that has so many bytes more at its begin.
    #[must_use]
    pub fn moved(mut self, bytes: usize) -> Self {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.0.iter_mut().for_each(|(at, _)| *at = at.saturating_add(bytes));
        self
    }

    /// Returns the colours without those that a text has no place for.
    #[must_use]
    pub fn fitting(mut self, text: &str) -> Self {
        let fits = |at: u32| (at as usize) < text.len() && text.is_char_boundary(at as usize);
        self.0.retain(|(at, _)| fits(*at));
        self
    }

    /// Returns where the text changes its look, and how it looks from there on, in order.
    pub fn changes(&self) -> impl Iterator<Item = (usize, TextStyle)> {
        self.0.iter().map(|(at, style)| (*at as usize, *style))
    }

    /// Returns how the text looks at a byte.
    pub fn style_at(&self, byte: usize) -> TextStyle {
        let behind = self.0.partition_point(|(at, _)| *at as usize <= byte);
        behind.checked_sub(1).map_or(TextStyle::default(), |before| self.0[before].1)
    }

    /// Returns the text with sequences that make a terminal show these colours, and no others.
    pub fn painted<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.is_empty() {
            return text.into();
        }
        let (mut painted, mut from) = (String::with_capacity(text.len() + 32), 0);
        let mut now = TextStyle::default();
        for (at, style) in self.changes() {
            painted.push_str(text.get(from..at).unwrap_or_default());
            if now != TextStyle::default() {
                painted.push_str("\u{1b}[0m");
            }
            if style != TextStyle::default() {
                painted.extend(["\u{1b}[", &style.parameters(), "m"]);
            }
            (from, now) = (at, style);
        }
        painted.push_str(text.get(from..).unwrap_or_default());
        if now != TextStyle::default() {
            painted.push_str("\u{1b}[0m");
        }
        painted.into()
    }

    /// Returns the colours as they stand in a log: `0:1 17:1;31 24:0`.
    pub(super) fn written(&self) -> String {
        let words = self.0.iter().map(|(at, style)| format!("{at}:{}", style.parameters()));
        words.collect::<Vec<_>>().join(" ")
    }

    /// Reads the colours of a text from a log; what makes no sense is left out.
    pub fn read(written: &[u8], text: &str) -> Self {
        let mut colours = Self::default();
        let words = std::str::from_utf8(written).unwrap_or_default().split(' ');
        let mut last = None;
        for (at, parameters) in words.filter_map(|word| word.split_once(':')) {
            let Ok(at) = at.parse::<u32>() else { continue };
            if last.is_none_or(|last| at > last) {
                let mut style = TextStyle::default();
                style.apply(parameters);
                colours.change(at as usize, style);
                last = Some(at);
            }
        }
        colours.fitting(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::text::{printable_coloured, printable_continued, style_behind};
    use proptest::prelude::*;

    /// Returns the plain text of a line and its colours as they stand in a log.
    fn kept(line: &str) -> (String, String) {
        let (text, colours) = printable_coloured(line);
        (text.into_owned(), colours.written())
    }

    #[test]
    fn colours_stand_beside_the_text_and_everything_else_is_gone() {
        for (line, text, colours) in [
            ("plain", "plain", ""),
            ("\u{1b}[31mred\u{1b}[0m", "red", "0:31"),
            ("a\u{1b}[1;31mb\u{1b}[mc", "abc", "1:1;31 2:0"),
            ("a\u{1b}[1mb\u{1b}[31mc\u{1b}[22md\u{1b}[39me", "abcde", "1:1 2:1;31 3:31 4:0"),
            ("\u{1b}[1m\u{1b}[K\u{1b}[31m\u{1b}[Kx", "x", "0:1;31"),
            ("\u{1b}[97;100;4mx", "x", "0:4;97;100"),
            ("\u{1b}[38;5;9;48;5;200mx", "x", "0:91;48;5;200"),
            ("\u{1b}[38;2;255;0;0mx\u{1b}[38:2::0:0:255my", "xy", "0:38;5;196 1:38;5;21"),
            ("\u{1b}[58;5;1mx\u{1b}[4:3my\u{1b}[4:0mz", "xyz", "1:4 2:0"),
            ("\u{9b}32mü\u{9b}0mx", "üx", "0:32 2:0"),
            // What hides, blinks, moves or asks is no colour.
            ("\u{1b}[8mx\u{1b}[5my\u{1b}[30;40mz", "xyz", ""),
            ("\u{1b}[>4;1mx\u{1b}[?25ly\u{1b}[2Jz\u{1b}[31", "xyz", ""),
            ("\u{1b}]8;;http://x\u{1b}\\\u{1b}[4ma\u{1b}]8;;\u{7}", "a", "0:4"),
            ("10 %\r\u{1b}[32m100 %\r\n", "100 %", "0:32"),
            // Where a secret was, its length is not told either.
            ("\u{1b}[31mtoken=abc\u{1b}[0m x", "token=[secret] x", ""),
        ] {
            assert_eq!(kept(line), (text.to_owned(), colours.to_owned()), "{line:?}");
        }
    }

    #[test]
    fn a_line_begins_to_look_as_the_line_before_it_ended() {
        let mut style = TextStyle::default();
        for (line, text, colours) in [
            ("a \u{1b}[1;31mb", "a b", "2:1;31"),
            ("", "", ""),
            ("c", "c", "0:1;31"),
            ("\u{1b}[32m10 %\r100 %\r\n", "100 %", "0:1;32"),
            ("d\u{9b}22me", "de", "0:1;32 1:32"),
            ("token=abc", "token=[secret]", ""),
            ("f\u{1b}[0m", "f", "0:32"),
            ("g", "g", ""),
        ] {
            let (kept, continued) = printable_continued(line, style);
            assert_eq!((&*kept, &*continued.written()), (text, colours), "{line:?}");
            style = style_behind(line, style);
        }
    }

    #[test]
    fn a_line_that_changes_without_end_is_plain_behind_a_limit() {
        let colours = ["0", "1", "2", "3", "4", "5", "6", "7"].iter().cycle().take(5000);
        let line: String = colours.flat_map(|colour| ["\u{1b}[3", *colour, "mx"]).collect();
        let (text, colours) = printable_coloured(&line);
        assert_eq!((text.len(), colours.changes().count()), (5000, MOST));
        assert_eq!(colours.style_at(4999), TextStyle::default());
        assert_eq!(colours.style_at(3).foreground, Some(3));
    }

    #[test]
    fn colours_in_a_log_that_make_no_sense_are_left_out() {
        let read =
            |written: &str, text: &str| LineColours::read(written.as_bytes(), text).written();
        assert_eq!(read("0:1 2:31", "abcd"), "0:1 2:31");
        assert_eq!(read("2:31 1:1 9:4", "abcd"), "2:31");
        assert_eq!(read("1:31 2:32", "äb"), "2:32");
        assert_eq!(read("x y:z :: 99999999999:1 1:999", "abcd"), "");
    }

    /// Lines with sequences of every kind in them.
    fn lines() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[a-zä€ ]{0,6}",
            "\u{1b}\\[[0-9;:]{0,12}m",
            "\u{1b}\\[[0-9;?>]{0,6}[A-Za-z]",
            "[\u{1b}\u{9b}\u{7}\u{9c}\r\t\\[\\]m;0-9]{0,4}",
            any::<String>(),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn painted_text_has_colours_and_no_other_sequence(line in lines()) {
            let (text, colours) = printable_coloured(&line);
            prop_assert_eq!(&*text, crate::fleet::printable_line(&line));
            prop_assert_eq!(LineColours::read(colours.written().as_bytes(), &text), colours.clone());
            let painted = colours.painted(&text);
            let mut rest = &*painted;
            while let Some((before, behind)) = rest.split_once('\u{1b}') {
                prop_assert!(!before.chars().any(char::is_control));
                let sequence = behind.strip_prefix('[').and_then(|it| it.split_once('m'));
                let (parameters, behind) = sequence.unwrap();
                prop_assert!(parameters.bytes().all(|it| it.is_ascii_digit() || it == b';'));
                rest = behind;
            }
            prop_assert!(!rest.chars().any(char::is_control));
            // What is shown is read as what it is.
            prop_assert_eq!(printable_coloured(&painted), (text.clone(), colours));
        }
    }
}
