//! What the terminal can show: the theme at its colour depth, and plain ASCII where it must be.

use crate::dash::theme::{ROLES, Role, Theme};
use crate::fleet::TextStyle;
use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

/// How many colours the terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// None: only bold, dim and reversed text.
    None,
    /// The sixteen of the terminal's own palette.
    Ansi16,
    /// The table of 256.
    Ansi256,
    /// 24 bits.
    True,
}

/// The colours that tell hosts apart: those of the terminal's own palette that say nothing of how
/// something is.
const HOSTS: [Color; 6] = [
    Color::Cyan,
    Color::Magenta,
    Color::Blue,
    Color::LightCyan,
    Color::LightMagenta,
    Color::LightBlue,
];

/// How the screen is to look.
#[derive(Clone, Debug)]
pub struct Look {
    styles: [Style; ROLES],
    hosts: [Style; HOSTS.len()],
    /// How many colours the texts of logs have: none where the theme has none.
    of_logs: Depth,
    /// Whether only ASCII characters may be written.
    pub ascii: bool,
    /// The zone in which times of day are shown.
    pub zone: TimeZone,
}

impl Look {
    /// Returns a theme as a terminal of that depth can show it.
    pub fn new(theme: &Theme, depth: Depth, ascii: bool, zone: TimeZone) -> Self {
        let has_colours = theme.styles.iter().any(|style| style.fg.or(style.bg).is_some());
        let of_logs = if has_colours { depth } else { Depth::None };
        let styles = theme.styles.map(|style| Style {
            fg: style.fg.and_then(|colour| reduce(colour, depth)),
            bg: style.bg.and_then(|colour| reduce(colour, depth)),
            ..style
        });
        let hosts = HOSTS.map(|colour| Style { fg: reduce(colour, depth), ..Style::default() });
        Self { styles, hosts, of_logs, ascii, zone }
    }

    /// Returns the look of a terminal without colours in UTC, for measuring what will be drawn.
    pub(super) fn plain() -> Self {
        let hosts = [Style::default(); HOSTS.len()];
        let styles = [Style::default(); ROLES];
        Self { styles, hosts, of_logs: Depth::None, ascii: false, zone: TimeZone::UTC }
    }

    /// Returns how a role looks.
    pub fn style(&self, role: Role) -> Style {
        self.styles[role as usize]
    }

    /// Returns how the name of the host of that number looks where lines of several hosts stand below
    /// each other.
    pub fn host_style(&self, number: usize) -> Style {
        self.hosts[number % HOSTS.len()]
    }

    /// Returns how a piece of a log looks that a program coloured: red, green and yellow as the theme
    /// shows what is wrong, well and to be looked at, so that they can be read and told apart in it.
    pub fn log_style(&self, text: TextStyle) -> Style {
        if self.of_logs == Depth::None {
            return Style::default();
        }
        let colour = |colour: u8| {
            let role = match colour {
                1 | 9 => Some(Role::Error),
                2 | 10 => Some(Role::Ok),
                3 | 11 => Some(Role::Warn),
                _ => None,
            };
            let usual = || match ANSI.get(usize::from(colour)) {
                Some((named, _)) => Some(*named),
                None => reduce(Color::Indexed(colour), self.of_logs),
            };
            role.and_then(|role| self.style(role).fg).or_else(usual)
        };
        let mut modifiers = Modifier::empty();
        modifiers.set(Modifier::BOLD, text.bold);
        modifiers.set(Modifier::DIM, text.dim);
        modifiers.set(Modifier::UNDERLINED, text.underlined);
        Style {
            fg: text.foreground.and_then(colour),
            bg: text.background.and_then(colour),
            ..Style::default()
        }
        .add_modifier(modifiers)
    }

    /// Writes what was drawn in ASCII, when only that may be written.
    pub(super) fn finish(&self, buffer: &mut Buffer) {
        if !self.ascii {
            return;
        }
        for cell in &mut buffer.content {
            if !cell.symbol().is_ascii() {
                let plain = cell.symbol().chars().next().map_or(' ', to_ascii);
                cell.set_char(plain);
            }
        }
    }
}

