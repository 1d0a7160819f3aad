//! Whether the terminal's background is dark or light: what its answer to the question for its colour
//! says (OSC 11 of xterm's control sequences), and what `COLORFGBG` says. Pure; `terminal` asks.

use crate::dash::colour::{Rgb, contrast};

/// What the terminal's text stands on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Background {
    /// A dark ground.
    #[default]
    Dark,
    /// A light ground.
    Light,
}

impl Background {
    /// Returns what a colour is as a ground: light where black is read better on it than white.
    pub(super) fn of(rgb: Rgb) -> Self {
        if contrast(rgb, [0; 3]) > contrast(rgb, [255; 3]) { Self::Light } else { Self::Dark }
    }

    /// Returns what `COLORFGBG` says, in which some terminals write the numbers of their text and
    /// their ground (`15;0`, `0;default;15`); nothing where it names no number of the sixteen.
    pub fn from_colorfgbg(text: &str) -> Option<Self> {
        let (_, ground) = text.rsplit_once(';')?;
        match ground.parse::<u8>().ok()? {
            0..=6 | 8 => Some(Self::Dark),
            7 | 9..=15 => Some(Self::Light),
            16.. => None,
        }
    }

    /// Returns what the text of an answer says: what stands between `ESC ]` and its end, such as
    /// `11;rgb:1e1e/1e1e/2e2e`.
    pub(super) fn from_answer(text: &str) -> Option<Self> {
        let colour = text.strip_prefix("11;")?;
        let rgb = match colour.strip_prefix('#') {
            Some(digits) if digits.len() % 3 == 0 && digits.is_ascii() => {
                let (one, two) = (digits.len() / 3, digits.len() / 3 * 2);
                channels([&digits[..one], &digits[one..two], &digits[two..]])
            }
            Some(_) => None,
            None => {
                let (space, levels) = colour.split_once(':')?;
                let mut levels = levels.split('/');
                let three = [levels.next()?, levels.next()?, levels.next()?];
                let rest = levels.count();
                let fits = (space == "rgb" && rest == 0) || (space == "rgba" && rest == 1);
                fits.then(|| channels(three)).flatten()
            }
        };
        rgb.map(Self::of)
    }
}

/// Returns a colour from its three levels, each of one to four hexadecimal digits.
fn channels(levels: [&str; 3]) -> Option<Rgb> {
    let mut rgb = [0; 3];
    for (to, digits) in rgb.iter_mut().zip(levels) {
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex || !(1..=4).contains(&digits.len()) {
            return None;
        }
        let most = (1_u32 << (4 * digits.len())) - 1;
        *to = (u32::from_str_radix(digits, 16).ok()? * 255 / most) as u8;
    }
    Some(rgb)
}

/// What was read of the terminal while it was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BackgroundAnswers {
    /// What it says of its background.
    pub(super) background: Option<Background>,
    /// Whether it said everything: the answer, or that it has none.
    pub(super) is_complete: bool,
    /// What a person typed meanwhile.
    pub(super) typed: String,
}

impl BackgroundAnswers {
    /// Returns what bytes of the terminal say. It is asked for its background and then for its kind,
    /// which nearly every terminal tells (`ESC [ ? … c`): when that is there first, it does not tell
    /// the other.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (mut answers, mut rest) = (Self::default(), &*text);
        while let Some(at) = rest.find('\u{1b}') {
            answers.type_text(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(answer) = rest.strip_prefix(']') {
                let Some(end) = answer.find(['\u{7}', '\u{1b}']) else { return answers };
                answers.background = answers.background.or(Background::from_answer(&answer[..end]));
                rest = answer[end..].trim_start_matches('\u{7}');
                rest = rest.strip_prefix("\u{1b}\\").unwrap_or(rest);
            } else if let Some(sequence) = rest.strip_prefix('[') {
                let Some(end) = sequence.find(|c| ('@'..='~').contains(&c)) else { return answers };
                answers.is_complete |=
                    sequence.starts_with('?') && sequence[end..].starts_with('c');
                rest = &sequence[end + 1..];
            }
        }
        answers.type_text(rest);
        answers
    }

    fn type_text(&mut self, text: &str) {
        self.typed.extend(text.chars().filter(|c| !c.is_control() && *c != '\u{fffd}'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_way_in_which_terminals_write_a_colour_is_read() {
        for (answer, background) in [
            ("11;rgb:1e1e/1e1e/2e2e", Some(Background::Dark)),
            ("11;rgb:ffff/fbfb/f0f0", Some(Background::Light)),
            ("11;rgb:f/f/f", Some(Background::Light)),
            ("11;rgb:00/2b/36", Some(Background::Dark)),
            ("11;rgba:ffff/ffff/ffff/8000", Some(Background::Light)),
            ("11;#fdf6e3", Some(Background::Light)),
            ("11;#000", Some(Background::Dark)),
            ("10;rgb:ffff/ffff/ffff", None),
            ("11;rgb:ffff/ffff", None),
            ("11;rgb:ffff/ffff/ffff/ffff", None),
            ("11;rgb:fffff/ffff/ffff", None),
            ("11;rgb:+1/+1/+1", None),
            ("11;#ffffé", None),
            ("11;?", None),
            ("", None),
        ] {
            assert_eq!(Background::from_answer(answer), background, "{answer}");
        }
    }

    #[test]
    fn a_variable_of_some_terminals_says_it_too() {
        let says = Background::from_colorfgbg;
        assert_eq!(says("15;0"), Some(Background::Dark));
        assert_eq!(says("0;15"), Some(Background::Light));
        assert_eq!(says("0;default;7"), Some(Background::Light));
        assert_eq!(says("7;8"), Some(Background::Dark));
        for unknown in ["", "15", "15;default", "0;16", "0;-1"] {
            assert_eq!(says(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn what_is_typed_while_the_terminal_answers_is_no_answer() {
        let both = BackgroundAnswers::read(b"2\x1b]11;rgb:ffff/ffff/ffff\x1b\\j\x1b[?62;22ck");
        let light = Some(Background::Light);
        let typed = |typed: &str| typed.to_owned();
        assert_eq!(
            both,
            BackgroundAnswers { background: light, is_complete: true, typed: typed("2jk") }
        );
        let bell = BackgroundAnswers::read(b"\x1b]11;rgb:00/00/00\x07");
        assert_eq!(bell.background, Some(Background::Dark));
        let only_kind = BackgroundAnswers::read(b"\x1b[?1;2c");
        assert_eq!(
            only_kind,
            BackgroundAnswers { is_complete: true, ..BackgroundAnswers::default() }
        );
        let torn = BackgroundAnswers::read(b"q\x1b]11;rgb:ff");
        assert_eq!(torn, BackgroundAnswers { typed: typed("q"), ..BackgroundAnswers::default() });
        let focus_and_arrow = BackgroundAnswers::read(b"\x1b[I\x1b[A");
        assert_eq!(focus_and_arrow, BackgroundAnswers::default());
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_much(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let answers = BackgroundAnswers::read(&bytes);
            prop_assert!(!answers.typed.chars().any(char::is_control));
        }

        #[test]
        fn no_text_is_too_much(text in "(11;)?(rgb:|#)?[0-9a-fé/]{0,20}") {
            drop(Background::from_answer(&text).map(|background| format!("{background:?}")));
        }
    }
}