/// Returns the colour depth that the environment asks for; `var` reads a variable.
///
/// `NO_COLOR` wins over everything, then `COLORTERM`, then `TERM`.
pub fn depth_from(var: impl Fn(&str) -> Option<String>) -> Depth {
    if var("NO_COLOR").is_some_and(|text| !text.is_empty()) {
        return Depth::None;
    }
    let colorterm = var("COLORTERM").unwrap_or_default();
    if colorterm == "truecolor" || colorterm == "24bit" {
        return Depth::True;
    }
    let term = var("TERM").unwrap_or_default();
    if term == "dumb" || term.ends_with("-m") || term.ends_with("-mono") {
        Depth::None
    } else if term.ends_with("-direct") {
        Depth::True
    } else if term.contains("256color") {
        Depth::Ansi256
    } else {
        Depth::Ansi16
    }
}

/// Returns whether the environment's locale is not UTF-8; `var` reads a variable.
pub fn ascii_from(var: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name: &str| var(name).filter(|text| !text.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG"));
    let locale = locale.unwrap_or_default().to_lowercase();
    !(locale.contains("utf-8") || locale.contains("utf8"))
}

/// Returns a text with every character that is not ASCII replaced by the one that stands in.
pub fn ascii(text: &str) -> String {
    text.chars().map(to_ascii).collect()
}

/// ASCII characters, each with those that it stands in for.
const STAND_INS: [(char, &str); 21] = [
    ('*', "●▇"),
    ('o', "○"),
    ('!', "▲"),
    ('x', "✗×"),
    ('+', "✓▆┌┐└┘├┤┬┴┼╭╮╰╯"),
    ('#', "◆█▉▊"),
    ('P', "⚷"),
    ('>', "›→▸≥"),
    ('<', "←≤"),
    ('^', "↑"),
    ('v', "↓▼"),
    ('|', "◐│▏▕"),
    ('/', "◓"),
    ('\\', "◒"),
    ('-', "◑–—─━▄"),
    ('_', "▁"),
    ('.', "▂·…"),
    (':', "▃"),
    ('=', "▅▋▌▍▎"),
    ('"', "“”„"),
    ('\'', "‘’"),
];

/// Returns the ASCII character that stands in for another.
fn to_ascii(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    if c.is_whitespace() {
        return ' ';
    }
    let stand_in = STAND_INS.iter().find(|(_, others)| others.contains(c));
    stand_in.map_or('?', |(plain, _)| *plain)
}

/// The sixteen colours of a terminal, as most of them show them.
const ANSI: [(Color, [u8; 3]); 16] = [
    (Color::Black, [0, 0, 0]),
    (Color::Red, [205, 0, 0]),
    (Color::Green, [0, 205, 0]),
    (Color::Yellow, [205, 205, 0]),
    (Color::Blue, [0, 0, 238]),
    (Color::Magenta, [205, 0, 205]),
    (Color::Cyan, [0, 205, 205]),
    (Color::Gray, [229, 229, 229]),
    (Color::DarkGray, [127, 127, 127]),
    (Color::LightRed, [255, 0, 0]),
    (Color::LightGreen, [0, 255, 0]),
    (Color::LightYellow, [255, 255, 0]),
    (Color::LightBlue, [92, 92, 255]),
    (Color::LightMagenta, [255, 0, 255]),
    (Color::LightCyan, [0, 255, 255]),
    (Color::White, [255, 255, 255]),
];

/// Levels of red, green and blue in the 6×6×6 cube of the 256-colour table.
const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// Returns the nearest colour that the depth has; none when it has none.
fn reduce(colour: Color, depth: Depth) -> Option<Color> {
    match (depth, colour) {
        (Depth::None, _) => None,
        (Depth::Ansi256, Color::Rgb(r, g, b)) => Some(Color::Indexed(nearest_256([r, g, b]))),
        (Depth::Ansi16, Color::Rgb(r, g, b)) => Some(nearest_16([r, g, b])),
        (Depth::Ansi16, Color::Indexed(index)) => Some(nearest_16(rgb_of(index))),
        (Depth::Ansi16 | Depth::Ansi256 | Depth::True, colour) => Some(colour),
    }
}

/// Returns the square of the distance of two colours.
fn distance(a: [u8; 3], b: [u8; 3]) -> u32 {
    a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
}

fn nearest_16(rgb: [u8; 3]) -> Color {
    let nearest = ANSI.iter().min_by_key(|(_, have)| distance(*have, rgb));
    nearest.map_or(Color::Reset, |(colour, _)| *colour)
}

fn nearest_256(rgb: [u8; 3]) -> u8 {
    (16..=255).min_by_key(|index| distance(rgb_of(*index), rgb)).unwrap_or(15)
}

/// Returns the red, green and blue of an entry of the 256-colour table.
fn rgb_of(index: u8) -> [u8; 3] {
    match index {
        0..=15 => ANSI[usize::from(index)].1,
        16..=231 => {
            let n = usize::from(index - 16);
            [LEVELS[n / 36], LEVELS[n / 6 % 6], LEVELS[n % 6]]
        }
        232..=255 => [8 + 10 * (index - 232); 3],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn the_environment_says_how_many_colours_there_are() {
        for (vars, depth) in [
            (&[("TERM", "xterm")][..], Depth::Ansi16),
            (&[("TERM", "screen-256color")], Depth::Ansi256),
            (&[("TERM", "xterm"), ("COLORTERM", "truecolor")], Depth::True),
            (&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")], Depth::None),
            (&[("NO_COLOR", ""), ("TERM", "xterm-256color")], Depth::Ansi256),
            (&[("TERM", "dumb")], Depth::None),
        ] {
            assert_eq!(depth_from(env(vars)), depth, "{vars:?}");
        }
    }

    #[test]
    fn without_a_utf_8_locale_only_ascii_is_written() {
        assert!(ascii_from(env(&[("LANG", "C")])));
        assert!(ascii_from(env(&[])));
        assert!(!ascii_from(env(&[("LANG", "C"), ("LC_ALL", "C.UTF-8")])));
        assert!(!ascii_from(env(&[("LANG", "de_DE.utf8"), ("LC_ALL", "")])));
        assert_eq!(ascii("p510 ⚷ ○ – ▲"), "p510 P o - !");
    }

    #[test]
    fn colours_of_a_log_are_those_of_the_theme_and_none_where_there_are_none() {
        let red = TextStyle { foreground: Some(1), bold: true, ..TextStyle::default() };
        let blue = TextStyle { foreground: Some(12), underlined: true, ..TextStyle::default() };
        let orange = TextStyle { background: Some(208), ..TextStyle::default() };
        let look = |theme: &str, depth| {
            Look::new(&Theme::parse(theme).unwrap(), depth, false, TimeZone::UTC)
        };
        let (_, plain) = crate::dash::theme::THEMES[0];
        let terminal = look(plain, Depth::True);
        assert_eq!(terminal.log_style(red), Style::new().fg(Color::Red).bold());
        assert_eq!(terminal.log_style(blue), Style::new().fg(Color::LightBlue).underlined());
        assert_eq!(terminal.log_style(orange), Style::new().bg(Color::Indexed(208)));
        let pink = look(&plain.replace("\"red\"", "\"#ff79c6\""), Depth::True);
        assert_eq!(pink.log_style(red).fg, Some(Color::Rgb(255, 121, 198)));
        // Without colours nothing of it is left, also not where a theme has none.
        let grey: Vec<&str> = plain.lines().filter(|line| !line.starts_with("fg")).collect();
        for look in [look(plain, Depth::None), look(&grey.join("\n"), Depth::True)] {
            assert_eq!(look.log_style(red), Style::default());
        }
    }

    #[test]
    fn colours_become_the_nearest_that_the_terminal_has() {
        assert_eq!(reduce(Color::Rgb(250, 5, 5), Depth::Ansi16), Some(Color::LightRed));
        assert_eq!(reduce(Color::Rgb(255, 135, 0), Depth::Ansi256), Some(Color::Indexed(208)));
        assert_eq!(reduce(Color::Indexed(196), Depth::Ansi16), Some(Color::LightRed));
        assert_eq!(reduce(Color::Red, Depth::None), None);
    }
}
